"""What a user asks of a study, as functions: train what is missing, write its tables, compare, verify and judge its rows."""

import datetime
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from studies import claims, comparisons, design, devices, files, judge, plan, pool, runner, scores, spec, tables
from studies.columns import MADE_BY, OUTCOMES
from studies.errors import UserError
from studies.shards import Record
from studies.spec import Study
from studies.stack import Stack
from studies.store import Rows, Store, good, machine, to_csv
from studies.tables import Tables

BACKENDS = ("loky", "sequential", "dask")
Train = Callable[..., None]  # (stacks, received=...): `received` gets the records of each stack


def run(
    study: str | Path | Study,
    *,
    jobs: int | None = None,
    backend: str = "loky",
    scheduler: str | None = None,
    device: str = "cpu",
    results: str | Path = "results",
    overrides: Sequence[str] = (),
    force: bool = False,
    received: Callable[[Sequence[Record]], None] = lambda records: None,  # noqa: ARG005
) -> pd.DataFrame:
    """Train the trials of a study that are not yet in `results/<study>/`, write its tables, and return one row per trial.

    * `study`: a name in `studies/specs`, the path of a TOML file, or a `Study`; `overrides` are `key=value` for the first two.
    * `jobs`: processes, by default one for each usable core or CUDA device; with backend "sequential", 1.
    * `backend`: "loky", "sequential" in this process, or "dask".
    * `scheduler`: with "dask", the address of one whose workers train, `tcp://host:8786`; without, `jobs` workers start here.
    * `device`: "cpu" or "cuda".
    * `force`: move earlier results of this name aside and train everything.
    * `received` is told the records of each stack as it is done.

    Raises UserError where the spec is wrong or the folder holds another study, or rows of another device; OSError where the
    folder cannot be written to or goes away.
    """
    if not isinstance(study, Study):
        study = spec.load(str(study), overrides)
    elif overrides:
        raise UserError(
            f"overrides change a spec while it is read, and {study.name!r} was read before: give them to spec.load, or give "
            "the study's name or path"
        )
    (rows,) = run_all(
        [study],
        jobs=jobs,
        backend=backend,
        scheduler=scheduler,
        device=device,
        results=results,
        force=force,
        received=received,
    )
    return rows


def run_all(
    studies: Sequence[Study],
    *,
    jobs: int | None = None,
    backend: str = "loky",
    scheduler: str | None = None,
    device: str = "cpu",
    results: str | Path = "results",
    force: bool = False,
    started: Callable[[Study, int, int], None] = lambda study, done, trials: None,  # noqa: ARG005
    received: Callable[[Sequence[Record]], None] = lambda records: None,  # noqa: ARG005
    finished: Callable[[Study, pd.DataFrame], None] = lambda study, rows: None,  # noqa: ARG005
) -> list[pd.DataFrame]:
    """`run` for several studies, one after the other, but that no process waits for the last stack of any but the last.

    `started` is told of each study how many trials are done of all, before any trains; `finished` gets its rows.
    """
    if backend not in BACKENDS:
        raise UserError(f"backend is one of {', '.join(BACKENDS)}: {backend!r} was given")
    if jobs is not None and not (type(jobs) is int and jobs >= 1):
        raise UserError(f"jobs is a whole number from 1: {jobs} was given")
    if backend == "sequential" and jobs not in (None, 1):
        raise UserError(
            f"backend sequential trains in this process alone: jobs = {jobs} was given; leave it out, or write backend = 'loky'"
        )
    if scheduler and (backend != "dask" or jobs):
        raise UserError("a scheduler goes with backend dask, and without jobs: its workers decide how many train at once")
    devices.require(device)
    _require_engine(studies, device)
    if len({study.name for study in studies}) < len(studies):
        raise UserError("studies of one run have different names, since each has a folder: one was given twice")
    tables_of_all: dict[str, pd.DataFrame] = {}
    jobs = jobs or (1 if backend == "sequential" else devices.processes(device))
    with _workers(backend, jobs, scheduler, device) as (jobs, train):
        about = {"jobs": jobs, "backend": backend, **machine()}
        for study in studies if force else ():  # all of them, before the first is moved
            Store(Path(results), study).require_free()
        runs = {study.name: _Run(study, Path(results), force, device, about) for study in studies}

        def finish(run: _Run) -> None:
            tables_of_all[run.study.name] = run.finish()
            finished(run.study, tables_of_all[run.study.name])

        def keep(records: list[Record]) -> None:
            run = runs[records[0]["study"]]
            run.keep(records)
            received(records)
            if not run.pending:
                finish(run)

        for run in runs.values():
            started(run.study, len(run.trials) - len(run.pending), len(run.trials))
        planned = [stack for run in runs.values() for stack in plan.stacks(run.study, run.pending.values(), jobs, device)]

        def handed_out() -> Iterator[Stack]:
            for stack in planned:
                runs[stack.source.study].begin()
                yield stack

        for run in [run for run in runs.values() if not run.pending]:
            finish(run)
        if planned:
            train(handed_out(), received=keep)
    return [tables_of_all[study.name] for study in studies]


