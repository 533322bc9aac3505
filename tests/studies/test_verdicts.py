"""Verdicts on numbers against those worked out by hand, and against simulated reports of which the truth is known."""

import math
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from studies.claims import verdicts
from studies.claims.verdicts import Outcome, Published

SIMULATED = 300  # reports per row


def published(mean, sd=None, units=5, **changes):
    return Published(mean, sd, units, **{"ddof": 1, "resolution": 0.01, "tolerance": 0.5} | changes)


def column(values):
    return np.asarray(values, dtype=float)[:, None]


def judge(number, rounds):
    return verdicts.judge_numbers([(number, rounds)])[0]


@pytest.mark.parametrize(
    ("number", "rounds", "p_mean", "p_sd"),
    [
        (published(2.0, 0.0), column([2.0] * 30), 1, 1),
        (published(2.0), column([2.0] * 30), 1, None),
        (published(0.3, 0.0, resolution=0.0), column([0.1 + 0.2] * 30), 1, 1),
        (published(340.6, 119.4, 2, ddof=0), [[221.2, 460.0]] * 30, 1, 1),
        (published(340.6, 119.4, 2), [[221.2, 460.0]] * 30, 1, 0),
        (published(340.6, 119.4, 4, ddof=0), [[221.2, 460.0]] * 30, 1, 1),
        (published(3.0, 1.0), column([2.0] * 30), 0, 0),
    ],
    ids=["equal", "one run", "equal but for rounding", "folds", "folds, wrong ddof", "two cross-validations", "unequal"],
)
def test_rounds_without_variance_have_p_0_or_1(number, rounds, p_mean, p_sd):
    assert verdicts.predictive(number, rounds, np.random.default_rng(0), draws=200) == (p_mean, p_sd)


@pytest.mark.parametrize(
    ("mean", "resolution", "expected"),
    [(0.0, 0.01, 1 / 4), (0.0, 1.0, 1.0), (1 / 3, 0.01, 1.0), (2 / 3, 0.01, 1.0), (1.0, 0.01, 1 / 4)],
    ids=["none", "none, printed without decimals", "one", "two", "all"],
)
@pytest.mark.parametrize("chunk", [verdicts.CHUNK, 100_000], ids=["at once", "in chunks"])
def test_the_p_of_three_coins(mean, resolution, expected, chunk, monkeypatch):
    """Of three fair coins none shows heads with probability 1/8, one with 3/8: p is twice the smaller tail."""
    monkeypatch.setattr(verdicts, "CHUNK", chunk)
    number, draws = published(mean, units=3, resolution=resolution), 4000
    p, _ = verdicts.predictive(number, column([0, 1] * 250), np.random.default_rng(0), draws)
    # 4 standard errors of twice a share of 1/2
    assert p == pytest.approx(expected, abs=4 / math.sqrt(draws))


def test_a_long_report_does_not_make_our_own_rounds_exact():
    rounds = np.random.default_rng(0).normal(size=40)
    near = rounds.mean() + 1.5 * rounds.std() / math.sqrt(40)
    p, _ = verdicts.predictive(published(near, units=1000), column(rounds), np.random.default_rng(0))
    assert p == pytest.approx(2 * stats.norm.sf(1.5), abs=0.04)


def test_one_run_beyond_our_rounds_is_as_likely_as_a_t_distribution_and_their_ranks_say():
    def p(mean, rounds):
        return verdicts.predictive(published(mean, units=1), column(rounds), np.random.default_rng(0))[0]

    even = (np.arange(100) + 0.5) / 100
    normal = stats.norm.ppf(even)  # at most 2.58
    assert p(2.8, normal) == pytest.approx(2 * stats.t.sf(2.8, 99), rel=0.1)
    assert p(8.0, normal) < 1e-9
    # t alone would say 2 x 0.044: a uniform distribution has no tails
    assert p(1.003, even) == pytest.approx(2 / 101)


def test_a_true_table_of_eight_single_runs_is_rejected_in_5_of_100():
    rng = np.random.default_rng(0)
    tables = [[(published(rng.normal(), units=1), rng.normal(size=(100, 1))) for _ in range(8)] for _ in range(SIMULATED)]
    rejected = [min(each.p_mean for each in verdicts.judge_numbers(table, draws=500)) < 0.05 for table in tables]
    # resampling alone rejects 15 of 100; 4 standard errors of the simulation
    assert np.mean(rejected) < 0.05 + 4 * math.sqrt(0.05 * 0.95 / SIMULATED)


ROUNDS = column([1, 3] * 15)  # mean 2, variance 30 / 29
S = math.sqrt(30 / 29)


