"""Measures: a number for each trained model and set of rows, with its direction, its unit and what it is of a guess.

A measure is what a study is about (`measure = "auc"`), or what it records beside that (`measures = ["f1"]`). Errors and losses
are recorded always. Whatever follows the rows takes a `Measure` and asks it which values are better and how they are written.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from studies.errors import UserError, unknown
from studies.spec.rules import Key, choice, number, require, require_keys, text

ALWAYS = ("error", "loss", "seconds")  # recorded without being asked for


@dataclass(frozen=True)
class Measure:
    """A measure.

    Attributes:
        name: The name in specs and columns.
        better: The direction, "lower" or "higher".
        unit: The unit that stands behind a value: "%", "s", or nothing.
        low: Lowest value there can be.
        high: Highest value there can be.
        guess: The value of a guess that looks at no input, where one number holds whatever the rows are; "rows" where it
            follows from them.
        task: The kind of data that it is about: "classification", "regression", or "" for both.
        words: The name in sentences, where it differs.
    """

    name: str
    better: str = "lower"
    unit: str = ""
    low: float = -math.inf
    high: float = math.inf
    guess: float | str | None = None
    task: str = ""
    words: str = ""

    @property
    def sign(self) -> int:
        """1 where lower is better, -1 where higher is: times a value, lower is better always."""
        return 1 if self.better == "lower" else -1

    @property
    def perfect(self) -> float:
        """The best value there can be, an infinite one where there is none."""
        return self.low if self.better == "lower" else self.high

    @property
    def called(self) -> str:
        """The name in sentences: "error", "AUC"."""
        return self.words or self.name.replace("_", " ")

    @property
    def of_rows(self) -> bool:
        """True where a value is a mean over rows of which each trial keeps its own, one bit each."""
        return self.name == "error"

    @property
    def points(self) -> str:
        """The unit of a difference, with a space before it: " points" of percentages."""
        return " points" if self.unit == "%" else f" {self.unit}" if self.unit else ""

    @property
    def change(self) -> str:
        """The name of a difference with its unit: "error in points"."""
        return self.called + (f" in{self.points}" if self.points else "")

    @property
    def title(self) -> str:
        """The name with its unit, and where higher is better with that: the label of an axis."""
        unit = f" in {self.unit}" if self.unit else ""
        return f"{self.called}{unit}" + (" (higher is better)" if self.better == "higher" else "")

    @property
    def margin(self) -> float:
        """The margin of a study that gives none: half a percentage point, or half a percent of the range; else 0."""
        if self.unit == "%":
            return 0.5
        return 0.005 * (self.high - self.low) if math.isfinite(self.high - self.low) else 0.0


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
    """The measure as plain values, for what depends on it."""
    return {"name": measure.name, "better": measure.better, "unit": measure.unit}