class _Run:
    """A study at work: `pending` are the trials that it lacks, by key."""

    def __init__(self, study: Study, results: Path, force: bool, device: str, about: Record) -> None:
        self.study, self.store, self._about = study, Store(results, study), about
        self.store.claim(force)
        self.trials, rows = plan.trials(study), self.store.load().trials
        done = good(rows)
        self.pending = {trial.key: trial for trial in self.trials if trial.key not in done}
        self._trained = len(self.pending)
        if self.pending:
            _require_device(rows, self.store.folder, devices.described(device))
        self._clock: float | None = None
        self._began = ""

    def begin(self) -> None:
        """Start its clock, once: its first stack begins to train; what trained before was another study."""
        if self._clock is None:
            self._clock = time.perf_counter()
            self._began = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")

    def keep(self, records: Sequence[Record]) -> None:
        """Put the records of a stack on disk; the first of them are told what made them."""
        if len(self.pending) == self._trained:
            self.store.note({"started": self._began, **self._about})
        self.store.append(records)
        for record in records:
            del self.pending[record["trial"]]

    def finish(self) -> pd.DataFrame:
        """Write the files that rows end up in, and the tables."""
        if self._clock is not None:
            seconds = time.perf_counter() - self._clock
            rate = round(self._trained / seconds, 2)
            counts = {"seconds": round(seconds, 1), "trials": self._trained, "trials_per_second": rate}
            self.store.note({"started": self._began, **self._about, **counts})
        written = self.store.compact(self.trials)
        tables.write(self.study, tables.compute(self.study, written), self.store.folder)
        return written.trials


def _require_engine(studies: Sequence[Study], device: str) -> None:
    """Raise UserError where torch.nn's models would train on a CUDA device: their steps cannot be recorded."""
    for study in studies:
        for reading in study.readings:
            if device == "cuda" and any(each.settings["engine"] == "torch_nn" for each in reading.grid.configurations):
                raise UserError(
                    f"engine torch_nn trains on the CPU, for comparison: {study.name} has configurations with it and "
                    "--device cuda was given; give --device cpu, or exclude them"
                )


def _require_device(rows: pd.DataFrame, folder: Path, ours: str) -> None:
    """Raise UserError where rows were made on another device than this run would use."""
    others = sorted({*rows["device"]} - {ours}) if len(rows) else []
    if others:
        raise UserError(
            f"rows of two devices are never mixed: {folder} has rows of {', '.join(others)}, this run trains on {ours}; give "
            "--results another folder, or run with --force, which moves the old results aside"
        )


@contextmanager
def _workers(backend: str, jobs: int, scheduler: str | None, device: str) -> Iterator[tuple[int, Train]]:
    """How many processes train at once, and what trains stacks on them."""
    if backend != "dask":
        yield jobs, functools.partial(pool.run, jobs=jobs, backend=backend)
        return
    from studies import cluster  # needs the extra `distributed`

    with cluster.opened(scheduler, jobs) as client:
        yield (
            len(client.nthreads()),
            functools.partial(cluster.run, client=client, resources={"GPU": 1} if device == "cuda" else None),
        )


def rows_of(study: Study, results: str | Path) -> Rows:
    """The rows of a study on disk, of a run that is at work too.

    Raises UserError where the folder holds another study.
    """
    store = Store(Path(results), study)
    store.require_own()
    return store.load()


def tables_of(study: Study, results: str | Path, anew: bool = False) -> Tables:
    """The tables of a study as they lie beside its rows; computed from the rows where there are none, or `anew`.

    Raises UserError where there is neither, or the folder holds another study.
    """
    store = Store(Path(results), study)
    store.require_own()
    found = tables.read(study, store.folder)
    if not anew and not found["summary"].empty:
        return found
    rows = store.load()
    if len(rows.trials):
        computed = tables.compute(study, rows)
        tables.write(study, computed, store.folder)
        return computed
    if found["summary"].empty:
        raise UserError(f"{store.folder} has neither rows nor tables; {_remedy(study)}")
    return found


