"""Shares of variance by hand, against statsmodels, and in synthetic grids where the truth is planted."""

import itertools

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from builders import random_bits, scores_of, trials
from statsmodels.stats.anova import anova_lm

from studies.analysis import effects, scores
from studies.analysis.estimates import ALPHA, estimate, holm
from studies.spec.sampling import Sampling

ONE = Sampling(0, 1)


def full(*sizes):
    names = "abcde"[: len(sizes)]
    return pd.DataFrame(itertools.product(*(range(size) for size in sizes)), columns=list(names)).astype(str)


def shares_of(grid, values, sampling=None, logarithm=False):
    """The shares of errors in percent, `(configurations,)` or `(configurations, places)`."""
    values = np.asarray(values, dtype=float)
    found = scores_of(values if values.ndim == 2 else values[:, None], sampling)
    return effects.shares(found, effects.codes_of(grid), logarithm)


def table_of(grid, values, sampling=ONE, guess=100.0, **columns):
    """The table of `effects` from errors in percent with two decimals, `(configurations, places)`."""
    counts = (100 * np.asarray(values)).round()
    errors = {" ".join(levels): row for levels, row in zip(grid.itertuples(index=False), counts, strict=True)}
    rows = trials(errors, "".join(grid), rows=10_000).assign(**columns)
    return effects.measure_effects(rows, list(grid), scores.of(rows, sampling), guess)


def test_shares_of_one_value_each_by_hand():
    # means 1, 3 / 5, 11: grand mean 5; rows -3, +3; columns -2, +2; interaction 1, -1, -1, 1
    found = shares_of(full(2, 2), [1, 3, 5, 11])
    assert found.share == pytest.approx([100 * 9 / 14, 100 * 4 / 14, 100 * 1 / 14, 0], abs=1e-9)
    assert set(found.methods) == {"exact"}
    assert np.isnan([found.ci_low, found.ci_high, found.p]).all()


def test_the_bias_of_a_share_is_taken_away_by_hand():
    """Two places: means 1, 3 / 5, 11 as above, and half differences d between them."""
    half = np.array([0.5, -0.5, 1.0, 0.0])
    values = np.array([1, 3, 5, 11])[:, None] + np.outer(half, [1, -1])
    found = shares_of(full(2, 2), values)
    # The variance of the mean of c + d, c - d is d^2; that of a contrast with signs s and weights 1/2 is (s d)^2 / 4.
    signs = np.array([[-1, -1, 1, 1], [-1, 1, -1, 1], [1, -1, -1, 1]])
    noise = (signs @ half) ** 2 / 4
    whole = ((half - half.mean()) ** 2).sum()
    squares, total = 4 * np.array([9, 4, 1]), 4 * 14
    assert found.share[:3] == pytest.approx(100 * (squares - noise) / (total - whole))
    assert found.share.sum() == pytest.approx(100)


def test_a_share_of_the_logarithm_is_of_ratios():
    # errors that a doubles and b multiplies by eight; half a row of 1000 is added to each
    means = np.array([1, 8, 2, 16]) - 0.05
    found = shares_of(full(2, 2), means, logarithm=True)
    assert found.share == pytest.approx([10, 90, 0, 0], abs=1e-9)


def anova(grid, means):
    """The shares by statsmodels: sums of squares of type II of the model with all pairs, over the total."""
    formula = "y ~ (" + " + ".join(f"C({factor})" for factor in grid) + ")**2"
    table = anova_lm(smf.ols(formula, grid.assign(y=means)).fit(), typ=2)["sum_sq"]
    return 100 * table.to_numpy() / ((means - means.mean()) ** 2).sum()


