"""Data sets by name, and how a trial's rows are split, disturbed and normalised.

Everything here is numpy with rows as `(samples, features)`. Classes are integers from 0.
"""

import functools
import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets as sklearn_datasets
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

from studies.data.csv_files import read_csv
from studies.data.types import Data, DataSet, Floats, Labels, Schema, Split, Table, Validation
from studies.errors import UserError, listed, quoted
from studies.seeds import seed_for


class Normalisation(NamedTuple):
    """x' = (x - mean) / scale, with the statistics of a trial's training rows."""

    mean: Floats
    scale: Floats

    def __call__(self, inputs: Floats) -> Floats:
        return (inputs - self.mean) / self.scale


RADIUS = 1 / math.sqrt(2 * math.pi)  # of the disk: half the area of the square


def disk(samples: int, rng: np.random.Generator) -> DataSet:
    """Uniform in [0, 1]^2; class 1 inside the circle of area 1/2 about the centre: radius 1 / sqrt(2 pi)."""
    x = rng.random((samples, 2))
    return DataSet(x, (((x - 0.5) ** 2).sum(1) < RADIUS**2).astype(np.int64))


def linear(samples: int, rng: np.random.Generator) -> DataSet:
    """Uniform in [0, 1]^2; class 0 where x0 > x1, else 1 (report `linear_and_xor`)."""
    x = rng.random((samples, 2))
    return DataSet(x, (x[:, 0] <= x[:, 1]).astype(np.int64))


def moons(samples: int, rng: np.random.Generator) -> DataSet:
    """Two interleaved half circles, with Gaussian noise of sd 0.2."""
    return DataSet(*sklearn_datasets.make_moons(samples, noise=0.2, random_state=int(rng.integers(2**32))))


def circles(samples: int, rng: np.random.Generator) -> DataSet:
    """A circle of radius 0.5 in a circle of radius 1, with Gaussian noise of sd 0.1."""
    seed = int(rng.integers(2**32))
    return DataSet(*sklearn_datasets.make_circles(samples, noise=0.1, factor=0.5, random_state=seed))


def spirals(samples: int, rng: np.random.Generator) -> DataSet:
    """Two arms, one and a half turns each, the radius growing from 0 to 1, with Gaussian noise of sd 0.02."""
    labels = np.arange(samples) % 2
    along = np.sqrt(rng.random(samples))
    angle = 3 * math.pi * along + math.pi * labels
    points = along[:, None] * np.column_stack((np.cos(angle), np.sin(angle)))
    return DataSet(points + rng.normal(0, 0.02, (samples, 2)), labels)


def xor() -> DataSet:
    """The 21 points of report `linear_and_xor`: one diagonal class 0, the other class 1, the centre in class 0 only."""
    t = np.arange(11) / 10
    other = np.delete(t, 5)
    inputs = np.concatenate((np.column_stack((t, t)), np.column_stack((other, 1 - other))))
    return DataSet(inputs, np.repeat([0, 1], [11, 10]))


GENERATED: dict[str, Callable[[int, np.random.Generator], DataSet]] = {
    "disk": disk,
    "linear": linear,
    "moons": moons,
    "circles": circles,
    "spirals": spirals,
}


def _of_sklearn(load: Callable[[], Any], target: str) -> Callable[[], DataSet]:
    """A data set that scikit-learn brings, with its names; it calls every target "target"."""

    def read() -> DataSet:
        bunch = load()
        return DataSet(
            bunch.data, bunch.target, tuple(map(str, bunch.feature_names)), target, tuple(map(str, bunch.target_names))
        )

    return read


FIXED: dict[str, Callable[[], DataSet]] = {
    "xor": xor,
    "iris": _of_sklearn(sklearn_datasets.load_iris, "species"),
    "wine": _of_sklearn(sklearn_datasets.load_wine, "cultivar"),
    "breast_cancer": _of_sklearn(sklearn_datasets.load_breast_cancer, "diagnosis"),
    "digits": _of_sklearn(sklearn_datasets.load_digits, "digit"),
}
NAMES = (*GENERATED, *FIXED, "csv")


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
    return hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()


@functools.lru_cache(maxsize=4)
def _read_once(path: Path, target: str, stamp: object) -> DataSet:  # noqa: ARG001 - a part of the cache's key
    return read_csv(path, target)


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
        everything = whole(data)
        return _divided(_numbered(everything.inputs, everything.labels), data, seed)

    def draw(purpose: str, size: int) -> Table:
        drawn = GENERATED[data.name](size, np.random.default_rng(seed_for(seed, purpose, which)))
        return _numbered(drawn.inputs, drawn.labels)

    return Pools(
        draw("data", data.samples),
        draw("validation", data.validation_samples) if data.validation_samples else None,
        draw("test", data.test_samples) if data.test_samples else None,
    )


def _numbered(inputs: Floats, labels: Labels) -> Table:
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


def whole(data: Data) -> DataSet:
    """All rows of a data set that is not generated.

    Raises UserError where a CSV file is not the one that the study was checked with: it was changed, or is another machine's.
    """
    if data.name != "csv":
        return FIXED[data.name]()
    path = Path(data.path)
    read = _read_once(path, data.target, _stamp(path))
    if identify(path) != data.content:
        raise UserError(f"data.path: {data.path!r} is not the file that the study began with: its content is another")
    return read


