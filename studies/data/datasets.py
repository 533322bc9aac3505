"""Rows of the `[data]` section: the pools that folds are made of, their names and counts."""

import functools
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from studies.data.generators import FIXED, GENERATED
from studies.data.types import REGRESSION, Data, DataSet, Floats, Labels, Schema, Table, Targets
from studies.errors import UserError, listed, quoted
from studies.seeds import seed_for

_INEXACT = 2.0**53  # from there, float64 is another number for some whole numbers
_FEW = 100  # values of a column that are looked at before all
_PRIME = np.uint64(0x100000001B3)  # of the FNV-1a hash


def identify(path: Path) -> str:
    """A hash of a file's content, so that changed data never passes for the same; empty where there is no file.

    Raises UserError where it cannot be read.
    """
    try:
        return _content(path, _stamp(path)) if path.is_file() else ""
    except OSError as error:
        raise UserError(f"data.path: {str(path)!r} cannot be read: {error.strerror}") from None


def _stamp(path: Path) -> tuple[int, int] | None:
    """Time of the last change and size of a file, by which it is read once; None where there is none."""
    return (path.stat().st_mtime_ns, path.stat().st_size) if path.is_file() else None


@functools.lru_cache(maxsize=16)
def _content(path: Path, stamp: object) -> str:  # noqa: ARG001 - a part of the cache's key
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8)).hexdigest()


@functools.lru_cache(maxsize=4)
def _read_once(path: Path, target: str, task: str, stamp: object) -> DataSet:  # noqa: ARG001 - a part of the cache's key
    from studies.data.csv_files import read_csv  # with pandas, which most specs need nothing of

    return read_csv(path, target, task)


class Pools(NamedTuple):
    """The rows before folds: the training pool, and the fixed validation and test sets (None where there is none)."""

    train: Table
    validation: Table | None
    test: Table | None


def pools(data: Data, seed: int, repeat: int) -> Pools:
    """The data of one repeat: new where `data.resample`, else that of the first."""
    return _pools(data, seed, repeat if data.resample else 0)


@functools.lru_cache(maxsize=64)
def _pools(data: Data, seed: int, which: int) -> Pools:
    if data.name not in GENERATED:
        everything = read_whole(data)
        inputs = np.ascontiguousarray(everything.inputs)  # the order in memory decides how sums over rows round
        return _divided(_numbered(inputs, everything.labels), data, seed)

    def draw(purpose: str, size: int) -> Table:
        drawn = _drawn(data, size, seed_for(seed, purpose, which))
        return _numbered(drawn.inputs, drawn.labels)

    return Pools(
        draw("data", data.samples),
        draw("validation", data.validation_samples) if data.validation_samples else None,
        draw("test", data.test_samples) if data.test_samples else None,
    )


def _drawn(data: Data, size: int, seed: int) -> DataSet:
    return GENERATED[data.name](size, np.random.default_rng(seed))


def _numbered(inputs: Floats, labels: Targets) -> Table:
    return Table(inputs, labels, np.arange(1, len(labels) + 1))


def _divided(rest: Table, data: Data, seed: int) -> Pools:
    """The pools of a data set that is not generated; how many rows of each class are in which depends on the labels alone."""
    held_out: list[Table | None] = []
    for purpose, size in (("test", data.test_samples), ("validation", data.validation_samples)):
        chosen = None
        if size:
            rest, chosen = _divide(rest, size, seed_for(seed, purpose))
        held_out.append(chosen)
    if data.samples < len(rest.labels):
        _, rest = _divide(rest, data.samples, seed_for(seed, "data"))
    return Pools(rest, held_out[1], held_out[0])


def read_whole(data: Data) -> DataSet:
    """All rows of a data set that is not generated.

    Raises UserError where a CSV file is not the one that the study was checked with: it was changed, or is another machine's.
    """
    if data.name != "csv":
        return FIXED[data.name]()
    path = Path(data.path)
    read = _read_once(path, data.target, data.task, _stamp(path))
    if identify(path) != data.content:
        raise UserError(f"data.path: {data.path!r} is not the file that the study began with: its content is another")
    return read


def schema(data: Data, seed: int) -> Schema:
    """Names and counts of a data set; of a generated one, those of the training pool of the first repeat."""
    known = _drawn(data, data.samples, seed_for(seed, "data", 0)) if data.name in GENERATED else read_whole(data)
    name = Path(data.path).name or data.name
    if data.task == REGRESSION:
        away = float(np.abs(known.labels - np.median(known.labels)).mean())
        spread = float(known.labels.std())
        return Schema(name, known.features, known.target, (), (len(known.labels),), data.content, spread, away)
    counts = np.bincount(known.labels, minlength=len(known.classes)).tolist()
    return Schema(name, known.features, known.target, known.classes, tuple(counts), data.content)


def schemas_of(folder: Path) -> list[Schema]:
    """The data sets in the manifest of a results folder; none where there is no manifest that lists them."""
    try:
        found = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["data"]
        return [Schema.of(each) for each in found]
    except (OSError, ValueError, TypeError, KeyError):  # as in the manifest of an older version
        return []


