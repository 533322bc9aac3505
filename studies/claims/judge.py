"""From the rows of studies to a table of verdicts on the claims of a report.

Every claim is judged in every reading of its study that has its configurations. The primary reading carries the verdict, and
the others are exploration; `statements.across_readings` says what follows where they disagree.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from studies.analysis.tables import of_reading
from studies.claims.claims import PublishedNumber, Report, Statement, StatementPart, Where
from studies.claims.measures import TIMES, measure
from studies.claims.statements import Comparison, Evidence, Share, across_readings, compare_sides, count_share, judge_statements
from studies.claims.verdicts import Outcome, judge_numbers
from studies.errors import UserError, unknown
from studies.spec.study import Study
from studies.store.rows import Rows

LEARNED = 0.5  # share of the trials of a side that must learn for a part about models that learn
COLUMNS = {  # of verdicts.csv, with their meanings
    "source": "Report.",
    "id": "Claim of the report.",
    "claim": "The claim in words.",
    "study": "Study that answers it.",
    "reading": "Reading of the study, where it has several.",
    "role": "`primary` or `exploration`, as the reading is.",
    "measure": "Number of each trained model that the claim is about.",
    "published_mean": "Published number.",
    "published_sd": "Published standard deviation, if any.",
    "published_units": "Rounds or folds that the published number is the mean of.",
    "mean": "Our number.",
    "sd": "Our standard deviation, of as many values as were published.",
    "ci_low": "Lower end of the 95% interval of our number.",
    "ci_high": "Upper end.",
    "rounds": "Our rounds.",
    "verdict": "Verdict: see [reports.md](reports.md).",
    "reason": "Reason of the verdict, in a sentence.",
}

Find = Callable[[str], tuple[Study, Rows]]  # a study by name, with its rows; UserError where it was not run


def judge(report: Report, find: Find) -> pd.DataFrame:
    """One row for each number and each statement under each reading of its study: the verdict with its reason.

    A claim whose study was not run is UNDECIDED, and says so.
    """
    return pd.DataFrame([*_judge_numbers(report, find), *_judge_statements(report, find)], columns=list(COLUMNS))


def _judge_numbers(report: Report, find: Find) -> Iterable[dict[str, Any]]:
    """Every number under every reading that has its configuration, table by table."""
    cases: dict[tuple[str, int], list[tuple[PublishedNumber, str, Any]]] = {}
    for number in report.numbers:
        try:
            study, rows = find(number.study)
        except UserError as error:
            yield _row(report, number, Outcome.UNDECIDED, str(error))
            continue
        for index, reading in enumerate(study.readings):
            chosen = _chosen(reading, rows, number.where)
            if len(chosen.trials):
                values = _values(reading, chosen, number.measure)
                cases.setdefault((number.table, index), []).append((number, reading.reading, _rounds(values, number.unit)))
    for (_, index), members in cases.items():
        judged = judge_numbers([(number.published, rounds) for number, _, rounds in members])
        for (number, name, _), verdict in zip(members, judged, strict=True):
            role = "exploration" if index else "primary"
            found = {what: getattr(verdict, what) for what in ("mean", "sd", "ci_low", "ci_high", "rounds")}
            yield _row(report, number, verdict.outcome, verdict.reason, found, name, role)


@dataclass(frozen=True)
class _Case:
    """A statement in one reading: the evidence of its parts, if any, and the verdict with its reason."""

    statement: Statement
    reading: str
    role: str
    evidence: Sequence[Evidence] = ()
    outcome: Outcome = Outcome.UNDECIDED
    reason: str = ""


def _judge_statements(report: Report, find: Find) -> Iterator[dict[str, Any]]:
    """Every statement under every reading. Holm's families are a report's primary readings, and its other readings."""
    cases = [case for statement in report.statements for case in _cases(statement, find)]
    judged = [case for role in ("primary", "exploration") for case in _weigh([each for each in cases if each.role == role])]
    for statement in report.statements:
        if not statement.parts:
            yield _row(report, statement, Outcome.UNCLEAR, statement.unclear)
        own = [case for case in judged if case.statement is statement]
        for case in own:
            outcome, reason = case.outcome, case.reason
            if case.role == "primary":
                outcome, reason = _reconciled(case, own[1:], report.open.get(statement.study, ()))
            yield _row(report, statement, outcome, reason, _numbers(case.evidence), case.reading, case.role)


def _weigh(cases: Sequence[_Case]) -> list[_Case]:
    """The cases of one family with their verdicts; one without evidence stays as it is."""
    family = [case for case in cases if case.evidence]
    names = [[part.measure for part in case.statement.parts] for case in family]
    verdicts = iter(judge_statements([case.evidence for case in family], names) if family else [])
    weighed = []
    for case in cases:
        if case.evidence:
            verdict = next(verdicts)
            opposite = "The opposite was tested. " if case.statement.negated else ""
            case = replace(case, outcome=verdict.outcome, reason=opposite + verdict.reason)
        weighed.append(case)
    return weighed


def _reconciled(primary: _Case, others: Sequence[_Case], open_readings: Sequence[str]) -> tuple[Outcome, str]:
    """The verdict on a statement and its reason, given those in its readings."""
    counted = [case for case in others if case.reading in open_readings]
    verdict = across_readings(primary.outcome, [case.outcome for case in counted])
    if verdict == primary.outcome:
        return primary.outcome, primary.reason
    listed = ", ".join(f"{case.outcome} in {case.reading}" for case in (primary, *counted))
    return verdict, f"It depends on what the source leaves open: {listed}. In {primary.reading}: {primary.reason}"


def _numbers(evidence: Sequence[Evidence]) -> dict[str, Any]:
    """The numbers of a statement of one part."""
    if len(evidence) != 1:
        return {}
    return {name: getattr(evidence[0], name) for name in ("mean", "ci_low", "ci_high")} | {"rounds": evidence[0].count}


def _row(
    report: Report,
    claim: PublishedNumber | Statement,
    verdict: Outcome,
    reason: str,
    found: Mapping[str, Any] | None = None,
    reading: str = "",
    role: str = "primary",
) -> dict[str, Any]:
    """One row of the table of verdicts."""
    if isinstance(claim, PublishedNumber):
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


def _cases(statement: Statement, find: Find) -> Iterator[_Case]:
    """The statement in the primary reading, and in every other that has any of its configurations."""
    if not statement.parts:
        return
    try:
        study, rows = find(statement.study)
    except UserError as error:
        yield _Case(statement, "", "primary", reason=str(error))
        return
    pinned = any(part.reading for part in statement.parts)
    for index, reading in enumerate(study.readings):
        if index and (pinned or not _concerns(statement, reading, rows)):
            continue
        role = "exploration" if index else "primary"
        try:
            evidence = [_evidence(part, study, rows, reading) for part in statement.parts]
        except UserError as error:
            yield _Case(statement, reading.reading, role, reason=str(error))
            continue
        yield _Case(statement, reading.reading, role, [part.negated for part in evidence] if statement.negated else evidence)


def _concerns(statement: Statement, reading: Study, rows: Rows) -> bool:
    """True where a reading has trials of the statement."""
    sides = [where for part in statement.parts for where in (part.a, part.b) if where is not None]
    return any(len(_trials(reading, rows, where)) for where in sides if _plans(reading, where))


def _plans(reading: Study, where: Where) -> bool:
    """True where a reading trains configurations whose levels fit `where`."""
    levels = reading.grid.levels
    return any(all(_wanted(fit) & set(levels.get(factor, ())) for factor, fit in one.items()) for one in _each(where))


def _each(where: Where) -> Sequence[Mapping[str, Any]]:
    """The alternatives of `where`."""
    return [where] if isinstance(where, Mapping) else where


def _wanted(levels: str | Sequence[str]) -> set[str]:
    """The levels of one factor that fit."""
    return {levels} if isinstance(levels, str) else set(levels)


def _evidence(part: StatementPart, study: Study, rows: Rows, reading: Study) -> Evidence:
    """The evidence for a part of a statement, from our values in one reading.

    A configuration that the reading does not train is that of the primary one. Raises UserError where there are no such trials,
    or too few of them learned.
    """
    if part.reading:
        named = [each for each in study.readings if each.reading == part.reading]
        if not named:
            raise UserError(f"{study.name}: the reading {part.reading} was not run")
        (reading,) = named

    clocks: list[pd.Series] = []

    def values_of(where: Where) -> pd.Series:
        own = reading if _plans(reading, where) else study
        chosen = _chosen(own, rows, where)
        if chosen.trials.empty:
            raise UserError(f"{study.name} has no trials where {where}")
        clocks.append(chosen.trials.groupby(["repeat", "fold"])["seconds"].agg(tuple))
        values = _values(own, chosen, part.measure, part.across)
        if not part.failing:
            _require_learned(own, chosen, where)
        return values

    values = values_of(part.a)
    if part.how_often:
        # Folds of one repeat share most of their rows: only one of them counts.
        alone = values.groupby(level="repeat").first()
        holds = alone > part.above if part.above is not None else alone <= (0 if part.below is None else part.below)
        return count_share(Share(int(holds.sum()), len(holds), part.how_often))  # type: ignore[arg-type]
    others = 0.0 if part.b is None else values_of(part.b)
    difference = (values - others).dropna()
    if part.measure in TIMES:
        return compare_sides(Comparison(_by_stack(difference, clocks), part.direction, part.margin, than=part.than))  # type: ignore[arg-type]
    if len(difference) < 2:
        raise UserError(f"{study.name}: {part.measure} of {part.a} and {part.b} have fewer than two rounds in common")
    samples, overlap = reading.sampling.samples(difference).to_numpy(), reading.sampling.overlap
    return compare_sides(Comparison(samples, part.direction, part.margin, overlap, part.than))  # type: ignore[arg-type]


def _by_stack(difference: pd.Series, clocks: Sequence[pd.Series]) -> NDArray[np.float64]:
    """One value for each pair of stacks: trials that trained together share one measurement of time.

    Raises UserError where there are fewer than two.
    """
    stacks = pd.concat(clocks, axis=1).loc[difference.index].apply(tuple, axis=1)
    values = difference.groupby(stacks, sort=False).mean().to_numpy()
    if len(values) < 2:
        raise UserError("seconds are one measurement for each stack, and all rounds trained in one: set stack in the spec")
    return values


def _require_learned(study: Study, rows: Rows, where: Where) -> None:
    """Raise UserError where fewer than half of the trials neither diverged nor stayed at chance."""
    learned = measure("learned", study, rows)
    if learned.mean() < LEARNED:
        levels = ", or ".join(", ".join(map(str, one.values())) for one in _each(where))
        raise UserError(
            f"Models that do not learn say nothing: of {levels}, {learned.sum():.0f} of {len(learned)} trials learned."
        )


def _chosen(study: Study, rows: Rows, where: Where) -> Rows:
    """The rows of one reading whose levels fit `where` (any of several)."""
    trials = _trials(study, rows, where)
    kept = set(trials["trial"])
    lines = {name: table[table["trial"].isin(kept)] if len(table) else table for name, table in rows._asdict().items()}
    return Rows(**of_reading(lines, study))._replace(trials=trials)


def _trials(study: Study, rows: Rows, where: Where) -> pd.DataFrame:
    """The trials of one reading whose levels fit `where`."""
    trials = of_reading({"trials": rows.trials}, study)["trials"]
    fitting = np.zeros(len(trials), dtype=bool)
    for one in _each(where):
        fits = np.ones(len(trials), dtype=bool)
        for factor, levels in one.items():
            if factor not in study.grid.levels:
                raise UserError(f"{study.name}: {unknown('factor', factor, study.grid.levels)}")
            fits &= trials[factor].isin(_wanted(levels)).to_numpy()
        fitting |= fits
    return trials[fitting]


def _values(study: Study, rows: Rows, name: str, across: str = "mean") -> pd.Series:
    """The measure by repeat and fold, put together over configurations."""
    found = measure(name, study, rows)
    places = rows.trials.set_index("trial").loc[found.index, ["repeat", "fold"]].astype(int)
    grouped = found.groupby([places["repeat"], places["fold"]])
    return grouped.mean() if across == "mean" else grouped.max() - grouped.min()


def _rounds(values: pd.Series, unit: str) -> Any:  # noqa: ANN401
    """Rounds `(m, k)`: a row for each repeat, of its folds where the published sd is over folds, else of their mean."""
    table = values.unstack("fold").to_numpy()  # noqa: PD010
    whole = table[~np.isnan(table).any(axis=1)]  # a repeat that lacks a fold is no round
    return whole if unit == "fold" else whole.mean(axis=1, keepdims=True)
