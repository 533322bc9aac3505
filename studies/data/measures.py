"""The definition of a measure: a number for each run, with its direction and its unit."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """A measure.

    Attributes:
        name: The name in specs and columns.
        better: The direction, "lower" or "higher"; "" where a table does not say it.
        unit: The unit that stands behind a value: "%", "s", or nothing.
        low: Lowest value there can be.
        high: Highest value there can be.
        guess: The value of a guess that looks at no input, where one number holds whatever the rows are; "rows" where it
            follows from them.
        task: The kind of data that it is about: "classification", "regression", or "" for both.
        words: The name in sentences, where it differs.
        column: The column of a user's own table that holds it.
    """

    name: str
    better: str = "lower"
    unit: str = ""
    low: float = -math.inf
    high: float = math.inf
    guess: float | str | None = None
    task: str = ""
    words: str = ""
    column: str = ""

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
        return self.name == "error" and not self.column

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
