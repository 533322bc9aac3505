"""Schedules: the factor on the learning rate as a function of the epoch, which counts from 0."""

import math
from collections.abc import Callable

Schedule = Callable[[int], float]


def constant(epoch: int) -> float:
    """1."""
    return 1.0


def step_decay(factor: float = 0.5, every: int = 10) -> Schedule:
    """factor^floor(epoch / every): by default halved every 10 epochs. Raises ValueError unless every > 0."""
    _require_positive("every", every)
    return lambda epoch: factor ** (epoch // every)


def exponential(factor: float = 0.95) -> Schedule:
    """factor^epoch: an exponential decay. Raises ValueError unless 0 < factor <= 1."""
    if not 0 < factor <= 1:
        raise ValueError(f"factor is a number above 0 to 1: {factor} was given")
    return lambda epoch: factor**epoch


def warmup(length: int = 5) -> Schedule:
    """(epoch + 1) / length, and 1 from epoch length - 1 on: a linear rise (Goyal et al. 2017, section 2.2, by epoch).

    Raises ValueError unless length > 0.
    """
    _require_positive("length", length)
    return lambda epoch: min(1.0, (epoch + 1) / length)


def triangular(low: float = 0.1, period: int = 20) -> Schedule:
    """Straight up from `low` to 1 in half a period, straight down in the other (Smith 2017, section 3.1), by epoch.

    An odd period passes 1 between two epochs. Raises ValueError unless period > 0.
    """
    _require_positive("period", period)
    return lambda epoch: 1.0 - (1.0 - low) * abs(2 * (epoch % period) / period - 1)


def cosine(epochs: int, low: float = 0.0) -> Schedule:
    """low + (1 - low) (1 + cos(pi epoch / epochs)) / 2: from 1 down to `low` (Loshchilov and Hutter 2017, equation 5).

    Raises ValueError unless epochs > 0.

    >>> [round(cosine(4)(epoch), 2) for epoch in range(5)]
    [1.0, 0.85, 0.5, 0.15, 0.0]
    """
    _require_positive("epochs", epochs)
    return lambda epoch: low + (1.0 - low) * (1.0 + math.cos(math.pi * epoch / epochs)) / 2


def _require_positive(name: str, epochs: int) -> None:
    if epochs <= 0:
        raise ValueError(f"{name} is a number of epochs above 0: {epochs} was given")
