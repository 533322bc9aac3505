"""`results/<study>/`: rows that survive a crash; writes `trials.csv`, `history.csv`, `predictions.csv` and `kept/`.

While a study runs, each finished stack is one append of JSON lines, flushed to disk, to a shard that only this run writes: a
trial is done once its line is on disk. Finishing compacts shards and earlier rows to CSV: the rows of the study's trials to
`trials.csv`, all others to `kept/trials.csv`, from which a study that comes back to them takes them. Several runs may do so at
once, without a lock: a shard goes only when no other run is at work that may have read the files before its rows were in them.
"""

import functools
import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from studies import files
from studies.columns import FIRST, LAST, NEWER, PARTS, TEXTS, Record
from studies.errors import UserError
from studies.plan import plan
from studies.spec.identity import plain
from studies.spec.measures import described
from studies.spec.study import Study
from studies.store import rows, shards
from studies.store.rows import Rows, read_table, to_csv
from studies.store.shards import Shard

FORMAT = 1  # of the files in a results folder
KEPT = "kept"  # folder of the rows outside the plan

MANIFEST = {  # keys of manifest.json, with their meanings
    "format": "Version of the file formats; results of another are kept and not read.",
    "study": "Name of the study.",
    "title": "As in the spec.",
    "question": "As in the spec.",
    "source": "As in the spec.",
    "trials": "Number of trials of all readings.",
    "data": "For each data set its name, features, target, classes, rows of each class, and the hash of a CSV file.",
    "identity": "The resolved study: all that its rows depend on.",
    "measure": "Measure that the study is about: name, direction, unit, column of a table, and the ends of its range.",
    "runs": "For each run its shard, start, jobs, backend, machine, versions, commit, seconds, and number of trials by engine.",
}
_PACKAGES = ("torch", "numpy", "scipy", "pandas", "scikit-learn", "joblib")


