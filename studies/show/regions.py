"""Decision regions of a trial over its two inputs while it trains: an animated GIF, a PNG of the last frame, or a window.

The trial trains again, alone: that gives the bits of the recorded one, and recording more often changes none of them.
"""

import io
import math
import tempfile
import textwrap
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.animation import PillowWriter
from matplotlib.artist import Artist
from matplotlib.figure import Figure, FigureBase
from matplotlib.legend_handler import HandlerTuple
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

import framework as fw
from studies import files
from studies.analysis.outcomes import SET_WORDS
from studies.columns import Record
from studies.data import splits
from studies.data.splits import Normalisation
from studies.data.types import Floats, Split, Table
from studies.errors import UserError, shortened
from studies.plan import plan
from studies.plan.units import Trial, Unit
from studies.show.figures.style import PLAIN, choose_fonts, drawing, without_font
from studies.spec.components import DECISIONS
from studies.spec.study import Study
from studies.train import engines, runner

SETS = ("validation", "test", "train")
FRAMES = 60  # of an animation, about, unless told otherwise
MESH = 150  # points along either axis at which the model is asked
_SIZE = (5.4, 6.1)  # inches
_PER_SECOND = 10
_LAST = 1.5  # seconds for which the last frame stays
_LISTED = 7  # classes in the legend at most; of more, each is named where its points are
# Of each class in turn: the shade of its region, the colour and the marker of its points. The first two differ in lightness
# too; from the sixth class on they repeat.
_LOOKS = (
    ("#fde6c4", "#a35200", "o"),
    ("#a9cfe8", "#08416f", "s"),
    ("#d3ebd0", "#1b6b32", "^"),
    ("#c9bfdf", "#4b2f83", "D"),
    ("#f7d3dc", "#9c1f4b", "v"),
)


@dataclass(frozen=True)
class Scene:
    """A trial to train and to look at: its unit of one, its rows as they were before normalisation, and the set shown."""

    title: str
    trial: Trial
    unit: Unit
    raw: Split
    normalise: Normalisation
    on: str


def scene(
    study: Study, key: str | None = None, *, on: str | None = None, epochs: int | None = None, every: int | None = None
) -> Scene:
    """The trial whose key begins with `key` (by default the first of the primary reading), its first `epochs` only if given.

    * `on`: the set to show; by default the first of `SETS` that there is.
    * `every`: epochs from frame to frame; by default so many that there are about `FRAMES`.

    Raises UserError where there is no such trial, set or picture.
    """
    shown = retraining(study, key, on=on, epochs=epochs, every=every)
    hidden = undrawable(shown)
    if hidden:
        raise UserError(hidden)
    return shown


def undrawable(shown: Scene) -> str:
    """Reason why a trial has no decision regions; empty where it has."""
    features, name = len(shown.unit.source.schema.features), shown.unit.source.data.name
    if not shown.unit.source.schema.classes:
        return f"decision regions are of classes: {name} has a number as its target; choose data of classes"
    if features != 2:
        return f"decision regions lie in a plane: {name} has {features} features; choose data of two"
    if shown.trial.configuration.settings["batchnorm"].get("evaluate") == "batch":
        return (
            "decision regions are of models that judge each point alone: batchnorm.evaluate = 'batch' is given; choose another "
            "trial, or write 'running'"
        )
    return ""


def retraining(
    study: Study, key: str | None = None, *, on: str | None = None, epochs: int | None = None, every: int | None = None
) -> Scene:
    """`scene`, whether or not there is a picture of it."""
    if study.function.name:
        raise UserError(
            f"a function of your own returns outputs, and no model to draw: {study.function.described} trains {study.name}; "
            f"see a trial's numbers by `{study.command('show')} TRIAL`"
        )
    trial = plan.trials(study)[0] if key is None else plan.find(study, key)
    source = study.named(trial.reading)
    raw, normalise = splits.raw_split(source.data, source.validation, source.seed, trial.repeat, trial.fold)
    settings = trial.configuration.settings
    last = settings["epochs"]
    present = [name for name in SETS if getattr(raw, name)]
    if on and on not in present:
        raise UserError(f"the set to show is one that the study has, {' or '.join(present)}: {on!r} was given")
    if epochs and epochs > last:
        raise UserError(f"a trial is shown up to its last epoch, {last}: {epochs} was given; see also --set base.epochs")
    if epochs and epochs < last and settings["schedule"]["name"] == "cosine":
        raise UserError(f"a cosine schedule depends on the number of epochs, {last}: {epochs} were given; leave --epochs out")
    epochs = epochs or last
    settings = {**settings, "epochs": epochs, "history_every": every or math.ceil(epochs / FRAMES)}
    trial = replace(trial, configuration=replace(trial.configuration, settings=settings))
    (unit,) = engines.plan_units(study, [trial], jobs=1)
    return Scene(study.title, trial, unit, raw, normalise, on or present[0])


