"""What a process trains: a stack of trials, as plain values."""

from collections.abc import Sequence
from dataclasses import dataclass

from studies.data.types import Data, Schema, Split, Validation
from studies.spec.grid import Configuration
from studies.spec.parts import NO_PARTS, Parts
from studies.spec.settings import Settings

NUMERICS = 10  # raised by hand whenever a change alters the numbers of a trial: older rows are then trained again


@dataclass(frozen=True)
class Trial:
    """One model to train. `key` is a hash of all that its numbers depend on."""

    key: str
    reading: str
    configuration: Configuration
    repeat: int
    fold: int

    @property
    def place(self) -> str:
        """Reading, repeat and fold in a line."""
        return ", ".join(filter(None, (self.reading, f"repeat {self.repeat}", f"fold {self.fold}")))


@dataclass(frozen=True)
class Source:
    """Where the rows of a stack come from, and their names: all of a study needed beside the stack's trials."""

    study: str
    reading: str
    seed: int
    data: Data
    validation: Validation
    schema: Schema
    parts: Parts = NO_PARTS


@dataclass(frozen=True)
class Structure:
    """What models must share to train as one stack: all settings but the numbers each may have of its own, and row counts."""

    settings: str
    rows: tuple[int, int, int]


@dataclass(frozen=True)
class Stack:
    """Trials of one structure, a rough count of the floating-point operations of training them, and where they train.

    `splits`: the rows of each trial, where they travel with the stack; else `plan.with_rows` draws them where it trains.
    """

    source: Source
    trials: Sequence[Trial]
    structure: Structure
    work: float
    device: str = "cpu"
    splits: Sequence[Split] = ()


def batch_size(settings: Settings, shared: Structure) -> int:
    """Rows in a batch, with "full" resolved."""
    return shared.rows[0] if settings["batch_size"] == "full" else settings["batch_size"]
