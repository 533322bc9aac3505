"""Contrasts of errors, each for itself or as one of a family: simultaneous intervals and adjusted p-values."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from studies.analysis import distributions
from studies.analysis.estimates import ALPHA, Estimate, Moments, Numbers, crossed, prior_of_variances, skewness

DRAWS = 2000  # resamples of a family of contrasts
ALIKE = 10  # configurations from which on the variance of a pair is shrunken to that of the others
RESAMPLED = 1000  # configurations at most that are resampled; beyond, Bonferroni's bound stands in
LEADING = 12  # configurations of the lowest mean errors that are compared each with each

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Family:
    """Tests that are adjusted together: their number, the largest |t| of each resample in order, and the prior of variances.

    Single-step max-t (Westfall and Young 1993): under the null of all, resampled contrasts are normal with the covariance that
    was observed. An adjusted p is below 5% exactly where the interval leaves out 0.
    """

    tests: int
    largest: tuple[float, ...] = ()
    prior: tuple[float, float] = (0.0, 1.0)

    @property
    def alpha(self) -> float:
        """The level of each test at which the family holds `ALPHA`."""
        bonferroni = ALPHA / max(1, self.tests)
        if not self.largest:
            return bonferroni
        place = math.ceil((1 - ALPHA) * (len(self.largest) + 1)) - 1
        return min(ALPHA, max(bonferroni, float(2 * distributions.norm_sf(self.largest[min(place, len(self.largest) - 1)]))))

    def adjusted(self, p: Numbers) -> Numbers:
        """The p-values adjusted for all tests of the family, none below its own."""
        bonferroni = np.minimum(1, p * max(1, self.tests))
        if not self.largest:
            return bonferroni
        beyond = len(self.largest) - np.searchsorted(self.largest, distributions.norm_isf(np.minimum(p, 1) / 2), side="left")
        resampled = (1 + beyond) / (len(self.largest) + 1)
        return np.where(np.isfinite(p), np.maximum(p, np.minimum(bonferroni, resampled)), np.nan)


def family_of_leading(by_place: Numbers, by_row: Numbers, overlap: float, means: Numbers, baseline: int | None) -> Family:
    """The family of the pairs that tables show: each with the best, each with the baseline, and the `LEADING` each with each.

    The best and the leading are chosen by their means, so in each resample they are those of its own means (multiple
    comparisons with the best, Hsu 1984, by resampling), and those that were observed too.

    Args:
        by_place: Values of which lower ones are better, `(configurations, places)`.
        by_row: Their means by judged row, `(configurations, rows)`.
        overlap: As in `estimates.from_moments`.
        means: Their means, `(configurations,)`.
        baseline: The position of the baseline.
    """
    count, places = by_place.shape
    leading = min(LEADING, count)
    tests = count * (count - 1) // 2  # for Bonferroni's bound: any pair could have been the one with the best
    if count < 2 or places < 2:
        return Family(tests)
    residuals = _residuals(by_place, by_row, overlap)[np.linspace(0, count - 1, min(count, RESAMPLED)).round().astype(int)]
    of_places, of_rows = residuals[:, :places], residuals[:, places:]
    prior = (0.0, 1.0)
    if count >= ALIKE:
        squares = _distances(of_places)[np.triu_indices(len(residuals), 1)]
        prior = prior_of_variances(squares / (1 / places + overlap), places - 1)
    if count > RESAMPLED:
        return Family(tests, prior=prior)
    # What all configurations share at a place is in no difference, and would pass for correlation.
    apart = of_places - np.median(of_places, 0)
    residuals = np.hstack([_less_correlated(_less_unequal(apart) if count >= ALIKE else apart), of_rows])
    errors = np.sqrt(_distances(residuals)).astype(np.float32)
    with np.errstate(divide="ignore"):
        inverse = np.where(errors > 0, 1 / errors, 0).astype(np.float32)
    observed = np.argsort(means, kind="stable")[:leading]
    fixed = [observed[0]] if baseline is None else [observed[0], baseline]
    largest = []
    for draw in _drawn(residuals):
        drawn = np.argsort(draw)[:leading]
        one = np.array([*fixed, drawn[0]])
        found = (np.abs(draw[one, None] - draw) * inverse[one]).max()
        for own in (observed, drawn):
            found = max(found, (np.abs(draw[own, None] - draw[own]) * inverse[np.ix_(own, own)]).max())
        largest.append(float(found))
    return Family(tests, tuple(sorted(largest)), prior)


@dataclass(frozen=True)
class Contrasts:
    """Contrasts of scores: `by_place (contrasts, places)`, `by_row (contrasts, rows)`, and mean `square` of one by one.

    No difference is larger than `reach`. `paired`: differences of two configurations, whose skewness counts; sums over many
    have little.
    """

    by_place: Numbers
    by_row: Numbers
    square: Numbers
    blank: NDArray[np.bool_]
    repeats: Indices
    overlap: float
    reach: float = math.inf
    paired: bool = False

    def estimate(self, family: Family | None = None) -> Estimate:
        """The mean of each contrast, each for itself or as one of a family: intervals hold together, and p is adjusted.

        In a family the variance over places is shrunken to the prior of all its variances (Smyth 2004), if it has one.
        """
        count = self.by_place.shape[1]
        mean = self.by_place.mean(1).round(9)
        if count < 2:
            return crossed(Moments(mean, np.full(len(mean), np.nan), count))
        number = self.by_row.shape[1]
        row_sd = self.by_row.std(1, ddof=1) if number > 1 else np.zeros(len(mean))
        skew = skewness(self.by_place) if self.paired else 0.0
        moments = Moments(mean, self.by_place.std(1, ddof=1), count, number, row_sd, self.square, skew)
        found = blanked(crossed(moments, self.overlap), self.blank)
        if family is None:
            return found
        found = blanked(_shrunken(moments, found, self.overlap, family.prior), self.blank)
        with np.errstate(invalid="ignore"):
            half = distributions.t_ppf(1 - family.alpha / 2, found.freedom) * found.error
        return found._replace(
            ci_low=np.maximum(mean - half, -self.reach),
            ci_high=np.minimum(mean + half, self.reach),
            p=family.adjusted(np.asarray(found.p)),
        )

    def by_repeat(self) -> "Contrasts":
        """The contrasts with one value for each repeat, the mean over its folds: where a repeat is what varies as a whole.

        How rows differ from repeat to repeat is then not known, and not taken away from the variance.
        """
        of = self.repeats
        if len(set(of.tolist())) == len(of):
            return self
        values = np.column_stack([self.by_place[:, of == repeat].mean(1) for repeat in sorted(set(of.tolist()))])
        return replace(self, by_place=values, square=np.full(len(values), np.nan))

    @property
    def family(self) -> Family:
        """These contrasts as a family of their own."""
        known = np.isfinite(self.by_place).all(1)
        tests = int(known.sum())
        if not tests or self.by_place.shape[1] < 2:
            return Family(tests)
        residuals = _residuals(self.by_place[known], self.by_row[known], self.overlap)
        count = self.by_place.shape[1]
        residuals = np.hstack([_less_correlated(residuals[:, :count]), residuals[:, count:]])
        errors = np.sqrt((residuals**2).sum(1))
        with np.errstate(divide="ignore", invalid="ignore"):
            scaled = np.where(errors[:, None] > 0, residuals / errors[:, None], 0)
        return Family(tests, tuple(np.sort([float(np.abs(draw).max()) for draw in _drawn(scaled)]).tolist()))


def blanked(found: Estimate, blank: NDArray[np.bool_]) -> Estimate:
    """The estimate without interval and p where these would not hold."""
    low, high, p, error = (np.where(blank, np.nan, each) for each in (found.ci_low, found.ci_high, found.p, found.error))
    return found._replace(ci_low=low, ci_high=high, p=p, error=error)


def _shrunken(moments: Moments, found: Estimate, overlap: float, prior: tuple[float, float]) -> Estimate:
    """The estimate with sd^2 replaced by (d0 s0^2 + d sd^2) / (d0 + d), d0 + d degrees of freedom."""
    added, common = prior
    freedom = moments.count - 1
    if not added:
        return found
    variance = (
        (added * common + freedom * moments.sd**2) / (added + freedom) if math.isfinite(added) else common + 0 * moments.sd
    )
    more = found.error**2 + (variance - moments.sd**2) * (1 / moments.count + overlap)
    by_row = moments.row_sd**2 / moments.rows if moments.rows else np.zeros_like(moments.sd)
    by_place = variance * (1 / moments.count + overlap)
    total = np.where(np.asarray(found.error) > 0, np.maximum(more, np.maximum(by_place, by_row)), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        places = 0.0 if math.isinf(added) else by_place**2 / (added + freedom)
        rows = by_row**2 / (moments.rows - 1) if moments.rows else 0.0
        combined = np.minimum(total**2 / (places + rows), 1e9)
        spread = total > 0
        p = np.where(spread, 2 * distributions.t_sf(np.abs(moments.mean) / np.sqrt(total), combined), found.p)
    return found._replace(error=np.sqrt(total), freedom=np.where(spread, combined, np.nan), p=p)


def _residuals(values: Numbers, rows: Numbers, overlap: float) -> Numbers:
    """Factors Z `(m, places + rows)` of the covariance Z Z' of means: what resamples give random weights."""
    count, number = values.shape[1], rows.shape[1]
    of_places = (values - values.mean(1, keepdims=True)) * math.sqrt((1 / count + overlap) / max(1, count - 1))
    if number < 2:
        return of_places
    return np.hstack([of_places, (rows - rows.mean(1, keepdims=True)) / math.sqrt(number * (number - 1))])


