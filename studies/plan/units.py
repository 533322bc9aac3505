"""Trials, and the units of work that train them, as plain values that processes send each other."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from studies.data import splits
from studies.data.types import Data, Schema, Split, Validation
from studies.spec.functions import NO_FUNCTION, Function
from studies.spec.grid import Configuration
from studies.spec.parts import NO_PARTS, Parts
from studies.spec.settings import Settings

NUMERICS = 12  # raised by hand whenever a change alters the numbers of a trial: older rows are then trained again
DEVICES = ("cpu", "cuda")  # kinds of devices that train


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
    """The parts of a study that training a unit needs: its name, its rows and their names, and what they record."""

    study: str
    reading: str
    seed: int
    data: Data
    validation: Validation
    schema: Schema
    parts: Parts = NO_PARTS
    measures: tuple[str, ...] = ()
    function: Function = NO_FUNCTION


@dataclass(frozen=True)
class Unit:
    """Trials of one engine that train together.

    Attributes:
        source: The study that the trials are of.
        trials: One or more; all settings but the numbers that each model may have of its own are equal.
        rows: Training, validation and test rows of each trial.
        work: Rough count of floating-point operations: units with more of them start first.
        device: Kind of device that trains, one of `DEVICES`.
        engine: Name of the engine that trains.
        splits: Rows of each trial; empty where they are drawn by `with_rows` in the process that trains.
    """

    source: Source
    trials: Sequence[Trial]
    rows: tuple[int, int, int]
    work: float
    device: str = "cpu"
    engine: str = ""
    splits: Sequence[Split] = ()

    @property
    def settings(self) -> Settings:
        """The settings of the first trial."""
        return self.trials[0].configuration.settings

    @property
    def batch_size(self) -> int:
        """Rows in a batch, with "full" resolved."""
        size = self.settings["batch_size"]
        return self.rows[0] if size == "full" else size

    def of_trials(self, trials: Sequence[Trial]) -> Self:
        """A unit of some of its trials."""
        return replace(self, trials=trials, work=self.work * len(trials) / len(self.trials), splits=())

    def halves(self) -> list[Self]:
        """Two units of half the trials each; of one trial, the unit itself."""
        middle = (len(self.trials) + 1) // 2
        return [self.of_trials(part) for part in (self.trials[:middle], self.trials[middle:]) if part]

    def with_rows(self) -> Self:
        """The unit with the rows of each of its trials, if there are any; trials of one repeat and fold share them."""
        if not self.source.data.name:
            return self
        source, places = self.source, [(trial.repeat, trial.fold) for trial in self.trials]
        of = {place: splits.split(source.data, source.validation, source.seed, *place) for place in dict.fromkeys(places)}
        return replace(self, splits=[of[place] for place in places])
