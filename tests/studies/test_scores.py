"""Scores decoded from rows, estimates of them against brute force, and families of tests against their level."""

import numpy as np
import pandas as pd
import pytest
from builders import random_bits, scores_of, trials, trials_of_bits
from hypothesis import given, settings
from hypothesis import strategies as st

from studies.analysis import comparisons, contrasts, estimates, scores, summaries
from studies.analysis.contrasts import Family
from studies.analysis.estimates import ALPHA, Moments
from studies.errors import UserError
from studies.spec.sampling import Sampling

ROWS = 100
DESIGNS = {
    "folds": (Sampling(4, 1, rows=ROWS), (1, 4)),
    "folds x repeats": (Sampling(3, 2, rows=ROWS), (2, 3)),
    "repeats": (Sampling(0, 5, rows=ROWS), (5, 1)),
}


def drawn(shape, configurations=5, seed=0):
    """Wrong rows `(repeats, folds, rows)` by configuration."""
    bits = random_bits(np.random.default_rng(seed), configurations, shape[0] * shape[1], ROWS)
    return {f"c{index}": each.reshape(*shape, ROWS) for index, each in enumerate(bits)}


def brute_force(values):
    """The crossed estimate of values `(places, rows)` in points."""
    by_place, by_row = values.mean(1), values.mean(0)
    moments = Moments(values.mean(), by_place.std(ddof=1), len(values), values.shape[1], by_row.std(ddof=1), (values**2).mean())
    return estimates.crossed(moments)


def same(found, expected, place=0):
    """True where a row of an estimate is another estimate."""
    for name in ("mean", "error", "freedom", "ci_low", "ci_high", "p"):
        assert np.asarray(getattr(found, name))[place] == pytest.approx(getattr(expected, name)), name


@pytest.mark.parametrize(("sampling", "shape"), DESIGNS.values(), ids=DESIGNS)
def test_bits_stand_at_their_configuration_and_place_in_whatever_order_rows_come(sampling, shape):
    wrong = drawn(shape)
    found = scores.of(trials_of_bits(wrong).sample(frac=1, random_state=0), sampling)
    assert sorted(found.configs) == sorted(wrong)
    for config, errors, bits in zip(found.configs, found.by_place, found.wrong, strict=True):
        expected = wrong[config].reshape(-1, ROWS)
        assert (np.unpackbits(bits, axis=1, count=ROWS) == expected).all()
        assert errors == pytest.approx(100 * expected.mean(1))
    assert found.repeats.tolist() == np.repeat(range(shape[0]), shape[1]).tolist()


def test_configurations_keep_the_order_of_the_rows():
    assert scores.of(trials_of_bits(drawn((1, 4)))[::-1], DESIGNS["folds"][0]).configs.tolist() == [
        "c4",
        "c3",
        "c2",
        "c1",
        "c0",
    ]


@pytest.mark.parametrize(
    ("sampling", "columns"),
    [
        (Sampling(3, 2, fresh=True, rows=ROWS), {}),
        (Sampling(3, 2, judged="val", rows=ROWS), {}),
        (Sampling(3, 2, rows=99), {}),
        (Sampling(3, 2, rows=ROWS), {"wrong": None}),
    ],
    ids=["new rows for each repeat", "rows of each fold", "few rows", "rows of an older version"],
)
def test_rows_are_left_out_where_they_are_not_shared_or_not_known(sampling, columns):
    found = scores.of(trials_of_bits(drawn((2, 3))).assign(**columns), sampling)
    assert found.wrong is None
    assert found.row_means.shape == (5, 0)
    assert np.isfinite(found.estimate_each().error).all()


def test_repeats_with_new_data_count_once_each():
    found = scores.of(trials({"a": [[1, 3], [5, 9]]}), Sampling(2, 2, fresh=True))
    assert (found.by_place.tolist(), found.repeats.tolist()) == ([[2, 7]], [0, 1])
    lacking = scores.of(trials({"a": [[1, 3], [5, None]], "b": [[1, 3], [5, 9]]}), Sampling(2, 2, fresh=True))
    assert np.isnan(lacking.by_place).tolist() == [[False, True], [False, False]]


