"""Shares of variance by hand, against statsmodels, and in synthetic grids where the truth is planted."""

import itertools

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from statsmodels.stats.anova import anova_lm

from studies import effects
from studies.inference import Sampling

FIXED, FRESH = Sampling(5, fresh=False), Sampling(0, fresh=True)


def trials(grid, values, **columns):
    """One trial for each configuration of `grid` and each fold, with these test errors in percent `(configurations, folds)`."""
    count = values.shape[1]
    table = grid.loc[grid.index.repeat(count)].reset_index(drop=True)
    table["config"] = np.repeat([f"c{index}" for index in range(len(grid))], count)
    table["repeat"] = 0
    table["fold"] = np.tile(range(count), len(grid))
    table["n_train"] = table["n_test"] = 10_000
    table["n_val"] = 0
    table["train_errors"] = table["test_errors"] = (100 * np.asarray(values)).round().astype(int).ravel()
    return table.assign(**{"diverged": False, "stuck": False, "status": "ok", **columns})


def full(*sizes):
    names = "abcde"[: len(sizes)]
    return pd.DataFrame(itertools.product(*(range(size) for size in sizes)), columns=list(names)).astype(str)


def shares_of(grid, means):
    codes = np.column_stack([pd.factorize(grid[factor])[0] for factor in grid])
    return effects.shares(np.asarray(means, dtype=float)[:, None], codes)


def test_shares_by_hand():
    # means 1, 3 / 5, 11: grand mean 5; rows -3, +3; columns -2, +2; interaction 1, -1, -1, 1
    found, methods = shares_of(full(2, 2), [1, 3, 5, 11])
    assert found[:, 0] == pytest.approx([100 * 9 / 14, 100 * 4 / 14, 100 * 1 / 14, 0], abs=1e-9)
    assert set(methods) == {"exact"}


def anova(grid, means):
    """The shares by statsmodels: sums of squares of type II of the model with all pairs, over the total."""
    formula = "y ~ (" + " + ".join(f"C({factor})" for factor in grid) + ")**2"
    table = anova_lm(smf.ols(formula, grid.assign(y=means)).fit(), typ=2)["sum_sq"]
    return 100 * table.to_numpy() / ((means - means.mean()) ** 2).sum()


@pytest.mark.parametrize("dropped", [0, 5], ids=["full grid", "five holes"])
def test_shares_are_those_of_statsmodels(dropped):
    rng = np.random.default_rng(0)
    grid = full(4, 3, 3).sample(36 - dropped, random_state=1).reset_index(drop=True)
    means = rng.normal(size=len(grid)) + grid["a"].astype(int) * grid["b"].astype(int)
    found, methods = shares_of(grid, means)
    assert found[:, 0] == pytest.approx(anova(grid, means), abs=1e-8)
    assert set(methods) == {"model fit" if dropped else "exact"}


def test_the_model_fit_of_a_full_grid_is_exact(monkeypatch):
    grid = full(3, 3, 2)
    means = np.random.default_rng(0).normal(size=18)
    exact, _ = shares_of(grid, means)
    monkeypatch.setattr(effects, "_exact", effects._fitted)
    fitted, methods = shares_of(grid, means)
    assert set(methods) == {"model fit"}
    assert fitted == pytest.approx(exact)


def test_one_at_a_time_separates_factors_but_no_pairs():
    grid = pd.DataFrame({"a": list("xyzx"), "b": list("pppq")})
    found, methods = shares_of(grid, [1, 2, 4, 3])
    assert methods == ["model fit", "model fit", "confounded", "confounded"]
    assert np.isnan(found[2:, 0]).all()
    # without a: means 7/3 of p and 3 of q explain 1/3 of 5; without b: 2, 2, 4 explain 3 of 5; all of it with both
    assert found[:2, 0] == pytest.approx([100 * (5 - 1 / 3) / 5, 100 * 2 / 5])


def test_factors_that_change_together_are_refused():
    grid = pd.DataFrame({"a": list("xxyy"), "b": list("ppqq"), "c": list("uvuv")})
    found, methods = shares_of(grid, [1, 2, 4, 7])
    assert methods[:2] == ["confounded", "confounded"]
    assert np.isnan(found[:2, 0]).all()
    assert methods[2] == "model fit"


