"""From trials to units: trials of one structure and number of rows train together, as many as memory allows."""

import json
import math
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from studies.data import splits
from studies.plan.units import Source, Trial, Unit
from studies.spec.settings import Settings, update_rule
from studies.spec.study import Study
from studies.train import devices
from studies.train.costs import count_units_and_weights

Capacity = Callable[[Study, Unit], int]  # models that may train together, all like the first of a unit
BLOCK = 512  # rows evaluated at a time on the CPU, as in `framework.history`, which imports torch
_OWN = ("init", "output_init", "bias_init", "optimizer", "clip")  # settings that each model of a unit may have of its own
_FEWEST = 8  # models in a unit, before more jobs make units smaller


def pack(study: Study, trials: Sequence[Trial], jobs: int, device: str, capacity: Capacity) -> list[Unit]:
    """Divide the trials of a reading into units of one structure, of at most `capacity` models.

    Args:
        study: The reading.
        trials: Trials of the reading.
        jobs: Number of processes that train at once: each gets a unit, where there are trials enough.
        device: Kind of device that trains.
        capacity: Most models of a unit.
    """
    source = source_of(study)
    groups: dict[tuple[str, tuple[int, int, int]], list[Trial]] = defaultdict(list)
    for trial in trials:
        groups[structure(trial.configuration.settings), count_rows(study, trial.fold)].append(trial)
    units = []
    for (_, counts), group in groups.items():
        # Trials of one update rule share an optimizer, those of one fold a permutation: keep them together.
        group.sort(key=lambda trial: (update_rule(trial.configuration.settings), trial.repeat, trial.fold))
        work = count_operations(study, group[0].configuration.settings, counts)
        whole = Unit(source, group, counts, work * len(group), device)
        size = min(capacity(study, whole), max(_FEWEST, math.ceil(len(trials) / jobs)))
        parts = np.array_split(np.arange(len(group)), math.ceil(len(group) / size))
        units += [Unit(source, [group[index] for index in part], counts, work * len(part), device) for part in parts]
    return units


def source_of(study: Study) -> Source:
    """The parts of a reading that training its units needs."""
    return Source(
        study.name,
        study.reading,
        study.seed,
        study.data,
        study.validation,
        study.schema,
        study.parts,
        tuple(study.recorded),
        study.function,
    )


def structure(settings: Settings) -> str:
    """The settings that models of a unit share, as a text."""
    return json.dumps({**settings, **dict.fromkeys(_OWN), "dropout": settings["dropout"] > 0}, sort_keys=True)


def capacity(study: Study, unit: Unit) -> int:
    """Models that the device has room for while training, and while they are evaluated; at most the study's limit.

    Each may have rows of its own. On the CPU, models are evaluated in blocks of rows, unless batch norm wants them all.
    """
    settings, device = unit.settings, unit.device
    if study.parts.train_alone(settings):
        return 1
    features = len(study.schema.features)
    units, parameters = count_units_and_weights(features, len(study.schema.classes), settings)
    rows = max(unit.rows)
    size = np.dtype(settings["dtype"]).itemsize
    step = size * (3 * unit.batch_size * (features + units) + 5 * parameters)
    at_once = rows if device != "cpu" or settings["batchnorm"].get("evaluate") == "batch" else min(rows, BLOCK)
    evaluation = size * (rows * (features + 1) + at_once * (features + 2 * max([*settings["hidden"], 1])))
    training, evaluating = devices.room(device)
    return min(study.stack or sys.maxsize, max(2, min(int(training / step), int(evaluating / evaluation))))


def count_operations(study: Study, settings: Settings, rows: tuple[int, int, int]) -> float:
    """Operations of one training, by which the longest units come first.

    These are three products of two a weight, and 12 a unit, 72 with batch norm, for each row and epoch.
    Those of units are worth what they take in time, not in arithmetic.
    """
    units, count = count_units_and_weights(len(study.schema.features), len(study.schema.classes), settings)
    each = 12.0 if settings["batchnorm"]["name"] == "none" else 72.0
    return settings["epochs"] * rows[0] * (6.0 * count + each * units)


def count_rows(study: Study, fold: int) -> tuple[int, int, int]:
    """Training, validation and test rows of a trial."""
    data, folds = study.data, study.validation.folds
    left_out = splits.fold_size(data.samples, folds, fold) if folds else 0
    return data.samples - left_out, left_out or data.validation_samples, data.test_samples
