"""Data of two features as points in the plane: what there is to learn, and what models make of it."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from studies.analysis.outcomes import SET_WORDS, judged_on
from studies.analysis.tables import Tables
from studies.columns import SETS
from studies.data import datasets, generators, splits
from studies.data.types import Floats, Labels
from studies.errors import UserError
from studies.plan import plan
from studies.plan.units import Trial
from studies.show.figures.style import in_lines, legend_beside, length, new_figure, over, title_of, titled
from studies.show.texts import best_first, counted
from studies.spec.study import Study

SHOWN = 4  # configurations at most whose predictions are drawn
_SIDE = 2.9  # inches of a panel
_ROWS = 16  # of a legend beside it
_COLORS = [sns.color_palette("colorblind")[index] for index in (1, 0, 2, 4, 7, 3, 9, 5, 6, 8)]
_MARKERS = "o^svD*P"
_LINE: dict[str, Any] = {"color": "k", "linewidth": 1.0, "zorder": 3}
_HALO = [withStroke(linewidth=2.8, foreground="w")]

# Where the classes truly part.
_BORDERS: dict[str, Callable[[Axes], Any]] = {
    "disk": lambda ax: ax.add_patch(Circle((0.5, 0.5), generators.RADIUS, fill=False, **_LINE)),
    "linear": lambda ax: ax.plot([0, 1], [0, 1], **_LINE),
}


def has_two_inputs(study: Study) -> bool:
    """True where the data are classes in a plane."""
    return len(study.schema.features) == 2 and bool(study.schema.classes)


def predicted(study: Study) -> bool:
    """True where the data have two features and predictions are kept."""
    return any(each.settings["keep_predictions"] for each in study.grid.configurations) and has_two_inputs(study)


def data(study: Study, tables: Tables) -> Figure | str:  # noqa: ARG001 - drawn from the spec
    """The rows of the first repeat by class, as they are before any noise and normalisation."""
    try:
        pools = datasets.pools(study.data, study.seed, 0)
    except UserError as error:  # tables and all other pictures need no file
        return str(error)
    named = {"training pool": pools.train, "validation set": pools.validation, "test set": pools.test}
    shown = {name: rows for name, rows in named.items() if rows}
    figure, axes = _panels(study, len(shown))
    for ax, (name, rows) in zip(axes, shown.items(), strict=True):
        _scatter(study, ax, rows.inputs, rows.labels)
        ax.set_title(f"{name}: {counted(len(rows.labels), 'point')}")
    many = _legend(axes[0])
    drawn = (
        "Every repeat draws new points; here those of the first." if study.data.resample else "All repeats share these points."
    )
    noise = f" {100 * study.data.noise:g}% of the training labels are flipped later." if study.data.noise else ""
    titled(figure, title_of(study), drawn + noise + many)
    return _in_proportion(study, figure, axes[0])


def draw_points(study: Study, tables: Tables) -> Figure | str:
    """The rows that models are judged on by their class, and by the class that one model of each configuration gives them."""
    predictions = tables["predictions"]
    trials = _chosen(study, tables["summary"], predictions)
    figure, axes = _panels(study, 1 + len(trials))
    for ax, trial in zip(axes[1:], trials, strict=True):
        said = predictions[predictions["trial"] == trial.key]
        try:
            name, inputs = _asked(study, trial, said["row"].to_numpy(dtype=int))
        except UserError as error:
            return str(error)
        wrong = (said["predicted"] != said["truth"]).to_numpy()
        if trial is trials[0]:
            _scatter(study, axes[0], inputs, _labels(study, said["truth"]))
            axes[0].set_title(f"truth\n{counted(len(said), 'point')} of the {name}")
        _scatter(study, ax, inputs, _labels(study, said["predicted"]))
        ax.plot(
            *inputs[wrong].T, "x", color="k", markersize=3 + _size(wrong), markeredgewidth=1.2, path_effects=_HALO, zorder=4
        )
        label = in_lines(trial.configuration.label, 36)
        ax.set_title(f"{label}\n{wrong.sum():,} of {len(said):,} wrong ({100 * wrong.mean():.1f}%)")
    many = _legend(axes[0])
    several = len(study.grid.configurations)
    some = f"{len(trials)} of {several} configurations, from the best mean to the worst"
    which = some if several > SHOWN else "each configuration"
    border = "; line: where the classes part" if study.data.name in _BORDERS else ""
    model = f"Model 1 of {study.trials // several:,} ({over(study)})"
    titled(figure, title_of(study), f"{model} of {which}. Crosses: wrong{border}.{many}")
    return _in_proportion(study, figure, axes[0])


def _chosen(study: Study, summary: pd.DataFrame, predictions: pd.DataFrame) -> list[Trial]:
    """The first trial with predictions of each configuration, or, where they are many, of some from the best to the worst."""
    kept = set(predictions["trial"])
    first: dict[str, Trial] = {}
    for trial in plan.trials(study):
        if trial.reading == study.reading and trial.key in kept:
            first.setdefault(trial.configuration.id, trial)
    if len(study.grid.configurations) <= SHOWN:
        return list(first.values())
    order = best_first(summary, f"{judged_on(summary)}_mean", study.measure)["config"]
    ranked = [first[config] for config in order if config in first]
    return [ranked[place] for place in np.linspace(0, len(ranked) - 1, min(SHOWN, len(ranked))).round().astype(int)]


def _asked(study: Study, trial: Trial, rows: NDArray[np.int64]) -> tuple[str, Floats]:
    """The set in words that a trial kept predictions of, and the inputs of these rows before normalisation."""
    raw, _ = splits.raw_split(study.data, study.validation, study.seed, trial.repeat, trial.fold)
    words = {field: f"{SET_WORDS[prefix]} set" for prefix, field in SETS.items()}
    return words[raw.judged], getattr(raw, raw.judged).inputs_of(rows)


def _labels(study: Study, names: pd.Series) -> Labels:
    """The number of each named class; -1 where a prediction is no class."""
    return pd.Index(study.schema.classes).get_indexer(names)


def _panels(study: Study, count: int) -> tuple[Figure, NDArray[Any]]:
    """A row of panels of one plane, with the border of the classes."""
    figure = new_figure(0.5 + _SIDE * count, 1.2 + _SIDE)
    axes = figure.subplots(1, count, sharex=True, sharey=True, squeeze=False)[0]
    for ax in axes:
        _BORDERS.get(study.data.name, lambda _: None)(ax)
        ax.set_xlabel(study.schema.feature_labels[0])
        ax.grid(visible=False)
    axes[0].set_ylabel(study.schema.feature_labels[1])
    return figure, axes


def _in_proportion(study: Study, figure: Figure, ax: Axes) -> Figure:
    """The figure, so high that a unit is as long upwards as sideways; the features of a file may be of different units."""
    if study.data.name == "csv":
        return figure
    figure.draw_without_rendering()
    box, (left, right), (low, high) = ax.get_position(), ax.get_xlim(), ax.get_ylim()
    height, width = box.height * figure.get_figheight(), box.width * figure.get_figwidth()
    figure.set_figheight(figure.get_figheight() - height + width * (high - low) / (right - left))
    return figure


def _scatter(study: Study, ax: Axes, inputs: Floats, labels: Labels) -> None:
    """Points with a colour and a marker for each class; those that a model puts in no class are left to their crosses."""
    for label in np.unique(labels[labels >= 0]):
        color, marker = _COLORS[label % len(_COLORS)], _MARKERS[label % len(_MARKERS)]
        own = inputs[labels == label]
        ax.plot(
            *own.T, marker, color=color, markersize=_size(labels), markeredgewidth=0, label=study.schema.class_labels[label]
        )


def _legend(ax: Axes) -> str:
    """The classes beside all panels, in markers that are large enough to tell apart; of too many, words for the caption."""
    (handles, labels), figure = ax.get_legend_handles_labels(), ax.get_figure()
    assert isinstance(figure, Figure)
    if len(labels) > len(_COLORS) * len(_MARKERS):
        return f" {len(labels):,} classes: too many to tell apart by colour and marker."
    columns = math.ceil(len(labels) / _ROWS)
    figure.set_figwidth(figure.get_figwidth() + columns * (0.5 + max(map(length, labels))))
    legend_beside(figure, handles, labels, columns=columns, markerscale=5 / ax.lines[-1].get_markersize())
    return ""


def _size(labels: Labels) -> float:
    """The size of a marker in points: the smaller, the more there are."""
    return min(max(80 / math.sqrt(len(labels)), 2.5), 7)
