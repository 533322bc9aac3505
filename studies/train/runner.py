"""From a unit to its records, in one process on one thread."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from studies.columns import Record
from studies.plan.units import NUMERICS, Trial, Unit
from studies.seeds import digest
from studies.train import devices, engines
from studies.train.code import code
from studies.train.sandbox import FunctionError


def train_unit(unit: Unit) -> list[Record]:
    """Train a unit; return a record for each of its trials.

    A unit in which an exception was raised trains again in halves, down to the models that raise it alone: these are failed
    trials. Their records have the reason in a line, and the traceback as a file to write beside the rows.

    Raises MemoryError where memory does not suffice: it may for a smaller unit.
    """
    try:
        with one_thread():
            trained = engines.engine_of(unit).train(unit)
    except FunctionError as error:
        reason, details = error.reason, error.details
    except Exception as error:
        reason = " ".join("".join(traceback.format_exception_only(error)).split())
        # The CPU's allocator has no exception of its own.
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in reason:
            raise MemoryError(reason) from None
        details = "".join(traceback.format_exception(error))
    else:
        return [{**_identity(unit, trial), **each.outcome} for trial, each in zip(unit.trials, trained, strict=True)]
    if len(unit.trials) > 1:
        return [record for half in unit.halves() for record in train_unit(half)]
    place = f"tracebacks/{digest(details, 8)}.txt"
    return [{**record, "files": {place: details}} for record in failed(unit, f"{reason} (see {place})")]


def failed(unit: Unit, reason: str) -> list[Record]:
    """The records of a unit that could not be trained."""
    return [{**_identity(unit, trial), "status": "failed", "reason": reason} for trial in unit.trials]


def describe_maker(device: str, threads: int = 1) -> Record:
    """The columns of what trains here: rows made by equal ones are equal to the bit."""
    versions = {"torch": torch.__version__, "numpy": np.__version__}
    made = {"device": devices.describe_device(device), "cpu": devices.instructions(), **versions, "threads": threads}
    return {**made, "numerics": NUMERICS, "code": code()}


@contextmanager
def one_thread() -> Iterator[None]:
    """Within, the process computes as the suite does: on one thread, without autograd.

    There are no denormal numbers, which cost a hundred times a normal one.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)


def _identity(unit: Unit, trial: Trial) -> dict[str, Any]:
    """The columns that say which model a record is about, and what trained it."""
    return {
        "study": unit.source.study,
        "reading": trial.reading or None,
        "trial": trial.key,
        "config": trial.configuration.id,
        "label": trial.configuration.label,
        **trial.configuration.columns,
        "repeat": trial.repeat,
        "fold": trial.fold,
        "seed": unit.source.seed,
        "trained_by": unit.engine,
        "stack": len(unit.trials),
        **describe_maker(unit.device, unit.source.function.threads),
    }
