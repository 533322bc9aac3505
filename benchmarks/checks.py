"""Comparison of what two engines learn, by the test errors of the models that both trained."""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from benchmarks.work import FOLDS

NOISE = 4.0  # standard errors

Errors = Mapping[int, float]


class Learned(NamedTuple):
    """Mean test errors in percent of an engine and of this suite, their difference and its standard error."""

    models: int
    error_pct: float
    ours_pct: float
    difference: float
    standard_error: float
    verdict: str


def compare(pairs: Iterable[tuple[Errors, Errors]]) -> Learned:
    """An engine's errors beside this suite's, by member: a pair for each round and structure.

    Models of one fold share their data, so the unit of the difference is the mean over a fold. The verdict is "same" where the
    difference is within four standard errors, "differs" where it is not, and "too few" where there are not two units.
    """
    theirs: list[float] = []
    ours: list[float] = []
    units: dict[tuple[int, int], list[float]] = defaultdict(list)
    for index, (engine, suite) in enumerate(pairs):
        for member in sorted(engine.keys() & suite.keys()):
            theirs.append(engine[member])
            ours.append(suite[member])
            units[index, member % FOLDS].append(engine[member] - suite[member])
    differences = [statistics.fmean(unit) for unit in units.values()]
    means = (statistics.fmean(theirs), statistics.fmean(ours)) if theirs else (math.nan, math.nan)
    if len(differences) < 2:
        return Learned(len(theirs), *means, math.nan, math.nan, "too few")
    difference = statistics.fmean(differences)
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    verdict = "same" if abs(difference) <= NOISE * error + 1e-9 else "differs"
    return Learned(len(theirs), *means, difference, error, verdict)
