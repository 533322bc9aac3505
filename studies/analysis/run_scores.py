"""Scores of a table of runs: differences of two variants are those of `run_comparisons`, with the tests that readers know."""

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from studies.analysis import distributions
from studies.analysis.contrasts import LEADING, Contrasts, Family, Indices
from studies.analysis.estimates import ALPHA, Estimate, Numbers, holm
from studies.analysis.run_comparisons import UNTESTED, difference, moments
from studies.analysis.scores import Scores
from studies.analysis.summary_tests import welch_contrast
from studies.data.runs.runs import Runs
from studies.spec.study import Study


@dataclass(frozen=True)
class RunScores(Scores):
    """Scores whose differences of two configurations are those of `run_comparisons.difference`.

    `variants` are the labels of the runs, by configuration.
    """

    runs: Runs | None = None
    variants: tuple[str, ...] = ()

    @property
    def comparable(self) -> NDArray[np.bool_]:
        """Configurations that have a value."""
        return np.asarray(np.isfinite(self.by_place).any(1))

    @property
    def means(self) -> Numbers:
        """Mean of each configuration over the runs that did not fail."""
        there = np.isfinite(self.by_place)
        with np.errstate(invalid="ignore", divide="ignore"):
            return (np.where(there, self.by_place, 0.0).sum(1) / there.sum(1)).round(9)

    def contrast(self, weights: Numbers) -> Contrasts:
        """Sums of values with `weights`; NaN where one with weight failed. Welch's where runs do not pair."""
        assert self.runs is not None
        found = super().contrast(weights)
        alone = None
        if not self.runs.paired:
            own = moments(self.runs, self.runs.table, ["variant"]).loc[list(self.variants)]
            alone = welch_contrast(weights, *(own[name] for name in own))
        fields = {name: getattr(found, name) for name in Contrasts.__dataclass_fields__}
        return RunContrasts(**fields, alone=alone)

    def estimate_alone(self, one: Indices, other: Indices) -> Estimate:
        """The value of each of `one` less that of its partner in `other`, each difference for itself."""
        found = [self._difference(int(i), int(j)) for i, j in zip(one, other, strict=True)]
        table = np.array(found, dtype=float).reshape(len(found), len(Estimate._fields))
        return Estimate(*table.T)

    def _difference(self, one: int, other: int) -> Estimate:
        """The value of a configuration less that of another. Those that were asked for are kept."""
        assert self.runs is not None
        if one == other:
            return Estimate(0.0, *[np.nan] * 7)._replace(count=0)
        if (one, other) not in self._known:
            found = difference(self.runs, self.variants[one], self.variants[other])
            self._known[one, other] = found.estimate._replace(p=np.nan) if found.test == UNTESTED else found.estimate
        return self._known[one, other]

    @cached_property
    def _known(self) -> dict[tuple[int, int], Estimate]:
        return {}

    def estimate_pairs(self, one: Indices, other: Indices) -> tuple[Estimate, Numbers]:
        """The same with p adjusted by Holm's rule, and intervals that hold together by Bonferroni's, by family of pairs.

        One family is the pairs with the baseline, or with the best where there is none: that of `ablation judge`. All others
        that tables show are the second. A pair in neither counts as one of both.
        """
        alone = self.estimate_alone(one, other)
        known, unlisted = self._families
        own = [known.get(frozenset((int(i), int(j)))) for i, j in zip(one, other, strict=True)]
        adjusted = [min(1.0, p * unlisted) if each is None else each[0] for each, p in zip(own, alone.p, strict=True)]
        level = np.array([ALPHA / unlisted if each is None else each[1] for each in own])
        half = distributions.t_ppf(1 - level / 2, alone.freedom) * alone.error
        return alone._replace(ci_low=alone.mean - half, ci_high=alone.mean + half, p=np.array(adjusted, dtype=float)), level

    @cached_property
    def _families(self) -> tuple[dict[frozenset[int], tuple[float, float]], int]:
        """Adjusted p and the level of the interval by pair that tables show, and the number of these pairs."""
        assert self.runs is not None
        order = np.argsort(np.where(self.comparable, self.costs, np.inf), kind="stable").tolist()
        start = np.flatnonzero(self.configs == self.baseline).tolist()
        reference = start[0] if start and self.runs.baseline is not None else order[0]
        first = [frozenset((each, reference)) for each in order if each != reference]
        shown = [(each, chosen) for chosen in (order[0], *start) for each in order]
        shown += itertools.combinations(order[:LEADING], 2)
        second = [pair for pair in dict.fromkeys(map(frozenset, shown)) if len(pair) == 2 and reference not in pair]
        found: dict[frozenset[int], tuple[float, float]] = {}
        for family in (first, second):
            one, other = (np.array([sorted(pair)[end] for pair in family], dtype=int) for end in (0, 1))
            p = self.estimate_alone(one, other).p
            level = ALPHA / max(1, int(np.isfinite(p).sum()))
            found |= {pair: (float(each), level) for pair, each in zip(family, holm(p), strict=True)}
        return found, max(1, len(found))


@dataclass(frozen=True)
class RunContrasts(Contrasts):
    """Contrasts of runs: p is adjusted by Holm's rule, and intervals hold together by Bonferroni's.

    `alone` are the estimates where runs do not pair.
    """

    alone: Estimate | None = None

    @property
    def family(self) -> Family:
        """These contrasts as a family of their own."""
        return Family(int(np.isfinite(self.estimate().p).sum()))

    def estimate(self, family: Family | None = None) -> Estimate:
        """The mean of each contrast, each for itself or as one of a family."""
        found = super().estimate() if self.alone is None else self.alone
        if family is None:
            return found
        half = distributions.t_ppf(1 - ALPHA / 2 / max(1, family.tests), found.freedom) * found.error
        return found._replace(ci_low=found.mean - half, ci_high=found.mean + half, p=holm(found.p))


def of_table(scores: Scores, study: Study, trials: pd.DataFrame) -> Scores:
    """The scores of a study with a table: those given where there is one run of each variant."""
    assert study.table is not None
    runs = study.table.runs
    if scores.by_place.shape[1] < 2 and not runs.summarized:
        return scores
    variants = trials.drop_duplicates("config").set_index("config")["variant"]
    fields = {name: getattr(scores, name) for name in Scores.__dataclass_fields__}
    return RunScores(**fields, runs=runs, variants=tuple(variants[scores.configs]))


def summarised(table: pd.DataFrame, variants: pd.Series, runs: Runs, judged: str) -> pd.DataFrame:
    """A table whose rows are `variants` with the sd, the interval and the number of runs that a table of means gives."""
    lines = runs.table.drop_duplicates("variant").set_index("variant").loc[variants]
    sd, count = lines["sd"].to_numpy(dtype=float), lines["n"].to_numpy(dtype=float)
    half = distributions.t_ppf(1 - ALPHA / 2, count - 1) * sd / np.sqrt(count)
    mean = table[f"{judged}_mean"]
    known = {f"{judged}_sd": sd, f"{judged}_ci_low": mean - half, f"{judged}_ci_high": mean + half}
    whole = count.astype(int)
    return table.assign(**known, trials=whole, working=whole)
