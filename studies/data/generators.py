"""Data sets by name: drawn from a distribution, or fixed. Inputs are `(samples, features)`, classes integers from 0.

scikit-learn is imported where it is used: it takes a second, and most specs need none of it.
"""

import math
from collections.abc import Callable

import numpy as np

from studies.data.types import DataSet

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
    from sklearn.datasets import make_moons

    return DataSet(*make_moons(samples, noise=0.2, random_state=int(rng.integers(2**32))))


def circles(samples: int, rng: np.random.Generator) -> DataSet:
    """A circle of radius 0.5 in a circle of radius 1, with Gaussian noise of sd 0.1."""
    seed = int(rng.integers(2**32))
    from sklearn.datasets import make_circles

    return DataSet(*make_circles(samples, noise=0.1, factor=0.5, random_state=seed))


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


def friedman1(samples: int, rng: np.random.Generator) -> DataSet:
    """Regression: y = 10 sin(pi x0 x1) + 20 (x2 - 1/2)^2 + 10 x3 + 5 x4 + noise of sd 1, of ten inputs uniform in [0, 1]."""
    from sklearn.datasets import make_friedman1

    inputs, targets = make_friedman1(samples, noise=1.0, random_state=int(rng.integers(2**32)))
    return DataSet(inputs, targets, tuple(f"x{place}" for place in range(inputs.shape[1])), "y", ())


GENERATED: dict[str, Callable[[int, np.random.Generator], DataSet]] = {
    "disk": disk,
    "linear": linear,
    "moons": moons,
    "circles": circles,
    "spirals": spirals,
    "friedman1": friedman1,
}


def _of_sklearn(name: str, target: str) -> Callable[[], DataSet]:
    """A data set that scikit-learn brings, with its names; it calls every target "target"."""

    def read() -> DataSet:
        from sklearn import datasets

        bunch = getattr(datasets, f"load_{name}")()
        classes = tuple(map(str, bunch.get("target_names", ())))
        return DataSet(bunch.data, bunch.target, tuple(map(str, bunch.feature_names)), target, classes)

    return read


FIXED: dict[str, Callable[[], DataSet]] = {
    "xor": xor,
    "iris": _of_sklearn("iris", "species"),
    "wine": _of_sklearn("wine", "cultivar"),
    "breast_cancer": _of_sklearn("breast_cancer", "diagnosis"),
    "digits": _of_sklearn("digits", "digit"),
    "diabetes": _of_sklearn("diabetes", "progression"),
}
NUMERIC = ("friedman1", "diabetes")  # whose target is a number
NAMES = (*GENERATED, *FIXED, "csv")
