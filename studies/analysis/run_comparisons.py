"""Differences between runs of a table: paired over shared cells, of folds, unpaired, or none that can be tested."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from studies.analysis.estimates import Estimate, Numbers, estimate
from studies.analysis.summary_tests import welch
from studies.data.runs.runs import Runs

PAIRED, FOLDS, UNPAIRED, SUMMARIES = "paired t", "Nadeau-Bengio t", "Welch, unpaired", "Welch from summaries, unpaired"
IDENTICAL, SIGN, UNTESTED = "identical", "sign test: all differences are equal", "no test"


@dataclass(frozen=True)
class Difference:
    """One level less another: the estimate in the measure's unit, how it was tested, and the cells that both share.

    `estimate.p` is NaN where there is no test. `lost` counts cells in which one of both failed.
    """

    one: str
    other: str
    estimate: Estimate
    test: str
    cells: int
    lost: int


def difference(runs: Runs, one: str, other: str, column: str = "variant") -> Difference:
    """One level less another.

    Args:
        runs: Runs of a table.
        one: A level of `column`, a variant or a level of a factor; levels of factors are compared at equal other factors.
        other: The level that is taken away.
        column: "variant", or a factor.

    Returns:
        The mean difference over places: over blocks, of their means over shared cells, where there are several; else over
        replicates. Folds have the standard error sd sqrt(1 / n + n_test / n_train).
    """
    of_many = column != "variant" and len(runs.factors) > 1
    if runs.summarized and not of_many:
        return _of_summaries(runs, one, other, column)
    if not runs.paired and not of_many:
        return _unpaired(runs, one, other, column)
    cells = _shared_cells(runs, one, other, column)
    both = cells.dropna()
    lost = len(cells) - len(both)
    if not runs.paired:  # means over the cells of the other factors, which are no replicates
        gap = float((both[one] - both[other]).mean()) if len(both) else np.nan
        return Difference(one, other, _without_test(gap, len(both)), UNTESTED, len(both), lost)
    values = _by_place(runs, both[one] - both[other])
    found, test = _tested(values, runs.test_share)
    return Difference(one, other, found, test, len(both), lost)


def _shared_cells(runs: Runs, one: str, other: str, column: str) -> pd.DataFrame:
    """Values of both levels in the cells in which both ran, NaN where a run failed."""
    rest = [name for name in runs.factors if name != column] if column != "variant" else []
    table = runs.table[runs.table[column].isin([one, other])]
    keys = [*rest, "block", "replicate"]
    there = table.groupby([*keys, column], sort=False)["value"]
    values = (there.mean() if not runs.replicate else there.first()).unstack(column)  # noqa: PD010
    ran = there.size().unstack(column)  # noqa: PD010
    for name in (one, other):
        if name not in values:
            values[name], ran[name] = np.nan, np.nan
    return values[ran[[one, other]].notna().all(axis=1)][[one, other]]


def _by_place(runs: Runs, values: pd.Series) -> Numbers:
    """Means over the cells of each block where there are several, else of each replicate."""
    return values.groupby(level="block" if runs.by_block else "replicate", sort=False).mean().to_numpy()


def _tested(values: Numbers, overlap: float) -> tuple[Estimate, str]:
    """The estimate of paired differences, and its test."""
    if len(values) < 2:
        return _without_test(float(values.mean()) if len(values) else np.nan, len(values)), UNTESTED
    found = estimate(values, overlap)
    if not np.abs(values).max() > 1e-12:
        return _without_test(0.0, len(values)), IDENTICAL
    return found, SIGN if found.error == 0 else FOLDS if overlap else PAIRED


def _without_test(mean: float, count: int) -> Estimate:
    return Estimate(mean, np.nan, count, np.nan, np.nan, np.nan, np.nan, np.nan)


def _unpaired(runs: Runs, one: str, other: str, column: str) -> Difference:
    groups = [runs.table.loc[runs.table[column] == name, "value"] for name in (one, other)]
    lost = int(sum(group.isna().sum() for group in groups))
    moments = [(group.mean(), group.std(ddof=1), group.count()) for group in groups]
    count = int(sum(number for _, _, number in moments))
    if min(number for _, _, number in moments) < 2:
        return Difference(one, other, _without_test(moments[0][0] - moments[1][0], count), UNTESTED, count, lost)
    found = welch(*moments)
    return Difference(one, other, found, UNPAIRED if found.error > 0 else UNTESTED, count, lost)


def _of_summaries(runs: Runs, one: str, other: str, column: str) -> Difference:
    """Welch's test from the one line of each level; no test where there are several."""
    lines = [runs.table[runs.table[column] == name] for name in (one, other)]
    if any(len(each) != 1 for each in lines):
        gap = lines[0]["value"].mean() - lines[1]["value"].mean()
        return Difference(one, other, _without_test(float(gap), 0), UNTESTED, 0, 0)
    moments = [tuple(each[["value", "sd", "n"]].iloc[0].astype(float)) for each in lines]
    found = welch(*moments)  # type: ignore[arg-type]
    return Difference(one, other, found, SUMMARIES if found.error > 0 else UNTESTED, int(found.count), 0)


def shared_means(runs: Runs, column: str = "variant") -> pd.DataFrame:
    """Mean of each level over the cells that all share, `mean`, and over all its cells, `mean_of_all`; first inside blocks.

    Runs that failed are in no mean: `failed` counts them among `runs`. Cells in which some level failed are not shared.
    """
    rest = [name for name in runs.factors if name != column] if column != "variant" else []
    cells = runs.table.groupby([*rest, "block", "replicate", column], sort=False)["value"].mean().unstack(column)  # noqa: PD010
    counts = runs.table.groupby(column, sort=False)["value"]
    levels = list(counts.groups)
    place = "block" if runs.by_block else "replicate"
    shared = cells.dropna(axis=1, how="all").dropna().reindex(columns=levels) if runs.paired or column != "variant" else cells
    return pd.DataFrame(
        {
            "mean": shared.groupby(level=place).mean().mean()[levels] if runs.paired else shared.mean()[levels],
            "mean_of_all": cells.groupby(level=place).mean().mean()[levels],
            "runs": counts.size()[levels],
            "failed": runs.table["value"].isna().groupby(runs.table[column]).sum()[levels],
        }
    )
