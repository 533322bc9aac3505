"""The work of a process that trains. It imports no more than that takes: see `Unit.splits`."""

import os
import signal
import threading
import time
from typing import NamedTuple

from studies.columns import Record
from studies.plan.units import Unit
from studies.train import runner

WATCH = 1.0  # seconds between two looks of a worker at whether its parent lives


class Lost(NamedTuple):
    """The reason that a unit came to nothing although no code of it failed."""

    reason: str


UnitOutcome = tuple[Unit, list[Record] | Lost]


def attempt(unit: Unit) -> list[Record] | Lost:
    """The records of a unit, or that memory did not suffice for it."""
    try:
        return runner.train_unit(unit)
    except MemoryError as error:
        return Lost(f"out of memory: {error}")


def start(parent: int) -> None:
    """Make ready a new process: an interrupt is its parent's to handle, and it ends with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH)
    os._exit(1)
