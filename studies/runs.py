"""Runs: train what studies lack, in processes or on a cluster, beside other runs at work in the same folders."""

import contextlib
import datetime
import functools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Self

import pandas as pd

from studies.analysis.tables import Tables, compute_tables
from studies.columns import Record
from studies.errors import UserError
from studies.plan import plan
from studies.plan.units import Trial, Unit
from studies.show import tables
from studies.spec.recording import covers
from studies.spec.study import Study
from studies.store import status
from studies.store.rows import successful
from studies.store.store import Store, machine
from studies.train import engines

BACKENDS = ("auto", "loky", "sequential", "dask")
WAIT = 1.0  # seconds between two looks at trials that another run has begun
Train = Callable[..., None]  # (units, received=..., planned=...): `received` gets the records of each unit, of those planned


def run_all(
    studies: Sequence[Study],
    *,
    jobs: int | None = None,
    backend: str = "auto",
    scheduler: str | None = None,
    device: str = "cpu",
    results: str | Path = "results",
    started: Callable[[Study, int, int], None] = lambda study, done, trials: None,  # noqa: ARG005
    received: Callable[[Sequence[Record]], None] = lambda records: None,  # noqa: ARG005
    finished: Callable[[Study, pd.DataFrame, Tables], None] = lambda study, rows, tables: None,  # noqa: ARG005
    said: Callable[[str], None] = lambda line: None,  # noqa: ARG005
) -> list[pd.DataFrame]:
    """`run` for several studies, one after the other; only at the end of the last does a process wait for another.

    `started` gets each study with the numbers of its trials that are done and of all, before any trains; `finished` gets its
    rows and tables; `said` gets lines about rows of other code and about other runs at work in the same folder.
    """
    if backend not in BACKENDS:
        raise UserError(f"backend is one of {', '.join(BACKENDS)}: {backend!r} was given")
    if jobs is not None and not (type(jobs) is int and jobs >= 1):
        raise UserError(f"jobs is a whole number from 1: {jobs} was given")
    if backend == "sequential" and jobs not in (None, 1):
        raise UserError(
            f"backend sequential trains in this process alone: jobs = {jobs} was given; leave it out, or write backend = 'auto'"
        )
    if scheduler and (backend != "dask" or jobs):
        raise UserError("a scheduler goes with backend dask, and without jobs: its workers decide how many train at once")
    from studies.train import devices  # with torch, which nothing that only reads rows needs

    devices.require_device(device)
    for study in studies:
        engines.require_trainable(study, device)
        for line in engines.remarks(study, device):
            said(line)
    if len({study.name for study in studies}) < len(studies):
        raise UserError("studies of one run have different names, since each has a folder: one was given twice")
    rows_of_all: dict[str, pd.DataFrame] = {}
    threads = max((study.function.threads for study in studies), default=1)
    jobs = jobs or (1 if backend == "sequential" else devices.processes(device, threads))
    made_on = devices.describe_device(device)
    with _workers(backend, jobs, scheduler, device) as (jobs, train), contextlib.ExitStack() as at_end:
        about = {"jobs": jobs, "backend": backend, **machine()}
        runs = {study.name: at_end.enter_context(_Run(study, Path(results), made_on, about)) for study in studies}

        def finish(run: _Run) -> None:
            if not run.pending and run.study.name not in rows_of_all:
                rows, found = run.finish()
                rows_of_all[run.study.name] = rows
                finished(run.study, rows, found)

        def keep(records: list[Record]) -> None:
            run = runs[records[0]["study"]]
            run.keep(records)
            received(records)
            finish(run)

        for run in runs.values():
            started(run.study, len(run.trials) - len(run.pending), len(run.trials))
            for line in run.notes():
                said(line)
        while any(run.pending for run in runs.values()):
            free = {run.study.name: run.free() for run in runs.values()}
            planned = [
                unit for run in runs.values() for unit in engines.plan_units(run.study, free[run.study.name], jobs, device)
            ]
            begun = (left for unit in planned for left in runs[unit.source.study].begin(unit))
            for run in runs.values():
                finish(run)
            train(begun, received=keep, planned=planned)
            if not planned:
                time.sleep(WAIT)
        for run in runs.values():
            finish(run)
    return [rows_of_all[study.name] for study in studies]


