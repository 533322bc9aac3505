"""What the reports claim, as data in `studies/published/`, and what our trials say to each claim.

A report is a TOML file with the numbers that it prints and the statements that it makes. Each names the study that answers it,
the configurations by their levels, and the measure. The study's primary reading carries the verdict; what other readings say
about a number is listed beside it as exploration.
"""

import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from studies import verdicts
from studies.errors import UserError, unknown
from studies.measures import measure
from studies.spec import Study
from studies.store import Rows
from studies.tables import of_reading
from studies.verdicts import Comparison, DifferenceVerdict, Outcome, Published

PUBLISHED = Path(__file__).parent / "published"
TOLERANCE = 0.25  # of a published mean: what would not matter, but never less than `floor`
COLUMNS = (  # of verdicts.csv
    *("source", "id", "claim", "study", "reading", "role", "measure"),
    *("published_mean", "published_sd", "published_units", "mean", "sd", "ci_low", "ci_high", "rounds", "verdict", "reason"),
)

Where = Mapping[str, Any] | Sequence[Mapping[str, Any]]
Find = Callable[[str], tuple[Study, Rows]]  # a study by name, with its rows; UserError where it was not run


@dataclass(frozen=True)
class Number:
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
class Part:
    """One thing that must hold for a statement.

    A difference: the measure of the configurations `a`, less that of `b` if any, is `direction` (lower, higher) than the number
    `than`, by more than chance; `margin` is what would not matter. `across` says how configurations that fit are put
    together: their mean, or their range. A share: the measure lies `above` a number, or is at most the number `below`, as
    often as `how_often` says (always, usually, never).
    """

    measure: str
    study: str = ""
    reading: str = ""
    a: Where = ()
    b: Where | None = None
    b_reading: str = ""
    than: float = 0.0
    direction: str = ""
    margin: float = 0.0
    across: str = "mean"
    how_often: str = ""
    above: float | None = None
    below: float | None = None


@dataclass(frozen=True)
class Statement:
    """A statement of a report: all its parts must hold; `negated`: their opposite. Without parts it is `unclear`, and why."""

    id: str
    claim: str
    study: str = ""
    unclear: str = ""
    negated: bool = False
    parts: Sequence[Part] = ()


@dataclass(frozen=True)
class Report:
    """All that one report claims."""

    name: str
    source: str
    numbers: Sequence[Number]
    statements: Sequence[Statement]


def names() -> list[str]:
    """The reports there are data of."""
    return sorted(path.stem for path in PUBLISHED.glob("*.toml"))


def load(name: str) -> Report:
    """A report by name. Raises UserError where its file has an unknown key, or a number or statement lacks one."""
    path = PUBLISHED / f"{name}.toml"
    if not path.is_file():
        raise UserError(unknown("report", name, names()))
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    numbers = [_made(Number, {**document.get("defaults", {}), **table}, name) for table in document.get("number", [])]
    statements = [
        _made(Statement, {**table, "parts": [_made(Part, part, name) for part in table.get("parts", [])]}, name)
        for table in document.get("statement", [])
    ]
    return Report(name, document["source"], numbers, statements)


def _made(kind: type, table: Mapping[str, Any], where: str) -> Any:  # noqa: ANN401
    for key in table:
        if key not in {field.name for field in fields(kind)}:
            raise UserError(f"{where}: {unknown('key', key, [field.name for field in fields(kind)])}")
    try:
        return kind(**table)
    except TypeError as error:
        raise UserError(f"{where}, {table.get('id', 'a part')}: {error}") from None


def judge(report: Report, find: Find) -> pd.DataFrame:
    """One row for each number under each reading of its study, and one for each statement: the verdict with its reason.

    A claim whose study was not run is UNDECIDED, and says so.
    """
    return pd.DataFrame([*_judge_numbers(report, find), *_judge_statements(report, find)], columns=COLUMNS)


def _judge_numbers(report: Report, find: Find) -> Iterable[dict[str, Any]]:
    """Every number under every reading that has its configuration, table by table."""
    cases: dict[tuple[str, int], list[tuple[Number, str, Any]]] = {}
    for number in report.numbers:
        try:
            study, rows = find(number.study)
        except UserError as error:
            yield _row(report, number, Outcome.UNDECIDED, str(error))
            continue
        for index, reading in enumerate(study.readings):
            values = _values(reading, _own(rows, reading), number.where, number.measure)
            if len(values):
                cases.setdefault((number.table, index), []).append((number, reading.reading, _rounds(values, number.unit)))
    for (_, index), members in cases.items():
        judged = verdicts.judge_numbers([(number.published, rounds) for number, _, rounds in members])
        for (number, name, _), verdict in zip(members, judged, strict=True):
            role = "exploration" if index else "primary"
            found = {what: getattr(verdict, what) for what in ("mean", "sd", "ci_low", "ci_high", "rounds")}
            yield _row(report, number, verdict.outcome, verdict.reason, found, name, role)


def _judge_statements(report: Report, find: Find) -> Iterable[dict[str, Any]]:
    """Every statement by its parts; the differences of a whole report are one family for Holm's rule."""
    tested: list[tuple[Statement, list[Any]]] = []
    family: list[Comparison] = []
    for statement in report.statements:
        parts: list[Any] = []
        for part in statement.parts:
            try:
                case = _case(part, statement.study, find)
            except UserError as error:
                parts.append(str(error))
                continue
            if isinstance(case, Comparison):
                parts.append(len(family))
                family.append(case)
            else:
                parts.append(case)
        tested.append((statement, parts))
    judged = verdicts.judge_differences(family) if family else []
    for statement, parts in tested:
        outcomes = [judged[part] if isinstance(part, int) else part for part in parts]
        yield _combined(report, statement, outcomes)


