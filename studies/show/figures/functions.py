"""Functions that a study uses, as the framework computes them: activations, and learning rates by epoch."""

import math
from collections import defaultdict
from typing import Any

import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

import framework as fw
from studies.analysis.tables import Tables
from studies.show.figures.style import (
    chosen,
    height_of_legend,
    in_lines,
    legend_below,
    log_axis,
    looks,
    new_figure,
    of_all,
    shape,
    title_of,
    titled,
    used,
)
from studies.spec.components import ACTIVATIONS, OPTIMIZERS, SCHEDULES, make, with_name
from studies.spec.grid import Configuration, level_text
from studies.spec.study import Study
from studies.train import networks

_ACROSS = 3  # panels side by side
_FAR = 20  # starting rates that differ by a larger factor need a logarithmic axis


def differently_bent(study: Study) -> bool:
    """True where there are activation functions to compare."""
    return len(_activations(study)) > 1


def scheduled(study: Study) -> bool:
    """True where a learning rate changes."""
    if study.function.name:
        return False
    names = {each.settings["schedule"]["name"] for each in study.grid.configurations if _is_built_in(each)}
    return bool(names - {"constant"})


def activations(study: Study, tables: Tables) -> Figure:  # noqa: ARG001 - drawn from the framework itself
    """The activation functions of a study with their derivatives, as the framework computes them."""
    drawn = _activations(study)
    x = torch.linspace(-4, 4, 401, dtype=torch.float64)[None, None]
    down, across = shape(len(drawn), _ACROSS)
    figure = new_figure(3.0 * across, 2.5 * down + 0.4)
    axes = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    for ax, (name, activation) in zip(used(axes.flat, len(drawn)), drawn.items(), strict=True):
        ax.set_title(name)
        try:
            stack = fw.Sequential(make(ACTIVATIONS, activation), dtype=torch.float64)
            value = stack.forward(x)[0, 0].clone()
            slope = stack.backward(torch.ones_like(x))[0, 0]
        except Exception as error:  # its trials failed, and their rows say so too
            ax.text(0, 1, in_lines(f"not drawn: {type(error).__name__}", 24), ha="center", va="center")
            continue
        ax.plot(x[0, 0], value, "-", color="C0", label="f(x)")
        ax.plot(x[0, 0], slope, "--", color="C3", label="f'(x)")
        ax.set_ylim(-2, 4)
    for ax in axes[-1]:
        ax.set_xlabel("x")
    if axes[0, 0].lines:
        axes[0, 0].legend(fontsize=8)
    titled(figure, "Activation functions and their derivatives")
    return figure


def schedules(study: Study, tables: Tables) -> Figure:  # noqa: ARG001 - drawn from the framework itself
    """The learning rate by epoch from every starting rate and under every schedule, one panel for each kind of optimizer."""
    rates = _rates(study)
    down, across = shape(len(rates), _ACROSS)
    width = max(6.0 / across, 4.0)
    shown = {optimizer: chosen(list(lines)) for optimizer, lines in rates.items()}
    figure = new_figure(width * across, 0.7 + down * (3.0 + max(height_of_legend(names, width) for names in shown.values())))
    axes = figure.subplots(down, across, squeeze=False)
    for ax, (optimizer, names) in zip(used(axes.flat, len(rates)), shown.items(), strict=True):
        lines = {name: rates[optimizer][name] for name in names}
        for (name, values), look in zip(lines.items(), looks(), strict=False):
            every = math.ceil(len(values) / 10)
            ax.plot(values, label=name, linewidth=1.4, markersize=4, markevery=every, **look)
        starts = [values[0] for values in lines.values()]
        if max(starts) > _FAR * min(starts):
            log_axis(ax)
            ax.set_ylim(bottom=min(starts) / 100)
        else:
            ax.set_ylim(bottom=0)
        ax.set_title(optimizer + of_all(names, list(rates[optimizer])))
        ax.set_xlabel("epoch")
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        legend_below(ax, width)
    for ax in axes[:, 0]:
        ax.set_ylabel("learning rate")
    titled(figure, title_of(study), "The learning rate of each epoch, counted from 0, as the framework's schedules have it.")
    return figure


def _activations(study: Study) -> dict[str, Any]:
    """The activations of all hidden layers, by name with parameters.

    Softmax, a function of several numbers, is no line; of a user's own, no code is executed to draw a picture.
    """
    if study.function.name:
        return {}
    every = (value for each in study.grid.configurations for value in each.settings["activation"])
    return {level_text(value): value for value in every if with_name(value)["name"] in ACTIVATIONS.keys() - {"softmax"}}


def _is_built_in(configuration: Configuration) -> bool:
    """True where no code of a user is needed for the learning rates of a configuration."""
    optimizer, schedule = configuration.settings["optimizer"], configuration.settings["schedule"]
    return optimizer["name"] in OPTIMIZERS and schedule["name"] in SCHEDULES


def _rates(study: Study) -> dict[str, dict[str, list[float]]]:
    """The learning rates of all epochs, by optimizer, and by the rate it starts from and its schedule."""
    rates: dict[str, dict[str, list[float]]] = defaultdict(dict)
    several = len({each.settings["epochs"] for each in study.grid.configurations}) > 1
    for each in study.grid.configurations:
        optimizer, epochs = each.settings["optimizer"], each.settings["epochs"]
        if not _is_built_in(each):
            continue
        factor = networks.schedule(each.settings)
        name = f"lr={level_text(optimizer['lr'])}, {level_text(each.settings['schedule'])}" + (
            f", {epochs} epochs" if several else ""
        )
        rates[optimizer["name"]][name] = [optimizer["lr"] * factor(epoch) for epoch in range(epochs)]
    return rates
