"""Loss and error by epoch: by level of each factor, configuration beside configuration, and set of rows beside set."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import MaxNLocator

from studies.analysis.outcomes import SET_WORDS, judged_on
from studies.analysis.tables import COMPARED, Tables
from studies.columns import SETS
from studies.show.figures.style import (
    chosen,
    column,
    height_of_legend,
    in_lines,
    legend_below,
    legend_beside,
    lines_over,
    log_axis,
    looks,
    new_figure,
    of_all,
    over,
    percent_axis,
    shape,
    title_of,
    titled,
    used,
)
from studies.spec.grid import level_text
from studies.spec.measures import MEASURES
from studies.spec.study import Study

FEW = 8  # configurations at most that have panels of their own
_ACROSS = 4  # panels side by side
_MARKED = 12  # markers on a line at most


def has_history(study: Study) -> bool:
    """True where histories were recorded."""
    return any(each.settings["history_every"] > 0 for each in study.grid.configurations)


def budgeted(study: Study) -> bool:
    """True where there are levels to compare by the epochs they take."""
    return has_history(study) and len(study.grid.configurations) > 1


def comparable(study: Study) -> bool:
    """True where there are several configurations, but not too many to be told apart in one panel."""
    return has_history(study) and 1 < len(study.grid.configurations) <= COMPARED


def few(study: Study) -> bool:
    """True where every configuration can have its own panel."""
    return has_history(study) and len(study.grid.configurations) <= FEW


def draw_curves(study: Study, tables: Tables) -> Figure:
    """Training loss and error by epoch for each level of every factor: median over trials, and their quartiles."""
    table = tables["curves"]
    factors = study.grid.levels or {factor: part["level"].unique() for factor, part in table.groupby("factor")}
    present = {factor: set(part["level"]) for factor, part in table.groupby("factor")}
    levels = {factor: [name for name in names if name in present.get(factor, ())] for factor, names in factors.items()}
    shown = {factor: chosen(names) for factor, names in levels.items()}
    judged = _sets(table)[0]
    measures = [("train_loss", "training loss"), _second(table, judged)]
    down, across = shape(len(factors), _ACROSS)
    width = column(max(5.0 / across, 3.3))
    below = max(height_of_legend(names, width) for names in shown.values())
    figure = new_figure(width * across, 0.8 + down * (5.4 + below))
    axes = figure.subplots(2 * down, across, squeeze=False)
    losses, errors = (used(axes[row::2].flat, len(factors)) for row in (0, 1))
    for loss, error, (factor, names) in zip(losses, errors, shown.items(), strict=True):
        loss.sharey(losses[0])
        error.sharey(errors[0])
        loss.sharex(error)
        part = table[table["factor"] == factor]
        for name, look in zip(names, looks(), strict=False):
            for ax, (measure, _) in zip((loss, error), measures, strict=True):
                _line(ax, part[part["level"] == name], measure, name, look)
        loss.set_title(f"{factor}{of_all(names, levels[factor])}" if study.grid.levels else "")
        loss.tick_params(labelbottom=False)
        error.set_xlabel("epoch")
        error.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        legend_below(error, width)
    for axes_of, (_, name) in zip((losses, errors), measures, strict=True):
        for ax in axes_of[::across]:
            ax.set_ylabel(name)
    log_axis(losses[0])
    _scaled(errors[0], measures[1][0], [table])
    titled(figure, f"{title_of(study)}: median and quartiles of {study.trials:,} models")
    return figure


def draw_budget(study: Study, tables: Tables) -> Figure:
    """Error that each level reaches within a budget of epochs, when the rest of the grid is chosen for it: a panel a factor.

    Unlike `curves`, which is about the models of a level as they come, this is about what one can make of it.
    """
    table = tables["budget"][tables["budget"]["epoch"] > 0]
    judged = judged_on(table)
    factors = {factor: names for factor, names in study.grid.levels.items() if len(names) > 1}
    shown = {factor: chosen(names) for factor, names in factors.items()}
    down, across = shape(len(factors), _ACROSS)
    width = column(max(6.0 / across, 3.6))
    below = max(height_of_legend(names, width) for names in shown.values())
    figure = new_figure(width * across, 0.9 + down * (3.5 + below))
    axes = used(figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).flat, len(factors))
    for ax, (factor, names) in zip(axes, shown.items(), strict=True):
        part = table[table["factor"] == factor].groupby("level")
        for name, look in zip(names, looks(), strict=False):
            if name in part.groups:
                line = part.get_group(name)
                every = max(1, math.ceil(len(line) / _MARKED))
                drawn = "steps-post"
                ax.plot(
                    line["epoch"],
                    line[f"{judged}_value"],
                    label=name,
                    linewidth=1.4,
                    markersize=4,
                    markevery=every,
                    drawstyle=drawn,
                    **look,
                )
        ax.set_title(f"{factor}{of_all(names, factors[factor])}", loc="left")
        ax.set_xlabel("budget of epochs")
        ax.tick_params(labelbottom=True, labelleft=True)
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        legend_below(ax, width)
    measure = MEASURES[str(table["measure"].iloc[0])]
    if measure.unit == "%":
        percent_axis(axes[0], "", float(table[f"{judged}_value"].min()), highest=float(table[f"{judged}_value"].max()))
    for ax in axes[::across]:
        ax.set_ylabel(f"{SET_WORDS[judged]} {measure.title}")
    chooser = str(table["chosen_on"].iloc[0])
    honest = "" if chooser != judged else ", which flatters: there is no other set to choose on"
    titled(
        figure,
        title_of(study),
        f"Mean {SET_WORDS[judged]} {measure.called} ({over(study)}) of the configuration with this level, and the recorded "
        f"epoch within the budget, that have the lowest mean {SET_WORDS[chooser]} {measure.called}{honest}.",
    )
    return figure


def compared(study: Study, tables: Tables) -> Figure:
    """Training loss and error by epoch, all configurations together; a column for each loss, since their scales differ."""
    lines = _by_configuration(tables)
    sets = _sets(next(iter(lines.values())))
    judged = "val" if "val" in sets else sets[0]
    columns: dict[str, list[str]] = defaultdict(list)
    for each in study.grid.configurations:
        if each.label in lines:
            columns[level_text(each.settings["loss"])].append(each.label)
    width = column(7.5 if len(columns) == 1 else 4.4)
    below = max(height_of_legend(labels, width) for labels in columns.values())
    down, across = shape(len(columns), len(columns))
    figure = new_figure(width * across, 0.4 + down * ((5.4 if down == 1 else 4.2) + below))
    axes = figure.subplots(2 * down, across, sharex=True, squeeze=False)
    losses, errors = axes[::2].flat, axes[1::2].flat
    second, words = _second(tables["curves"], judged)
    for loss, error, (name, labels) in zip(losses, errors, columns.items(), strict=True):
        for label, look in zip(labels, looks(), strict=False):
            _line(loss, lines[label], "train_loss", label, look)
            _line(error, lines[label], second, label, look)
        loss.set_title(f"loss = {name}", loc="left")
        log_axis(loss)
        _scaled(error, second, lines.values())
        error.set_xlabel("epoch")
        error.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        legend_below(error, width)
    for row, name in enumerate(("training loss per sample", words) * down):
        axes[row, 0].set_ylabel(name)
    titled(figure, title_of(study), lines_over(study))
    return figure


def learning(study: Study, tables: Tables) -> Figure | str:
    """Loss and error by epoch on each set of rows, with the epoch of the smallest validation loss; a column a configuration."""
    lines = _by_configuration(tables)
    if not any("_error_" in column for column in tables["curves"]):
        return "not drawn: its models have losses by epoch and no errors, which compared.png shows"
    configurations = [each for each in study.grid.configurations if each.label in lines]
    down, across = shape(len(configurations), _ACROSS)
    if down == len(configurations) > 1:  # a narrow page: errors to the right of losses
        figure = new_figure(2 * 2.7, 1.2 + 1.9 * down)
        axes = figure.subplots(down, 2, squeeze=False)
        losses, errors = list(axes[:, 0]), list(axes[:, 1])
    else:
        figure = new_figure(2.4 + 2.7 * across, 0.8 + 4.8 * down)
        axes = figure.subplots(2 * down, across, squeeze=False)
        losses, errors = (used(axes[row::2].flat, len(configurations)) for row in (0, 1))
    sets = _sets(next(iter(lines.values())))[::-1]
    lowest = min(line[f"{name}_error_q25"].min() for line in lines.values() for name in sets)
    of_scale: dict[str, Axes] = {}
    for loss, error, each in zip(losses, errors, configurations, strict=True):
        first = of_scale.setdefault(level_text(each.settings["loss"]), loss)
        if first is not loss:
            loss.sharey(first)
        _learning(loss, error, lines[each.label], sets)
        loss.set_title(in_lines(each.label, 34))
        percent_axis(error, "", lowest)
    for first in of_scale.values():
        log_axis(first)
    for loss, error in zip(losses[::across], errors[::across], strict=True):
        loss.set_ylabel("loss per sample")
        error.set_ylabel("error in %")
    legend_beside(figure, *axes[0, 0].get_legend_handles_labels())
    titled(figure, title_of(study), lines_over(study))
    return figure


def single(figure: FigureBase, record: Mapping[str, Any]) -> None:
    """Loss and error of one trial by epoch on each of its sets of rows, from its record as the runner makes it."""
    history = record["history"]
    sets = [name for name in reversed(SETS) if f"{name}_loss" in history]
    classes = f"{sets[0]}_errors" in history
    axes = figure.subplots(1 + classes, 1, sharex=True, squeeze=False)[:, 0]
    loss, error = axes[0], axes[-1]
    lowest = 100.0
    for name, look in zip(sets, looks(), strict=False):
        drawn = {loss: history[f"{name}_loss"]}
        if classes:
            drawn[error] = [100 * errors / record[f"n_{name}"] for errors in history[f"{name}_errors"]]
            lowest = min(lowest, *drawn[error])
        for ax, values in drawn.items():
            every = max(1, math.ceil(len(values) / _MARKED))
            ax.plot(history["epoch"], values, label=SET_WORDS[name], linewidth=1.4, markersize=4, markevery=every, **look)
    loss.set_ylabel("loss per sample")
    log_axis(loss)
    if classes:
        percent_axis(error, "error in %", lowest)
    error.set_xlabel("epoch")
    error.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    loss.legend()


def _learning(loss: Axes, error: Axes, line: pd.DataFrame, sets: Sequence[str]) -> None:
    """The panels of one configuration."""
    for name, look in zip(sets, looks(), strict=False):
        _line(loss, line, f"{name}_loss", f"{SET_WORDS[name]} set", look)
        _line(error, line, f"{name}_error", f"{SET_WORDS[name]} set", look)
    if "val" in sets and line["val_loss_q50"].notna().any():
        best = line.loc[line["val_loss_q50"].idxmin(), "epoch"]
        for ax in (loss, error):
            ax.axvline(best, color="k", linewidth=1, linestyle=(0, (1, 2)), label="smallest\nvalidation loss")
    loss.sharex(error)
    loss.tick_params(labelbottom=False)
    error.set_xlabel("epoch")
    error.xaxis.set_major_locator(MaxNLocator(4, integer=True))


def _by_configuration(tables: Tables) -> dict[str, pd.DataFrame]:
    """The curves of each configuration that left any, by its label."""
    table = tables["curves"]
    return dict(list(table[table["factor"] == "label"].groupby("level", sort=False)))


def _sets(table: pd.DataFrame) -> list[str]:
    """The sets of rows that a table of curves has, the one that its errors are about first."""
    return [name for name in SETS if f"{name}_loss_q50" in table and table[f"{name}_loss_q50"].notna().any()]


def _second(table: pd.DataFrame, name: str) -> tuple[str, str]:
    """The measure below the training loss, and its words: the error of a set of rows, or, where there is none, its loss."""
    if f"{name}_error_q50" in table and table[f"{name}_error_q50"].notna().any():
        return f"{name}_error", f"{SET_WORDS[name]} error in %"
    return f"{name}_loss", f"{SET_WORDS[name]} loss per sample"


def _scaled(ax: Axes, measure: str, lines: Iterable[pd.DataFrame]) -> None:
    """The scale of such a measure: logarithmic, with ticks of percentages for an error."""
    if measure.endswith("_error"):
        percent_axis(ax, ax.get_ylabel(), min(line[f"{measure}_q25"].min() for line in lines))
    else:
        log_axis(ax)


def _line(ax: Axes, line: pd.DataFrame, measure: str, label: str, look: Mapping[str, Any]) -> None:
    """The median of a measure by epoch, in the band of its quartiles."""
    every = max(1, math.ceil(len(line) / _MARKED))
    ax.plot(line["epoch"], line[f"{measure}_q50"], label=label, linewidth=1.4, markersize=4, markevery=every, **look)
    ax.fill_between(line["epoch"], line[f"{measure}_q25"], line[f"{measure}_q75"], color=look["color"], alpha=0.08)
