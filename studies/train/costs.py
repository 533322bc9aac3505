"""Rough time of training: of the calls of each step, however few rows they are about, and of its arithmetic.

Its unit is what `unit_seconds` measures where and when it is needed,
so a slow or busy machine has longer units. The costs were measured on stacks of 1 to 1,000 models of 3 to 11 layers, which had
2 to 256 units.
"""

import itertools
import math
import statistics
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from studies.plan.units import Unit
from studies.spec.settings import Settings

START = 27_000.0  # of a process that trains: it imports torch
END = 7_000.0  # of a run: its rows become files and tables
_MODEL = 15.0  # to draw the rows and the first weights of a model
_ROUNDS, _ROUND, _CALLS = 9, 1000, 50  # rounds of so many calls that measure the unit, and calls of a unit


class Costs(NamedTuple):
    """Costs of the parts of an engine's step: calls, and arithmetic of a model."""

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
    record: float  # of a set of rows, beside a third of what its rows cost in training


def count_units_and_weights(features: int, classes: int, settings: Settings) -> tuple[int, int]:
    """The units of all layers of a model, and its weights and biases."""
    widths = [features, *settings["hidden"], classes if settings["outputs"] == "classes" else 1]
    return sum(widths[1:]), sum(outputs * (inputs + 1) for inputs, outputs in itertools.pairwise(widths))


def training_cost(unit: Unit, costs: Costs) -> float:
    """The cost of training a unit; that of its first model counts for all."""
    settings, models = unit.settings, len(unit.trials)
    schema = unit.source.schema
    all_units, weights = count_units_and_weights(len(schema.features), len(schema.classes), settings)
    hidden = settings["hidden"]
    optimizer = settings["optimizer"]["name"] != "sgd"
    norm, dropout = settings["batchnorm"]["name"] != "none", settings["dropout"] > 0
    batch, epochs = unit.batch_size, settings["epochs"]
    call = costs.step + (len(hidden) + 1) * (costs.layer + costs.rule * optimizer)
    call += len(hidden) * (costs.norm * norm + costs.dropout * dropout)
    row = costs.row + all_units * costs.unit + sum(hidden) * costs.normed * norm + weights * costs.weight
    records = 1 + (epochs // settings["history_every"] if settings["history_every"] else 0)
    sets = sum(rows > 0 for rows in unit.rows)
    training = epochs * (
        math.ceil(unit.rows[0] / batch) * (call + models * weights * costs.update) + models * unit.rows[0] * row
    )
    return training + records * (costs.record * sets + models * sum(unit.rows) * row / 3) + _MODEL * models


def unit_seconds() -> float:
    """Seconds of one unit on this machine, as it is now.

    A unit is as long as a number of calls of numpy about a few numbers: importing torch would take longer than all else in a
    plan.
    """
    weights, units = np.full((8, 8), 0.1), np.ones(8)
    taken = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        for _ in range(_ROUND):
            units = np.tanh(weights @ units)
        taken.append((time.perf_counter() - started) / _ROUND)
    return _CALLS * statistics.median(taken[1:])  # the first warms up


def rough_seconds(costs: Sequence[float], jobs: int, starts: bool) -> float:
    """Seconds of a run that trains units of these costs, so many at once; in processes that start for it, if any do."""
    around = END + START * starts if costs else 0.0
    return (around + max([sum(costs) / jobs, *costs])) * unit_seconds()