class Store:
    """The results of one study in one folder."""

    def __init__(self, results: Path, study: Study) -> None:
        self.study = study
        self.folder = results / study.name
        self._shard: Shard | None = None

    @cached_property
    def plan(self) -> pd.DataFrame:
        """The columns that the study gives to its trials, by key: see `rows.planned`."""
        return rows.planned(self.study, plan.trials(self.study))

    def begin(self) -> None:
        """Say in the folder that a run of this study is at work; `end` says that it is no more.

        Raises UserError where nothing can be written there, or it holds results of another format.
        """
        manifest = read_manifest(self.folder)
        try:
            self._describe(manifest["runs"] if manifest else [])
            self._shard = Shard(self.folder / "shards")
        except OSError as error:
            raise UserError(f"{self.folder} cannot be written to: {error.strerror}; give --results another folder") from None

    def end(self) -> None:
        """Say that nothing more is written."""
        if self._shard:
            self._shard.end()
            self._shard = None

    def append(self, records: Sequence[Record]) -> None:
        """Put the records of a stack on disk, and the files that belong to them beside the rows. Raises OSError."""
        assert self._shard is not None, "begin comes first"
        for record in records:
            for name, content in record.pop("files", {}).items():
                if not (self.folder / name).exists():  # many trials fail alike
                    files.write(self.folder / name, content)
        self._shard.append(records)

    def note(self, run: Mapping[str, Any]) -> None:
        """Put on disk what this run is, so far: its last note enters the manifest."""
        self.append([{"run": run}])

    def others(self) -> shards.Others:
        """Trials that other runs at work here have begun and done."""
        assert self._shard is not None, "begin comes first"
        return shards.Others(self.folder / "shards", self._shard)

    def compact(self) -> Rows:
        """Write the tables of rows and the runs in the manifest; returns the rows of the study.

        They are in the order of the trials. Where another run has ended and written these files since this one read them, they
        are written again. Shards are then removed, unless another run is at work: it may be about to replace what was just
        written by what it read before.
        """
        while True:
            ended = [shard for shard in self._shards() if self._is_own(shard) or not self._is_live(shard)]
            sizes, found = shards.shard_sizes(self._shards()), _Found(self)
            own, others = found.divided(self.plan)
            # Kept rows first, with those that go from there to the study's own: a row is in one of the files at any time.
            kept = pd.concat([others, found.returning(own)]).drop_duplicates("trial")
            self._write(self.folder / KEPT, found.with_parts(kept))
            written = found.with_parts(own)
            written = written._replace(trials=rows.named_by(written.trials, self.plan))
            self._write(self.folder, written)
            manifest = read_manifest(self.folder)
            if manifest is None:
                raise FileNotFoundError(f"{self.folder} was removed or moved aside during the run; run again")
            self._describe(_runs(manifest, found.records))
            grown = [shard for shard, size in shards.shard_sizes(self._shards()).items() if size != sizes.get(shard, 0)]
            if not any(not self._is_own(shard) and shards.is_finished(shard) for shard in grown):
                break
        if not self.at_work():
            reasons = " ".join(pd.concat([own["reason"], kept["reason"]]).dropna())
            told = [path for path in self.folder.glob("tracebacks/*.txt") if path.name not in reasons]
            for left in (*ended, *told, *files.abandoned(self.folder)):
                left.unlink(missing_ok=True)
        return rows.as_asked(written, self.plan)

    def write_table(self, found: Rows) -> None:
        """Write the rows of a table of runs, and the manifest, as a run would have: `compare` reads them. Raises OSError."""
        self._write(self.folder, found)
        self._describe([])

    def load(self, *, lacking: bool = False) -> Rows:
        """The rows of the study's trials: what is on disk, a run that is at work included.

        With `lacking`, also rows that lack what the study records now, such as a history: their numbers are the same.
        """
        return self.load_all(lacking=lacking)[0]

    def load_all(self, *, lacking: bool = False) -> tuple[Rows, pd.DataFrame]:
        """The rows of the study's trials, and the rows that belong to none of them, one of each key; `lacking` as in `load`."""
        found = _Found(self)
        trials, others = found.divided(self.plan, lacking=lacking)
        own = found.with_parts(trials)
        own = rows.as_asked(own._replace(trials=rows.named_by(own.trials, self.plan)), self.plan)
        return own, others.drop(columns="_place", errors="ignore")

    def runs(self) -> list[Mapping[str, Any]]:
        """The last note of every run, those that were killed included."""
        return _runs(read_manifest(self.folder), {shard: shards.read_shard(shard) for shard in self._shards()})

    def at_work(self) -> list[Path]:
        """The shards of other runs that may still write to this folder."""
        return [shard for shard in self._shards() if not self._is_own(shard) and self._is_live(shard)]

    def _is_own(self, shard: Path) -> bool:
        return self._shard is not None and shard in self._shard.paths

    def _is_live(self, shard: Path) -> bool:
        return shards.is_live(shard, self._shard.time if self._shard else None)

    def _shards(self) -> list[Path]:
        return shards.find_shards(self.folder / "shards")

    def _write(self, folder: Path, written: Rows) -> None:
        """Write the tables of rows in a folder; the trials last: the other lines of a row that is there are on disk."""
        for name, table in reversed(written._asdict().items()):
            path = folder / f"{name}.csv"
            if len(table) or (name == "trials" and folder == self.folder):
                files.write(path, to_csv(table))
            else:
                path.unlink(missing_ok=True)

    def _describe(self, runs: Sequence[Mapping[str, Any]]) -> None:
        """Write the manifest: the study, and its runs."""
        manifest = {
            "format": FORMAT,
            "study": self.study.name,
            "title": self.study.title,
            "question": self.study.question,
            "source": self.study.source,
            "trials": sum(reading.trials for reading in self.study.readings),
            "data": [asdict(schema) for schema in dict.fromkeys(reading.schema for reading in self.study.readings)],
            "identity": self.study.identity(),
            "measure": described(self.study.measure),
            "runs": runs,
        }
        if plain(manifest) != read_manifest(self.folder):
            files.write(self.folder / "manifest.json", json.dumps(manifest, indent=1) + "\n")


