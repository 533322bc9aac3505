"""Outcomes of a user's function, in the columns of rows: from outputs by set, or from numbers by name.

Outputs are scores `(rows, classes)`, labels `(rows,)`, or a single column of two classes; for regression numbers `(rows,)`.
Numbers by name are measures: `test_error`, or `error` for the rows that judge. What cannot be one raises ValueError with
the rule, and the trial has failed.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from studies.columns import LAST, SETS, Record
from studies.data import measuring
from studies.data.types import REGRESSION, Floats, Labels, Split, Table
from studies.data.wrong import pack_rows
from studies.spec.measures import ALWAYS, MEASURES
from studies.train.records import is_stuck

_EXACT = 1e-4  # by which the probabilities of a row may miss the sum of 1, as those in float32 do
_COLUMNS = {f"{short}_loss" for short in SETS}  # of `LAST` that a function may return


class _Judged(NamedTuple):
    """Outputs of a set: decisions and probabilities (None: labels were returned), and the rows where both are numbers."""

    predicted: Labels
    probabilities: Floats | None
    finite: Any


def outcome(
    outputs: Mapping[str, Any],
    numbers: Mapping[str, Any],
    split: Split | None,
    classes: Sequence[str],
    measures: Sequence[str],
    about: str,
) -> Record:
    """The outcome of a trial.

    Args:
        outputs: Arrays by set, "train", "val" and "test".
        numbers: Measures and flags by name.
        split: Rows of the trial; None where the study has no data.
        classes: Names of the classes.
        measures: Measures that the study records.
        about: Measure that the study is about: there has to be a value of it.

    Raises:
        ValueError: Something of it is not what it has to be.
    """
    tables = {short: getattr(split, field) if split else None for short, field in SETS.items()}
    judged = next((short for short in SETS if tables[short]), "test")
    record: Record = {f"n_{short}": len(table.labels) if table else 0 for short, table in tables.items()}
    record |= {"diverged": False, "stuck": False, "epochs_to_5_pct": None, "status": "ok", "reason": None}
    for short, array in outputs.items():
        table = tables[short]
        if table is None:
            raise ValueError(f"outputs of {SETS[short]} rows were returned, and the study has none")
        if split and not classes:
            record |= _of_regression(short, array, split, table, measures)
            record["diverged"] |= not np.isfinite(array).all()
            continue
        found = _judge(short, array, len(table.labels), len(classes))
        record |= _of_outputs(short, found, table, measures, len(classes))
        record["diverged"] |= not found.finite.all()
        if short == "train":
            record["stuck"] = is_stuck(record["train_errors"], table.labels)
        if short == judged:
            record["wrong"] = pack_rows(found.predicted != table.labels)
    record |= _of_numbers(numbers, judged, record)
    _require_values(record, judged, dict.fromkeys([about, *measures]))
    return record


def _of_regression(short: str, array: Any, split: Split, table: Table, measures: Sequence[str]) -> Record:  # noqa: ANN401
    """The recorded measures of numbers on a set of rows, in the target's unit; of training rows whether the model is stuck."""
    rows = len(table.labels)
    if array.dtype.kind not in "biuf" or array.shape not in ((rows,), (rows, 1)):
        raise ValueError(
            f"outputs of {SETS[short]} rows are numbers ({rows},): an array of {array.dtype} and shape {array.shape} was "
            "returned"
        )
    truth, said = split.in_unit(table.labels), array.reshape(rows).astype(np.float64)
    record: Record = {
        f"{short}_{name}": measuring.of_numbers(name, truth, said)
        for name in measures
        if name in MEASURES and MEASURES[name].task == REGRESSION
    }
    if short == "train":
        record["stuck"] = not np.square(said - truth).sum() < np.square(truth - truth.mean()).sum()
    return record


