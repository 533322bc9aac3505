"""Estimates of means: intervals, tests, and the number of values that a difference takes to show.

All functions take numbers or arrays alike, so that one call judges a thousand comparisons.
"""

import bisect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from studies.analysis import distributions

ALPHA = 0.05  # level of every test; intervals are those of 95%
SKEWED = 2.5  # times the shift of t by skewness: chosen on 660 data sets of `make calibration`, 20 resampled repeats each
POWER = 0.8  # of what is called resolvable: a difference that would show four times in five
MOST = 100_000  # values that are thought of

Numbers = NDArray[np.float64]


class Estimate(NamedTuple):
    """A mean, the sd and the number of its values, its standard error with degrees of freedom, 95% interval, and p of 0.

    Without an error above 0 there is no interval, and `p` is that of the sign test.
    """

    mean: Any
    sd: Any
    count: Any
    error: Any
    freedom: Any
    ci_low: Any
    ci_high: Any
    p: Any


@dataclass(frozen=True)
class Moments:
    """Moments of values x_pj of places p = 1..F (folds, repeats) by judged rows j = 1..n, from which their mean is estimated.

    `sd` is over places, of their means over rows; `row_sd` over rows, of their means over places (both with ddof 1); `square`
    the mean of x^2, NaN where it is not known. Where `rows` is 0, nothing is known of single rows. `skew` is the `skewness`
    over places, 0 to take them for symmetric.
    """

    mean: Any
    sd: Any
    count: Any
    rows: int = 0
    row_sd: Any = 0.0
    square: Any = 0.0
    skew: Any = 0.0


def estimate(values: ArrayLike, overlap: float = 0.0) -> Estimate:
    """The mean over the last axis of `values (..., n)`; `overlap` as in `from_moments`.

    Raises ValueError for fewer than two values, or any that is not finite.

    >>> found = estimate([1.0, 2.0, 3.0])
    >>> [round(float(number), 2) for number in (found.mean, found.ci_low, found.ci_high)]
    [2.0, -0.48, 4.48]
    """
    values = np.asarray(values, dtype=float)
    if values.ndim < 1 or values.shape[-1] < 2 or not np.isfinite(values).all():
        raise ValueError(f"a mean is estimated from two or more finite values, not {values}")
    return from_moments(values.mean(-1), values.std(-1, ddof=1), values.shape[-1], overlap)


def from_moments(mean: Any, sd: Any, count: Any, overlap: float = 0.0) -> Estimate:  # noqa: ANN401
    """t = mean / (sd sqrt(1 / n + overlap)), with n - 1 degrees of freedom; `sd` has ddof 1.

    `overlap` is the term of Nadeau and Bengio 2003, test rows by training rows, for errors on left-out folds; else 0.
    """
    return crossed(Moments(mean, sd, count), overlap)


def crossed(moments: Moments, overlap: float = 0.0) -> Estimate:
    """The mean of a crossed design: places and judged rows are both drawn at random (Cornfield and Tukey 1956).

    variance = A + B - C with A = sd^2 (1 / F + overlap), B = row_sd^2 / n, and C = MS / (F n) of the interaction, which A and
    B both contain; at least A and at least B. Degrees of freedom by Satterthwaite 1946, from A and B. Where places are
    independent and nothing is known of rows, the error is that of `_for_skewness`.
    """
    mean, sd, count = (np.asarray(each, dtype=float) for each in (moments.mean, moments.sd, moments.count))
    with np.errstate(divide="ignore", invalid="ignore"):
        by_place = sd**2 * (1 / count + overlap)
        variance, freedom = by_place, count - 1
        if moments.rows > 1:
            n, row_sd = moments.rows, np.asarray(moments.row_sd, dtype=float)
            by_row = row_sd**2 / n
            total = count * n * (np.asarray(moments.square, dtype=float) - mean**2)
            interaction = total - n * (count - 1) * sd**2 - count * (n - 1) * row_sd**2
            both = np.nan_to_num(np.maximum(interaction, 0)) / ((count - 1) * (n - 1)) / (count * n)
            variance = np.maximum(by_place + by_row - both, np.maximum(by_place, by_row))
            freedom = np.minimum(variance**2 / (by_place**2 / (count - 1) + by_row**2 / (n - 1)), n - 1)
        elif not overlap:
            variance = by_place * _for_skewness(moments.skew, count) ** 2
        # Means of equal numbers that were added in another order differ in the last digits.
        error = np.where(np.sqrt(variance) > 1e-9 * np.maximum(np.abs(mean), 1e-3), np.sqrt(variance), variance * 0)
        error = np.where(count > 1, error, np.nan)
        spread = error > 0
        half = np.where(spread, distributions.t_ppf(1 - ALPHA / 2, np.where(spread, freedom, 1)) * error, np.nan)
        tested = 2 * distributions.t_sf(np.abs(mean) / np.where(spread, error, 1), np.where(spread, freedom, 1))
        p = np.where(spread, tested, np.where(mean == 0, 1.0, 2.0 ** (1.0 - count)))
        p = np.where(np.isfinite(error), p, np.nan)
    found = (mean, sd, count, error, np.where(spread, freedom, np.nan), mean - half, mean + half, p)
    return Estimate(*(each if np.ndim(each) else float(each) for each in found))