class _Found:
    """All that is on disk in a store's folder: rows of shards and files, several of one trial among them.

    `trials` says of each row where it and its other lines are from: `_place` 0 is the folder's own files, 1 the kept ones,
    more a record of a shard.
    """

    def __init__(self, store: Store) -> None:
        read_manifest(store.folder)  # raises where the files are of another format
        self._factors, self._measures = store.study.factors, store.study.recorded
        self._folders = (store.folder, store.folder / KEPT)
        # Before the files: a shard that is removed meanwhile has its rows in them. Own files before kept ones, for rows that go
        # from there to here are in both.
        self.records = {shard: shards.read_shard(shard) for shard in store._shards()}
        self._lines = [record for shard in self.records.values() for record in shard if "trial" in record]
        there = [self._read(folder / "trials.csv") for folder in self._folders]
        shown = [{key: value for key, value in record.items() if key not in PARTS} for record in self._lines]
        tables = [table.assign(_place=place) for place, table in enumerate((*there, pd.DataFrame(shown))) if len(table)]
        if shown:
            tables[-1]["_place"] = np.arange(2, 2 + len(shown))
        self.trials = (
            rows.typed(_whole(pd.concat(tables, ignore_index=True)), self._factors)
            if tables
            else pd.DataFrame(columns=[*FIRST, *LAST])
        )
        if len(self.trials) and not store.study.function.name:  # whose numbers nobody can vouch for: see `ablation verify`
            rows.require_equal(self.trials)

    def divided(self, plan: pd.DataFrame, *, lacking: bool = False) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The rows of the planned trials, and the others: see `rows.divide`."""
        return rows.divide(self.trials, plan, self._measures, lacking=lacking)

    def returning(self, own: pd.DataFrame) -> pd.DataFrame:
        """The rows that are among the kept ones on disk and belong to the study now."""
        return own[own["_place"] == 1] if len(own) else own

    def with_parts(self, trials: pd.DataFrame) -> Rows:
        """Some of the rows, with their lines of the history and of the predictions."""
        if trials.empty:
            return Rows(
                trials.drop(columns="_place", errors="ignore"),
                *(pd.DataFrame(columns=[*rows.REPEATED, key]) for key in PARTS.values()),
            )
        parts = {name: self._part(name, key, trials) for name, key in PARTS.items()}
        return Rows(trials.drop(columns="_place").reset_index(drop=True), **parts)

    def _part(self, name: str, key: str, trials: pd.DataFrame) -> pd.DataFrame:
        """The lines of one part: of each row those beside it."""
        tables = []
        for place, folder in enumerate(self._folders):
            own = trials["trial"][trials["_place"] == place]
            if len(own):
                table = self._read(folder / f"{name}.csv")
                tables.append(table[table["trial"].isin(own)] if len(table) else table)
        records = [self._lines[place - 2] for place in trials["_place"] if place > 1]
        tables.append(pd.DataFrame([line for record in records for line in rows.expanded(record, name)]))
        tables = [table for table in tables if len(table)]
        if not tables:  # an empty table beside another would turn counts into fractions
            return pd.DataFrame(columns=[*rows.REPEATED, key])
        return rows.of_trials(pd.concat(tables, ignore_index=True).drop_duplicates(["trial", key]), trials)

    def _read(self, path: Path) -> pd.DataFrame:
        """A table of rows, empty where there is none.

        Raises UserError where the file is no such table.
        """
        if not path.exists():
            return pd.DataFrame()
        key = PARTS.get(path.stem)
        try:
            table = read_table(path, texts=(*TEXTS, *self._factors))
            missing = {"trial", *([key] if key else (*FIRST, *LAST))} - {*table, *NEWER}
            if missing:
                raise ValueError(f"it has no column {', '.join(sorted(missing))}")
            return table if key else rows.typed(table, self._factors)
        except (ValueError, TypeError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise UserError(f"{path} is not a table of this suite: {reason}; move it aside, and run again") from None


def _whole(trials: pd.DataFrame) -> pd.DataFrame:
    """Rows with all columns of the format: those that failed, and those of a user's function, have few."""
    return trials.reindex(columns=list(dict.fromkeys([*trials, *FIRST, *LAST])))


def machine() -> dict[str, Any]:
    """Machine, versions and commit of a run."""
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in _PACKAGES},
        "system": platform.platform(terse=True),
        "processor": platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "commit": commit(Path(__file__)),
    }


def commit(file: Path) -> str | None:
    """The commit of the project that this file of the package `studies` is part of.

    None without git, and where no repository of the project's own has the file: a repository around an installed package says
    nothing about its code.
    """
    project = file.resolve().parents[2]
    git = ("git", f"--git-dir={project / '.git'}", f"--work-tree={project}")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}  # set inside a git hook
    call = functools.partial(subprocess.run, capture_output=True, text=True, check=True, cwd=project, env=environment)
    try:
        call([*git, "ls-files", "--error-unmatch", str(file.resolve())])
        return str(call([*git, "describe", "--always", "--dirty", "--abbrev=12"]).stdout).strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def read_manifest(folder: Path) -> Any:  # noqa: ANN401
    """The manifest of a results folder, or None where there is none.

    Raises UserError where it is of another format.
    """
    path = folder / "manifest.json"
    if not path.exists():
        return None
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        manifest = None
    given = manifest.get("format", "unknown") if isinstance(manifest, dict) else "unknown"
    if given == FORMAT and not {"identity", "runs"} <= set(manifest):
        given = "unknown"
    if given != FORMAT:
        raise UserError(
            f"{path} is of format {given}, this version reads {FORMAT}: its results are kept and not read; "
            "give --results another folder, or move this one aside"
        )
    return manifest


def read_finished(folder: Path) -> tuple[Any, pd.DataFrame]:
    """Manifest and trials of a folder in which a run has ended, whatever its study.

    Raises UserError where it holds no such results.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {str(folder)!r}; results of a study lie in results/<study>")
    manifest, path = read_manifest(folder), folder / "trials.csv"
    if manifest is None or not path.exists():
        lacks = path.name if manifest else "manifest.json"
        raise UserError(f"{folder} has no {lacks}: give the folder of one study, results/<study>, once its run has ended")
    return manifest, read_table(path, TEXTS)


def _runs(manifest: Mapping[str, Any] | None, lines: Mapping[Path, Sequence[Record]]) -> list[Mapping[str, Any]]:
    """The runs in the manifest, overlaid with what is noted in shards."""
    runs = {run.get("shard", place): run for place, run in enumerate(manifest["runs"])} if manifest else {}
    for shard, records in lines.items():
        for record in records:
            if "run" in record:
                runs[shard.stem] = {"shard": shard.stem, **record["run"]}
    return list(runs.values())
