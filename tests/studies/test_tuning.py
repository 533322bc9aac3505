"""Choosing on validation rows and judging on test rows: by hand, and through the command line."""

import pandas as pd
import pytest
from click.testing import CliRunner

import studies
from studies import cli
from studies.analysis import estimates, scores, tuning
from studies.errors import UserError
from studies.spec import spec
from studies.spec.sampling import Sampling

ONE_SET, FRESH = Sampling(2, rows=99), Sampling(2, 2, fresh=True)


def trials(errors):
    """Trials from {(optimizer, rate, repeat): ((validation errors by fold), (test errors by fold))}, of 10 and 100 rows."""
    rows = [
        {"optimizer": optimizer, "lr": rate, "config": f"{optimizer} {rate}", "repeat": repeat, "fold": fold, "val_errors": val}
        | {"test_errors": test, "n_val": 10, "n_test": 100, "n_train": 20, "train_errors": 0, "seed": 0}
        | {"status": "ok", "diverged": False, "stuck": False}
        for (optimizer, rate, repeat), (vals, tests) in errors.items()
        for fold, (val, test) in enumerate(zip(vals, tests, strict=True))
    ]
    return pd.DataFrame(rows)


def tuned(table, sampling, tune=("lr",), untuned=("sgd 0.1", "adam 0.1")):
    """Both tables of a study of optimizers and rates."""
    return tuning.tune(table, ["optimizer", "lr"], list(tune), set(untuned), scores.of(table, sampling))


TWO_REPEATS = {
    ("sgd", "0.1", 0): ((3, 3), (30, 32)),
    ("sgd", "0.1", 1): ((1, 1), (10, 14)),
    ("sgd", "1", 0): ((2, 3), (40, 40)),  # chosen in the first repeat, though its test error is larger
    ("sgd", "1", 1): ((1, 1), (1, 1)),  # as good on validation rows: the first level stays
}


def within_percent(values):
    """The interval of a mean of errors in percent."""
    found = estimates.within(estimates.estimate(values))
    return found.ci_low, found.ci_high


@pytest.mark.parametrize("sampling", [FRESH, Sampling(2, 2, rows=99)], ids=["new data for each repeat", "one data set"])
def test_a_choice_by_hand(sampling):
    table, pairs = tuned(trials(TWO_REPEATS), sampling)
    (row,) = table.to_dict("records")
    assert (row["optimizer"], row["chosen"], row["usual"]) == ("sgd", "0.1 (1 of 2), 1 (1)", "0.1")
    # test errors at the choice: 40 and 40, then 10 and 14; a value for each repeat, which chose anew
    assert row["test_mean"] == 26
    assert (row["test_ci_low"], row["test_ci_high"]) == pytest.approx(within_percent([40, 12]))
    assert row["test_sd"] == pytest.approx(pd.Series([40, 40, 10, 14]).std())
    assert row["untuned_test_mean"] == 21.5
    assert (row["untuned_test_ci_low"], row["untuned_test_ci_high"]) == pytest.approx(within_percent([31, 12]))
    difference = estimates.estimate([9, 0])
    assert (row["difference"], row["p_adjusted"]) == pytest.approx((4.5, difference.p))
    ends = row["difference_ci_low"], row["difference_ci_high"]
    assert ends == pytest.approx((max(-100, difference.ci_low), difference.ci_high))
    assert pairs.empty


def test_a_single_choice_has_no_interval():
    errors = {key: value for key, value in TWO_REPEATS.items() if key[2] == 0}
    (row,) = tuned(trials(errors), ONE_SET)[0].to_dict("records")
    assert (row["chosen"], row["test_mean"], row["difference"]) == ("1", 40, 9)
    for name in ("test", "untuned_test", "difference"):
        assert pd.isna([row[f"{name}_ci_low"], row[f"{name}_ci_high"]]).all(), name
    assert pd.isna(row["p_adjusted"])