def train_scene(shown: Scene, observe: engines.Observe) -> Record:
    """Train a scene's trial and return its outcome; `observe` gets the epoch and the model for every frame."""
    with runner.one_thread():
        (trained,) = engines.engine_of(shown.unit).train(shown.unit, observe)
    return trained.outcome


class Regions:
    """The picture of a scene in a figure, which `update` brings up to date.

    Shades are what the model decides, lines their borders (grey is no class at all: see `fw.rounded`); points are rows at
    their raw coordinates, crosses those decided wrongly.
    """

    def __init__(self, figure: FigureBase, shown: Scene) -> None:
        self._points: Table = getattr(shown.raw, shown.on)
        self._on = shown.on
        self._decision = shown.trial.configuration.settings["decision"]
        everywhere = np.concatenate([table.inputs for table in shown.raw.sets.values() if table])
        low, high = everywhere.min(0), everywhere.max(0)
        margin = 0.03 * (high - low) + 1e-9 + MESH * np.spacing(np.abs(high))  # of a constant feature, what float64 resolves
        self._grid = np.linspace(low - margin, high + margin, MESH).T
        mesh = np.stack(np.meshgrid(*self._grid), axis=-1).reshape(-1, 2)
        self._mesh, self._inputs = (torch.from_numpy(shown.normalise(x)) for x in (mesh, self._points.inputs))

        schema = shown.unit.source.schema
        named_in_place = len(schema.classes) > _LISTED
        words = [*([] if named_in_place else schema.class_labels), "decided wrongly"]
        columns = 4 if len(words) > 4 or max(map(len, schema.class_labels)) <= 12 else 2
        bottom = 0.1 + 0.03 * math.ceil(len(words) / columns)  # for the legend
        self._ax = ax = figure.add_axes((0.13, bottom, 0.84, 0.88 - bottom), box_aspect=1, facecolor="0.8")
        ax.tick_params(labelsize=8)
        ax.set(xlim=self._grid[0][[0, -1]], ylim=self._grid[1][[0, -1]])
        ax.set(**dict(zip(("xlabel", "ylabel"), schema.feature_labels, strict=True)))
        trial = shown.trial
        label = textwrap.shorten(f"{trial.place}: {trial.configuration.label}", 90, placeholder=" ...")
        figure.text(0.13, 0.96, textwrap.shorten(shown.title, 60, placeholder=" ..."), fontweight="bold", fontsize=10)
        figure.text(0.13, 0.931, label, fontsize=7.5, color="0.3")
        self.heading = ax.set_title("", loc="left", fontsize=10)

        self._looks = [_LOOKS[label % len(_LOOKS)] for label in range(len(schema.classes))]
        size = float(np.clip(110 / math.sqrt(len(self._points.labels)), 3.2, 7.0))
        self._right = [ax.plot([], [], marker, color=ink, ms=size, mec="w", mew=0.4)[0] for _, ink, marker in self._looks]
        # A white cross below the black one sets it off.
        self.wrong = [ax.plot([], [], "x", color=ink, ms=size + 3, mew=width)[0] for ink, width in (("w", 4.0), ("k", 1.9))]
        self._drawn: list[Artist] = []
        handles: list[Any] = [(Patch(color=look[0]), line) for look, line in zip(self._looks, self._right, strict=True)]
        handles.append(tuple(self.wrong))
        if named_in_place:
            for label in np.unique(self._points.labels):
                x, y = np.median(self._points.inputs[self._points.labels == label], axis=0)
                outline = [withStroke(linewidth=2, foreground="w")]
                ax.text(x, y, schema.class_labels[label], ha="center", fontsize=6, zorder=5, path_effects=outline)
            handles = handles[-1:]
        figure.legend(
            handles,
            [shortened(word, 60 // columns) for word in words],
            handler_map={tuple: HandlerTuple(ndivide=1, pad=0)},
            loc="lower center",
            ncols=columns,
            columnspacing=1.0,
            frameon=False,
            fontsize=8,
        )

    def update(self, epoch: int, model: fw.Sequential) -> None:
        """Show what the model decides now, after that many epochs."""
        x, labels = self._points.inputs, self._points.labels
        _, decided = self._decided(model, self._inputs)
        wrong = decided != labels
        for label, line in enumerate(self._right):
            line.set_data(*x[~wrong & (labels == label)].T)
        for line in self.wrong:
            line.set_data(*x[wrong].T)
        rows = SET_WORDS.get(self._on, self._on)
        accuracy = 100 * (1 - wrong.mean())
        self.heading.set_text(
            f"epoch {epoch:,}: {wrong.sum():,} of {len(wrong):,} {rows} points wrong, accuracy {accuracy:.1f}%"
        )

        for artist in self._drawn:
            artist.remove()
        self._drawn = []
        margins = _margins(*self._decided(model, self._mesh), self._decision).reshape(-1, MESH, MESH)
        for margin, (shade, _, _) in zip(margins, self._looks, strict=True):
            if margin.max() > 0:
                self._drawn.append(self._ax.contourf(*self._grid, margin, levels=[0, margin.max()], colors=[shade]))
            if margin.min() < 0 < margin.max():
                self._drawn.append(self._ax.contour(*self._grid, margin, levels=[0], colors="0.15", linewidths=1.2))

    def _decided(self, model: fw.Sequential, inputs: torch.Tensor) -> tuple[Floats, Floats]:
        """Outputs `(outputs, points)`, and the labels `(points,)` read from them."""
        output = fw.predict(model, inputs).mT
        labels = fw.decided(output, DECISIONS[self._decision].make)
        return output[0].double().numpy(), labels[0].double().numpy()


def _margins(output: Floats, labels: Floats, decision: str) -> Floats:
    """Margin by which each class is decided, negative where it is not: `(classes, points)`.

    Of class k, with outputs y: |y_k - the largest other| (argmax), |y - 1/2| (threshold), |1/2 - |y - k|| (round). The sign is
    that of the decided label, so that ties, and outputs that are not finite, lie where they count.
    """
    with np.errstate(invalid="ignore"):
        if decision == "argmax":
            away = np.stack([output[label] - np.delete(output, label, 0).max(0) for label in range(len(output))])
        elif decision == "threshold":
            away = np.stack([output[0] - 0.5] * 2)
        else:
            away = np.stack([0.5 - np.abs(output[0] - label) for label in (0, 1)])
    away = np.nan_to_num(np.abs(away), nan=1.0, posinf=1.0).clip(1e-12)
    return np.where(labels == np.arange(len(away))[:, None], away, -away)


@drawing(PLAIN)
def animate(shown: Scene, folder: Path) -> dict[Path, str]:
    """Train a scene's trial; write `regions-<set>-<epochs>.gif` and, at print quality, its last frame as PNG.

    Returns what each file shows.
    """
    figure, writer = Figure(figsize=_SIZE), PillowWriter(fps=_PER_SECOND)
    picture = Regions(figure, shown)
    missing = choose_fonts(figure)

    def observe(epoch: int, model: fw.Sequential) -> None:
        picture.update(epoch, model)
        writer.grab_frame()

    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "regions.gif"
        with writer.saving(figure, str(path), dpi=100):
            epochs = train_scene(shown, observe)["history"]["epoch"]
            for _ in range(round(_LAST * _PER_SECOND)):
                writer.grab_frame()
        animation = folder / f"regions-{shown.on}-{epochs[-1]}.gif"
        files.write(animation, path.read_bytes())
    still, content = animation.with_suffix(".png"), io.BytesIO()
    figure.savefig(content, format="png", dpi=300, metadata={"Software": None})
    files.write(still, content.getvalue())
    frames = f"{len(epochs)} frames, epochs {epochs[0]} to {epochs[-1]}"
    return {animation: f"{frames}; {without_font(missing)}" if missing else frames, still: picture.heading.get_text()}


@drawing(PLAIN)
def live(study: Study) -> bool:
    """Train a study's first trial before the user's eyes; False where no window can be opened. A closed window stays closed."""
    from matplotlib import pyplot  # it looks for a display, which nothing else needs

    shown = scene(study)
    try:
        figure = pyplot.figure(figsize=_SIZE)
    except (ImportError, RuntimeError):  # of a backend that the user chose, and that finds no display or no toolkit
        return False
    picture = Regions(figure, shown)

    def observe(epoch: int, model: fw.Sequential) -> None:
        if pyplot.fignum_exists(figure.number):
            picture.update(epoch, model)
            pyplot.pause(_LAST if epoch == shown.trial.configuration.settings["epochs"] else 0.001)

    windowed = figure.canvas.required_interactive_framework is not None
    if windowed:
        train_scene(shown, observe)
    pyplot.close(figure)
    return windowed
