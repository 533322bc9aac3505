"""Configurations against each other: paired differences in a measure, and the ladder of single changes around two of them.

All configurations share splits, first draws and batch order, so differences are paired. A configuration with a failed trial has
no value there: its row stays, with neither difference nor p.

Intervals hold together, and p is adjusted, for all pairs with the best and with the baseline and for the leading each with each
(`contrasts.family_of_leading`), although the best is chosen among all. A pair has one answer in every table.
"""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from studies.analysis.contrasts import LEADING
from studies.analysis.estimates import equivalent, rope_probabilities
from studies.analysis.outcomes import judged_on, levels_of, measured
from studies.analysis.scores import Scores


def differences(scores: Scores, configs: Sequence[str], others: Sequence[str], margin: float) -> pd.DataFrame:
    """The value of each of `configs` less that of the one in `others` at its place, in the measure's own unit and sign.

    * `difference` with `ci_low`, `ci_high` and `p_adjusted`: as one of a family (`Scores.estimate_pairs`).
    * `p`: of the one test alone; `shown_equal`: whether two one-sided tests, adjusted likewise, show it within `margin`.
    * `better`, `equal`, `worse`: the probability that the first is better by more than `margin`, equal within it, or worse.
    * `visible`: the smallest difference that would show, half the width of the interval.
    * `values`: the pairs there are; no statistic where one lacks its other half.
    """
    one, other = (scores.configs.get_indexer(list(names)) for names in (configs, others))
    alone = scores.estimate_alone(one, other)
    found, alpha = scores.estimate_pairs(one, other)
    below, equal, above = rope_probabilities(found, margin)
    better, worse = (below, above) if scores.measure.better == "lower" else (above, below)
    return pd.DataFrame(
        {
            "config": list(configs),
            "other": list(others),
            "difference": found.mean,
            "ci_low": found.ci_low,
            "ci_high": found.ci_high,
            "p": alone.p,
            "p_adjusted": found.p,
            "better": better,
            "equal": equal,
            "worse": worse,
            "shown_equal": equivalent(found, margin, alpha),
            "margin": margin,
            "visible": (found.ci_high - found.ci_low) / 2,
            "values": (np.isfinite(scores.by_place[one]) & np.isfinite(scores.by_place[other])).sum(1),
        }
    ).round(9)


def best_of(scores: Scores) -> str | None:
    """The configuration of the best mean, of those that lack no value; None where all lack one."""
    known = scores.take(scores.comparable)
    return str(known.configs[known.costs.argmin()]) if len(known.configs) else None


def compare_with(scores: Scores, other: str, margin: float) -> pd.DataFrame:
    """Every other configuration against one: `differences`."""
    configs = scores.configs.drop(other)
    return differences(scores, configs, [other] * len(configs), margin)


def compare_with_references(scores: Scores, labels: Mapping[str, str], margin: float) -> pd.DataFrame:
    """Every configuration against the best one, then against the baseline: the column `against` names which.

    `labels` are by configuration. Empty for fewer than two configurations.
    """
    chosen = {"best": best_of(scores), "baseline": scores.baseline if scores.baseline in scores.configs else None}
    tables = [compare_with(scores, other, margin).assign(against=name) for name, other in chosen.items() if other is not None]
    if not tables or len(scores.configs) < 2:
        return pd.DataFrame()
    table = labelled(pd.concat(tables, ignore_index=True), labels)
    return table[["against", *table.columns.drop("against")]]


def labelled(table: pd.DataFrame, labels: Mapping[str, str]) -> pd.DataFrame:
    """The table with the label of each configuration beside its id."""
    named = {"label": table["config"].map(labels), "other_label": table["other"].map(labels)}
    rest = table.columns.drop(["config", "other"])
    return table.assign(**named)[["config", "label", "other", "other_label", *rest]]


def pairs(scores: Scores, labels: Mapping[str, str], margin: float) -> pd.DataFrame:
    """Each of the `LEADING` configurations of the best means, and the baseline, less every one that is better than it.

    Columns as in `compare`. Rows from the best mean to the worst, those that lack a value last; empty for fewer than two
    configurations.
    """
    order = scores.configs[pd.Series(scores.costs).sort_values(kind="stable").index]
    chosen = [config for place, config in enumerate(order) if place < LEADING or config == scores.baseline]
    if len(chosen) < 2:
        return pd.DataFrame()
    ahead, behind = zip(*itertools.combinations(chosen, 2), strict=True)
    return labelled(differences(scores, behind, ahead, margin), labels)


def single_changes(
    scores: Scores, trials: pd.DataFrame, levels: Mapping[str, Sequence[str]], baseline: Mapping[str, str], margin: float
) -> pd.DataFrame:
    """The table that a paper prints: single changes around the baseline, and around the best configuration.

    `levels` are those of each factor in order, `baseline` has one of each. Rows by `kind`: the "baseline"; "one at a time", the
    baseline with one factor changed; the "best"; "leave one out", the best with one of its choices set back to the baseline's.
    `change` is from the best for what is left out of it, else from the baseline, with interval and p as in
    `differences`. Only rows whose configuration the grid has; empty where it lacks the baseline or has no factor.
    """
    grid = levels_of(trials, list(levels))
    place = dict(zip(grid.itertuples(index=False, name=None), grid.index, strict=True))
    start, best = place.get(tuple(baseline.values())), best_of(scores)
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
    found = differences(scores, table["config"], table["other"], margin)
    columns = ["difference", "ci_low", "ci_high", "p_adjusted", "visible"]
    table["label"] = table["config"].map(trials.drop_duplicates("config").set_index("config")["label"])
    table[f"{judged_on(measured(trials, scores.measure))}_mean"] = table["config"].map(
        dict(zip(scores.configs, scores.means, strict=True))
    )
    changes = found[columns].where(table["config"] != table["other"])
    return table.drop(columns="other").assign(
        **changes.rename(columns={"difference": "change", "ci_low": "change_ci_low", "ci_high": "change_ci_high"})
    )


def _changed(levels: Mapping[str, str], factor: str, level: str) -> tuple[str, ...]:
    """Levels with that of one factor changed."""
    return tuple({**levels, factor: level}.values())
