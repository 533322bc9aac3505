"""The fair comparison: every configuration at the levels that suit it best, chosen on validation rows, judged on test rows.

Optimizers compared at one learning rate are compared by how well that rate suits each. So some factors of the grid (`tune`) are
chosen anew for every configuration of the others and every repeat: the levels of least validation error, averaged over folds,
of equals the first. The choice is nested: it is part of what is trained and judged, and happens within a repeat, whose test
error at that choice is then one more measurement. Choosing reads validation rows only, and the test rows of a repeat are drawn
before any fold is made, so that the error of what was chosen is as unbiased as that of any one configuration. The least test
error of several levels would not be: the smallest of many is small by luck too.
"""

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from studies import build
from studies.analysis import in_percent
from studies.grid import Configuration, Grid
from studies.inference import Sampling, holm


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
    """Whether a factor has its usual value in a configuration; never for a factor of one's own, which is no setting."""
    key, _, parameter = factor.partition(".")
    if key not in configuration.settings:
        return False
    value, base = configuration.settings[key], grid.identity["base"][key]
    if key == "optimizer" and parameter:
        return bool(value[parameter] == build.parameters_of(build.OPTIMIZERS[value["name"]])[parameter])
    return bool(value.get(parameter) == base.get(parameter) if parameter else value == base)


def tuned(
    trials: pd.DataFrame, factors: Sequence[str], tune: Sequence[str], untuned: Collection[str], sampling: Sampling
) -> pd.DataFrame:
    """One row for each point of the factors that are not tuned: the levels chosen, and the test error there and without.

    * `chosen`: the levels of the tuned factors, with the number of repeats that chose them; `usual`: those of the `untuned`
      configuration.
    * `test_*_pct`: mean, sd over trials and 95% interval of the error at what was chosen; `untuned_*` likewise.
    * `difference_pct` and what follows: chosen less untuned, paired, with interval, p and Holm p over all rows.

    Empty where nothing is tuned. A trial that failed keeps its levels from being chosen.
    """
    if not tune or trials.empty:
        return pd.DataFrame()
    rest = [factor for factor in factors if factor not in tune]
    trials = in_percent(trials)
    trials = trials.assign(
        point=trials.groupby(rest, sort=False).ngroup() if rest else 0,
        levels=trials[list(tune)].astype(str).agg(" & ".join, axis=1),
        val_pct=trials["val_pct"].fillna(np.inf),
    )
    by_levels = trials.groupby(["point", "repeat", "config"], sort=False)["val_pct"].mean().reset_index()
    choice = by_levels.loc[by_levels.groupby(["point", "repeat"], sort=False)["val_pct"].idxmin()]
    chosen = trials.merge(choice[["point", "repeat", "config"]])
    left = trials[trials["config"].isin(untuned)]
    at_choice, without = (each.set_index(["point", "repeat", "fold"])["test_pct"] for each in (chosen, left))
    found, plain = sampling.estimates(at_choice), sampling.estimates(without)
    paired = sampling.estimates((at_choice - without).dropna())
    points = trials.groupby("point", sort=False)
    table = pd.DataFrame(
        {
            **(points[rest].first() if rest else {}),
            "chosen": chosen.drop_duplicates(["point", "repeat"]).groupby("point", sort=False)["levels"].agg(_counted),
            "test_mean_pct": found.mean,
            "test_sd_pct": at_choice.groupby("point", sort=False).std(),
            "test_ci_low_pct": found.ci_low,
            "test_ci_high_pct": found.ci_high,
            "usual": left.groupby("point", sort=False)["levels"].first(),
            "untuned_test_mean_pct": plain.mean,
            "untuned_test_ci_low_pct": plain.ci_low,
            "untuned_test_ci_high_pct": plain.ci_high,
            "difference_pct": paired.mean,
            "difference_ci_low_pct": paired.ci_low,
            "difference_ci_high_pct": paired.ci_high,
            "p": pd.Series(paired.p, paired.mean.index),
        }
    )
    return table.assign(holm_p=holm(table["p"])).reset_index(drop=True)


def _counted(levels: pd.Series) -> str:
    """What was chosen, the most frequent first: "0.1 (4 of 5), 0.01 (1)"; the one level alone where there is no other."""
    counts = levels.value_counts(sort=True)
    if len(counts) == 1:
        return str(counts.index[0])
    told = [
        f"{level} ({count}{f' of {len(levels)}' if not index else ''})" for index, (level, count) in enumerate(counts.items())
    ]
    return ", ".join(told)