class _Run:
    """A study at work: `pending` are the trials that it lacks, by key."""

    def __init__(self, study: Study, results: Path, made_on: str, about: Record) -> None:
        self.study, self.store, self._about = study, Store(results, study), about
        self.trials = plan.trials(study)
        (self._rows, *_), self._kept = self.store.load_all()
        done = successful(self._rows)
        self.pending = {trial.key: trial for trial in self.trials if trial.key not in done}
        if self.pending:
            _require_device(self._rows, self.store.folder, made_on)
        self.store.begin()
        self._others = self.store.others()
        self._trained: Counter[str] = Counter()  # trials by the engine that trained them
        self._clock: float | None = None
        self._began = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.store.end()

    def notes(self) -> list[str]:
        """Lines about rows that are trained again, rows of other code, and other runs at work."""
        return [
            *status.incomplete(self.store, self._rows, self._kept),
            *status.of_other_code(self.study, self._rows, self.store.folder.parent),
            *status.at_work(self.store),
        ]

    def free(self) -> list[Trial]:
        """The pending trials that no other run at work has begun."""
        begun = self._begun_by_others()
        return [trial for key, trial in self.pending.items() if key not in begun]

    def _begun_by_others(self) -> set[str]:
        """The keys of trials that other runs at work have begun; trials that they have done are pending no more."""
        begun, done = self._others.look()
        for key, record in done.items():
            if key in self.pending and covers(record, self.pending[key].configuration.settings):
                del self.pending[key]
        return begun

    def begin(self, unit: Unit) -> Iterator[Unit]:
        """The unit without trials that another run has begun or done meanwhile; on disk it says that this run begins it."""
        begun = self._begun_by_others()
        left = [trial for trial in unit.trials if trial.key in self.pending and trial.key not in begun]
        if not left:
            return
        if self._clock is None:  # what trained before was another study
            self._clock = time.perf_counter()
            self._began = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self.store.append([{"begun": [trial.key for trial in left]}])
        yield unit.of_trials(left)

    def keep(self, records: Sequence[Record]) -> None:
        """Put the records of a unit on disk, after a note of what makes them."""
        if not self._trained:
            self.store.note({"started": self._began, **self._about})
        self.store.append(records)
        self._trained.update(record["trained_by"] for record in records)
        for record in records:
            self.pending.pop(record["trial"], None)

    def finish(self) -> tuple[pd.DataFrame, Tables]:
        """Write the files that rows end up in, and the tables; return the rows of trials, and the tables."""
        if self._clock is not None:
            seconds = time.perf_counter() - self._clock
            trained = self._trained.total()
            rate = round(trained / seconds, 2)
            counts = {
                "seconds": round(seconds, 1),
                "trials": trained,
                "trials_per_second": rate,
                "trained_by": dict(self._trained),
            }
            self.store.note({"started": self._began, **self._about, **counts})
        written = self.store.compact()
        found = tables.read_current(self.study, self.store.folder, written)
        if found is None:
            found = compute_tables(self.study, written)
            tables.write_tables(self.study, found, self.store.folder, written)
        return written.trials, found


def _require_device(rows: pd.DataFrame, folder: Path, ours: str) -> None:
    """Raise UserError where rows were made on another device than this run would use."""
    others = sorted({*rows["device"]} - {ours}) if len(rows) else []
    if others:
        raise UserError(
            f"rows of two devices are never mixed: {folder} has rows of {', '.join(others)}, this run trains on {ours}; give "
            "--results another folder"
        )


@contextlib.contextmanager
def _workers(backend: str, jobs: int, scheduler: str | None, device: str) -> Iterator[tuple[int, Train]]:
    """The number of processes that train at once, and the function that trains units on them."""
    if backend != "dask":
        from studies.train import pool

        jobs = pool.limit_jobs(jobs) if backend != "sequential" else jobs
        yield jobs, functools.partial(pool.train_units, jobs=jobs, backend=backend)
        return
    from studies.train import cluster  # needs the extra `distributed`

    with cluster.connect(scheduler, jobs) as client:
        resources = {"GPU": 1} if device == "cuda" else None
        train = functools.partial(cluster.run_on_cluster, client=client, resources=resources)
        yield len(client.nthreads()), lambda units, received, planned: train(units, received=received)  # noqa: ARG005
