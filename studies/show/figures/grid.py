"""Errors of all configurations: by cell of the grid, by level of each factor, and one by one."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from studies.analysis.outcomes import SET_WORDS, judged_on
from studies.analysis.summaries import beside
from studies.analysis.tables import Tables, around
from studies.data.measures import Measure
from studies.show.figures.style import (
    HEAT,
    error_bars,
    heat,
    height_of_levels,
    label_levels,
    legend_beside,
    length,
    new_figure,
    over,
    percent_ticks,
    shape,
    title_of,
    titled,
    used,
    value_axis,
    wider,
    width_of_levels,
    wrap,
)
from studies.show.texts import best_first, counted, digits_of, headed
from studies.spec.study import Study

SHOWN = 12  # models at either end, where a study has more than twice as many
APART = 5  # times the median of all configurations: a mean above it has an axis of its own
_ACROSS = 3  # panels side by side
_SPARSE = 4  # cells for each configuration at most: a map of more is empty
_EMPTY = "0.8"
_ZERO = "#cfe8f5"  # lighter than all errors
_ZERO_LOOK: dict[str, Any] = {"linestyle": "none", "marker": "s", "color": _ZERO}
_ZERO_MARK: dict[str, Any] = {"linestyle": "none", "marker": ".", "color": "0.3", "markersize": 2.5}


def has_several_factors(study: Study) -> bool:
    """True where configurations form a grid: those of one factor are a list, which `models` shows."""
    return len(study.grid.levels) > 1


def grid(study: Study, tables: Tables) -> Figure | str:
    """Mean and sd of the measure of every configuration as two heat maps, some factors along rows and some along columns.

    An error of 0 has no place on a logarithmic scale: it has a colour and a mark of its own.
    """
    summary = tables["summary"]
    judged, factors, measure = judged_on(summary), study.grid.levels, study.measure
    count = math.prod(map(len, factors.values()))
    if count > _SPARSE * len(summary):
        return f"not drawn: the grid has {len(summary):,} of {count:,} cells, and a heat map of the others is empty"
    rows, columns = layout(factors)
    shape = [math.prod(len(factors[factor]) for factor in axis) for axis in (rows, columns)]
    across, down = (max(0.0, _longest(axis, factors) - 2.0) for axis in (rows, columns))
    figure = new_figure(3.6 + max(3.0, 0.26 * shape[1]) + across, 2.6 + 2 * max(1.2, 0.2 * shape[0]) + down)
    axes = figure.subplots(2, 1, sharex=True, squeeze=True)
    handles: dict[str, Artist] = {}
    for ax, (statistic, words) in zip(axes, (("mean", "mean"), ("sd", "standard deviation")), strict=True):
        cells = _cells(summary, f"{judged}_{statistic}", factors, rows, columns)
        percent = measure.unit == "%"
        known = cells[cells > 0] if percent else cells[np.isfinite(cells)]
        ends = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
        colors, norm = heat(measure if statistic == "mean" or percent else replace(measure, better="lower"), *ends)
        low = float(norm.vmin or 0)
        shown = np.clip(np.where(cells > 0, cells, np.nan), low, None) if percent else cells
        mesh = ax.pcolormesh(shown, cmap=colors, norm=norm, edgecolors="white", linewidth=0.2)
        zero = np.where((cells == 0) & percent, 0.0, np.nan)
        ax.pcolormesh(zero, cmap=ListedColormap([_ZERO]), edgecolors="white", linewidth=0.2)
        ax.plot(*np.argwhere(zero == 0).T[::-1] + 0.5, **_ZERO_MARK)
        ax.set_facecolor(_EMPTY)
        if (zero == 0).any():
            handles["exactly 0"] = Line2D([], [], markersize=9, markeredgecolor="0.5", **_ZERO_LOOK)
        if np.isnan(cells).any():
            handles["no value"] = Patch(color=_EMPTY)
        ax.invert_yaxis()
        ax.set_title(f"{SET_WORDS[judged].capitalize()} {measure.called}, {words} over {over(study)}", loc="left")
        bar = figure.colorbar(mesh, ax=ax, label=headed(measure), pad=0.01)
        if percent:
            percent_ticks(bar.ax.yaxis)
        digits = 1 if percent else digits_of(measure, cells.ravel()) - 1
        if cells.size <= 150:
            for (row, column), value in np.ndenumerate(cells):
                if np.isfinite(shown[row, column]):
                    share = float(norm(max(value, low)))
                    dark = (share if colors == HEAT else 1 - share) > 0.5
                    ax.text(
                        column + 0.5,
                        row + 0.5,
                        f"{value:.{max(0, digits)}f}",
                        ha="center",
                        va="center",
                        fontsize=7,
                        color="w" if dark else "k",
                    )
        _label_cells(ax, "y", rows, factors)
    _label_cells(axes[1], "x", columns, factors)
    axes[0].tick_params(labelbottom=False)
    if handles:
        figure.legend(handles.values(), handles, loc="outside lower left", ncols=2, fontsize=7)
    titled(figure, title_of(study))
    return figure


def draw_levels(study: Study, tables: Tables) -> Figure:
    """The measure by level for every factor: a dot for each configuration, and the mean over the grid with its interval."""
    summary, table = tables["summary"], tables["levels"]
    judged = judged_on(summary)
    factors = {factor: names for factor, names in study.grid.levels.items() if factor in set(table["factor"])}
    down, across = shape(len(factors), _ACROSS)
    names = list(factors)
    widths = [max(3.2, *(width_of_levels(factors[name]) for name in names[column::across])) for column in range(across)]
    figure = new_figure(2.4 + sum(widths), 0.6 + down * (3.4 + max(map(height_of_levels, factors.values()))))
    axes = used(figure.subplots(down, across, sharey=True, squeeze=False, width_ratios=widths).flat, len(names))
    rng = np.random.default_rng(0)
    for ax, factor in zip(axes, names, strict=True):
        own = table[table["factor"] == factor].set_index("level")
        shown = own.loc[[level for level in factors[factor] if level in own.index]]  # a level may have no rows yet
        compared = beside(summary, factor, around(study)).groupby(factor)[f"{judged}_mean"]
        for place, name in enumerate(shown.index):
            values = compared.get_group(name)
            ax.plot(place + rng.uniform(-0.3, 0.3, len(values)), values, ".", color="0.72", markersize=3, zorder=1)
        mean, low, high, median = (shown[f"{judged}_{what}"] for what in ("mean", "ci_low", "ci_high", "median"))
        places = np.arange(len(shown))
        ax.errorbar(
            places, mean, yerr=_whiskers(mean, low, high), fmt="o", color="C0", capsize=4, zorder=3, label="mean, 95% interval"
        )
        ax.plot(places, median, "_", color="k", markersize=14, markeredgewidth=2, zorder=2, label="median of the trials")
        stuck = 100 * (shown["stuck"] / shown["trials"])
        cells = compared.size()[shown.index]
        uneven = cells.min() < cells.max()  # means over other cells are no comparison: the table has the paired differences
        notes = [[] if study.table else [f"stuck {share:.0f}%"] for share in stuck]
        if uneven:
            notes = [[*note, counted(count, "cell")] for note, count in zip(notes, cells, strict=True)]
        label_levels(ax, list(shown.index), ["\n".join(note) for note in notes])
        ax.set_title(factor)
        ax.yaxis.set_tick_params(labelleft=True)
    drawn = pd.concat([summary[f"{judged}_mean"], table[f"{judged}_ci_low"]])
    value_axis(axes[0], study.measure, f"{SET_WORDS[judged]} {study.measure.title}", drawn)
    axes[0].plot([], [], ".", color="0.72", label="one configuration")
    legend_beside(figure, *axes[0].get_legend_handles_labels())
    titled(figure, title_of(study), f"{over(study)}; {study.sampling.words}")
    return figure


def models(study: Study, tables: Tables) -> Figure:
    """Each configuration in training and test, mean and sd over its trials; the best and worst where they are many."""
    summary, measure = tables["summary"], study.measure
    judged = judged_on(summary)
    groups = _groups(best_first(summary, f"{judged}_mean", measure), f"{judged}_mean", measure)
    width = 9.5 + wider(summary["label"], 4.0)
    figure = new_figure(width, 1.6 + 0.24 * sum(len(group) + 2 for group in groups.values()))
    axes = figure.subplots(len(groups), 1, squeeze=False, height_ratios=[len(group) for group in groups.values()])[:, 0]
    sets = list(dict.fromkeys(name for name in ("train", judged) if f"{name}_mean" in summary))
    offsets = (-0.15, 0.15) if len(sets) > 1 else (0.0,)
    for ax, (title, group) in zip(axes, groups.items(), strict=True):
        places = np.arange(len(group))
        for offset, name, marker in zip(offsets, sets, "so", strict=False):
            mean, sd = group[f"{name}_mean"], group[f"{name}_sd"].fillna(0)
            ax.errorbar(
                mean,
                places + offset,
                xerr=sd,
                fmt=marker,
                markersize=4,
                capsize=2,
                linewidth=1,
                label=f"{SET_WORDS[name]} {measure.called}",
            )
        ax.set_yticks(places, list(group["label"]), fontsize=7)
        ax.set_ylim(len(group) - 0.4, -0.6)
        if measure.unit == "%":
            ax.set_xlim(left=0)
        ax.set_title(title, loc="left")
        ax.grid(visible=False, axis="y")
    if len(sets) > 1:
        axes[0].legend(loc="best", fontsize=8)
    axes[-1].set_xlabel(f"{measure.title}: mean and sd over {over(study)}")
    titled(figure, title_of(study))
    return figure


def seeds(study: Study, tables: Tables) -> Figure:
    """Every value that a mean is over as a point under it: of each configuration, or, where these are many, of each level."""
    values = tables["values"]
    judged = judged_on(values)
    known = best_first(tables["summary"], f"{judged}_mean", study.measure)
    groups = {"": known.rename(columns={"label": "level"})}
    if "label" not in set(values["factor"]):
        table = tables["levels"]
        groups = {factor: table[table["factor"] == factor] for factor in study.grid.levels}
    rows = [len(group) for group in groups.values()]
    width = 9.5 + wider((level for group in groups.values() for level in group["level"]), 4.0)
    figure = new_figure(width, 1.7 + sum(0.3 * count + 0.3 for count in rows))
    axes = figure.subplots(len(groups), 1, sharex=True, squeeze=False, height_ratios=[count + 0.6 for count in rows])[:, 0]
    rng = np.random.default_rng(0)
    for ax, (factor, group) in zip(axes, groups.items(), strict=True):
        own = values[values["factor"] == (factor or "label")].groupby("level")[f"{judged}_value"]
        for place, level in enumerate(group["level"]):
            points = own.get_group(level)
            ax.plot(points, place + rng.uniform(-0.25, 0.25, len(points)), ".", color="0.65", markersize=4, zorder=1)
        mean, low, high = (group[f"{judged}_{what}"] for what in ("mean", "ci_low", "ci_high"))
        error_bars(ax, mean, np.arange(len(group)), low, high)
        ax.set_yticks(np.arange(len(group)), list(group["level"]), fontsize=8)
        ax.set_ylim(len(group) - 0.4, -0.6)
        ax.set_title(factor, loc="left")
        ax.grid(visible=False, axis="y")
    shown = pd.concat(
        [values[f"{judged}_value"], *(group[f"{judged}_ci_{end}"] for group in groups.values() for end in ("low", "high"))]
    )
    value_axis(axes[-1], study.measure, f"{SET_WORDS[judged]} {study.measure.title}", shown, along="x")
    sampling = study.sampling
    one = "one fold" if sampling.folds and not sampling.by_repeat else "one repeat"
    if study.table:
        one = f"one of {sampling.over}"
    what = f"Grey: {one} each" if len(groups) == 1 else f"Grey: {one} each, averaged over the rest of the grid"
    titled(figure, title_of(study), f"{what}. Blue: their mean, with the {sampling.words}.")
    return figure


def _groups(order: pd.DataFrame, column: str, measure: Measure) -> dict[str, pd.DataFrame]:
    """The configurations that share an axis, under its title: one far worse than most would hide how these differ."""
    if len(order) > 2 * SHOWN:
        ends = {"best": order[:SHOWN], "worst": order[-SHOWN:]}
        return {f"The {SHOWN} {end} of {len(order)} configurations": group for end, group in ends.items()}
    median = order[column].median()
    apart = (order[column] > APART * median) & (median > 0) & (measure.better == "lower")
    if not apart.any():
        return {"All configurations": order}
    shown = f"Shown apart: {apart.sum()} of {len(order)}, whose mean is over {APART} times the median"
    return {f"{(~apart).sum()} of {len(order)} configurations": order[~apart], shown: order[apart]}


def layout(factors: Mapping[str, Sequence[str]]) -> tuple[list[str], list[str]]:
    """Factors along rows and factors along columns of a heat map, outermost first: as square as can be.

    Long labels read best beside a row, so the factor with the longest is the innermost of the rows.
    """
    longest = max(factors, key=lambda factor: max(map(len, factors[factor])))
    others = [factor for factor in factors if factor != longest]
    best: tuple[float, list[str]] = (math.inf, [])
    for count in range(len(others) + 1):
        for chosen in itertools.combinations(others, count):
            height = math.prod(len(factors[factor]) for factor in (*chosen, longest))
            width = math.prod(len(names) for names in factors.values()) / height
            best = min(best, (abs(math.log(width / height / 1.5)), list(chosen)))
    rows = [*best[1], longest]
    return rows, [factor for factor in factors if factor not in rows]


def _cells(
    summary: pd.DataFrame, column: str, factors: Mapping[str, Sequence[str]], rows: Sequence[str], columns: Sequence[str]
) -> Any:  # noqa: ANN401
    """Values of a column as a matrix over the product of row levels and column levels; NaN where there is none."""
    values = {tuple(row[:-1]): row[-1] for row in summary[[*rows, *columns, column]].itertuples(index=False, name=None)}
    return np.array(
        [
            [values.get((*row, *across), np.nan) for across in itertools.product(*(factors[factor] for factor in columns))]
            for row in itertools.product(*(factors[factor] for factor in rows))
        ]
    )


def _longest(factors: Sequence[str], names: Mapping[str, Sequence[str]]) -> float:
    """Inches that the longest label of a row or column takes."""
    return length(" | ".join(max(names[factor], key=length) for factor in factors))


def _label_cells(ax: Axes, axis: Literal["x", "y"], factors: Sequence[str], names: Mapping[str, Sequence[str]]) -> None:
    """Name every row or column by its levels, outermost first, and part the groups of the outermost factor."""
    labels = [" | ".join(levels) for levels in itertools.product(*(names[factor] for factor in factors))]
    set_ticks, set_label, part = (
        (ax.set_yticks, ax.set_ylabel, ax.axhline) if axis == "y" else (ax.set_xticks, ax.set_xlabel, ax.axvline)
    )
    set_ticks(np.arange(len(labels)) + 0.5, labels, fontsize=7, rotation=0 if axis == "y" else 90)
    set_label(wrap(" | ".join(factors), 60))
    ax.tick_params(axis=axis, length=0)
    ax.grid(visible=False)
    if len(factors) > 1:
        outer = len(names[factors[0]])
        for index in range(1, outer):
            part(index * len(labels) / outer, color="white", linewidth=2.5)


def _whiskers(mean: pd.Series, low: pd.Series, high: pd.Series) -> Any:  # noqa: ANN401
    """Lengths of error bars; none where there is no interval."""
    return np.nan_to_num(np.stack((mean - low, high - mean)), nan=0.0)
