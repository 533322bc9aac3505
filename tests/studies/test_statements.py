"""Verdicts on statements against p-values worked out by hand, and by scipy."""

import math

import numpy as np
import pytest
from scipy import stats

from studies.analysis import estimates
from studies.claims import statements
from studies.claims.statements import Comparison, Share, across_readings, judge_statements
from studies.claims.verdicts import Outcome


def evidence(part):
    return statements.compare_sides(part) if isinstance(part, Comparison) else statements.count_share(part)


def judge(*parts):
    return judge_statements([[evidence(part) for part in parts]])[0]


def compared(differences, direction="lower", margin=0.5, overlap=0.0, than=0.0):
    return Comparison(differences, direction, margin, overlap, than)


def of_mean(mean, count=30, sd=1.0):
    """Values of exactly this mean and sd."""
    values = np.arange(count, dtype=float)
    return mean + sd * (values - values.mean()) / values.std(ddof=1)


# Differences


def test_the_interval_is_that_of_scipy():
    differences = np.random.default_rng(0).normal(-0.3, 1, 40)
    found, test = evidence(compared(differences)), stats.ttest_1samp(differences, 0)
    assert (found.ci_low, found.ci_high) == pytest.approx(tuple(test.confidence_interval(0.95)))
    assert found.mean == pytest.approx(differences.mean())
    assert found.count == 40


@pytest.mark.parametrize("direction", ["lower", "higher"])
@pytest.mark.parametrize("than", [0.0, -1.0])
def test_each_p_is_that_of_a_t_test_of_scipy(direction, than):
    differences = np.random.default_rng(1).normal(-0.3, 1, 40)
    found = evidence(compared(differences, direction, 0.2, than=than))
    less, greater = (
        {shift: stats.ttest_1samp(differences, than + shift, alternative=side).pvalue for shift in (-0.2, 0.0, 0.2)}
        for side in ("less", "greater")
    )
    beyond = {"lower": less[-0.2], "higher": greater[0.2]}
    assert found.supported == pytest.approx(min(1, 2 * beyond[direction]))
    assert found.contradicted == pytest.approx(min(1, 2 * beyond["higher" if direction == "lower" else "lower"]))
    assert found.equal == pytest.approx(max(greater[-0.2], less[0.2]))
    assert found.negligible == pytest.approx(max(found.equal, min(1, 2 * (less if direction == "lower" else greater)[0.0])))


def test_with_overlap_it_is_the_test_of_nadeau_and_bengio():
    found = evidence(compared([1, 2, 3, 6], "higher", overlap=1 / 3))
    error = math.sqrt(14 / 3 * (1 / 4 + 1 / 3))
    assert found.supported == pytest.approx(2 * stats.t.sf(2.5 / error, 3))
    assert found.ci_high == pytest.approx(3 + 3.182446 * error, rel=1e-6)


# 30 values of sd 1: the error is 0.182574; t of 29 degrees of freedom is 2.045230 at 97.5% and 1.699127 at 95%
HALF, HALF_90 = 0.373406, 0.310217


@pytest.mark.parametrize(
    ("mean", "margin", "outcome", "words"),
    [
        (
            -1.0,
            0.5,
            "SUPPORTED",
            "-1 (95% interval -1.37 to -0.627, Holm p = 0.01) is lower than 0 by more than the margin of 0.5, as",
        ),
        (1.0, 0.5, "CONTRADICTED", "is higher than 0 by more than the margin of 0.5, against the claim."),
        (-0.5 - HALF - 0.001, 0.5, "SUPPORTED", "Holm p = 0.049)"),
        (
            -0.5 - HALF + 0.001,
            0.5,
            "UNDECIDED",
            "Holm p = 0.051) may or may not be within the margin of 0.5 of 0: a difference",
        ),
        (0.5 + HALF + 0.001, 0.5, "CONTRADICTED", "by more than the margin"),
        (0.5 + HALF - 0.001, 0.5, "UNDECIDED", "may or may not be"),
        (0.0, HALF_90 + 0.001, "EQUIVALENT", "is within the margin of 0.311 of 0."),
        (0.0, HALF_90 - 0.001, "UNDECIDED", "takes about 83 values to show, and there are 30."),
        (-HALF - 0.001, 0.7, "SUPPORTED, NEGLIGIBLE", "is lower than 0, as claimed, but within the margin of 0.7."),
        (-HALF + 0.001, 0.7, "EQUIVALENT", "is within the margin of 0.7 of 0."),
        (HALF + 0.001, 0.7, "EQUIVALENT", "is within the margin of 0.7 of 0."),
    ],
    ids=[
        *("lower", "higher", "just beyond", "just not beyond", "just opposite", "just not opposite", "just within"),
        *("just not within", "just negligible", "just no sign", "negligible, opposite"),
    ],
)
def test_a_difference_by_hand(mean, margin, outcome, words):
    verdict = judge(compared(of_mean(mean), margin=margin))
    assert verdict.outcome == outcome
    assert words in verdict.reason


