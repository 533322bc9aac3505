"""Data sets by name, CSV files, and how a trial's rows are split, disturbed and normalised.

Everything here is numpy with rows as `(samples, features)`. Classes are integers from 0.
"""

import functools
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import datasets as sklearn_datasets
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

from studies.data import Data, Floats, Split, Table, Validation
from studies.errors import UserError, unknown
from studies.streams import digest, seed_for


class Normalisation(NamedTuple):
    """x' = (x - mean) / scale, with the statistics of a trial's training rows."""

    mean: Floats
    scale: Floats

    def __call__(self, inputs: Floats) -> Floats:
        return (inputs - self.mean) / self.scale


RADIUS = 1 / math.sqrt(2 * math.pi)  # of the disk: half the area of the square


def disk(samples: int, rng: np.random.Generator) -> Table:
    """Uniform in [0, 1]^2; class 1 inside the circle of area 1/2 about the centre: radius 1 / sqrt(2 pi)."""
    x = rng.random((samples, 2))
    return Table(x, (((x - 0.5) ** 2).sum(1) < RADIUS**2).astype(np.int64))


def linear(samples: int, rng: np.random.Generator) -> Table:
    """Uniform in [0, 1]^2; class 0 where x0 > x1, else 1 (report `linear_and_xor`)."""
    x = rng.random((samples, 2))
    return Table(x, (x[:, 0] <= x[:, 1]).astype(np.int64))


def moons(samples: int, rng: np.random.Generator) -> Table:
    """Two interleaved half circles, with Gaussian noise of sd 0.2."""
    return Table(*sklearn_datasets.make_moons(samples, noise=0.2, random_state=int(rng.integers(2**32))))


def circles(samples: int, rng: np.random.Generator) -> Table:
    """A circle of radius 0.5 in a circle of radius 1, with Gaussian noise of sd 0.1."""
    seed = int(rng.integers(2**32))
    return Table(*sklearn_datasets.make_circles(samples, noise=0.1, factor=0.5, random_state=seed))


def spirals(samples: int, rng: np.random.Generator) -> Table:
    """Two arms, one and a half turns each, the radius growing from 0 to 1, with Gaussian noise of sd 0.02."""
    labels = np.arange(samples) % 2
    along = np.sqrt(rng.random(samples))
    angle = 3 * math.pi * along + math.pi * labels
    points = along[:, None] * np.column_stack((np.cos(angle), np.sin(angle)))
    return Table(points + rng.normal(0, 0.02, (samples, 2)), labels)


def xor() -> Table:
    """The 21 points of report `linear_and_xor`: one diagonal class 0, the other class 1, the centre in class 0 only."""
    t = np.arange(11) / 10
    other = np.delete(t, 5)
    inputs = np.concatenate((np.column_stack((t, t)), np.column_stack((other, 1 - other))))
    return Table(inputs, np.repeat([0, 1], [11, 10]))


GENERATED: dict[str, Callable[[int, np.random.Generator], Table]] = {
    "disk": disk,
    "linear": linear,
    "moons": moons,
    "circles": circles,
    "spirals": spirals,
}
FIXED: dict[str, Callable[[], Table]] = {
    "xor": xor,
    "iris": lambda: Table(*sklearn_datasets.load_iris(return_X_y=True)),
    "wine": lambda: Table(*sklearn_datasets.load_wine(return_X_y=True)),
    "breast_cancer": lambda: Table(*sklearn_datasets.load_breast_cancer(return_X_y=True)),
    "digits": lambda: Table(*sklearn_datasets.load_digits(return_X_y=True)),
}
NAMES = (*GENERATED, *FIXED, "csv")
MISSING = ("", "na", "nan", "n/a", "null")  # cells that name no class


