"""A study: a spec, read and checked, with its readings."""

import shlex
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studies.data.measures import Measure
from studies.data.runs.given import Given
from studies.data.types import Data, Schema, Validation
from studies.errors import UserError
from studies.spec.functions import NO_FUNCTION, Function
from studies.spec.grid import Grid
from studies.spec.measures import MEASURES, recorded
from studies.spec.parts import NO_PARTS, Parts
from studies.spec.sampling import Sampling, TableSampling

if TYPE_CHECKING:
    from studies.data.runs.runs import Runs

RESULTS = Path("results")  # by default, in the working directory
QUICK = 10  # repeats at most, of a quick look at a study


@dataclass(frozen=True)
class TableRows:
    """Rows of a study that something else produced.

    Attributes:
        path: The file.
        runs: Its runs, with the role of each column.
        sampling: The population that they stand for.
        left_out: Number of runs in cells that some variant lacks, which no table has.
        given: Options about the roles of columns.
    """

    path: Path
    runs: "Runs"
    sampling: TableSampling
    left_out: int
    given: Given = field(default_factory=Given)

    @property
    def described(self) -> str:
        """The rows in a line."""
        rest = f", {self.left_out:,} of them in cells that not all share" if self.left_out else ""
        return f"{self.path.name}, {len(self.runs.table):,} runs of {len(self.runs.variants):,} variants{rest}"


@dataclass(frozen=True)
class Study:
    """A study that can be trained as it stands.

    Where its source can be read in several ways, this is the primary reading, which was declared before anything was trained,
    and `others` are the rest. `reading` is empty where there is only one. `stack` limits how many models train together (0: as
    many as fit the cache): it changes times, never numbers. Nor do the factors in `tune`: see `tuning`. It is about `measure`,
    and records `measures` beside it; `aside` is the folder of what it says of another measure than its own. `given` is the
    study as it was named on the command line, with the options that changed it; `parts` the user's own components;
    `function` is the user's own that trains the models. Rows of a study with a `table` come from there, and nothing trains.
    """

    name: str
    title: str
    question: str
    source: str
    seed: int
    design: str
    data: Data
    schema: Schema
    validation: Validation
    grid: Grid
    stack: int = 0
    tune: tuple[str, ...] = ()
    margin: float = 0.5
    measure: Measure = MEASURES["error"]
    measures: tuple[Measure, ...] = ()
    aside: str = ""
    reading: str = ""
    others: tuple["Study", ...] = ()
    given: tuple[str, ...] = field(default=(), compare=False)
    parts: Parts = NO_PARTS
    function: Function = NO_FUNCTION
    table: "TableRows | None" = field(default=None, compare=False)

    @property
    def readings(self) -> tuple["Study", ...]:
        """Every reading of the study, the primary one first."""
        return (self, *self.others)

    def named(self, reading: str) -> "Study":
        """The reading of that name; the primary one where there is none, as in a quick look."""
        return next((each for each in self.readings if each.reading == reading), self)

    @property
    def factors(self) -> list[str]:
        """The factors of all readings."""
        return list(dict.fromkeys(factor for reading in self.readings for factor in reading.grid.levels))

    @property
    def trials(self) -> int:
        """Number of models that this reading trains."""
        return len(self.grid.configurations) * max(self.validation.folds, 1) * self.validation.repeats

    @property
    def sampling(self) -> Sampling:
        """The design of this reading, as far as its statistics depend on it."""
        if self.table:
            return self.table.sampling
        data, validation = self.data, self.validation
        judged = (
            "test" if data.test_samples or not data.name else "val" if validation.folds or data.validation_samples else "train"
        )
        rows = data.test_samples or data.validation_samples or data.samples // max(validation.folds, 1)
        return Sampling.of(validation.folds, validation.repeats, data.resample, judged, rows, by_row=self.measure.of_rows)

    def identity(self) -> dict[str, Any]:
        """All that the rows depend on, as plain values: two studies of equal identity have equal rows."""
        data = {key: value for key, value in asdict(self.data).items() if key != "path"}  # its content says which file it is
        own = {"seed": self.seed, "data": data, "validation": asdict(self.validation), **self.grid.identity}
        if self.parts.path:
            own["components"] = {"content": self.parts.content}
        if self.function.name:
            own["engine"] = {"train": self.function.name, "content": self.function.content}
        if not self.reading:
            return own
        return {self.reading: own, **{other.reading: replace(other, reading="").identity() for other in self.others}}

    def described(self) -> dict[str, Any]:
        """All that tables of the rows depend on, as plain values."""
        baselines = {reading.reading: dict(reading.grid.baseline) for reading in self.readings}
        baseline = baselines if self.reading else baselines[""]
        about = {"measure": self.measure.name, "margin": self.margin, "tune": self.tune, "baseline": baseline}
        return {**self.identity(), **about}

    @property
    def recorded(self) -> list[str]:
        """The measures that each row must have beside those that all have."""
        return recorded((self.measure, *self.measures))

    def require_trainable(self) -> None:
        """Raise UserError where rows come from a table, so that nothing trains."""
        if self.table:
            raise UserError(
                f"{self.name}: its rows come from {self.table.path.name}, so nothing trains: there is nothing to run, verify, "
                f"show, animate or explain; look at its tables: {self.command('tables')}"
            )

    @property
    def described_data(self) -> str:
        """The data in a line."""
        return self.table.described if self.table else self.schema.described

    def about(self, measure: Measure) -> "Study":
        """The same study about another measure, whose tables and pictures lie in a folder of its name inside the study's."""
        if measure == self.measure:
            return self
        readings = tuple(each.about(measure) for each in self.others)
        return replace(self, measure=measure, margin=measure.margin, aside=measure.name, others=readings)

    @property
    def folder(self) -> Path:
        """The place of its tables, pictures and page inside a folder of results or figures."""
        return Path(self.name, self.aside)

    def command(self, verb: str, results: str | Path = RESULTS) -> str:
        """The command line that does something with this study and its folder of results, to be pasted."""
        elsewhere = () if Path(results) == RESULTS else ("--results", str(results))
        return shlex.join(["ablation", verb, *(self.given or (self.name,)), *elsewhere])

    def quick(self) -> "Study":
        """The primary reading alone, with no more than `QUICK` repeats."""
        return replace(self, validation=replace(self.validation, repeats=min(self.validation.repeats, QUICK)), others=())