@pytest.mark.parametrize("column", ["seed", "n_train", "n_test"])
def test_trials_that_are_not_paired_are_refused(column):
    rows = trials({"x": [4, 5, 6], "y": [3, 3, 3]})
    usual = rows[column][0]
    rows.loc[4, column] = 7
    with pytest.raises(UserError, match=f"in repeat 0, fold 1, {column} is {usual} for some and 7 for others"):
        scores.of(rows, Sampling(3))


@pytest.mark.parametrize(("sampling", "shape"), DESIGNS.values(), ids=DESIGNS)
def test_estimates_are_those_of_the_unpacked_rows(sampling, shape, monkeypatch):
    monkeypatch.setattr(scores, "_CHUNK", 2 * ROWS)  # two configurations at a time
    wrong = drawn(shape)
    values = 100.0 * np.stack([each.reshape(-1, ROWS) for each in wrong.values()])
    found = scores.of(trials_of_bits(wrong), sampling)
    assert found.row_means == pytest.approx(values.mean(1))
    assert found.means == pytest.approx(values.mean((1, 2)))
    each, also = found.estimate_each(), found.each().estimate()
    pairs = found.pairs(np.array([0, 3, 4]), np.array([1, 1, 0])).estimate()
    weights = np.array([[0.5, 0.5, -0.5, -0.5, 0], [1, -1, 0, 0, 0]])
    contrast = found.contrast(weights).estimate()
    groups = found.estimate_groups([np.array([0, 2]), np.array([1, 3, 4])])
    for place in range(5):
        same(each, brute_force(values[place]), place)
        same(also, brute_force(values[place]), place)
    for place, (one, other) in enumerate([(0, 1), (3, 1), (4, 0)]):
        same(pairs, brute_force(values[one] - values[other]), place)
    for place, weight in enumerate(weights):
        same(contrast, brute_force(np.tensordot(weight, values, 1)), place)
    for place, group in enumerate([[0, 2], [1, 3, 4]]):
        same(groups, brute_force(values[group].mean(0)), place)


def test_a_failed_trial_leaves_the_others_their_estimate_and_no_contrast():
    wrong = drawn((1, 4))
    rows = trials_of_bits(wrong)
    rows.loc[2, ["train_errors", "test_errors", "wrong", "status"]] = [pd.NA, pd.NA, None, "failed"]
    found = scores.of(rows, DESIGNS["folds"][0])
    assert found.complete.tolist() == [False, True, True, True, True]
    kept = 100.0 * wrong["c0"][0, [0, 1, 3]]
    same(found.estimate_each(), brute_force(kept))
    pairs = found.pairs(np.array([0, 1]), np.array([1, 2])).estimate(found.families[0])
    contrast = found.contrast(np.array([[1.0, -1, 0, 0, 0], [0, 1, -1, 0, 0]])).estimate()
    for estimate in (pairs, contrast):
        for name in ("mean", "ci_low", "ci_high", "p"):
            assert np.isnan(getattr(estimate, name)).tolist() == [True, False], name
    # at the place that lacks it, a group is the mean of the other
    both = np.stack([100.0 * wrong[name][0] for name in ("c0", "c1")])
    both[0, 2] = both[1, 2]
    group, expected = found.estimate_groups([np.array([0, 1])]), brute_force(both.mean(0))
    assert group.mean[0] == pytest.approx(expected.mean)
    assert 1 <= group.error[0] / expected.error < 1.2  # the interaction is not known, and not taken away


def test_scores_less_others_are_pairs():
    found = scores_of(None, wrong=random_bits(np.random.default_rng(0), 4, 6, ROWS))
    less = found.take(np.array([0, 1])).less(found.take(np.array([2, 3]))).estimate()
    pairs = found.pairs(np.array([0, 1]), np.array([2, 3])).estimate()
    for name in ("mean", "error", "p"):
        assert getattr(less, name) == pytest.approx(getattr(pairs, name))


