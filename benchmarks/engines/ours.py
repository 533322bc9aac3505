"""This suite as a user gets it, by the engine that `auto` stands for; a grid through `studies.run`."""

import dataclasses
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

import framework as fw
from benchmarks import data
from benchmarks.work import FOLDS, GridRun, Prepared, Rows, Trained, Work, percent_wrong, widths
from studies import api
from studies.plan.units import Unit
from studies.seeds import seed_for
from studies.train import fitting, networks, runner
from studies.train.engines.fused import training

FITS: Mapping[str, Callable[..., object]] = {"fused": training.fit, "stack": fitting.fit_together}  # by engine

Started = tuple[fw.Sequential, fw.Loss, Any]  # model, loss, optimizer


def prepare(work: Work, rows: Rows, engine: str = "auto") -> Prepared:
    """Nothing is compiled: cut the units."""
    units = data.units(work, engine)
    _train(dataclasses.replace(work, epochs=1), units[:1], rows, 0)  # what only the first training of a process pays
    return Prepared(lambda rows, seed: _train(work, units, rows, seed))


def start(work: Work, unit: Unit, rows: Rows, seed: int, device: torch.device | str = "cpu") -> Started:
    """A stack at its first weights, as `studies.train.fitting` starts it."""
    settings = [trial.configuration.settings for trial in unit.trials]
    features, *_, classes = widths(work, rows)
    model = networks.model(settings, features, classes, device)
    networks.draw_first_weights(model, settings, [seed_for(seed, "init", 0, trial.fold) for trial in unit.trials])
    return model, networks.loss(settings[0]), networks.optimizer(model, settings)


def fit(work: Work, unit: Unit, rows: Rows, seed: int, started: Started) -> None:
    """Train a unit from there; the only record is that of the training rows after the last epoch."""
    FITS[unit.engine](
        *started,
        fw.Rows(torch.from_numpy(rows.train_inputs), torch.from_numpy(rows.train_labels)),
        epochs=work.epochs,
        batch_size=work.batch_size,
        shuffle="epoch",
        schedule=fw.constant,
        seeds=[seed_for(seed, "order", 0, trial.fold) for trial in unit.trials],
        sets=[trial.fold for trial in unit.trials],
        decide=fw.argmax,
        history_every=0,
        gradient_norms=False,
        observe=None,
    )


def grid(works: Sequence[Work], rows: Rows, jobs: int, seed: int) -> GridRun:  # noqa: ARG001 - it draws the same rows itself
    """The whole grid, from its spec to its tables on disk."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        trials = api.run(data.grid_study(works, seed), jobs=jobs, results=folder)
        seconds = time.perf_counter() - started
    lrs = list(works[0].lrs)
    trials["member"] = trials["optimizer.lr"].astype(float).map(lrs.index) * FOLDS + trials["fold"]
    trials["error_pct"] = 100 * trials["test_errors"] / trials["n_test"]
    of = dict(iter(trials.groupby(["activation", "loss", "batchnorm"])))
    tables = [of[work.activation, work.loss, work.batchnorm] for work in works]
    errors = [dict(zip(table["member"].tolist(), table["error_pct"].tolist(), strict=True)) for table in tables]
    return GridRun(seconds, 0.0, 0.0, errors)


def _train(work: Work, units: Sequence[Unit], rows: Rows, seed: int) -> Trained:
    seconds, errors = 0.0, {}
    with runner.one_thread():
        for unit in units:
            started = start(work, unit, rows, seed)
            begin = time.perf_counter()
            fit(work, unit, rows, seed, started)
            seconds += time.perf_counter() - begin
            folds = [trial.fold for trial in unit.trials]
            outputs = fw.predict(started[0], torch.from_numpy(rows.test_inputs[folds]))
            for trial, fold, predicted in zip(unit.trials, folds, outputs.argmax(2).numpy(), strict=True):
                level = work.lrs.index(trial.configuration.settings["optimizer"]["lr"])
                errors[level * FOLDS + fold] = percent_wrong(predicted, rows.test_labels[fold])
    return Trained(seconds, errors)
