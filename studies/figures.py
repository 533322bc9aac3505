"""Numbers to pictures: everything is drawn from the tables beside the rows, so that committed tables redraw it.

No picture relies on hue alone: the colour maps are monotone in lightness, and lines differ in their dashes and markers.
"""

import io
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from studies import build, files
from studies.analysis import judged_on
from studies.spec import Study
from studies.tables import SET_WORDS, Tables, of_reading, sampling_of

SHOWN = 12  # models at either end, where a study has more than twice as many
_STYLE = {**sns.axes_style("whitegrid"), "font.size": 9, "axes.titlesize": 10, "axes.labelsize": 9, "figure.dpi": 130}
_TICKS = (0, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
_HEAT = "rocket_r"


def draw(study: Study, tables: Tables, folder: Path) -> dict[str, str]:
    """Write the pictures of a study to `folder`, those of readings other than the primary one to folders of their names in it.

    Returns, for each picture by name, its path or what it still needs.
    """
    outcome = _draw(study, of_reading(tables, study), folder)
    for other in study.others:
        drawn = _draw(other, of_reading(tables, other), folder / other.reading)
        outcome |= {f"{other.reading}/{name}": result for name, result in drawn.items()}
    return outcome


def _draw(study: Study, tables: Tables, folder: Path) -> dict[str, str]:
    outcome = {}
    for name, (needs, picture) in _PICTURES.items():
        if name in ("grid", "levels") and not study.grid.levels:
            continue
        missing = [table for table in needs if tables[table].empty]
        if missing:
            outcome[name] = f"not drawn: it needs {' and '.join(f'{table}.csv' for table in missing)}; run the study first"
            continue
        with mpl.rc_context(_STYLE):
            figure = picture(study, tables)
            content = io.BytesIO()
            figure.savefig(content, format="png", metadata={"Software": None})
        files.write(folder / f"{name}.png", content.getvalue())
        outcome[name] = str(folder / f"{name}.png")
    return outcome


def grid(study: Study, tables: Tables) -> Figure:
    """Mean and sd of the error of every configuration as two heat maps, some factors along rows and some along columns."""
    summary = tables["summary"]
    judged = judged_on(summary)
    rows, columns = _layout(study.grid.levels)
    shape = [math.prod(len(study.grid.levels[factor]) for factor in axis) for axis in (rows, columns)]
    figure = Figure(figsize=(3.6 + max(3.0, 0.26 * shape[1]), 2.4 + 2 * max(1.2, 0.2 * shape[0])), layout="constrained")
    axes = figure.subplots(2, 1, sharex=True, squeeze=True)
    for ax, (statistic, words) in zip(axes, (("mean", "mean"), ("sd", "standard deviation")), strict=True):
        cells = _cells(summary, f"{judged}_{statistic}_pct", study.grid.levels, rows, columns)
        positive = cells[cells > 0]
        low = max(float(np.nanmin(positive)), 0.05) if positive.size else 0.05
        norm = LogNorm(low, max(float(np.nanmax(positive)), 2 * low) if positive.size else 1.0)
        mesh = ax.pcolormesh(np.clip(cells, low, None), cmap=_HEAT, norm=norm, edgecolors="white", linewidth=0.2)
        ax.set_facecolor("0.8")
        ax.invert_yaxis()
        ax.set_title(f"{SET_WORDS[judged].capitalize()} error, {words} over {_over(study)}", loc="left")
        bar = figure.colorbar(mesh, ax=ax, label="%", pad=0.01)
        _percent_ticks(bar.ax.yaxis)
        if cells.size <= 150:
            for (row, column), value in np.ndenumerate(cells):
                if np.isfinite(value):
                    dark = norm(max(value, low)) > 0.5
                    ax.text(
                        column + 0.5,
                        row + 0.5,
                        f"{value:.1f}",
                        ha="center",
                        va="center",
                        fontsize=7,
                        color="w" if dark else "k",
                    )
        _label_cells(ax, "y", rows, study.grid.levels)
    _label_cells(axes[1], "x", columns, study.grid.levels)
    axes[0].tick_params(labelbottom=False)
    figure.suptitle(study.title, x=0.01, ha="left", fontweight="bold")
    return figure


def levels(study: Study, tables: Tables) -> Figure:
    """Error by level for every factor: a dot for each configuration, and the mean over the grid with its interval."""
    summary, table = tables["summary"], tables["levels"]
    judged = judged_on(summary)
    factors = study.grid.levels
    across = min(len(factors), 3)
    down = math.ceil(len(factors) / across)
    figure = Figure(
        figsize=(0.6 + across * max(3.0, 0.75 * max(map(len, factors.values()))), 0.6 + 3.7 * down), layout="constrained"
    )
    axes = figure.subplots(down, across, sharey=True, squeeze=False).flat
    rng = np.random.default_rng(0)
    for ax in axes[len(factors) :]:
        ax.set_axis_off()
    for ax, (factor, names) in zip(axes, factors.items(), strict=False):
        for place, name in enumerate(names):
            values = summary.loc[summary[factor] == name, f"{judged}_mean_pct"]
            ax.plot(place + rng.uniform(-0.3, 0.3, len(values)), values, ".", color="0.72", markersize=3, zorder=1)
        shown = table[table["factor"] == factor].set_index("level").loc[list(names)]
        mean, low, high, median = (shown[f"{judged}_{what}_pct"] for what in ("mean", "ci_low", "ci_high", "median"))
        places = np.arange(len(names))
        ax.errorbar(
            places, mean, yerr=_whiskers(mean, low, high), fmt="o", color="C0", capsize=4, zorder=3, label="mean, 95% interval"
        )
        ax.plot(places, median, "_", color="k", markersize=14, markeredgewidth=2, zorder=2, label="median of the trials")
        stuck = 100 * (shown["stuck"] / shown["trials"])
        labels = [f"{_wrapped(name)}\n\nstuck {share:.0f}%" for name, share in zip(names, stuck, strict=True)]
        ax.set_xticks(places, labels, fontsize=8)
        ax.set_xlim(-0.6, len(names) - 0.4)
        ax.set_title(factor)
        ax.yaxis.set_tick_params(labelleft=True)
        ax.grid(visible=False, axis="x")
    _percent_axis(axes[0], f"{SET_WORDS[judged]} error in %", summary[f"{judged}_mean_pct"].min())
    axes[0].plot([], [], ".", color="0.72", label="one configuration")
    axes[0].legend(loc="upper left", fontsize=7)
    figure.suptitle(study.title, x=0.01, ha="left", fontweight="bold")
    figure.supxlabel(f"{_over(study)}; {sampling_of(study).words}", fontsize=8)
    return figure


def models(study: Study, tables: Tables) -> Figure:
    """Training and test error of each configuration, mean and sd over its trials; the best and worst where there are many."""
    summary = tables["summary"]
    judged = judged_on(summary)
    order = summary.sort_values(f"{judged}_mean_pct", kind="stable", na_position="last")
    many = len(order) > 2 * SHOWN
    groups = [("best", order[:SHOWN]), ("worst", order[-SHOWN:])] if many else [("", order)]
    figure = Figure(figsize=(9.5, 1.6 + 0.24 * sum(len(group) + 2 for _, group in groups)), layout="constrained")
    heights = [len(group) for _, group in groups]
    axes = figure.subplots(len(groups), 1, squeeze=False, height_ratios=heights)[:, 0]
    for ax, (end, group) in zip(axes, groups, strict=True):
        places = np.arange(len(group))
        sets = [name for name in ("train", judged) if f"{name}_mean_pct" in group]
        for offset, name, marker in zip((-0.15, 0.15), dict.fromkeys(sets), "so", strict=False):
            mean, sd = group[f"{name}_mean_pct"], group[f"{name}_sd_pct"].fillna(0)
            ax.errorbar(
                mean,
                places + offset,
                xerr=sd,
                fmt=marker,
                markersize=4,
                capsize=2,
                linewidth=1,
                label=f"{SET_WORDS[name]} error",
            )
        ax.set_yticks(places, list(group["label"]), fontsize=7)
        ax.set_ylim(len(group) - 0.4, -0.6)
        ax.set_xlim(left=0)
        ax.set_title(f"The {len(group)} {end} of {len(order)} configurations" if end else "All configurations", loc="left")
        ax.grid(visible=False, axis="y")
    axes[0].legend(loc="best", fontsize=8)
    axes[-1].set_xlabel(f"error in %: mean and sd over {_over(study)}")
    figure.suptitle(study.title, x=0.01, ha="left", fontweight="bold")
    return figure


def curves(study: Study, tables: Tables) -> Figure:
    """Training loss and error by epoch for each level of every factor: median over trials, and their quartiles."""
    table = tables["curves"]
    judged = next(name for name in ("test", "val", "train") if f"{name}_pct_q50" in table)
    factors = list(dict.fromkeys(table["factor"]))
    measures = [("train_loss", "training loss"), (f"{judged}_pct", f"{SET_WORDS[judged]} error in %")]
    figure = Figure(figsize=(max(5.0, 3.3 * len(factors)), 6.2), layout="constrained")
    axes = figure.subplots(2, len(factors), sharex=True, sharey="row", squeeze=False)
    for column, factor in enumerate(factors):
        part = table[table["factor"] == factor]
        names = [name for name in study.grid.levels.get(factor, part["level"].unique()) if name in set(part["level"])]
        for row, (measure, words) in enumerate(measures):
            ax = axes[row, column]
            for name, look in zip(names, _looks(), strict=False):
                line = part[part["level"] == name]
                ax.plot(line["epoch"], line[f"{measure}_q50"], label=name, linewidth=1.4, markersize=4, **look)
                ax.fill_between(line["epoch"], line[f"{measure}_q25"], line[f"{measure}_q75"], color=look["color"], alpha=0.08)
            if column == 0:
                ax.set_ylabel(words)
        axes[0, column].set_title(factor)
        axes[1, column].set_xlabel("epoch")
        axes[1, column].legend(fontsize=7)
    axes[0, 0].set_yscale("log")
    _percent_axis(axes[1, 0], measures[1][1], table[f"{judged}_pct_q25"].min())
    figure.suptitle(f"{study.title}: median and quartiles of {study.trials:,} models", x=0.01, ha="left", fontweight="bold")
    return figure


def activations(study: Study, tables: Tables) -> Figure:  # noqa: ARG001 - drawn from the framework itself
    """The activation functions of a study with their derivatives, as the framework computes them."""
    used = dict.fromkeys(
        name for each in study.grid.configurations for name in each.settings["activation"] if name != "softmax"
    )
    x = torch.linspace(-4, 4, 401, dtype=torch.float64)[None, None]
    across = min(len(used), 3)
    figure = Figure(figsize=(3.0 * across, 2.5 * math.ceil(len(used) / across) + 0.4), layout="constrained")
    axes = figure.subplots(math.ceil(len(used) / across), across, sharex=True, sharey=True, squeeze=False)
    for ax, name in itertools.zip_longest(axes.flat, used):
        if name is None:
            ax.set_axis_off()
            continue
        stack = build.fw.Sequential(build.ACTIVATIONS[name](), dtype=torch.float64)
        value = stack.forward(x)[0, 0].clone()
        slope = stack.backward(torch.ones_like(x))[0, 0]
        ax.plot(x[0, 0], value, "-", color="C0", label="f(x)")
        ax.plot(x[0, 0], slope, "--", color="C3", label="f'(x)")
        ax.set_title(name)
        ax.set_ylim(-2, 4)
    for ax in axes[-1]:
        ax.set_xlabel("x")
    axes[0, 0].legend(fontsize=8)
    figure.suptitle("Activation functions and their derivatives", x=0.01, ha="left", fontweight="bold")
    return figure


_PICTURES: dict[str, tuple[Sequence[str], Callable[[Study, Tables], Figure]]] = {
    "grid": (["summary"], grid),
    "levels": (["summary", "levels"], levels),
    "models": (["summary"], models),
    "curves": (["curves"], curves),
    "activations": ([], activations),
}


def _over(study: Study) -> str:
    """What the mean of a configuration is over: "10 folds"."""
    folds, repeats = study.validation.folds, study.validation.repeats
    parts = [f"{folds} folds"] if folds else []
    if repeats > 1 or not folds:
        parts.append(f"{repeats} repeat{'s' if repeats > 1 else ''}")
    return " x ".join(parts)


def _layout(factors: Mapping[str, Sequence[str]]) -> tuple[list[str], list[str]]:
    """Which factors go along rows and which along columns of a heat map, outermost first: as square as can be.

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


def _label_cells(ax: Axes, axis: Literal["x", "y"], factors: Sequence[str], names: Mapping[str, Sequence[str]]) -> None:
    """Name every row or column by its levels, outermost first, and part the groups of the outermost factor."""
    labels = [" | ".join(levels) for levels in itertools.product(*(names[factor] for factor in factors))]
    set_ticks, set_label, part = (
        (ax.set_yticks, ax.set_ylabel, ax.axhline) if axis == "y" else (ax.set_xticks, ax.set_xlabel, ax.axvline)
    )
    set_ticks(np.arange(len(labels)) + 0.5, labels, fontsize=7, rotation=0 if axis == "y" else 90)
    set_label(" | ".join(factors))
    ax.tick_params(axis=axis, length=0)
    ax.grid(visible=False)
    if len(factors) > 1:
        outer = len(names[factors[0]])
        for index in range(1, outer):
            part(index * len(labels) / outer, color="white", linewidth=2.5)


def _whiskers(mean: pd.Series, low: pd.Series, high: pd.Series) -> Any:  # noqa: ANN401
    """Lengths of error bars that never reach below 0%; none where there is no interval."""
    return np.nan_to_num(np.stack((mean - low.clip(lower=0), high - mean)), nan=0.0)


def _wrapped(name: str) -> str:
    """A label with a line for each word."""
    return name.replace(" ", "\n").replace("_", "\n")


def _percent_axis(ax: Axes, words: str, lowest: float) -> None:
    """Percent on a logarithmic scale, or, where errors come near 0, on one that is linear below 1%."""
    if lowest > 0.05:
        ax.set_yscale("log")
        ax.set_ylim(0.8 * lowest, 100)
    else:
        ax.set_yscale("symlog", linthresh=1.0)
        ax.set_ylim(0, 100)
    ax.set_ylabel(words)
    _percent_ticks(ax.yaxis)


def _percent_ticks(axis: Any) -> None:  # noqa: ANN401
    axis.set_major_locator(FixedLocator(_TICKS))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _looks() -> list[dict[str, Any]]:
    """Line styles that differ in colour, dash and marker."""
    colors = sns.color_palette("colorblind", 10)
    dashes = ("-", "--", "-.", ":")
    markers = "osv^Dx*P"
    return [{"color": colors[index % 10], "linestyle": dashes[index % 4], "marker": markers[index % 8]} for index in range(40)]
