"""From rows to statements: pure functions on DataFrames.

An error is in percent of the rows of its set. A diverged or stuck trial keeps the error that it has; a failed trial (one that
raised) has none, and is counted beside the mean that lacks it.
"""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from studies.inference import Sampling

SETS = ("test", "val", "train")  # the first that a study has is the one its errors are about
STATISTICS = ("mean", "sd", "ci_low", "ci_high", "median")
COUNTED = ("diverged", "stuck", "failed")


def in_percent(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials with `<set>_pct`, the error in percent, for each set that the study has, and the flag `failed`."""
    added = {"failed": trials["status"] != "ok"}
    for name in SETS:
        if name == "train" or (trials[f"n_{name}"].fillna(0) > 0).any():
            added[f"{name}_pct"] = (100 * trials[f"{name}_errors"] / trials[f"n_{name}"]).astype(float)
    return trials.assign(**added)


def judged_on(table: pd.DataFrame) -> str:
    """The set that a table's errors are about: test rows, else validation rows, else training rows."""
    return next(name for name in SETS if f"{name}_pct" in table or f"{name}_mean_pct" in table)


def summarise(trials: pd.DataFrame, by: Sequence[str], sampling: Sampling) -> pd.DataFrame:
    """One row for each combination of `by`: trials, failures, and the error of every set in percent.

    `mean`, `sd` (ddof 1), `ci_low`, `ci_high` and `median` are over trials that did not fail. The interval is over the means of
    each (repeat, fold), so that a group of configurations is judged by how its mean varies from sample to sample.
    """
    trials = in_percent(trials)
    by = list(by)
    grouped = trials.groupby(by, sort=False)
    columns = {"trials": grouped.size(), **{flag: grouped[flag].sum().astype(int) for flag in COUNTED}}
    for name in reversed(SETS):
        if f"{name}_pct" not in trials:
            continue
        errors = grouped[f"{name}_pct"].agg(["mean", "std", "median"]).rename(columns={"std": "sd"})
        per_sample = trials.groupby([*by, "repeat", "fold"], sort=False)[f"{name}_pct"].mean()
        found = sampling.estimates(per_sample)
        errors = errors.assign(ci_low=found.ci_low, ci_high=found.ci_high)
        columns |= {f"{name}_{what}_pct": errors[what] for what in STATISTICS}
    return pd.DataFrame(columns).round(9).reset_index()  # equal errors are equal means, in whatever order they were added


def by_level(
    trials: pd.DataFrame, factors: Sequence[str], sampling: Sampling, around: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """One row for each level of each factor, averaged over the rest of the grid; columns as in `summarise`.

    `around`: as in `beside`.
    """
    parts = [beside(trials, factor, around) for factor in factors]
    tables = [
        summarise(part, [factor], sampling).rename(columns={factor: "level"})
        for factor, part in zip(factors, parts, strict=True)
    ]
    named = [table.assign(factor=factor) for factor, table in zip(factors, tables, strict=True)]
    if not named:
        return pd.DataFrame()
    table = pd.concat(named, ignore_index=True)
    return table[["factor", *table.columns.drop("factor")]]


def beside(table: pd.DataFrame, factor: str, around: Mapping[str, str] | None) -> pd.DataFrame:
    """The rows that have the levels `around` in all factors but this one: where one factor changes at a time, those to compare.

    All rows where nothing is given, or it says nothing of the factor.
    """
    if around is None or factor not in around:
        return table
    return table[
        np.logical_and.reduce([table[other] == level for other, level in around.items() if other != factor], initial=True)
    ]


def variance_shares(summary: pd.DataFrame, factors: Sequence[str]) -> pd.DataFrame:
    """How much of the variance between configurations each factor, each pair, and all the rest explains, in percent.

    On a full factorial grid the decomposition is exact: a main effect is the variance of the marginal means, an interaction
    what the means of pairs add to it. `share_pct` is of the mean errors, `rank_share_pct` of their ranks, which one bad cell
    cannot dominate. Empty where the grid is no full factorial, since shares would then depend on the order of the factors, and
    where all errors are equal.
    """
    size = int(np.prod([summary[factor].nunique() for factor in factors]))
    column = f"{judged_on(summary)}_mean_pct"
    if len(factors) < 2 or len(summary) != size or summary.duplicated(list(factors)).any() or summary[column].isna().any():
        return pd.DataFrame()
    effects = [*((factor,) for factor in factors), *itertools.combinations(factors, 2)]
    shares = {}
    for kind, values in (("share_pct", summary[column]), ("rank_share_pct", summary[column].rank())):
        centred = summary.assign(value=values - values.mean())
        total = (centred["value"] ** 2).mean()
        if not total:
            return pd.DataFrame()
        raw = {effect: (centred.groupby(list(effect))["value"].transform("mean") ** 2).mean() for effect in effects}
        own = {effect: raw[effect] - sum(raw[part,] for part in effect if len(effect) > 1) for effect in effects}
        shares[kind] = [100 * own[effect] / total for effect in effects]
    table = pd.DataFrame({"effect": [" x ".join(effect) for effect in effects], **shares})
    rest = {"effect": "all higher interactions", **(100 - table[list(shares)].sum()).to_dict()}
    return pd.concat([table, pd.DataFrame([rest])], ignore_index=True)


def curves(
    trials: pd.DataFrame, history: pd.DataFrame, factors: Sequence[str], around: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Median and quartiles over trials of each recorded loss and error (in percent), by level of each factor and epoch.

    `around`: as in `beside`.

    Empty where no trial left a history.
    """
    if history.empty:
        return pd.DataFrame()
    sizes = [f"n_{name}" for name in SETS]
    joined = history.merge(trials[list(dict.fromkeys(["trial", *sizes, *factors]))], on="trial")
    measures = {}
    for name in SETS:
        if f"{name}_errors" in joined:
            measures[f"{name}_loss"] = joined[f"{name}_loss"].astype(float)
            measures[f"{name}_pct"] = (100 * joined[f"{name}_errors"] / joined[f"n_{name}"]).astype(float)
    joined = joined.assign(**measures)
    tables = []
    for factor in factors or ["study"]:
        grouped = beside(joined, factor, around).groupby([factor, "epoch"], sort=False)[list(measures)]
        quartiles = [grouped.quantile(share).add_suffix(f"_q{100 * share:.0f}") for share in (0.25, 0.5, 0.75)]
        table = pd.concat(quartiles, axis=1)
        tables.append(table.reset_index().rename(columns={factor: "level"}).assign(factor=factor))
    table = pd.concat(tables, ignore_index=True)
    return table[["factor", *table.columns.drop("factor")]]


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
