"""Data as values: labelled rows, and the sections of a spec that say which; `datasets` makes the one from the other.

A process that trains needs no more: scikit-learn, which draws and folds, and what it brings take longer to import than torch.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


class Table(NamedTuple):
    """Labelled rows: inputs `(samples, features)` and labels `(samples,)`."""

    inputs: Floats
    labels: Labels

    @property
    def classes(self) -> int:
        """How many classes there are, if the last one is among the labels."""
        return int(self.labels.max()) + 1

    def take(self, rows: NDArray[np.int64]) -> "Table":
        """The rows with these numbers, in this order."""
        return Table(self.inputs[rows], self.labels[rows])


class Split(NamedTuple):
    """The rows of one trial; `validation` or `test` is None where there is no such set."""

    train: Table
    validation: Table | None
    test: Table | None

    @property
    def judged(self) -> str:
        """The set that says how good a model is: test rows, else validation rows, else training rows."""
        return next(name for name in ("test", "validation", "train") if getattr(self, name))


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


@dataclass(frozen=True)
class Validation:
    """The `[validation]` section: `folds` of cross-validation (0: train on the whole pool), `repeats` with fresh streams."""

    folds: int
    repeats: int
    stratified: bool
