"""One trial of a study, trained again: what it is, what it became, its picture, and its model as a file for torch alone.

The trial trains alone, which gives the bits of the recorded one.
"""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from matplotlib.figure import Figure, FigureBase

from studies import files
from studies.analysis.outcomes import SET_WORDS
from studies.columns import FLAGS, SETS, Record
from studies.data.splits import target_unit
from studies.errors import UserError
from studies.plan import plan
from studies.plan.units import Trial
from studies.show import regions
from studies.show.figures import curves, png
from studies.show.figures.style import PLAIN, choose_fonts, drawing, titled, without_font
from studies.show.regions import Scene
from studies.spec.grid import level_text
from studies.spec.study import Study
from studies.train import engines, runner, torch_models
from studies.train.sandbox import FunctionError

_SIZE = (10.4, 6.1)  # inches, of regions and curves side by side


class Retrained(NamedTuple):
    """A trial as planned, trained again: its scene, its record as a run would keep it, and the model."""

    trial: Trial
    scene: Scene
    record: Record
    model: Any


def retrain(study: Study, key: str) -> Retrained:
    """Train the one trial of a study whose key begins so.

    Raises UserError where there is none, or several.
    """
    scene = regions.retraining(study, key)
    scene = replace(scene, on=scene.raw.judged)
    with runner.one_thread():
        (trained,) = engines.engine_of(scene.unit).train(scene.unit)
    return Retrained(plan.find(study, key), scene, trained.outcome, trained.model)


def describe_trial(trained: Retrained) -> list[str]:
    """Configuration and results, in lines."""
    trial, record = trained.trial, trained.record
    lines = [f"{trial.key}: {trial.configuration.label}", trial.place, ""]
    lines += [f"{key:16} {level_text(value)}" for key, value in trial.configuration.settings.items()]
    lines += ["", f"{'parameters':16} {trained.model.parameters.shape[1]:,}"]
    for name in reversed(SETS):
        count = record[f"n_{name}"]
        if count:
            errors = record.get(f"{name}_errors")
            wrong = "" if errors is None else f"{errors:,} of {count:,} wrong ({100 * errors / count:.2f}%), "
            recorded = ((key, record[f"{name}_{key}"]) for key in trained.scene.unit.source.measures)
            values = [f", {key} {value:.6g}" for key, value in recorded if value is not None]
            lines.append(f"{SET_WORDS[name]:16} {wrong}loss {record[f'{name}_loss']:.6g}{''.join(values)}")
    told = [what for what in FLAGS if record[what]]
    return [*lines, *([f"{'note':16} {' and '.join(told)}"] if told else [])]


def describe_call(study: Study, key: str) -> list[str]:
    """Configuration and results of the trial whose key begins so, of a user's function that is called again; in lines.

    Raises UserError where there is none, or several, or the function fails.
    """
    trial = plan.find(study, key)
    (unit,) = engines.plan_units(study, [trial], jobs=1)
    try:
        (trained,) = engines.engine_of(unit).train(unit)
    except FunctionError as error:
        raise UserError(f"the trial failed: {error.reason}") from None
    settings = {name: trial.configuration.settings[name] for name in study.function.defaults}
    hidden = ("status", "reason", "wrong", "epochs_to_5_pct")
    found = {name: value for name, value in trained.outcome.items() if name not in hidden and value is not None}
    lines = [f"{name:16} {level_text(value)}" for name, value in settings.items()]
    return [
        f"{trial.key}: {trial.configuration.label}",
        trial.place,
        "",
        *lines,
        "",
        *(f"{name:16} {level_text(value)}" for name, value in found.items()),
    ]


@drawing(PLAIN)
def write_trial(trained: Retrained, figures: Path, results: Path) -> dict[Path, str]:
    """Write `trial-<key>.png` to one folder and `models/<key>.pt` to the other; returns what they hold, or why not."""
    key = trained.trial.key
    picture, model = figures / f"trial-{key}.png", results / "models" / f"{key}.pt"
    drawn, content = _picture(trained)
    missing = choose_fonts(drawn)
    content += f"; {without_font(missing)}" if missing else ""
    files.write(picture, png(drawn))
    try:
        files.write(model, _saved(trained))
    except UserError as error:
        return {picture: content, model: f"not written: {error}"}
    return {
        picture: content,
        model: "layers and state_dict for torch.nn, mean and scale of the inputs, names of features and classes",
    }


def _picture(trained: Retrained) -> tuple[Figure, str]:
    """Decision regions, where they lie in a plane, beside loss and error by epoch."""
    scene, history = trained.scene, trained.record["history"]
    hidden = regions.undrawable(scene)
    figure = Figure(figsize=(_SIZE[0] / 2 if hidden else _SIZE[0], _SIZE[1]))
    by_epoch: FigureBase = figure
    if not hidden:
        plane, by_epoch = figure.subfigures(1, 2, squeeze=False)[0]
        drawn = regions.Regions(plane, scene)
        with runner.one_thread():
            drawn.update(history["epoch"][-1], trained.model)
    with drawing():
        curves.single(by_epoch, trained.record)
        by_epoch.subplots_adjust(left=0.14, right=0.97, bottom=0.13, top=0.88, hspace=0.1)
        if hidden:
            titled(figure, f"{scene.title}: {trained.trial.configuration.label}")
    return figure, f"loss and error by epoch; {hidden}" if hidden else "decision regions, loss and error by epoch"


def _saved(trained: Retrained) -> bytes:
    """The file that `torch.load` reads with torch alone: plain values and tensors, nothing that runs.

    `layers` and `state_dict` are those of `torch_models.export_model`; `load_state_dict(..., assign=True)` keeps their dtype;
    `mean` and `scale` normalise the inputs, x' = (x - mean) / scale; `decision` says how outputs become one of `classes`. All
    numbers are float64, so that inputs of any numeric type are normalised before anything is lost of them.
    """
    scene, settings = trained.scene, trained.trial.configuration.settings
    schema = scene.unit.source.schema
    content = {
        **torch_models.export_model(trained.model, settings),
        "mean": torch.as_tensor(scene.normalise.mean),
        "scale": torch.as_tensor(scene.normalise.scale),
        "features": list(schema.features),
        "target": schema.target,
        "classes": list(schema.classes),
        "decision": settings["decision"],
        **(
            {}
            if schema.classes
            else dict(zip(("target_mean", "target_scale"), target_unit(scene.raw.train.labels), strict=True))
        ),
        "trial": trained.trial.key,
        "label": trained.trial.configuration.label,
    }
    saved = io.BytesIO()
    torch.save(content, saved)
    return saved.getvalue()