@pytest.mark.parametrize("dropped", [0, 5], ids=["full grid", "five holes"])
def test_shares_of_one_value_each_are_those_of_statsmodels(dropped):
    rng = np.random.default_rng(0)
    grid = full(4, 3, 3).sample(36 - dropped, random_state=1).reset_index(drop=True)
    means = rng.normal(size=len(grid)) + grid["a"].astype(int) * grid["b"].astype(int) + 20
    found = shares_of(grid, means)
    assert found.share == pytest.approx(anova(grid, means), abs=1e-6)
    assert set(found.methods) == {"model fit" if dropped else "exact"}


def test_the_model_fit_of_a_full_grid_is_exact(monkeypatch):
    grid = full(3, 3, 2)
    values = np.random.default_rng(0).normal(20, 1, (18, 4))
    exact = shares_of(grid, values)
    monkeypatch.setattr(effects, "is_full", lambda _: False)
    fitted = shares_of(grid, values)
    assert set(fitted.methods) == {"model fit"}
    for name in ("share", "p", "ci_low", "ci_high"):
        assert getattr(fitted, name) == pytest.approx(getattr(exact, name), nan_ok=True, abs=1e-9), name


@pytest.mark.parametrize("overlap", [False, True], ids=["repeats", "folds left out"])
def test_an_effect_of_one_degree_of_freedom_is_tested_by_t(overlap):
    values = np.random.default_rng(0).normal(20, 1, (4, 8)) + np.array([0, 0, 1.5, 1])[:, None]
    found = shares_of(full(2, 2), values, Sampling(8, judged="val") if overlap else None)
    signs = np.array([[-1, -1, 1, 1], [-1, 1, -1, 1], [1, -1, -1, 1]])
    expected = [estimate(contrast, 1 / 7 if overlap else 0.0).p for contrast in signs @ values]
    assert found.p[:3] == pytest.approx(holm(expected))


def test_one_at_a_time_separates_factors_but_no_pairs():
    grid = pd.DataFrame({"a": list("xyzx"), "b": list("pppq")})
    found = shares_of(grid, [1, 2, 4, 3])
    assert found.methods == ["model fit", "model fit", "confounded", "confounded"]
    assert np.isnan(found.share[2:]).all()
    # without a: means 7/3 of p and 3 of q explain 1/3 of 5; without b: 2, 2, 4 explain 3 of 5; all of it with both
    assert found.share[:2] == pytest.approx([100 * (5 - 1 / 3) / 5, 100 * 2 / 5])


def test_factors_that_change_together_are_refused():
    grid = pd.DataFrame({"a": list("xxyy"), "b": list("ppqq"), "c": list("uvuv")})
    values = np.array([1, 2, 4, 7])[:, None] + np.random.default_rng(0).normal(size=(4, 5))
    found = shares_of(grid, values)
    assert found.methods[:2] == ["confounded", "confounded"]
    assert np.isnan([each[:2] for each in (found.share, found.ci_low, found.ci_high, found.p)]).all()
    assert found.methods[2] == "model fit"
    assert np.isfinite([found.share[2], found.p[2]]).all()


def test_the_table_has_factors_pairs_and_the_rest():
    table = table_of(full(2, 2), np.array([[1, 3], [2, 4], [5, 7], [10, 12]]), Sampling(2))
    assert table[["effect", "order", "method", "working_method"]].to_numpy().tolist() == [
        ["a", 1, "exact", "too few"],
        ["b", 1, "exact", "too few"],
        ["a x b", 2, "exact", "too few"],
        ["all higher interactions", 0, "exact", "too few"],
    ]
    # means 2, 3, 6, 11: grand mean 5.5; rows -3, +3; columns -1.5, +1.5; interaction 1, -1, -1, 1
    assert table["share_pct"].tolist() == pytest.approx([100 * 9 / 12.25, 100 * 2.25 / 12.25, 100 * 1 / 12.25, 0], abs=1e-6)
    assert table["interval"].unique().tolist() == [Sampling(2).words]


def test_where_folds_say_the_same_no_interval_is_made_of_it():
    """No spread: nothing is known of chance."""
    table = table_of(full(2, 2), np.array([[1, 3], [2, 4], [5, 7], [10, 12]]), Sampling(2))
    assert table[["share_ci_low_pct", "share_ci_high_pct", "share_p"]].isna().all(axis=None)


