"""The tables that pictures are drawn from, by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from builders import scores_of
from scipy import stats

from studies.analysis import comparisons, summaries
from studies.spec.measures import MEASURES
from studies.spec.sampling import Sampling

FOLDS = Sampling(folds=2)


def trials(errors):
    """Trials of 100 test rows; `errors` by configuration and factor level, one for each repeat and fold of two."""
    rows = [
        {
            "trial": f"{config}{index}",
            "config": config,
            "activation": level,
            "repeat": index // 2,
            "fold": index % 2,
            "test_errors": wrong,
        }
        for (config, level), counts in errors.items()
        for index, wrong in enumerate(counts)
    ]
    table = pd.DataFrame(rows)
    sizes = {"n_train": 100, "n_val": 50, "n_test": 100, "train_errors": 0, "val_errors": 0}
    return table.assign(**sizes, diverged=False, stuck=False, status="ok")


def test_values_are_the_means_of_a_level_in_each_fold():
    rows = trials({("a", "relu"): [1, 2], ("b", "relu"): [3, 6], ("c", "tanh"): [9, 9]})
    table = summaries.values(rows, ["activation"], scores_of([[0, 0]], FOLDS))
    assert table.to_dict("list") == {
        "factor": ["activation"] * 4,
        "level": ["relu", "relu", "tanh", "tanh"],
        "repeat": [0] * 4,
        "fold": [0, 1, 0, 1],
        "test_value": [2.0, 4.0, 9.0, 9.0],
    }


def test_values_are_means_of_repeats_where_these_draw_new_data():
    rows = trials({("a", "relu"): [1, 3, 5, 9]})
    table = summaries.values(rows, ["activation"], scores_of([[0, 0]], Sampling(folds=2, repeats=2, fresh=True)))
    assert table[["repeat", "test_value"]].to_dict("list") == {"repeat": [0, 1], "test_value": [2.0, 7.0]}
    assert "fold" not in table


def history(lines):
    """Lines by epoch: trial, epoch, validation errors of 50 and test errors of 100."""
    table = pd.DataFrame(lines, columns=["trial", "epoch", "val_errors", "test_errors"])
    return table.astype({"val_errors": float}).assign(
        config=table["trial"].str[0], train_errors=0, train_loss=0.5, val_loss=0.5, test_loss=0.5
    )


def test_within_a_budget_validation_chooses_configuration_and_epoch():
    rows = trials({("a", "relu"): [0], ("b", "relu"): [0], ("c", "tanh"): [0]})
    lines = [
        ("a0", 0, 20, 41),
        ("b0", 0, 25, 50),
        ("c0", 0, 25, 50),
        ("a0", 1, 5, 12),
        ("b0", 1, 10, 8),
        ("c0", 1, 30, 60),
        ("a0", 2, 6, 2),
        ("b0", 2, 5, 3),
        ("c0", 2, 9, 20),
    ]
    table = summaries.budget(rows, history(lines), ["activation"], MEASURES["error"])
    # relu: a at epoch 0; a at 1; at 2, b is no better than a was. tanh: epoch 0 stays the best until epoch 2.
    assert table.to_dict("list") == {
        "factor": ["activation"] * 6,
        "level": ["relu"] * 3 + ["tanh"] * 3,
        "epoch": [0, 1, 2] * 2,
        "test_value": [41.0, 12.0, 12.0, 50.0, 50.0, 20.0],
        "measure": ["error"] * 6,
        "chosen_on": ["val"] * 6,
    }


def test_without_validation_rows_the_judged_set_chooses():
    rows = trials({("a", "relu"): [0]}).assign(n_val=0, val_errors=None)
    lines = history([("a0", 0, None, 40), ("a0", 1, None, 50)])
    table = summaries.budget(rows, lines, ["activation"], MEASURES["error"])
    assert list(table["test_value"]) == [40.0, 40.0]
    assert set(table["chosen_on"]) == {"test"}


def test_no_history_no_budget():
    assert summaries.budget(trials({("a", "relu"): [0]}), pd.DataFrame(), ["activation"], MEASURES["error"]).empty


def scores(rows):
    """Errors by configuration, two folds."""
    found = scores_of(list(rows.values()), FOLDS)
    return replace(found, configs=pd.Index(list(rows)))


def test_pairs_are_each_less_those_ahead_of_it_adjusted_for_all():
    found = scores({"bad": [7.0, 9.0], "best": [1.0, 2.0], "good": [2.0, 2.0]})
    table = comparisons.pairs(found, {"bad": "B", "best": "A", "good": "G"}, 0.5)
    assert list(zip(table["label"], table["other_label"], strict=True)) == [("G", "A"), ("B", "A"), ("B", "G")]
    assert list(table["difference"]) == [0.5, 6.5, 6.0]
    expected = found.pairs(np.array([2, 0, 0]), np.array([1, 1, 2])).estimate(found.families[0])
    assert table["p_adjusted"].tolist() == pytest.approx(expected.p, abs=1e-9)
    assert table["ci_low"].tolist() == pytest.approx(expected.ci_low)
    alone = [stats.ttest_1samp(each, 0).pvalue for each in ([1.0, 0.0], [6.0, 7.0], [5.0, 7.0])]
    assert table["p"].tolist() == pytest.approx(alone, abs=1e-9)


def test_pairs_are_of_the_leading_ones_and_the_baseline():
    found = scores({f"c{index}": [index, index + 1.0] for index in range(20)} | {"lacking": [0.0, np.nan]})
    table = comparisons.pairs(replace(found, baseline="c19"), {}, 0.5)
    assert set(table["config"]) | set(table["other"]) == {*(f"c{index}" for index in range(12)), "c19"}
    assert len(table) == 13 * 12 / 2
    assert comparisons.pairs(found.take(np.array([0])), {}, 0.5).empty
