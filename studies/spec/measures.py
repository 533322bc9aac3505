"""Measures: a number for each trained model and set of rows, with its direction, its unit and what it is of a guess.

A measure is what a study is about (`measure = "auc"`), or what it records beside that (`measures = ["f1"]`). Errors and losses
are recorded always. Whatever follows the rows takes a `Measure` and asks it which values are better and how they are written.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from studies.data.measures import Measure
from studies.errors import UserError, unknown
from studies.spec.rules import Key, choice, number, require, require_keys, text

ALWAYS = ("error", "loss", "seconds")  # recorded without being asked for

MEASURES: Mapping[str, Measure] = {
    each.name: each
    for each in (
        Measure("error", unit="%", low=0, high=100, guess="rows", task="classification"),
        Measure("balanced_error", unit="%", low=0, high=100, guess="rows", task="classification"),
        Measure("log_loss", low=0, guess="rows", task="classification"),
        Measure("auc", "higher", low=0, high=1, guess=0.5, task="classification", words="AUC"),
        Measure("f1", "higher", low=0, high=1, guess="rows", task="classification", words="F1"),
        Measure("brier", low=0, high=2, guess="rows", task="classification", words="Brier score"),
        Measure("rmse", low=0, guess="rows", task="regression", words="RMSE"),
        Measure("mae", low=0, guess="rows", task="regression", words="MAE"),
        Measure("r2", "higher", high=1, guess=0.0, task="regression", words="R2"),
        Measure("loss", low=0),
        Measure("seconds", unit="s", low=0, words="training time"),
    )
}
DEFAULT = {"classification": "error", "regression": "rmse"}  # by task
OWN: Mapping[str, Key] = {
    "name": Key(text, None, "Name of the measure, as the function returns it or the column is called.", "needed"),
    "better": Key(choice("lower", "higher"), None, "Direction.", "needed"),
    "unit": Key(text, "", "Unit, such as `%` or `s`."),
    "low": Key(number(-math.inf, math.inf), -math.inf, "Lowest value there can be.", "none"),
    "high": Key(number(-math.inf, math.inf), math.inf, "Highest value there can be.", "none"),
    "guess": Key(number(-math.inf, math.inf), None, "Value of a guess that looks at no input.", "none"),
}


def read_measure(key: str, given: object, task: str = "", own: bool = False) -> Measure:
    """The measure that a spec names, or describes by a table `{ name = ..., better = ... }`.

    Args:
        key: Where it stands in the spec, for errors.
        given: The name or table.
        task: The kind of data of the study; "" where it has none.
        own: Whether names are the user's own, so that an unknown one with its direction is a new measure.

    Raises:
        UserError: There is no such measure, it is of another kind of data, or the table is wrong.
    """
    if isinstance(given, Mapping):
        require_keys(key, given, OWN)
        for name, rule in OWN.items():
            if name in given or rule.otherwise == "needed":
                require(f"{key}.{name}", given.get(name), rule.rule)
        known = MEASURES.get(given["name"])
        if known and not own:
            raise UserError(f'{key}: {known.name!r} is built in, and {known.better} is better: write "{known.name}"')
        return Measure(**given)
    allowed = [name for name, each in MEASURES.items() if not each.task or not task or each.task == task]
    if not isinstance(given, str) or given not in MEASURES:
        how = ', or a table { name = "...", better = "lower" } of your own' if own else ""
        raise UserError(f"{key}: {unknown('measure', given, allowed)}{how}")
    if given not in allowed:
        raise UserError(f"{key}: {given} is for {MEASURES[given].task}, and the data are for {task}: {', '.join(allowed)}")
    return MEASURES[given]


def read_measures(key: str, given: object, task: str = "", own: bool = False) -> tuple[Measure, ...]:
    """The measures of a list, each once; `read_measure` for each. Raises UserError."""
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise UserError(f'{key} is a list of measures, such as ["auc", "f1"]: {given!r} was given')
    return tuple(dict.fromkeys(read_measure(key, each, task, own) for each in given))


def recorded(measures: Iterable[Measure]) -> list[str]:
    """The names of those that are recorded only where they are asked for."""
    return [each.name for each in measures if each.name not in ALWAYS]


def described(measure: Measure) -> dict[str, Any]:
    """The measure as plain values; an end that there is not is None."""
    ends = {name: value if math.isfinite(value) else None for name, value in (("low", measure.low), ("high", measure.high))}
    return {"name": measure.name, "better": measure.better, "unit": measure.unit, "column": measure.column, **ends}


def about(values: Mapping[str, Any] | None) -> Measure:
    """The measure that `described` gave, that of error where there is none, as in results of an older version."""
    if not values:
        return MEASURES["error"]
    if not values["column"] and values["name"] in MEASURES:
        return MEASURES[values["name"]]
    ends = {name: values[name] for name in ("low", "high") if values[name] is not None}
    return Measure(values["name"], values["better"], values["unit"], column=values["column"], **ends)