def test_cells_that_do_not_work_are_in_no_working_share():
    grid = full(4, 4)
    values = np.random.default_rng(0).normal(10, 1, (16, 3)).round(2) + 3 * grid["a"].astype(int).to_numpy()[:, None]
    bad = values.copy()
    bad[15] = 60  # more than half of a guess
    found = table_of(grid, bad, Sampling(3)).set_index("effect")
    kept = shares_of(grid[:15], values[:15], Sampling(3, rows=1000))
    assert found["working_share_pct"].tolist() == pytest.approx(kept.share.tolist(), nan_ok=True, abs=1e-6)
    assert found["working_share_p"].tolist() == pytest.approx(kept.p.tolist(), nan_ok=True, abs=1e-6)
    assert found["working_method"].tolist()[:2] == ["model fit", "model fit"]
    stuck = table_of(grid, values, Sampling(3), stuck=np.arange(48) == 46).set_index("effect")
    assert stuck["working_share_pct"].equals(found["working_share_pct"])
    assert set(stuck["method"]) == {"exact"}


@pytest.mark.parametrize(
    ("works", "method"),
    [("a < '2'", "too few"), ("a > '0'", "exact"), ("b == '0'", "too few")],
    ids=["eight", "twelve", "four of one level"],
)
def test_where_few_work_there_are_no_working_shares(works, method):
    grid = full(4, 4)
    bad = np.where(grid.index.isin(grid.query(works).index), 0, 50)[:, None]
    table = table_of(grid, np.random.default_rng(0).normal(10, 1, (16, 3)) + bad, Sampling(3))
    assert table["working_method"][0] == method
    assert table["working_share_pct"].isna().all() == (method == "too few")


def test_a_factor_of_one_level_where_it_works_has_no_share():
    grid = full(2, 4, 3)
    values = np.random.default_rng(0).normal(10, 1, (24, 3)) + np.where(grid["a"] == "1", 50, 0)[:, None]
    table = table_of(grid, values, Sampling(3)).set_index("effect")
    assert table["working_method"][["a", "b", "a x b", "b x c"]].tolist() == ["one level", "exact", "one level", "exact"]
    assert table["working_share_pct"][["a", "a x b", "a x c"]].isna().all()
    assert table["working_share_pct"][["b", "c", "b x c"]].notna().all()


def test_a_configuration_with_a_failed_trial_is_left_out():
    grid = full(2, 3)
    values = np.arange(12.0).reshape(6, 2) ** 2 / 2
    errors = {" ".join(levels): 100 * row for levels, row in zip(grid.itertuples(index=False), values, strict=True)}
    rows = trials({**errors, "0 0": [None, 50]}, "ab", rows=10_000)
    found = effects.measure_effects(rows, ["a", "b"], scores.of(rows, Sampling(2)), 1000)
    rest = rows[rows["config"] != "0 0"]
    pd.testing.assert_frame_equal(found, effects.measure_effects(rest, ["a", "b"], scores.of(rest, Sampling(2)), 1000))
    assert set(found["method"][:2]) == {"model fit"}


@pytest.mark.parametrize(
    ("grid", "values"), [(full(3), [[1.0], [2], [3]]), (full(2, 2), [[2.0]] * 4)], ids=["one factor", "all errors equal"]
)
def test_what_has_no_shares(grid, values):
    assert table_of(grid, values).empty


# Levels and shares in simulations.


def planted(rng, grid, places, noise, overlap=0.0):
    """A main effect of a and an interaction of a and b, none of c; `noise` is the sd of each configuration."""
    a, b = (grid[name].astype(int).to_numpy() for name in "ab")
    truth = 20 + 2.0 * a + 4.0 * (a == 1) * (b == 2)
    own = rng.normal(size=(len(grid), places)) * np.sqrt(1 - overlap) + rng.normal(size=(len(grid), 1)) * np.sqrt(overlap)
    return truth, truth[:, None] + rng.normal(size=places) + own * noise


