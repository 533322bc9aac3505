"""Judgements of a table of runs as texts: its variants, its levels, and what is shown, is not, and cannot be told."""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd

from studies.analysis.estimates import ALPHA, MOST, detectable, least_count, needed, resolvable
from studies.analysis.run_comparisons import IDENTICAL, SIGN, UNTESTED
from studies.data.runs.places import noun, short_names
from studies.data.runs.runs import Runs
from studies.errors import SHOWN, listed
from studies.show.texts import (
    best_first,
    digits_of,
    format_interval,
    format_number,
    format_probability,
    format_signed,
    headed,
)

LONG = 30  # letters of a variant's name, beyond which a head calls it "the baseline"
PLANNED = 8  # differences at most, for each of which the number of runs is said that would show it


def table_of(table: pd.DataFrame, runs: Runs) -> pd.DataFrame:
    """Variants or levels as texts, at most `SHOWN`: means, counts, and the difference with its interval, p and test."""
    named = [name for name in ("factor", "level", "variant") if name in table]
    if "variant" in table and (len(table) > SHOWN or not runs.baseline):
        table = best_first(table, "mean_of_all", runs.measure).head(SHOWN)
    measure = runs.measure
    digits, fine = digits_of(measure, table["mean_of_all"]), digits_of(measure, table["difference"])
    texts = table[named].astype(str).reset_index(drop=True)
    if "variant" in texts:
        texts["variant"] = texts["variant"].map(short_names(runs))
    texts[f"mean {headed(measure)}"] = [format_number(value, digits) for value in table["mean"]]
    if not np.allclose(table["mean"], table["mean_of_all"], rtol=1e-9, equal_nan=True):
        texts["of all its runs"] = [format_number(value, digits) for value in table["mean_of_all"]]
    texts["runs"] = [f"{count:,.0f}" for count in table["runs"]]
    texts["failed"] = [f"{count:,.0f}" for count in table["failed"]]
    others = table["other"].replace("", pd.NA)
    if "factor" in table:
        texts["compared with"] = list(others.fillna(""))
    texts["difference" if "factor" in table else f"less {reference_of(runs, table)}"] = [
        "baseline" if not other and runs.baseline else "best" if not other else format_signed(value, fine)
        for other, value in zip(table["other"], table["difference"], strict=True)
    ]
    texts["95% interval"] = [
        format_interval(low, high, fine) for low, high in zip(table["ci_low"], table["ci_high"], strict=True)
    ]
    texts["p"] = [format_probability(value) for value in table["p"]]
    texts["adjusted p"] = [format_probability(value) for value in table["p_adjusted"]]
    texts["test"] = list(table["test"])
    texts["values"] = [
        "" if not other else f"{count:,.0f}" for other, count in zip(table["other"], table["values"], strict=True)
    ]
    return texts


def reference_of(runs: Runs, variants: pd.DataFrame) -> str:
    """The variant that the others are compared with, as sentences and heads call it."""
    known = variants.loc[variants["other"] != "", "other"]
    other = str(known.iloc[0]) if len(known) else ""
    return other if 0 < len(other) <= LONG else "the baseline" if runs.baseline else "the best"


def places(runs: Runs) -> str:
    """The values that a mean difference is over, in words."""
    return "paired runs" if runs.paired and not (runs.by_block or runs.fold) else noun(runs)


def heading(runs: Runs, variants: pd.DataFrame) -> str:
    """The title of the table of variants."""
    tested = "; p adjusted over this table by Holm" if variants["p"].notna().any() else ""
    return f"Variants by {runs.measure.called}, {runs.measure.better} is better{tested}"


def heading_of_levels(runs: Runs) -> str:
    """The title of the table of levels."""
    warned = "; sampling may have been adaptive, so these means compare unlike sets" if runs.searched else ""
    return f"Levels of each factor, compared at equal other factors{warned}"