def skewness(values: Numbers) -> Numbers:
    """The skewness m3 / m2^1.5 of the finite ones of values `(..., n)` over the last axis; 0 where these are equal."""
    there = np.isfinite(values)
    count = np.maximum(there.sum(-1, keepdims=True), 1)
    off = np.where(there, values - np.where(there, values, 0).sum(-1, keepdims=True) / count, 0)
    second, third = ((off**power).sum(-1) / count[..., 0] for power in (2, 3))
    return np.where(second > 0, third / np.where(second > 0, second, 1) ** 1.5, 0)


def _for_skewness(skew: ArrayLike, count: Numbers) -> Numbers:
    """The factor of a standard error that covers the skewness g of its values: 1 + `SKEWED` |g| (1 + 2 z^2) / (6 z sqrt(n)).

    The mean of few skewed values, of a model that rarely fails, lies off the truth on the side where their sd is small: t is
    off by g (1 + 2 t^2) / (6 sqrt(n)) (Johnson 1978). A sample shows less skewness than it was drawn from; so `SKEWED` times as
    much is taken, on both sides, at the normal quantile z of 95%.
    """
    quantile = distributions.norm_ppf(1 - ALPHA / 2)
    return np.asarray(1 + SKEWED * np.abs(skew) * (1 + 2 * quantile**2) / (6 * quantile * np.sqrt(count)))


def within(found: Estimate, low: float = 0.0, high: float = 100.0) -> Estimate:
    """The estimate of a mean with an interval that stays between the lowest and the highest value there can be.

    * Between two bounds Wilson's interval of the share s = (mean - low) / (high - low), with the effective sample size
      n* = s (1 - s) / error^2 in the place of n, and the quantile of t in that of the normal (as for shares in surveys, Dean
      and Pagano 2015). It is wider towards the middle, and never empty.
    * Above one bound the t interval of the logarithm of the distance d to it, whose error is error / d by the delta method;
      below one likewise.
    * Without bounds the t interval that it has.
    """
    mean, error = np.asarray(found.mean, dtype=float), np.asarray(found.error, dtype=float)
    if math.isinf(low) and math.isinf(high):
        return found
    with np.errstate(divide="ignore", invalid="ignore"):
        quantile = distributions.t_ppf(1 - ALPHA / 2, found.freedom)
        inside = (error > 0) & (mean > low) & (mean < high)
        if math.isinf(low) or math.isinf(high):
            bound, away = (high, -1) if math.isinf(low) else (low, 1)
            distance = np.where(inside, np.abs(mean - bound), np.nan)
            reach = np.exp(quantile * error / distance)
            ends = [bound + away * distance * factor for factor in ((1 / reach, reach) if away > 0 else (reach, 1 / reach))]
        else:
            share = (mean - low) / (high - low)
            size = np.where(inside, share * (1 - share) * (high - low) ** 2 / np.where(inside, error, 1) ** 2, np.nan)
            ends = [low + (high - low) * each for each in wilson_ends(share, size, quantile)]
    return found._replace(
        **dict(zip(("ci_low", "ci_high"), (each if each.ndim else float(each) for each in ends), strict=True))
    )


def wilson_ends(share: Any, size: Any, quantile: Any) -> tuple[Numbers, Numbers]:  # noqa: ANN401
    """The ends of Wilson's interval of a share (1927): (s + q^2 / 2n -+ q sqrt(s (1 - s) / n + q^2 / 4n^2)) / (1 + q^2 / n)."""
    term = np.asarray(quantile**2 / size, dtype=float)
    half = np.sqrt(term * share * (1 - share) + term**2 / 4)
    ends = ((share + term / 2 + sign * half) / (1 + term) for sign in (-1, 1))
    low, high = (np.clip(each, 0, 1) for each in ends)
    return low, high


