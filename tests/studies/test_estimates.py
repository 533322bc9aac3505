"""Intervals and tests against hand-computed numbers, scipy, statsmodels, and their own level in simulations."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats
from statsmodels.stats.anova import anova_lm

from studies.analysis import estimates
from studies.analysis.estimates import Estimate, Moments


def moments_of(values):
    """The moments of values `(places, rows)`."""
    places, rows = values.shape
    by_place, by_row = values.mean(1), values.mean(0)
    return Moments(values.mean(), by_place.std(ddof=1), places, rows, by_row.std(ddof=1), (values**2).mean())


def test_a_mean_by_hand():
    # mean 3, variance (4 + 1 + 0 + 9) / 3, t(0.975, 3) = 3.182446
    found = estimates.estimate([1, 2, 3, 6])
    error = math.sqrt(14 / 3 / 4)
    assert (found.mean, found.count, found.error, found.freedom) == (3, 4, pytest.approx(error), 3)
    assert (found.ci_low, found.ci_high) == pytest.approx((3 - 3.182446 * error, 3 + 3.182446 * error), rel=1e-6)


def test_without_rows_it_is_the_t_test_of_scipy():
    values = np.random.default_rng(0).normal(1, size=9)
    expected = stats.ttest_1samp(values, 0)
    found = estimates.estimate(values)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.ci_low, found.ci_high) == pytest.approx(expected.confidence_interval(0.95))


def test_overlap_adds_to_the_variance_of_the_mean():
    assert estimates.estimate([1, 2, 3, 6], overlap=1 / 3).error == pytest.approx(math.sqrt(14 / 3 * (1 / 4 + 1 / 3)))


def test_many_means_at_once():
    values = np.random.default_rng(0).normal(size=(5, 10))
    many = estimates.estimate(values, 1 / 9)
    for index, row in enumerate(values):
        alone = estimates.estimate(row, 1 / 9)
        assert [np.ravel(column)[index] for column in many if np.ndim(column)] == pytest.approx(
            [each for each, column in zip(alone, many, strict=True) if np.ndim(column)]
        )


def test_a_crossed_mean_by_hand():
    # Places 2 and 6, rows 2, 3, 7: mean 4. Interaction: +-1, 0, -+1, whose squares add up to 4, with 1 x 2 degrees of freedom.
    values = np.array([[1, 1, 4], [3, 5, 10]])
    assert (values.mean(1).tolist(), values.mean(0).tolist()) == ([2, 6], [2, 3, 7])
    interaction = values - values.mean(1, keepdims=True) - values.mean(0) + 4
    assert (interaction**2).sum() == 4
    found = estimates.crossed(moments_of(values))
    by_place, by_row, both = 8 / 2, 7 / 3, 4 / 2 / 6
    assert found.error**2 == pytest.approx(by_place + by_row - both) == 6
    # Satterthwaite: 36 / (16 / 1 + 49 / 9 / 2), which is below 3 - 1
    freedom = 36 / (16 + 49 / 18)
    assert found.freedom == pytest.approx(freedom)
    assert found.ci_high == pytest.approx(4 + stats.t.ppf(0.975, freedom) * math.sqrt(6))
    assert found.p == pytest.approx(2 * stats.t.sf(4 / math.sqrt(6), freedom))


def test_degrees_of_freedom_are_at_most_those_of_the_rows():
    # A = B = 1 of 40 places and 3 rows: Satterthwaite's 4 / (1 / 39 + 1 / 2) is more than 2
    assert estimates.crossed(Moments(0.0, math.sqrt(40), 40, 3, math.sqrt(3), math.nan)).freedom == 2


def test_a_crossed_mean_is_at_least_as_uncertain_as_places_or_rows_alone():
    # all interaction: no row and no place is harder
    values = np.array([[1, -1, 1, -1], [-1, 1, -1, 1.0]]) + np.array([[0.1], [0]])
    found = estimates.crossed(moments_of(values))
    assert found.error**2 == pytest.approx(0.1**2 / 2 / 2)


def test_skewness_is_that_of_scipy_and_leaves_out_what_is_missing():
    values = np.array([[1.0, 2.0, 4.0, 9.0], [3.0, 3.0, 3.0, 3.0], [1.0, math.nan, 4.0, 9.0], [math.nan] * 4])
    assert estimates.skewness(values).tolist() == pytest.approx([stats.skew(values[0]), 0, stats.skew(values[2, [0, 2, 3]]), 0])


def test_the_interval_of_a_difference_to_a_model_that_rarely_fails():
    rng, sets = np.random.default_rng(0), 4000
    values = rng.normal(0, 0.5, (sets, 20)) + rng.gamma(0.3, 6, (sets, 20))  # of mean 1.8 and skewness 3.3
    plain = Moments(values.mean(1), values.std(1, ddof=1), 20)
    holds = [
        ((found.ci_low <= 1.8) & (found.ci_high >= 1.8)).mean()
        for found in map(estimates.crossed, (plain, replace(plain, skew=estimates.skewness(values))))
    ]
    # what none of 20 values shows, no interval can hold
    assert holds[0] < 0.87 < 0.91 < holds[1]


def test_skewness_counts_only_where_values_are_all_there_is():
    moments = Moments(1.0, 2.0, 10, 50, 3.0, math.nan)
    assert estimates.crossed(replace(moments, skew=3.0)) == estimates.crossed(moments)
    on_folds = [estimates.crossed(Moments(1.0, 2.0, 10, skew=skew), overlap=1 / 9) for skew in (0.0, 3.0)]
    assert on_folds[0] == on_folds[1]


@pytest.mark.parametrize("shape", [(4, 6), (10, 30)], ids=str)
def test_a_crossed_mean_has_the_variance_of_a_two_way_analysis(shape):
    """Mean squares of statsmodels: (MS places + MS rows - MS interaction) / (places rows)."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=shape) + 2 * rng.normal(size=(shape[0], 1)) + 2 * rng.normal(size=shape[1])
    place, row = np.indices(shape)
    table = pd.DataFrame({"x": values.ravel(), "place": place.ravel(), "row": row.ravel()})
    squares = anova_lm(smf.ols("x ~ C(place) + C(row)", table).fit())["mean_sq"]
    expected = (squares["C(place)"] + squares["C(row)"] - squares["Residual"]) / values.size
    assert estimates.crossed(moments_of(values)).error ** 2 == pytest.approx(expected)