def sentences(runs: Runs, variants: pd.DataFrame) -> list[str]:
    """Lines about differences that are shown, not shown or none, and what cannot be told; then failures and attributes."""
    others = variants[variants["other"] != ""]
    if others.empty:
        return ["One variant: there is nothing to compare it with."]
    reference = reference_of(runs, variants)
    names = short_names(runs)
    chosen = others["other"].iloc[0]
    others = others.assign(variant=others["variant"].map(names), other=reference)
    identical = others[others["test"] == IDENTICAL]
    tested = others[others["p_adjusted"].notna()]
    shown = tested[tested["p_adjusted"] < ALPHA]
    untold = others[(others["test"] == UNTESTED) | (others["p_adjusted"].isna() & (others["test"] != IDENTICAL))]
    lines = []
    if not runs.reference:
        lines.append(
            f"No variant is a baseline, so each is compared with the best, {chosen}. It was chosen on these values, which "
            "makes its lead look larger; --baseline names another."
        )
    if len(shown):
        lines.append(f"Shown, at {ALPHA:.0%} over the whole table: {listed(_change(runs, row) for row in _rows(shown))}.")
    elif len(tested):
        lines.append(f"Shown: nothing; no difference from {reference} is beyond chance at {ALPHA:.0%} over the whole table.")
    if len(identical):
        row = next(_rows(identical))
        lines.append(
            f"Identical to {reference} in all {row['cells']:,} cells, so there is no p: {listed(identical['variant'])}."
        )
    if (others["test"] == SIGN).any():
        same = others[others["test"] == SIGN]
        lines.append(f"No spread: all differences are equal, so p is that of a sign test: {listed(same['variant'])}.")
    unseen = tested[tested["p_adjusted"] >= ALPHA]
    if runs.reference and len(unseen) <= PLANNED:
        lines += [_not_shown(runs, row) for row in _rows(unseen)]
    elif len(unseen):
        lines.append(f"Not shown to differ from {reference}: {listed(_order(row, runs) for row in _rows(unseen))}.")
    if len(untold):
        order = listed(_order(row, runs) for row in _rows(untold))
        lines.append(f"Cannot be told from chance: {order}.")
    lines += _lost(others)
    for name, own in runs.attributes.items():
        lines.append(f"{name}: {listed(f'{names[variant]} {value}' for variant, value in own.items())}.")
    return lines


def _rows(table: pd.DataFrame) -> Iterator[pd.Series]:
    return (row for _, row in table.iterrows())


def _interval(row: pd.Series, digits: int) -> str:
    return "" if math.isnan(row["ci_low"]) else f" [{format_interval(row['ci_low'], row['ci_high'], digits)}]"


def _digits(runs: Runs, row: pd.Series) -> int:
    return digits_of(runs.measure, [row["difference"], row["ci_low"], row["ci_high"]])


def _change(runs: Runs, row: pd.Series) -> str:
    """A difference in words: "w/o attention is worse than full by 0.0206 [..]"."""
    worse = row["difference"] * runs.measure.sign > 0
    digits = _digits(runs, row)
    size = f"{format_signed(row['difference'], digits)}{runs.measure.points}{_interval(row, digits)}"
    return f"{row['variant']} is {'worse' if worse else 'better'} than {row['other']} ({size})"


def _order(row: pd.Series, runs: Runs) -> str:
    if math.isnan(row["difference"]):
        return f"{row['variant']} (no shared value)"
    return f"{row['variant']} ({format_signed(row['difference'], _digits(runs, row))}{runs.measure.points})"


def _not_shown(runs: Runs, row: pd.Series) -> str:
    """A difference that is not shown, the one that would show, and the number of values that would show this one."""
    digits, points, gap, values = _digits(runs, row), runs.measure.points, abs(row["difference"]), int(row["values"])
    said = f"Not shown: {row['variant']} less {row['other']}, {format_signed(row['difference'], digits)}{points}"
    said += _interval(row, digits)
    if not row["error"] > 0 or not gap:
        return f"{said}."

    def reach(count: int) -> float:
        if runs.paired:
            return resolvable(row["sd"], count, runs.test_share)
        return detectable(row["error"] * math.sqrt(values / count), row["freedom"] * count / values)

    said += f"; {values:,} {places(runs)} show {reach(values):.2g}{points} four times in five"
    if runs.paired and needed(row["sd"], gap, runs.test_share) is None:
        return f"{said}, and no number of folds of this data set would show this one."
    more = least_count(reach, gap)
    if more is None:
        return f"{said}, and this one would take more than {max(MOST, values):,}."
    return f"{said}, and this one would take {more:,}." if more > values else f"{said}."


def _lost(others: pd.DataFrame) -> Iterator[str]:
    """Comparisons of survivors: where a run of one of both failed."""
    for row in list(_rows(others[(others["lost"] > 0) & (others["test"] != UNTESTED)]))[:SHOWN]:
        yield (
            f"{row['variant']} less {row['other']} is over {row['cells']:,} cells, without {row['lost']:,} in which one of "
            f"both failed: {row['variant']} failed in {row['failed']:,.0f} of {row['runs']:,.0f} runs."
        )