@pytest.mark.parametrize(
    ("differences", "settings", "outcome", "words"),
    [
        ([1, -1] * 5, {"overlap": 1 / 9}, "UNDECIDED", "with this overlap no number of values"),
        ([0.0] * 30, {}, "EQUIVALENT", "0 (no spread, Holm p < 0.001) is within"),
        ([0.1 + 0.2 - 0.3] * 30, {}, "EQUIVALENT", "0 (no spread, Holm p < 0.001) is within"),
        ([-1.0] * 30, {}, "SUPPORTED", "Holm p < 0.001"),
        ([-1.0] * 30, {"direction": "higher"}, "CONTRADICTED", "Holm p < 0.001"),
        (
            [-1.0] * 30,
            {"direction": "higher", "than": -2.0},
            "SUPPORTED",
            "-1 (no spread, Holm p < 0.001) is higher than -2",
        ),
        ([-1.0] * 4, {}, "UNDECIDED", "Holm p = 0.12) may or may not be within the margin of 0.5 of 0."),
    ],
    ids=["hopeless", "zeros", "rounding", "constant", "constant, not higher", "than", "few"],
)
def test_a_difference_without_variance(differences, settings, outcome, words):
    """Of n equal values p is that of the sign test, 2^(1 - n) on two sides."""
    verdict = judge(compared(differences, **settings))
    assert verdict.outcome == outcome
    assert words in verdict.reason


@pytest.mark.parametrize(
    ("differences", "settings", "rule"),
    [
        ([1.0], {}, "two or more"),
        ([1.0, math.nan], {}, "finite"),
        ([[1.0, 2.0]], {}, "one dimension"),
        ([1.0, 2.0], {"margin": 0.0}, "margin above 0"),
        ([1.0, 2.0], {"overlap": -0.1}, "overlap from 0"),
        ([1.0, 2.0], {"direction": "less"}, "lower, higher"),
    ],
    ids=["one", "NaN", "two dimensions", "margin", "overlap", "direction"],
)
def test_comparisons_that_cannot_be_judged(differences, settings, rule):
    with pytest.raises(ValueError, match=rule):
        judge(compared(differences, **settings))


# Shares


@pytest.mark.parametrize(
    ("share", "rounds"), [(0.5, 5), (0.8, 14), (0.9, 29), (0.95, 59), (0.99, 299)], ids=lambda value: f"{value:g}"
)
def test_how_many_rounds_without_exception_prove_a_share(share, rounds):
    """All of n succeed with probability share^n: the lower bound is 0.05^(1 / n)."""
    low, high = estimates.exact_bounds(rounds, rounds)
    assert low == pytest.approx(0.05 ** (1 / rounds))
    assert estimates.exact_bounds(rounds - 1, rounds - 1)[0] < share < low
    assert high == 1
    assert estimates.exact_bounds(0, rounds) == (0, pytest.approx(1 - low))


