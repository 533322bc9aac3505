"""Summaries of rows by configuration, level and epoch: pure functions on DataFrames.

Values are those of one measure. A diverged or stuck trial keeps the value that it has; a failed trial (one that raised) has
none, and is counted beside the mean that lacks it.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from studies.analysis.estimates import Estimate, Numbers, rate, within
from studies.analysis.outcomes import COUNTED, judged_on, levels_of, measured
from studies.analysis.scores import Scores
from studies.columns import SETS
from studies.data.measures import Measure
from studies.spec.measures import MEASURES

HISTORY = ("loss", "error")  # measures that a history has by epoch
STATISTICS = ("mean", "sd", "median", "iqm", "min", "max")


def summarise(trials: pd.DataFrame, by: Sequence[str], scores: Scores) -> pd.DataFrame:
    """One row for each combination of `by`: trials, failures, and the measure of `scores` on every set of rows.

    `mean`, `sd` (ddof 1), `median`, `iqm` (mean of the middle half), `min` and `max` are over trials that did not fail; the set
    that the study is judged on also has the interval of the mean, `ci_low` and `ci_high`, by `scores`, those of these trials.
    `working` trials neither failed, diverged nor got stuck: the share of the others stands with its interval over places, and
    `<set>_working_mean` is the mean without them.
    """
    # One column of numbers to group by: texts take ten times as long, seven times over.
    numbered = measured(trials, scores.measure).assign(group=trials.groupby(list(by), sort=False).ngroup())
    grouped = numbered.groupby("group")
    columns = {"trials": grouped.size(), **{flag: grouped[flag].sum().astype(int) for flag in (*COUNTED, "working")}}
    failures = columns["trials"] - columns["working"]
    columns["failure_pct"] = 100 * failures / columns["trials"]
    low, high = _failure_rates(numbered, columns["trials"], scores)
    columns |= {"failure_ci_low_pct": low, "failure_ci_high_pct": high}
    judged = judged_on(numbered)
    for name in reversed(SETS):
        column = f"{name}_value"
        if column not in numbered:
            continue
        errors = grouped[column].agg(["mean", "std", "median", "min", "max"]).rename(columns={"std": "sd"})
        middle = _middle_half(numbered[["group", column]].dropna().sort_values(column, kind="stable"))
        errors = errors.assign(iqm=middle.groupby("group")[column].mean())
        columns |= {f"{name}_{what}": errors[what] for what in STATISTICS}
        if name == judged:
            found = within(_estimated(numbered, scores), scores.measure.low, scores.measure.high)
            columns |= {
                f"{name}_{end}": pd.Series(values, failures.index)
                for end, values in (("ci_low", found.ci_low), ("ci_high", found.ci_high))
            }
    working = numbered.loc[numbered["working"], ["group", f"{judged}_value"]].groupby("group")[f"{judged}_value"].mean()
    columns[f"{judged}_working_mean"] = working.reindex(failures.index)
    table = pd.DataFrame(columns).round(9)  # equal values are equal means, in whatever order they were added
    return pd.concat([trials[list(by)].drop_duplicates(ignore_index=True), table], axis=1)


def _estimated(numbered: pd.DataFrame, scores: Scores) -> Estimate:
    """The mean of each `group` of trials, in their order."""
    members = numbered.drop_duplicates(["group", "config"]).groupby("group")["config"]
    groups = [scores.configs.get_indexer(part) for _, part in members]
    if len(groups) == len(scores.configs) and all(len(group) == 1 for group in groups):
        return scores.take(np.concatenate(groups)).estimate_each()
    return scores.estimate_groups(groups)


def _failure_rates(numbered: pd.DataFrame, trials: pd.Series, scores: Scores) -> tuple[pd.Series, pd.Series]:
    """The ends of the intervals of the share of trials that do not work, by group, in percent."""
    share = 1 - scores.sampling.samples(numbered.groupby(["group", "repeat", "fold"])["working"].mean())
    table = share.unstack(list(share.index.names[1:])).to_numpy()  # noqa: PD010
    if table.shape[1] < 2 or np.isnan(table).any():
        return (pd.Series(np.nan, trials.index),) * 2
    low, high = rate(table, trials.to_numpy())
    return pd.Series(low, trials.index), pd.Series(high, trials.index)


def _middle_half(ordered: pd.DataFrame) -> pd.DataFrame:
    """The rows of each `group`, from its lowest value to its highest, without a quarter, rounded down, at either end."""
    grouped = ordered.groupby("group")["group"]
    place, count = grouped.cumcount(), grouped.transform("size")
    return ordered[(place >= count // 4) & (place < count - count // 4)]


def by_level(
    trials: pd.DataFrame,
    factors: Sequence[str],
    scores: Scores,
    baseline: Mapping[str, str] | None = None,
    around: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """One row for each level of each factor, averaged over the rest of the grid; columns as in `summarise`.

    With the level that is the `baseline` of each factor: a flag for it, and every other level's difference from it,
    paired by the rest of the grid, repeat and fold. Intervals and p are adjusted for all levels of all factors, since the table
    is searched as a whole; where every difference is one of two configurations, they are those that this pair has in every
    table. A pair of configurations that lacks a value, or of which the grid lacks one, is left out: `pairs` are those there
    are, and `paired_mean` and `paired_baseline` the means of both halves, whose difference it is.

    `around`: as in `beside`.
    """
    parts = [beside(trials, factor, around) for factor in factors]
    tables = [
        summarise(part, [factor], scores).rename(columns={factor: "level"}) for factor, part in zip(factors, parts, strict=True)
    ]
    named = [table.assign(factor=factor) for factor, table in zip(factors, tables, strict=True)]
    if not named:
        return pd.DataFrame()
    table = pd.concat(named, ignore_index=True)
    table = table[["factor", *table.columns.drop("factor")]]
    if baseline is None:
        return table
    names, weights = level_weights(trials, factors, scores, baseline)
    if (np.count_nonzero(np.nan_to_num(weights), axis=1) <= 2).all():
        found, _ = scores.estimate_pairs(*(np.nan_to_num(sign * weights).argmax(1) for sign in (1, -1)))
        lacking = np.isnan(weights).any(1)
        found = Estimate(*(np.where(lacking, np.nan, each) for each in found))
    else:
        contrasts = scores.contrast(weights)
        found = contrasts.estimate(contrasts.family)
    known = np.nan_to_num(scores.means)
    differences = pd.DataFrame(names, columns=["factor", "level"]).assign(
        difference=found.mean,
        difference_ci_low=found.ci_low,
        difference_ci_high=found.ci_high,
        p_adjusted=found.p,
        pairs=(weights > 0).sum(1),
        paired_mean=weights.clip(min=0) @ known,
        paired_baseline=-weights.clip(max=0) @ known,
    )
    table["baseline"] = table["level"] == table["factor"].map(baseline)
    return table.merge(differences.round(9), on=["factor", "level"], how="left")


def level_weights(
    trials: pd.DataFrame, factors: Sequence[str], scores: Scores, baseline: Mapping[str, str]
) -> tuple[list[tuple[str, str]], Numbers]:
    """The other levels of each factor, and the weights of configurations in their difference from the baseline level.

    The mean over the pairs of configurations that differ in nothing else, and lack no value.
    """
    grid = levels_of(trials, factors).loc[scores.configs]
    names, weights = [], []
    for factor in factors:
        rest = grid.drop(columns=factor)
        place = (
            rest.groupby(list(rest), sort=False).ngroup().to_numpy() if len(rest.columns) else np.zeros(len(grid), dtype=int)
        )
        level = grid[factor].to_numpy()
        start = np.flatnonzero((level == baseline[factor]) & scores.comparable)
        partner = np.full(len(grid), -1)  # by place: the configuration there that has the baseline level
        partner[place[start]] = start
        for other in grid[factor].unique():
            own = np.flatnonzero((level == other) & scores.comparable & (partner[place] >= 0))
            if other == baseline[factor]:
                continue
            names.append((factor, other))
            row = np.full(len(grid), np.nan)
            if len(own):
                row = np.zeros(len(grid))
                row[own] = 1 / len(own)
                np.add.at(row, partner[place[own]], -1 / len(own))
            weights.append(row)
    return names, np.array(weights).reshape(len(names), len(grid))


def beside(table: pd.DataFrame, factor: str, around: Mapping[str, str] | None) -> pd.DataFrame:
    """The rows that have the levels `around` in all factors but this one: where one factor changes at a time, those to compare.

    All rows where nothing is given, or it says nothing of the factor.
    """
    if around is None or factor not in around:
        return table
    return table[
        np.logical_and.reduce([table[other] == level for other, level in around.items() if other != factor], initial=True)
    ]


def values(
    trials: pd.DataFrame, factors: Sequence[str], scores: Scores, around: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Independent values behind the mean of each level: the mean of the measure in each.

    One row for each level of each factor and (repeat, fold), or repeat where repeats are what is independent. `around`: as in
    `beside`.
    """
    trials = measured(trials, scores.measure)
    column = f"{judged_on(trials)}_value"
    tables = []
    for factor in factors:
        own = beside(trials, factor, around)
        means = scores.sampling.samples(own.groupby([factor, "repeat", "fold"], sort=False)[column].mean())
        tables.append(means.round(9).reset_index().rename(columns={factor: "level"}).assign(factor=factor))
    table = pd.concat(tables, ignore_index=True)
    return table[["factor", *table.columns.drop("factor")]]


