"""Choosing on validation rows and judging on test rows: by hand, and through the command line."""

import pandas as pd
import pytest
from click.testing import CliRunner

import studies
from studies import cli, inference, spec, tuning
from studies.errors import UserError
from studies.inference import Sampling

ONE_SET, FRESH = Sampling(2, fresh=False), Sampling(2, fresh=True)


def trials(errors):
    """Trials from {(optimizer, rate, repeat): ((validation errors by fold), (test errors by fold))}, of 10 and 100 rows."""
    rows = [
        {"optimizer": optimizer, "lr": rate, "config": f"{optimizer} {rate}", "repeat": repeat, "fold": fold, "val_errors": val}
        | {"test_errors": test, "n_val": 10, "n_test": 100, "n_train": 20, "train_errors": 0}
        | {"status": "ok", "diverged": False, "stuck": False}
        for (optimizer, rate, repeat), (vals, tests) in errors.items()
        for fold, (val, test) in enumerate(zip(vals, tests, strict=True))
    ]
    return pd.DataFrame(rows)


TWO_REPEATS = {
    ("sgd", "0.1", 0): ((3, 3), (30, 32)),
    ("sgd", "0.1", 1): ((1, 1), (10, 14)),
    ("sgd", "1", 0): ((2, 3), (40, 40)),  # chosen in the first repeat, though its test error is larger
    ("sgd", "1", 1): ((1, 1), (1, 1)),  # as good on validation rows: the first level stays
}


def test_a_choice_by_hand():
    (row,) = tuning.tuned(trials(TWO_REPEATS), ["optimizer", "lr"], ["lr"], {"sgd 0.1"}, FRESH).to_dict("records")
    assert (row["optimizer"], row["chosen"], row["usual"]) == ("sgd", "0.1 (1 of 2), 1 (1)", "0.1")
    # test errors at the choice: 40 and 40, then 10 and 14; a value for each repeat
    expected = inference.estimate([40, 12])
    assert (row["test_mean_pct"], row["test_ci_low_pct"]) == pytest.approx((26, expected.ci_low))
    assert row["test_sd_pct"] == pytest.approx(pd.Series([40, 40, 10, 14]).std())
    assert row["untuned_test_mean_pct"] == 21.5
    difference = inference.estimate([9, 0])
    assert (row["difference_pct"], row["difference_ci_high_pct"]) == pytest.approx((4.5, difference.ci_high))
    assert (row["p"], row["holm_p"]) == pytest.approx((difference.p, difference.p))


def test_folds_of_one_data_set_have_the_corrected_interval():
    errors = {key: value for key, value in TWO_REPEATS.items() if key[2] == 0}
    (row,) = tuning.tuned(trials(errors), ["optimizer", "lr"], ["lr"], {"sgd 0.1"}, ONE_SET).to_dict("records")
    expected = inference.estimate([10, 8], overlap=1)
    assert row["chosen"] == "1"
    assert (row["difference_ci_low_pct"], row["p"]) == pytest.approx((expected.ci_low, expected.p))


def test_test_rows_take_no_part_in_choosing():
    changed = {key: (val, tuple(50 - each for each in test)) for key, (val, test) in TWO_REPEATS.items()}
    tables = [tuning.tuned(trials(each), ["optimizer", "lr"], ["lr"], {"sgd 0.1"}, FRESH) for each in (TWO_REPEATS, changed)]
    assert tables[0]["chosen"].equals(tables[1]["chosen"])
    assert not tables[0]["test_mean_pct"].equals(tables[1]["test_mean_pct"])


def test_a_failed_trial_keeps_its_levels_from_being_chosen():
    table = trials({("sgd", "0.1", 0): ((5, 5), (50, 50)), ("sgd", "1", 0): ((0, 0), (1, 1))})
    table.loc[3, ["val_errors", "test_errors"]] = None
    table.loc[3, "status"] = "failed"
    assert tuning.tuned(table, ["optimizer", "lr"], ["lr"], {"sgd 0.1"}, ONE_SET)["chosen"].tolist() == ["0.1"]


def test_all_factors_may_be_tuned():
    table = tuning.tuned(trials(TWO_REPEATS), ["optimizer", "lr"], ["optimizer", "lr"], {"sgd 0.1"}, FRESH)
    assert table["chosen"].tolist() == ["sgd & 0.1 (1 of 2), sgd & 1 (1)"]


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
