"""How sure a mean is: the intervals and tests that every statement of the suite rests on.

All take numbers or arrays alike, so that one call judges a thousand comparisons.
"""

import bisect
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

LEVEL = 0.05  # of every test; intervals are those of 95%
POWER = 0.8  # of what is called resolvable: a difference that would show four times in five


class Estimate(NamedTuple):
    """A mean of `count` values, its standard error and 95% interval, and the two-sided `p` of its being 0."""

    mean: Any
    sd: Any
    count: Any
    error: Any
    ci_low: Any
    ci_high: Any
    p: Any


@dataclass(frozen=True)
class Sampling:
    """What makes two values of one configuration different: `folds` of one data set, or repeats that draw new data (`fresh`).

    Training sets of different folds overlap, so their errors are correlated, and intervals over folds are those of Nadeau and
    Bengio 2003: variance times 1 / n + 1 / (folds - 1). Repeats with fresh data are independent: one value each, plain t.
    """

    folds: int
    fresh: bool
    alone: bool = False  # one value of each configuration

    @classmethod
    def of(cls, folds: int, repeats: int, resample: bool) -> "Sampling":
        """That of a study: a single repeat has one data set, whether or not another would draw anew."""
        return cls(folds, fresh=resample and repeats > 1, alone=not folds and repeats == 1)

    @property
    def independent(self) -> bool:
        """Whether one value per repeat is all that can be told apart by chance alone."""
        return self.fresh or not self.folds

    @property
    def overlap(self) -> float:
        """What the correlation of the values adds to 1 / n in the variance of their mean: test rows by training rows."""
        return 0.0 if self.independent else 1 / (self.folds - 1)

    @property
    def words(self) -> str:
        """How the intervals are made, for a caption."""
        if self.alone:
            return "one value: no interval"
        if self.independent:
            return "95% t interval over repeats"
        return "95% interval over folds, corrected for their overlap (Nadeau and Bengio)"

    def samples(self, values: pd.Series, skipna: bool = True) -> pd.Series:
        """The values that count as one each: those given, by group, repeat and fold, or their means by group and repeat.

        `skipna` as in pandas: without it, a repeat that lacks the value of a fold has none.
        """
        if not self.independent:
            return values
        return values.groupby(list(values.index.names[:-1]), sort=False).mean(skipna=skipna)

    def estimates(self, values: pd.Series) -> Estimate:
        """The mean of each group of `values`, indexed by the group's keys, then repeat and fold; NaN for fewer than two."""
        groups = list(values.index.names[:-2])
        moments = self.samples(values).groupby(groups, sort=False).agg(["mean", "std", "count"])
        return from_moments(moments["mean"], moments["std"], moments["count"].where(moments["count"] >= 2), self.overlap)


def estimate(values: ArrayLike, overlap: float = 0.0) -> Estimate:
    """The mean over the last axis of `values (..., n)`; `overlap` is that of `Sampling`.

    Raises ValueError for fewer than two values, or any that is not finite.
    """
    values = np.asarray(values, dtype=float)
    if values.ndim < 1 or values.shape[-1] < 2 or not np.isfinite(values).all():
        raise ValueError(f"a mean is estimated from two or more finite values, not {values}")
    return from_moments(values.mean(-1), values.std(-1, ddof=1), values.shape[-1], overlap)


def estimate_rows(values: NDArray[np.float64], overlap: float) -> Estimate:
    """As `estimate`, for each row of `values (rows, n)`; NaN in a row that lacks a value, and but for the mean where n < 2."""
    count = values.shape[-1]
    sd = values.std(-1, ddof=1) if count >= 2 else np.full(len(values), np.nan)
    return from_moments(values.mean(-1), sd, count, overlap)


