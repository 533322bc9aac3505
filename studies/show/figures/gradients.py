"""Gradient norms by layer: they vanish or explode on their way from output to input."""

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from studies.analysis.tables import Tables
from studies.show.figures.style import (
    chosen,
    in_lines,
    legend_beside,
    lines_over,
    log_axis,
    looks,
    new_figure,
    of_all,
    shape,
    title_of,
    titled,
    used,
)
from studies.spec.study import Study

FEW = 6  # configurations at most that share one panel
PANELS = 12  # at most
_ACROSS = 4  # panels side by side
_QUARTILES = ["norm_q25", "norm_q50", "norm_q75"]


def has_gradients(study: Study) -> bool:
    """True where gradient norms were recorded."""
    return any(each.settings["gradient_norms"] for each in study.grid.configurations)


def draw_gradients(study: Study, tables: Tables) -> Figure:
    """Norm of the gradient of each layer's weights, from input to output: before training above, after it below."""
    by_line, by_panel, pooled = _factors(study)
    table = _arranged(study, tables["gradients"], by_line, by_panel)
    moments, panels = list(table["moment"].unique()), list(table["panel"].unique())
    innermost = len(study.grid.levels[by_panel[-1]]) if by_panel else 1
    down, across = shape(len(panels), innermost if innermost <= _ACROSS else _ACROSS)
    figure = new_figure(3.4 + 2.5 * across, 1.0 + 2.2 * len(moments) * down)
    axes = figure.subplots(len(moments) * down, across, sharey=True, squeeze=False)
    lines = list(table["line"].unique())
    styles = dict(zip(chosen(lines), looks(), strict=False))
    for index, moment in enumerate(moments):
        shown = used(axes[index :: len(moments)].flat, len(panels))
        for ax, panel in zip(shown, panels, strict=True):
            own = table[(table["panel"] == panel) & (table["moment"] == moment)]
            if not np.isfinite(own["norm_q50"]).any():
                ax.text(0.5, 0.5, "none is finite", transform=ax.transAxes, ha="center", fontsize=8)
            for name, look in styles.items():
                line = own[own["line"] == name]
                ax.plot(line["layer"], line["norm_q50"], linewidth=1.4, markersize=5, **look)
                ax.fill_between(line["layer"], line["norm_q25"], line["norm_q75"], color=look["color"], alpha=0.1)
            ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            ax.set_title(in_lines(panel, 36) if index == 0 else "")
            ax.set_xlabel("layer, from input to output" if index == len(moments) - 1 else "")
        for ax in shown[::across]:
            ax.set_ylabel(f"norm {moment}")
    log_axis(axes[0, 0])
    handles = [Line2D([], [], markersize=5, **look) for look in styles.values()]
    legend_beside(figure, handles, list(styles), by_line + of_all(list(styles), lines))
    rest = f" Each is the median over the levels of {' and '.join(pooled)}." if pooled else ""
    titled(figure, title_of(study), f"Norm of the gradient of each layer's weights in one batch. {lines_over(study)}{rest}")
    return figure


def _factors(study: Study) -> tuple[str, list[str], list[str]]:
    """The factor that is told by line, those told by panel, and those that neither has room for.

    No factor by line (an empty text) means a line for each configuration, all in one panel.
    """
    factors, configurations = study.grid.levels, study.grid.configurations
    if len(configurations) <= FEW:
        return "", [], []
    several = [factor for factor, levels in factors.items() if len(levels) > 1]
    by_line = "activation" if "activation" in several else max(several, key=lambda factor: len(factors[factor]))

    def depths(factor: str) -> int:
        """Number of depths that the levels of a factor mix: layers of different depths are pooled only where they must be."""
        return len({(each.levels[factor], len(each.settings["hidden"])) for each in configurations}) - len(factors[factor])

    by_panel: list[str] = []
    others = sorted((factor for factor in several if factor != by_line), key=depths)
    for factor in others:
        if math.prod(len(factors[chosen]) for chosen in [*by_panel, factor]) <= PANELS:
            by_panel.append(factor)
    return by_line, by_panel, [factor for factor in others if factor not in by_panel]


def _arranged(study: Study, table: pd.DataFrame, by_line: str, by_panel: list[str]) -> pd.DataFrame:
    """The norms at both ends of training, by panel, line, moment and layer; the median where configurations share all four."""
    levels = {each.id: each.levels for each in study.grid.configurations}
    epochs = table.groupby("config")["epoch"]
    first, last = epochs.transform("min"), epochs.transform("max")
    ends = [table[table["epoch"] == 0].assign(moment="before training")] if (first == 0).any() else []
    ends.append(table[(table["epoch"] == last) & (last > 0)].assign(moment="after training"))
    both = pd.concat(ends)
    both["line"] = both["label"] if not by_line else [levels[config][by_line] for config in both["config"]]
    both["panel"] = [", ".join(f"{factor} = {levels[config][factor]}" for factor in by_panel) for config in both["config"]]
    return both.groupby(["panel", "line", "moment", "layer"], sort=False)[_QUARTILES].median().reset_index()
