"""Rules of single values: in words, as a test, and in the precision that trains."""

import math
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from studies.errors import UserError, unknown

MANY = 1_000_000_000  # more of anything is a slip of the finger


class Rule(NamedTuple):
    """The values that are allowed, in words and as a test, and the form that a value is kept in: 1 and 1.0 are one number."""

    words: str
    holds: Callable[[Any], bool]
    kept: Callable[[Any], Any] = lambda value: value


class Key(NamedTuple):
    """A key of a spec: its rule, default and meaning; `otherwise` says in words what the default is where it depends."""

    rule: Rule
    default: Any
    meaning: str
    otherwise: str = ""

    @property
    def words(self) -> tuple[str, str, str]:
        """Rule, default and meaning in words."""
        return self.rule.words, self.otherwise or toml(self.default), self.meaning


def number(low: float = -math.inf, high: float = math.inf, *, above: bool = False, below: bool = False) -> Rule:
    """A finite number from `low` to `high`; `above` and `below` exclude the ends."""
    words = "a number" + (f" above {low:g}" if above else f" from {low:g}" if low > -math.inf else "")
    words += f" below {high:g}" if below else f" to {high:g}" if high < math.inf else ""

    def holds(value: Any) -> bool:  # noqa: ANN401
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
            return False
        return (value > low if above else value >= low) and (value < high if below else value <= high)

    return Rule(words, holds, float)


def whole_number(low: int, high: int = MANY) -> Rule:
    """A whole number of at least `low`, and at most `high`."""
    words = f"a whole number from {low}" + (f" to {high:,}" if high < MANY else "")
    return Rule(words, lambda value: type(value) is int and low <= value <= high)


def choice(*names: str) -> Rule:
    """One of a few names."""
    return Rule("one of " + ", ".join(names), lambda value: value in names)


flag = Rule("true or false", lambda value: isinstance(value, bool))
text = Rule("a text", lambda value: isinstance(value, str) and value.encode(errors="ignore").decode() == value)
one_line = Rule(  # no underscore: legends of pictures leave such labels out
    "a text of one line that does not begin with '_'",
    lambda value: isinstance(value, str) and value.isprintable() and value.strip() != "" and not value.startswith("_"),
)


def toml(value: object) -> str:
    """A default as a spec writes it: a table that has a name alone is that name."""
    if isinstance(value, Mapping):
        return toml(value["name"])
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def require(where: str, value: object, rule: Rule, dtype: str = "float64") -> Any:  # noqa: ANN401
    """The value in the form that it is kept in.

    Raises UserError unless it keeps the rule, as a number of `dtype` too, and is 0 there only if it is 0.

    >>> require("lr", 1, number(0, above=True))
    1.0
    >>> require("lr", -1, number(0, above=True))
    Traceback (most recent call last):
    studies.errors.UserError: lr is a number above 0: -1 was given
    """
    if not rule.holds(value):
        raise UserError(f"{where} is {rule.words}: {value!r} was given")
    kept = rule.kept(value)
    if isinstance(kept, float):
        rounded = _rounded(kept, dtype)
        if not rule.holds(rounded) or (rounded == 0) != (kept == 0):
            remedy = "give another value" + ("" if dtype == "float64" else ', or dtype = "float64"')
            raise UserError(f"{where} is {rule.words}: {value!r} was given, which is {rounded:g} in {dtype}; {remedy}")
    return kept


def _rounded(value: float, dtype: str) -> float:
    """The number of that dtype which training computes with: 0 in place of denormal numbers."""
    with np.errstate(over="ignore"):
        rounded = float(np.dtype(dtype).type(value))
    return 0.0 if abs(rounded) < np.finfo(dtype).tiny else rounded


def require_keys(where: str, table: object, allowed: Mapping[str, object]) -> None:
    """Raise UserError unless `table` is a table whose keys are all allowed."""
    if not isinstance(table, Mapping):
        raise UserError(f"{where} is a table: {table!r} was given")
    for key in table:
        if key not in allowed:
            raise UserError(f"{where}: {unknown('key', key, allowed)}")