def test_without_known_squares_nothing_is_taken_away():
    values = np.random.default_rng(0).normal(size=(3, 5))
    moments = moments_of(values)
    unknown = Moments(*(getattr(moments, name) for name in ("mean", "sd", "count", "rows", "row_sd")), math.nan)
    assert estimates.crossed(unknown).error ** 2 == pytest.approx(moments.sd**2 / 3 + moments.row_sd**2 / 5)


def test_the_crossed_interval_holds_its_level():
    """Places, rows and both drawn at random: 95% of 2000 intervals hold the mean, up to 4 standard errors."""
    rng = np.random.default_rng(0)
    draws, places, rows = 2000, 8, 40
    values = rng.normal(size=(draws, places, rows)) + 0.3 * rng.normal(size=(draws, places, 1))
    values += rng.normal(size=(draws, 1, rows))
    by_place, by_row = values.mean(2), values.mean(1)
    moments = Moments(
        values.mean((1, 2)), by_place.std(1, ddof=1), places, rows, by_row.std(1, ddof=1), (values**2).mean((1, 2))
    )
    found = estimates.crossed(moments)
    covered = ((found.ci_low <= 0) & (found.ci_high >= 0)).mean()
    assert covered > 0.95 - 4 * np.sqrt(0.95 * 0.05 / draws)
    assert covered < 0.98


@pytest.mark.parametrize(("value", "p"), [(0, 1), (2, 1 / 16), (-2, 1 / 16)], ids=["all zero", "all two", "all minus two"])
def test_values_without_spread_have_the_sign_test_and_no_interval(value, p):
    found = estimates.estimate([value] * 5)
    assert (found.error, found.p) == (0, p)
    assert np.isnan([found.ci_low, found.ci_high, found.freedom]).all()
    assert np.isnan(estimates.rope_probabilities(found, 1)).all()
    assert not estimates.equivalent(found, 100)


def test_equal_values_that_were_added_in_another_order_have_no_spread():
    assert estimates.crossed(Moments(0.3, 1e-17, 10)).error == 0


def test_one_value_has_a_mean_and_nothing_else():
    found = estimates.crossed(Moments(np.array([1.0, 2.0]), np.full(2, np.nan), 1))
    assert found.mean.tolist() == [1, 2]
    assert np.isnan([found.error, found.ci_low, found.ci_high, found.p]).all()


