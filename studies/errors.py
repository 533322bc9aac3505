"""What a user did that cannot work: one line with the rule, what was given, and the remedy. The command line exits with 2."""

import difflib
from collections.abc import Iterable

SHOWN = 40  # names at most that a sentence or a list of lines has


class UserError(Exception):
    """Wrong input, found before anything was trained or overwritten."""


def unknown(what: str, given: object, allowed: Iterable[str]) -> str:
    """The sentence for a name that is not one of `allowed`, with the nearest that is."""
    names = list(allowed)
    near = difflib.get_close_matches(str(given), names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    allowed_names = ", ".join(names) if len(names) <= SHOWN else f"any of {len(names):,}"
    return f"there is no {what} {given!r}; {hint}allowed: {allowed_names}"
