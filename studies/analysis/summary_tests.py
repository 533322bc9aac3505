"""Tests of differences from summaries alone: mean, sd and number of runs, whose pairing is unknown."""

from typing import Any

import numpy as np

from studies.analysis import distributions
from studies.analysis.estimates import ALPHA, Estimate


def welch(one: tuple[Any, Any, Any], other: tuple[Any, Any, Any]) -> Estimate:
    """Mean of one group less that of another, by Welch's unpaired t test (1947).

    t = (m1 - m2) / sqrt(v1 + v2) with v = sd^2 / n, and (v1 + v2)^2 / (v1^2 / (n1 - 1) + v2^2 / (n2 - 1)) degrees of freedom.

    Args:
        one: Mean, sd with ddof 1, and number of runs; numbers or arrays.
        other: The same of the group that is taken away.

    Returns:
        The difference; `count` is n1 + n2, `sd` NaN. Without a spread, or with fewer than two runs in a group, there is no
        interval and no p.

    >>> found = welch((0.781, 0.019, 5), (0.812, 0.014, 5))
    >>> round(float(found.mean), 3), round(float(found.p), 6)
    (-0.031, 0.020623)
    """
    m1, sd1, n1 = (np.asarray(each, dtype=float) for each in one)
    m2, sd2, n2 = (np.asarray(each, dtype=float) for each in other)
    with np.errstate(divide="ignore", invalid="ignore"):
        v1, v2 = sd1**2 / n1, sd2**2 / n2
        error = np.where((n1 > 1) & (n2 > 1), np.sqrt(v1 + v2), np.nan)
        freedom = np.where(error > 0, (v1 + v2) ** 2 / (v1**2 / (n1 - 1) + v2**2 / (n2 - 1)), np.nan)
        p = 2 * distributions.t_sf(np.abs(m1 - m2) / np.where(error > 0, error, np.nan), freedom)
        half = distributions.t_ppf(1 - ALPHA / 2, freedom) * error
    mean = m1 - m2
    found = (mean, np.full_like(mean, np.nan), n1 + n2, error, freedom, mean - half, mean + half, p)
    return Estimate(*(each if np.ndim(each) else float(each) for each in found))
