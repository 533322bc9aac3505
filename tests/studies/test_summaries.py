"""Summaries and levels against numbers worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from builders import random_bits, trials, trials_of_bits
from scipy import stats

from studies.analysis import estimates, outcomes, scores, summaries
from studies.show import texts
from studies.spec.measures import MEASURES
from studies.spec.sampling import Sampling


def summarised(rows, sampling):
    return summaries.summarise(rows, ["config"], scores.of(rows, sampling))


def leveled(rows, factors, sampling, baseline=None):
    return summaries.by_level(rows, factors, scores.of(rows, sampling), baseline)


def test_a_summary_by_hand():
    summary = summarised(trials({"c": [1, 2, 3, 6]}, judged="val"), Sampling(4, judged="val")).iloc[0]
    assert summary["trials"] == 4
    assert summary["val_mean"] == 3
    assert summary["val_median"] == 2.5
    assert summary["val_sd"] == pytest.approx(np.sqrt(14 / 3))
    assert summary["train_mean"] == 1  # as many errors of three times the rows
    # Nadeau and Bengio: variance 14/3 times (1/4 + 1/3); t of 3 degrees of freedom; Wilson's interval of so many rows
    error = np.sqrt(14 / 3 * (1 / 4 + 1 / 3))
    low, high = estimates.wilson_ends(0.03, 3 * 97 / error**2, 3.182446)
    assert summary["val_ci_low"] == pytest.approx(100 * low, rel=1e-6)
    assert summary["val_ci_high"] == pytest.approx(100 * high, rel=1e-6)
    assert "test_mean" not in summary


def test_rows_that_all_are_judged_on_are_in_the_interval():
    wrong = random_bits(np.random.default_rng(0), 2, 4, 200)
    rows = trials_of_bits(dict(zip("cd", wrong[:, None], strict=True)))
    own = wrong[0]
    moments = estimates.Moments(
        100 * own.mean(), 100 * own.mean(1).std(ddof=1), 4, 200, 100 * own.mean(0).std(ddof=1), 1e4 * own.mean()
    )
    expected = estimates.within(estimates.crossed(moments))
    found = summarised(rows, Sampling(4, rows=200)).iloc[0]
    assert found[["test_ci_low", "test_ci_high"]].tolist() == pytest.approx([expected.ci_low, expected.ci_high])
    without = summarised(rows.drop(columns="wrong"), Sampling(4, rows=200)).iloc[0]
    expected = estimates.within(estimates.estimate(100 * own.mean(1)))
    assert without[["test_ci_low", "test_ci_high"]].tolist() == pytest.approx([expected.ci_low, expected.ci_high])


def test_repeats_with_fresh_data_have_an_interval_over_their_means():
    summary = summarised(trials({"c": [[1, 3], [3, 5], [8, 10]]}), Sampling(2, 3, fresh=True)).iloc[0]
    # means 2, 4, 9: mean 5, variance 13
    low, high = estimates.wilson_ends(0.05, 5 * 95 / (13 / 3), stats.t.ppf(0.975, 2))
    assert summary[["test_ci_low", "test_ci_high"]].tolist() == pytest.approx([100 * low, 100 * high])


def test_one_value_has_no_interval():
    summary = summarised(trials({"c": [4]}), Sampling(0)).iloc[0]
    assert np.isnan(summary["test_ci_low"])
    assert np.isnan(summary["test_sd"])


@pytest.mark.parametrize("errors", [[0, 0, 0], [100, 100, 100], [5, 5, 5]], ids=["no errors", "all wrong", "no spread"])
def test_no_spread_has_no_interval(errors):
    summary = summarised(trials({"c": errors}), Sampling(3)).iloc[0]
    assert summary[["test_ci_low", "test_ci_high"]].isna().all()


def test_failures_stay_and_are_counted():
    rows = trials({"c": [1, 50, None]}, diverged=[False, True, None], stuck=[False, True, None])
    summary = summarised(rows.astype({"diverged": "boolean", "stuck": "boolean"}), Sampling(3))
    assert summary[["trials", "diverged", "stuck", "failed"]].iloc[0].tolist() == [3, 1, 1, 1]
    assert summary["test_mean"].iloc[0] == 25.5


def test_levels_average_over_the_rest_of_the_grid():
    rows = trials({"x p": [1, 3], "x q": [3, 5], "y p": [5, 7], "y q": [9, 11]}, "ab")
    table = leveled(rows, ["a", "b"], Sampling(2))
    assert table[["factor", "level", "trials", "test_mean"]].to_numpy().tolist() == [
        ["a", "x", 4, 3.0],
        ["a", "y", 4, 8.0],
        ["b", "p", 4, 4.0],
        ["b", "q", 4, 7.0],
    ]
    # level x by fold: 2 and 4, of error 1; the interval is of these two, not of four trials
    low, high = estimates.wilson_ends(0.03, 3 * 97.0, stats.t.ppf(0.975, 1))
    assert table.loc[0, ["test_ci_low", "test_ci_high"]].tolist() == pytest.approx([100 * low, 100 * high])


def test_curves_have_quartiles_by_level():
    rows = trials({f"c{i}": [1] for i in range(5)}).assign(trial=[f"t{i}" for i in range(5)], factor_a="x", n_train=200)
    history = pd.DataFrame({"trial": [f"t{i}" for i in range(5)], "epoch": 10, "train_loss": [1.0, 2, 3, 4, 5],
                            "train_errors": 2, "test_loss": 1.0, "test_errors": [10, 20, 30, 40, 50]})  # fmt: skip
    curve = summaries.curves(rows, history, ["factor_a"]).iloc[0]
    assert (curve["factor"], curve["level"], curve["epoch"]) == ("factor_a", "x", 10)
    assert [curve[f"test_error_q{q}"] for q in (25, 50, 75)] == [20, 30, 40]
    assert curve["train_loss_q50"] == 3
    assert curve["train_error_q50"] == 1


@pytest.mark.parametrize(
    ("columns", "expected"),
    [(["train_value", "val_value", "test_value"], "test"), (["train_value", "val_value"], "val"), (["train_mean"], "train")],
    ids=["test", "validation", "training"],
)
def test_what_a_table_is_judged_on(columns, expected):
    assert outcomes.judged_on(pd.DataFrame(columns=columns)) == expected


def test_the_middle_and_the_ends_of_a_summary():
    errors = [1, 2, 3, 4, 5, 6, 7, 50, 60]
    summary = summarised(trials({"c": errors}), Sampling(9)).iloc[0]
    assert summary["test_iqm"] == stats.trim_mean(errors, 0.25) == 5
    assert (summary["test_min"], summary["test_max"]) == (1, 60)


def test_the_middle_half_is_of_each_group_and_of_the_values_there_are():
    rows = trials({"c": [1, 2, 3, 40], "d": [7, None, 5, 9, 100]})
    assert summarised(rows, Sampling(5))["test_iqm"].tolist() == [2.5, 8]


def test_the_working_trials_have_a_mean_of_their_own():
    rows = trials({"c": [1, 3, 50, None], "d": [50, 50, 50, 50]}).astype({"stuck": "boolean"})
    rows["stuck"] = [False, False, True, None, True, True, True, True]
    summary = summarised(rows.astype({"stuck": "boolean"}), Sampling(4))
    assert summary["working"].tolist() == [2, 0]
    assert summary["failure_pct"].tolist() == [50, 100]
    # folds 0, 0, 1, 1: error 1 / sqrt(12), effective size 3
    low, high = estimates.wilson_ends(0.5, 3.0, stats.t.ppf(0.975, 3))
    assert summary.loc[0, ["failure_ci_low_pct", "failure_ci_high_pct"]].tolist() == pytest.approx([100 * low, 100 * high])
    assert summary.loc[1, ["failure_ci_low_pct", "failure_ci_high_pct"]].isna().all()
    assert summary["test_working_mean"].tolist() == pytest.approx([2, np.nan], nan_ok=True)


def test_failures_of_one_fold_are_one_draw():
    """Of ten configurations all fail in the same one of four folds: that is as sure as one trial of four, not ten of forty."""
    rows = trials({f"c{index} x": [5, 5, 5, 60] for index in range(10)}, "ab")
    rows["stuck"] = rows["fold"] == 3
    table = leveled(rows, ["b"], Sampling(4))
    # folds 0, 0, 0, 1: variance 1/4, error 1/4, effective size 3
    low, high = estimates.wilson_ends(0.25, 3.0, stats.t.ppf(0.975, 3))
    assert table.loc[0, ["failure_ci_low_pct", "failure_ci_high_pct"]].tolist() == pytest.approx([100 * low, 100 * high])


def test_a_level_is_compared_with_the_baseline_in_pairs():
    rows = trials({"x p": [1, 2], "x q": [3, 6], "y p": [5, 9], "y q": [9, 10]}, "ab", judged="val")
    sampling = Sampling(2, judged="val")
    found = scores.of(rows, sampling)
    table = summaries.by_level(rows, ["a", "b"], found, {"a": "x", "b": "q"})
    assert table["baseline"].tolist() == [True, False, False, True]
    # y less x: folds (4 + 6) / 2 = 5 and (7 + 4) / 2 = 5.5
    assert table["difference"].tolist() == pytest.approx([np.nan, 5.25, -2.75, np.nan], nan_ok=True)
    # order of the configurations: x p, x q, y p, y q
    contrasts = found.contrast(np.array([[-0.5, -0.5, 0.5, 0.5], [0.5, -0.5, 0.5, -0.5]]))
    expected = contrasts.estimate(contrasts.family)
    assert table["p_adjusted"][1:3].tolist() == pytest.approx(expected.p)
    half = stats.t.ppf(1 - contrasts.family.alpha / 2, 1) * np.std([5, 5.5], ddof=1) * np.sqrt(1 / 2 + 1)
    assert table["difference_ci_high"][1] == pytest.approx(5.25 + half)
    assert 0.025 <= contrasts.family.alpha <= 0.05


def test_a_pair_that_lacks_a_half_or_a_value_is_left_out():
    rows = trials({"x p": [1, 2], "x q": [3, 6], "y p": [5, 9], "y q": [9, None], "y r": [90, 90]}, "ab")
    table = leveled(rows, ["a", "b"], Sampling(2), {"a": "x", "b": "p"}).set_index("level")
    assert table["difference"][["y", "q", "r"]].tolist() == [5.5, 3, 83]


def test_a_level_without_a_pair_has_no_difference():
    rows = trials({"x p": [1, 2], "x q": [3, 6], "y r": [90, 91]}, "ab")
    table = leveled(rows, ["a", "b"], Sampling(2), {"a": "x", "b": "p"}).set_index("level")
    assert table.loc[["y", "r"], ["difference", "p_adjusted", "difference_ci_low"]].isna().all(axis=None)
    assert table.loc["q", "difference"] == 3


def test_where_a_grid_has_holes_a_difference_stands_beside_the_means_of_its_pairs():
    # a z, of error 90, has no partner b z: the means of a and b are over other cells than their difference
    rows = trials({"a x": [10], "a y": [20], "a z": [90], "b x": [11], "b y": [23]}, ["first", "second"])
    levels = leveled(rows, ["first", "second"], Sampling(0), {"first": "a", "second": "x"}).set_index("level")
    assert levels.loc["b", ["test_mean", "difference", "pairs"]].tolist() == [17, 2, 2]
    assert levels.loc["b", ["paired_mean", "paired_baseline"]].tolist() == [17, 15]
    assert levels.loc["z", ["paired_mean", "paired_baseline", "pairs"]].tolist() == [90, 10, 1]
    shown = texts.levels_table(levels.reset_index(), MEASURES["error"]).set_index("level")["of the same cells"]
    assert shown.to_dict() == {
        **{"a": "", "x": "", "b": "17.00 - 15.00 over 2 cells"},
        **{"y": "21.50 - 10.50 over 2 cells", "z": "90.00 - 10.00 over 1 cell"},
    }
    full = leveled(rows[rows["second"] != "z"], ["first", "second"], Sampling(0), {"first": "a", "second": "x"})
    assert "of the same cells" not in texts.levels_table(full, MEASURES["error"])
