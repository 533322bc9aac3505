"""Columns that MLflow, Weights & Biases, Optuna and scikit-learn write beside settings and measures."""

import re
from collections.abc import Iterator, Sequence

from studies.data.runs import words
from studies.data.runs.columns import Structure

_ENDED = words.each_of("ok okay success successful complete completed finished done passed pass optimal converged true yes 1")
_BROKEN = words.each_of(
    "fail failed error crashed crash pruned running killed timeout oom diverged aborted canceled waiting false no scheduled "
    "preempted infeasible inf nan 0"
)
_STATE_NAMES = words.each_of("state status outcome converged success succeeded failed failure diverged crashed finished ok")
_BAD_NAMES = words.each_of("failed failure diverged crashed")  # flags that are true where a run failed
_FLAGS = words.each_of("true yes 1 false no 0")
_TRACKER = re.compile(
    r"(tags|user_attrs|system_attrs)[._].*|artifact_uri|experiment_id|run_id|run_uuid|run_name|uuid|hostname|host|git.*|commit|"
    r"_?timestamp|_step|_runtime|_wandb.*|datetime_.*|start_time|end_time|date|checkpoint|command|notes?|comments?|hash|sha|.*__(min|max)",
    re.I,
)
_WANDB = words.each_of("name created runtime user tags sweep notes")
_SIZE = re.compile(
    r"(n|num|size)[_ ]?(train|test|val|valid|validation)|(train|test|val|valid|validation)[_ ]?(n|size|rows|samples)", re.I
)


def parts(structure: Structure, names: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Column, part and reason of what trackers write, of states of runs, and of sizes of training and test sets."""
    sheet = structure.sheet
    every = [str(name) for name in sheet.table]
    is_wandb = {"name", "state", "created"} <= {name.casefold() for name in every}
    for name in names:
        column, is_text = sheet.table[name], not sheet.is_number(name)
        if _TRACKER.fullmatch(name) or (is_wandb and name.casefold() in _WANDB):
            yield name, "ignored", "a note, a date, or a mark of a tracker"
        elif name == "number" and {"value", "state"} & set(every) and structure.is_row_number(name):
            yield name, "index", "counts the trials of a search"
        elif _SIZE.fullmatch(name.strip()) and not is_text:
            yield name, "size", "rows of a set"
        elif is_text and words.has(name, _STATE_NAMES) and set(column.str.casefold().unique()) <= _ENDED | _BROKEN:
            yield name, "status", "says which runs failed"
        elif is_text and name.casefold() in {"duration", "time"}:
            yield name, "ignored", "a time as text"
        elif is_text and column.str.startswith("{").all():
            yield name, "alias", "repeats settings as one text"
        elif is_text and column.str.len().mean() > 100:
            yield name, "ignored", "a long text"


def is_failed(name: str, level: str) -> bool:
    """True where a cell of a state says that its run failed."""
    good = level.casefold() in _ENDED
    return good if words.has(name, _BAD_NAMES) and level.casefold() in _FLAGS else not good