def _less_unequal(residuals: Numbers) -> Numbers:
    """Residuals `(m, places)` with variances that are shrunken to each other (Smyth 2004): the best need not look unsteady."""
    freedom = residuals.shape[1] - 1
    variances = (residuals**2).sum(1)
    added, common = prior_of_variances(variances, freedom)
    shrunken = np.full_like(variances, common)
    if math.isfinite(added):
        shrunken = (added * common + freedom * variances) / (added + freedom)
    with np.errstate(divide="ignore", invalid="ignore"):
        return residuals * np.nan_to_num(np.sqrt(shrunken / variances))[:, None]


def _less_correlated(residuals: Numbers) -> Numbers:
    """Residuals `(m, places)` whose correlations are shrunken towards 0, as far as they are those of so few places by chance.

    (1 - w) R + w I with w = sum var(r_ij) / sum r_ij^2 over i != j (Schaefer and Strimmer 2005), var(r) = (1 - r^2)^2 / (n - 1)
    but for its bias where r is 0: of few places, many contrasts look more alike than they are, and their largest smaller.
    """
    count, norms = residuals.shape[1], np.sqrt((residuals**2).sum(1))
    scaled = residuals[norms > 0] / norms[norms > 0, None]
    squared = np.minimum((scaled @ scaled.T) ** 2, 1)
    np.fill_diagonal(squared, np.nan)
    alike = np.nansum(squared)
    weight = 1.0
    if count > 2 and alike > 0:
        weight = min(1.0, float((count + 1) / (count * (count - 2)) * np.nansum((1 - squared) ** 2) / alike))
    return np.hstack([math.sqrt(1 - weight) * residuals, math.sqrt(weight) * np.diag(norms)])


def _drawn(residuals: Numbers) -> Iterator[NDArray[np.float32]]:
    """Normal resamples of means with these residuals, centred at 0: the multiplier bootstrap, from one seed."""
    rng = np.random.default_rng(0)
    # Any factor of the covariance does: the smaller the sooner.
    smaller = residuals.shape[1] > len(residuals)
    factors = np.asarray(np.linalg.qr(residuals.T, mode="r") if smaller else residuals.T, dtype=np.float32)
    for _ in range(0, DRAWS, 100):
        yield from rng.standard_normal((100, len(factors)), dtype=np.float32) @ factors


def _distances(residuals: Numbers) -> Numbers:
    """Squared distances |z_i - z_j|^2 of all pairs of residuals."""
    products = residuals @ residuals.T
    own = np.diag(products)
    return np.maximum(own[:, None] + own - 2 * products, 0)
