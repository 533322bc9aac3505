"""Tables of numbers to tables of texts, as a reader sees them: on the screen, in Markdown, on the page."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from studies.analysis.effects import ONE_LEVEL, TOO_FEW
from studies.analysis.outcomes import COUNTED, SET_WORDS, judged_on
from studies.columns import FLAGS
from studies.data.measures import Measure


def configurations(order: pd.DataFrame, factors: Sequence[str], measure: Measure) -> pd.DataFrame:
    """Configurations with their levels, and mean and sd of the measure on each set."""
    named = order[list(factors)] if factors else order[["label"]]
    sets = [name for name in dict.fromkeys(["train", judged_on(order)]) if f"{name}_mean" in order]
    return _with_counts(named, order, sets, "sd", measure)


def every_configuration(order: pd.DataFrame, factors: Sequence[str], measure: Measure) -> pd.DataFrame:
    """Configurations with their levels, the measure on the rows that judge by mean, interval, sd and median, and counts.

    "working": the mean without trials that failed, diverged or got stuck.
    """
    judged, unit = judged_on(order), headed(measure)
    named = order[list(factors)] if factors else order[["label"]]
    table = _with_counts(named, order, [judged], "interval", measure)
    digits = digits_of(measure, order[f"{judged}_mean"])
    also = {"sd": "sd", f"median {unit}": "median", f"working {unit}": "working_mean"}
    for place, (title, what) in enumerate(also.items(), len(named.columns) + 2):
        table.insert(place, title, _numbers(order[f"{judged}_{what}"], digits))
    if judged != "train" and "train_mean" in order:
        table.insert(len(named.columns) + 5, f"training {unit}", _numbers(order["train_mean"], digits))
    return table


def failures(table: pd.DataFrame, named: Sequence[str]) -> pd.DataFrame:
    """Rows of a summary, by the share of their trials that diverged, got stuck or failed, with its interval, and counts."""
    order = table.sort_values("failure_pct", ascending=False, kind="stable")
    texts = order[list(named)].astype(str)
    texts["failures %"] = _numbers(order["failure_pct"], digits=1)
    texts["interval"] = _ranges(order, "failure_ci_low_pct", "failure_ci_high_pct", digits=1)
    for column in (*COUNTED, "trials"):
        texts[column] = [f"{count:,}" for count in order[column]]
    return texts


def comparisons(table: pd.DataFrame, named: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    """Configurations less another one, the best first, under the names that `named` has for the rows of the table."""
    order = best_first(table.reset_index(drop=True), "difference", measure)
    digits = digits_of(measure, order["difference"])
    texts = named.reset_index(drop=True).loc[order.index].astype(str)
    texts["difference"] = _signed(order["difference"], digits)
    texts["interval"] = _ranges(order, "ci_low", "ci_high", digits)
    for name, title in {"p_adjusted": "adjusted p", "better": "better", "equal": "equal", "worse": "worse"}.items():
        texts[title] = _probabilities(order[name])
    texts["would show"] = _numbers(order["visible"], digits)
    return texts


def levels_table(levels: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    """Levels with mean, interval and median of the measure on the rows that judge, and the difference from the baseline.

    Where the grid has holes, a difference is not that of the two means: both halves of its pairs stand beside it.
    """
    judged = judged_on(levels)
    named = levels[["factor", "level"]]
    table = _with_counts(named, levels, [judged], "interval", measure)
    digits = digits_of(measure, levels[f"{judged}_mean"])
    table.insert(3, f"median {headed(measure)}", _numbers(levels[f"{judged}_median"], digits))
    table.insert(5, "less baseline", _signed(levels["difference"], digits))
    table.insert(6, "its interval", _ranges(levels, "difference_ci_low", "difference_ci_high", digits))
    table.insert(7, "adjusted p", _probabilities(levels["p_adjusted"]))
    table.loc[levels["baseline"].to_numpy(dtype=bool), "less baseline"] = "baseline"
    mean = f"{judged}_mean"
    start = levels["factor"].map(levels[levels["baseline"]].set_index("factor")[mean])
    if (
        "pairs" in levels and ((levels[mean] - start - levels["difference"]).abs() > 1e-5).any()
    ):  # tables on disk have six decimals
        halves = levels[["paired_mean", "paired_baseline", "pairs"]].itertuples(index=False)
        paired = [
            f"{own:,.{digits}f} - {other:,.{digits}f} over {counted(int(pairs), 'cell')}" if pairs > 0 else ""
            for own, other, pairs in halves
        ]
        table.insert(8, "of the same cells", paired)
    return table.rename(columns={f"{SET_WORDS[judged]} {headed(measure)}": f"mean {headed(measure)}"})


def kinds(measure: Measure) -> dict[str, str]:
    """The kinds of shares of `effects.KINDS`, in words."""
    logarithm = "its logarithm" if measure.perfect == 0 else f"the logarithm of {measure.perfect:g} less it"
    found = {"share": f"of the {measure.called}", "log_share": f"of {logarithm}", "working_share": "where it works"}
    if measure.column:  # of a table, which says neither a bound nor the value of a guess
        return {"share": found["share"]}
    return found


_OF_WORKING = {TOO_FEW: "too few configurations work", ONE_LEVEL: "one level works"}


def effects_table(effects: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    """Effects, the largest first, with their shares of the variance, each with interval and p."""
    ordered = effects.sort_values("share_pct", ascending=False, kind="stable", na_position="last").reset_index(drop=True)
    table = ordered[["effect"]].astype(str)
    for kind, title in kinds(measure).items():
        table[title] = _numbers(ordered[f"{kind}_pct"], digits=1)
        for name, texts in {
            "interval": _ranges(ordered, f"{kind}_ci_low_pct", f"{kind}_ci_high_pct", digits=1),
            "p": _probabilities(ordered[f"{kind}_p"]),
        }.items():
            table[" " * table.shape[1] + name] = texts
    if measure.column:
        return table.assign(method=ordered["method"])
    methods = ordered["method"] + " / " + ordered["working_method"].replace(_OF_WORKING)
    return table.assign(**{"method / where it works": methods})


def ladder_table(ladder: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    """Single changes with their mean, and what they change."""
    mean = ladder[f"{judged_on(ladder)}_mean"]
    digits = digits_of(measure, mean)
    levels = ladder["factor"].fillna("") + " = " + ladder["level"].fillna("")
    steps = levels.where(ladder["factor"].notna(), ladder["label"])
    return pd.DataFrame(
        {
            "kind": ladder["kind"].where(ladder["kind"] != ladder["kind"].shift(), ""),
            "configuration": steps,
            f"mean {headed(measure)}": _numbers(mean, digits),
            "change": _signed(ladder["change"], digits),
            "interval": _ranges(ladder, "change_ci_low", "change_ci_high", digits),
            "adjusted p": _probabilities(ladder["p_adjusted"]),
        }
    )


def tuned_table(tuned: pd.DataFrame, factors: Sequence[str], measure: Measure) -> pd.DataFrame:
    """Chosen levels and their mean, that of the usual levels, and the difference."""
    order, unit = best_first(tuned, "test_mean", measure), headed(measure)
    digits = digits_of(measure, order["test_mean"])
    order = order.fillna({"chosen": "", "usual": ""})  # of a point that has no rows at them
    return pd.DataFrame(
        {
            **{name: order[name].astype(str) for name in (*factors, "chosen")},
            f"test {unit}": _numbers(order["test_mean"], digits),
            "test interval": _ranges(order, "test_ci_low", "test_ci_high", digits),
            "usual": order["usual"].astype(str),
            f"untuned {unit}": _numbers(order["untuned_test_mean"], digits),
            "untuned interval": _ranges(order, "untuned_test_ci_low", "untuned_test_ci_high", digits),
            "difference": _signed(order["difference"], digits),
            "its interval": _ranges(order, "difference_ci_low", "difference_ci_high", digits),
            "adjusted p": _probabilities(order["p_adjusted"]),
        }
    )


def tuned_pairs(table: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    """The tuned configurations, each less the best of them."""
    order = best_first(table, "difference", measure)
    digits = digits_of(measure, order["difference"])
    return pd.DataFrame(
        {
            "tuned configuration": order["point"].astype(str),
            "less the best": _signed(order["difference"], digits),
            "interval": _ranges(order, "ci_low", "ci_high", digits),
            "adjusted p": _probabilities(order["p_adjusted"]),
        }
    )


def of_runs(table: pd.DataFrame) -> pd.DataFrame:
    """A table of texts about runs that were not trained here: their number and that of failed ones alone."""
    left_out = [column for column in table if column in FLAGS or column.startswith("working ")]
    return table.drop(columns=left_out).rename(columns={"trials": "runs"})


def counted(count: int, what: str) -> str:
    """A number of things: "1 model", "1,000 models"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def visible(differences: pd.Series, measure: Measure) -> str:
    """The smallest visible difference of a table, for its head; empty where nothing is tested."""
    known = differences.dropna()
    return "" if known.empty else f"; a difference shows from {known.median():.2g}{measure.points} on, in the median"


