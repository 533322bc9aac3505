"""Tables of a comparison of runs: each variant with the baseline, and the levels of each factor at equal other factors."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from studies.analysis.estimates import holm
from studies.analysis.run_comparisons import UNTESTED, Difference, difference, shared_means
from studies.data.runs.runs import Runs

LEVELS = 12  # of a factor at most, whose means are compared
COLUMNS = (
    "other",
    "difference",
    "ci_low",
    "ci_high",
    "p",
    "p_adjusted",
    "test",
    "values",
    "cells",
    "lost",
    "sd",
    "error",
    "freedom",
)


def compare_variants(runs: Runs) -> pd.DataFrame:
    """One row per variant: its means, counts of runs, and its difference from the baseline, else from the best.

    Columns: `variant`, then those of `_compared`.
    """
    means = shared_means(runs)
    if runs.summarized:
        means["runs"] = runs.table.groupby("variant", sort=False)["n"].sum()[means.index]
    table = _compared(runs, means, runs.reference or _best(runs, means), "variant")
    return _adjusted(table.rename_axis("variant").reset_index())


def compare_levels(runs: Runs) -> pd.DataFrame:
    """One row per level of each factor, compared with the level of the baseline, else with the best, at equal other factors.

    Empty where there is one factor. Factors of more than `LEVELS` levels are left out. p is adjusted over the whole table.
    """
    tables = []
    for factor in compared_factors(runs):
        means = shared_means(runs, factor).reindex(list(runs.factors[factor]))
        other = runs.baseline[factor] if runs.baseline else _best(runs, means)
        table = _compared(runs, means, other, factor).rename_axis("level").reset_index()
        table.insert(0, "factor", factor)
        tables.append(table)
    return _adjusted(pd.concat(tables, ignore_index=True)) if tables else pd.DataFrame()


def compared_factors(runs: Runs) -> list[str]:
    """The factors of which levels are compared: all of several that have few levels."""
    return [name for name, levels in runs.factors.items() if len(levels) <= LEVELS] if len(runs.factors) > 1 else []


def _best(runs: Runs, means: pd.DataFrame) -> str:
    """The level of the best mean over shared cells; over all its cells where none are shared."""
    known = means["mean"] if means["mean"].notna().any() else means["mean_of_all"]
    cost = (runs.measure.sign * known).dropna()
    return str(cost.idxmin() if len(cost) else means.index[0])


def _compared(runs: Runs, means: pd.DataFrame, other: str, column: str) -> pd.DataFrame:
    """The means with a difference from `other` beside each; NaN in its own row."""
    found = [None if name == other else difference(runs, str(name), other, column) for name in means.index]
    return pd.concat([means, pd.DataFrame([_row(each, other) for each in found], means.index)], axis=1)


def _row(found: Difference | None, other: str) -> dict[str, object]:
    if found is None:
        return {"other": "", "test": "", "cells": 0, "lost": 0}
    estimate = found.estimate
    tested = found.test != UNTESTED
    return {
        "other": other,
        "difference": estimate.mean,
        "ci_low": estimate.ci_low,
        "ci_high": estimate.ci_high,
        "p": estimate.p if tested else np.nan,
        "test": found.test,
        "values": estimate.count,
        "cells": found.cells,
        "lost": found.lost,
        "sd": estimate.sd,
        "error": estimate.error,
        "freedom": estimate.freedom,
    }


def _adjusted(table: pd.DataFrame) -> pd.DataFrame:
    """The table with p adjusted over all its tests, and all columns."""
    table = table.reindex(columns=[*table.columns, *(name for name in COLUMNS if name not in table)])
    first: Sequence[str] = [name for name in table if name not in COLUMNS]
    return table.assign(p_adjusted=holm(table["p"].astype(float)))[[*first, *COLUMNS]]
