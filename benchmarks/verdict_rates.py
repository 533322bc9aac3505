"""Error rates of the rules for verdicts, simulated with known truth: `python -m benchmarks.verdict_rates`.

Each line plants a truth, draws what a report prints and what we measure, and counts how often a wrong verdict is given. The
lines without a bound show what the rules can see, or a limit of theirs.
"""

import functools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from studies import files
from studies.claims.statements import Comparison, Evidence, Share, across_readings, compare_sides, count_share, judge_statements
from studies.claims.verdicts import Outcome, Published, judge_numbers
from studies.show import verdict_texts
from studies.store.rows import to_csv

SIMULATED = 500
DRAWS = 500  # hypothetical reports behind each p-value; verdicts take more
MEAN, SD, TOLERANCE = 1.06, 0.41, 0.5  # Table I's Tanh
MARGIN = 0.5  # of differences, whose sd is 1
CHANCE = 0.07  # a 5% test by resampling of 100 rounds: rare failures and long tails take up to 7%
FAILED = 90.0  # error of a model that fails, in percent

Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]


@dataclass(frozen=True)
class Line:
    """A truth, the verdicts that it makes wrong, and the share of simulations that may give one; None where there is no bound.

    `judge` simulates one table of numbers, or one report of statements.
    """

    truth: str
    wrong: Collection[Outcome]
    bound: float | None
    judge: Callable[[np.random.Generator], Sequence[Outcome]]


def rates(simulated: int = SIMULATED, seed: int = 0) -> pd.DataFrame:
    """One row for each line: the truth, the verdict counted, in how many of `simulated` it was given, the bound."""
    rows = []
    for index, line in enumerate(LINES):
        rng = np.random.default_rng([seed, index])
        given = sum(any(outcome in line.wrong for outcome in line.judge(rng)) for _ in range(simulated))
        rows.append((line.truth, " or ".join(line.wrong), given / simulated, line.bound, simulated))
    return pd.DataFrame(rows, columns=["truth", "verdict", "rate", "bound", "simulated"])


def _normal(shift: float = 0.0) -> Draw:
    return lambda rng, count: rng.normal(MEAN + shift, SD, count)