def curves(
    trials: pd.DataFrame, history: pd.DataFrame, factors: Sequence[str], around: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Median and quartiles over trials of each recorded loss and error (in percent), by level of each factor and epoch.

    `around`: as in `beside`.

    Empty where no trial left a history.
    """
    if history.empty:
        return pd.DataFrame()
    joined = _by_epoch(trials, history, factors)
    recorded = [f"{name}_{what}" for name in SETS for what in HISTORY if f"{name}_{what}" in joined]
    tables = []
    for factor in factors:
        grouped = beside(joined, factor, around).groupby([factor, "epoch"], sort=False)[recorded]
        quartiles = [grouped.quantile(share).add_suffix(f"_q{100 * share:.0f}") for share in (0.25, 0.5, 0.75)]
        table = pd.concat(quartiles, axis=1)
        tables.append(table.reset_index().rename(columns={factor: "level"}).assign(factor=factor))
    table = pd.concat(tables, ignore_index=True)
    return table[["factor", *table.columns.drop("factor")]]


def budget(
    trials: pd.DataFrame,
    history: pd.DataFrame,
    factors: Sequence[str],
    measure: Measure,
    around: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """The error that each level reaches within each number of epochs, if the rest of the grid is chosen for it.

    Of the configurations with the level and the recorded epochs within the budget, the one of the lowest mean validation error
    is taken, the first of equals; its mean error is on the set that the study is judged on. Without validation rows that
    set chooses too, which flatters (`chosen_on`). A study of a measure that no history has is told by its loss. `around`: as in
    `beside`. Empty where no trial left a history.
    """
    if history.empty:
        return pd.DataFrame()
    joined = _by_epoch(trials, history, [])
    measure = (
        measure if measure.name in HISTORY and any(f"{name}_{measure.name}" in joined for name in SETS) else MEASURES["loss"]
    )
    joined = joined.rename(columns={f"{name}_{measure.name}": f"{name}_value" for name in SETS})
    judged = judged_on(joined)
    chooser = "val" if "val_value" in joined and joined["val_value"].notna().any() else judged
    means = joined.groupby(["config", "epoch"], sort=False)[
        [f"{name}_value" for name in dict.fromkeys([chooser, judged])]
    ].mean()
    means = means.round(9).reset_index().dropna(subset=f"{chooser}_value")
    means = means.merge(levels_of(trials, factors), left_on="config", right_index=True)
    tables = []
    for factor in factors:
        # The first of the lowest by level and epoch, then by level the first of those within each budget.
        own = beside(means, factor, around)
        by_epoch = own.loc[own.groupby([factor, "epoch"], sort=True)[f"{chooser}_value"].idxmin()]
        lowest = by_epoch.groupby(factor)[f"{chooser}_value"].cummin()
        better = lowest < lowest.groupby(by_epoch[factor]).shift(fill_value=np.inf)
        reached = by_epoch[f"{judged}_value"].where(better).groupby(by_epoch[factor]).ffill()
        tables.append(
            pd.DataFrame({"factor": factor, "level": by_epoch[factor], "epoch": by_epoch["epoch"], f"{judged}_value": reached})
        )
    return pd.concat(tables, ignore_index=True).assign(chosen_on=chooser, measure=measure.name)


def _by_epoch(trials: pd.DataFrame, history: pd.DataFrame, factors: Sequence[str]) -> pd.DataFrame:
    """The history with the levels of its trials, and, for each set that it records, `<set>_loss` and `<set>_error`."""
    sizes = [f"n_{name}" for name in SETS]
    joined = history.merge(trials[list(dict.fromkeys(["trial", *sizes, *factors]))], on="trial")
    added = {}
    for name in SETS:
        if f"{name}_loss" in joined and (joined[f"n_{name}"].fillna(0) > 0).any():
            added[f"{name}_loss"] = joined[f"{name}_loss"].astype(float)
            if f"{name}_errors" in joined and joined[f"{name}_errors"].notna().any():
                added[f"{name}_error"] = (100 * joined[f"{name}_errors"] / joined[f"n_{name}"]).astype(float)
    return joined.drop(columns=[f"{name}_loss" for name in SETS if f"{name}_loss" in joined]).assign(**added)


def gradients(trials: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
    """Median and quartiles over trials of the gradient's norm, by configuration, epoch and layer (1: next to the input).

    Empty where no trial recorded it.
    """
    norms = [column for column in history if column.startswith("gradient_norm_")]
    if not norms:
        return pd.DataFrame()
    lines = history.melt(["trial", "config", "epoch"], norms, var_name="layer", value_name="norm").dropna(subset="norm")
    lines["layer"] = lines["layer"].str.removeprefix("gradient_norm_").astype(int)
    grouped = lines.groupby(["config", "epoch", "layer"], sort=True)["norm"]
    table = pd.concat({f"norm_q{100 * share:.0f}": grouped.quantile(share) for share in (0.25, 0.5, 0.75)}, axis=1)
    labels = trials[["config", "label"]].drop_duplicates()
    return labels.merge(table.reset_index(), on="config")
