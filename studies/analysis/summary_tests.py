"""Tests of unpaired differences from mean, sd and number of runs."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from studies.analysis import distributions
from studies.analysis.estimates import ALPHA, Estimate


def welch(one: tuple[Any, Any, Any], other: tuple[Any, Any, Any]) -> Estimate:
    """Mean of one group less that of another, by Welch's unpaired t test (1947); of numbers, as `welch_contrast`.

    Args:
        one: Mean, sd with ddof 1, and number of runs.
        other: The same of the group that is taken away.

    >>> found = welch((0.781, 0.019, 5), (0.812, 0.014, 5))
    >>> round(float(found.mean), 3), round(float(found.p), 6)
    (-0.031, 0.020623)
    """
    found = welch_contrast([[1.0, -1.0]], *zip(one, other, strict=True))
    return Estimate(*(float(each[0]) for each in found))


def welch_contrast(weights: ArrayLike, means: ArrayLike, sds: ArrayLike, counts: ArrayLike) -> Estimate:
    """Weighted sums of the means of independent groups: t with the degrees of freedom of Welch and Satterthwaite.

    t = sum w m / sqrt(sum v) with v = w^2 sd^2 / n, and (sum v)^2 / sum(v^2 / (n - 1)) degrees of freedom.

    Args:
        weights: `(contrasts, groups)`.
        means: `(groups,)`.
        sds: `(groups,)`, with ddof 1.
        counts: Runs by group.

    Returns:
        The sums; `count` is the number of runs with weight, `sd` NaN. Without a spread, or with fewer than two runs in a group
        with weight, there is no interval and no p.
    """
    weight, mean, sd, count = (np.asarray(each, dtype=float) for each in (weights, means, sds, counts))
    there = weight != 0
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(there, weight**2 * np.where(count > 1, sd, np.nan) ** 2 / count, 0.0)
        variance = part.sum(-1)
        error = np.sqrt(variance)
        freedom = np.where(variance > 0, variance**2 / np.where(there, part**2 / (count - 1), 0.0).sum(-1), np.nan)
        total = np.where(there, weight * mean, 0.0).sum(-1)
        p = 2 * distributions.t_sf(np.abs(total) / np.where(error > 0, error, np.nan), freedom)
        half = distributions.t_ppf(1 - ALPHA / 2, freedom) * error
    runs = np.where(there, count, 0.0).sum(-1)
    return Estimate(total, np.full_like(total, np.nan), runs, error, freedom, total - half, total + half, p)
