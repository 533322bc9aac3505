"""Values of a spec that the numbers of a trial, and so its key, depend on; `plan.plan` hashes them.

A row belongs to a trial if their keys are equal, however the study has changed since. So a key that spec files gain later must
leave the keys of the rows there are as they were: the tables below are where such a change is entered.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from studies.spec import recording

RECORDING = tuple(f"base.{key}" for key in recording.SETTINGS)
ADDED: Mapping[str, Any] = {
    "data.target": "",
    "data.content": "",
    "data.task": "classification",
}  # value that means "as before", which enters no key
RENAMED: Mapping[str, str] = {}  # today's name: the name under which the value enters keys
_ELSEWHERE = ("data.path", "validation.repeats")  # a file is identified by its content, a trial has one repeat


def identity(section: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of one section of a spec that numbers depend on, under dotted names.

    Settings that only record more, and values of later keys that mean "as before", are left out.
    """
    return {
        RENAMED.get(name, name): value
        for name, value in _dotted(section, values)
        if name not in (*RECORDING, *_ELSEWHERE) and not (name in ADDED and value == ADDED[name])
    }


def _dotted(name: str, value: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """The values of nested tables, under dotted names."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _dotted(f"{name}.{key}", inner)
    else:
        yield name, value


def differing(theirs: object, ours: object, places: tuple[str, str] = ("there", "here")) -> str:
    """Differences of two resolved specs: "base.epochs is 200 there, 50 here", the first few; empty where they do not."""
    found = [f"{path} is {one} {places[0]}, {other} {places[1]}" for path, one, other in _walk(theirs, ours, "")]
    more = f", and {len(found) - 4} more" if len(found) > 4 else ""
    return ", ".join(found[:4]) + more


def _walk(theirs: object, ours: object, path: str) -> Iterator[tuple[str, str, str]]:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in dict.fromkeys([*theirs, *ours]):
            yield from _walk(theirs.get(key, "absent"), ours.get(key, "absent"), f"{path}.{key}" if path else key)
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for index, (one, other) in enumerate(zip(theirs, ours, strict=True)):
            yield from _walk(one, other, f"{path}.{index + 1}")
    elif theirs != ours:
        yield path, json.dumps(theirs), json.dumps(ours)


def plain(value: object) -> Any:  # noqa: ANN401
    """A value as it is read back from JSON."""
    return json.loads(json.dumps(value))
