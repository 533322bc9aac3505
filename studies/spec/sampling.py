"""Populations: which other models and rows an interval of a study speaks of, and how its values vary from one to the other."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


MANY_ROWS = 100  # judged rows from which on they stand for new ones; below, rare errors are in too few samples of rows


class Population(StrEnum):
    """The runs over which 95 of 100 intervals hold the truth, from the widest to the narrowest."""

    NEW_DATA = "new data sets from the same source"
    NEW_ROWS = "this training pool, new rows to judge and new seeds"
    NEW_RUNS = "new runs of the function"
    NEW_SEEDS = "new seeds only, on these rows"


@dataclass(frozen=True)
class Sampling:
    """The design of a reading, as far as its statistics depend on it.

    `folds` (0: none) and `repeats`; `fresh`: each repeat draws new data; `judged`: the set that judges, with `rows` (0: there
    are none, a function makes its own numbers). `by_row`: the value of a trial is a mean over its rows, of which each is known.
    """

    folds: int
    repeats: int = 1
    fresh: bool = False
    judged: str = "test"
    rows: int = 1000
    by_row: bool = True

    @classmethod
    def of(cls, folds: int, repeats: int, resample: bool, judged: str, rows: int, by_row: bool = True) -> "Sampling":
        """The sampling of a study; a single repeat has one data set, whether or not another would draw anew."""
        return cls(folds, repeats, resample and repeats > 1, judged, rows, by_row)

    @property
    def alone(self) -> bool:
        """True where a configuration has one value only."""
        return not self.folds and self.repeats == 1

    @property
    def left_out(self) -> bool:
        """True where each trial is judged on the fold that it left out."""
        return self.folds > 0 and self.judged == "val"

    @property
    def shared_rows(self) -> bool:
        """True where all trials are judged on the same rows, which stand for many others."""
        many = self.by_row and self.rows >= MANY_ROWS
        return many and not self.fresh and not self.left_out and self.judged != "train"

    @property
    def population(self) -> str:
        """The widest population that the design supports."""
        if self.fresh or self.left_out:
            return Population.NEW_DATA
        if not self.rows:
            return Population.NEW_RUNS
        return Population.NEW_ROWS if self.shared_rows else Population.NEW_SEEDS

    @property
    def overlap(self) -> float:
        """The term of Nadeau and Bengio 2003, test rows by training rows, for errors on left-out folds of one data set."""
        return 1 / (self.folds - 1) if self.left_out and not self.fresh else 0.0

    @property
    def by_repeat(self) -> bool:
        """True where one value counts for each repeat, the mean over its folds: repeats with new data are independent."""
        return self.fresh

    @property
    def count(self) -> int:
        """Values of each configuration that count as one each."""
        return self.repeats if self.by_repeat else self.repeats * max(self.folds, 1)

    @property
    def over(self) -> str:
        """The values that intervals are over, in words."""
        repeats = f"{self.repeats} repeats"
        if not self.folds or self.by_repeat:
            return repeats
        return f"{self.folds} folds" + (f" x {repeats}" if self.repeats > 1 else "")

    @property
    def words(self) -> str:
        """The intervals of means and their population, for a caption."""
        if self.alone:
            return "one value of each: no interval"
        also = f" and {self.rows:,} rows" if self.shared_rows else ""
        return f"95% intervals over {self.over}{also}, for {self.population}"

    @property
    def widen(self) -> str:
        """The change of the spec that makes the population wider; empty where none does."""
        if self.population in (Population.NEW_DATA, Population.NEW_RUNS):
            return ""
        again = (
            "for new data sets: data.resample = true with validation.repeats of 10 or more, where the source can be drawn again"
        )
        folds = "else validation.folds without test_samples, which judges each fold by models that left it out"
        if self.population is Population.NEW_ROWS:
            return f"{again}; {folds}"
        rows = f"for new rows: {MANY_ROWS} or more test rows" if self.judged != "train" else "for new rows: data.test_samples"
        if not self.by_row:  # more rows of such a measure say nothing of new ones
            return f"{again}; {folds}"
        return f"{rows}; {again}; {folds}"

    def samples(self, values: "pd.Series", skipna: bool = True) -> "pd.Series":
        """The values that count as one each: those given, by group, repeat and fold, or their means by group and repeat.

        `skipna` as in pandas: without it, a repeat that lacks the value of a fold has none.
        """
        if self.folds and not self.by_repeat:
            return values
        return values.groupby(list(values.index.names[:-1]), sort=False).mean(skipna=skipna)


@dataclass(frozen=True)
class TableSampling(Sampling):
    """The design of a table of runs that something else made; a repeat is whatever its intervals are over.

    `speaks_of` is the population and `places` the values that intervals are over, both in words; `share` is n_test / n_train of
    folds, else 0.
    """

    speaks_of: str = ""
    places: str = ""
    share: float = 0.0

    @property
    def population(self) -> str:
        """The population that the rows of the table stand for."""
        return self.speaks_of

    @property
    def overlap(self) -> float:
        """The term of Nadeau and Bengio 2003, test rows by training rows."""
        return self.share

    @property
    def over(self) -> str:
        """The values that intervals are over, in words."""
        return self.places

    @property
    def widen(self) -> str:
        """Nothing: rows of a table are as they are."""
        return ""
