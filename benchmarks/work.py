"""The work that all engines do, in plain values: what an engine's process is told, and what it answers.

Nothing here imports the suite, so that a peer's process holds the peer alone.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FOLDS = 10

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]


class UnavailableError(Exception):
    """Reason why an engine cannot do a work: tables have it in place of a number."""


class Rows(NamedTuple):
    """Training and test rows of every fold: inputs `(FOLDS, samples, features)`, labels `(FOLDS, samples)`."""

    train_inputs: Floats
    train_labels: Labels
    test_inputs: Floats
    test_labels: Labels


@dataclass(frozen=True)
class Work:
    """Models of one structure, each trained for `epochs` on its own fold, in batches reshuffled every epoch.

    Member m trains on fold `m % FOLDS` at the learning rate `lrs[m // FOLDS]`. Weights start as Xavier's, biases at zero.
    """

    activation: str  # tanh, relu, elu, sigmoid
    optimizer: str  # sgd, adam
    batchnorm: str  # none, simplified, affine
    lrs: tuple[float, ...]
    members: tuple[int, ...]
    epochs: int
    loss: str = "cross_entropy"  # or mse, behind a sigmoid, summed over outputs
    hidden: tuple[int, ...] = (25, 25, 25)
    batch_size: int = 100
    data: str = "disk"
    samples: int | None = None  # training rows of a fold, its first; None: all of them

    @property
    def rates(self) -> list[float]:
        """The learning rate of each member."""
        return [self.lrs[member // FOLDS] for member in self.members]

    @property
    def folds(self) -> list[int]:
        """The fold of each member."""
        return [member % FOLDS for member in self.members]


class Trained(NamedTuple):
    """Seconds of training, and the test error of each member in percent."""

    seconds: float
    error_pct: Mapping[int, float]


class Prepared(NamedTuple):
    """A work made ready: `train(rows, seed)` trains it from new first weights; compiling it took `compile_seconds`."""

    train: Callable[[Rows, int], Trained]
    compile_seconds: float = 0.0


class GridRun(NamedTuple):
    """A grid end to end: seconds in all, those of starting processes and of compiling among them, and errors by work."""

    seconds: float
    start_seconds: float
    compile_seconds: float
    error_pct: Sequence[Mapping[int, float]]


def widths(work: Work, rows: Rows) -> list[int]:
    """Features, hidden units and classes."""
    return [rows.train_inputs.shape[2], *work.hidden, int(rows.train_labels.max()) + 1]


def steps(work: Work, rows: Rows) -> int:
    """Optimizer steps in the training of one model."""
    return work.epochs * math.ceil(rows.train_labels.shape[1] / work.batch_size)


def first_weights(work: Work, rows: Rows, seed: int) -> Iterator[Floats]:
    """Xavier's first weights `(members, outputs, inputs)` of each layer in turn: N(0, 2 / (inputs + outputs))."""
    streams = [np.random.default_rng((seed, member)) for member in work.members]
    for inputs, outputs in itertools.pairwise(widths(work, rows)):
        sd = math.sqrt(2 / (inputs + outputs))
        yield np.stack([sd * stream.standard_normal((outputs, inputs), dtype=np.float32) for stream in streams])


def products(sizes: Sequence[int], batch: int) -> Iterator[tuple[int, int, int]]:
    """The shapes (m, k, n) of the matrix products in one step: forward, weight gradient, and input gradient but the first."""
    for index, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        yield outputs, inputs, batch
        yield outputs, batch, inputs
        if index:
            yield inputs, outputs, batch


def operations(sizes: Sequence[int], batch: int) -> int:
    """Floating-point operations of these products."""
    return sum(2 * m * k * n for m, k, n in products(sizes, batch))


def percent_wrong(predicted: NDArray[np.integer], labels: Labels) -> float:
    """Test error in percent."""
    return 100 * float((predicted != labels).mean())