def _combined(report: Report, statement: Statement, outcomes: Sequence[Any]) -> dict[str, Any]:
    """The row of a statement: contradicted by one part, supported by all, else undecided."""
    if not outcomes:
        return _row(report, statement, Outcome.UNCLEAR, statement.unclear)
    missing = [part for part in outcomes if isinstance(part, str)]
    if missing:
        return _row(report, statement, Outcome.UNDECIDED, missing[0])
    found = [part.outcome for part in outcomes]
    kinds = set(found)
    verdict = next(iter(kinds)) if len(kinds) == 1 else Outcome.UNDECIDED
    if Outcome.CONTRADICTED in kinds:
        verdict = Outcome.CONTRADICTED
    reason = " ".join(
        f"{f'({index}) ' if len(outcomes) > 1 else ''}{part.measure}: {outcome.reason}"
        for index, (part, outcome) in enumerate(zip(statement.parts, outcomes, strict=True), start=1)
    )
    if statement.negated:
        opposite = {Outcome.SUPPORTED: Outcome.CONTRADICTED, Outcome.CONTRADICTED: Outcome.SUPPORTED}
        verdict = opposite.get(verdict, verdict)
        reason = f"The opposite was tested. {reason}"
    numbers = {}
    if len(outcomes) == 1 and isinstance(outcomes[0], DifferenceVerdict):
        numbers = {name: getattr(outcomes[0], name) for name in ("mean", "ci_low", "ci_high")} | {"rounds": outcomes[0].count}
    elif len(outcomes) == 1:
        numbers = {"mean": outcomes[0].share, "ci_low": outcomes[0].low, "ci_high": outcomes[0].high}
    return _row(report, statement, verdict, reason, numbers)


def _row(
    report: Report,
    claim: Number | Statement,
    verdict: Outcome,
    reason: str,
    found: Mapping[str, Any] | None = None,
    reading: str = "",
    role: str = "primary",
) -> dict[str, Any]:
    """One row of the table of verdicts."""
    if isinstance(claim, Number):
        measured, published = claim.measure, asdict(claim.published)
    else:
        measured, published = ", ".join(dict.fromkeys(part.measure for part in claim.parts)), {}
    return {
        "source": report.source,
        "id": claim.id,
        "claim": claim.claim,
        "study": claim.study,
        "reading": reading,
        "role": role,
        "measure": measured,
        **{f"published_{name}": published.get(name) for name in ("mean", "sd", "units")},
        **(found or {}),
        "verdict": str(verdict),
        "reason": reason,
    }


def _case(part: Part, study_name: str, find: Find) -> Comparison | verdicts.ShareVerdict:
    """What a part of a statement asks, filled with our values."""
    study, rows = find(part.study or study_name)

    def values_of(where: Where, name: str) -> pd.Series:
        reading = study.named(name)
        found = _values(reading, _own(rows, reading), where, part.measure, part.across)
        if found.empty:
            raise UserError(f"{study.name} has no trials where {where}")
        return found

    values = values_of(part.a, part.reading)
    if part.how_often:
        # Folds of one repeat share most of their rows: only one of them counts.
        alone = values.groupby(level="repeat").first()
        holds = alone > part.above if part.above is not None else alone <= (0 if part.below is None else part.below)
        return verdicts.judge_share(int(holds.sum()), len(holds), part.how_often)  # type: ignore[arg-type]
    others = 0.0 if part.b is None else values_of(part.b, part.b_reading or part.reading)
    difference = (values - others - part.than).dropna()
    if len(difference) < 2:
        raise UserError(f"{study.name}: {part.measure} of {part.a} and {part.b} have fewer than two rounds in common")
    sampling = study.named(part.reading).sampling
    return Comparison(sampling.samples(difference).to_numpy(), part.direction, part.margin, sampling.overlap)  # type: ignore[arg-type]


def _own(rows: Rows, reading: Study) -> Rows:
    """The rows of one reading."""
    return Rows(**of_reading(rows._asdict(), reading))


def _values(study: Study, rows: Rows, where: Where, name: str, across: str = "mean") -> pd.Series:
    """The measure by repeat and fold, put together over the configurations whose levels fit `where` (any of several)."""
    trials = rows.trials
    chosen = np.zeros(len(trials), dtype=bool)
    for one in [where] if isinstance(where, Mapping) else where:
        fits = np.ones(len(trials), dtype=bool)
        for factor, levels in one.items():
            if factor not in study.grid.levels:
                raise UserError(f"{study.name}: {unknown('factor', factor, study.grid.levels)}")
            wanted = [levels] if isinstance(levels, str) else list(levels)
            fits &= trials[factor].isin(wanted).to_numpy()
        chosen |= fits
    trials = trials[chosen]
    if trials.empty:
        return pd.Series(dtype=float)
    kept = set(trials["trial"])
    found = measure(name, study, Rows(trials, *(part[part["trial"].isin(kept)] for part in rows[1:])))
    places = trials.set_index("trial").loc[found.index, ["repeat", "fold"]].astype(int)
    grouped = found.groupby([places["repeat"], places["fold"]])
    return grouped.mean() if across == "mean" else grouped.max() - grouped.min()


def _rounds(values: pd.Series, unit: str) -> Any:  # noqa: ANN401
    """Rounds `(m, k)`: a row for each repeat, of its folds where the published sd is over folds, else of their mean."""
    table = values.unstack("fold").to_numpy()  # noqa: PD010
    whole = table[~np.isnan(table).any(axis=1)]  # a repeat that lacks a fold is no round
    return whole if unit == "fold" else whole.mean(axis=1, keepdims=True)
