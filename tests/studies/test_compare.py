"""Two results side by side: changes by hand, the rate of false alarms, and the exit status of the command."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy import stats

import studies
from studies import cli, compare, inference
from studies.inference import Sampling

FOLDS = Sampling(4, fresh=False)


def trials(errors, **columns):
    """Trials with these test errors of 100, `errors` a list for each configuration with one of each fold."""
    rows = [
        {"config": f"c{index}", "label": f"level {index}", "repeat": 0, "fold": fold, "test_errors": each}
        for index, configuration in enumerate(errors)
        for fold, each in enumerate(configuration)
    ]
    sizes = {"n_train": 200, "n_val": 0, "n_test": 100}
    others = dict.fromkeys(("val_errors", "train_loss", "val_loss", "test_loss", "epochs_to_5_pct"), math.nan)
    flags = {"diverged": False, "stuck": False, "status": "ok", "reading": None, "train_errors": 0, "seconds": 1.0}
    return pd.DataFrame(rows).assign(**{**sizes, **others, **flags, **columns})


def call(*folders):
    return CliRunner().invoke(cli.main, ["compare", *map(str, folders)])


def changes(a, b, sampling=FOLDS):
    both = compare.matched(a, b)
    return both, compare.changes(both, {"": sampling})


def test_changes_by_hand():
    both, found = changes(trials([[1, 2, 3, 4], [5, 5, 5, 5]]), trials([[2, 3, 4, 8], [5, 5, 5, 5]]))
    assert both["equal"].sum() == 4
    mean, one, other = found[found["question"] != "failures"].to_dict("records")
    # differences 1, 1, 1, 4 in the first configuration, none in the second: means of both 0.5, 0.5, 0.5, 2
    assert (mean["a"], mean["b"], mean["difference"]) == (3.75, 4.625, 0.875)
    expected = inference.estimate([0.5, 0.5, 0.5, 2], 1 / 3)
    assert (mean["ci_low"], mean["ci_high"], mean["p"]) == pytest.approx((expected.ci_low, expected.ci_high, expected.p))
    assert mean["p_adjusted"] == pytest.approx(min(1, 3 * expected.p))
    assert (one["what"], one["difference"], one["equal"], one["trials"]) == ("level 0", 1.75, 0, 4)
    assert one["p_adjusted"] == pytest.approx(min(1, 3 * 2 * inference.estimate([1, 1, 1, 4], 1 / 3).p))
    assert (other["difference"], other["p"], other["equal"]) == (0, 1, 4)


def test_equal_differences_are_judged_by_the_sign_test():
    _, found = changes(trials([[1, 2, 3, 4]]), trials([[2, 3, 4, 5]]))
    assert found.loc[found["question"] == "mean", "p"].tolist() == [1 / 8]


def test_new_failures_are_worse_beyond_chance():
    a = trials([[0] * 4] * 3)
    b = a.assign(stuck=[True] * 9 + [False] * 3)
    _, found = changes(a.assign(stuck=[False] * 11 + [True]), b)
    stuck = found[found["what"] == "stuck"].iloc[0]
    assert (stuck["a"], stuck["b"], stuck["difference"]) == (1, 9, 8)
    p = stats.binomtest(9, 10).pvalue
    # Holm over three kinds, Bonferroni over three questions
    assert (stuck["p"], stuck["p_adjusted"]) == pytest.approx((p, 9 * p))
    assert not stuck["worse"]
    assert changes(a, b)[1].set_index("what").loc["stuck", "worse"]


def test_failed_trials_are_counted_and_left_out_of_the_means():
    a, b = trials([[1, 1, 1, 1]]), trials([[1, 1, 1, math.nan]])
    b.loc[3, "status"] = "failed"
    _, found = changes(a, b)
    assert found.set_index("what").loc["failed", "b"] == 1
    assert found.set_index("what").loc["level 0", "trials"] == 3


def test_trials_are_known_by_configuration_repeat_and_fold_alone():
    a = trials([[1, 2, 3, 4]], trial=list("abcd"))
    b = trials([[1, 2, 3, 4], [0, 0, 0, 0]], trial=list("efghijkl"))
    both = compare.matched(a, b[::-1])
    assert len(both) == 4
    assert both["equal"].all()


@pytest.mark.parametrize(
    ("column", "value"), [("test_loss", 0.5), ("status", "failed"), ("epochs_to_5_pct", 10)], ids=["loss", "status", "epochs"]
)
def test_equal_to_the_bit_is_every_number(column, value):
    a = trials([[1, 2, 3, 4]])
    b = a.astype({"status": object})
    b.loc[2, column] = value
    assert compare.matched(a, b)["equal"].tolist() == [True, True, False, True]


def test_without_a_change_alarms_are_rare():
    """At most 1 in 40, however many configurations: two results that differ by chance, 25 times (3 of 600, measured)."""
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(25):
        a, b = (trials(rng.integers(5, 15, (5, 4)), stuck=rng.random(20) < 0.2) for _ in range(2))
        alarms += compare.conclude(*changes(a, b, Sampling(4, fresh=False)))[0] == compare.WORSE
    assert alarms < 3


def identity(**changed):
    validation = {"folds": 4, "repeats": 1, "stratified": False}
    data = {"name": "disk", "samples": 100, "resample": False, "path": "", "content": ""}
    return {"seed": 0, "data": data, "validation": validation, "base": {}, "grid": [], **changed}


OTHERS = {
    "the same": (identity(), ""),
    "another grid": (identity(grid=[{}]), ""),
    "more repeats": (identity(validation={"folds": 4, "repeats": 9, "stratified": False}), ""),
    "another seed": (identity(seed=1), "they are about other rows: seed is 0 there, 1 here"),
    "other folds": (
        identity(validation={"folds": 5, "repeats": 1, "stratified": False}),
        "they are about other rows: validation.folds is 4 there, 5 here",
    ),
    "readings": ({"as_text": identity()}, "they have no reading in common: the only one there, as_text here"),
}


@pytest.mark.parametrize(("other", "obstacle"), OTHERS.values(), ids=OTHERS)
def test_what_can_be_compared(other, obstacle):
    assert compare.obstacle(identity(), other) == obstacle


def test_the_command_and_its_status(tiny, tmp_path):
    path = tiny()
    for folder in ("one", "two"):
        studies.run(path, jobs=1, results=tmp_path / folder)
    one, two = tmp_path / "one" / "tiny", tmp_path / "two" / "tiny"
    same = call(one, two)
    assert (same.exit_code, same.stderr) == (0, "")
    assert "nothing changed: all 12 trials are equal to the bit" in same.stdout
    rows = pd.read_csv(two / "trials.csv")
    grown = rows.assign(test_errors=rows["test_errors"] + 20 + rows["fold"] % 2, torch="9.9")
    grown.to_csv(two / "trials.csv", index=False)
    worse = call(one, two)
    assert worse.exit_code == 1, worse.stdout
    assert "torch: 2." in worse.stdout
    assert "worse beyond chance: configurations (4), the mean error (1)" in worse.stdout
    better = call(two, one)
    assert better.exit_code == 0
    assert "better beyond chance" in better.stdout
    manifest = json.loads((two / "manifest.json").read_text())
    manifest["identity"]["data"]["samples"] = 61
    (two / "manifest.json").write_text(json.dumps(manifest))
    other = call(one, two)
    assert other.exit_code == 3
    assert "data.samples is 60 there, 61 here" in other.stderr


def test_one_value_of_each_configuration_tells_nothing():
    a, b = trials([[1], [2]]), trials([[2], [2]])
    status, lines = compare.conclude(*changes(a, b, Sampling(0, fresh=False)))
    assert status == compare.UNTOLD
    assert "one value of each configuration" in lines[-1]


def test_a_folder_without_results_is_wrong_input(tmp_path):
    (tmp_path / "empty").mkdir()
    for folder, message in (("nowhere", "there is no folder"), ("empty", "empty has no manifest.json")):
        called = call(tmp_path / folder, tmp_path / folder)
        assert called.exit_code == 2
        assert message in called.stderr
