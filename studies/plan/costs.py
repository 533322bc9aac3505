"""The rough time of training: of a step's calls, however few rows they are about, and of its arithmetic.

The unit is a step of a 2-8-2 network, one model and one row at a time. `unit_seconds` measures it where and when it is needed,
so a slow or busy machine has longer units. The costs were measured on stacks of 1 to 1,000 models of 3 to 11 layers, which had
2 to 256 units.
"""

import itertools
import math
import statistics
import time
from typing import NamedTuple

import torch

import framework as fw
from studies.plan.units import Stack, batch_size
from studies.spec.settings import Settings
from studies.train import runner

START = 15_000.0  # of a process that trains: it imports torch
END = 4_000.0  # of a run: its rows become files and tables
_MODEL = 10.0  # to draw the rows and the first weights of a model
_RECORD = 3.0  # to evaluate a stack on one set of rows, beside a third of what these rows cost in training
_STEPS, _ROUNDS = 100, 5  # of the measurement of the unit


class _Costs(NamedTuple):
    """The units that parts of a step cost: calls of a stack, and arithmetic of a model."""

    step: float
    layer: float
    norm: float  # of a layer with batch norm
    dropout: float  # of a layer with dropout
    rule: float  # of a layer whose optimizer is not SGD
    row: float
    unit: float  # of a row
    normed: float  # of a row, in a layer with batch norm
    weight: float  # of a row
    update: float  # of a weight


_ENGINES = {
    "stack": _Costs(0.33, 0.32, 1.0, 0.9, 0.06, 1.1e-3, 1.1e-5, 4e-6, 4e-7, 1e-5),
    "torch_nn": _Costs(0.0, 1.35, 1.0, 0.9, 0.7, 6e-3, 1.1e-5, 4e-6, 4e-7, 4e-5),
}


def sizes(features: int, classes: int, settings: Settings) -> tuple[int, int]:
    """The units of all layers of a model, and its weights and biases."""
    widths = [features, *settings["hidden"], classes if settings["outputs"] == "classes" else 1]
    return sum(widths[1:]), sum(outputs * (inputs + 1) for inputs, outputs in itertools.pairwise(widths))


def units(stack: Stack) -> float:
    """The cost of training a stack; that of its first model counts for all."""
    settings, shared, models = stack.trials[0].configuration.settings, stack.structure, len(stack.trials)
    schema = stack.source.schema
    all_units, weights = sizes(len(schema.features), len(schema.classes), settings)
    costs, hidden = _ENGINES[settings["engine"]], settings["hidden"]
    optimizer = settings["optimizer"]["name"] != "sgd"
    norm, dropout = settings["batchnorm"]["name"] != "none", settings["dropout"] > 0
    batch, epochs = batch_size(settings, shared), settings["epochs"]
    call = costs.step + (len(hidden) + 1) * (costs.layer + costs.rule * optimizer)
    call += len(hidden) * (costs.norm * norm + costs.dropout * dropout)
    row = costs.row + all_units * costs.unit + sum(hidden) * costs.normed * norm + weights * costs.weight
    records = 1 + (epochs // settings["history_every"] if settings["history_every"] else 0)
    sets = sum(rows > 0 for rows in shared.rows)
    training = epochs * (
        math.ceil(shared.rows[0] / batch) * (call + models * weights * costs.update) + models * shared.rows[0] * row
    )
    return training + records * (_RECORD * sets + models * sum(shared.rows) * row / 3) + _MODEL * models


def unit_seconds() -> float:
    """The seconds of one unit on this machine, as it is now."""
    rows = fw.Rows(torch.linspace(0, 1, 2 * _STEPS).reshape(_STEPS, 2), torch.arange(_STEPS) % 2)
    taken = []
    with runner.one_thread():
        for _ in range(1 + _ROUNDS):
            model = fw.Sequential(fw.Linear(2, 8), fw.Tanh(), fw.Linear(8, 2))
            fw.initialize(model, fw.xavier, seed=0)
            started = time.perf_counter()
            fw.fit(model, fw.CrossEntropyLoss(), fw.SGD(model, lr=0.1), rows, epochs=1, batch_size=1)
            taken.append((time.perf_counter() - started) / _STEPS)
    return statistics.median(taken[1:])  # the first warms up
