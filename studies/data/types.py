"""Data as values: labelled rows, their names, and the sections of a spec that say which; `datasets` makes rows from sections.

A process that trains needs no more: scikit-learn, which draws and folds, and what it brings take longer to import than torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from studies.columns import SETS
from studies.errors import listed, shortened

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


Targets = NDArray[Any]  # classes, integers from 0, or, for regression, numbers
CLASSIFICATION, REGRESSION = "classification", "regression"
OF_RUNS = "table"  # the task of data that are runs which something else made


class DataSet(NamedTuple):
    """All rows of a data set, inputs `(samples, features)` and labels `(samples,)`, with the names of features and classes.

    For regression, labels are numbers and there are no classes. Inputs lie in memory in any order.
    """

    inputs: Floats
    labels: Targets
    features: tuple[str, ...] = ("x0", "x1")
    target: str = "class"
    classes: tuple[str, ...] = ("0", "1")


@dataclass(frozen=True)
class Schema:
    """Names of a data set or its file, of features, target and classes, the rows of each class, and the hash of a file.

    Of a number as the target `counts` has all rows, and `spread` and `deviation` are its sd and its mean distance from the
    median: what always saying its mean, or its median, errs by. A manifest keeps it, so that what needs names and counts alone
    works without the file.
    """

    name: str
    features: tuple[str, ...]
    target: str
    classes: tuple[str, ...]
    counts: tuple[int, ...]
    content: str = ""
    spread: float = 0.0
    deviation: float = 0.0

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Schema":
        """The schema that was written as JSON."""
        lists: Mapping[str, Any] = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
        return cls(**{**values, **lists})

    @property
    def described(self) -> str:
        """The data set in a line."""
        if not self.features:
            return "none, the function makes its own numbers"
        return "; ".join([self.name, *self.words])

    @property
    def words(self) -> tuple[str, str]:
        """The features, and the classes with their rows, each in a line; of many the first ones."""
        rows = (f"{shortened(name)} ({count:,})" for name, count in zip(self.classes, self.counts, strict=True))
        features = f"{len(self.features):,} features: {listed(self.feature_labels)}"
        if not self.classes:
            spread = f"a number with an sd of {self.spread:.4g} in {self.counts[0]:,} rows"
            return features, f"target {shortened(self.target)}: {spread}"
        return features, f"{len(self.classes):,} classes of {shortened(self.target)}: {listed(rows)}"

    @property
    def class_labels(self) -> list[str]:
        """The classes as pictures name them: "setosa", but "grade 10"."""
        return [shortened(name if name[0].isalpha() else f"{self.target} {name}", 30) for name in self.classes]

    @property
    def feature_labels(self) -> list[str]:
        """The features as axes name them."""
        return [shortened(name, 40) for name in self.features]


class Table(NamedTuple):
    """Labelled rows: inputs `(samples, features)`, classes or targets `(samples,)`, and row numbers `(samples,)`.

    A row keeps its number in its data set or file, where 1 is the first row below the header.
    """

    inputs: Floats
    labels: Targets
    rows: Labels

    def take(self, places: NDArray[np.int64]) -> "Table":
        """The rows at these places, in this order."""
        return Table(self.inputs[places], self.labels[places], self.rows[places])

    def inputs_of(self, rows: NDArray[np.int64]) -> Floats:
        """The inputs of the rows with these numbers, in this order."""
        order = np.argsort(self.rows)
        return self.inputs[order[np.searchsorted(self.rows, rows, sorter=order)]]


class Split(NamedTuple):
    """The rows of one trial; `validation` or `test` is None where there is no such set.

    A target that is a number is normalised as the inputs are: in its own unit it is `shift + scale * label`.
    """

    train: Table
    validation: Table | None
    test: Table | None
    shift: float = 0.0
    scale: float = 1.0

    def in_unit(self, labels: Targets) -> Targets:
        """Targets that are numbers in their own unit."""
        return np.asarray(self.shift + self.scale * labels)

    @property
    def sets(self) -> dict[str, Table | None]:
        """The sets of rows by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    @property
    def judged(self) -> str:
        """The set that says how good a model is: test rows, else validation rows, else training rows."""
        return next(name for name in SETS.values() if getattr(self, name))


@dataclass(frozen=True)
class Data:
    """The `[data]` section, resolved: every number stated, a CSV file identified by its content."""

    name: str
    samples: int
    validation_samples: int
    test_samples: int
    normalize: str
    noise: float
    resample: bool
    path: str = ""
    target: str = ""
    content: str = ""
    task: str = CLASSIFICATION


@dataclass(frozen=True)
class Validation:
    """The `[validation]` section: `folds` of cross-validation (0: train on the whole pool), `repeats` with fresh streams."""

    folds: int
    repeats: int
    stratified: bool


NO_DATA = Data("", 0, 0, 0, "none", 0.0, False)  # of a study whose function needs none
NO_SCHEMA = Schema("", (), "", (), ())
