"""`results/<study>/`: rows that survive a crash, and the files they end up in.

While a study runs, each finished stack is one append of JSON lines, flushed to disk, to a shard that only this run writes: a
trial is done once its line is on disk. Finishing compacts shards and earlier rows to CSV. Several runs may do so at once,
without a lock: a shard goes only when no other run is at work that may have read the files before its rows were in them.
"""

import io
import json
import os
import platform
import secrets
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from studies import files, shards
from studies.columns import COUNTS, FIRST, FLAGS, LAST, MADE_BY, NEWER, OUTCOMES, PARTS, TEXTS
from studies.errors import UserError
from studies.shards import Record
from studies.spec import Study
from studies.stack import NUMERICS, Trial

FORMAT = 1  # of the files in a results folder

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

    def require_free(self) -> None:
        """Raise UserError where a run is at work in the folder, so that it cannot be moved aside."""
        for shard in self.at_work():
            host, process = shards.writer(shard)
            raise UserError(f"--force: process {process} on {host} is at work in {self.folder}; end it first")

    def claim(self, force: bool) -> None:
        """Make the folder this study's, and say in it that a run is at work; `force` moves what is there aside.

        Raises UserError where a different study of the same name has filled the folder, and nothing in it is touched; and where
        nothing can be written there.
        """
        if force and self.folder.exists():
            self.require_free()
            self.folder.rename(self.folder.with_name(f"{self.folder.name}.before-{shards.now()}-{secrets.token_hex(2)}"))
        self.require_own()
        try:
            if read_manifest(self.folder) is None:
                self._describe(runs=[])
            self._shard = shards.begin(self.folder / "shards")
        except OSError as error:
            raise UserError(f"{self.folder} cannot be written to: {error.strerror}; give --results another folder") from None

    def require_own(self) -> None:
        """Raise UserError where the folder holds the results of a different study of the same name."""
        manifest = read_manifest(self.folder)
        if manifest and manifest["identity"] != self.identity():
            differences = differing(manifest["identity"], self.identity())
            raise UserError(
                f"{self.folder} holds the results of another study of this name: {differences}; "
                "to go on, give the study another name or --results another folder, or run with --force, which moves the "
                "old results aside"
            )

    def identity(self) -> Any:  # noqa: ANN401
        """What the study's rows depend on, as a manifest holds it."""
        return json.loads(json.dumps(self.study.identity()))

    def append(self, records: Sequence[Record]) -> None:
        """Put the records of a stack on disk, and the files that belong to them beside the rows."""
        for record in records:
            for name, content in record.pop("files", {}).items():
                if not (self.folder / name).exists():  # many trials fail alike
                    files.write(self.folder / name, content)
        shard, self._shard = self._shard or shards.begin(self.folder / "shards"), None
        shards.append(shard, records)
        self._shard = shard  # what follows a torn line would be lost with it: after an error, a new shard begins

    def note(self, run: Mapping[str, Any]) -> None:
        """Put on disk what this run is, so far: its last note enters the manifest."""
        self.append([{"run": run}])

    def compact(self, trials: Sequence[Trial]) -> Rows:
        """Write `trials.csv`, `history.csv`, `predictions.csv` and the runs in the manifest; returns the rows.

        They are in the order of the trials; rows of other versions of the numerics go to files of their own. Where another run
        has ended and written these files since this one read them, they are written again. Shards are then removed, unless
        another run is at work: it may be about to replace what was just written by what it read before.
        """
        place = {trial.key: index for index, trial in enumerate(trials)}
        while True:
            ended = [shard for shard in self._shards() if shard == self._shard or not shards.is_live(shard)]
            sizes, records = shards.sizes(self._shards()), self._records()
            everything = self._everything(records)
            self._set_aside(everything)
            rows = Rows(*(_ordered(table, place) for table in of_numerics(everything, NUMERICS)))
            rows = rows._replace(trials=rows.trials.reindex(columns=_columns(rows.trials)))
            # The trials last: one that is done there has its other lines on disk, whatever becomes of the shards.
            for name, table in reversed(rows._asdict().items()):
                if name == "trials" or len(table) or self._path(name).exists():
                    files.write(self._path(name), to_csv(table))
            manifest = read_manifest(self.folder)
            if manifest is None:
                raise FileNotFoundError(f"{self.folder} was removed or moved aside during the run; run again")
            runs = _runs(manifest, records)
            if runs != manifest["runs"]:
                self._describe(runs)
            grown = [shard for shard, size in shards.sizes(self._shards()).items() if size != sizes.get(shard, 0)]
            if not any(shard != self._shard and shards.is_finished(shard) for shard in grown):
                break
        if not self.at_work():
            for left in (*ended, *files.abandoned(self.folder)):
                left.unlink(missing_ok=True)
        return rows

    def load(self) -> Rows:
        """What is on disk, each trial once: its first row that did not fail, else its last."""
        return of_numerics(self._everything(self._records()), NUMERICS)

    def other_numerics(self) -> pd.DataFrame:
        """The rows of all other versions of the numerics; no run uses or removes them."""
        kept = [self._everything(self._records()).trials, *map(self._read, self.folder.glob("trials.numerics-*.csv"))]
        kept = [table[table["numerics"] != NUMERICS] for table in kept if len(table)]
        return pd.concat(kept, ignore_index=True).drop_duplicates("trial") if kept else pd.DataFrame()

    def runs(self) -> list[Mapping[str, Any]]:
        """What every run noted last, those that were killed included."""
        return _runs(read_manifest(self.folder), self._records())

    def at_work(self) -> list[Path]:
        """The shards of other runs that may still write to this folder."""
        return [shard for shard in self._shards() if shard != self._shard and shards.is_live(shard)]

    def predictions(self) -> pd.DataFrame:
        """`predictions.csv`, without what shards may hold beside it; empty where there is none."""
        return self._part("predictions", "row", [])

    def _records(self) -> Mapping[Path, Sequence[Record]]:
        """The lines of every shard.

        To be read before the files: a shard that is removed meanwhile has its rows in them.
        """
        return {shard: shards.read(shard) for shard in self._shards()}

    def _everything(self, lines: Mapping[Path, Sequence[Record]]) -> Rows:
        """What is on disk under any version of the numerics, in shards and files."""
        records = [record for shard in lines.values() for record in shard if "trial" in record]
        trials = pd.DataFrame([{key: value for key, value in record.items() if key not in PARTS} for record in records])
        if self._path("trials").exists():
            trials = pd.concat([self._read(self._path("trials")), self._typed(trials)], ignore_index=True)
        parts = {name: self._part(name, key, records) for name, key in PARTS.items()}
        if len(trials):
            trials = self._typed(trials)
            _require_equal(trials)
            ranked = pd.concat([trials[trials["status"] == "ok"], trials[trials["status"] != "ok"][::-1]])
            trials = ranked.drop_duplicates("trial")
        return Rows(trials, **parts)

    def _part(self, name: str, key: str, records: Sequence[Record]) -> pd.DataFrame:
        """The lines of one part of all records, on disk as a table of its own or in the records of shards."""
        lines = [line for record in records for line in _expanded(record, name)]
        tables = [pd.DataFrame(lines)] if lines else []
        if self._path(name).exists():
            tables.insert(0, self._read(self._path(name)))
        tables = [table for table in tables if len(table)]
        if not tables:  # an empty table beside another would turn counts into fractions
            return pd.DataFrame(columns=[*_REPEATED, key])
        return pd.concat(tables, ignore_index=True).drop_duplicates(["trial", key])

    def _set_aside(self, everything: Rows) -> None:
        """Keep the rows of other versions of the numerics in `<table>.numerics-<its number>.csv`."""
        for other in set(everything.trials.get("numerics", ())) - {NUMERICS}:
            for name, table in of_numerics(everything, other)._asdict().items():
                path = self._path(f"{name}.numerics-{other}")
                if path.exists():
                    table = pd.concat([self._read(path), table], ignore_index=True)
                if len(table):
                    files.write(path, to_csv(table.drop_duplicates(["trial", *filter(None, [PARTS.get(name)])])))

    def _path(self, table: str) -> Path:
        return self.folder / f"{table}.csv"

    def _read(self, path: Path) -> pd.DataFrame:
        """Raises UserError where the file is no such table."""
        key = PARTS.get(path.name.partition(".")[0])
        try:
            table = read_csv(path, texts=(*TEXTS, *self.study.factors))
            missing = {"trial", *([key] if key else (*FIRST, *LAST))} - {*table, *NEWER}
            if missing:
                raise ValueError(f"it has no column {', '.join(sorted(missing))}")
            return table if key else self._typed(table)
        except (ValueError, TypeError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise UserError(f"{path} is not a table of this suite: {reason}; move it aside, and run again") from None

    def _typed(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Rows with counts, flags and texts as such, whatever is missing."""
        kinds = {
            **dict.fromkeys(COUNTS, "Int64"),
            **dict.fromkeys(FLAGS, "boolean"),
            **dict.fromkeys((*TEXTS, *self.study.factors), "str"),
        }
        return rows.astype({column: kind for column, kind in kinds.items() if column in rows})

    def _shards(self) -> list[Path]:
        return shards.of(self.folder / "shards")

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


def _require_equal(trials: pd.DataFrame) -> None:
    """Raise UserError where a trial was trained twice by the same means, and gave other numbers: two workers are not alike."""
    good = trials[trials["status"] == "ok"]
    own = [column for column in ("trial", *MADE_BY) if column in good]
    different = good.drop_duplicates([*own, *(column for column in OUTCOMES if column in good)])
    different = different[different.duplicated(own)]
    if len(different):
        raise UserError(
            f"a trial has the same numbers wherever it trains: {different['trial'].iloc[0]} was trained twice, with different "
            "ones; one of the machines is not like the others: move the folder aside, and run the study without it"
        )


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
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        manifest = None
    given = manifest.get("format", "unknown") if isinstance(manifest, dict) else "unknown"
    if given == FORMAT and not {"identity", "runs"} <= set(manifest):
        given = "unknown"
    if given != FORMAT:
        raise UserError(
            f"{path} is of format {given}, this version reads {FORMAT}: its results are kept and not read; give --results "
            "another folder, or run with --force, which moves them aside"
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


def of_numerics(rows: Rows, version: int) -> Rows:
    """The rows that one version of the numerics made."""
    if rows.trials.empty:
        return rows
    trials = rows.trials[rows.trials["numerics"] == version]
    return Rows(trials, *(table[table["trial"].isin(trials["trial"])] for table in rows[1:]))


def _runs(manifest: Mapping[str, Any] | None, lines: Mapping[Path, Sequence[Record]]) -> list[Mapping[str, Any]]:
    """The runs in the manifest, overlaid with what is noted in shards."""
    runs = {run.get("shard", place): run for place, run in enumerate(manifest["runs"])} if manifest else {}
    for shard, records in lines.items():
        for record in records:
            if "run" in record:
                runs[shard.stem] = {"shard": shard.stem, **record["run"]}
    return list(runs.values())


def good(trials: pd.DataFrame) -> set[str]:
    """The keys of the rows that did not fail: of the trials that are done."""
    return set(trials["trial"][trials["status"] == "ok"]) if len(trials) else set()


def _ordered(table: pd.DataFrame, place: Mapping[str, int]) -> pd.DataFrame:
    """The lines of a table whose trial has a place, in the order of the places."""
    places = table["trial"].map(place)
    return table[places.notna()].iloc[places.dropna().argsort(kind="stable")].reset_index(drop=True)


def _expanded(record: Record, part: str) -> list[Record]:
    """One part of a record, which holds it by column, as lines."""
    columns = record.get(part) or {}
    return [
        {**{name: record[name] for name in _REPEATED}, **dict(zip(columns, values, strict=True))}
        for values in zip(*columns.values(), strict=True)
    ]


def differing(theirs: object, ours: object) -> str:
    """Where two resolved specs differ: "base.epochs is 200 there, 50 here", the first few; empty where they do not."""
    found = list(_walk(theirs, ours, ""))
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