@pytest.mark.parametrize(
    ("count", "total", "claim", "p", "outcome", "words"),
    [
        (
            29,
            29,
            "always",
            0.9**29,
            "SUPPORTED",
            "29 in 29 rounds (exact one-sided 95% bounds 90.2% and 100.0%, Holm p = 0.047) is over",
        ),
        (
            28,
            28,
            "always",
            0.9**28,
            "UNDECIDED",
            "89.9% and 100.0%, Holm p = 0.052) may or may not be over 90%, which 'always' means.",
        ),
        (20, 30, "always", None, "CONTRADICTED", "is not over 90%"),
        (5, 5, "usually", 0.5**5, "SUPPORTED", "54.9%"),
        (4, 4, "usually", 0.5**4, "UNDECIDED", "47.3%"),
        (0, 5, "usually", 0.5**5, "CONTRADICTED", "45.1%"),
        (0, 29, "never", 0.9**29, "SUPPORTED", "is below 10%, which 'never' means."),
        (0, 28, "never", 0.9**28, "UNDECIDED", "10.1%"),
        (10, 30, "never", None, "CONTRADICTED", "is not below 10%"),
    ],
)
def test_a_share_by_hand(count, total, claim, p, outcome, words):
    verdict = judge(Share(count, total, claim))
    assert verdict.outcome == outcome
    assert words in verdict.reason
    if p is not None:
        assert verdict.p == pytest.approx(p)
    found = evidence(Share(count, total, claim))
    assert (found.mean, found.count, found.equal, found.negligible) == (count / total, total, 1.0, 1.0)
    assert (found.ci_low, found.ci_high) == estimates.exact_bounds(count, total)


def test_an_unknown_claim():
    with pytest.raises(ValueError, match="always, usually, never"):
        Share(1, 2, "often")


# Statements of several parts, and families


YES, NO, TINY, SAME, OPEN = (
    compared(of_mean(-1.5)),
    compared(of_mean(1.5)),
    compared(of_mean(-0.4), margin=0.9),
    compared(of_mean(0.0), margin=0.9),
    compared(of_mean(-0.5)),
)


