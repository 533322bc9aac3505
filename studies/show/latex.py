"""The configurations of a study as a table for a paper, in LaTeX with booktabs."""

import math
import re
from collections.abc import Sequence

import pandas as pd

from studies.analysis.estimates import ALPHA
from studies.analysis.outcomes import SET_WORDS, judged_on
from studies.analysis.tables import Tables, of_reading
from studies.show.texts import best_first, counted, digits_of
from studies.spec.measures import Measure
from studies.spec.study import Study

SHOWN = 40  # configurations at most: the best of more
SPREADS = ("sd", "interval")
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}
_AS_GOOD = r"^{\dagger}"


def escape(text: str) -> str:
    r"""A text as LaTeX prints it.

    >>> escape("50% of a_b & c")
    '50\\% of a\\_b \\& c'
    """
    return re.sub(r"[\\~^&%$#_{}<>|]", lambda found: _SPECIAL[found.group()], text)


def latex(study: Study, tables: Tables, spread: str = "sd") -> str:
    """A table of one reading in LaTeX, which needs the package booktabs.

    A line for each configuration, the best first and in bold, with its mean and the `spread`: "sd" over trials, or the 95%
    "interval" of the mean. Those that are not shown to be worse than the best carry a dagger. Where there is a baseline, its
    lines have what they change, with the adjusted p. The note below says what is over what.

    `tables` are those of the reading (`tables.of_reading`).
    """
    summary, measure = tables["summary"], study.measure
    judged, factors = judged_on(summary), list(study.grid.levels)
    order = best_first(summary, f"{judged}_mean", measure)
    start = study.grid.baseline_configuration
    shown = order[:SHOWN]
    if start and start.id in set(order["config"][SHOWN:]):
        shown = pd.concat([shown, order[order["config"] == start.id]])
    compared = tables["comparisons"]
    from_best, from_start = (_by_config(compared, name) for name in ("best", "baseline"))
    heads = [*map(escape, factors or ["configuration"]), escape(measure.title)]
    if len(from_start):
        heads += ["change", "$p$"]
    lines, decimals = [], digits_of(measure, order[f"{judged}_mean"])
    for row in shown.to_dict("records"):
        levels = [str(row[factor]) for factor in factors] or [str(row["label"])]
        value = _value(row, judged, spread)
        if row["config"] == order["config"].iloc[0]:
            value = rf"\mathbf{{{value}}}"
        elif row["config"] in from_best.index and from_best.loc[row["config"], "p_adjusted"] >= ALPHA:
            value += _AS_GOOD
        cells = [*map(escape, levels), f"${value}$" if value else "--"]
        if len(from_start):
            cells += _change(from_start, row["config"], start is not None and row["config"] == start.id, decimals)
        lines.append(" & ".join(cells) + r" \\")
    columns = "l" * len(levels) + "r" * (len(heads) - len(levels))
    note = _note(study, judged, spread, order["trials"], bool(len(from_start)), measure)
    return "\n".join(
        [
            r"% \usepackage{booktabs}",
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{escape(study.title)}}}",
            rf"  \begin{{tabular}}{{{columns}}}",
            r"    \toprule",
            f"    {' & '.join(heads)} \\\\",
            r"    \midrule",
            *(f"    {line}" for line in lines),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"  \par\smallskip",
            rf"  {{\footnotesize {note}}}",
            r"\end{table}",
            "",
        ]
    )


def of_study(study: Study, tables: Tables, spread: str = "sd") -> str:
    """`latex` for every reading that has rows."""
    own = ((reading, of_reading(tables, reading)) for reading in study.readings)
    return "\n".join(latex(reading, part, spread) for reading, part in own if len(part["summary"]))


def _by_config(compared: pd.DataFrame, against: str) -> pd.DataFrame:
    """The comparisons with the best or the baseline, by configuration."""
    if compared.empty:
        return pd.DataFrame()
    return compared[compared["against"] == against].set_index("config")


def digits_by(spread: float) -> int:
    """The decimals that leave two digits of a spread: more say nothing.

    >>> [digits_by(each) for each in (0.0123, 1.8, 25.0, 0.0)]
    [3, 1, 0, 2]
    """
    return max(0, 1 - math.floor(math.log10(spread))) if spread > 0 and math.isfinite(spread) else 2


def _value(row: dict[str, float], judged: str, spread: str) -> str:
    """A mean with its spread in math mode, in as many digits as this bears; nothing where there is none."""
    mean, sd = row[f"{judged}_mean"], row[f"{judged}_sd"]
    if pd.isna(mean):
        return ""
    low, high = row[f"{judged}_ci_low"], row[f"{judged}_ci_high"]
    if spread == "interval":
        digits = digits_by((high - low) / 2)
        return f"{mean:.{digits}f}" + (f"\\ [{low:.{digits}f}, {high:.{digits}f}]" if pd.notna(low) else "")
    digits = digits_by(sd)
    return f"{mean:.{digits}f}" + (f" \\pm {sd:.{digits}f}" if pd.notna(sd) else "")


def _change(from_start: pd.DataFrame, config: str, is_start: bool, digits: int) -> Sequence[str]:
    """The change from the baseline, and its adjusted p."""
    if is_start:
        return ["baseline", ""]
    row = from_start.loc[config]
    difference, p = row["difference"], row["p_adjusted"]
    if pd.isna(difference):
        return ["--", "--"]
    told = "--" if pd.isna(p) else "$<$0.001" if p < 0.001 else f"{p:.3f}"
    return [f"${difference:+.{digits}f}$", told]


def _trials(counts: pd.Series) -> str:
    """The numbers of trials of configurations: "5 trials", "3 to 5 trials"."""
    low, high = int(counts.min()), int(counts.max())
    return counted(high, "trial") if low == high else f"{low:,} to {high:,} trials"


def _note(study: Study, judged: str, spread: str, counts: pd.Series, has_start: bool, measure: Measure) -> str:
    """The sentences below a table; `counts` are the trials of each configuration."""
    trials = _trials(counts)
    over = f"standard deviation over {trials} each" if spread == "sd" else f"{study.sampling.words}; {trials} each"
    said = [
        f"Mean {SET_WORDS[judged]} {measure.title}, and {over}.",
        f"Bold: the best mean. Dagger: not shown to be worse than it at {100 * ALPHA:.0f}%, adjusted for all pairs.",
    ]
    if has_start:
        pairing = "unpaired" if study.table and not study.table.runs.paired else "paired"
        said.append(f"Change: less the baseline, {pairing}, with its adjusted p.")
    if len(counts) > SHOWN:
        said.append(f"The {SHOWN} best of {len(counts):,} configurations{', and the baseline' if has_start else ''}.")
    said.append(f"All of this holds for {study.sampling.population}.")
    return escape(" ".join(said))