def test_the_table_has_factors_pairs_and_the_rest():
    table = effects.effects(trials(full(2, 2), np.array([[1, 3], [2, 4], [5, 7], [10, 12]])), ["a", "b"], FIXED, 50)
    assert table[["effect", "order", "method"]].to_numpy().tolist() == [
        ["a", 1, "exact"],
        ["b", 1, "exact"],
        ["a x b", 2, "exact"],
        ["all higher interactions", 0, "exact"],
    ]
    # means 2, 3, 6, 11: grand mean 5.5; rows -3, +3; columns -1.5, +1.5; interaction 1, -1, -1, 1
    assert table["share_pct"].tolist() == pytest.approx([100 * 9 / 12.25, 100 * 2.25 / 12.25, 100 * 1 / 12.25, 0], abs=1e-6)
    # ranks 1 2 3 4
    assert table["rank_share_pct"].tolist() == pytest.approx([80, 20, 0, 0], abs=1e-6)
    # every fold says the same
    assert table["share_ci_low_pct"].tolist() == pytest.approx(table["share_pct"].tolist(), abs=1e-6)


def test_a_cell_that_fails_is_in_no_working_share():
    values = np.array([[1.0], [2], [3], [4], [5], [50]])
    grid = full(3, 2)
    table = effects.effects(trials(grid, values), ["a", "b"], FRESH, 50).set_index("effect")
    kept = grid[:5]
    assert table.loc["a", "working_share_pct"] == pytest.approx(shares_of(kept, values[:5, 0])[0][0, 0], abs=1e-6)
    assert table["working_method"].tolist()[:2] == ["model fit", "model fit"]
    assert table["share_ci_low_pct"].isna().all()
    stuck = trials(grid, np.array([[1.0], [2], [3], [4], [5], [6]]), stuck=[False] * 5 + [True])
    again = effects.effects(stuck, ["a", "b"], FRESH, 50).set_index("effect")
    assert again.loc["a", "working_share_pct"] == table.loc["a", "working_share_pct"]


def test_a_configuration_with_a_failed_trial_is_left_out():
    rows = trials(full(2, 3), np.arange(12.0).reshape(6, 2) ** 2)
    rows[["train_errors", "test_errors"]] = rows[["train_errors", "test_errors"]].astype("Int64")
    rows.loc[0, ["train_errors", "test_errors", "status"]] = [pd.NA, pd.NA, "failed"]
    found = effects.effects(rows, ["a", "b"], FIXED, 1000)
    kept = effects.effects(rows[rows["config"] != "c0"], ["a", "b"], FIXED, 1000)
    pd.testing.assert_frame_equal(found, kept)
    assert set(found["method"][:2]) == {"model fit"}


@pytest.mark.parametrize(
    ("grid", "values"), [(full(3), [[1.0], [2], [3]]), (full(2, 2), [[2.0]] * 4)], ids=["one factor", "all errors equal"]
)
def test_what_has_no_shares(grid, values):
    assert effects.effects(trials(grid, np.array(values)), list(grid), FRESH, 50).empty


def synthetic(rng, folds=10):
    """A planted main effect of a and interaction of a and b, none of c, and noise that folds of one data set share in part."""
    grid = full(4, 3, 3)
    a, b = grid["a"].astype(int).to_numpy(), grid["b"].astype(int).to_numpy()
    truth = 20 + 2.0 * a + 4.0 * (a == 1) * (b == 2)
    shared, own = rng.normal(size=(36, 1)), rng.normal(size=(36, folds))
    return grid, truth, truth[:, None] + np.sqrt(1 / folds) * shared + np.sqrt(1 - 1 / folds) * own


def test_a_planted_interaction_is_found_and_a_planted_null_is_not():
    grid, _, values = synthetic(np.random.default_rng(0))
    table = effects.effects(trials(grid, values), list(grid), Sampling(10, fresh=False), 100).set_index("effect")
    low = table["share_ci_low_pct"]
    assert low["a"] > 20
    assert low["a x b"] > 5
    assert (low[["c", "a x c", "b x c", "all higher interactions"]] == 0).all()
    assert (table["share_ci_high_pct"][["c", "a x c"]] < 5).all()


def test_intervals_hold_the_true_shares():
    rng = np.random.default_rng(0)
    grid, truth, _ = synthetic(rng)
    codes = np.column_stack([grid[factor].astype(int) for factor in grid])
    true = effects.shares(truth[:, None], codes)[0][:, 0]
    draws = 300
    covered = np.zeros(len(true))
    for _ in range(draws):
        found, _ = effects.shares(effects._means(synthetic(rng)[2]), codes)
        low, high = effects.interval(found, 1 / 9)
        covered += (low <= true + 1e-9) & (true - 1e-9 <= high)
    assert (covered / draws > 0.9).all()