def schema(data: Data, seed: int) -> Schema:
    """Names and counts of a data set; of a generated one, those of the training pool of the first repeat."""
    if data.name in GENERATED:
        pool = pools(data, seed, 0).train
        known = DataSet(pool.inputs, pool.labels)
    else:
        known = whole(data)
    counts = np.bincount(known.labels, minlength=len(known.classes)).tolist()
    name = Path(data.path).name or data.name
    return Schema(name, known.features, known.target, known.classes, tuple(counts), data.content)


def described(folder: Path) -> list[Schema]:
    """The data sets in the manifest of a results folder; none where there is no manifest that lists them."""
    try:
        found = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["data"]
        return [Schema.of(each) for each in found]
    except (OSError, ValueError, TypeError, KeyError):  # as in the manifest of an older version
        return []


def training_pool(data: Data, schema: Schema, seed: int) -> Table:
    """Rows without features, of each class as many as in the training pool of the first repeat; no file is read."""
    labels = np.repeat(np.arange(len(schema.counts)), schema.counts)
    table = _numbered(np.empty((len(labels), 0)), labels)
    return table if data.name in GENERATED else _divided(table, data, seed).train


def doubts(data: Data) -> list[str]:
    """Doubtful things: constant features, identifiers and repeated rows; none in generated data."""
    if data.name in GENERATED:
        return []
    inputs, labels, features, *_ = whole(data)
    constant = np.ptp(inputs, axis=0) == 0
    whole_numbers = (inputs == np.rint(inputs)).all(0)
    distinct = [len(np.unique(column)) == len(column) for column in inputs.T[whole_numbers]]
    named = np.array(features, dtype=object)
    found = []
    if constant.any():
        found.append(f"constant, so without use: column {listed(map(quoted, named[constant]))}")
    if any(distinct):
        columns = listed(map(quoted, named[whole_numbers][distinct]))
        found.append(f"another whole number in every row: column {columns}; remove it if it is an identifier or a time")
    repeated = len(labels) - len(set(map(bytes, inputs)))
    if repeated:
        differently = len(set(zip(map(bytes, inputs), labels.tolist(), strict=True))) - len(labels) + repeated
        which = f", {differently:,} of them in another class" if differently else ""
        count = f"{repeated:,} of {len(labels):,}{which}"
        found.append(f"rows with the features of an earlier row: {count}; copies may lie on both sides of a split")
    return found


def _divide(table: Table, size: int, seed: int) -> tuple[Table, Table]:
    """All but `size` rows, and those, with the classes in proportion."""
    rows = np.arange(len(table.labels))
    try:
        rest, chosen = train_test_split(rows, test_size=size, random_state=seed % 2**32, stratify=table.labels)
    except ValueError as error:
        raise UserError(f"data: {size} of {len(rows)} rows cannot have the classes in proportion: {error}") from None
    return table.take(rest), table.take(chosen)


def split(data: Data, validation: Validation, seed: int, repeat: int, fold: int) -> Split:
    """The rows of one trial: pool, fold, label noise, normalisation, in that order."""
    raw, normalise = raw_split(data, validation, seed, repeat, fold)

    def normalised(table: Table) -> Table:
        return table._replace(inputs=normalise(table.inputs))

    return Split(normalised(raw.train), raw.validation and normalised(raw.validation), raw.test and normalised(raw.test))


def raw_split(data: Data, validation: Validation, seed: int, repeat: int, fold: int) -> tuple[Split, Normalisation]:
    """The rows of one trial before normalisation, and what normalises them."""
    pool = pools(data, seed, repeat)
    train, held_out = pool.train, pool.validation
    if validation.folds:
        kept, left_out = folds(pool.train, validation, seed, repeat)[fold]
        train, held_out = pool.train.take(kept), pool.train.take(left_out)
    if data.noise:
        classes = max(int(pool.train.labels.max()) + 1, 2)  # two, should all rows of a draw be of class 0
        train = _with_noise(train, data.noise, classes, np.random.default_rng(seed_for(seed, "noise", repeat, fold)))
    return Split(train, held_out, pool.test), _normalisation(train.inputs, data.normalize)


def folds(pool: Table, validation: Validation, seed: int, repeat: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Row numbers to train on and to leave out, for every fold of a repeat."""
    splitter = StratifiedKFold if validation.stratified else KFold
    order = splitter(validation.folds, shuffle=True, random_state=seed_for(seed, "split", repeat) % 2**32)
    return list(order.split(pool.inputs, pool.labels))


def _with_noise(table: Table, share: float, classes: int, rng: np.random.Generator) -> Table:
    """The table with a share of its labels, rounded to whole rows, moved to another class."""
    count = round(share * len(table.labels))
    rows = rng.choice(len(table.labels), count, replace=False)
    labels = table.labels.copy()
    labels[rows] = (labels[rows] + rng.integers(1, classes, count)) % classes
    return table._replace(labels=labels)


def _normalisation(inputs: Floats, normalize: str) -> Normalisation:
    """Per feature, over all of them, or none; a constant feature is only centred.

    Statistics are of what a value exceeds the smallest by: the mean of large and equal numbers is not that number.
    """
    if normalize == "none":
        return Normalisation(np.zeros(1), np.ones(1))
    axis = 0 if normalize == "feature" else None
    lowest = inputs.min(axis)
    above = inputs - lowest
    scale = above.std(axis)
    return Normalisation(lowest + above.mean(axis), np.where(scale > 0, scale, 1.0))