@pytest.mark.parametrize("values", [[1], [1, math.nan], 1.0], ids=["one", "not finite", "no list"])
def test_what_no_mean_is_estimated_from(values):
    with pytest.raises(ValueError, match="two or more finite values"):
        estimates.estimate(values)


def test_the_corrected_interval_holds_its_level():
    """Values of k folds correlate by 1/k when nothing but the training set varies: simulated coverage of 95%."""
    rng = np.random.default_rng(0)
    folds, draws = 10, 2000
    values = rng.normal(size=(draws, 1)) * np.sqrt(1 / folds) + rng.normal(size=(draws, folds)) * np.sqrt(1 - 1 / folds)
    found = estimates.estimate(values, 1 / 9)
    covered = ((found.ci_low <= 0) & (found.ci_high >= 0)).mean()
    # 4 standard errors of the simulation
    assert abs(covered - 0.95) < 4 * np.sqrt(0.95 * 0.05 / draws)


def of_mean(mean, error, freedom):
    return Estimate(mean, math.nan, 10, error, freedom, math.nan, math.nan, math.nan)


def test_an_interval_within_percent_by_hand():
    found = estimates.within(of_mean(2.0, 1.0, 9))
    # share 0.02, effective size 0.02 x 0.98 / 0.01^2 = 196; t(0.975, 9) = 2.262157, whose square over 196 is 0.0261092
    term = 2.262157**2 / 196
    half = math.sqrt(term * 0.02 * 0.98 + term**2 / 4)
    ends = [100 * (0.02 + term / 2 + sign * half) / (1 + term) for sign in (-1, 1)]
    assert (found.ci_low, found.ci_high) == pytest.approx(ends, rel=1e-6)
    assert found.mean == 2


@pytest.mark.parametrize(("count", "total"), [(1, 1000), (5, 10), (999, 1000), (3, 864)])
def test_with_binomial_error_it_is_the_interval_of_scipy(count, total):
    mean = 100 * count / total
    found = estimates.within(of_mean(mean, math.sqrt(mean * (100 - mean) / total), math.inf))
    expected = stats.binomtest(count, total).proportion_ci(0.95, method="wilson")
    assert (found.ci_low, found.ci_high) == pytest.approx((100 * expected.low, 100 * expected.high))


def test_it_lies_between_0_and_100():
    mean, error = (each.ravel() for each in np.meshgrid([0.01, 1, 50, 99, 99.99], [1e-3, 1, 30, 1000]))
    found = estimates.within(of_mean(mean, error, np.full(mean.shape, 1.0)))
    assert ((found.ci_low >= 0) & (found.ci_low < mean) & (mean < found.ci_high) & (found.ci_high <= 100)).all()


@pytest.mark.parametrize(("mean", "error"), [(0.0, 0.0), (100.0, 0.0), (40.0, 0.0), (40.0, math.nan)])
def test_without_an_error_there_is_no_interval_within_percent(mean, error):
    found = estimates.within(of_mean(mean, error, math.nan))
    assert np.isnan([found.ci_low, found.ci_high]).all()


def test_a_rate_of_places_that_vary_binomially_is_about_that_of_scipy():
    """200 places of 25 trials each, 20% of which fail: the spread over places is that of independent trials."""
    share = stats.binom.ppf((np.arange(200) + 0.5) / 200, 25, 0.2) / 25
    low, high = estimates.rate(share[None], 200 * 25)
    expected = stats.binomtest(round(share.mean() * 5000), 5000).proportion_ci(0.95, method="wilson")
    assert (low[0], high[0]) == pytest.approx((100 * expected.low, 100 * expected.high), rel=0.01)


def test_a_rate_is_no_surer_than_independent_trials_and_less_sure_where_they_fail_together():
    even, together = np.array([0.25, 0.25, 0.25, 0.26]), np.array([0.0, 0, 0, 1.01])
    low, high = estimates.rate(np.stack([even, together]), np.array([40, 40]))
    quantile = stats.t.ppf(0.975, 3)
    expected = [100 * each for each in estimates.wilson_ends(even.mean(), 40.0, quantile)]
    assert [low[0], high[0]] == pytest.approx(expected)
    assert high[1] - low[1] > 2 * (high[0] - low[0])


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_a_rate_that_is_the_same_everywhere_has_no_interval(share):
    assert np.isnan(estimates.rate(np.full((1, 5), share), [100])).all()


def test_rope_probabilities_by_hand():
    found = estimates.estimate([1, 2, 3, 6])
    below, within, above = estimates.rope_probabilities(found, 1)
    assert below == pytest.approx(stats.t.cdf(-4 / found.error, 3))
    assert above == pytest.approx(stats.t.cdf(2 / found.error, 3))
    assert below + within + above == pytest.approx(1)


