"""Tables of numbers to tables of texts, as a reader sees them: on the screen, in Markdown, on the page."""

from collections.abc import Sequence

import pandas as pd

from studies.analysis.effects import KINDS
from studies.analysis.outcomes import COUNTED, SET_WORDS, judged_on


def configurations(order: pd.DataFrame, factors: Sequence[str]) -> pd.DataFrame:
    """Configurations with their levels, and mean and sd of each error."""
    named = order[list(factors)] if factors else order[["label"]]
    return _with_counts(named, order, list(dict.fromkeys(["train", judged_on(order)])), "sd")


def every_configuration(order: pd.DataFrame, factors: Sequence[str]) -> pd.DataFrame:
    """Configurations with their levels, the error that the study is judged on by mean, interval, sd and median, and counts.

    "working %": the mean without trials that failed, diverged or got stuck.
    """
    judged = judged_on(order)
    named = order[list(factors)] if factors else order[["label"]]
    table = _with_counts(named, order, [judged], "interval")
    also = {"sd": "sd", "median %": "median", "working %": "working_mean"}
    for place, (title, what) in enumerate(also.items(), len(named.columns) + 2):
        table.insert(place, title, _numbers(order[f"{judged}_{what}_pct"]))
    if judged != "train":
        table.insert(len(named.columns) + 5, "training %", _numbers(order["train_mean_pct"]))
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


def comparisons(table: pd.DataFrame, named: pd.DataFrame) -> pd.DataFrame:
    """Configurations less another one, the lowest error first, under the names that `named` has for the rows of the table."""
    order = table.reset_index(drop=True).sort_values("difference_pct", kind="stable", na_position="last")
    texts = named.reset_index(drop=True).loc[order.index].astype(str)
    texts["difference"] = _signed(order["difference_pct"])
    texts["interval"] = _ranges(order, "ci_low_pct", "ci_high_pct")
    for name, title in {"p_adjusted": "adjusted p", "better": "better", "equal": "equal", "worse": "worse"}.items():
        texts[title] = _probabilities(order[name])
    texts["would show"] = _numbers(order["visible_pct"])
    return texts


def levels_table(levels: pd.DataFrame) -> pd.DataFrame:
    """Levels with mean, interval and median of the error that the study is judged on, and the difference from the baseline.

    Where the grid has holes, a difference is not that of the two means: both halves of its pairs stand beside it.
    """
    judged = judged_on(levels)
    named = levels[["factor", "level"]]
    table = _with_counts(named, levels, [judged], "interval")
    table.insert(3, "median %", _numbers(levels[f"{judged}_median_pct"]))
    table.insert(5, "less baseline", _signed(levels["difference_pct"]))
    table.insert(6, "its interval", _ranges(levels, "difference_ci_low_pct", "difference_ci_high_pct"))
    table.insert(7, "adjusted p", _probabilities(levels["p_adjusted"]))
    table.loc[levels["baseline"].to_numpy(dtype=bool), "less baseline"] = "baseline"
    mean = f"{judged}_mean_pct"
    start = levels["factor"].map(levels[levels["baseline"]].set_index("factor")[mean])
    if "pairs" in levels and ((levels[mean] - start - levels["difference_pct"]).abs() > 1e-6).any():
        halves = levels[["paired_mean_pct", "paired_baseline_pct", "pairs"]].itertuples(index=False)
        paired = [
            f"{own:,.2f} - {other:,.2f} over {counted(int(pairs), 'cell')}" if pairs > 0 else "" for own, other, pairs in halves
        ]
        table.insert(8, "of the same cells", paired)
    return table.rename(columns={f"{SET_WORDS[judged]} %": "mean %"})


def effects_table(effects: pd.DataFrame) -> pd.DataFrame:
    """Effects, the largest first, with their shares of the variance, each with interval and p."""
    ordered = effects.sort_values("share_pct", ascending=False, kind="stable", na_position="last").reset_index(drop=True)
    table = ordered[["effect"]].astype(str)
    for kind, title in KINDS.items():
        table[title] = _numbers(ordered[f"{kind}_pct"], digits=1)
        for name, texts in {
            "interval": _ranges(ordered, f"{kind}_ci_low_pct", f"{kind}_ci_high_pct", digits=1),
            "p": _probabilities(ordered[f"{kind}_p"]),
        }.items():
            table[" " * table.shape[1] + name] = texts
    methods = ordered["method"] + " / " + ordered["working_method"]
    return table.assign(**{"method / where it works": methods})