def best_first(table: pd.DataFrame, column: str, measure: Measure) -> pd.DataFrame:
    """The rows from the best value to the worst; those without one last."""
    return table.sort_values(column, kind="stable", na_position="last", ascending=measure.better == "lower")


def headed(measure: Measure) -> str:
    """The measure at the head of a column: "%", "AUC"."""
    return measure.unit or measure.called


def digits_of(measure: Measure, values: Iterable[float]) -> int:
    """Decimals for values of a measure: two of a percentage, else as many as four digits of the largest leave."""
    if measure.unit == "%":
        return 2
    known = np.abs(np.asarray(values if isinstance(values, pd.Series) else list(values), dtype=float))
    largest = known[np.isfinite(known)].max(initial=0.0)
    return int(np.clip(3 - math.floor(math.log10(largest)), 0, 8)) if largest else 2


def format_number(value: float, digits: int = 2) -> str:
    """A number, here as below an empty text where there is none."""
    return "" if pd.isna(value) else f"{value:,.{digits}f}"


def format_signed(value: float, digits: int = 2) -> str:
    """A difference, with its sign."""
    return "" if pd.isna(value) else f"{value:+,.{digits}f}"


def format_interval(low: float, high: float, digits: int = 2) -> str:
    """From where to where."""
    return "" if pd.isna(low) else f"{low:.{digits}f} to {high:.{digits}f}"


