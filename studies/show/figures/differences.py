"""Configurations against each other: the ladder of single changes, and the leading ones each with each."""

import itertools

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from studies.analysis.contrasts import LEADING
from studies.analysis.estimates import ALPHA
from studies.analysis.outcomes import SET_WORDS, judged_on
from studies.analysis.tables import Tables
from studies.data.measures import Measure
from studies.show.figures.style import HEAT, error_bars, in_lines, length, new_figure, title_of, titled, wider
from studies.show.texts import digits_of
from studies.spec.study import Study

SHOWN = 40  # changes at most from the baseline, and from the best
_POINTS = (0.5, 1, 2, 5, 10, 20, 50)
_NEAR = 1.0  # points: scales are linear within


def has_baseline(study: Study) -> bool:
    """True where there are single changes around a baseline configuration."""
    return several(study) and study.grid.baseline_configuration is not None


def several(study: Study) -> bool:
    """True where there are configurations to compare."""
    return len(study.grid.configurations) > 1


def _pairing(study: Study) -> str:
    """Word for differences: those of a table that does not say which runs belong together are unpaired."""
    return "unpaired" if study.table and not study.table.runs.paired else "paired"


def draw_ladder(study: Study, tables: Tables) -> Figure | str:
    """Change in the measure of each single change from the baseline, and of each choice of the best that is taken back."""
    table, judged, measure = tables["ladder"], judged_on(tables["summary"]), study.measure
    mean = f"{judged}_mean"
    digits = digits_of(measure, table[mean])
    starts = {"one at a time": "baseline", "leave one out": "best"}
    words = {"one at a time": "with one choice changed", "leave one out": "with one choice set back to the baseline's"}
    changed = table.dropna(subset="change")
    whole = {kind: changed[changed["kind"] == kind] for kind in starts if (changed["kind"] == kind).any()}
    if not whole:
        return "not drawn: the grid has no configuration that is one change away from the baseline or the best"
    groups = {kind: _largest(group) for kind, group in whole.items()}
    rows = [len(group) for group in groups.values()]
    names = {kind: group["factor"] + " = " + group["level"] for kind, group in groups.items()}
    width = 9.5 + wider(itertools.chain.from_iterable(names.values()), 3.0)
    figure = new_figure(width, 1.9 + 0.6 * len(rows) + 0.24 * sum(rows))
    axes = figure.subplots(len(groups), 1, sharex=True, squeeze=False, height_ratios=[count + 1 for count in rows])[:, 0]
    moved = pd.concat(groups.values())[["change", "change_ci_low", "change_ci_high"]]
    for ax, (kind, group) in zip(axes, groups.items(), strict=True):
        start = table[table["kind"] == starts[kind]].iloc[0]
        places = np.arange(len(group))
        sure = group["p_adjusted"] < ALPHA
        for chosen in (sure, ~sure):
            own = group[chosen]
            ends = (own["change_ci_low"], own["change_ci_high"])
            error_bars(ax, own["change"], places[chosen], *ends, hollow=chosen is not sure)
        ax.axvline(0, color="k", linewidth=1)
        ax.set_yticks(places, list(names[kind]), fontsize=8)
        ax.set_ylim(len(group) - 0.4, -0.6)
        some = f" (the {len(group)} largest of {len(whole[kind])} changes)" if len(group) < len(whole[kind]) else ""
        title = (
            f"{starts[kind].capitalize()}: {start['label']} ({start[mean]:.{digits}f}{_percent(measure)}), {words[kind]}{some}"
        )
        ax.set_title(in_lines(title, int(11 * width)), loc="left", fontsize=9)
        ax.grid(visible=False, axis="y")
    scale = ""
    if measure.unit == "%":
        _points_axis(axes[-1], moved.min(axis=None), moved.max(axis=None))
        scale = f" (linear within {_NEAR:g}, logarithmic beyond)"
    axes[-1].set_xlabel(f"change in {SET_WORDS[judged]} {measure.change}{scale}")
    side = "Left" if measure.better == "lower" else "Right"
    titled(
        figure,
        title_of(study),
        f"Bars: {study.sampling.words}, of {_pairing(study)} differences, together for all pairs of configurations. Filled: "
        f"adjusted p below {ALPHA:g}. {side} of 0: better than what it starts from.",
    )
    return figure