@pytest.mark.parametrize(
    ("number", "outcome", "words"),
    [
        (
            published(2.0, 1.0, 30, tolerance=0.45),
            "REPRODUCED",
            "interval of -0.446 to 0.446 is inside the tolerance of ±0.45.",
        ),
        (published(2.0, 1.0, 30, tolerance=0.44), "CONSISTENT", "one below 0.761 would often go unseen."),
        (published(2.0, None, 1, tolerance=9.0), "CONSISTENT", "no spread was published: one below 3 would often go unseen."),
        (
            published(3.5, 1.0, 30, tolerance=2.0),
            "DIFFERS",
            "but its 90% interval of -1.95 to -1.05 is inside the tolerance of ±2.",
        ),
        (published(3.5, 1.0, 30, tolerance=1.6), "DIFFERS", "-1.5 is more than chance (Holm p < 0.001), but may be within"),
        (published(3.5, 1.0, 30, tolerance=1.4), "DIFFERS", "but may be within the tolerance of ±1.4 (Holm p = "),
        (published(3.5, 1.0, 30, tolerance=0.9), "NOT REPRODUCED", "-1.5 is beyond the tolerance of ±0.9 by more than chance"),
        (published(2.0, 3.0, 30, tolerance=0.97), "CONSISTENT", "interval of -0.977 to 0.977 is not inside the tolerance"),
        (published(2.0, 3.0, 30, tolerance=0.98), "REPRODUCED", "sd of 3 is not ours, 1.02 (Holm p < 0.001)."),
    ],
    ids=[
        "reproduced",
        "consistent",
        "one run",
        "inside",
        "within",
        "beyond, perhaps",
        "beyond",
        "Welch outside",
        "Welch inside",
    ],
)
def test_the_rule_by_hand(number, outcome, words):
    """t of 29 degrees of freedom: 1.699127 at 95%, 2.045230 at 97.5%, 0.854192 at 80%.

    Half the 90% interval: 1.699127 S sqrt(2 / 30) = 0.446; with a published sd of 3, Welch has 35.6 degrees of freedom and
    1.689 sqrt(9 / 30 + S^2 / 30) = 0.977. What could be seen: 2.899422 S sqrt(2 / 30) = 0.761, and of one run S sqrt(31 / 30).
    """
    verdict = judge(number, ROUNDS)
    assert verdict.outcome == outcome
    assert words in verdict.reason
    assert verdict.spread_differs == (number.sd == 3.0)
    assert (verdict.mean, verdict.rounds, verdict.difference) == (2.0, 30, 2.0 - number.mean)
    assert verdict.ci_high - 2 == pytest.approx(2.045230 * S / math.sqrt(30), rel=1e-6)
    assert verdict.ci_low == pytest.approx(4 - verdict.ci_high)


@pytest.mark.parametrize(
    ("units", "ddof", "expected"),
    [(2, 0, 1.0), (2, 1, math.sqrt(2)), (4, 1, math.sqrt((1 + S**2 / 2) * 4 / 3))],
    ids=["one cross-validation", "ddof 1", "two cross-validations"],
)
def test_our_sd_is_the_one_that_was_published(units, ddof, expected):
    # folds vary by 1 within a round, and rounds by S
    assert judge(published(3.0, 1.0, units, ddof=ddof), [[1, 3], [3, 5]] * 15).sd == pytest.approx(expected)


@pytest.mark.parametrize("count", [1, 2, 29])
def test_few_rounds_decide_nothing(count):
    verdict = judge(published(99.0, 1.0), column([1, 3] * 15)[:count])
    assert verdict.outcome == Outcome.UNDECIDED
    assert (verdict.p_mean, verdict.p_beyond, verdict.p_sd, verdict.spread_differs) == (None, None, None, False)
    assert verdict.reason == f"{count} rounds are too few to judge by: it takes 30."
    assert math.isnan(verdict.sd) == math.isnan(verdict.ci_low) == (count == 1)


def test_the_test_against_the_tolerance_is_that_of_a_number_nearer_by_it():
    far, near = judge(published(3.5, 1.0, 30, tolerance=0.9), ROUNDS), judge(published(2.6, 1.0, 30), ROUNDS)
    assert far.p_beyond == near.p_mean
    # a mean of 30 rounds by 30 rounds, of variance 1 each
    assert near.p_mean == pytest.approx(2 * stats.norm.sf(0.6 / math.sqrt(2 / 30)), abs=0.02)
    assert judge(published(2.3, 1.0, 30, tolerance=0.9), ROUNDS).p_beyond == 1.0


def test_p_is_adjusted_over_the_means_and_over_the_sds_of_a_table():
    number, single, few = (published(2.9, 0.5), ROUNDS), (published(2.0), ROUNDS), (published(99.0, 9.0), ROUNDS[:29])
    alone = judge(*number)
    assert 0 < alone.p_mean < 0.2
    assert 0 < alone.p_sd < 0.5
    first, _, second, undecided = verdicts.judge_numbers([number, single, number, few])
    assert first == second
    assert first.p_mean == pytest.approx(3 * alone.p_mean)
    assert first.p_sd == pytest.approx(2 * alone.p_sd)
    assert undecided.outcome == Outcome.UNDECIDED


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"units": 0}, "units from 1"),
        ({"ddof": 2}, "ddof 0 or 1"),
        ({"mean": math.nan}, "finite"),
        ({"tolerance": 0.0}, "tolerance above 0"),
        ({"resolution": -1.0}, "resolution from 0"),
        ({"sd": 1.0, "units": 1}, "two units"),
        ({"sd": -1.0}, "from 0"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else None,
)
def test_numbers_that_no_report_has(changes, rule):
    with pytest.raises(ValueError, match=rule):
        published(**{"mean": 1.0} | changes)


