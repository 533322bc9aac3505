"""Configurations against each other: paired differences of their errors, and the ladder of single changes around two of them.

Every function takes `cells` (see `analysis.cells`). All configurations share splits, first draws and batch order, so
differences are paired; that they do is checked where the cells are made. A configuration with a failed trial has
no value there: its row stays, with neither difference nor p.
"""

import itertools
from collections.abc import Mapping, Sequence

import pandas as pd

from studies.analysis import cells, in_percent, judged_on, levels_of
from studies.errors import UserError
from studies.inference import Sampling, chances, estimate_rows, holm

LEADING = 12  # configurations at most that are compared each with each, beside the baseline
SHARED = ("seed", "n_train", "n_val", "n_test")  # what trials of one (repeat, fold) share if they are paired


def paired_cells(trials: pd.DataFrame, sampling: Sampling) -> pd.DataFrame:
    """The cells of trials of which those of one (repeat, fold) have the same rows and seed.

    Raises UserError where they have not.
    """
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
    return cells(trials, sampling)


def differences(
    values: pd.DataFrame, configs: Sequence[str], others: Sequence[str], sampling: Sampling, margin: float
) -> pd.DataFrame:
    """The error of each of `configs` less that of the one in `others` at its place, in points.

    * `difference_pct` with `ci_low_pct`, `ci_high_pct` and `p`: the corrected t test where the data set is fixed, the plain one
      over repeats where these are independent (`method`);
    * `better`, `equal`, `worse`: the probability that the first errs less by more than `margin` points, within it, or more;
    * `values`: the pairs there are; no statistic where one lacks its other half.
    """
    one, other = values.loc[list(configs)].to_numpy(), values.loc[list(others)].to_numpy()
    found = estimate_rows(one - other, sampling.overlap)
    better, equal, worse = chances(found, margin)
    return pd.DataFrame(
        {
            "config": list(configs),
            "other": list(others),
            "difference_pct": found.mean,
            "ci_low_pct": found.ci_low,
            "ci_high_pct": found.ci_high,
            "p": found.p,
            "better": better,
            "equal": equal,
            "worse": worse,
            "margin_pct": margin,
            "values": (pd.notna(one) & pd.notna(other)).sum(1),
            "method": "t over repeats" if sampling.independent else "corrected t",
        }
    ).round(9)


def against(values: pd.DataFrame, other: str, sampling: Sampling, margin: float) -> pd.DataFrame:
    """Every other configuration against one: `differences`, and `holm_p` over them."""
    configs = values.index.drop(other)
    table = differences(values, configs, [other] * len(configs), sampling, margin)
    table.insert(table.columns.get_loc("p") + 1, "holm_p", holm(table["p"]))
    return table


def best_of(values: pd.DataFrame) -> str | None:
    """The configuration of the lowest mean error, of those that lack no value; None where all lack one."""
    means = values.dropna().mean(axis=1).round(9)
    return str(means.idxmin()) if len(means) else None


def compare(
    values: pd.DataFrame, labels: Mapping[str, str], baseline: str | None, sampling: Sampling, margin: float
) -> pd.DataFrame:
    """Every configuration against the best one, then against the baseline: which of the two says `against`.

    The best was chosen on the same values, which flatters it: what it is better than is more likely to be so by chance than p
    says. `labels` are by configuration. `holm_p` is over all that are compared with the same one.
    """
    pairs = {"best": best_of(values), "baseline": baseline if baseline in values.index else None}
    tables = [
        against(values, other, sampling, margin).assign(against=name) for name, other in pairs.items() if other is not None
    ]
    if not tables or len(values) < 2:
        return pd.DataFrame()
    table = labelled(pd.concat(tables, ignore_index=True), labels)
    return table[["against", *table.columns.drop("against")]]


def labelled(table: pd.DataFrame, labels: Mapping[str, str]) -> pd.DataFrame:
    """The table with the label of each configuration beside its id."""
    named = {"label": table["config"].map(labels), "other_label": table["other"].map(labels)}
    rest = table.columns.drop(["config", "other"])
    return table.assign(**named)[["config", "label", "other", "other_label", *rest]]


def pairs(
    values: pd.DataFrame, labels: Mapping[str, str], baseline: str | None, sampling: Sampling, margin: float
) -> pd.DataFrame:
    """Each of the `LEADING` configurations of the lowest mean errors, and the baseline, less every one that errs less than it.

    Columns as in `compare`, `holm_p` over all pairs. Rows in the order of the means; empty for fewer than two configurations.
    Those that lack a value come last.
    """
    order = values.mean(axis=1, skipna=False).round(9).sort_values(kind="stable").index
    chosen = [config for place, config in enumerate(order) if place < LEADING or config == baseline]
    if len(chosen) < 2:
        return pd.DataFrame()
    ahead, behind = zip(*itertools.combinations(chosen, 2), strict=True)
    table = differences(values, behind, ahead, sampling, margin)
    table.insert(table.columns.get_loc("p") + 1, "holm_p", holm(table["p"]))
    return labelled(table, labels)


def ladder(
    values: pd.DataFrame,
    trials: pd.DataFrame,
    levels: Mapping[str, Sequence[str]],
    baseline: Mapping[str, str],
    sampling: Sampling,
) -> pd.DataFrame:
    """The table that a paper prints: single changes around the baseline, and around the best configuration.

    `levels` are those of each factor in order, `baseline` has one of each. Rows by `kind`: the "baseline"; "one at a time", the
    baseline with one factor changed; the "best"; "leave one out", the best with one of its choices set back to the
    baseline's. `change_pct` is from the best for what is left out of it, else from the baseline, in points; `holm_p` is within
    a kind, and the best itself, which was chosen among all configurations, has no p here: see `compare`. Only rows whose
    configuration the grid has; empty where it lacks the baseline or has no factor.
    """
    grid = levels_of(trials, list(levels))
    place = dict(zip(grid.itertuples(index=False, name=None), grid.index, strict=True))
    start, best = place.get(tuple(baseline.values())), best_of(values)
    if not baseline or start is None or best is None:
        return pd.DataFrame()
    chosen = dict(grid.loc[best])
    rows = [
        ("baseline", None, None, start, start),
        *(
            ("one at a time", factor, level, place.get(_changed(baseline, factor, level)), start)
            for factor in levels
            for level in levels[factor]
            if level != baseline[factor]
        ),
        ("best", None, None, best, start),
        *(
            ("leave one out", factor, level, place.get(_changed(chosen, factor, level)), best)
            for factor, level in baseline.items()
            if level != chosen[factor]
        ),
    ]
    table = pd.DataFrame(rows, columns=["kind", "factor", "level", "config", "other"]).dropna(subset="config")
    table = table.reset_index(drop=True)
    found = differences(values, table["config"], table["other"], sampling, margin=0.0)
    changes = found[["difference_pct", "ci_low_pct", "ci_high_pct", "p"]].where(table["config"] != table["other"])
    table["label"] = table["config"].map(trials.drop_duplicates("config").set_index("config")["label"])
    table[f"{judged_on(in_percent(trials))}_mean_pct"] = table["config"].map(values.mean(axis=1).round(9))
    table[["change_pct", "change_ci_low_pct", "change_ci_high_pct", "p"]] = changes
    table.loc[table["kind"] == "best", "p"] = float("nan")
    table["holm_p"] = table.groupby("kind")["p"].transform(holm)
    return table.drop(columns="other")


def _changed(levels: Mapping[str, str], factor: str, level: str) -> tuple[str, ...]:
    """Levels with that of one factor changed."""
    return tuple({**levels, factor: level}.values())
