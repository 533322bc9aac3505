"""From rounds to verdicts on the numbers and statements of a report: pure functions.

A *round* is one run of a report's whole protocol with fresh draws: one split, or one cross-validation of k folds. Rounds are
exchangeable given the data set, so the question is always what another report by the same protocol would have printed.
Tolerances and margins are declared before the rounds are run; failures are rounds with the error that they have.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from studies.errors import unknown
from studies.estimates import ALPHA, Estimate, estimate, exact_bounds, from_moments, holm, needed, resolvable

MIN_ROUNDS = 30  # resampling fewer rejects true numbers 10 to 20 times in 100
DRAWS = 4000
CHUNK = 2_000_000  # indices drawn at a time, 8 bytes each

Direction = Literal["lower", "higher"]
Claim = Literal["always", "usually", "never"]
CLAIMED_SHARES: dict[Claim, float] = {"always": 0.9, "usually": 0.5, "never": 0.1}


class Outcome(StrEnum):
    """The first four are of numbers, the next three of statements; UNCLEAR is a statement that no experiment can mean."""

    REPRODUCED = "REPRODUCED"
    CONSISTENT = "CONSISTENT"
    WITHIN_TOLERANCE = "DIFFERS WITHIN TOLERANCE"
    NOT_REPRODUCED = "NOT REPRODUCED"
    SUPPORTED = "SUPPORTED"
    CONTRADICTED = "CONTRADICTED"
    EQUIVALENT = "EQUIVALENT"
    UNDECIDED = "UNDECIDED"
    UNCLEAR = "UNCLEAR"


@dataclass(frozen=True)
class Published:
    """A number as a report prints it: mean and sd of `units` values (5 rounds, or 10 folds), in the report's own unit.

    `sd` is None where one run, or no spread, was published. `ddof` (0 or 1) is that of the sd, `resolution` the print step
    (0.01), and `tolerance` the difference that would not matter. ValueError where these contradict each other.
    """

    mean: float
    sd: float | None
    units: int
    ddof: int
    resolution: float
    tolerance: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.mean) or self.units < 1 or self.ddof not in (0, 1):
            raise ValueError(f"a published number is finite, with units from 1 and ddof 0 or 1: {self}")
        if not self.tolerance > 0 or not self.resolution >= 0:
            raise ValueError(f"a published number has a tolerance above 0 and a resolution from 0: {self}")
        if self.sd is not None and (self.units < 2 or not self.sd >= 0):
            raise ValueError(f"a published sd is from 0, and of two units or more: {self}")


@dataclass(frozen=True)
class NumberVerdict:
    """What m rounds say about a published number; `p_mean` and `p_sd` are adjusted over the table, None where not tested.

    `sd` is of as many values as were published and with the same ddof (root of its expected square), `ci_low` and `ci_high` the
    95% t interval of our mean over rounds, `difference` ours minus published. One round has neither spread nor interval: NaN.
    """

    outcome: Outcome
    mean: float
    sd: float
    ci_low: float
    ci_high: float
    rounds: int
    difference: float
    p_mean: float | None
    p_sd: float | None
    spread_differs: bool
    reason: str


@dataclass(frozen=True)
class Comparison:
    """The claim that A is lower (or higher) than B, and what was measured: A - B, one value for each round or each fold.

    `margin` is the difference that would not matter. `overlap` is 0 for independent rounds, and 1 / (k - 1) for values over k
    folds, whose training sets overlap (Nadeau and Bengio 2003).
    """

    differences: ArrayLike
    direction: Direction
    margin: float
    overlap: float = 0.0

    def __post_init__(self) -> None:
        if self.direction not in get_args(Direction):
            raise ValueError(unknown("direction", self.direction, get_args(Direction)))
        if not self.margin > 0 or not self.overlap >= 0:
            raise ValueError(f"a comparison has a margin above 0 and an overlap from 0, not {self.margin} and {self.overlap}")


@dataclass(frozen=True)
class DifferenceVerdict:
    """The mean of `count` values of A - B, its own 95% interval, and `p` adjusted over the claims that were judged together."""

    outcome: Outcome
    mean: float
    ci_low: float
    ci_high: float
    count: int
    p: float
    reason: str


@dataclass(frozen=True)
class ShareVerdict:
    """The share of rounds where something happened; `low` and `high` are exact one-sided 95% bounds, each on its own."""

    outcome: Outcome
    share: float
    low: float
    high: float
    reason: str


def predictive(
    published: Published, rounds: ArrayLike, rng: np.random.Generator, draws: int = DRAWS
) -> tuple[float, float | None]:
    """p = 2 min(share <= published, share >= published) over hypothetical reports, for the mean and for the sd.

    `rounds` is (m, k): m rounds of k values. A hypothetical report is n = `units` / k whole rounds, drawn with replacement from
    m that were drawn with replacement from ours: one draw for the report's chance, one for our own uncertainty. Nothing is
    taken to be normal, so two modes and rare failures are covered. Shares count half a print step in the report's favour. The
    second p is None where no sd was published. After Spence and Stanley 2016. ValueError for rounds that are not finite.
    """
    rounds = _checked(published, rounds)
    m, k = rounds.shape
    n = published.units // k
    chunk = max(1, CHUNK // (m + published.units))
    means, sds = [], []
    for start in range(0, draws, chunk):
        size = min(chunk, draws - start)
        ours = rng.integers(m, size=(size, m))
        reports = rounds[np.take_along_axis(ours, rng.integers(m, size=(size, n)), axis=1)]
        means.append(reports.mean(axis=(1, 2)))
        if published.sd is not None:
            sds.append(reports.std(axis=(1, 2), ddof=published.ddof))
    # Equal numbers that were added in another order are equal.
    step = published.resolution / 2 + 1e-9 * float(np.abs(rounds).max())
    p_mean = _two_sided(np.concatenate(means), published.mean, step, m, n)
    p_sd = None if published.sd is None else _two_sided(np.concatenate(sds), published.sd, step, m, n)
    return p_mean, p_sd


def _two_sided(drawn: NDArray[np.float64], value: float, step: float, m: int, n: int) -> float:
    """The p of `value` among `drawn` statistics of n rounds, resampled from m.

    Resampling gives nothing to what lies beyond our rounds; yet n more rounds are the n lowest of all m + n with probability
    1 / C(m + n, n). That is 0.01 for one run and 100 rounds, and of eight such numbers, all true, one would be rejected in 15
    of 100 cases. So p is that of a t distribution, as far as it lies between the two; for five rounds and more they agree.
    """
    share = float(min((drawn <= value + step).mean(), (drawn >= value - step).mean()))
    beyond = 1 / math.comb(m + n, n)
    by_rank = beyond + (1 - beyond) * share
    distance = max(0.0, abs(value - float(drawn.mean())) - step)
    spread = float(drawn.std())
    tail = float(stats.t.sf(distance / spread, m - 1)) if spread and m > 1 else 0.0
    return min(1.0, 2 * min(max(share, tail), by_rank))


def judge_numbers(cases: Sequence[tuple[Published, ArrayLike]], seed: int = 0, draws: int = DRAWS) -> list[NumberVerdict]:
    """The verdicts on one table: each published number with our rounds, (m, k) as in `predictive`.

    Fewer than 30 rounds are UNDECIDED. p is adjusted by Holm's rule over the means of the table, and over its sds. A mean with
    p < 0.05 is NOT REPRODUCED, or DIFFERS WITHIN TOLERANCE; else it is REPRODUCED where the 90% interval of the difference is
    inside the tolerance, else CONSISTENT, which a number without sd is at best. All numbers are resampled from the same seed,
    so that the p of one, before it is adjusted, does not depend on its neighbours.
    """
    checked = [(published, _checked(published, rounds)) for published, rounds in cases]
    decided = [index for index, (_, rounds) in enumerate(checked) if len(rounds) >= MIN_ROUNDS]
    raw = {index: predictive(*checked[index], np.random.default_rng(seed), draws) for index in decided}
    p_means = dict(zip(decided, holm([raw[index][0] for index in decided]), strict=True))
    spreads = {index: p for index, (_, p) in raw.items() if p is not None}
    p_sds = dict(zip(spreads, holm(list(spreads.values())), strict=True))
    return [_judged(*case, p_means.get(index), p_sds.get(index)) for index, case in enumerate(checked)]


def _judged(published: Published, rounds: NDArray[np.float64], p_mean: float | None, p_sd: float | None) -> NumberVerdict:
    """The verdict on one number, given its adjusted p-values; `p_mean` is None where there are too few rounds."""
    m, k = rounds.shape
    n = published.units // k
    means = rounds.mean(axis=1)
    mean = float(means.mean())
    s = float(means.std(ddof=1)) if m > 1 else math.nan
    sd = s
    if published.units > 1:
        expected = float(rounds.var(axis=1).mean()) + s**2 * (1 - 1 / n)
        sd = math.sqrt(expected * published.units / (published.units - published.ddof))
    found = from_moments(mean, s, m, overlap=0.0)
    difference = mean - published.mean
    spread = ""
    if published.sd is not None and p_sd is not None and p_sd < ALPHA:
        spread = f"; the published sd of {_number(published.sd)} is not ours, {_number(sd)} (Holm {_p(p_sd)})"
    if p_mean is None:
        outcome, reason = Outcome.UNDECIDED, f"{m} rounds are too few to judge by: it takes {MIN_ROUNDS}"
    else:
        outcome, reason = _weighed(published, difference, p_mean, s, m, n, bool(spread))
    low, high = float(found.ci_low), float(found.ci_high)
    return NumberVerdict(outcome, mean, sd, low, high, m, difference, p_mean, p_sd, bool(spread), _sentence(reason + spread))


def _weighed(
    published: Published, difference: float, p: float, s: float, m: int, n: int, spread_differs: bool
) -> tuple[Outcome, str]:
    """The outcome and its reason, for `difference` ours minus published, `s` the sd of our m rounds, n rounds published."""
    found, tolerance = f"the difference of {_number(difference)}", f"the tolerance of ±{_number(published.tolerance)}"
    if p < ALPHA and abs(difference) > published.tolerance:
        return Outcome.NOT_REPRODUCED, f"{found} is more than chance (Holm {_p(p)}) and beyond {tolerance}"
    if p < ALPHA:
        return Outcome.WITHIN_TOLERANCE, f"{found} is more than chance (Holm {_p(p)}) but within {tolerance}"
    found += f" may be chance (Holm {_p(p)})"
    # What rounds like ours would show four times in five.
    unseen = f"one below {_number(resolvable(s, m, 1 / n))} would often go unseen"
    if published.sd is None:
        return Outcome.CONSISTENT, f"{found}, and no spread was published: {unseen}"
    half = _half_width(published, s, m, n, spread_differs)
    interval = f"its 90% interval of {_number(difference - half)} to {_number(difference + half)}"
    if abs(difference) + half <= published.tolerance:
        return Outcome.REPRODUCED, f"{found}, and {interval} is inside {tolerance}"
    return Outcome.CONSISTENT, f"{found}, but {interval} is not inside {tolerance}: {unseen}"


def _half_width(published: Published, s: float, m: int, n: int, spread_differs: bool) -> float:
    """Half the 90% interval of the difference: t s sqrt(1 / n + 1 / m), or Welch's where the published sd is not like ours.

    A published sd over folds is none over rounds; for want of that, Welch's takes the published values to be independent.
    """
    ours, theirs, freedom = s**2 / m, s**2 / n, m - 1.0
    if spread_differs and published.sd is not None:
        others = published.units - 1
        theirs = published.sd**2 * (published.units - published.ddof) / (others * published.units)
        if ours + theirs > 0:
            freedom = (ours + theirs) ** 2 / (ours**2 / (m - 1) + theirs**2 / others)
    return float(stats.t.ppf(0.95, freedom)) * math.sqrt(ours + theirs)


def judge_differences(comparisons: Sequence[Comparison]) -> list[DifferenceVerdict]:
    """t = mean / sqrt(var (1 / n + overlap)) of each A - B, with p adjusted over all of them by Holm's rule.

    p < 0.05 is SUPPORTED or CONTRADICTED, by the sign of the mean; else EQUIVALENT is a 95% interval inside the margin, and the
    rest UNDECIDED. A difference can be both beyond chance and inside the margin: then the reason says so. With an overlap
    this is the test of Nadeau and Bengio 2003. ValueError for fewer than two values, or any that is not finite.
    """
    tests = [estimate(_without_rounding(comparison), comparison.overlap) for comparison in comparisons]
    adjusted = holm([test.p for test in tests])
    return [_compared(*each) for each in zip(comparisons, tests, adjusted.tolist(), strict=True)]


def _without_rounding(comparison: Comparison) -> NDArray[np.float64]:
    """The differences; what is left of equal numbers after rounding would otherwise be a difference without variance."""
    values = np.asarray(comparison.differences, dtype=float)
    if values.ndim != 1:
        raise ValueError(f"differences are values in one dimension, not {values}")
    return np.where(np.abs(values) < 1e-9 * comparison.margin, 0.0, values)


def _compared(comparison: Comparison, found: Estimate, p: float) -> DifferenceVerdict:
    """The verdict on one difference, given its estimate and adjusted p."""
    mean, low, high = float(found.mean), float(found.ci_low), float(found.ci_high)
    inside = -comparison.margin <= low and high <= comparison.margin
    margin = f"the margin of ±{_number(comparison.margin)}"
    reason = f"the difference of {_number(mean)} (95% interval {_number(low)} to {_number(high)}, Holm {_p(p)})"
    if p < ALPHA:
        claimed = (mean < 0) == (comparison.direction == "lower")
        outcome = Outcome.SUPPORTED if claimed else Outcome.CONTRADICTED
        reason += " is as claimed" if claimed else " is the opposite of the claim"
        reason += f", though inside {margin}" if inside else ""
    elif inside:
        outcome = Outcome.EQUIVALENT
        reason += f" is inside {margin}"
    else:
        outcome = Outcome.UNDECIDED
        reason += f" may be chance, and its interval is not inside {margin}: {_needed(comparison, found)}"
    return DifferenceVerdict(outcome, mean, low, high, found.count, p, _sentence(reason))


def _needed(comparison: Comparison, found: Estimate) -> str:
    """How many values would show a difference of one margin."""
    values = needed(float(found.sd), comparison.margin, comparison.overlap)
    if values is None:
        return "with this overlap no number of values could show a difference that small"
    return f"a difference that small takes about {values} values to show, and there are {found.count}"


def judge_share(count: int, total: int, claim: Claim) -> ShareVerdict:
    """Whether what happened in `count` of `total` rounds happens always (over 90%), usually (over 50%) or never (below 10%).

    SUPPORTED where a one-sided 95% bound is beyond that share on the claimed side, CONTRADICTED where one is on the other side.
    """
    if claim not in CLAIMED_SHARES:
        raise ValueError(unknown("claim", claim, CLAIMED_SHARES))
    low, high = exact_bounds(count, total)
    threshold = CLAIMED_SHARES[claim]
    reason = f"{count} of {total} rounds"
    if low > threshold or high < threshold:
        outcome = Outcome.SUPPORTED if (high < threshold) == (claim == "never") else Outcome.CONTRADICTED
        bound = f"at {low:.1%} or more" if low > threshold else f"at {high:.1%} or less"
        reason += f" put the share {bound} (exact one-sided 95% bound), and '{claim}'"
    else:
        outcome = Outcome.UNDECIDED
        reason += f" leave the share between {low:.1%} and {high:.1%} (exact one-sided 95% bounds), and '{claim}'"
    reason += f" means {'below' if claim == 'never' else 'over'} {threshold:.0%}"
    return ShareVerdict(outcome, count / total, low, high, _sentence(reason))


def _checked(published: Published, rounds: ArrayLike) -> NDArray[np.float64]:
    """The rounds as floats; ValueError where they are not finite, or the published units no whole number of rounds."""
    values = np.asarray(rounds, dtype=float)
    if values.ndim != 2 or not values.size:
        raise ValueError(f"rounds are (rounds, values of each), one or more of both, not {values.shape}")
    if published.units % values.shape[1]:
        raise ValueError(f"{published.units} published values are no whole number of rounds of {values.shape[1]}")
    if not np.isfinite(values).all():
        raise ValueError("a round that is not finite cannot be averaged: give a failed round the error that it has")
    return values


def _number(value: float) -> str:
    """Three digits, and no -0."""
    return f"{round(value, 9) + 0.0:.3g}"


def _p(value: float) -> str:
    """A p-value as a reader wants it."""
    return f"p = {value:.2g}" if value >= 0.001 else "p < 0.001"


def _sentence(text: str) -> str:
    """The text with a capital and a full stop."""
    return text[0].upper() + text[1:] + "."
