"""The fair comparison: every configuration at the levels that suit it best, chosen on validation rows, judged on test rows.

Optimizers compared at one learning rate are compared by how well that rate suits each. So some factors of the grid (`tune`) are
chosen anew for every configuration of the others and every repeat: the levels of least validation error, averaged over folds,
of equals the first. The choice is nested: it is part of what is trained and judged, and happens within a repeat, whose test
error at that choice is then one more measurement. Choosing reads validation rows only, and the test rows of a repeat are drawn
before any fold is made, so that the error of what was chosen is as unbiased as that of any one configuration. The least test
error of several levels would not be: the smallest of many is small by luck too.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from studies.analysis.contrasts import Family
from studies.analysis.estimates import within
from studies.analysis.outcomes import measured
from studies.analysis.scores import Scores
from studies.spec.components import OPTIMIZERS
from studies.spec.grid import Configuration, Grid
from studies.spec.settings import value_at

PAIRS = 2000  # pairs of tuned configurations at most that are resampled; beyond, Bonferroni's bound stands in


def usual(grid: Grid, tune: Sequence[str]) -> set[str]:
    """The configurations that nobody tuned, by their ids: one at most for each point of the other factors.

    The usual level is the default of the configuration's own optimizer, for a parameter of it ("optimizer.lr"); that of the
    base, for any other setting; and where neither is a level, the first.
    """
    groups: dict[tuple[str, ...], list[Configuration]] = {}
    for each in grid.configurations:
        groups.setdefault(tuple(level for factor, level in each.levels.items() if factor not in tune), []).append(each)
    found = set()
    for group in groups.values():
        levels = {
            factor: next((each for each in group if _is_usual(each, factor, grid)), group[0]).levels[factor] for factor in tune
        }
        found |= {each.id for each in group if all(each.levels[factor] == level for factor, level in levels.items())}
    return found


def _is_usual(configuration: Configuration, factor: str, grid: Grid) -> bool:
    """True where a factor has its usual value in a configuration; never for a factor that is no setting."""
    key, _, parameter = factor.partition(".")
    if key not in configuration.settings:
        return False
    value = value_at(configuration.settings, factor)
    if key == "optimizer" and parameter and configuration.settings["optimizer"]["name"] in OPTIMIZERS:
        return bool(value == OPTIMIZERS[configuration.settings["optimizer"]["name"]].defaults.get(parameter))
    return bool(value == value_at(grid.identity["base"], factor))


def tune(
    trials: pd.DataFrame, factors: Sequence[str], tune: Sequence[str], untuned: Collection[str], scores: Scores
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tuned configurations, and each less the best of them: a row for each point of the factors that are not tuned.

    * `chosen`: the levels of the tuned factors, with the number of repeats that chose them; `usual`: those of the `untuned`
      configuration.
    * `test_*_pct`: mean, sd over trials and 95% interval of the error at what was chosen; `untuned_*` likewise.
    * `difference` and what follows: chosen less untuned, paired, with simultaneous intervals and p adjusted over all rows.

    The second table has `point` and `other`, both in words, and the difference of their errors at what was chosen for each,
    with intervals and p for all pairs of points.

    One value counts for each repeat, which chose anew: a single choice has no interval, since its own chance is in no fold.
    Both are empty where nothing is tuned. A trial that failed keeps its levels from being chosen.
    """
    if not tune or trials.empty:
        return pd.DataFrame(), pd.DataFrame()
    rest = [factor for factor in factors if factor not in tune]
    measure = scores.measure
    trials = measured(trials, measure)
    trials = trials.assign(
        point=trials.groupby(rest, sort=False).ngroup() if rest else 0,
        levels=trials[list(tune)].astype(str).agg(" & ".join, axis=1),
        cost=(measure.sign * trials["val_value"]).fillna(np.inf),
    )
    by_levels = trials.groupby(["point", "repeat", "config"], sort=False)["cost"].mean().reset_index()
    choice = by_levels.loc[by_levels.groupby(["point", "repeat"], sort=False)["cost"].idxmin()]
    chosen = trials.merge(choice[["point", "repeat", "config"]])
    left = trials[trials["config"].isin(untuned)]
    points = trials.groupby("point", sort=False)
    count = points.ngroups
    at_choice, without = (_errors(table, scores, count) for table in (chosen, left))
    found, plain = (within(each.each().by_repeat().estimate(), measure.low, measure.high) for each in (at_choice, without))
    paired = at_choice.less(without).by_repeat()
    difference = paired.estimate(paired.family)
    table = pd.DataFrame(
        {
            **(points[rest].first() if rest else {}),
            "chosen": chosen.drop_duplicates(["point", "repeat"]).groupby("point", sort=False)["levels"].agg(_counted),
            "test_mean": found.mean,
            "test_sd": chosen.groupby("point", sort=False)["test_value"].std(),
            "test_ci_low": found.ci_low,
            "test_ci_high": found.ci_high,
            "usual": left.groupby("point", sort=False)["levels"].first(),
            "untuned_test_mean": plain.mean,
            "untuned_test_ci_low": plain.ci_low,
            "untuned_test_ci_high": plain.ci_high,
            "difference": difference.mean,
            "difference_ci_low": difference.ci_low,
            "difference_ci_high": difference.ci_high,
            "p_adjusted": difference.p,
        },
        index=pd.RangeIndex(count, name="point"),
    )
    names = table[rest].astype(str).agg(" | ".join, axis=1) if rest else pd.Series(["all"])
    return table.reset_index(drop=True), _each_less_the_best(at_choice, names)


