"""Verdicts on the statements of a report, from what was measured: pure functions.

A statement is a list of parts, all of which must hold. The true difference of a part lies in one of three regions: beyond the
margin as claimed, beyond it on the other side, or within the margin, where it would not matter. A true share lies over its
threshold or not. A verdict names a region, and needs a test that rejects the others: nothing is inferred from a large p.

* SUPPORTED: every part is beyond its margin as claimed (intersection-union test: the largest p of the parts).
* CONTRADICTED: one part is beyond its margin on the other side (the smallest p of the parts, times their number).
* EQUIVALENT: every part is within its margin (two one-sided tests; the largest p).
* SUPPORTED, NEGLIGIBLE: every part has the sign that is claimed, and one or more are within their margins.
* UNDECIDED: none of these.

Only one of them is right, so a statement enters Holm's family once, with its smallest p: the chance of one wrong verdict or
more in a family is at most 5%. `benchmarks.verdict_rates` simulates it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from studies.analysis import distributions
from studies.analysis.estimates import ALPHA, Estimate, estimate, exact_bounds, needed
from studies.claims.verdicts import Outcome, digits, p_text, sentence
from studies.errors import unknown

Direction = Literal["lower", "higher"]
Claim = Literal["always", "usually", "never"]
CLAIMED_SHARES: dict[Claim, float] = {"always": 0.9, "usually": 0.5, "never": 0.1}


@dataclass(frozen=True)
class Comparison:
    """The claim that A - B is lower (or higher) than `than`, and what was measured: one value for each round or each fold.

    `margin` is the distance from `than` that would not matter. `overlap` is 0 for independent rounds, and 1 / (k - 1) for
    values over k folds, whose training sets overlap (Nadeau and Bengio 2003).
    """

    differences: ArrayLike
    direction: Direction
    margin: float
    overlap: float = 0.0
    than: float = 0.0

    def __post_init__(self) -> None:
        if self.direction not in get_args(Direction):
            raise ValueError(unknown("direction", self.direction, get_args(Direction)))
        if not self.margin > 0 or not self.overlap >= 0:
            raise ValueError(f"a comparison has a margin above 0 and an overlap from 0, not {self.margin} and {self.overlap}")


@dataclass(frozen=True)
class Share:
    """The claim that something happens always (over 90%), usually (over 50%) or never (below 10%), and `count` of `total`."""

    count: int
    total: int
    claim: Claim

    def __post_init__(self) -> None:
        if self.claim not in CLAIMED_SHARES:
            raise ValueError(unknown("claim", self.claim, CLAIMED_SHARES))


@dataclass(frozen=True)
class Evidence:
    """One part of a statement, tested: the p-value of each verdict, small where the data speaks for it.

    `negligible` and `equal` are 1 for a share, which has no margin. `mean` is the difference or the share, with its 95%
    interval or its exact one-sided 95% bounds. `words` makes the reason, given the outcome of the part and its adjusted p.
    """

    supported: float
    contradicted: float
    negligible: float
    equal: float
    mean: float
    ci_low: float
    ci_high: float
    count: int
    words: Callable[[Outcome, str], str]

    @property
    def negated(self) -> "Evidence":
        """The evidence for the opposite; `words` still tell of what was tested.

        A difference within its margin is within it either way.
        """
        opposite = {Outcome.SUPPORTED: Outcome.CONTRADICTED, Outcome.CONTRADICTED: Outcome.SUPPORTED}

        def words(outcome: Outcome, p: str) -> str:
            return self.words(opposite.get(outcome, outcome), p)

        return replace(self, supported=self.contradicted, contradicted=self.supported, negligible=1.0, words=words)


@dataclass(frozen=True)
class StatementVerdict:
    """The verdict on a statement; `p` is adjusted over the statements that were judged together."""

    outcome: Outcome
    p: float
    reason: str


def compare_sides(comparison: Comparison) -> Evidence:
    """Test a difference against its margin: t = (mean - than -+ margin) / sqrt(var (1 / n + overlap)).

    Beyond the margin is two-sided, so that p < 0.05 is a 95% interval beyond it; within is a 90% interval inside it. ValueError
    for fewer than two values, or any that is not finite.
    """
    found = estimate(_without_rounding(comparison), comparison.overlap)
    sign, margin = (-1 if comparison.direction == "lower" else 1), comparison.margin
    effect = sign * float(found.mean)
    supported, contradicted = min(1.0, 2 * _above(found, effect, margin)), min(1.0, 2 * _above(found, -effect, margin))
    equal = max(_above(found, margin, effect), _above(found, margin, -effect))
    claimed_sign = min(1.0, 2 * _above(found, effect, 0.0))

    mean, low, high = (comparison.than + float(value) for value in (found.mean, found.ci_low, found.ci_high))

    between = "no spread" if np.isnan(low) else f"95% interval {digits(low)} to {digits(high)}"

    def words(outcome: Outcome, p: str) -> str:
        text = f"the difference of {digits(mean)} ({between}, Holm {p}) "
        text += _VERDICTS[outcome].format(
            claimed=f"{comparison.direction} than {digits(comparison.than)}",
            opposite=f"{'higher' if comparison.direction == 'lower' else 'lower'} than {digits(comparison.than)}",
            margin=f"the margin of {digits(margin)}",
            than=digits(comparison.than),
        )
        return text + (_needed(comparison, found) if outcome == Outcome.UNDECIDED else "")

    return Evidence(supported, contradicted, max(equal, claimed_sign), equal, mean, low, high, found.count, words)


_VERDICTS: Mapping[Outcome, str] = {
    Outcome.SUPPORTED: "is {claimed} by more than {margin}, as claimed",
    Outcome.CONTRADICTED: "is {opposite} by more than {margin}, against the claim",
    Outcome.NEGLIGIBLE: "is {claimed}, as claimed, but within {margin}",
    Outcome.EQUIVALENT: "is within {margin} of {than}",
    Outcome.UNDECIDED: "may or may not be within {margin} of {than}",
}


def _above(found: Estimate, value: float, bound: float) -> float:
    """One-sided p of `value`, an estimate with the error of `found`, being no larger than `bound`.

    Without variance it is that of the sign test, 2^-n, or 1.
    """
    if found.error == 0:
        return 2.0**-found.count if value > bound else 1.0
    return float(distributions.t_cdf((bound - value) / found.error, found.count - 1))


def _without_rounding(comparison: Comparison) -> NDArray[np.float64]:
    """The differences less `than`; what rounding leaves of equal numbers would be a difference without variance."""
    values = np.asarray(comparison.differences, dtype=float) - comparison.than
    if values.ndim != 1:
        raise ValueError(f"differences are values in one dimension, not {values}")
    return np.where(np.abs(values) < 1e-9 * comparison.margin, 0.0, values)


def _needed(comparison: Comparison, found: Estimate) -> str:
    """The number of values that would show a difference of one margin, where there are fewer."""
    values = needed(float(found.sd), comparison.margin, comparison.overlap)
    if values is None:
        return ": with this overlap no number of values could tell a difference that small from none"
    if values <= found.count:
        return ""
    return f": a difference that small takes about {values} values to show, and there are {found.count}"


def count_share(share: Share) -> Evidence:
    """Test a share against the threshold of its claim: exact binomial tests, one-sided on either side."""
    from scipy import stats  # takes up to a second to import

    threshold, never = CLAIMED_SHARES[share.claim], share.claim == "never"
    over, under = (
        float(stats.binomtest(share.count, share.total, threshold, alternative=side).pvalue) for side in ("greater", "less")
    )
    low, high = exact_bounds(share.count, share.total)

    def words(outcome: Outcome, p: str) -> str:
        is_so = {Outcome.SUPPORTED: "is", Outcome.CONTRADICTED: "is not"}.get(outcome, "may or may not be")
        bounds = f"exact one-sided 95% bounds {low:.1%} and {high:.1%}"
        text = f"the share of {share.count} in {share.total} rounds ({bounds}, Holm {p}) {is_so}"
        return f"{text} {'below' if never else 'over'} {threshold:.0%}, which '{share.claim}' means"

    supported, contradicted = (under, over) if never else (over, under)
    return Evidence(supported, contradicted, 1.0, 1.0, share.count / share.total, low, high, share.total, words)


def judge_statements(statements: Sequence[Sequence[Evidence]], names: Sequence[Sequence[str]] = ()) -> list[StatementVerdict]:
    """The verdicts on one family of statements, each given by the evidence of its parts.

    `names` says what each part of each statement measured, for the reasons. ValueError where a statement has no parts.
    """
    smallest = np.array([_smallest_p(parts) for parts in statements])
    factors = _holm_factors(smallest)
    adjusted = np.minimum(1.0, factors * smallest)
    labels = names or [[""] * len(parts) for parts in statements]
    return [_judged(*each) for each in zip(statements, labels, adjusted.tolist(), factors.tolist(), strict=True)]


def _holm_factors(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """The factors by which Holm's rule multiplies the p-values, so that all tests of one statement share one."""
    order = np.argsort(p, kind="stable")
    left = np.arange(len(p), 0, -1.0)
    adjusted = np.maximum.accumulate(p[order] * left)
    factors = np.empty(len(p))
    factors[order] = np.divide(adjusted, p[order], out=left, where=p[order] > 0)
    return factors


