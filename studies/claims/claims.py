"""The claims of the reports, as data in `studies/claims/published/`; `judge` has what our trials say to them.

A report is a TOML file with the numbers that it prints and the statements that it makes. Each names the study that answers it,
the configurations by their levels, and the measure.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_args

import numpy as np

from studies.claims.measures import DERIVED
from studies.claims.statements import Claim, Direction
from studies.claims.verdicts import Published
from studies.columns import SETS
from studies.errors import UserError, unknown
from studies.spec import spec

PUBLISHED = Path(__file__).parent / "published"
MEASURES = (
    *DERIVED,
    *(f"{name}_{what}" for name in SETS for what in ("pct", "errors", "loss")),
    "diverged",
    "stuck",
    "seconds",
)
TOLERANCE = 0.25  # of a published mean: what would not matter, but never less than `floor`

Where = Mapping[str, Any] | Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class PublishedNumber:
    """A number that a report prints: `mean` and `sd` of `units` values, or the `values` themselves (their sd has ddof 0).

    `table` names its family for Holm's rule, `unit` what its sd is over (repeat, or fold), `resolution` the print step.
    `floor` is the smallest tolerance, in the unit of the measure.
    """

    id: str
    table: str
    claim: str
    study: str
    where: Where
    measure: str
    resolution: float
    floor: float
    mean: float = 0.0
    sd: float | None = None
    units: int = 1
    ddof: int = 1
    unit: str = "repeat"
    values: Sequence[float] = ()

    @property
    def published(self) -> Published:
        """The number as the verdict takes it."""
        values = np.asarray(self.values, dtype=float)
        mean, sd, units, ddof = (
            (float(values.mean()), float(values.std()), len(values), 0)
            if len(values)
            else (self.mean, self.sd, self.units, self.ddof)
        )
        return Published(mean, sd, units, ddof, self.resolution, max(self.floor, TOLERANCE * abs(mean)))


@dataclass(frozen=True)
class StatementPart:
    """One thing that must hold for a statement.

    A difference: the measure of the configurations `a`, less that of `b` if any, is `direction` (lower, higher) than the number
    `than`, by more than `margin`, which would not matter. `across` says how configurations that fit are put together: their
    mean, or their range. A share: the measure lies `above` a number, or is at most the number `below`, as often as `how_often`
    says (always, usually, never).

    The part is about models that learn, and says nothing where they do not; `failing`: it is about models that may fail, or
    about networks before their training. `reading` names the one reading in which it is judged.
    """

    measure: str
    reading: str = ""
    a: Where = ()
    b: Where | None = None
    than: float = 0.0
    direction: str = ""
    margin: float = 0.0
    across: str = "mean"
    how_often: str = ""
    above: float | None = None
    below: float | None = None
    failing: bool = False


@dataclass(frozen=True)
class Statement:
    """A statement of a report: all its parts must hold; `negated`: the opposite of its only part.

    Without parts it is `unclear`, and why.
    """

    id: str
    claim: str
    study: str = ""
    unclear: str = ""
    negated: bool = False
    parts: Sequence[StatementPart] = ()

    def __post_init__(self) -> None:
        if self.negated and len(self.parts) != 1:
            raise UserError(f"{self.id}: a negated statement has one part, not {len(self.parts)}")
        if len({bool(part.reading) for part in self.parts}) > 1:
            raise UserError(f"{self.id}: all parts name their reading, or none does")


@dataclass(frozen=True)
class Report:
    """All that one report claims.

    `open` has the readings of each study that differ from the primary one only in what the report leaves open. Other readings
    are about something else, such as noisy labels.
    """

    name: str
    source: str
    numbers: Sequence[PublishedNumber]
    statements: Sequence[Statement]
    open: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def studies(self) -> list[str]:
        """The studies that answer its claims."""
        every = [*(number.study for number in self.numbers), *(statement.study for statement in self.statements)]
        return [study for study in dict.fromkeys(every) if study]


def report_names() -> list[str]:
    """The reports there are data of."""
    return sorted(path.stem for path in PUBLISHED.glob("*.toml"))


def load_report(name: str) -> Report:
    """A report by name.

    Raises UserError where its file has an unknown key, study, reading, measure, direction, frequency, factor or level, or a
    number or statement lacks a key.
    """
    path = PUBLISHED / f"{name}.toml"
    if not path.is_file():
        raise UserError(unknown("report", name, report_names()))
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    numbers = [_made(PublishedNumber, {**document.get("defaults", {}), **table}, name) for table in document.get("number", [])]
    statements = [
        _made(Statement, {**table, "parts": [_made(StatementPart, part, name) for part in table.get("parts", [])]}, name)
        for table in document.get("statement", [])
    ]
    report = Report(name, document["source"], numbers, statements, document.get("open", {}))
    _require_readings(report)
    _require_words(report)
    _require_levels(report)
    return report


def _require_readings(report: Report) -> None:
    """Raise UserError where a claim is about a study or a reading that is not declared."""
    parts = [(statement.study, part.reading) for statement in report.statements for part in statement.parts]
    opened = [(study, reading) for study, readings in report.open.items() for reading in readings]
    for study, reading in [*((number.study, "") for number in report.numbers), *parts, *opened]:
        if study not in spec.names():
            raise UserError(f"{report.name}: {unknown('study', study, spec.names())}")
        declared = tomllib.loads((spec.SPECS / f"{study}.toml").read_text(encoding="utf-8")).get("reading", {})
        if reading and reading not in declared:
            raise UserError(f"{report.name}: {study}: {unknown('reading', reading, declared)}")


def _require_words(report: Report) -> None:
    """Raise UserError where a claim has a word that is none of those allowed."""
    parts = [(statement.id, part) for statement in report.statements for part in statement.parts]
    words = [(number.id, "measure", number.measure.partition("@")[0], MEASURES) for number in report.numbers]
    for name, part in parts:
        words.append((name, "measure", part.measure.partition("@")[0], MEASURES))
        if part.how_often:
            words.append((name, "how_often", part.how_often, get_args(Claim)))
        else:
            words.append((name, "direction", part.direction, get_args(Direction)))
        words.append((name, "across", part.across, ("mean", "range")))
    for name, what, given, allowed in words:
        if given not in allowed:
            raise UserError(f"{report.name}, {name}: {unknown(what, given, allowed)}")


def _require_levels(report: Report) -> None:
    """Raise UserError where a claim is about a factor or a level that its study has in no reading."""
    wheres = [(number.id, number.study, number.where) for number in report.numbers]
    for statement in report.statements:
        sides = [where for part in statement.parts for where in (part.a, part.b) if where is not None]
        wheres += [(statement.id, statement.study, where) for where in sides]
    levels: dict[str, dict[str, list[str]]] = {}
    for study in dict.fromkeys(study for _, study, _ in wheres):
        levels[study] = {}
        for reading in spec.load(study).readings:
            for factor, names in reading.grid.levels.items():
                levels[study].setdefault(factor, []).extend(names)
    for name, study, where in wheres:
        for factor, fit in (pair for one in ([where] if isinstance(where, Mapping) else where) for pair in one.items()):
            if factor not in levels[study]:
                raise UserError(f"{report.name}, {name}: {study}: {unknown('factor', factor, levels[study])}")
            for level in [fit] if isinstance(fit, str) else fit:
                if level not in levels[study][factor]:
                    known = dict.fromkeys(levels[study][factor])
                    raise UserError(f"{report.name}, {name}: {study}: {unknown(f'level of {factor}', level, known)}")


def _made(kind: type, table: Mapping[str, Any], where: str) -> Any:  # noqa: ANN401
    for key in table:
        if key not in {each.name for each in fields(kind)}:
            raise UserError(f"{where}: {unknown('key', key, [each.name for each in fields(kind)])}")
    try:
        return kind(**table)
    except TypeError as error:
        raise UserError(f"{where}, {table.get('id', 'a part')}: {error}") from None