@pytest.mark.parametrize(
    ("rounds", "rule"),
    [
        (column([1.0] * 29 + [math.nan]), "not finite"),
        (column([1.0] * 29 + [math.inf]), "not finite"),
        ([1.0] * 30, "rounds are"),
        (np.empty((0, 1)), "rounds are"),
        (np.ones((30, 2)), "no whole number of rounds"),
    ],
    ids=["NaN", "infinite", "one dimension", "no rounds", "5 values of 2 folds"],
)
def test_rounds_that_cannot_be_judged(rounds, rule):
    with pytest.raises(ValueError, match=rule):
        judge(published(1.0, 1.0), rounds)


# Simulated reports: five or ten rounds of mean 1.06 and sd 0.41, or what fails at an error of 90%


def normal(rng, count):
    return rng.normal(1.06, 0.41, count)


def shifted(rng, count):
    return rng.normal(1.06 + 2 * 0.41, 0.41, count)


def lognormal(rng, count):
    return 1.06 * rng.lognormal(-0.5, 1, count)


def failing(share):
    return lambda rng, count: np.where(rng.random(count) < share, 90.0, normal(rng, count))


def by_tolerance(rng, count):
    return rng.normal(1.06 + 0.5, 0.41, count)


REJECTED = ("NOT REPRODUCED", "DIFFERS")


@pytest.mark.parametrize(
    ("theirs", "ours", "n", "m", "shares"),
    [
        (normal, normal, 5, 100, {("REPRODUCED",): (0.55, 0.77), ("NOT REPRODUCED",): (0, 0.03), REJECTED: (0.01, 0.1)}),
        (normal, normal, 5, 30, {("REPRODUCED",): (0.45, 0.7), ("NOT REPRODUCED",): (0, 0.04), REJECTED: (0.01, 0.12)}),
        (normal, normal, 10, 100, {("REPRODUCED",): (0.87, 1), ("NOT REPRODUCED",): (0, 0.02)}),
        (lognormal, lognormal, 5, 100, {("REPRODUCED",): (0, 0.05), REJECTED: (0.01, 0.12)}),
        (failing(0.1), failing(0.1), 5, 100, {("REPRODUCED",): (0, 0.05), REJECTED: (0.01, 0.12)}),
        (failing(0.4), failing(0.4), 5, 100, {("REPRODUCED",): (0, 0.01), REJECTED: (0.01, 0.12)}),
        (by_tolerance, normal, 5, 100, {("NOT REPRODUCED",): (0, 0.05), ("REPRODUCED",): (0, 0.1), REJECTED: (0.6, 0.9)}),
        (by_tolerance, normal, 10, 100, {("NOT REPRODUCED",): (0, 0.05), ("REPRODUCED",): (0, 0.1)}),
        (shifted, normal, 5, 100, {("NOT REPRODUCED",): (0.25, 0.5), REJECTED: (0.95, 1), ("REPRODUCED",): (0, 0.03)}),
        (normal, failing(0.4), 5, 100, {REJECTED: (0.2, 0.5), ("NOT REPRODUCED",): (0, 0.05), ("REPRODUCED",): (0, 0.01)}),
        (failing(0.4), normal, 5, 100, {("NOT REPRODUCED",): (0.8, 1), ("REPRODUCED",): (0, 0.15)}),
        (normal, normal, 1, 100, {("CONSISTENT",): (0.9, 0.99), ("REPRODUCED",): (0, 0)}),
    ],
    ids=[
        "same",
        "30 rounds",
        "10 published",
        "lognormal",
        "10% fail",
        "40% fail",
        "apart by the tolerance",
        "10 published, apart by the tolerance",
        "2 sd apart",
        "ours fail",
        "theirs",
        "one run",
    ],
)
def test_the_rule_decides_as_often_as_it_should(theirs, ours, n, m, shares):
    """Bounds are about 4 standard errors of 300 reports around what the rule is known to do."""
    rng = np.random.default_rng(0)
    seen = Counter()
    for seed in range(SIMULATED):
        report = theirs(rng, n)
        number = published(round(report.mean(), 2), round(report.std(ddof=1), 2) if n > 1 else None, n)
        seen[verdicts.judge_numbers([(number, column(ours(rng, m)))], seed, draws=1000)[0].outcome] += 1
    for outcomes, (low, high) in shares.items():
        assert low <= sum(seen[Outcome(outcome)] for outcome in outcomes) / SIMULATED <= high, (outcomes, seen)