def matrix(study: Study, tables: Tables) -> Figure:
    """Paired differences of the leading configurations and the baseline, each row less each column."""
    table, summary, measure = tables["pairs"], tables["summary"], study.measure
    judged = judged_on(summary)
    digits = digits_of(measure, summary[f"{judged}_mean"])
    order = list(dict.fromkeys([*table["other"], *table["config"]]))
    place = {config: index for index, config in enumerate(order)}
    shown = summary.set_index("config").loc[order]
    cells = np.full((len(order), len(order)), np.nan)
    largest = float(table["difference"].abs().max())  # differences have one sign: rows are in order
    norm = Normalize(0, max(1.0, largest) if measure.unit == "%" else largest or 1.0)
    side = 0.48 * len(order)
    figure = new_figure(1.6 + max(map(length, shown["label"])) + max(3.5, side), 2.4 + max(1.5, side))
    ax = figure.subplots()
    for row, column, difference, p in zip(
        table["config"].map(place), table["other"].map(place), table["difference"], table["p_adjusted"], strict=True
    ):
        cells[row, column] = abs(difference)
        if np.isfinite(difference):
            dark = norm(abs(difference)) > 0.4
            sure = p < ALPHA
            ax.text(
                column + 0.5,
                row + 0.5,
                f"{difference:.{digits}f}{'*' if sure else ''}",
                ha="center",
                va="center",
                fontsize=7,
                color="w" if dark else "k",
                weight="bold" if sure else "normal",
            )
    ax.pcolormesh(cells, cmap=HEAT, norm=norm, edgecolors="white", linewidth=1)
    start = study.grid.baseline_configuration
    names = [
        f"{label}{' (baseline)' if start and config == start.id else ''}  {mean:.{digits}f}{_percent(measure)}  [{index}]"
        for index, (config, label, mean) in enumerate(zip(order, shown["label"], shown[f"{judged}_mean"], strict=True), 1)
    ]
    ticks = np.arange(len(order))
    ax.set_yticks(ticks + 0.5, names, fontsize=7)
    ax.set_xticks(ticks[:-1] + 0.5, [f"[{index + 1}]" for index in ticks[:-1]], fontsize=7)
    ax.set_xlim(0, len(order) - 1)
    ax.invert_yaxis()
    ax.tick_params(length=0)
    ax.grid(visible=False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    also = ", and the baseline" if start and start.id in order else ""
    some = f"the {LEADING} best of {len(summary)} configurations{also}" if len(order) < len(summary) else "all configurations"
    titled(
        figure,
        title_of(study),
        f"{SET_WORDS[judged].capitalize()} {measure.change} of the row less that of the column, {_pairing(study)}: {some}, "
        f"the best first. * and bold: p below {ALPHA:g}, adjusted for all pairs of configurations, "
        f"for {study.sampling.population}.",
    )
    return figure


def _percent(measure: Measure) -> str:
    """The sign behind a percentage."""
    return "%" if measure.unit == "%" else ""


def _largest(changes: pd.DataFrame) -> pd.DataFrame:
    """At most `SHOWN` rows, those that change most, in their order."""
    return changes.loc[changes["change"].abs().nlargest(SHOWN).index.sort_values()]


def _points_axis(ax: Axes, low: float, high: float) -> None:
    """Points from `low` to `high` on a scale that is linear near 0."""
    ax.set_xscale("symlog", linthresh=_NEAR, linscale=0.8)
    ax.set_xlim(1.3 * min(low, -_NEAR), 1.3 * max(high, _NEAR))
    ax.xaxis.set_major_locator(FixedLocator([*(-tick for tick in _POINTS), 0, *_POINTS]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+g}" if value else "0"))
