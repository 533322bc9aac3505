"""`results/<study>/`: rows that survive a crash, and the files they end up in.

While a study runs, each finished stack is one append of JSON lines, flushed to disk, to a shard that only this run writes: a
trial is done once its line is on disk. Finishing compacts shards and earlier rows to CSV.
"""

import datetime
import io
import json
import os
import platform
import secrets
import socket
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from studies import files
from studies.columns import COUNTS, FIRST, FLAGS, LAST, TEXTS
from studies.errors import UserError
from studies.plan import Trial
from studies.spec import Study

FORMAT = 1  # of the files in a results folder
Record = dict[str, Any]

_PARTS = {"history": "epoch", "predictions": "row"}  # what a record holds by column, and the key of its lines
_REPEATED = ("study", "reading", "trial", "config")  # what these lines repeat of their trial
_PACKAGES = ("torch", "numpy", "scipy", "pandas", "scikit-learn", "joblib")


class Rows(NamedTuple):
    """What models left behind: a row for each trial, and its lines by epoch (`history`) and by sample (`predictions`)."""

    trials: pd.DataFrame
    history: pd.DataFrame
    predictions: pd.DataFrame


class Store:
    """The results of one study in one folder."""

    def __init__(self, results: Path, study: Study) -> None:
        self.study = study
        self.folder = results / study.name
        self._shard: Path | None = None

    def claim(self, force: bool) -> None:
        """Make the folder this study's; `force` moves what is there aside.

        Raises UserError where a different study of the same name has filled the folder; nothing in it is touched.
        """
        if force and self.folder.exists():
            self.folder.rename(self.folder.with_name(f"{self.folder.name}.before-{_now()}"))
        self.require_own()
        if read_manifest(self.folder) is None:
            self._describe(runs=[])

    def require_own(self) -> None:
        """Raise UserError where the folder holds the results of a different study of the same name."""
        manifest = read_manifest(self.folder)
        identity = json.loads(json.dumps(self.study.identity()))
        if manifest and manifest["identity"] != identity:
            found = differences(manifest["identity"], identity)
            raise UserError(
                f"{self.folder} holds the results of another study of this name: {found}; "
                "to go on, give the study another name or --results another folder, or run with --force, which moves the "
                "old results aside"
            )

    def done(self) -> set[str]:
        """The keys of the trials whose rows are on disk and not failed."""
        rows = self.load().trials
        return set(rows["trial"][rows["status"] == "ok"]) if len(rows) else set()

    def append(self, records: Sequence[Record]) -> None:
        """Put the records of a stack on disk."""
        if self._shard is None:
            name = f"{_now()}-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}.jsonl"
            self._shard = self.folder / "shards" / name
            self._shard.parent.mkdir(exist_ok=True)
        lines = "".join(json.dumps(record) + "\n" for record in records).encode()
        with self._shard.open("ab", buffering=0) as shard:
            if shard.write(lines) != len(lines):
                raise OSError(f"only part of {len(lines)} bytes could be written to {self._shard}: is the disk full?")
            os.fsync(shard.fileno())

    def compact(self, trials: Sequence[Trial], run: Mapping[str, Any] | None) -> Rows:
        """Write `trials.csv`, `history.csv`, `predictions.csv` and, in the manifest, what this run was; returns the rows.

        They are in the order of the trials. Shards of runs that have ended are then removed.
        """
        shards = self._shards()
        place = {trial.key: index for index, trial in enumerate(trials)}
        rows = Rows(*(_ordered(table, place) for table in self.load()))
        rows = rows._replace(trials=rows.trials.reindex(columns=_columns(rows.trials)))
        for name, table in rows._asdict().items():
            if name == "trials" or len(table):
                files.write(self.folder / f"{name}.csv", to_csv(table))
        if run is not None:
            manifest = read_manifest(self.folder)
            self._describe(runs=[*manifest["runs"], run])
        for shard in shards:
            if shard == self._shard or not _still_written(shard):
                shard.unlink()
        return rows

    def load(self) -> Rows:
        """What is on disk, each trial once: its first row that did not fail, else its last."""
        records = [record for shard in self._shards() for record in _lines(shard)]
        trials = pd.DataFrame([{key: value for key, value in record.items() if key not in _PARTS} for record in records])
        if (self.folder / "trials.csv").exists():
            trials = pd.concat([self._read("trials"), self._typed(trials)], ignore_index=True)
        parts = {name: self._part(name, key, records) for name, key in _PARTS.items()}
        if len(trials):
            trials = self._typed(trials)
            ranked = pd.concat([trials[trials["status"] == "ok"], trials[trials["status"] != "ok"][::-1]])
            trials = ranked.drop_duplicates("trial")
        return Rows(trials, **parts)

    def predictions(self) -> pd.DataFrame:
        """`predictions.csv`, without what shards may hold beside it; empty where there is none."""
        return self._part("predictions", "row", [])

    def _part(self, name: str, key: str, records: Sequence[Record]) -> pd.DataFrame:
        """The lines of one part of all records, on disk as a table of its own or in the records of shards."""
        lines = [line for record in records for line in _expanded(record, name)]
        tables = [pd.DataFrame(lines)] if lines else []
        if (self.folder / f"{name}.csv").exists():
            tables.insert(0, self._read(name))
        if not tables:  # an empty table beside another would turn counts into fractions
            return pd.DataFrame(columns=[*_REPEATED, key])
        return pd.concat(tables, ignore_index=True).drop_duplicates(["trial", key])

    def _read(self, name: str) -> pd.DataFrame:
        return read_csv(self.folder / f"{name}.csv", texts=(*TEXTS, *self.study.factors))

    def _typed(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Rows with counts, flags and texts as such, whatever is missing."""
        kinds = {
            **dict.fromkeys(COUNTS, "Int64"),
            **dict.fromkeys(FLAGS, "boolean"),
            **dict.fromkeys((*TEXTS, *self.study.factors), "str"),
        }
        return rows.astype({column: kind for column, kind in kinds.items() if column in rows})

    def _shards(self) -> list[Path]:
        return sorted((self.folder / "shards").glob("*.jsonl"))

    def _describe(self, runs: Sequence[Mapping[str, Any]]) -> None:
        """Write the manifest: what the study is, and what its runs were made with."""
        manifest = {
            "format": FORMAT,
            "study": self.study.name,
            "title": self.study.title,
            "question": self.study.question,
            "source": self.study.source,
            "trials": sum(reading.trials for reading in self.study.readings),
            "identity": self.study.identity(),
            "runs": runs,
        }
        files.write(self.folder / "manifest.json", json.dumps(manifest, indent=1) + "\n")


def machine() -> dict[str, Any]:
    """What a run is made with: machine, versions and commit."""
    git = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in _PACKAGES},
        "system": platform.platform(terse=True),
        "processor": platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "commit": git.stdout.strip() or None,
    }


def read_manifest(folder: Path) -> Any:  # noqa: ANN401
    """The manifest of a results folder, or None where there is none.

    Raises UserError where it is of another format.
    """
    path = folder / "manifest.json"
    if not path.exists():
        return None
    manifest = json.loads(path.read_text())
    if manifest.get("format") != FORMAT:
        raise UserError(f"{path} is of format {manifest.get('format')}, this version reads {FORMAT}: move the folder aside")
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
    return manifest, read_csv(path, TEXTS)


def read_csv(path: Path, texts: Iterable[str]) -> pd.DataFrame:
    """A table that `to_csv` wrote; the columns in `texts` stay texts, and a level called "none" or "NA" is no missing value."""
    return pd.read_csv(path, dtype=dict.fromkeys(texts, "str"), keep_default_na=False, na_values=[""], low_memory=False)


def to_csv(table: pd.DataFrame) -> str:
    """A table as CSV; every number is read back as it was."""
    content = io.StringIO()
    table.to_csv(content, index=False, lineterminator="\n")
    return content.getvalue()


def _columns(rows: pd.DataFrame) -> list[str]:
    """The columns of the rows in the order of the format: parameters of a setting beside it."""
    settings = [column for column in rows if column not in (*FIRST, *LAST)]
    heads = list(dict.fromkeys(column.partition(".")[0] for column in settings))
    settings.sort(key=lambda column: heads.index(column.partition(".")[0]))
    return [*FIRST, *settings, *LAST]


def _ordered(table: pd.DataFrame, place: Mapping[str, int]) -> pd.DataFrame:
    """The lines of a table whose trial has a place, in the order of the places."""
    places = table["trial"].map(place)
    return table[places.notna()].iloc[places.dropna().argsort(kind="stable")].reset_index(drop=True)


def _lines(shard: Path) -> list[Record]:
    """The records of a shard; a line torn by a crash is skipped, and its trials train again."""
    records = []
    for line in shard.read_text(errors="replace").splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(record, dict) and "trial" in record:
            records.append(record)
    return records


def _expanded(record: Record, part: str) -> list[Record]:
    """One part of a record, which holds it by column, as lines."""
    columns = record.get(part) or {}
    return [
        {**{name: record[name] for name in _REPEATED}, **dict(zip(columns, values, strict=True))}
        for values in zip(*columns.values(), strict=True)
    ]


def _still_written(shard: Path) -> bool:
    """Whether the run that writes a shard may be alive: it is of another host, or its process exists."""
    started_and_host, process, _ = shard.stem.rsplit("-", 2)
    if started_and_host.partition("-")[2] != socket.gethostname():
        return True
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def differences(theirs: object, ours: object, path: str = "") -> str:
    """Where two resolved specs differ: "base.epochs is 200 there, 50 here", the first few."""
    found = list(_walk(theirs, ours, path))
    more = f", and {len(found) - 4} more" if len(found) > 4 else ""
    return ", ".join(found[:4]) + more


def _walk(theirs: object, ours: object, path: str) -> Iterable[str]:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in dict.fromkeys([*theirs, *ours]):
            yield from _walk(theirs.get(key, "absent"), ours.get(key, "absent"), f"{path}.{key}" if path else key)
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for index, (one, other) in enumerate(zip(theirs, ours, strict=True)):
            yield from _walk(one, other, f"{path}.{index + 1}")
    elif theirs != ours:
        yield f"{path} is {json.dumps(theirs)} there, {json.dumps(ours)} here"


def _now() -> str:
    return f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S}"