@pytest.mark.parametrize("mean", [0.0, 0.3, -0.3, 0.6])
def test_equivalence_is_two_one_sided_tests(mean):
    values = mean + np.array([-0.4, -0.1, 0.0, 0.1, 0.4])
    tests = [stats.ttest_1samp(values, end, alternative=side).pvalue for end, side in ((-0.7, "greater"), (0.7, "less"))]
    assert estimates.equivalent(estimates.estimate(values), 0.7) == (max(tests) < 0.05)


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
    assert estimates.holm(p) == pytest.approx(adjusted, nan_ok=True)


@pytest.mark.parametrize(("freedom", "added", "common"), [(9, 4, 2.0), (4, 10, 0.5), (19, 30, 1.0)])
def test_the_prior_of_variances_is_recovered(freedom, added, common):
    """Variances s0^2 F(d, d0), as they are where the true ones have a scaled inverse chi-squared prior."""
    variances = common * stats.f.rvs(freedom, added, size=100_000, random_state=0)
    found = estimates.prior_of_variances(variances, freedom)
    assert found == pytest.approx((added, common), rel=0.1)


def test_equal_variances_have_a_prior_of_infinite_degrees_of_freedom():
    variances = 3 * stats.chi2.rvs(9, size=2000, random_state=0) / 9
    freedom, common = estimates.prior_of_variances(variances * 0 + 3.0, 9)
    assert (freedom, common) == (math.inf, pytest.approx(3 * math.exp(-stats_offset(9))))
    freedom, common = estimates.prior_of_variances(variances, 9)
    assert freedom > 200
    assert common == pytest.approx(3, rel=0.05)


def stats_offset(freedom):
    """E log(chi-squared / freedom)."""
    return float(stats.chi2(freedom).expect(np.log) - math.log(freedom))


@pytest.mark.parametrize("variances", [[], [1.0, 2.0], [0.0, 0.0, 0.0, 1.0, 2.0]], ids=["none", "two", "two above 0"])
def test_few_variances_have_no_prior(variances):
    assert estimates.prior_of_variances(np.array(variances), 5) == (0, 1)


def test_a_resolvable_difference_is_seen_four_times_in_five():
    rng = np.random.default_rng(0)
    draws, count = 4000, 10
    values = rng.normal(estimates.resolvable(1, count), size=(draws, count))
    seen = (estimates.estimate(values).p < estimates.ALPHA).mean()
    assert abs(seen - 0.8) < 4 * np.sqrt(0.8 * 0.2 / draws)


def test_rows_make_less_resolvable_with_more_degrees_of_freedom():
    # variance 1/10 + 0.3^2 = 0.19; freedom 9 (0.19 / 0.1)^2 = 32.49
    expected = (stats.t.ppf(0.975, 32.49) + stats.t.ppf(0.8, 32.49)) * math.sqrt(0.19)
    assert estimates.resolvable(1, 10, 0.0, 0.3) == pytest.approx(expected)
    # rows alone: a normal distribution
    assert estimates.resolvable(0, 10, 0.0, 0.3) == pytest.approx(0.3 * (1.959964 + 0.841621), rel=1e-6)


@pytest.mark.parametrize(
    ("sd", "difference", "overlap", "values"),
    [(1, 1, 0, 8), (2, 1, 0, 32), (0, 1, 0, 2), (1, 0.5, 1 / 9, None)],
    ids=["one sd", "half an sd", "no spread", "the overlap is larger"],
)
def test_values_needed(sd, difference, overlap, values):
    assert estimates.needed(sd, difference, overlap) == values


@pytest.mark.parametrize("difference", [3.0, 1.65, 1.0, 0.3])
def test_the_least_number_of_values_has_the_power_of_a_t_test(difference):
    def power(count):
        beyond, shift = stats.t.ppf(0.975, count - 1), difference * math.sqrt(count)
        return stats.nct.sf(beyond, count - 1, shift) + stats.nct.cdf(-beyond, count - 1, shift)

    count = estimates.least_count(lambda number: estimates.resolvable(1, number), difference)
    assert power(count - 1) < 0.81
    assert power(count) > 0.78


def test_no_number_of_values_shows_a_difference_below_that_of_the_most():
    assert estimates.least_count(lambda number: estimates.resolvable(1, number), 1e-4) is None