def _errors(table: pd.DataFrame, scores: Scores, points: int) -> Scores:
    """The scores of one configuration for each point and repeat: those of the rows of a table, NaN where it has none."""
    own = np.full((points, scores.by_place.shape[1]), -1)
    config = table.drop_duplicates(["point", "repeat"])
    for point, repeat, position in zip(
        config["point"], config["repeat"], scores.configs.get_indexer(config["config"]), strict=True
    ):
        own[point, scores.repeats == repeat] = position
    place = np.arange(own.shape[1])
    bits = None if scores.wrong is None else scores.wrong[own, place]
    return replace(
        scores,
        configs=pd.RangeIndex(points),
        guessing=np.zeros(points, dtype=bool),
        by_place=np.where(own < 0, np.nan, scores.by_place[own, place]),
        wrong=bits,
    )


def _each_less_the_best(at_choice: Scores, names: pd.Series) -> pd.DataFrame:
    """Every tuned configuration less the best of them; empty where there is one."""
    known = np.flatnonzero(at_choice.complete)
    if len(known) < 2:
        return pd.DataFrame()
    best = known[at_choice.costs[known].argmin()]
    one, other = (known[ends] for ends in np.triu_indices(len(known), 1))
    tests = len(one)
    family = at_choice.pairs(one, other).by_repeat().family if tests <= PAIRS else Family(tests)
    rest = known[known != best]
    found = at_choice.pairs(rest, np.full(len(rest), best)).by_repeat().estimate(family)
    return pd.DataFrame(
        {
            "point": names.to_numpy()[rest],
            "other": names.iloc[best],
            "difference": found.mean,
            "ci_low": found.ci_low,
            "ci_high": found.ci_high,
            "p_adjusted": found.p,
        }
    )


def _counted(levels: pd.Series) -> str:
    """Chosen levels, the most frequent first: "0.1 (4 of 5), 0.01 (1)"; the one level alone where there is no other."""
    counts = levels.value_counts(sort=True)
    if len(counts) == 1:
        return str(counts.index[0])
    told = [
        f"{level} ({count}{f' of {len(levels)}' if not index else ''})" for index, (level, count) in enumerate(counts.items())
    ]
    return ", ".join(told)