def rate(values: Numbers, trials: ArrayLike) -> tuple[Numbers, Numbers]:
    """The 95% interval of a share by its `values (..., n)` in n places of equal size, of `trials` trials in all, in percent.

    Wilson's with the effective sample size of the spread over places, at most the number of trials: trials of one place fail
    together. None where the share is the same in every place.
    """
    found = estimate(values)
    share = np.asarray(found.mean, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.minimum(share * (1 - share) / np.square(found.error), np.asarray(trials, dtype=float))
        size = np.where(np.asarray(found.error) > 0, size, np.nan)
        low, high = wilson_ends(share, size, distributions.t_ppf(1 - ALPHA / 2, values.shape[-1] - 1))
    return 100 * low, 100 * high


def rope_probabilities(found: Estimate, margin: float) -> tuple[Numbers, Numbers, Numbers]:
    """The probability of lying below -margin, within it, and above it; NaN where nothing varies.

    The posterior under a flat prior: t about the mean, scaled by its standard error (Corani and Benavoli 2015).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.where(np.asarray(found.error) > 0, found.error, np.nan)
        below = distributions.t_cdf((-margin - found.mean) / error, found.freedom)
        above = distributions.t_sf((margin - found.mean) / error, found.freedom)
    return below, 1 - below - above, above


def equivalent(found: Estimate, margin: float, alpha: ArrayLike = ALPHA) -> NDArray[np.bool_]:
    """True where a difference is shown to be within the margin, by two one-sided tests at `alpha` (Schuirmann 1987)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.abs(found.mean) + distributions.t_ppf(1 - np.asarray(alpha), found.freedom) * found.error
        return np.asarray(reach < margin)


def holm(p: ArrayLike) -> Numbers:
    """max over j <= i of min(1, (m - j + 1) p_(j)) for the i-th smallest of m p-values, in the order given (Holm 1979).

    NaN is no test: it stays, and is not counted.

    >>> holm([0.01, 0.04, np.nan]).tolist()
    [0.02, 0.04, nan]
    """
    values = np.asarray(p, dtype=float)
    order = np.argsort(values, kind="stable")[: np.isfinite(values).sum()]
    adjusted = np.full_like(values, np.nan)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(values[order] * np.arange(len(order), 0, -1)))
    return adjusted


def prior_of_variances(variances: Numbers, freedom: float) -> tuple[float, float]:
    """Degrees of freedom d0 (inf: all are equal) and variance s0^2 of the prior of many variances (Smyth 2004).

    Method of moments on their logarithms: trigamma(d0 / 2) = var(log s^2) - trigamma(freedom / 2).
    """
    logs = np.log(variances[variances > 0])
    if len(logs) < 3:
        return 0.0, 1.0
    shifted = logs - special.digamma(freedom / 2) + math.log(freedom / 2)
    excess = float(shifted.var(ddof=1) - special.polygamma(1, freedom / 2))
    if excess <= special.polygamma(1, 5e5):
        return math.inf, math.exp(shifted.mean())
    from scipy import optimize  # with much that nothing else needs

    half = optimize.brentq(lambda x: special.polygamma(1, x) - excess, 1e-6, 1e6)
    return 2 * half, math.exp(shifted.mean() + special.digamma(half) - math.log(half))


def exact_bounds(count: int, total: int) -> tuple[float, float]:
    """The lower and the upper one-sided 95% bound of a share, each on its own (Clopper and Pearson 1934)."""
    from scipy import stats  # takes up to a second to import

    low = stats.binomtest(count, total, alternative="greater").proportion_ci(1 - ALPHA).low
    high = stats.binomtest(count, total, alternative="less").proportion_ci(1 - ALPHA).high
    return float(low), float(high)


def resolvable(sd: float, count: int, overlap: float = 0.0, row_error: float = 0.0) -> float:
    """(t_.975 + t_.8) sqrt(sd^2 (1 / n + overlap) + row_error^2): the difference that a mean shows four times in five.

    Args:
        sd: Of the `count` values.
        count: Values, from 2.
        overlap: As in `from_moments`.
        row_error: Standard error of the mean from the judged rows alone; with it, degrees of freedom are Satterthwaite's.
    """
    by_place = sd**2 * (1 / count + overlap)
    variance = by_place + row_error**2
    return detectable(math.sqrt(variance), (count - 1) * (variance / by_place) ** 2 if by_place else math.inf)


def detectable(error: float, freedom: float) -> float:
    """(t_.975 + t_.8) times a standard error: the difference that it shows four times in five."""
    return float((distributions.t_ppf(1 - ALPHA / 2, freedom) + distributions.t_ppf(POWER, freedom)) * error)


def least_count(reach: Callable[[int], float], difference: float, least: int = 2) -> int | None:
    """Smallest number of values, from `least` to `MOST`, whose detectable difference is at most this one; None if none is.

    `reach` is the detectable difference by number of values; it decreases.
    """
    counts = range(least, MOST + 1)
    place = bisect.bisect_left(counts, True, key=lambda count: reach(count) <= difference)
    return counts[place] if place < len(counts) else None


def needed(sd: float, difference: float, overlap: float = 0.0) -> int | None:
    """n = 1 / ((difference / 2.8 sd)^2 - overlap): the values that show a difference four times in five, where they are many.

    None where no number of values would. `least_count` is exact where they are few.
    """
    if not sd:
        return 2
    share = (difference / ((distributions.norm_ppf(1 - ALPHA / 2) + distributions.norm_ppf(POWER)) * sd)) ** 2 - overlap
    return None if share <= 0 else max(2, math.ceil(1 / share))