def ladder_table(ladder: pd.DataFrame) -> pd.DataFrame:
    """Single changes with their mean error, and what they change."""
    levels = ladder["factor"].fillna("") + " = " + ladder["level"].fillna("")
    steps = levels.where(ladder["factor"].notna(), ladder["label"])
    return pd.DataFrame(
        {
            "kind": ladder["kind"].where(ladder["kind"] != ladder["kind"].shift(), ""),
            "configuration": steps,
            "mean %": _numbers(ladder[f"{judged_on(ladder)}_mean_pct"]),
            "change": _signed(ladder["change_pct"]),
            "interval": _ranges(ladder, "change_ci_low_pct", "change_ci_high_pct"),
            "adjusted p": _probabilities(ladder["p_adjusted"]),
        }
    )


def tuned_table(tuned: pd.DataFrame, factors: Sequence[str]) -> pd.DataFrame:
    """Chosen levels and their error, the error of the usual levels, and the difference."""
    order = tuned.sort_values("test_mean_pct", kind="stable")
    order = order.fillna({"chosen": "", "usual": ""})  # of a point that has no rows at them
    return pd.DataFrame(
        {
            **{name: order[name].astype(str) for name in (*factors, "chosen")},
            "test %": _numbers(order["test_mean_pct"]),
            "test interval": _ranges(order, "test_ci_low_pct", "test_ci_high_pct"),
            "usual": order["usual"].astype(str),
            "untuned %": _numbers(order["untuned_test_mean_pct"]),
            "untuned interval": _ranges(order, "untuned_test_ci_low_pct", "untuned_test_ci_high_pct"),
            "difference": _signed(order["difference_pct"]),
            "its interval": _ranges(order, "difference_ci_low_pct", "difference_ci_high_pct"),
            "adjusted p": _probabilities(order["p_adjusted"]),
        }
    )


def tuned_pairs(table: pd.DataFrame) -> pd.DataFrame:
    """The tuned configurations, each less the best of them."""
    order = table.sort_values("difference_pct", kind="stable")
    return pd.DataFrame(
        {
            "tuned configuration": order["point"].astype(str),
            "less the best": _signed(order["difference_pct"]),
            "interval": _ranges(order, "ci_low_pct", "ci_high_pct"),
            "adjusted p": _probabilities(order["p_adjusted"]),
        }
    )


def counted(count: int, what: str) -> str:
    """A number of things: "1 model", "1,000 models"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def visible(differences: pd.Series) -> str:
    """The smallest visible difference of a table, for its head; empty where nothing is tested."""
    known = differences.dropna()
    return "" if known.empty else f"; a difference shows from {known.median():.2g} points on, in the median"


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


def _numbers(values: pd.Series, digits: int = 2) -> list[str]:
    return [format_number(value, digits) for value in values]


def _signed(values: pd.Series) -> list[str]:
    return [format_signed(value) for value in values]


def _ranges(table: pd.DataFrame, low: str, high: str, digits: int = 2) -> list[str]:
    return [format_interval(*ends, digits) for ends in zip(table[low], table[high], strict=True)]


def _probabilities(values: pd.Series) -> list[str]:
    return [format_probability(value) for value in values]


def _with_counts(named: pd.DataFrame, table: pd.DataFrame, sets: Sequence[str], spread: str) -> pd.DataFrame:
    """Named rows with mean and spread of the errors of `sets`, then the number of trials and of failures."""
    texts = named.astype(str).reset_index(drop=True)
    for name in sets:
        texts[f"{SET_WORDS[name]} %"] = _numbers(table[f"{name}_mean_pct"])
        if spread == "sd":
            texts[f"{SET_WORDS[name]} sd"] = _numbers(table[f"{name}_sd_pct"])
        else:
            texts["interval"] = _ranges(table, f"{name}_ci_low_pct", f"{name}_ci_high_pct")
    for column in ("trials", *COUNTED):
        texts[column] = [f"{count:,}" for count in table[column]]
    return texts