def from_moments(mean: Any, sd: Any, count: Any, overlap: float) -> Estimate:  # noqa: ANN401
    """t = mean / (sd sqrt(1 / n + overlap)), with n - 1 degrees of freedom; `sd` has ddof 1.

    Errors are whole numbers of rows, and of three folds that all differ by one row no spread can be told: of n equal values
    other than 0, p is that of the sign test, 2^(1 - n).
    """
    error = sd * np.sqrt(1 / count + overlap)
    half = stats.t.ppf(1 - LEVEL / 2, count - 1) * error
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.where(
            error == 0, np.where(mean == 0, 1.0, 2.0 ** (1.0 - count)), 2 * stats.t.sf(np.abs(mean) / error, count - 1)
        )
    return Estimate(mean, sd, count, error, mean - half, mean + half, p if np.ndim(p) else float(p))


def chances(found: Estimate, margin: float) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The probability of lying below -margin, within it, and above it.

    The posterior of the correlated t test of Corani and Benavoli 2015 under a flat prior: t with n - 1 degrees of freedom
    about the mean, scaled by its standard error.
    """
    error = np.where(found.error == 0, 1e-300, found.error)  # no mean is so large that its quotient overflows
    below = stats.t.cdf((-margin - found.mean) / error, found.count - 1)
    above = stats.t.sf((margin - found.mean) / error, found.count - 1)
    return below, 1 - below - above, above


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """max over j <= i of min(1, (m - j + 1) p_(j)) for the i-th smallest of m p-values, in the order given (Holm 1979).

    NaN is no test: it stays, and is not counted.
    """
    values = np.asarray(p, dtype=float)
    order = np.argsort(values, kind="stable")[: np.isfinite(values).sum()]
    adjusted = np.full_like(values, np.nan)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(values[order] * np.arange(len(order), 0, -1)))
    return adjusted


def wilson(count: ArrayLike, total: ArrayLike) -> tuple[Any, Any]:
    """The 95% interval of a share (Wilson 1927): (q + z^2 / 2n -+ z sqrt(q (1 - q) / n + z^2 / 4n^2)) / (1 + z^2 / n)."""
    count, total = np.asarray(count, dtype=float), np.asarray(total, dtype=float)
    z, share = stats.norm.ppf(1 - LEVEL / 2), count / total
    centre = share + z**2 / (2 * total)
    half = z * np.sqrt(share * (1 - share) / total + (z / (2 * total)) ** 2)
    scale = 1 + z**2 / total
    return np.clip((centre - half) / scale, 0, 1), np.clip((centre + half) / scale, 0, 1)


def exact_bounds(count: int, total: int) -> tuple[float, float]:
    """The lower and the upper one-sided 95% bound of a share, each on its own (Clopper and Pearson 1934)."""
    low = stats.binomtest(count, total, alternative="greater").proportion_ci(1 - LEVEL).low
    high = stats.binomtest(count, total, alternative="less").proportion_ci(1 - LEVEL).high
    return float(low), float(high)


def resolvable(sd: float, count: int, overlap: float = 0.0) -> float:
    """(t_.975 + t_.8) sd sqrt(1 / n + overlap): the difference that a mean of `count` values shows four times in five."""
    quantiles = stats.t.ppf(1 - LEVEL / 2, count - 1) + stats.t.ppf(POWER, count - 1)
    return float(quantiles * sd * math.sqrt(1 / count + overlap))


def needed(sd: float, difference: float, overlap: float = 0.0) -> int | None:
    """n = 1 / ((difference / 2.8 sd)^2 - overlap): the values that show a difference four times in five; None if none would."""
    # Published verdicts quote this number; a plan, which has few values, takes `enough`.
    if not sd:
        return 2
    share = (difference / ((stats.norm.ppf(1 - LEVEL / 2) + stats.norm.ppf(POWER)) * sd)) ** 2 - overlap
    return None if share <= 0 else max(2, math.ceil(1 / share))


def enough(sd: float, difference: float, overlap: float = 0.0) -> int | None:
    """The fewest values whose `resolvable` difference is no larger than this one; None where no number is enough.

    `needed` by t quantiles in place of normal ones: a few values more, and the same for many.
    """
    least = needed(sd, difference, overlap)
    if least is None:
        return None
    return bisect.bisect_left(range(8 * least + 50), True, lo=least, key=lambda n: resolvable(sd, n, overlap) <= difference)
