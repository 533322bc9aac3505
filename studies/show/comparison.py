"""Changes between two results of one study, in words: for the terminal, with an exit status."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from studies.analysis.compare import QUESTIONS, order
from studies.columns import MADE_BY
from studies.data.measures import Measure
from studies.show import texts
from studies.spec.measures import MEASURES

SHOWN = 10  # configurations at most in the table, those that changed the most beyond chance
NOTHING, WORSE, UNTOLD = 0, 1, 3  # exit status
INTERVALS = "an interval excludes 0 where its adjusted p is below 5%; those of one question hold simultaneously"
POPULATION = "all this is about new seeds on these rows, as if both had been trained again, and not about new data"


def maker_differences(a: Mapping[str, Any], b: Mapping[str, Any], trials_a: pd.DataFrame, trials_b: pd.DataFrame) -> list[str]:
    """The differences in the making of the two: "torch: 2.13.0+cpu in A, 2.14.0+cpu in B"."""
    sides = []
    for manifest, trials in ((a, trials_a), (b, trials_b)):
        runs: dict[str, list[Any]] = {}
        for run in manifest["runs"]:
            for key in ("commit", "python", "system", "processor"):
                runs.setdefault(key, []).append(run.get(key))
        made = {column: trials[column].dropna().tolist() for column in MADE_BY if column in trials}
        sides.append({key: ", ".join(map(str, dict.fromkeys(values))) for key, values in {**made, **runs}.items()})
    return [
        f"{key}: {sides[0].get(key) or 'unknown'} in A, {sides[1].get(key) or 'unknown'} in B"
        for key in dict.fromkeys([*sides[0], *sides[1]])
        if sides[0].get(key) != sides[1].get(key)
    ]


def conclude(
    both: pd.DataFrame, found: pd.DataFrame, margin: float | None = None, measure: Measure = MEASURES["error"]
) -> tuple[int, list[str]]:
    """The exit status that the `find_changes` of `matched` trials mean, and sentences that say why.

    With a `margin`, in the unit of the measure, the status is `WORSE` unless the means are shown to be worse by less than that.
    A configuration that is worse, but shown to be so by less than the margin, then counts as not worse.
    """
    if (both["failed_a"] & both["failed_b"]).all():
        return UNTOLD, [f"nothing can be compared: all {len(both):,} trials failed on both sides"]
    # The trials of a stack share its seconds, so there are fewer measurements of time than trials.
    a, b = both[["seconds_a", "seconds_b"]].mean()
    times = [f"{a:.3g} s a trial in A, {b:.3g} s in B: times judge machines too, and are not judged"] if a > 0 and b > 0 else []
    if both["equal"].all():
        return NOTHING, [f"nothing changed: all {len(both):,} trials are equal to the bit", *times]
    means = found[found["question"] == "mean"]
    lines = [f"{both['equal'].sum():,} of {len(both):,} trials are equal to the bit"]
    lines += [_change(row, measure) for row in means.to_dict("records")]
    if np.isfinite(order(found)):
        lines.append(f"the order of the configurations: rank correlation {order(found):.3f} (Spearman)")
    lines += times
    small = found["worse"] & (found["question"] != "failures") & (found["bound"] < (0 if margin is None else margin))
    for way, rows in (
        ("worse", found["worse"] & ~small),
        ("worse by less than the margin", small),
        ("better", found["better"]),
    ):
        counts = found.loc[rows, "question"].value_counts()
        if len(counts):
            lines.append(f"{way} beyond chance: {', '.join(f'{QUESTIONS[name]} ({n})' for name, n in counts.items())}")
    lost = int((both["failed_b"] & ~both["failed_a"]).sum())
    if lost:
        lines.append(f"trials that failed in B only: {lost:,}; no mean has their values")
    worse = bool((found["worse"] & ~small).any())
    if means["p"].isna().all():
        few = "one value of each configuration tells no change from chance: compare runs with folds or repeats"
        lines.append("no trial has a value on both sides" if means.empty else few)
        return WORSE if worse else UNTOLD, lines
    few = found["p"].notna() & found["p_adjusted"].isna()
    if few.any():
        lines.append(f"{few.sum():,} configurations are too many to be judged one by one by so few folds and repeats")
    lines += [INTERVALS, POPULATION]
    if margin is not None:
        shown = not lost and bool((means["bound"] < margin).all())
        lines += [_shown(row, margin, lost, measure) for row in means.to_dict("records")]
        return WORSE if worse or not shown else NOTHING, lines
    if not worse:
        lines.append("nothing is worse beyond chance; that does not show that nothing is worse: --margin asks for it")
    return WORSE if worse else NOTHING, lines


def _mean_of(row: Mapping[str, Any], measure: Measure) -> str:
    """The name of a mean in a sentence."""
    return f"the mean {measure.called}" + (f" of reading {row['reading']}" if row["reading"] else "")


def _change(row: Mapping[str, Any], measure: Measure) -> str:
    """A sentence about a mean: its change with the interval, and the change that would have been found."""
    changed = f"{_mean_of(row, measure)} changes by {row['difference']:+.3f}{measure.points}"
    if not np.isfinite(row["ci_high"]):
        return f"{changed}: no interval, for lack of spread or of values"
    return (
        f"{changed}, 95% interval {row['ci_low']:+.3f} to {row['ci_high']:+.3f}; "
        f"a change by {row['seen']:.3f} would be found four times in five"
    )


def _shown(row: Mapping[str, Any], margin: float, lost: int, measure: Measure) -> str:
    """A sentence about a mean: the bound of its change, and on which side of the margin that is."""
    said = f"{_mean_of(row, measure)} is worse by less than {margin:g}{measure.points}"
    if not np.isfinite(row["bound"]):
        return f"not shown: {said}; there are too few values for a bound"
    bound = f"95% upper bound of the change for the worse {row['bound']:+.3f}"
    if row["bound"] < margin and lost:
        return f"not shown: {said}; {bound}, but without the failed trials"
    verdict = "shown" if row["bound"] < margin else "not shown"
    return f"{verdict}: {said}, if at all; {bound}"


def change_table(found: pd.DataFrame, measure: Measure = MEASURES["error"]) -> pd.DataFrame:
    """The means, the failures, and the configurations of the smallest adjusted p, as texts for a table."""
    single = found["question"] == "configuration"
    changed = found[single & (found["difference"] != 0)]
    order = changed.assign(size=-changed["difference"].abs()).sort_values(["p_adjusted", "size"], kind="stable").index
    rows = []
    for row in found.loc[[*found.index[~single], *order[:SHOWN]]].to_dict("records"):
        count = row["question"] == "failures"
        what = f"{row['what']} (trials)" if count else f"{row['what']} ({texts.headed(measure)})"
        reading = row.get("reading")
        digits = 0 if count else texts.digits_of(measure, [row["a"], row["b"]])
        rows.append(
            {
                "what": f"{reading}: {what}" if isinstance(reading, str) and reading else what,
                "A": texts.format_number(row["a"], digits),
                "B": texts.format_number(row["b"], digits),
                "B - A": texts.format_signed(row["difference"], digits),
                "95% interval": texts.format_interval(row["ci_low"], row["ci_high"], digits or 2),
                "p": texts.format_probability(row["p"]),
                "adjusted p": texts.format_probability(row["p_adjusted"]),
                "equal to the bit": "" if count else f"{row['equal']:,.0f} of {row['trials']:,.0f}",
                "beyond chance": "worse" if row["worse"] else "better" if row["better"] else "",
            }
        )
    return pd.DataFrame(rows)
