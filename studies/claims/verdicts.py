"""Verdicts on the numbers of a report, from rounds: pure functions. Those on statements are in `statements`.

A *round* is one run of a report's whole protocol with fresh draws: one split, or one cross-validation of k folds. Rounds are
exchangeable given the data set, so the question is always what another report by the same protocol would have printed.
Tolerances are declared before the rounds are run; failures are rounds with the error that they have.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from studies.analysis import distributions
from studies.analysis.estimates import ALPHA, from_moments, holm, resolvable

MIN_ROUNDS = 30  # resampling fewer rejects true numbers 10 to 20 times in 100
DRAWS = 4000
CHUNK = 2_000_000  # indices drawn at a time, 8 bytes each


class Outcome(StrEnum):
    """The first four are of numbers, the rest of statements; UNDECIDED is of both."""

    REPRODUCED = "REPRODUCED"
    CONSISTENT = "CONSISTENT"
    DIFFERS = "DIFFERS"
    NOT_REPRODUCED = "NOT REPRODUCED"
    SUPPORTED = "SUPPORTED"
    NEGLIGIBLE = "SUPPORTED, NEGLIGIBLE"
    CONTRADICTED = "CONTRADICTED"
    EQUIVALENT = "EQUIVALENT"
    UNDERSPECIFIED = "UNDERSPECIFIED"
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
    """Verdict of m rounds on a published number; p-values are adjusted over the table, None where not tested.

    `p_mean` is of no difference, `p_beyond` of a difference within the tolerance, `p_sd` of equal sds. `sd` is of as many
    values as were published and with the same ddof (root of its expected square), `ci_low` and `ci_high` the 95% t interval of
    our mean over rounds, `difference` ours minus published. One round has neither spread nor interval: NaN.
    """

    outcome: Outcome
    mean: float
    sd: float
    ci_low: float
    ci_high: float
    rounds: int
    difference: float
    p_mean: float | None
    p_beyond: float | None
    p_sd: float | None
    spread_differs: bool
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
    tail = float(distributions.t_sf(distance / spread, m - 1)) if spread and m > 1 else 0.0
    return min(1.0, 2 * min(max(share, tail), by_rank))


def judge_numbers(cases: Sequence[tuple[Published, ArrayLike]], seed: int = 0, draws: int = DRAWS) -> list[NumberVerdict]:
    """The verdicts on one table: each published number with our rounds, (m, k) as in `predictive`.

    * UNDECIDED: fewer than 30 rounds.
    * NOT REPRODUCED: the difference is more than chance, and is beyond the tolerance by more than chance. The second test is
      the first one, of the published mean moved towards ours by the tolerance: its interval lies wholly beyond.
    * DIFFERS: the difference is more than chance, but may be within the tolerance.
    * REPRODUCED: it may be chance, and its 90% interval is inside the tolerance.
    * CONSISTENT: it may be chance, and the interval is not inside. A number without sd is at best CONSISTENT.

    p is adjusted by Holm's rule, in three families: the means of the table, the means against their tolerances, the sds. All
    numbers are resampled from the same seed, so that the p of one, before it is adjusted, does not depend on its neighbours.
    """
    checked = [(published, _checked(published, rounds)) for published, rounds in cases]
    decided = [index for index, (_, rounds) in enumerate(checked) if len(rounds) >= MIN_ROUNDS]
    raw = {index: predictive(*checked[index], np.random.default_rng(seed), draws) for index in decided}
    moved = {
        index: predictive(_moved(*checked[index]), checked[index][1], np.random.default_rng(seed), draws) for index in decided
    }
    means = _holm({index: p for index, (p, _) in raw.items()})
    beyond = _holm({index: p for index, (p, _) in moved.items()})
    sds = _holm({index: p for index, (_, p) in raw.items() if p is not None})
    return [_judged(*case, means.get(index), beyond.get(index), sds.get(index)) for index, case in enumerate(checked)]


def _moved(published: Published, rounds: NDArray[np.float64]) -> Published:
    """The number within its tolerance that is nearest to our mean."""
    off = float(rounds.mean()) - published.mean
    return replace(published, mean=published.mean + min(max(off, -published.tolerance), published.tolerance), sd=None)


def _holm(p: dict[int, float]) -> dict[int, float]:
    """The p-values of one family, adjusted, by the same keys."""
    return dict(zip(p, holm(list(p.values())).tolist(), strict=True))


def _judged(
    published: Published, rounds: NDArray[np.float64], p_mean: float | None, p_beyond: float | None, p_sd: float | None
) -> NumberVerdict:
    """The verdict on one number, given its adjusted p-values, which are None where there are too few rounds."""
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
        spread = f"; the published sd of {digits(published.sd)} is not ours, {digits(sd)} (Holm {p_text(p_sd)})"
    if p_mean is None or p_beyond is None:
        outcome, reason = Outcome.UNDECIDED, f"{m} rounds are too few to judge by: it takes {MIN_ROUNDS}"
    else:
        half = _half_width(published, s, m, n, bool(spread))
        outcome, reason = _weighed(published, difference, p_mean, p_beyond, half, resolvable(s, m, 1 / n))
    low, high = float(found.ci_low), float(found.ci_high)
    reason = sentence(reason + spread)
    return NumberVerdict(outcome, mean, sd, low, high, m, difference, p_mean, p_beyond, p_sd, bool(spread), reason)


def _weighed(
    published: Published, difference: float, p: float, beyond: float, half: float, unseen: float
) -> tuple[Outcome, str]:
    """The outcome and its reason.

    Args:
        published: the number, with its tolerance.
        difference: ours minus published.
        p: of no difference, adjusted.
        beyond: p of a difference within the tolerance, adjusted.
        half: half the 90% interval of the difference.
        unseen: the difference that rounds like ours would show four times in five.
    """
    found, tolerance = f"the difference of {digits(difference)}", f"the tolerance of ±{digits(published.tolerance)}"
    interval = f"its 90% interval of {digits(difference - half)} to {digits(difference + half)}"
    inside = abs(difference) + half <= published.tolerance
    if p < ALPHA and beyond < ALPHA:
        return Outcome.NOT_REPRODUCED, f"{found} is beyond {tolerance} by more than chance (Holm {p_text(beyond)})"
    if p < ALPHA:
        found += f" is more than chance (Holm {p_text(p)})"
        if inside:
            return Outcome.DIFFERS, f"{found}, but {interval} is inside {tolerance}"
        return Outcome.DIFFERS, f"{found}, but may be within {tolerance} (Holm {p_text(beyond)})"
    found += f" may be chance (Holm {p_text(p)})"
    hidden = f"one below {digits(unseen)} would often go unseen"
    if published.sd is None:
        return Outcome.CONSISTENT, f"{found}, and no spread was published: {hidden}"
    if inside:
        return Outcome.REPRODUCED, f"{found}, and {interval} is inside {tolerance}"
    return Outcome.CONSISTENT, f"{found}, but {interval} is not inside {tolerance}: {hidden}"


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
    return float(distributions.t_ppf(0.95, freedom)) * math.sqrt(ours + theirs)


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


def digits(value: float) -> str:
    """Three digits, and no -0."""
    return f"{round(value, 9) + 0.0:.3g}"


def p_text(value: float) -> str:
    """A p-value as a reader wants it."""
    return f"p = {value:.2g}" if value >= 0.001 else "p < 0.001"


def sentence(text: str) -> str:
    """The text with a capital and a full stop."""
    return text[0].upper() + text[1:] + "."
