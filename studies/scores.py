"""Scores: the errors of a reading's configurations by trial and by judged row, and estimates of whatever is averaged of them.

Every interval and test of the suite on errors comes from here: of a configuration, of a level, of a difference, of an effect.
Trials are drawn at random, and where all are judged on the same rows, so are these: see `estimates.crossed`.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from studies.errors import UserError
from studies.estimates import ALPHA, Estimate, Moments, Numbers, crossed, prior_of_variances
from studies.outcomes import in_percent, judged_on
from studies.sampling import Sampling
from studies.wrong import Bits, unpack

SHARED = ("seed", "n_train", "n_val", "n_test")  # equal for trials of one (repeat, fold) if they are paired
DRAWS = 1000  # resamples of a family of contrasts
GUESSING = 0.25  # of the weight of a sum, from which on configurations that guess leave it without an interval
ALIKE = 10  # configurations from which on the variance of a pair is shrunken to that of the others
ALL_PAIRS = 1000  # configurations at most whose pairs are resampled; beyond, Bonferroni's bound stands in
_CHUNK = 4_000_000  # bits unpacked at a time
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Scores:
    """Errors in percent, `errors (configurations, places)`, NaN where a trial failed; a place is a value that counts as one.

    `repeats (places,)` is the repeat that each place belongs to. `guessing (configurations,)`: where models are judged on the
    folds that they left out, those that mostly got stuck. A model that guesses the majority of its training rows errs more on
    the fold that it left out than on new rows, so these have no interval.
    `wrong (configurations, places, bytes)` are the bits of the judged rows where all trials are judged on the same ones, else
    None.
    """

    configs: pd.Index
    errors: Numbers
    repeats: Indices
    wrong: Bits | None
    sampling: Sampling
    guessing: NDArray[np.bool_]

    @property
    def complete(self) -> NDArray[np.bool_]:
        """Configurations that lack no value."""
        return np.asarray(np.isfinite(self.errors).all(1))

    def take(self, rows: Indices | NDArray[np.bool_]) -> "Scores":
        """The scores of some configurations."""
        return replace(
            self,
            configs=self.configs[rows],
            errors=self.errors[rows],
            guessing=self.guessing[rows],
            wrong=None if self.wrong is None else self.wrong[rows],
        )

    @property
    def means(self) -> Numbers:
        """Mean error of each configuration; equal errors have equal means, in whatever order they were added."""
        return self.errors.mean(1).round(9)

    @cached_property
    def row_means(self) -> Numbers:
        """Mean error of each configuration on each judged row, `(configurations, rows)`; no rows where they are not shared.

        A configuration that lacks a trial has the mean of the others.
        """
        if self.wrong is None:
            return np.zeros((len(self.configs), 0))
        found = np.zeros((len(self.configs), self.sampling.rows))
        for part in self._parts():
            for place in range(self.errors.shape[1]):
                found[part] += self._unpacked(part, place)
        return 100 * found / np.maximum(np.isfinite(self.errors).sum(1, keepdims=True), 1)

    def _parts(self) -> Iterator[slice]:
        size = max(1, _CHUNK // max(1, self.sampling.rows))
        return (slice(start, start + size) for start in range(0, len(self.configs), size))

    def _unpacked(self, part: slice, place: int) -> NDArray[np.uint8]:
        """The wrong rows of some configurations at one place, as 0 and 1."""
        assert self.wrong is not None
        return np.unpackbits(self.wrong[part, place], axis=-1, count=self.sampling.rows)

    def each(self) -> "Contrasts":
        """The errors themselves, where nothing is taken away from them."""
        return Contrasts(self, self.errors, self.row_means, 100 * self.errors.mean(1), self.guessing)

    def less(self, other: "Scores") -> "Contrasts":
        """The error of each configuration less that of its partner in other scores of as many."""
        both = replace(
            self,
            configs=pd.RangeIndex(2 * len(self.configs)),
            errors=np.vstack([self.errors, other.errors]),
            guessing=np.concatenate([self.guessing, other.guessing]),
            wrong=None if self.wrong is None or other.wrong is None else np.concatenate([self.wrong, other.wrong]),
        )
        own = np.arange(len(self.configs))
        return both.pairs(own, own + len(own))

    def estimate_each(self) -> Estimate:
        """The mean error of each configuration, over the trials that did not fail."""
        count = np.isfinite(self.errors).sum(1)
        # A trial that failed has no wrong rows, and no weight.
        filled = np.where(np.isfinite(self.errors), self.errors, 0.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = filled.sum(1) / count
            deviations = np.where(np.isfinite(self.errors), self.errors - mean[:, None], 0.0)
            sd = np.sqrt((deviations**2).sum(1) / (count - 1))
        return _blanked(self._estimated(mean.round(9), sd, count, self.row_means, 100 * mean), self.guessing)

    def estimate_groups(self, groups: Sequence[Indices]) -> Estimate:
        """The mean error of groups of configurations, at each place over those that did not fail there."""
        there = np.isfinite(self.errors)
        filled = np.where(there, self.errors, 0.0)
        weights = np.zeros((len(groups), len(self.configs)))
        for index, group in enumerate(groups):
            weights[index, group] = 1.0
        with np.errstate(invalid="ignore"):
            values = (weights @ filled) / (weights @ there)
        known = np.isfinite(values)
        count = known.sum(1)
        rows, square = np.zeros((len(groups), self.row_means.shape[1])), np.zeros(len(groups))
        for place in range(self.errors.shape[1]) if self.wrong is not None else ():
            by_row = self._weighted(weights * there[:, place], place)
            with np.errstate(invalid="ignore", divide="ignore"):
                by_row = np.nan_to_num(by_row / (weights @ there[:, place])[:, None])
            rows += by_row
            square += (by_row**2).mean(1)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(known, values, 0.0).sum(1) / count
            sd = np.sqrt((np.where(known, values - mean[:, None], 0.0) ** 2).sum(1) / (count - 1))
            found = self._estimated(mean.round(9), sd, count, rows / count[:, None], square / count)
        return _blanked(found, self._mostly_guessing(weights))

    def contrast(self, weights: Numbers) -> "Contrasts":
        """Sums of errors with `weights (contrasts, configurations)` that add up to 0; NaN where a trial with weight failed."""
        used = weights != 0
        broken = (used & ~self.complete).any(1)
        values = weights @ np.where(np.isfinite(self.errors), self.errors, 0.0)
        values[broken] = np.nan
        rows, square = weights @ self.row_means, np.zeros(len(weights))
        if self.wrong is not None:
            for place in range(self.errors.shape[1]):
                square += (self._weighted(weights, place) ** 2).mean(1)
        return Contrasts(self, values, rows, square / max(1, self.errors.shape[1]), self._mostly_guessing(weights))

    def _mostly_guessing(self, weights: Numbers) -> NDArray[np.bool_]:
        """Sums in which over `GUESSING` of the weight is on configurations that guess."""
        return np.asarray(np.abs(weights) @ self.guessing > GUESSING * np.abs(weights).sum(1))

    def _weighted(self, weights: Numbers, place: int) -> Numbers:
        """`weights (m, configurations)` times the errors at one place, `(m, rows)` in percent."""
        found = np.zeros((len(weights), self.sampling.rows))
        for part in self._parts():
            found += weights[:, part] @ self._unpacked(part, place)
        return 100 * found

    def pairs(self, one: Indices, other: Indices) -> "Contrasts":
        """The error of each of `one` less that of its partner in `other`, both positions of configurations."""
        values = self.errors[one] - self.errors[other]
        rows = self.row_means[one] - self.row_means[other]
        square = np.zeros(len(one))
        if self.wrong is not None:
            size = max(1, 8 * _CHUNK // max(1, self.wrong[0].size))
            for start in range(0, len(one), size):
                part = slice(start, start + size)
                different = np.bitwise_count(self.wrong[one[part]] ^ self.wrong[other[part]]).sum((1, 2), dtype=np.int64)
                square[part] = 100.0**2 * different / (self.errors.shape[1] * self.sampling.rows)
        return Contrasts(self, values, rows, square, self.guessing[one] | self.guessing[other])

    def _estimated(self, mean: Numbers, sd: Numbers, count: Numbers, rows: Numbers, square: Numbers) -> Estimate:
        number = rows.shape[1]
        row_sd = rows.std(1, ddof=1) if number > 1 else np.zeros(len(mean))
        return crossed(Moments(mean, sd, count, number, row_sd, square), self.sampling.overlap)

    @cached_property
    def all_pairs(self) -> "Family":
        """The family of all pairs of configurations that lack no value: one answer for a pair, whichever table shows it."""
        scores = self.take(self.complete)
        count = len(scores.configs)
        pairs = count * (count - 1) // 2
        if count < 2 or scores.errors.shape[1] < 2:
            return Family(pairs)
        fitted = scores._residuals[np.linspace(0, count - 1, min(count, ALL_PAIRS)).round().astype(int)]
        of_places = fitted[:, : scores.errors.shape[1]]
        squares = _distances(of_places @ of_places.T)
        freedom = scores.errors.shape[1] - 1
        scale = scores.errors.shape[1] / (1 + scores.errors.shape[1] * self.sampling.overlap)
        prior = (0.0, 1.0)
        if count >= ALIKE:
            prior = prior_of_variances(squares[np.triu_indices(len(squares), 1)] * scale, freedom)
        if count > ALL_PAIRS:
            return Family(pairs, prior=prior)
        # What all configurations share at a place is in no difference, and would pass for correlation.
        apart = of_places - np.median(of_places, 0)
        fitted = np.hstack([_less_correlated(apart), fitted[:, apart.shape[1] :]])
        errors = np.sqrt(_distances(fitted @ fitted.T)).astype(np.float32)
        with np.errstate(divide="ignore"):
            inverse = np.where(errors > 0, 1 / errors, 0).astype(np.float32)
        largest = [float((np.abs(draw[:, None] - draw) * inverse).max()) for draw in _drawn(fitted)]
        return Family(pairs, tuple(np.sort(largest).tolist()), prior)

    @property
    def _residuals(self) -> Numbers:
        return _residuals(self.errors, self.row_means, self.sampling.overlap)


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
        return min(ALPHA, max(bonferroni, float(2 * stats.norm.sf(self.largest[min(place, len(self.largest) - 1)]))))

    def adjusted(self, p: Numbers) -> Numbers:
        """The p-values adjusted for all tests of the family, none below its own."""
        bonferroni = np.minimum(1, p * max(1, self.tests))
        if not self.largest:
            return bonferroni
        beyond = len(self.largest) - np.searchsorted(self.largest, stats.norm.isf(np.minimum(p, 1) / 2), side="left")
        resampled = (1 + beyond) / (len(self.largest) + 1)
        return np.where(np.isfinite(p), np.maximum(p, np.minimum(bonferroni, resampled)), np.nan)


@dataclass(frozen=True)
class Contrasts:
    """Contrasts of scores: `by_place (contrasts, places)`, `by_row (contrasts, rows)`, and mean `square` of one by one."""

    scores: Scores
    by_place: Numbers
    by_row: Numbers
    square: Numbers
    blank: NDArray[np.bool_]

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
        moments = Moments(mean, self.by_place.std(1, ddof=1), count, number, row_sd, self.square)
        found = _blanked(crossed(moments, self.scores.sampling.overlap), self.blank)
        if family is None:
            return found
        found = _blanked(_shrunken(moments, found, self.scores.sampling.overlap, family.prior), self.blank)
        with np.errstate(invalid="ignore"):
            half = stats.t.ppf(1 - family.alpha / 2, found.freedom) * found.error
        return found._replace(
            ci_low=np.maximum(mean - half, -100), ci_high=np.minimum(mean + half, 100), p=family.adjusted(np.asarray(found.p))
        )

    def by_repeat(self) -> "Contrasts":
        """The contrasts with one value for each repeat, the mean over its folds: where a repeat is what varies as a whole.

        How rows differ from repeat to repeat is then not known, and not taken away from the variance.
        """
        of = self.scores.repeats
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
        residuals = _residuals(self.by_place[known], self.by_row[known], self.scores.sampling.overlap)
        count = self.by_place.shape[1]
        residuals = np.hstack([_less_correlated(residuals[:, :count]), residuals[:, count:]])
        errors = np.sqrt((residuals**2).sum(1))
        with np.errstate(divide="ignore", invalid="ignore"):
            scaled = np.where(errors[:, None] > 0, residuals / errors[:, None], 0)
        return Family(tests, tuple(np.sort([float(np.abs(draw).max()) for draw in _drawn(scaled)]).tolist()))


def _blanked(found: Estimate, blank: NDArray[np.bool_]) -> Estimate:
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
        p = np.where(spread, 2 * stats.t.sf(np.abs(moments.mean) / np.sqrt(total), combined), found.p)
    return found._replace(error=np.sqrt(total), freedom=np.where(spread, combined, np.nan), p=p)


def _residuals(values: Numbers, rows: Numbers, overlap: float) -> Numbers:
    """Factors Z `(m, places + rows)` of the covariance Z Z' of means: what resamples give random weights."""
    count, number = values.shape[1], rows.shape[1]
    of_places = (values - values.mean(1, keepdims=True)) * math.sqrt((1 / count + overlap) / max(1, count - 1))
    if number < 2:
        return of_places
    return np.hstack([of_places, (rows - rows.mean(1, keepdims=True)) / math.sqrt(number * (number - 1))])


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