@pytest.mark.parametrize(
    ("parts", "outcome"),
    [
        ([YES, YES], "SUPPORTED"),
        ([YES, NO], "CONTRADICTED"),
        ([OPEN, NO], "CONTRADICTED"),
        ([YES, OPEN], "UNDECIDED"),
        ([YES, SAME], "UNDECIDED"),
        ([YES, TINY], "SUPPORTED, NEGLIGIBLE"),
        ([TINY, TINY], "SUPPORTED, NEGLIGIBLE"),
        ([TINY, SAME], "EQUIVALENT"),
        ([SAME, SAME], "EQUIVALENT"),
        ([YES, Share(30, 30, "always")], "SUPPORTED"),
        ([YES, Share(0, 30, "always")], "CONTRADICTED"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_verdict_on_several_parts(parts, outcome):
    assert judge(*parts).outcome == outcome


def test_the_p_of_a_statement_is_that_of_its_weakest_part_or_of_its_strongest_objection():
    weak, strong = compared(of_mean(-0.9)), compared(of_mean(-1.5))
    assert judge(weak, strong).p == pytest.approx(evidence(weak).supported)
    against, harmless = compared(of_mean(0.95)), compared(of_mean(0.5))
    assert judge(against, harmless, harmless).p == pytest.approx(3 * evidence(against).contradicted)


def test_one_of_many_parts_needs_more_to_contradict():
    """2 p of the t test, 0.033: enough for one part, and not for one of two."""
    against = compared(of_mean(0.91))
    assert 0.025 < evidence(against).contradicted < 0.05
    assert judge(against).outcome == Outcome.CONTRADICTED
    verdict = judge(against, YES)
    assert verdict.outcome == Outcome.UNDECIDED
    assert verdict.reason.startswith(
        "(1) The difference of 0.91 (95% interval 0.537 to 1.28, Holm p = 0.065) may or may not be"
    )


def test_statements_that_are_judged_together_share_their_chance():
    found, null = evidence(compared(of_mean(-0.91))), evidence(compared(of_mean(-0.5)))
    (alone,) = judge_statements([[found]])
    together, other = judge_statements([[found], [null]])
    assert (alone.outcome, together.outcome, other.outcome) == ("SUPPORTED", "UNDECIDED", "UNDECIDED")
    assert together.p == pytest.approx(2 * alone.p)
    assert "Holm p = 0.065) may or may not be" in together.reason


def test_shares_are_in_the_family():
    share, null = evidence(Share(30, 30, "always")), evidence(Share(9, 10, "always"))
    assert [each.outcome for each in judge_statements([[share]])] == ["SUPPORTED"]
    assert [each.outcome for each in judge_statements([[share], [null]])] == ["UNDECIDED", "UNDECIDED"]


def test_the_p_of_a_family_is_holms():
    family = [[evidence(compared(of_mean(mean)))] for mean in (-1.5, -0.4, 0.9, -0.95, -1.1)]
    raw = [judge_statements([each])[0].p for each in family]
    assert [each.p for each in judge_statements(family)] == pytest.approx(estimates.holm(raw).tolist())


def test_the_verdict_and_its_reason_never_disagree():
    """In families of random effects, some of them at the edge of every rule."""
    rng = np.random.default_rng(0)
    words = {
        "SUPPORTED": "by more than the margin of 0.5, as claimed",
        "CONTRADICTED": "against the claim",
        "SUPPORTED, NEGLIGIBLE": "as claimed, but within the margin",
        "EQUIVALENT": "is within the margin",
    }
    seen = set()
    for _ in range(200):
        family = [[evidence(compared(of_mean(mean, 60))) for mean in rng.normal(0, 0.8, rng.integers(1, 3))] for _ in range(3)]
        for parts, verdict in zip(family, judge_statements(family), strict=True):
            counts = {outcome: verdict.reason.count(text) for outcome, text in words.items()}
            seen.add(str(verdict.outcome))
            if verdict.outcome == "UNDECIDED":
                assert counts["CONTRADICTED"] == 0
                assert counts["SUPPORTED"] < len(parts)
                assert "may or may not be" in verdict.reason or len(parts) == 2
            elif verdict.outcome == "SUPPORTED":
                assert counts["SUPPORTED"] == len(parts)
                assert verdict.p < 0.05
            else:
                assert counts[verdict.outcome] > 0
                assert verdict.p < 0.05
    assert seen == {*words, "UNDECIDED"}


def test_the_parts_of_a_statement_are_named():
    parts = [evidence(YES), evidence(Share(30, 30, "always"))]
    reason = judge_statements([parts], [["test_pct", "learned"]])[0].reason
    assert reason.startswith("(1) test_pct: The difference of -1.5 ")
    assert " (2) learned: The share of 30 in 30 " in reason


def test_the_opposite_of_a_share_has_its_p_values_exchanged():
    found = evidence(Share(55, 100, "always"))
    verdict, opposite = judge_statements([[found]])[0], judge_statements([[found.negated]])[0]
    assert (verdict.outcome, opposite.outcome) == ("CONTRADICTED", "SUPPORTED")
    assert opposite.reason == verdict.reason
    assert "is not over 90%" in opposite.reason


def test_a_statement_without_parts_is_refused():
    with pytest.raises(ValueError, match="there are none"):
        judge_statements([[]])


# Readings


@pytest.mark.parametrize(
    ("primary", "others", "outcome"),
    [
        ("SUPPORTED", [], "SUPPORTED"),
        ("SUPPORTED", ["SUPPORTED", "UNDECIDED"], "SUPPORTED"),
        ("SUPPORTED", ["CONTRADICTED"], "UNDERSPECIFIED"),
        ("SUPPORTED", ["UNDECIDED", "EQUIVALENT"], "UNDERSPECIFIED"),
        ("SUPPORTED", ["SUPPORTED, NEGLIGIBLE"], "SUPPORTED"),
        ("CONTRADICTED", ["SUPPORTED"], "UNDERSPECIFIED"),
        ("CONTRADICTED", ["EQUIVALENT"], "CONTRADICTED"),
        ("UNDECIDED", ["SUPPORTED"], "UNDECIDED"),
        ("UNDECIDED", ["SUPPORTED", "CONTRADICTED"], "UNDERSPECIFIED"),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value),
)
def test_what_readings_say_together(primary, others, outcome):
    assert across_readings(Outcome(primary), [Outcome(other) for other in others]) == outcome