SEVERAL = {
    (optimizer, rate, repeat): ((val, val), (test + repeat % 3, test + 1))
    for optimizer, rate, val, test in [("sgd", "0.1", 3, 30), ("sgd", "1", 2, 25), ("adam", "0.1", 1, 10), ("adam", "1", 4, 20)]
    for repeat in range(4)
}


def test_tuned_configurations_are_compared_with_the_best_of_them():
    more = {("elu", rate, repeat): ((2, 2), (12 + repeat, 12)) for rate in ("0.1", "1") for repeat in range(4)}
    _, pairs = tuned(trials(SEVERAL | more), Sampling(2, 4, fresh=True))
    assert pairs[["point", "other", "difference"]].to_numpy().tolist() == [["sgd", "adam", 15], ["elu", "adam", 1.875]]
    # sgd is 15 points worse in every repeat: no interval; elu is worse by 12 + r / 2 less 10.5 + (0, 1, 2, 0) / 2
    assert pairs[["ci_low", "ci_high"]].isna().all(axis=1).tolist() == [True, False]
    # elu less adam: (0, 1, 2, 3) / 2 + 12 less (0, 1, 2, 0) / 2 + 10.5
    alone = estimates.estimate([1.5, 1.5, 1.5, 3])
    assert pairs["p_adjusted"][1] >= alone.p


def test_one_tuned_configuration_is_compared_with_none():
    assert tuned(trials(TWO_REPEATS), FRESH)[1].empty


def test_test_rows_take_no_part_in_choosing():
    changed = {key: (val, tuple(50 - each for each in test)) for key, (val, test) in TWO_REPEATS.items()}
    tables = [tuned(trials(each), FRESH)[0] for each in (TWO_REPEATS, changed)]
    assert tables[0]["chosen"].equals(tables[1]["chosen"])
    assert not tables[0]["test_mean"].equals(tables[1]["test_mean"])


def test_a_failed_trial_keeps_its_levels_from_being_chosen():
    table = trials({("sgd", "0.1", 0): ((5, 5), (50, 50)), ("sgd", "1", 0): ((0, 0), (1, 1))})
    table.loc[3, ["val_errors", "test_errors"]] = None
    table.loc[3, "status"] = "failed"
    assert tuned(table, ONE_SET)[0]["chosen"].tolist() == ["0.1"]


def test_all_factors_may_be_tuned():
    table, pairs = tuned(trials(TWO_REPEATS), FRESH, tune=("optimizer", "lr"))
    assert table["chosen"].tolist() == ["sgd & 0.1 (1 of 2), sgd & 1 (1)"]
    assert pairs.empty


def test_a_point_without_a_usual_configuration_has_no_difference():
    """No other configuration stands in for one that the grid excludes."""
    table, _ = tuned(trials(SEVERAL), Sampling(2, 4, fresh=True), untuned=["sgd 0.1"])
    (sgd, adam) = table.to_dict("records")
    assert (sgd["untuned_test_mean"], sgd["usual"]) == (30.875, "0.1")
    missing = ("usual", "untuned_test_mean", "untuned_test_ci_low", "difference", "p_adjusted")
    assert pd.isna([adam[name] for name in missing]).all()
    assert adam["test_mean"] == 10.875


def test_nothing_tuned_nothing_told():
    assert all(table.empty for table in tuned(trials(TWO_REPEATS), FRESH, tune=()))


RATES = 'optimizer = [{ name = "sgd" }, { name = "adam" }, { name = "rmsprop" }]\n"optimizer.lr" = [0.001, 1.0, 0.1]'
LEVELS = 'optimizer = [{ name = "sgd", lr = 0.1 }, { name = "adam", lr = 0.01 }]'
TUNED = (('title = "Tiny"', 'tune = ["optimizer.lr"]'), ('activation = ["relu", "tanh"]\n', ""), (LEVELS, RATES))


