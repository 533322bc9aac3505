"""Calls of a user's function or estimator, in a process that does nothing else: see `sandbox`.

It imports numpy and no more than that, so that the process starts at once.
"""

import contextlib
import inspect
import pickle
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from studies.columns import SETS
from studies.data.types import Floats, Labels, Split, Table, Targets
from studies.spec.functions import SEEDS, Function
from studies.spec.syntax import load

_REASON, _DETAILS = 400, 20_000  # letters at most of a reason and of a traceback, the last ones
OUTPUTS = {
    **{field: short for short, field in SETS.items()},
    **{short: short for short in SETS},
}  # names that a user may return


class Set(NamedTuple):
    """Rows as a user's function gets them: inputs `(rows, features)`, targets `(rows,)`, and the names of features.

    Targets are classes from 0, or, for regression, numbers in their own unit.
    """

    inputs: Floats
    targets: Targets
    columns: tuple[str, ...]
    rows: Labels


class Given(NamedTuple):
    """The rows of a trial as a user's function gets them; None for a set that there is not."""

    train: Set | None
    validation: Set | None
    test: Set | None
    classes: tuple[str, ...]


class Request(NamedTuple):
    """A call: the function, its settings, the seed of the trial, its rows, and names of features and classes."""

    function: Function
    settings: Mapping[str, Any]
    seed: int
    split: Split | None
    columns: tuple[str, ...]
    classes: tuple[str, ...]


class Answer(NamedTuple):
    """The result of a call: arrays of outputs and numbers by name, or the reason why none, with the traceback."""

    outputs: Mapping[str, Any]
    numbers: Mapping[str, Any]
    seconds: float
    reason: str = ""
    details: str = ""


def answer(request: Request) -> Answer:
    """Make a call; whatever it raises is in the answer."""
    try:
        train = _loaded(request.function)
        started = time.perf_counter()
        found = _call(train, request)
        seconds = time.perf_counter() - started
        return Answer(*_sorted(found), seconds)
    except BaseException as error:  # SystemExit too: the process is to stay
        reason = " ".join("".join(traceback.format_exception_only(error)).split())
        details = "".join(traceback.format_exception(error))
        return Answer({}, {}, 0.0, reason[:_REASON], details[-_DETAILS:])


def _call(train: Callable[..., Any], request: Request) -> object:
    """The value that the function returns, or the outputs of a trained estimator."""
    function, rows = request.function, _given(request)
    accepted = inspect.signature(train).parameters
    settings = {name: request.settings[name] for name, _ in function.settings}
    settings |= {name: request.seed for name in SEEDS if name in accepted}
    if not inspect.isclass(train):
        return _predicted(train(rows, **settings), rows)
    if rows.train is None:
        raise TypeError(f"{function.name} is a class, which is trained on rows, and there is no [data]: give a function")
    estimator: Any = train(**settings)
    estimator.fit(rows.train.inputs, rows.train.targets)
    return _predicted(estimator, rows)


def _given(request: Request) -> Given:
    """The rows of a trial, with names."""
    split = request.split

    def named(name: str) -> Set | None:
        table: Table | None = getattr(split, name) if split else None
        if split is None or table is None:
            return None
        targets = table.labels if request.classes else split.in_unit(table.labels)
        return Set(table.inputs, targets, request.columns, table.rows)

    return Given(named("train"), named("validation"), named("test"), request.classes)


def _loaded(function: Function) -> Callable[..., Any]:
    """The function: of its file, executed once in a process, or as it was sent."""
    if function.pickled:
        return pickle.loads(function.pickled)
    folder = str(Path(function.path).parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)  # as for a script: it may import its neighbours
    return getattr(load(function.path, function.text), function.name)


def _predicted(found: object, rows: Given) -> object:
    """The outputs of a trained estimator on every set of rows; anything else as it is."""
    estimator: Any = found
    if isinstance(found, Mapping) or not hasattr(found, "predict"):
        return found
    sets = {name: getattr(rows, name) for name in SETS.values() if getattr(rows, name)}
    if not hasattr(found, "predict_proba"):
        return {name: estimator.predict(table.inputs) for name, table in sets.items()}
    outputs = {name: np.asarray(estimator.predict_proba(table.inputs)) for name, table in sets.items()}
    known = getattr(estimator, "classes_", None)
    if known is None:
        return outputs
    return {name: _of_all_classes(found, np.asarray(known, dtype=int), len(rows.classes)) for name, found in outputs.items()}


def _of_all_classes(probabilities: Floats, known: Labels, count: int) -> Floats:
    """Probabilities of all classes: 0 of those that no training row had."""
    full = np.zeros((len(probabilities), count))
    full[:, known] = probabilities
    return full


def _sorted(returned: object) -> tuple[dict[str, Any], dict[str, Any]]:
    """Outputs by set, as arrays, and numbers by name."""
    if not isinstance(returned, Mapping) or not returned:
        raise TypeError(
            "a function that trains returns outputs by set, {'test': outputs}, measures by name, {'test_error': 12.0}, or a "
            f"trained estimator: {_shortened(returned)} was returned"
        )
    outputs: dict[str, Any] = {}
    numbers: dict[str, Any] = {}
    for name, value in returned.items():
        if name in OUTPUTS:
            outputs[OUTPUTS[name]] = _array(value)
        elif isinstance(name, str) and name.isidentifier():
            numbers[name] = _number(name, value)
        else:
            raise TypeError(f"what is returned has names, of letters, digits and '_': {_shortened(name)} was given")
    return outputs, numbers


def _array(value: object) -> Any:  # noqa: ANN401
    """Outputs as an array; torch's tensors too. Raises TypeError for objects, which no other process may know."""
    tensor: Any = value
    if hasattr(value, "detach"):
        value = tensor.detach().cpu().numpy()
    found = np.asarray(value)
    if found.dtype.hasobject:
        raise TypeError(f"outputs are numbers: {_shortened(value)} was returned")
    return found


def _number(name: str, value: object) -> float | bool:
    """A measure as a number, or a flag."""
    with contextlib.suppress(TypeError, ValueError):
        found = _array(value)
        if found.size == 1 and found.dtype.kind in "biuf":
            only = found.reshape(()).item()
            return only if isinstance(only, bool) else float(only)
    raise TypeError(f"{name} is a number: {_shortened(value)} was returned")


def _shortened(value: object) -> str:
    """A value in a few words."""
    return f"{type(value).__name__} {value!r:.60}" if not isinstance(value, np.ndarray) else f"array of shape {value.shape}"