def _lognormal(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    return MEAN * rng.lognormal(-0.5, 1, count)


def _failing(share: float, shift: float = 0.0) -> Draw:
    return lambda rng, count: np.where(rng.random(count) < share, FAILED, rng.normal(MEAN, SD, count)) + shift


def _numbers(theirs: Draw, ours: Draw, units: int, table: int = 1) -> Callable[[np.random.Generator], Sequence[Outcome]]:
    """A table of numbers, each of `units` rounds, judged by 100 of ours."""

    def judge(rng: np.random.Generator) -> Sequence[Outcome]:
        cases = []
        for _ in range(table):
            report = theirs(rng, units)
            sd = round(float(report.std(ddof=1)), 2) if units > 1 else None
            published = Published(round(float(report.mean()), 2), sd, units, 1, 0.01, TOLERANCE)
            cases.append((published, ours(rng, 100)[:, None]))
        return [verdict.outcome for verdict in judge_numbers(cases, int(rng.integers(2**32)), DRAWS)]

    return judge


Measured = Callable[[np.random.Generator], Evidence]


def _difference(effect: float, count: int = 30) -> Measured:
    """A difference that is claimed to be higher than 0."""
    return lambda rng: compare_sides(Comparison(rng.normal(effect, 1, count), "higher", MARGIN))


def _errors(share: float, other: float, count: int = 100) -> Measured:
    """Errors of two models that fail now and then, paired, and are alike where both learn."""

    def draw(rng: np.random.Generator) -> Evidence:
        one, two = (_failing(each)(rng, count) for each in (share, other))
        return compare_sides(Comparison(one - two, "higher", MARGIN))

    return draw


def _share(share: float, count: int) -> Measured:
    return lambda rng: _counted(int(rng.binomial(count, share)), count)


@functools.cache
def _counted(count: int, total: int) -> Evidence:
    return count_share(Share(count, total, "always"))


def _statements(*statements: Sequence[Measured]) -> Callable[[np.random.Generator], Sequence[Outcome]]:
    """A report of statements, each of its parts."""

    def judge(rng: np.random.Generator) -> Sequence[Outcome]:
        return [verdict.outcome for verdict in judge_statements([[draw(rng) for draw in parts] for parts in statements])]

    return judge


def _readings(effect: float) -> Callable[[np.random.Generator], Sequence[Outcome]]:
    """A statement in a primary reading of 100 rounds and two others of 30, all of one truth."""

    def judge(rng: np.random.Generator) -> Sequence[Outcome]:
        (primary,) = _statements([_difference(effect, 100)])(rng)
        others = _statements([_difference(effect)], [_difference(effect)])(rng)
        return [across_readings(primary, others)]

    return judge


_DIFFERENT = (Outcome.NOT_REPRODUCED, Outcome.DIFFERS)
_DECIDED = (Outcome.SUPPORTED, Outcome.CONTRADICTED)
LINES = (
    Line("a number of 5 rounds, as ours", (Outcome.NOT_REPRODUCED,), 0.05, _numbers(_normal(), _normal(), 5)),
    Line("a number of 5 rounds, as ours", _DIFFERENT, CHANCE, _numbers(_normal(), _normal(), 5)),
    Line("a number of one run, as ours", _DIFFERENT, CHANCE, _numbers(_normal(), _normal(), 1)),
    Line("a number of 5 rounds, lognormal, as ours", _DIFFERENT, CHANCE, _numbers(_lognormal, _lognormal, 5)),
    Line("a number of 5 rounds of which a tenth fails, as ours", _DIFFERENT, CHANCE, _numbers(_failing(0.1), _failing(0.1), 5)),
    Line(
        "a number of 5 rounds, off by half the tolerance",
        (Outcome.NOT_REPRODUCED,),
        0.05,
        _numbers(_normal(0.25), _normal(), 5),
    ),
    Line(
        "a number of 5 rounds, off by the tolerance",
        (Outcome.NOT_REPRODUCED,),
        0.05,
        _numbers(_normal(TOLERANCE), _normal(), 5),
    ),
    Line(
        "a number of 10 rounds, off by the tolerance",
        (Outcome.NOT_REPRODUCED,),
        0.05,
        _numbers(_normal(TOLERANCE), _normal(), 10),
    ),
    Line(
        "a number of 5 rounds of which a tenth fails, off by the tolerance",
        (Outcome.NOT_REPRODUCED,),
        0.05,
        _numbers(_failing(0.1, TOLERANCE), _failing(0.1), 5),
    ),
    Line(
        "a number of 10 rounds, off by the tolerance", (Outcome.REPRODUCED,), 0.05, _numbers(_normal(TOLERANCE), _normal(), 10)
    ),
    Line("a table of 6 numbers of 5 rounds, as ours", _DIFFERENT, CHANCE, _numbers(_normal(), _normal(), 5, table=6)),
    Line(
        "a table of 6 numbers, all off by the tolerance",
        (Outcome.NOT_REPRODUCED,),
        0.05,
        _numbers(_normal(TOLERANCE), _normal(), 5, table=6),
    ),
    Line(
        "a number of 5 rounds, off by 4 tolerances",
        (Outcome.NOT_REPRODUCED,),
        None,
        _numbers(_normal(4 * TOLERANCE), _normal(), 5),
    ),
    Line("a number of 10 rounds, as ours", (Outcome.REPRODUCED,), None, _numbers(_normal(), _normal(), 10)),
    Line("no difference, 30 rounds", _DECIDED, 0.05, _statements([_difference(0.0)])),
    Line("a difference of the margin, as claimed, 30 rounds", _DECIDED, 0.05, _statements([_difference(MARGIN)])),
    Line("a difference of the margin, opposite, 30 rounds", _DECIDED, 0.05, _statements([_difference(-MARGIN)])),
    Line(
        "a difference of the margin, 30 rounds",
        (Outcome.EQUIVALENT, Outcome.NEGLIGIBLE),
        0.05,
        _statements([_difference(MARGIN)]),
    ),
    Line("no difference, 100 rounds", (Outcome.NEGLIGIBLE,), 0.05, _statements([_difference(0.0, 100)])),
    Line("two models of which a tenth fails, 100 rounds", _DECIDED, 0.05, _statements([_errors(0.1, 0.1)])),
    Line("a share of 90%, which is not over 90%, 30 rounds", (Outcome.SUPPORTED,), 0.05, _statements([_share(0.9, 30)])),
    Line("a share of 90%, 100 rounds", (Outcome.SUPPORTED,), 0.05, _statements([_share(0.9, 100)])),
    Line("a share just over 90%, 100 rounds", (Outcome.CONTRADICTED,), 0.05, _statements([_share(0.9 + 1e-6, 100)])),
    Line(
        "two parts, one of a difference of the margin, the other far beyond it",
        _DECIDED,
        0.05,
        _statements([_difference(MARGIN), _difference(3.0)]),
    ),
    Line("20 statements, no difference, 30 rounds", _DECIDED, 0.05, _statements(*[[_difference(0.0)]] * 20)),
    Line("20 statements, differences of the margin", _DECIDED, 0.05, _statements(*[[_difference(MARGIN)]] * 20)),
    Line(
        "20 statements, differences of the margin",
        (Outcome.EQUIVALENT, Outcome.NEGLIGIBLE),
        0.05,
        _statements(*[[_difference(MARGIN)]] * 20),
    ),
    Line(
        "20 statements: no difference, the margin, shares of 90%, models that fail; 5 of each",
        _DECIDED[:1],
        0.05,
        _statements(*[[_difference(0.0)], [_difference(MARGIN)], [_share(0.9, 100)], [_errors(0.1, 0.1)]] * 5),
    ),
    Line("one truth of half the margin in three readings", (Outcome.UNDERSPECIFIED,), 0.05, _readings(MARGIN / 2)),
    Line("one truth of the margin in three readings", (Outcome.UNDERSPECIFIED,), 0.05, _readings(MARGIN)),
    Line("a difference of 3 margins, 30 rounds", (Outcome.SUPPORTED,), None, _statements([_difference(3 * MARGIN)])),
    Line("no difference, 100 rounds", (Outcome.EQUIVALENT,), None, _statements([_difference(0.0, 100)])),
    Line(
        "a limit: a share of 100%, 30 rounds, among 20 statements without a difference",
        (Outcome.SUPPORTED,),
        None,
        _statements([_share(1.0, 30)], *[[_difference(0.0)]] * 19),
    ),
    Line(
        "a limit: one of two models fails once in 100 rounds, which is 0.9 points, 30 rounds",
        (Outcome.EQUIVALENT, Outcome.NEGLIGIBLE),
        None,
        _statements([_errors(0.01, 0.0, 30)]),
    ),
)


def write(path: Path = verdict_texts.RATES, simulated: int = SIMULATED) -> pd.DataFrame:
    """Simulate, and write the table that `docs/reports.md` shows."""
    table = rates(simulated)
    files.write(path, to_csv(table))
    return table


if __name__ == "__main__":
    print(write().to_string())
