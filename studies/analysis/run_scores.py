"""Scores of a table of runs: differences of two variants are those of `run_comparisons`, with the tests that readers know."""

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from studies.analysis import distributions
from studies.analysis.contrasts import LEADING, Contrasts, Indices
from studies.analysis.estimates import ALPHA, Estimate, Numbers
from studies.analysis.run_comparisons import UNTESTED, difference
from studies.analysis.scores import Scores
from studies.data.runs.runs import Runs
from studies.spec.study import Study


@dataclass(frozen=True)
class RunScores(Scores):
    """Scores whose differences of two configurations are those of `run_comparisons.difference`.

    `variants` are the labels of the runs, by configuration. Differences of levels that are not those of two configurations have
    a value only where runs pair.
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
        """Sums of values with `weights`; NaN where runs do not pair, or one with weight failed."""
        assert self.runs is not None
        found = super().contrast(weights)
        if self.runs.paired and not self.runs.summarized:
            return found
        return self._contrasts(np.full_like(found.by_place, np.nan), found.by_row, found.square, found.blank)

    def estimate_alone(self, one: Indices, other: Indices) -> Estimate:
        """The value of each of `one` less that of its partner in `other`, each difference for itself."""
        assert self.runs is not None
        found = []
        for i, j in zip(one, other, strict=True):
            if i == j:
                found.append(Estimate(0.0, np.nan, 0, np.nan, np.nan, np.nan, np.nan, np.nan))
                continue
            each = difference(self.runs, self.variants[i], self.variants[j])
            found.append(each.estimate._replace(p=np.nan) if each.test == UNTESTED else each.estimate)
        table = np.array(found, dtype=float).reshape(len(found), len(Estimate._fields))
        return Estimate(*table.T)

    def estimate_pairs(self, one: Indices, other: Indices) -> tuple[Estimate, Numbers]:
        """The same with intervals that hold together and adjusted p, by Bonferroni over the pairs that tables show."""
        alone, count = self.estimate_alone(one, other), self._count_pairs()
        half = distributions.t_ppf(1 - ALPHA / 2 / count, alone.freedom) * alone.error
        adjusted = np.minimum(1, alone.p * count)
        found = alone._replace(ci_low=alone.mean - half, ci_high=alone.mean + half, p=adjusted)
        return found, np.full(len(one), ALPHA / count)

    def _count_pairs(self) -> int:
        """Number of pairs with the best or the baseline, or of two that lead."""
        order = np.argsort(np.where(self.comparable, self.costs, np.inf), kind="stable")
        chosen = {*order[:1].tolist(), *np.flatnonzero(self.configs == self.baseline).tolist()}
        leading = set(order[:LEADING].tolist())
        pairs = itertools.combinations(range(len(order)), 2)
        return max(1, sum(bool({i, j} & chosen) or {i, j} <= leading for i, j in pairs))


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