def format_probability(value: float) -> str:
    """A p-value, or any other probability."""
    return "" if pd.isna(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _numbers(values: pd.Series, digits: int) -> list[str]:
    return [format_number(value, digits) for value in values]


def _signed(values: pd.Series, digits: int) -> list[str]:
    return [format_signed(value, digits) for value in values]


def _ranges(table: pd.DataFrame, low: str, high: str, digits: int) -> list[str]:
    return [format_interval(*ends, digits) for ends in zip(table[low], table[high], strict=True)]


def _probabilities(values: pd.Series) -> list[str]:
    return [format_probability(value) for value in values]


def _with_counts(named: pd.DataFrame, table: pd.DataFrame, sets: Sequence[str], spread: str, measure: Measure) -> pd.DataFrame:
    """Named rows with mean and spread of the measure on `sets`, then the number of trials and of failures."""
    texts = named.astype(str).reset_index(drop=True)
    digits = digits_of(measure, table[[f"{name}_mean" for name in sets]].to_numpy().ravel())
    for name in sets:
        texts[f"{SET_WORDS[name]} {headed(measure)}"] = _numbers(table[f"{name}_mean"], digits)
        if spread == "sd":
            texts[f"{SET_WORDS[name]} sd"] = _numbers(table[f"{name}_sd"], digits)
        else:
            texts["interval"] = _ranges(table, f"{name}_ci_low", f"{name}_ci_high", digits)
    for column in ("trials", *COUNTED):
        texts[column] = [f"{count:,}" for count in table[column]]
    return texts
