"""Training of units on the cores of one machine, as a rule in processes, which may die: for want of memory, or killed by hand.

Every process is a pool of its own, so that a death costs one unit and says which; in one pool of many processes it takes the
units of its neighbours along, and nobody knows whose fault it was. A unit that was lost trains again: alone on the machine,
then in halves, alone; after that its trials are rows that failed.
"""

import contextlib
import multiprocessing
import os
import warnings
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ThreadPoolExecutor, wait
from itertools import islice

from joblib.externals.loky import ProcessPoolExecutor

from studies.columns import Record
from studies.plan.units import Unit
from studies.train import engines, memory, runner
from studies.train.worker import Lost, UnitOutcome, attempt, start

TRIES = 3
_ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS")}  # read when a library is loaded

Trainer = Callable[[Iterable[Unit], int], Generator[UnitOutcome, None, None]]  # units and jobs to outcomes, in any order


def train_units(
    units: Iterable[Unit], jobs: int, backend: str, received: Callable[[list[Record]], None], planned: Sequence[Unit]
) -> None:
    """Train the units, those planned or fewer; `received` gets the records of each as soon as it is done, in any order.

    `backend`: "loky" trains in `jobs` processes; with "sequential", or one job, in this one, which a dying unit takes along;
    "auto" in processes, or where these do not repay their start, in `jobs` threads.
    """
    train: Trainer = in_processes
    if backend == "sequential" or jobs == 1:
        train = in_turn
    elif backend == "auto" and engines.threads_suffice(planned, jobs):
        train = in_threads
    train_persistently(train, units, jobs, received)


def limit_jobs(jobs: int) -> int:
    """The number of processes that can train here: `jobs`, or 1, with a warning, where there is no shared memory."""
    if jobs > 1:
        try:
            multiprocessing.get_context("fork").Lock()
        except (ImportError, OSError) as error:
            warnings.warn(f"processes need shared memory, and there is none ({error}): training in one process", stacklevel=2)
            return 1
    return jobs


def train_persistently(train: Trainer, units: Iterable[Unit], jobs: int, received: Callable[[list[Record]], None]) -> None:
    """Train the units, and what is lost again, up to `TRIES` times; what is lost every time becomes failed trials."""
    for tried in range(1, TRIES + 1):
        lost = []
        with contextlib.closing(train(units, jobs)) as outcomes:
            for unit, outcome in outcomes:
                if not isinstance(outcome, Lost):
                    received(outcome)
                elif tried == TRIES:
                    received(runner.failed(unit, f"{outcome.reason}: {TRIES} tries"))
                else:
                    lost.append(unit)
        # Alone, it has the memory of the machine; in the last try, it needs half.
        units = lost if tried == 1 else [half for unit in lost for half in unit.halves()]
        jobs = 1


def in_turn(units: Iterable[Unit], jobs: int) -> Generator[UnitOutcome, None, None]:  # noqa: ARG001 - a trainer takes both
    """Train one unit after the other in this process."""
    for unit in units:
        yield unit, attempt(unit)


def in_threads(units: Iterable[Unit], jobs: int) -> Generator[UnitOutcome, None, None]:
    """Train `jobs` units at a time, each in a thread of this process."""
    waiting = iter(units)
    with ThreadPoolExecutor(jobs) as threads:
        running = {threads.submit(attempt, unit): unit for unit in islice(waiting, jobs)}
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                unit = running.pop(future)
                running |= {threads.submit(attempt, following): following for following in islice(waiting, 1)}
                yield unit, future.result()


def in_processes(units: Iterable[Unit], jobs: int) -> Generator[UnitOutcome, None, None]:
    """Train `jobs` units at a time, each in a process that trains one after the other."""
    waiting = iter(units)
    workers: list[ProcessPoolExecutor] = []
    running: dict[Future[list[Record] | Lost], tuple[Unit, int]] = {}
    try:
        for place, unit in enumerate(islice(waiting, jobs)):
            workers.append(_worker())
            running[_submit(workers, place, unit)] = unit, place
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                unit, place = running.pop(future)
                outcome = _outcome(future)
                following = next(waiting, None)
                if following is not None:  # before this outcome is dealt with: its process is not to wait for the disk
                    running[_submit(workers, place, following)] = following, place
                yield unit, outcome
    finally:
        for worker in workers:
            worker.shutdown(wait=True, kill_workers=True)  # an idle one holds nothing, and takes long to end


def _worker() -> ProcessPoolExecutor:
    """A process, which starts with its first unit."""
    return ProcessPoolExecutor(
        max_workers=1, initializer=start, initargs=(os.getpid(),), env={**_ONE_THREAD, **memory.ENVIRONMENT}
    )


def _submit(workers: list[ProcessPoolExecutor], place: int, unit: Unit) -> Future[list[Record] | Lost]:
    """Send a unit to the process at a place, or to a new one if that has died."""
    try:
        loaded = unit.with_rows()  # drawn here, once for all: the process then starts in half the time
    except Exception:  # it meets the same, and makes rows of it that say so
        loaded = unit
    with contextlib.suppress(BrokenExecutor):
        return workers[place].submit(attempt, loaded)
    workers[place].shutdown(wait=True)
    workers[place] = _worker()
    return workers[place].submit(attempt, loaded)


def _outcome(future: Future[list[Record] | Lost]) -> list[Record] | Lost:
    """The result of a unit, whose process may have died."""
    try:
        return future.result()
    except BrokenExecutor as error:
        _, _, codes = str(error).partition("exit codes of the workers are ")
        return Lost(f"the process that trained it died ({codes[1:].partition('}')[0] or type(error).__name__})")
