"""Training of a unit by `framework.fit`, or a loop that does the same: rows, first weights and orders come from seeds."""

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import framework as fw
from studies.data.types import Split
from studies.plan.units import Unit
from studies.seeds import seed_for
from studies.spec.components import DECISIONS
from studies.spec.settings import Settings
from studies.train import devices, networks, records
from studies.train.engines import Observe, Trained
from studies.train.memory import keep_memory

Fit = Callable[..., tuple[fw.History, list[float]]]  # arguments of `framework.fit` to its history, and seconds of each model
Twin = Callable[[fw.Sequential, Settings], tuple[Any, Any, Any]]  # model, loss and optimizer in the framework's place


class Fitted(NamedTuple):
    """A trained stack of models: the stack, its history, the rows of each trial, and the seconds of each."""

    model: Any
    history: fw.History
    splits: Sequence[Split]
    seconds: Sequence[float]


def fit_together(model: Any, *arguments: Any, **options: Any) -> tuple[fw.History, list[float]]:  # noqa: ANN401
    """`framework.fit`; all models of a stack take the same time."""
    device = model.parameters.device
    keep_memory()
    devices.wait(device)
    started = time.perf_counter()
    history = fw.fit(model, *arguments, **options)
    devices.wait(device)
    models = len(options["seeds"])
    return history, [(time.perf_counter() - started) / models] * models


def train(unit: Unit, observe: Observe | None = None, twin: Twin | None = None, fit: Fit = fit_together) -> list[Trained]:
    """Train a unit and judge its models; see `fit_unit`."""
    fitted = fit_unit(unit, observe, twin, fit)
    outcomes = records.outcomes(unit, fitted.model, fitted.history, fitted.splits)
    return [
        Trained({**outcome, "seconds": seconds}, fitted.model)
        for outcome, seconds in zip(outcomes, fitted.seconds, strict=True)
    ]


def fit_unit(unit: Unit, observe: Observe | None = None, twin: Twin | None = None, fit: Fit = fit_together) -> Fitted:
    """Train a unit.

    Args:
        unit: Trials of one structure.
        observe: Gets epoch and model at every record of the history.
        twin: Makes another model, loss and optimizer from the initialized stack, which train in its place.
        fit: What trains them.
    """
    if not unit.splits:
        unit = unit.with_rows()
    source = unit.source
    settings = [trial.configuration.settings for trial in unit.trials]
    shared = settings[0]
    of = {(trial.repeat, trial.fold): split for trial, split in zip(unit.trials, unit.splits, strict=True)}
    places, splits = list(of), list(of.values())
    sets = [places.index((trial.repeat, trial.fold)) for trial in unit.trials]

    train_rows = records.join_rows([split.train for split in splits])
    validation = records.join_rows([split.validation for split in splits if split.validation])
    test = records.join_rows([split.test for split in splits if split.test])
    assert train_rows is not None

    device = devices.take(unit.device)
    names = source.schema
    known = source.parts.load()
    model = networks.model(settings, len(names.features), len(names.classes), device, known)
    networks.draw_first_weights(model, settings, [seed_for(source.seed, "init", *places[index]) for index in sets], known)
    loss, optimizer = networks.loss(shared, known), networks.optimizer(model, settings, known)
    if twin:
        model, loss, optimizer = twin(model, shared)
    history, seconds = fit(
        model,
        loss,
        optimizer,
        train_rows,
        validation,
        test,
        epochs=shared["epochs"],
        batch_size=unit.batch_size,
        shuffle=shared["shuffle"],
        schedule=networks.schedule(shared, known),
        seeds=[seed_for(source.seed, "order", *places[index]) for index in sets],
        sets=sets,
        decide=DECISIONS[shared["decision"]].make,
        history_every=shared["history_every"],
        gradient_norms=shared["gradient_norms"],
        observe=None if observe is None else functools.partial(_look, observe, model),
    )
    return Fitted(model, history, unit.splits, seconds)


def _look(observe: Observe, model: Any, epoch: int) -> None:  # noqa: ANN401
    observe(epoch, model)