def read_csv(path: Path, target: str) -> Table:
    """The rows of a CSV file with a header: numbers in every column but `target`, whose distinct values are the classes.

    Raises UserError where the file is missing, empty, not CSV, has no such column, a cell that is no finite number, or fewer
    than two classes.
    """
    if not path.is_file():  # a device or a pipe may never end
        raise UserError(f"data.path: there is no file {str(path)!r}")
    cells = _cells(path)
    if target not in cells.columns:
        raise UserError(f"data.target: {unknown('column', target, cells.columns)}")
    if cells.empty or cells.shape[1] < 2:
        raise UserError(
            f"data.path: {str(path)!r} holds a header, rows, and a feature beside the target: "
            f"{cells.shape[0]} rows and {cells.shape[1]} columns were found"
        )
    features = cells.drop(columns=target)
    numbers = features.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    for row, column in np.argwhere(~(np.abs(numbers) <= np.finfo(np.float32).max))[:1]:
        given = features.iloc[row, column]
        raise UserError(
            f"data.path: features are finite numbers: row {row + 1} below the header, column {features.columns[column]!r} of "
            f"{str(path)!r} has {given!r}; remove or fill it"
        )
    missing = cells[target].str.casefold().isin(MISSING)
    if missing.any():
        row = int(missing.argmax())
        raise UserError(
            f"data.target: every row has a class: row {row + 1} below the header, column {target!r} of {str(path)!r} has "
            f"{cells[target].iloc[row]!r}; remove the row, or call its class otherwise"
        )
    classes, labels = np.unique(cells[target].to_numpy(dtype=str), return_inverse=True)
    if len(classes) < 2:
        raise UserError(
            f"data.target: two classes or more are needed: column {target!r} of {str(path)!r} has {str(classes[0])!r} only"
        )
    if len(classes) > max(20, len(labels) // 5):
        raise UserError(
            f"data.target: the target's distinct values are the classes: column {target!r} of {str(path)!r} has "
            f"{len(classes)} of them in {len(labels)} rows; a measured quantity is no class"
        )
    return Table(numbers, labels.astype(np.int64))


def _cells(path: Path) -> pd.DataFrame:
    """The texts of a CSV file, without the spaces around them, under the names in its first line.

    That line is read as all others are: pandas would take a column without a name for an index, and rename one of two alike.
    """
    try:
        lines = pd.read_csv(io.BytesIO(path.read_bytes()), header=None, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:  # ValueError: of pandas's parser, or of the encoding
        raise UserError(f"data.path: {str(path)!r} is not a CSV file with a header: {error}") from None
    lines = lines.fillna("").apply(lambda column: column.str.strip())
    names = lines.iloc[0].to_list()
    wrong = next((name for name in names if not name or names.count(name) > 1), None)
    if wrong is not None:
        raise UserError(
            f"data.path: the first line of {str(path)!r} gives each column a name of its own: {wrong!r} was given"
            + (" twice" if wrong else " for one; is that an index? Leave it out, or name it")
        )
    return lines.iloc[1:].set_axis(names, axis=1).reset_index(drop=True)


def identify(path: Path) -> str:
    """A hash of a file's content, so that changed data never passes for the same; empty where there is no file.

    Raises UserError where it cannot be read.
    """
    try:
        return digest(path.read_bytes().hex(), 16) if path.is_file() else ""
    except OSError as error:
        raise UserError(f"data.path: {str(path)!r} cannot be read: {error.strerror}") from None


class Pools(NamedTuple):
    """The rows before folds: the training pool, and the fixed validation and test sets (None where there is none)."""

    train: Table
    validation: Table | None
    test: Table | None


@functools.lru_cache(maxsize=64)
def pools(data: Data, seed: int, repeat: int) -> Pools:
    """The data of one repeat: new where `data.resample`, else that of the first."""
    if data.name in GENERATED:
        which = repeat if data.resample else 0

        def draw(purpose: str, size: int) -> Table:
            return GENERATED[data.name](size, np.random.default_rng(seed_for(seed, purpose, which)))

        return Pools(
            draw("data", data.samples),
            draw("validation", data.validation_samples) if data.validation_samples else None,
            draw("test", data.test_samples) if data.test_samples else None,
        )
    rest = whole(data)
    held_out: list[Table | None] = []
    for purpose, size in (("test", data.test_samples), ("validation", data.validation_samples)):
        chosen = None
        if size:
            rest, chosen = _divide(rest, size, seed_for(seed, purpose))
        held_out.append(chosen)
    if data.samples < len(rest.labels):
        _, rest = _divide(rest, data.samples, seed_for(seed, "data"))
    return Pools(rest, held_out[1], held_out[0])


def whole(data: Data) -> Table:
    """All rows of a data set that is not generated.

    Raises UserError where a CSV file is not the one that the study was checked with: it was changed, or is another machine's.
    """
    if data.name != "csv":
        return FIXED[data.name]()
    table = read_csv(Path(data.path), data.target)
    if identify(Path(data.path)) != data.content:
        raise UserError(f"data.path: {data.path!r} is not the file that the study began with: its content is another")
    return table


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
        return Table(normalise(table.inputs), table.labels)

    return Split(normalised(raw.train), raw.validation and normalised(raw.validation), raw.test and normalised(raw.test))


def raw_split(data: Data, validation: Validation, seed: int, repeat: int, fold: int) -> tuple[Split, Normalisation]:
    """The rows of one trial before normalisation, and what normalises them."""
    pool = pools(data, seed, repeat)
    train, held_out = pool.train, pool.validation
    if validation.folds:
        kept, left_out = folds(pool.train, validation, seed, repeat)[fold]
        train, held_out = pool.train.take(kept), pool.train.take(left_out)
    if data.noise:
        classes = max(pool.train.classes, 2)  # two, should all rows of a draw be of class 0
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
    return Table(table.inputs, labels)


def _normalisation(inputs: Floats, normalize: str) -> Normalisation:
    """Per feature, over all of them, or none; a constant feature, whose sd may be a rounding error, is only centred."""
    if normalize == "none":
        return Normalisation(np.zeros(1), np.ones(1))
    axis = 0 if normalize == "feature" else None
    mean, scale = inputs.mean(axis), inputs.std(axis)
    return Normalisation(np.asarray(mean), np.where((np.ptp(inputs, axis) > 0) & (scale > 0), scale, 1.0))
