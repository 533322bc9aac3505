"""Differences between runs of a table: paired over shared cells, of folds, unpaired, or none that can be tested."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from studies.analysis.estimates import Estimate, Numbers, estimate
from studies.analysis.summary_tests import welch_contrast
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
        replicates. Folds have the standard error sd sqrt(1 / n + n_test / n_train). Of runs that do not pair, the mean over the
        cells of the other factors, with Welch's test.
    """
    if not runs.paired:
        return _unpaired(runs, one, other, column)
    cells = _shared_cells(runs, one, other, column)
    both = cells.dropna()
    values = _by_place(runs, both[one] - both[other])
    found, test = _tested(values, runs.test_share)
    return Difference(one, other, found, test, len(both), len(cells) - len(both))


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
    """The mean over cells of the other factors of the differences between means of runs; its test is Welch's.

    There is none where a cell has one run of a level.
    """
    cells = ["block", *(name for name in runs.factors if column not in ("variant", name))]
    lines = [runs.table[runs.table[column] == name] for name in (one, other)]
    lost = int(sum(each["value"].isna().sum() for each in lines))
    one_means, other_means = (moments(runs, each, cells) for each in lines)
    both = one_means.join(other_means.add_suffix(" of other"), how="inner").dropna(subset=["mean", "mean of other"])
    if both.empty:
        return Difference(one, other, _without_test(np.nan, 0), UNTESTED, 0, lost)
    groups = (np.concatenate([both[name], both[f"{name} of other"]]) for name in ("mean", "sd", "n"))
    weights = np.repeat([1.0, -1.0], len(both)) / len(both)
    found = Estimate(*(float(each[0]) for each in welch_contrast([weights], *groups)))
    test = (SUMMARIES if runs.summarized else UNPAIRED) if found.error > 0 else UNTESTED
    return Difference(one, other, found, test, int(found.count), lost)


def moments(runs: Runs, lines: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Mean, sd with ddof 1, and number `n` of the runs of some lines that did not fail, by columns.

    Those of a table of means are as given.
    """
    if runs.summarized:
        return lines.set_index(list(by))[["value", "sd", "n"]].astype(float).set_axis(["mean", "sd", "n"], axis=1)
    return lines.groupby(list(by))["value"].agg(["mean", "std", "count"]).set_axis(["mean", "sd", "n"], axis=1)


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