def test_a_planted_interaction_is_found_and_a_planted_null_is_not():
    grid = full(4, 3, 3)
    _, values = planted(np.random.default_rng(0), grid, 10, 1.0, overlap=0.1)
    found = shares_of(grid, values, Sampling(10, judged="val"))
    names = ["a", "b", "c", "a x b", "a x c", "b x c", "rest"]
    p, low = (dict(zip(names, each, strict=True)) for each in (found.p, found.ci_low))
    assert p["a"] < 0.001
    assert p["a x b"] < ALPHA
    assert low["a"] > 20
    assert all(p[name] > ALPHA and low[name] == 0 for name in ("c", "a x c", "b x c"))


@pytest.mark.parametrize(
    "noise", [np.ones((36, 1)), np.geomspace(0.3, 3, 36)[:, None]], ids=["equal variances", "unequal variances"]
)
def test_shares_are_unbiased_and_their_intervals_hold_them(noise):
    rng = np.random.default_rng(0)
    grid, draws = full(4, 3, 3), 150
    truth, _ = planted(rng, grid, 10, noise)
    true = shares_of(grid, truth).share[:6]
    found = [shares_of(grid, planted(rng, grid, 10, noise)[1]) for _ in range(draws)]
    share, low, high = (np.array([getattr(each, name)[:6] for each in found]) for name in ("share", "ci_low", "ci_high"))
    # shares below 0 are cut off, so that those of no effect are a little large
    assert share.mean(0) == pytest.approx(true, abs=1.5)
    uncorrected = np.array([shares_of(grid, planted(rng, grid, 10, noise)[1].mean(1)).share[5] for _ in range(20)])
    assert uncorrected.mean() > share[:, 5].mean()
    known = np.isfinite(low[:, 0])
    assert known.mean() > 0.95
    # none is given where the test finds an effect and the interval would contain 0
    covered = np.isnan(low) | ((low <= true + 1e-9) & (true - 1e-9 <= high))
    assert (covered[known].mean(0) >= 0.93).all()
    assert covered[known].all(1).mean() >= 0.93


NULLS = {
    "equal variances": (Sampling(0, 10, fresh=True), np.ones((36, 1))),
    "unequal variances": (Sampling(0, 10, fresh=True), np.geomspace(0.1, 10, 36)[:, None]),
    "one wild configuration": (Sampling(0, 10, fresh=True), np.where(np.arange(36) == 7, 30.0, 1.0)[:, None]),
    "folds left out": (Sampling(10, judged="val"), np.geomspace(0.3, 3, 36)[:, None]),
}


@pytest.mark.parametrize(("sampling", "noise"), NULLS.values(), ids=NULLS)
def test_without_any_effect_at_most_7_of_100_studies_find_one(sampling, noise):
    rng = np.random.default_rng(0)
    grid, draws = full(4, 3, 3), 300
    noise = rng.permutation(noise)
    share = 0.1 if sampling.left_out else 0.0
    told = 0
    for _ in range(draws):
        own = rng.normal(size=(36, 10)) * np.sqrt(1 - share) + rng.normal(size=(36, 1)) * np.sqrt(share)
        found = shares_of(grid, 50 + rng.normal(size=10) + own * noise, sampling)
        told += (found.p[:6] < ALPHA).any()
    assert told / draws <= 0.07


def test_rows_that_all_are_judged_on_make_no_effects():
    rng = np.random.default_rng(0)
    grid, draws = full(2, 3, 2), 60
    codes = effects.codes_of(grid)
    found = [effects.shares(scores_of(None, wrong=random_bits(rng, 12, 6, 200)), codes) for _ in range(draws)]
    assert np.mean([(each.p[:6] < ALPHA).any() for each in found]) <= 0.07