def test_by_repeat_is_one_value_for_each_repeat():
    errors = np.random.default_rng(0).normal(20, 1, (2, 6))
    found = scores_of(errors, Sampling(3, 2))
    values = found.pairs(np.array([0]), np.array([1])).by_repeat().by_place
    assert values == pytest.approx((errors[0] - errors[1]).reshape(2, 3).mean(1)[None])
    alone = scores_of(errors, Sampling(6, 1)).pairs(np.array([0]), np.array([1])).by_repeat().estimate()
    assert np.isnan([alone.error, alone.p]).all()


# Families.


def agree(found):
    """True where p is below 5% exactly where the interval leaves out 0, wherever there is one."""
    known = np.isfinite(found.ci_low)
    outside = (found.ci_low > 0) | (found.ci_high < 0)
    return (outside[known] == (found.p < ALPHA)[known]).all()


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    configurations=st.integers(2, 8),
    places=st.integers(2, 6),
    rows=st.sampled_from([0, ROWS]),
    apart=st.floats(0, 4),
)
def test_adjusted_p_and_intervals_never_disagree(seed, configurations, places, rows, apart):
    rng = np.random.default_rng(seed)
    if rows:
        wrong = random_bits(rng, configurations, places, rows) | (rng.random((configurations, 1, rows)) < apart / 20)
        found = scores_of(None, wrong=wrong)
    else:
        errors = (20 + apart * rng.normal(size=(configurations, 1)) + rng.normal(size=(configurations, places))).round(1)
        found = scores_of(errors, Sampling(places, judged="val"))
    one, other = np.triu_indices(configurations, 1)
    pairs = found.pairs(one, other)
    for family in (found.families[0], pairs.family, Family(len(one))):
        adjusted = pairs.estimate(family)
        assert agree(adjusted)
        if family.prior == (0.0, 1.0):
            assert (adjusted.p >= pairs.estimate().p - 1e-12).all()


def test_one_pair_has_one_answer_in_every_table():
    wrong = drawn((1, 4))
    rows = trials_of_bits({f"{name} p": bits for name, bits in wrong.items()}, factors="ab")
    start = "c0 p"
    found = scores.of(rows, DESIGNS["folds"][0], start)
    names = {config: config for config in found.configs}
    numbers = ["difference", "ci_low", "ci_high", "p_adjusted"]
    compared = comparisons.compare_with_references(found, names, 0.5)
    pairs = comparisons.pairs(found, names, 0.5)
    levels = {"a": list(wrong), "b": ["p"]}
    ladder = comparisons.single_changes(found, rows, levels, {"a": "c0", "b": "p"}, 0.5)
    ladder = ladder[ladder["kind"] == "one at a time"].assign(other=start)
    table = summaries.by_level(rows, ["a"], found, {"a": "c0"})
    of_levels = table.assign(config=table["level"] + " p", other=start)
    renamed = [
        compared,
        pairs,
        ladder.rename(columns={"change": "difference", "change_ci_low": "ci_low", "change_ci_high": "ci_high"}),
        of_levels.drop(columns="ci_low", errors="ignore").rename(
            columns={"difference_ci_low": "ci_low", "difference_ci_high": "ci_high"}
        ),
    ]
    answers = {}
    for each in renamed:
        for row in each.dropna(subset="difference")[["config", "other", *numbers]].itertuples(index=False, name=None):
            config, other, difference, low, high, p = row
            if config > other:
                config, other, difference, low, high = other, config, -difference, -high, -low
            answers.setdefault((config, other), []).append((difference, low, high, p))
    assert {pair for pair in answers if start in pair} == {(start, f"c{index} p") for index in range(1, 5)}
    assert max(map(len, answers.values())) >= 4
    for values in answers.values():
        assert np.ptp(np.array(values), axis=0) == pytest.approx(np.zeros(4), abs=1e-8)


