"""Statistics against numbers worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from studies import analysis, inference
from studies.inference import Sampling


def rows(errors, **columns):
    """Trials of one configuration, one per fold, with these test errors of 100."""
    count = len(errors)
    table = {
        "config": "c",
        "repeat": 0,
        "fold": range(count),
        "n_train": 200,
        "n_val": 0,
        "n_test": 100,
        "train_errors": 2 * pd.Series(errors, dtype="Int64"),
        "val_errors": [None] * count,
        "test_errors": pd.Series(errors, dtype="Int64"),
        "diverged": False,
        "stuck": False,
        "status": "ok",
        **columns,
    }
    return pd.DataFrame(table)


def test_a_summary_by_hand():
    summary = analysis.summarise(rows([1, 2, 3, 6]), ["config"], Sampling(folds=4, fresh=False)).iloc[0]
    assert summary["trials"] == 4
    assert summary["test_mean_pct"] == 3
    assert summary["test_median_pct"] == 2.5
    assert summary["test_sd_pct"] == pytest.approx(np.sqrt(14 / 3))
    assert summary["train_mean_pct"] == 3
    # Nadeau and Bengio: variance 14/3 times (1/4 + 1/3); t of 3 degrees of freedom at 97.5% is 3.18245
    half = 3.182446 * np.sqrt(14 / 3 * (1 / 4 + 1 / 3))
    assert summary["test_ci_low_pct"] == pytest.approx(3 - half, rel=1e-6)
    assert summary["test_ci_high_pct"] == pytest.approx(3 + half, rel=1e-6)
    assert "val_mean_pct" not in summary


def test_repeats_with_fresh_data_have_a_plain_t_interval_over_their_means():
    trials = pd.concat([rows([1, 3], repeat=0), rows([3, 5], repeat=1), rows([8, 10], repeat=2)])
    summary = analysis.summarise(trials, ["config"], Sampling(folds=2, fresh=True)).iloc[0]
    # means 2, 4, 9: mean 5, variance 13
    half = stats.t.ppf(0.975, 2) * np.sqrt(13 / 3)
    assert summary["test_ci_high_pct"] - summary["test_mean_pct"] == pytest.approx(half)


def test_one_value_has_no_interval():
    summary = analysis.summarise(rows([4]), ["config"], Sampling(folds=0, fresh=False)).iloc[0]
    assert np.isnan(summary["test_ci_low_pct"])
    assert np.isnan(summary["test_sd_pct"])


def test_failures_stay_and_are_counted():
    trials = rows([1, 50, None], diverged=[False, True, None], stuck=[False, True, None], status=["ok", "ok", "failed"])
    summary = analysis.summarise(
        trials.astype({"diverged": "boolean", "stuck": "boolean"}), ["config"], Sampling(3, fresh=False)
    )
    assert summary[["trials", "diverged", "stuck", "failed"]].iloc[0].tolist() == [3, 1, 1, 1]
    assert summary["test_mean_pct"].iloc[0] == 25.5


def test_levels_average_over_the_rest_of_the_grid():
    trials = pd.concat(
        [rows([each, each + 2], a=a, b=b) for a, b, each in [("x", "p", 1), ("x", "q", 3), ("y", "p", 5), ("y", "q", 9)]]
    )
    table = analysis.by_level(trials, ["a", "b"], Sampling(2, fresh=False))
    assert table[["factor", "level", "trials", "test_mean_pct"]].to_numpy().tolist() == [
        ["a", "x", 4, 3.0],
        ["a", "y", 4, 8.0],
        ["b", "p", 4, 4.0],
        ["b", "q", 4, 7.0],
    ]
    # level x by fold: 2 and 4; the interval is of these two, not of four trials
    low = table["test_ci_low_pct"].iloc[0]
    assert 3 - low == pytest.approx(stats.t.ppf(0.975, 1) * np.sqrt(2) * np.sqrt(1 / 2 + 1 / 1))


def test_curves_have_quartiles_by_level():
    trials = pd.concat([rows([1], trial=f"t{i}", factor_a="x") for i in range(5)])
    history = pd.DataFrame({"trial": [f"t{i}" for i in range(5)], "epoch": 10, "train_loss": [1.0, 2, 3, 4, 5],
                            "train_errors": 2, "test_loss": 1.0, "test_errors": [10, 20, 30, 40, 50]})  # fmt: skip
    curve = analysis.curves(trials, history, ["factor_a"]).iloc[0]
    assert (curve["factor"], curve["level"], curve["epoch"]) == ("factor_a", "x", 10)
    assert [curve[f"test_pct_q{q}"] for q in (25, 50, 75)] == [20, 30, 40]
    assert curve["train_loss_q50"] == 3
    assert curve["train_pct_q50"] == 1


@pytest.mark.parametrize(
    ("columns", "expected"),
    [(["train_pct", "val_pct", "test_pct"], "test"), (["train_pct", "val_pct"], "val"), (["train_mean_pct"], "train")],
    ids=["test", "validation", "training"],
)
def test_what_a_table_is_judged_on(columns, expected):
    assert analysis.judged_on(pd.DataFrame(columns=columns)) == expected


def test_the_middle_and_the_ends_of_a_summary():
    errors = [1, 2, 3, 4, 5, 6, 7, 50, 60]
    summary = analysis.summarise(rows(errors), ["config"], Sampling(9, fresh=False)).iloc[0]
    assert summary["test_iqm_pct"] == stats.trim_mean(errors, 0.25) == 5
    assert (summary["test_min_pct"], summary["test_max_pct"]) == (1, 60)


def test_the_middle_half_is_of_each_group_and_of_the_values_there_are():
    trials = pd.concat([rows([1, 2, 3, 40]), rows([7, None, 5, 9, 100]).assign(config="d")])
    trials["status"] = np.where(trials["test_errors"].isna(), "failed", "ok")
    summary = analysis.summarise(trials, ["config"], Sampling(5, fresh=False))
    assert summary["test_iqm_pct"].tolist() == [2.5, 8]


def test_the_working_trials_have_a_mean_of_their_own():
    trials = rows([1, 3, 50, None], stuck=[False, False, True, None], status=["ok"] * 3 + ["failed"])
    trials = pd.concat([trials, rows([50]).assign(config="d", stuck=True)]).astype({"stuck": "boolean"})
    summary = analysis.summarise(trials, ["config"], Sampling(4, fresh=False))
    assert summary["working"].tolist() == [2, 0]
    assert summary["failure_pct"].tolist() == [50, 100]
    expected = stats.binomtest(2, 4).proportion_ci(0.95, method="wilson")
    assert summary.loc[0, ["failure_ci_low_pct", "failure_ci_high_pct"]].tolist() == pytest.approx(
        [100 * expected.low, 100 * expected.high]
    )
    assert summary["test_working_mean_pct"].tolist() == pytest.approx([2, np.nan], nan_ok=True)


def levels_grid(errors):
    """Two factors, two folds: errors by (a, b)."""
    parts = [rows(found, config=f"{a}{b}", a=a, b=b, repeat=0) for (a, b), found in errors.items()]
    return pd.concat(parts, ignore_index=True)


def test_a_level_is_compared_with_the_baseline_in_pairs():
    trials = levels_grid({("x", "p"): [1, 2], ("x", "q"): [3, 6], ("y", "p"): [5, 9], ("y", "q"): [9, 10]})
    table = analysis.by_level(trials, ["a", "b"], Sampling(2, fresh=False), {"a": "x", "b": "q"})
    assert table["baseline"].tolist() == [True, False, False, True]
    # y less x: folds (4 + 6) / 2 = 5 and (7 + 4) / 2 = 5.5
    assert table["difference_pct"].tolist() == pytest.approx([np.nan, 5.25, -2.75, np.nan], nan_ok=True)
    half = stats.t.ppf(0.975, 1) * np.std([5, 5.5], ddof=1) * np.sqrt(1 / 2 + 1)
    assert table["difference_ci_high_pct"][1] == pytest.approx(5.25 + half)
    assert table["holm_p"][1:3].tolist() == pytest.approx(inference.holm(table["p"][1:3]))


def test_a_pair_that_lacks_a_half_or_a_value_is_left_out():
    grid = {("x", "p"): [1, 2], ("x", "q"): [3, 6], ("y", "p"): [5, 9], ("y", "q"): [9, None], ("y", "r"): [90, 90]}
    trials = levels_grid(grid)
    trials["status"] = np.where(trials["test_errors"].isna(), "failed", "ok")
    table = analysis.by_level(trials, ["a", "b"], Sampling(2, fresh=False), {"a": "x", "b": "p"}).set_index("level")
    assert table["difference_pct"][["y", "q", "r"]].tolist() == [5.5, 3, 83]