def _remedy(study: Study) -> str:
    return f"train the study first: ablation run {study.name}"


def spreads(study: Study, results: str | Path) -> dict[str, design.Spread]:
    """The spread of paired differences by reading, as far as the study has rows with it: see `design.spread`."""
    try:
        rows = rows_of(study, results)._asdict()
    except UserError:  # they are of another spec
        return {}
    found = {}
    for reading in study.readings:
        trials = tables.of_reading(rows, reading)["trials"]
        if len(trials) and len(reading.grid.configurations) > 1:
            found[reading.reading] = design.spread(scores.of(trials, reading.sampling))
    return {reading: spread for reading, spread in found.items() if spread.trials > 0}


def against(study: Study, results: str | Path, given: str) -> pd.DataFrame:
    """Every configuration of the primary reading compared with the one whose label, or beginning of the id, is given.

    Raises UserError where there is none, or no rows.
    """
    other = study.grid.find(given)
    trials = tables.of_reading(rows_of(study, results)._asdict(), study)["trials"]
    if trials.empty or not (trials["config"] == other.id).any():
        raise UserError(f"{Path(results) / study.name} has no rows of {other.label}; {_remedy(study)}")
    start = study.grid.baseline_configuration
    known = scores.of(trials, study.sampling, start.id if start else None)
    found = comparisons.against(known, other.id, study.margin)
    return comparisons.labelled(found, study.grid.labels)


def verify(study: Study, results: str | Path, sample: int, seed: int = 0) -> tuple[int, pd.DataFrame]:
    """Retrain a random sample of a study's trials, each alone, and compare them with their rows to the last bit.

    Returns how many were retrained, and a line for each number that differs: trial, column, the number in the rows, and that of
    the trial alone.

    Raises UserError where there are no rows, or they were made by another torch, device or numerics.
    """
    rows = rows_of(study, results).trials
    rows = rows[rows["status"] == "ok"].set_index("trial") if len(rows) else rows
    trials = [trial for trial in plan.trials(study) if trial.key in rows.index]
    if not trials:
        raise UserError(f"{Path(results) / study.name} has no rows to compare with; {_remedy(study)}")
    chosen = np.random.default_rng(seed).choice(len(trials), min(sample, len(trials)), replace=False)
    differences = []
    for index in chosen:
        trial = trials[index]
        (stack,) = plan.stacks(study, [trial], jobs=1)
        (alone,) = runner.train(stack)
        kept = rows.loc[trial.key]
        for column in MADE_BY:
            if kept[column] != alone[column]:
                raise UserError(
                    f"rows are equal to the bit within one {column}: trial {trial.key} was made with {kept[column]}, "
                    f"this is {alone[column]}"
                )
        for column in OUTCOMES:
            theirs, ours = kept[column], alone.get(column)
            if not (pd.isna(theirs) and pd.isna(ours)) and (pd.isna(theirs) or pd.isna(ours) or theirs != ours):
                differences.append((trial.key, column, theirs, ours))
    return len(chosen), pd.DataFrame(differences, columns=["trial", "column", "in the rows", "alone"])


def predictions_of(study: Study, results: str | Path) -> pd.DataFrame:
    """What the models of a study said of each row; empty where there is no `predictions.csv`."""
    said = Store(Path(results), study).predictions()
    planned = {trial.key for trial in plan.trials(study)} if len(said) else set()
    return said[said["trial"].isin(planned)]


def verdicts(results: str | Path, quick: bool = False) -> pd.DataFrame:
    """What our trials say to every claim of the reports (see `judge.judge`); written to `results/verdicts.csv` too."""

    @functools.lru_cache(maxsize=4)
    def find(name: str) -> tuple[Study, Rows]:
        study = spec.load(name, quick=quick)
        rows = rows_of(study, results)
        if rows.trials.empty:
            raise UserError(f"{study.name} was not run: ablation run {study.name}")
        return study, rows

    table = pd.concat([judge.judge(claims.load(name), find) for name in claims.names()], ignore_index=True)
    files.write(Path(results) / "verdicts.csv", to_csv(table.round(9)))
    return table
