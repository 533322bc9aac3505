"""Rows of a trial: split into folds, disturbed and normalised. Inputs are `(samples, features)`."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from studies.data.datasets import pools
from studies.data.types import REGRESSION, Data, Floats, Split, Table, Targets, Validation
from studies.seeds import seed_for


class Normalisation(NamedTuple):
    """x' = (x - mean) / scale, with the statistics of a trial's training rows."""

    mean: Floats
    scale: Floats

    def __call__(self, inputs: Floats) -> Floats:
        return (inputs - self.mean) / self.scale


def split(data: Data, validation: Validation, seed: int, repeat: int, fold: int) -> Split:
    """The rows of one trial: pool, fold, label noise, normalisation, in that order."""
    raw, normalise = raw_split(data, validation, seed, repeat, fold)
    shift, scale = target_unit(raw.train.labels) if data.task == REGRESSION else (0.0, 1.0)

    def normalised(table: Table) -> Table:
        labels = (table.labels - shift) / scale if data.task == REGRESSION else table.labels
        return table._replace(inputs=normalise(table.inputs), labels=labels)

    validation_rows, test_rows = (table and normalised(table) for table in (raw.validation, raw.test))
    return Split(normalised(raw.train), validation_rows, test_rows, shift, scale)


def target_unit(labels: Targets) -> tuple[float, float]:
    """Mean and standard deviation of the training rows' targets; a constant target is only centred."""
    return float(labels.mean()), float(labels.std()) or 1.0


def raw_split(data: Data, validation: Validation, seed: int, repeat: int, fold: int) -> tuple[Split, Normalisation]:
    """The rows of one trial before normalisation, and what normalises them."""
    pool = pools(data, seed, repeat)
    train, held_out = pool.train, pool.validation
    if validation.folds:
        kept, left_out = folds(pool.train, validation, seed, repeat)[fold]
        train, held_out = pool.train.take(kept), pool.train.take(left_out)
    if data.noise:
        classes = max(int(pool.train.labels.max()) + 1, 2)  # two, should all rows of a draw be of class 0
        train = _with_noise(train, data.noise, classes, np.random.default_rng(seed_for(seed, "noise", repeat, fold)))
    return Split(train, held_out, pool.test), _normalisation(train.inputs, data.normalize)


def folds(pool: Table, validation: Validation, seed: int, repeat: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Row numbers to train on and to leave out, for every fold of a repeat."""
    from sklearn.model_selection import KFold, StratifiedKFold

    splitter = StratifiedKFold if validation.stratified else KFold
    order = splitter(validation.folds, shuffle=True, random_state=seed_for(seed, "split", repeat) % 2**32)
    return list(order.split(pool.inputs, pool.labels))


def fold_size(rows: int, folds: int, fold: int) -> int:
    """Number of rows that a fold leaves out, with strata and without: those that remain go to the first folds."""
    return rows // folds + (fold < rows % folds)


def training_sizes(rows: int, folds: int) -> set[int]:
    """Numbers of training rows that trials on a pool have."""
    return {rows - fold_size(rows, folds, fold) for fold in range(folds)} or {rows}


def _with_noise(table: Table, share: float, classes: int, rng: np.random.Generator) -> Table:
    """The table with a share of its labels, rounded to whole rows, moved to another class."""
    count = round(share * len(table.labels))
    rows = rng.choice(len(table.labels), count, replace=False)
    labels = table.labels.copy()
    labels[rows] = (labels[rows] + rng.integers(1, classes, count)) % classes
    return table._replace(labels=labels)


def _normalisation(inputs: Floats, normalize: str) -> Normalisation:
    """Per feature, over all of them, or none; a constant feature is only centred.

    Statistics are of what a value exceeds the smallest by: the mean of large and equal numbers is not that number.
    """
    if normalize == "none":
        return Normalisation(np.zeros(1), np.ones(1))
    axis = 0 if normalize == "feature" else None
    lowest = inputs.min(axis)
    above = inputs - lowest
    scale = above.std(axis)
    return Normalisation(lowest + above.mean(axis), np.where(scale > 0, scale, 1.0))