def _smallest_p(parts: Sequence[Evidence]) -> float:
    """The p-value of the verdict that the parts point to."""
    if not parts:
        raise ValueError("a statement is judged by its parts, and there are none")
    supported = max(part.supported for part in parts)
    contradicted = min(1.0, len(parts) * min(part.contradicted for part in parts))
    equal = max(part.equal for part in parts)
    negligible = max(min(part.supported, part.negligible) for part in parts)
    return min(supported, contradicted, equal, negligible)


def _judged(parts: Sequence[Evidence], names: Sequence[str], p: float, factor: float) -> StatementVerdict:
    """The verdict where every p-value of the statement is multiplied by `factor`, Holm's."""
    found = [_part(part, len(parts), factor) for part in parts]
    outcome = _together([outcome for outcome, _ in found])
    reasons = [
        f"{f'({index}) ' if len(parts) > 1 else ''}{f'{name}: ' if name else ''}{sentence(part.words(verdict, p_text(part_p)))}"
        for index, (part, name, (verdict, part_p)) in enumerate(zip(parts, names, found, strict=True), start=1)
    ]
    return StatementVerdict(outcome, p, " ".join(reasons))


def _part(part: Evidence, parts: int, factor: float) -> tuple[Outcome, float]:
    """The verdict on one of several parts and its p, adjusted; the smallest p where it is UNDECIDED."""
    tests = {
        Outcome.SUPPORTED: part.supported,
        Outcome.CONTRADICTED: parts * part.contradicted,
        Outcome.NEGLIGIBLE: part.negligible,
        Outcome.EQUIVALENT: part.equal,
    }
    adjusted = {outcome: min(1.0, factor * p) for outcome, p in tests.items()}
    outcome = next((outcome for outcome, p in adjusted.items() if p < ALPHA), Outcome.UNDECIDED)
    return outcome, adjusted.get(outcome, min(adjusted.values()))


def _together(outcomes: Sequence[Outcome]) -> Outcome:
    """The verdict on a statement, given those on its parts."""
    kinds = set(outcomes)
    if Outcome.CONTRADICTED in kinds:
        return Outcome.CONTRADICTED
    if kinds == {Outcome.SUPPORTED}:
        return Outcome.SUPPORTED
    if kinds <= {Outcome.SUPPORTED, Outcome.NEGLIGIBLE}:
        return Outcome.NEGLIGIBLE
    if kinds <= {Outcome.EQUIVALENT, Outcome.NEGLIGIBLE}:
        return Outcome.EQUIVALENT
    return Outcome.UNDECIDED


def across_readings(primary: Outcome, others: Sequence[Outcome]) -> Outcome:
    """The verdict on a statement whose source can be read in several ways: that of the primary reading.

    UNDERSPECIFIED where one reading is SUPPORTED and another is CONTRADICTED or EQUIVALENT. `others` are of the readings of
    what the source leaves open; one that is UNDECIDED says nothing.
    """
    kinds = {primary, *others}
    denied = kinds & {Outcome.CONTRADICTED, Outcome.EQUIVALENT}
    return Outcome.UNDERSPECIFIED if Outcome.SUPPORTED in kinds and denied else primary
