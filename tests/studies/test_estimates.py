"""Intervals and tests against hand-computed numbers, scipy, and their own level in simulations."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from studies import inference
from studies.inference import Sampling


def test_a_mean_by_hand():
    # mean 3, variance (4 + 1 + 0 + 9) / 3, t(0.975, 3) = 3.182446
    found = inference.estimate([1, 2, 3, 6])
    error = math.sqrt(14 / 3 / 4)
    assert (found.mean, found.count, found.error) == (3, 4, pytest.approx(error))
    assert (found.ci_low, found.ci_high) == pytest.approx((3 - 3.182446 * error, 3 + 3.182446 * error), rel=1e-6)
    assert found.p == pytest.approx(stats.ttest_1samp([1, 2, 3, 6], 0).pvalue)


def test_overlap_adds_to_the_variance_of_the_mean():
    assert inference.estimate([1, 2, 3, 6], overlap=1 / 3).error == pytest.approx(math.sqrt(14 / 3 * (1 / 4 + 1 / 3)))


def test_many_means_at_once():
    values = np.random.default_rng(0).normal(size=(5, 10))
    many = inference.estimate(values, 1 / 9)
    for index, row in enumerate(values):
        alone = inference.estimate(row, 1 / 9)
        assert [np.ravel(column)[index] for column in many if np.ndim(column)] == pytest.approx(
            [each for each, column in zip(alone, many, strict=True) if np.ndim(column)]
        )


def test_rows_that_lack_a_value_have_no_estimate():
    found = inference.estimate_rows(np.array([[1, 2, 3, 6], [1, math.nan, 3, 6]]), 1 / 3)
    assert (found.mean[0], found.error[0]) == (3, inference.estimate([1, 2, 3, 6], 1 / 3).error)
    assert np.isnan([found.mean[1], found.ci_low[1], found.p[1]]).all()


def test_one_value_a_row_has_a_mean_and_nothing_else():
    found = inference.estimate_rows(np.array([[1.0], [2.0]]), 0)
    assert found.mean.tolist() == [1, 2]
    assert np.isnan([found.ci_low, found.p]).all()


@pytest.mark.parametrize(("value", "p"), [(0, 1), (2, 1 / 16)], ids=["all zero", "all two"])
def test_values_without_spread(value, p):
    assert inference.estimate([value] * 5).p == p


@pytest.mark.parametrize("values", [[1], [1, math.nan], 1.0], ids=["one", "not finite", "no list"])
def test_what_no_mean_is_estimated_from(values):
    with pytest.raises(ValueError, match="two or more finite values"):
        inference.estimate(values)


def frame(values, *sizes):
    index = pd.MultiIndex.from_product([range(size) for size in sizes], names=["config", "repeat", "fold"])
    return pd.Series(values, index, dtype=float)


@pytest.mark.parametrize(
    ("sampling", "values"),
    [(Sampling(2, fresh=False), [1, 2, 3, 6]), (Sampling(2, fresh=True), [1.5, 4.5]), (Sampling(0, fresh=False), [1.5, 4.5])],
    ids=["folds of one data set", "fresh data", "no folds"],
)
def test_what_counts_as_one_value(sampling, values):
    assert sampling.samples(frame([1, 2, 3, 6], 1, 2, 2)).tolist() == values
    expected = inference.estimate(values, sampling.overlap)
    found = sampling.estimates(frame([1, 2, 3, 6], 1, 2, 2))
    assert (found.ci_low[0], found.ci_high[0]) == pytest.approx((expected.ci_low, expected.ci_high))


def test_the_corrected_interval_holds_its_level():
    """Values of k folds correlate by 1/k when nothing but the training set varies: simulated coverage of 95%."""
    rng = np.random.default_rng(0)
    folds, draws = 10, 2000
    shared = np.repeat(rng.normal(size=draws), folds)
    values = shared * np.sqrt(1 / folds) + rng.normal(size=draws * folds) * np.sqrt(1 - 1 / folds)
    found = Sampling(folds, fresh=False).estimates(frame(values, draws, 1, folds))
    covered = ((found.ci_low <= 0) & (found.ci_high >= 0)).mean()
    # 4 standard errors of the simulation
    assert abs(covered - 0.95) < 4 * np.sqrt(0.95 * 0.05 / draws)


def test_chances_by_hand():
    found = inference.estimate([1, 2, 3, 6])
    below, within, above = inference.chances(found, 1)
    assert below == pytest.approx(stats.t.cdf(-4 / found.error, 3))
    assert above == pytest.approx(stats.t.cdf(2 / found.error, 3))
    assert below + within + above == pytest.approx(1)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.5, (0, 1, 0)), (2, (0, 0, 1)), (-2, (1, 0, 0)), (-100, (1, 0, 0))],
    ids=["within", "above", "below", "far"],
)
def test_chances_without_spread(value, expected):
    assert inference.chances(inference.estimate([value] * 4), 1) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("p", "adjusted"),
    [
        ([], []),
        ([0.03], [0.03]),
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.02, 0.02, 0.02], [0.06, 0.06, 0.06]),
        ([0.5, 0.9], [1.0, 1.0]),
        ([0.0, 0.2], [0.0, 0.2]),
        ([0.02, math.nan, 0.03], [0.04, math.nan, 0.04]),
    ],
    ids=["none", "one", "four", "ties", "at most 1", "zero", "no test"],
)
def test_holm_by_hand(p, adjusted):
    assert inference.holm(p) == pytest.approx(adjusted, nan_ok=True)


@pytest.mark.parametrize(("count", "total"), [(0, 10), (5, 10), (10, 10), (3, 864)])
def test_wilson_is_that_of_scipy(count, total):
    expected = stats.binomtest(count, total).proportion_ci(0.95, method="wilson")
    assert inference.wilson(count, total) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_resolvable_difference_is_seen_four_times_in_five():
    rng = np.random.default_rng(0)
    draws, count = 4000, 10
    values = rng.normal(inference.resolvable(1, count), size=(draws, count))
    seen = (inference.estimate(values).p < inference.LEVEL).mean()
    assert abs(seen - 0.8) < 4 * np.sqrt(0.8 * 0.2 / draws)


@pytest.mark.parametrize(
    ("sd", "difference", "overlap", "values"),
    [(1, 1, 0, 8), (2, 1, 0, 32), (0, 1, 0, 2), (1, 0.5, 1 / 9, None)],
    ids=["one sd", "half an sd", "no spread", "the overlap is larger"],
)
def test_values_needed(sd, difference, overlap, values):
    assert inference.needed(sd, difference, overlap) == values