def _distances(products: Numbers) -> Numbers:
    """Squared distances |z_i - z_j|^2 from inner products."""
    own = np.diag(products)
    return np.maximum(own[:, None] + own - 2 * products, 0)


def of(trials: pd.DataFrame, sampling: Sampling) -> Scores:
    """The scores of the trials of one reading.

    Raises UserError where trials of one (repeat, fold) have other rows or another seed: they could not be compared.
    """
    _require_paired(trials)
    trials = in_percent(trials)
    errors = trials.set_index(["config", "repeat", "fold"])[f"{judged_on(trials)}_pct"]
    samples = sampling.samples(errors, skipna=False)
    table = samples.unstack(list(samples.index.names[1:])).sort_index(axis=1)  # noqa: PD010
    table = table.loc[trials["config"].unique()]
    bits = None
    if sampling.shared_rows and "wrong" in trials and trials.loc[~trials["failed"], "wrong"].notna().all():
        bits = np.zeros((*table.shape, math.ceil(sampling.rows / 8)), dtype=np.uint8)
        config = table.index.get_indexer(trials["config"])
        keys = trials[["repeat", "fold"]].astype(int)
        place = _places(table.columns, keys)
        for row, column, text in zip(config, place, trials["wrong"], strict=True):
            if isinstance(text, str):
                bits[row, column] = unpack(text)
    repeats = table.columns.get_level_values("repeat").to_numpy(dtype=np.int64)
    stuck = trials["stuck"].fillna(False).astype(float).groupby(trials["config"]).mean().loc[table.index].to_numpy(dtype=float)
    return Scores(table.index, table.to_numpy(), repeats, bits, sampling, (stuck > 0.5) & sampling.left_out)


def _places(columns: pd.Index, keys: pd.DataFrame) -> Indices:
    if columns.nlevels == 1:
        return columns.get_indexer(keys["repeat"])
    return columns.get_indexer(pd.MultiIndex.from_frame(keys))


def _require_paired(trials: pd.DataFrame) -> None:
    places = trials.groupby(["repeat", "fold"])
    for column in SHARED:
        counts = places[column].nunique()
        if (counts > 1).any():
            repeat, fold = counts.idxmax()
            one, other = places.get_group((repeat, fold))[column].dropna().unique()[:2]
            raise UserError(
                f"configurations are compared on equal splits, rows and seeds: in repeat {repeat}, fold {fold}, {column} is "
                f"{one} for some and {other} for others; train them again by one study, with --force"
            )