def test_an_adjusted_p_is_no_smaller_than_that_of_the_test_alone():
    """A family of one is its test; equal differences have the sign test, which resamples without spread know nothing of."""
    for errors in ([[3, 3, 3, 3, 3, 3], [1, 1, 1, 1, 1, 1]], [[3, 4, 3, 2, 3, 5], [1, 1, 2, 1, 3, 1]]):
        found = scores_of(errors)
        pair = found.pairs(np.array([0]), np.array([1]))
        for family in (found.families[0], pair.family):
            assert pair.estimate(family).p >= pair.estimate().p


def test_bonferroni_where_nothing_is_resampled():
    family = Family(10)
    assert family.alpha == ALPHA / 10
    assert family.adjusted(np.array([0.001, 0.2, np.nan])) == pytest.approx([0.01, 1, np.nan], nan_ok=True)


def test_many_configurations_have_the_bound_of_bonferroni(monkeypatch):
    errors = np.random.default_rng(0).normal(20, 1, (12, 5))
    sampled = scores_of(errors).families[0]
    monkeypatch.setattr(contrasts, "RESAMPLED", 11)
    bound = scores_of(errors).families[0]
    assert (bound.tests, bound.largest) == (66, ())
    assert bound.alpha == ALPHA / 66 < sampled.alpha < ALPHA
    assert bound.prior[0] > 0


@pytest.mark.parametrize(
    ("errors", "tests"), [(np.ones((1, 4)), 0), (np.ones((3, 1)), 3)], ids=["one configuration", "one value each"]
)
def test_a_family_of_nothing_to_test(errors, tests):
    assert scores_of(errors).families[0] == Family(tests)


EQUAL = {
    "repeats": (Sampling(0, 10, fresh=True), 12, 100, None),
    "more configurations than repeats": (Sampling(0, 10, fresh=True), 60, 60, None),
    "folds left out": (Sampling(10, judged="val"), 12, 100, None),
    "a factor of two between sd": (Sampling(0, 10, fresh=True), 12, 100, (1, 2)),
    "shared rows": (Sampling(8, rows=400), 12, 60, None),
}


@pytest.mark.parametrize(("sampling", "configurations", "studies", "unequal"), EQUAL.values(), ids=EQUAL)
def test_equal_configurations_are_told_apart_in_at_most_7_of_100_studies(
    sampling, configurations, studies, unequal, monkeypatch
):
    """The familywise error with the best, of configurations that share most of their noise."""
    monkeypatch.setattr(contrasts, "DRAWS", 400)  # a coarser p, five times sooner
    rng = np.random.default_rng(0)
    told = 0
    for _ in range(studies):
        if sampling.shared_rows and not sampling.fresh:
            found = scores_of(None, sampling, random_bits(rng, configurations, sampling.count, sampling.rows))
        else:
            share = 1 / sampling.folds if sampling.left_out else 0  # errors of folds of one data set correlate
            own = np.sqrt(1 - share) * rng.normal(size=(configurations, 10))
            own += np.sqrt(share) * rng.normal(size=(configurations, 1))
            own *= rng.uniform(*unequal, (configurations, 1)) if unequal else 1
            found = scores_of(20 + rng.normal(size=10) + own, sampling)
        told += bool((comparisons.compare_with_references(found, {}, 0.5)["p_adjusted"] < ALPHA).any())
    assert told / studies <= 0.07


def test_contrasts_of_few_places_have_no_correlations_by_chance():
    """Of 40 independent contrasts at 6 places, the largest |t| is that of as many independent numbers."""
    rng = np.random.default_rng(0)
    found = scores_of(rng.normal(20, 1, (80, 6)))
    contrasts = found.pairs(np.arange(40), np.arange(40, 80))
    assert contrasts.family.alpha == pytest.approx(1 - 0.95 ** (1 / 40), rel=0.35)


def test_contrasts_that_are_alike_in_truth_count_as_few():
    """Forty configurations, each like one of two: pairs between these are one test in effect."""
    rng = np.random.default_rng(0)
    kinds = np.repeat(rng.normal(20, 1, (2, 40)), 20, 0)
    found = scores_of(kinds + 0.01 * rng.normal(size=(40, 40)))
    contrasts = found.pairs(np.arange(20), np.arange(20, 40))
    assert contrasts.family.alpha > 0.03