def _judge(short: str, array: Any, rows: int, classes: int) -> _Judged:  # noqa: ANN401
    """Decisions and probabilities of outputs."""
    if array.dtype.kind not in "biuf" or array.shape not in ((rows,), (rows, 1), (rows, classes)):
        raise ValueError(
            f"outputs of {SETS[short]} rows are scores ({rows}, {classes}), labels ({rows},), or one column of two classes: an "
            f"array of {array.dtype} and shape {array.shape} was returned"
        )
    if array.dtype.kind in "biu" and array.size == rows:
        labels = array.reshape(rows).astype(np.int64)
        unknown = labels[(labels < 0) | (labels >= classes)]
        if len(unknown):
            raise ValueError(f"labels are classes from 0 to {classes - 1}: {unknown[0]} was returned")
        return _Judged(labels, None, np.ones(rows, dtype=bool))
    scores = array.astype(np.float64).reshape(rows, -1)
    finite = np.isfinite(scores).all(1)
    if scores.shape[1] == 1:
        if classes > 2:
            raise ValueError(
                f"a single column tells two classes apart, and there are {classes}: return scores ({rows}, {classes})"
            )
        inside = ((scores[finite] >= 0) & (scores[finite] <= 1)).all()
        one = scores if inside else 1 / (1 + np.exp(-np.clip(scores, -500, 500)))
        probabilities = np.hstack([1 - one, one])
    elif (scores[finite] >= 0).all() and (np.abs(scores[finite].sum(1) - 1) < _EXACT).all():
        probabilities = scores
    else:
        with np.errstate(invalid="ignore", over="ignore"):
            probabilities = measuring.to_probabilities(scores, "cross_entropy")
    predicted = np.where(finite, np.nan_to_num(probabilities).argmax(1), -1)  # a row without a number is wrong
    return _Judged(predicted, probabilities, finite)


def _of_outputs(short: str, found: _Judged, table: Table, measures: Sequence[str], classes: int) -> Record:
    """Errors, the mean loss (cross-entropy of the probabilities), and the recorded measures on a set of rows."""
    record: Record = {f"{short}_errors": int((found.predicted != table.labels).sum())}
    probabilities = found.probabilities
    if probabilities is not None:
        own = probabilities[np.arange(len(table.labels)), table.labels]
        record[f"{short}_loss"] = float(-np.log(np.clip(own, 1e-15, 1)).mean()) if found.finite.all() else None
    for name in measures:
        if name in ALWAYS or name not in MEASURES or (probabilities is None and name in measuring.PROBABILITIES):
            continue
        shown = (
            np.zeros((1, classes)) if probabilities is None else probabilities
        )  # which measures of decisions ask for classes
        record[f"{short}_{name}"] = measuring.value(name, table.labels, found.predicted, shown)
    return record


def _of_numbers(numbers: Mapping[str, Any], judged: str, record: Record) -> Record:
    """The columns of measures that were returned by name; without a set, of the rows that judge."""
    diverged = bool(numbers.get("diverged", False))
    found: Record = {}
    for name, value in numbers.items():
        if name == "diverged":
            found["diverged"] = diverged or record["diverged"]
            continue
        short, _, rest = name.partition("_")
        column = "seconds" if name == "seconds" else name if short in SETS and rest else f"{judged}_{name}"
        if column in (*LAST, "stuck") and column not in (*_COLUMNS, "seconds"):
            raise ValueError(f"{name} is a column that the suite fills: return outputs, or another name")
        if column.endswith("_error") and f"{column}s" in record:
            raise ValueError(f"outputs of the rows and {name} were both returned: give one of them")
        if not math.isfinite(value):
            if not diverged:
                raise ValueError(
                    f"{name} is a finite number: {value} was returned; return diverged = True with it if it may be"
                )
            value = None
        found[column] = None if value is None else float(value)
    return found


def _require_values(record: Record, judged: str, names: Mapping[str, None]) -> None:
    """Raise ValueError where a measure has no value on the rows that judge; a diverged model may lack them."""
    for name in names if not record["diverged"] else ():
        there = record.get(f"{judged}_{name}") is not None or (name == "error" and f"{judged}_errors" in record)
        if name != "seconds" and not there:
            scores = "; it takes scores of classes, not labels" if name in (*measuring.PROBABILITIES, "loss") else ""
            raise ValueError(
                f"the study is about {name}, and neither it nor outputs of {SETS[judged]} rows were returned{scores}"
            )