def training_pool(data: Data, schema: Schema, seed: int) -> Table:
    """Rows without features, of each class as many as in the training pool of the first repeat; no file is read."""
    if data.task == REGRESSION:
        return _numbered(np.empty((data.samples, 0)), np.zeros(data.samples))
    counts = np.array(schema.counts)
    if data.name not in GENERATED:
        for purpose, size in (("test", data.test_samples), ("validation", data.validation_samples)):
            counts -= _count_chosen(counts, size, seed_for(seed, purpose))
        if data.samples < counts.sum():
            counts = _count_chosen(counts, data.samples, seed_for(seed, "data"))
    return _numbered(np.empty((counts.sum(), 0)), np.repeat(np.arange(len(counts)), counts))


def _count_chosen(counts: Labels, size: int, seed: int) -> Labels:
    """Rows of each class among the chosen ones of `_divide`, which takes them by `train_test_split`.

    That rounds the others' shares of the classes down, and gives the rows that this leaves to the largest fractions. Ties are
    broken at random.
    """
    if not size:
        return np.zeros_like(counts)
    _require_proportion(counts, size)
    shares = counts / counts.sum() * (counts.sum() - size)
    others = np.floor(shares)
    fractions = shares - others
    rng = np.random.RandomState(seed % 2**32)
    for fraction in np.unique(fractions)[::-1]:
        tied = np.flatnonzero(fractions == fraction)
        left = counts.sum() - size - int(others.sum())
        others[rng.choice(tied, min(len(tied), left), replace=False)] += 1
    return counts - others.astype(np.int64)


def _require_proportion(counts: Labels, size: int) -> None:
    """Raise UserError unless `size` rows and the others can have the classes in proportion."""
    rows, there = int(counts.sum()), counts[counts > 0]
    if there.min() < 2 or min(size, rows - size) < len(there):
        raise UserError(
            f"data: {size} of {rows} rows cannot have the classes in proportion: that takes two rows of each class, of which "
            f"the smallest has {there.min()}, and {len(there)} rows in both parts; give other sizes, or drop small classes"
        )


def doubts(data: Data) -> list[str]:
    """Doubtful things: constant or rounded features, identifiers, classes alike, repeated rows; none in generated data."""
    if data.name in GENERATED:
        return []
    inputs, labels, features, target, classes = read_whole(data)
    constant = inputs.min(0) == inputs.max(0)
    whole_numbers = np.array([_is_whole(column[:_FEW]) and _is_whole(column) for column in inputs.T])
    distinct = [not _repeats(column) for column in inputs.T[whole_numbers]]
    rounded = whole_numbers & ~constant
    rounded[rounded] = [_repeats(column[np.abs(column) >= _INEXACT]) for column in inputs.T[rounded]]
    named = np.array(features, dtype=object)
    found = []
    if constant.any():
        found.append(f"constant, so without use: column {listed(map(quoted, named[constant]))}")
    if any(distinct):
        columns = listed(map(quoted, named[whole_numbers][distinct]))
        found.append(f"another whole number in every row: column {columns}; remove it if it is an identifier or a time")
    if rounded.any():
        columns = listed(map(quoted, named[rounded]))
        found.append(f"whole numbers from 2^53, which may differ in the file and are equal as float64: column {columns}")
    alike = "classes that differ in case or blanks alone: {} of {}"
    found += [alike.format(listed(map(quoted, written)), quoted(target)) for written in _alike(classes)]
    alike_rows = _maybe_repeated(inputs)
    texts = [bytes(row) for row in inputs[alike_rows]]
    repeated = len(texts) - len(set(texts))
    if repeated:
        differently = len(set(zip(texts, labels[alike_rows].tolist(), strict=True))) - len(texts) + repeated
        other = "with another target" if data.task == REGRESSION else "in another class"
        which = f", {differently:,} of them {other}" if differently else ""
        count = f"{repeated:,} of {len(labels):,}{which}"
        found.append(f"rows with the features of an earlier row: {count}; copies may lie on both sides of a split")
    return found


def _is_whole(values: Floats) -> bool:
    """True where all values are whole numbers."""
    return bool((values == np.rint(values)).all())


def _maybe_repeated(inputs: Floats) -> NDArray[np.bool_]:
    """True for every row that is equal to another, and for few others: those of equal hashes."""
    hashes = np.zeros(len(inputs), dtype=np.uint64)
    for column in inputs.T:
        hashes = (hashes ^ np.ascontiguousarray(column).view(np.uint64)) * _PRIME
        hashes ^= hashes >> np.uint64(32)
    _, places, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    return np.asarray(counts[places] > 1)


def _repeats(values: Floats) -> bool:
    """True where a value is there twice."""
    return len(np.unique(values)) < len(values)


def _alike(classes: Sequence[str]) -> list[list[str]]:
    """Groups of names that are one name without case and blanks."""
    groups: dict[str, list[str]] = {}
    for name in classes:
        groups.setdefault("".join(name.casefold().split()), []).append(name)
    return [names for names in groups.values() if len(names) > 1]


def _divide(table: Table, size: int, seed: int) -> tuple[Table, Table]:
    """All but `size` rows, and those, with the classes in proportion."""
    from sklearn.model_selection import train_test_split

    rows = np.arange(len(table.labels))
    strata = None if np.issubdtype(table.labels.dtype, np.floating) else table.labels
    if strata is not None:
        _require_proportion(np.bincount(strata), size)
    rest, chosen = train_test_split(rows, test_size=size, random_state=seed % 2**32, stratify=strata)
    return table.take(rest), table.take(chosen)
