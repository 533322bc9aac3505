"""Errors of a user: one line with the rule, what was given, and the remedy. The command line exits with 2."""

import difflib
from collections.abc import Iterable

SHOWN = 40  # names at most that a sentence or a list of lines has
_LETTERS = 60  # of a text at most that a sentence quotes
_LISTED = 8  # things at most that `listed` lists


class UserError(Exception):
    """Wrong input, found before anything was trained or overwritten."""


def unknown(what: str, given: object, allowed: Iterable[str]) -> str:
    """The sentence for a name that is not one of `allowed`, with the nearest that is.

    >>> unknown("loss", "msr", ["mse", "mae"])
    "there is no loss 'msr'; did you mean 'mse'? allowed: mse, mae"
    """
    names = list(allowed)
    near = difflib.get_close_matches(str(given), names, n=1, cutoff=0.5)
    hint = f"did you mean {quoted(near[0])}? " if near else ""
    allowed_names = ", ".join(map(shortened, names)) if len(names) <= SHOWN else f"any of {len(names):,}"
    return f"there is no {what} {quoted(given)}; {hint}allowed: {allowed_names}"


def quoted(given: object) -> str:
    """A text or value as a sentence quotes it, the middle of a long one left out."""
    return repr(shortened(given)) if isinstance(given, str) else shortened(repr(given))


def listed(things: Iterable[str]) -> str:
    """The first few things, and the number of the rest."""
    every = list(things)
    more = f" and {len(every) - _LISTED:,} more" if len(every) > _LISTED else ""
    return ", ".join(every[:_LISTED]) + more


def shortened(text: str, letters: int = _LETTERS) -> str:
    """A text of at most so many letters."""
    half = (letters - 3) // 2
    return text if len(text) <= letters else f"{text[:half]}...{text[-half:]}"
