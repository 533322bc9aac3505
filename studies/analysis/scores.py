"""Scores: a reading's configurations by trial and by judged row in one measure, and estimates of whatever is averaged of it.

Every interval and test of the suite comes from here: of a configuration, of a level, of a difference, of an effect.
Trials are drawn at random, and where all are judged on the same rows, so are these: see `estimates.crossed`.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from studies.analysis.contrasts import LEADING, Contrasts, Family, Indices, blanked, family_of_leading
from studies.analysis.estimates import Estimate, Moments, Numbers, crossed
from studies.analysis.outcomes import judged_on, measured
from studies.data.measures import Measure
from studies.data.wrong import Bits, unpack
from studies.errors import UserError
from studies.spec.measures import MEASURES
from studies.spec.sampling import Sampling

SHARED = ("seed", "n_train", "n_val", "n_test")  # equal for trials of one (repeat, fold) if they are paired
GUESSING = 0.25  # of the weight of a sum, from which on configurations that guess leave it without an interval
MANY_PLACES = 100  # beyond, the interaction of places and rows, which makes intervals a little shorter, is left out of sums
_CHUNK = 4_000_000  # bits unpacked at a time


@dataclass(frozen=True)
class Scores:
    """A measure of configurations, `by_place (configurations, places)`, NaN where a trial failed; a place counts as one value.

    `repeats (places,)` is the repeat that each place belongs to. `guessing (configurations,)`: where models are judged on the
    folds that they left out, those that mostly got stuck. A model that guesses the majority of its training rows errs more on
    the fold that it left out than on new rows, so these have no interval. `baseline` is a configuration, where there is one.
    `wrong (configurations, places, bytes)` are the bits of the judged rows where all trials are judged on the same ones and the
    measure is the error, else None.
    """

    configs: pd.Index
    by_place: Numbers
    repeats: Indices
    wrong: Bits | None
    sampling: Sampling
    guessing: NDArray[np.bool_]
    baseline: str | None = None
    measure: Measure = MEASURES["error"]

    @property
    def complete(self) -> NDArray[np.bool_]:
        """Configurations that lack no value."""
        return np.asarray(np.isfinite(self.by_place).all(1))

    def take(self, rows: Indices | NDArray[np.bool_]) -> "Scores":
        """The scores of some configurations."""
        return replace(
            self,
            configs=self.configs[rows],
            by_place=self.by_place[rows],
            guessing=self.guessing[rows],
            wrong=None if self.wrong is None else self.wrong[rows],
        )

    @property
    def comparable(self) -> NDArray[np.bool_]:
        """Configurations that can be compared with others."""
        return self.complete

    @property
    def means(self) -> Numbers:
        """Mean of each configuration; equal values have equal means, in whatever order they were added."""
        return self.by_place.mean(1).round(9)

    @property
    def costs(self) -> Numbers:
        """The means, where higher is better with the other sign: the lowest is the best."""
        return self.measure.sign * self.means

    @cached_property
    def row_means(self) -> Numbers:
        """Mean error of each configuration on each judged row, `(configurations, rows)`; no rows where they are not shared.

        A configuration that lacks a trial has the mean of the others.
        """
        if self.wrong is None:
            return np.zeros((len(self.configs), 0))
        found = np.zeros((len(self.configs), self.sampling.rows))
        for part in self._parts():
            for place in range(self.by_place.shape[1]):
                found[part] += self._unpacked(part, place)
        return 100 * found / np.maximum(np.isfinite(self.by_place).sum(1, keepdims=True), 1)

    def _parts(self) -> Iterator[slice]:
        size = max(1, _CHUNK // max(1, self.sampling.rows))
        return (slice(start, start + size) for start in range(0, len(self.configs), size))

    def _unpacked(self, part: slice, place: int) -> NDArray[np.uint8]:
        """The wrong rows of some configurations at one place, as 0 and 1."""
        assert self.wrong is not None
        return np.unpackbits(self.wrong[part, place], axis=-1, count=self.sampling.rows)

    def each(self) -> Contrasts:
        """The errors themselves, where nothing is taken away from them."""
        return self._contrasts(self.by_place, self.row_means, 100 * self.by_place.mean(1), self.guessing)

    def less(self, other: "Scores") -> Contrasts:
        """The error of each configuration less that of its partner in other scores of as many."""
        both = replace(
            self,
            configs=pd.RangeIndex(2 * len(self.configs)),
            by_place=np.vstack([self.by_place, other.by_place]),
            guessing=np.concatenate([self.guessing, other.guessing]),
            wrong=None if self.wrong is None or other.wrong is None else np.concatenate([self.wrong, other.wrong]),
        )
        own = np.arange(len(self.configs))
        return both.pairs(own, own + len(own))

    def estimate_each(self) -> Estimate:
        """The mean error of each configuration, over the trials that did not fail."""
        count = np.isfinite(self.by_place).sum(1)
        # A trial that failed has no wrong rows, and no weight.
        filled = np.where(np.isfinite(self.by_place), self.by_place, 0.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = filled.sum(1) / count
            deviations = np.where(np.isfinite(self.by_place), self.by_place - mean[:, None], 0.0)
            sd = np.sqrt((deviations**2).sum(1) / (count - 1))
        return blanked(self._estimated(mean.round(9), sd, count, self.row_means, 100 * mean), self.guessing)

    def estimate_groups(self, groups: Sequence[Indices]) -> Estimate:
        """The mean error of groups of configurations, at each place over those that did not fail there."""
        weights = np.zeros((len(groups), len(self.configs)))
        for index, group in enumerate(groups):
            weights[index, group] = 1 / len(group)
        if self.complete.all():
            return self.contrast(weights).estimate()
        there = np.isfinite(self.by_place)
        with np.errstate(invalid="ignore", divide="ignore"):
            values = (weights @ np.where(there, self.by_place, 0.0)) / (weights @ there)
            count = np.isfinite(values).sum(1)
            mean = np.nan_to_num(values).sum(1) / count
            sd = np.sqrt((np.where(np.isfinite(values), values - mean[:, None], 0.0) ** 2).sum(1) / (count - 1))
            unknown = np.full(len(groups), np.nan)
            found = self._estimated(mean.round(9), sd, count, weights @ self.row_means, unknown)
        return blanked(found, self._mostly_guessing(weights))

    def contrast(self, weights: Numbers) -> Contrasts:
        """Sums of errors with `weights (contrasts, configurations)`; NaN where a trial with weight failed."""
        broken = ((weights != 0) & ~self.complete).any(1)
        values = weights @ np.where(np.isfinite(self.by_place), self.by_place, 0.0)
        values[broken] = np.nan
        places = self.by_place.shape[1]
        square = np.full(len(weights), np.nan)
        if self.wrong is not None and places <= MANY_PLACES:
            square = sum((self._weighted(weights, place) ** 2).mean(1) for place in range(places)) / places
        return self._contrasts(values, weights @ self.row_means, square, self._mostly_guessing(weights))

    def _mostly_guessing(self, weights: Numbers) -> NDArray[np.bool_]:
        """Sums in which over `GUESSING` of the weight is on configurations that guess."""
        return np.asarray(np.abs(weights) @ self.guessing > GUESSING * np.abs(weights).sum(1))

    def _weighted(self, weights: Numbers, place: int) -> Numbers:
        """`weights (m, configurations)` times the errors at one place, `(m, rows)` in percent."""
        found = np.zeros((len(weights), self.sampling.rows))
        for part in self._parts():
            found += weights[:, part] @ self._unpacked(part, place)
        return 100 * found

    def pairs(self, one: Indices, other: Indices) -> Contrasts:
        """The error of each of `one` less that of its partner in `other`, both positions of configurations."""
        values = self.by_place[one] - self.by_place[other]
        rows = self.row_means[one] - self.row_means[other]
        square = np.zeros(len(one))
        if self.wrong is not None:
            size = max(1, 8 * _CHUNK // max(1, self.wrong[0].size))
            for start in range(0, len(one), size):
                part = slice(start, start + size)
                different = np.bitwise_count(self.wrong[one[part]] ^ self.wrong[other[part]]).sum((1, 2), dtype=np.int64)
                square[part] = 100.0**2 * different / (self.by_place.shape[1] * self.sampling.rows)
        return replace(self._contrasts(values, rows, square, self.guessing[one] | self.guessing[other]), paired=True)

    def _contrasts(self, by_place: Numbers, by_row: Numbers, square: Numbers, blank: NDArray[np.bool_]) -> Contrasts:
        reach = self.measure.high - self.measure.low
        return Contrasts(by_place, by_row, square, blank, self.repeats, self.sampling.overlap, reach)

    def _estimated(self, mean: Numbers, sd: Numbers, count: Numbers, rows: Numbers, square: Numbers) -> Estimate:
        number = rows.shape[1]
        row_sd = rows.std(1, ddof=1) if number > 1 else np.zeros(len(mean))
        return crossed(Moments(mean, sd, count, number, row_sd, square), self.sampling.overlap)

    @cached_property
    def families(self) -> tuple[Family, Family]:
        """The family of the pairs that tables show (`contrasts.family_of_leading`), and, for others, that of all by Bonferroni.

        Configurations that lack a value are in neither.
        """
        known = np.flatnonzero(self.complete)
        start = np.flatnonzero(self.configs[known] == self.baseline)
        values, rows, costs = self.measure.sign * self.by_place[known], self.row_means[known], self.costs[known]
        shown = family_of_leading(values, rows, self.sampling.overlap, costs, int(start[0]) if len(start) else None)
        return shown, Family(len(known) * (len(known) - 1) // 2, prior=shown.prior)

    def estimate_alone(self, one: Indices, other: Indices) -> Estimate:
        """The value of each of `one` less that of its partner in `other`, each difference for itself."""
        return self.pairs(one, other).estimate()

    def estimate_pairs(self, one: Indices, other: Indices) -> tuple[Estimate, Numbers]:
        """The error of each of `one` less that of its partner in `other`, and the level of each test.

        A pair has the same intervals and p wherever it is asked for, those of its family.
        """
        contrasts = self.pairs(one, other)
        shown, rest = self.families
        order = np.argsort(np.where(self.complete, self.costs, np.inf), kind="stable")
        chosen = [*order[:1], *np.flatnonzero(self.configs == self.baseline)]
        leading = order[:LEADING]
        own = np.isin(one, chosen) | np.isin(other, chosen) | (np.isin(one, leading) & np.isin(other, leading))
        found = (contrasts.estimate(family) for family in (shown, rest))
        return Estimate(*(np.where(own, *each) for each in zip(*found, strict=True))), np.where(own, shown.alpha, rest.alpha)


def of(trials: pd.DataFrame, sampling: Sampling, baseline: str | None = None, measure: Measure = MEASURES["error"]) -> Scores:
    """The scores of the trials of one reading; `baseline` is the configuration that others are compared with.

    Raises UserError where trials of one (repeat, fold) have other rows or another seed: they could not be compared.
    """
    _require_paired(trials)
    trials = measured(trials, measure)
    values = trials.set_index(["config", "repeat", "fold"])[f"{judged_on(trials)}_value"]
    samples = sampling.samples(values, skipna=False)
    table = samples.unstack(list(samples.index.names[1:])).sort_index(axis=1)  # noqa: PD010
    table = table.loc[trials["config"].unique()]
    bits = None
    if measure.of_rows and sampling.shared_rows and "wrong" in trials and trials.loc[~trials["failed"], "wrong"].notna().all():
        bits = np.zeros((*table.shape, math.ceil(sampling.rows / 8)), dtype=np.uint8)
        config = table.index.get_indexer(trials["config"])
        keys = trials[["repeat", "fold"]].astype(int)
        place = _places(table.columns, keys)
        for row, column, text in zip(config, place, trials["wrong"], strict=True):
            if isinstance(text, str):
                bits[row, column] = unpack(text)
    repeats = table.columns.get_level_values("repeat").to_numpy(dtype=np.int64)
    stuck = (
        trials["stuck"]
        .astype("boolean")
        .fillna(False)
        .astype(float)
        .groupby(trials["config"])
        .mean()
        .loc[table.index]
        .to_numpy(dtype=float)
    )
    return Scores(table.index, table.to_numpy(), repeats, bits, sampling, (stuck > 0.5) & sampling.left_out, baseline, measure)


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
                f"{one} for some and {other} for others; move these rows aside, and train them again"
            )