def test_usual_levels(tiny):
    grid = spec.load(str(tiny(*TUNED))).grid
    labels = {each.id: each.label for each in grid.configurations}
    # the defaults of SGD and Adam; that of RMSprop, 0.01, is no level: the first
    usual = {labels[each] for each in tuning.usual(grid, ["optimizer.lr"])}
    assert usual == {"sgd | 0.1", "adam | 0.001", "rmsprop | 0.001"}


def test_the_usual_level_of_a_setting_is_that_of_the_base(tiny):
    changes = (("hidden = [4]", "hidden = [4]\ndropout = 0.2"), ('activation = ["relu", "tanh"]', "dropout = [0.0, 0.2]"))
    grid = spec.load(str(tiny(*changes))).grid
    assert {each.levels["dropout"] for each in grid.configurations if each.id in tuning.usual(grid, ["dropout"])} == {"0.2"}


def test_a_study_that_tunes(tiny, tmp_path):
    path = tiny(*TUNED)
    folder = ["-j", "1", "--results", str(tmp_path / "results")]
    run = CliRunner().invoke(cli.main, ["run", str(path), *folder])
    assert run.exit_code == 0, run.output
    assert "Test error in % at the optimizer.lr chosen by validation error" in run.output
    table = pd.read_csv(tmp_path / "results" / "tiny" / "tuned.csv", dtype={"usual": str})
    assert table["optimizer"].tolist() == ["sgd", "adam", "rmsprop"]
    assert table["usual"].tolist() == ["0.1", "0.001", "0.001"]
    again = CliRunner().invoke(cli.main, ["tables", str(path), *folder[2:]])
    assert "Tuned configurations less the best of them" in run.output
    pairs = pd.read_csv(tmp_path / "results" / "tiny" / "tuned_pairs.csv")
    assert len(pairs) == 2
    assert pairs[["ci_low", "p_adjusted"]].isna().all(axis=None)  # one repeat
    shown = "Test error in % at the"
    assert again.output[again.output.index(shown) :].splitlines()[:6] == run.output[run.output.index(shown) :].splitlines()[:6]
    assert "chosen by validation error" in (tmp_path / "results" / "tiny" / "tables.md").read_text()


def test_what_is_tuned_trains_nothing_again(tiny, tmp_path):
    trained = []
    studies.run(tiny(*TUNED), jobs=1, results=tmp_path / "results")
    other = tiny(*TUNED[1:], ('title = "Tiny"', 'tune = ["optimizer"]'))
    studies.run(other, jobs=1, results=tmp_path / "results", received=trained.extend)
    assert trained == []


WRONG = {
    "no such factor": ([], '["optimzer.lr"]', "there is no factor 'optimzer.lr'; did you mean 'optimizer.lr'?"),
    "no list": ([], '"optimizer.lr"', "tune is a list of factors of the grid"),
    "no test rows": ([("test_samples = 40", "test_samples = 0")], '["optimizer.lr"]', "write data.test_samples"),
    "no validation rows": (
        [("folds = 3", "folds = 0")],
        '["optimizer.lr"]',
        "write validation.folds, or data.validation_samples",
    ),
}


@pytest.mark.parametrize(("changes", "tune", "message"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_tuned(tiny, changes, tune, message):
    path = tiny(('title = "Tiny"', f"tune = {tune}"), *TUNED[1:], *changes)
    with pytest.raises(UserError, match="tune") as raised:
        spec.load(str(path))
    assert message in str(raised.value)
    assert CliRunner().invoke(cli.main, ["run", str(path)]).exit_code == 2


def test_a_fixed_validation_set_serves(tiny):
    changes = (("folds = 3", "folds = 0\nrepeats = 2"), ("test_samples = 40", "test_samples = 40\nvalidation_samples = 20"))
    assert spec.load(str(tiny(*TUNED, *changes))).tune == ("optimizer.lr",)
