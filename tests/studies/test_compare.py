"""Two results side by side: changes by hand, the rate of false alarms, and the exit status of the command."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy import stats

import studies
from studies import cli
from studies.analysis import compare, estimates
from studies.show import comparison


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


def call(*arguments):
    return CliRunner().invoke(cli.main, ["compare", *map(str, arguments)])


def changes(a, b):
    both = compare.matched(a, b)
    return both, compare.find_changes(both)


def conclude(a, b, margin=None):
    return comparison.conclude(*changes(a, b), margin)


def shifted(*differences, **columns):
    """Two results whose configurations differ by these numbers of errors of 100, by fold."""
    start = [[50] * len(each) for each in differences]
    moved = [[50 + one for one in each] for each in differences]
    return trials(start, **columns), trials(moved, test_loss=0.5, **columns)


def row(found, what):
    return found.set_index("what").loc[what]


def test_changes_by_hand():
    both, found = changes(trials([[1, 2, 3, 4], [5, 5, 5, 5]]), trials([[2, 3, 4, 8], [5, 5, 5, 5]]))
    assert both["equal"].sum() == 4
    mean, one, other = found[found["question"] != "failures"].to_dict("records")
    # differences 1, 1, 1, 4 in the first configuration, none in the second: means of both 0.5, 0.5, 0.5, 2
    assert (mean["a"], mean["b"], mean["difference"]) == (3.75, 4.625, 0.875)
    # their sd is 0.75, so t = 0.875 / (0.75 / 2) = 7 / 3 with 3 degrees of freedom; t_.975 = 3.182446, t_.95 = 2.353363
    assert (mean["sd"], mean["p"]) == pytest.approx((0.75, 2 * stats.t.sf(7 / 3, 3)))
    assert (mean["ci_low"], mean["ci_high"]) == pytest.approx((0.875 - 3.182446 * 0.375, 0.875 + 3.182446 * 0.375))
    assert mean["bound"] == pytest.approx(0.875 + 2.353363 * 0.375)
    assert mean["seen"] == pytest.approx(estimates.resolvable(0.75, 4))
    assert mean["p_adjusted"] == mean["p"]
    assert (one["what"], one["difference"], one["equal"], one["trials"]) == ("level 0", 1.75, 0, 4)
    # one configuration changed and no failure did: their 2% are for one test
    assert (one["p"], one["p_adjusted"]) == pytest.approx((mean["p"], 1.25 * mean["p"]))
    assert (one["ci_low"], one["ci_high"]) == pytest.approx(tuple(1.75 + stats.t.ppf([0.02, 0.98], 3) * 0.75))
    assert (other["difference"], other["p"], other["equal"]) == (0, 1, 4)
    assert np.isnan(other["ci_low"])


@pytest.mark.parametrize(
    ("pairs", "p"), [([1, 1, 1, 1], 1 / 8), ([7] * 10, 1 / 512), ([0] * 4, 1)], ids=["four", "ten", "no change"]
)
def test_equal_differences_are_judged_by_the_sign_test(pairs, p):
    a, b = shifted(pairs, n_test=300)  # of 300: no such difference is a binary fraction
    mean = row(changes(a, b)[1], "mean over all configurations")
    assert (mean["p"], mean["worse"]) == (p, p < 0.05)
    assert mean[["ci_low", "ci_high", "seen"]].isna().all()


def test_an_interval_excludes_0_where_its_p_is_below_5_percent():
    rng = np.random.default_rng(0)
    told = 0
    for _ in range(10):
        a, b = (trials(rng.normal(20 + shift, 3, (4, 6)).round(), stuck=rng.random(24) < 0.3) for shift in (0, 5))
        _, found = changes(a, b)
        inside = (found["ci_low"] > 0) | (found["ci_high"] < 0)
        spread = found["ci_low"].notna()
        assert (inside == (found["p_adjusted"] < 0.05))[spread].all()
        assert ((found["worse"] | found["better"]) == inside)[spread].all()
        told += inside.sum()
    assert told > 10


def test_intervals_end_where_errors_do():
    a, b = shifted([-50, 50, 50, 50, 50], [0, 1, 0, -1, 0])
    found = changes(a, b.assign(stuck=[True] * 9 + [False]))[1]
    assert row(found, "level 0")[["ci_high", "bound"]].tolist() == [100, 100]
    assert row(found, "stuck")["ci_high"] == 10


def test_readings_share_the_level_of_the_mean():
    a, b = shifted([1, 2, 2, 3, 4], [1, 1, 2, 3, 3])
    pair = [pd.concat([each.assign(reading=name) for name in ("one", "two")]) for each in (a, b)]
    _, found = changes(*pair)
    _, alone = changes(a, b)
    means, mean = found[found["question"] == "mean"], row(alone, "mean over all configurations")
    assert means["reading"].tolist() == ["one", "two"]
    assert means["p_adjusted"].tolist() == pytest.approx([2 * mean["p"]] * 2)
    assert (means["ci_high"] > mean["ci_high"]).all()
    assert (means["seen"] > mean["seen"]).all()
    assert means["bound"].tolist() == [mean["bound"]] * 2  # a margin is to be kept by all: no adjustment
    assert (found.loc[found["question"] == "configuration", "tests"] == 4 * 1.25).all()


def test_failures_are_judged_by_fold():
    """Nine more trials are stuck, all of one fold: one accident, not nine."""
    stuck = np.zeros((9, 4), dtype=bool)
    stuck[:, 1] = True
    a, b = trials([[0] * 4] * 9, stuck=False), trials([[0] * 4] * 9, stuck=stuck.ravel())
    found = row(changes(a, b)[1], "stuck")
    assert stats.binomtest(9, 9).pvalue < 0.005
    # changes by fold 0, 9, 0, 0: t = 1
    assert (found["a"], found["b"], found["difference"]) == (0, 9, 9)
    assert found["p"] == pytest.approx(2 * stats.t.sf(1, 3))
    assert not found["worse"]
    # their sd is 4.5, four times the error of their mean is 9, and of 36 trials no more than 36 fail
    assert (found["ci_low"], found["ci_high"]) == pytest.approx((9 - 9 * stats.t.ppf(0.98, 3), 36))


def test_new_failures_are_worse_beyond_chance():
    stuck = np.ones((9, 5), dtype=bool)
    stuck[0, :2] = False
    a, b = trials([[0] * 5] * 9, stuck=False), trials([[0] * 5] * 9, stuck=stuck.ravel())
    found = row(changes(a, b)[1], "stuck")
    # changes by fold 8, 8, 9, 9, 9, with mean 8.6 and sd sqrt(0.3); no configuration errs otherwise: one test
    assert found["difference"] == 43
    assert found["p_adjusted"] == pytest.approx(1.25 * 2 * stats.t.sf(8.6 / math.sqrt(0.3 / 5), 4))
    assert found["worse"]
    status, lines = conclude(a, b)
    assert status == comparison.WORSE
    assert "worse beyond chance: failures (1)" in lines


def test_failed_trials_are_counted_and_left_out_of_the_means():
    a, b = trials([[1, 1, 1, 1], [2, 2, 2, 2]]), trials([[1, 1, 1, math.nan], [2, 2, 2, 2]])
    b.loc[3, "status"] = "failed"
    _, found = changes(a, b)
    assert row(found, "failed")["b"] == 1
    assert row(found, "level 0")["trials"] == 3
    assert row(found, "mean over all configurations")["trials"] == 7


def test_a_single_configuration_is_the_mean():
    _, found = changes(*shifted([1, 2, 3, 4]))
    assert found["question"].tolist() == ["mean", "failures", "failures", "failures"]


def test_three_folds_judge_no_configuration_by_itself():
    """Models that get stuck in half of their trials differ by as much in all of three folds in 1 of 32 configurations."""
    a, b = shifted([50, 49, 50], [0, 1, 0], [1, 0, 0])
    found = changes(a, b)[1]
    level = row(found, "level 0")
    assert level["p"] < 0.001
    assert level[["p_adjusted", "ci_low", "ci_high"]].isna().all()
    assert not level["worse"]
    assert "3 configurations are too many to be judged one by one by so few folds and repeats" in conclude(a, b)[1]
    four = changes(*shifted([50, 49, 50, 49], [0, 1, 0, 0], [1, 0, 0, 0]))[1]
    assert row(four, "level 0")["worse"]


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


def drawn(rng, shift):
    """Two results of 4 configurations in 10 folds, whose errors differ by fold, by 2 points over seeds, and by the shift."""
    base = rng.uniform(5, 15, (4, 1)) + rng.normal(0, 3, 10)
    return [trials((10 * np.clip(base + rng.normal(each, 2, (4, 10)), 0, 100)).round(), n_test=1000) for each in (0, shift)]


@pytest.mark.parametrize(("shift", "least", "most"), [(0, 0, 0.05), (2, 0.9, 1)], ids=["nothing changed", "two points worse"])
def test_rates_at_which_worse_is_found(shift, least, most):
    """Of 20,000, simulated once, 4.2 and 98.3%; of 60 at most 5% and at least 90%."""
    rng = np.random.default_rng(18)
    rate = np.mean([conclude(*drawn(rng, shift))[0] == comparison.WORSE for _ in range(60)])
    assert least <= rate <= most


def test_the_mean_alone_reaches_its_level():
    """Of 60 studies where nothing changed, p is below 0.5 in half: an overlap term would leave 13."""
    rng = np.random.default_rng(3)
    p = [row(changes(*drawn(rng, 0))[1], "mean over all configurations")["p"] for _ in range(60)]
    assert stats.kstest(p, "uniform").pvalue > 0.01


MARGINS = {
    # changes by fold, margin, status and the sentence; the upper bound of 0, 1, 0, 1, 0 is 0.4 + 2.131847 sqrt(0.3 / 5)
    "shown": ([0, 1, 0, 1, 0], 1, 0, "shown: the mean error is worse by less than 1 points, if at all; 95% upper bound"),
    "the bound": ([0, 1, 0, 1, 0], 0.93, 0, "upper bound of the change for the worse +0.922"),
    "not shown": ([0, 1, 0, 1, 0], 0.9, 1, "not shown: the mean error is worse by less than 0.9 points, if at all; 95% upper"),
    "wide": ([-9, 9, -8, 8, 0], 1, 1, "not shown: "),
    "worse by less": ([5, 6, 5, 6, 5], 7, 0, "worse by less than the margin beyond chance: the mean (1)"),
    "worse by more": ([5, 6, 5, 6, 5], 3, 1, "worse beyond chance: the mean (1)"),
    "five equal changes": ([1] * 5, 2, 0, "shown: "),
    "four equal changes": ([1] * 4, 2, 1, "too few values for a bound"),
    "one value": ([1], 2, 3, "one value of each configuration"),
}


@pytest.mark.parametrize(("differences", "margin", "status", "sentence"), MARGINS.values(), ids=MARGINS)
def test_a_margin_is_to_be_shown(differences, margin, status, sentence):
    found, lines = conclude(*shifted(differences), margin)
    assert found == status, lines
    assert sentence in "\n".join(lines)


def test_a_margin_is_not_shown_by_trials_that_failed():
    a, b = shifted([0, 1, 0, 1, 0], [0, 0, 1, 1, 0])
    assert conclude(a, b, 2)[0] == comparison.NOTHING
    b = b.assign(status=["failed"] + ["ok"] * 9)
    b.loc[0, "test_errors"] = math.nan
    status, lines = conclude(a, b, 2)
    assert status == comparison.WORSE
    assert "trials that failed in B only: 1; no mean has their values" in lines
    assert "not shown: the mean error is worse by less than 2 points; 95% upper" in lines[-1]


def test_a_margin_does_not_excuse_a_configuration_or_failures():
    a, b = shifted([0, 1, 0, 1, 0, 1], [9, 8, 9, 8, 9, 8], [-8, -9, -8, -9, -8, -9])
    status, lines = conclude(a, b, 5)
    assert status == comparison.WORSE
    assert "worse beyond chance: configurations (1)" in lines
    assert any(line.startswith("shown: ") for line in lines)
    assert conclude(a, b, 20)[0] == comparison.NOTHING
    assert conclude(a, b.assign(stuck=[True] * 17 + [False]), 20)[0] == comparison.WORSE


def test_nothing_worse_is_not_called_equal():
    _, lines = conclude(*shifted([1, -1, 2, -2, 0]))
    assert "nothing is worse beyond chance; that does not show that nothing is worse: --margin asks for it" in lines
    assert comparison.POPULATION in lines
    # sd sqrt(2.5), error sqrt(0.5), quantiles of 4 degrees of freedom 2.776445 and 0.940965
    assert f"a change by {(2.776445 + 0.940965) * math.sqrt(0.5):.3f} would be found four times in five" in lines[1]


def test_results_without_a_common_error_tell_nothing():
    a = trials([[1, 2, 3], [1, 2, 3]])
    status, lines = conclude(a, a.assign(test_errors=math.nan, status="failed"))
    assert status == comparison.UNTOLD
    assert lines[-1] == "no trial has a value on both sides"


def identity(**changed):
    validation = {"folds": 4, "repeats": 1, "stratified": False}
    data = {"name": "disk", "samples": 100, "resample": False, "path": "", "content": ""}
    return {"seed": 0, "data": data, "validation": validation, "base": {}, "grid": [], **changed}


OTHERS = {
    "the same": (identity(), ""),
    "another grid": (identity(grid=[{}]), ""),
    "more repeats": (identity(validation={"folds": 4, "repeats": 9, "stratified": False}), ""),
    "another seed": (identity(seed=1), "they are about other rows: seed is 0 in A, 1 in B"),
    "other folds": (
        identity(validation={"folds": 5, "repeats": 1, "stratified": False}),
        "they are about other rows: validation.folds is 4 in A, 5 in B",
    ),
    "readings": ({"as_text": identity()}, "they have no reading in common: the only one in A, as_text in B"),
}


@pytest.mark.parametrize(("other", "obstacle"), OTHERS.values(), ids=OTHERS)
def test_what_can_be_compared(other, obstacle):
    assert compare.obstacle(identity(), other) == obstacle


def test_the_command_and_its_status(tiny, tmp_path):
    path = tiny(("folds = 3", "folds = 4"))  # which are enough for four configurations
    for folder in ("one", "two"):
        studies.run(path, jobs=1, results=tmp_path / folder)
    one, two = tmp_path / "one" / "tiny", tmp_path / "two" / "tiny"
    same = call(one, two)
    assert (same.exit_code, same.stderr) == (0, "")
    assert "nothing changed: all 16 trials are equal to the bit" in same.stdout
    assert call(one, two, "--margin", "0.1").exit_code == 0
    rows = pd.read_csv(two / "trials.csv")
    grown = rows.assign(test_errors=rows["test_errors"] + 20 + rows["fold"] % 2, torch="9.9")
    grown.to_csv(two / "trials.csv", index=False)
    worse = call(one, two)
    assert worse.exit_code == 1, worse.stdout
    assert "torch: 2." in worse.stdout
    assert "worse beyond chance: configurations (4), the mean (1)" in worse.stdout
    assert "the mean error changes by +51.250 points, 95% interval +48.953 to +53.547" in worse.stdout
    assert comparison.POPULATION in worse.stdout
    better = call(two, one)
    assert better.exit_code == 0
    assert "better beyond chance" in better.stdout
    manifest = json.loads((two / "manifest.json").read_text())
    manifest["identity"]["data"]["samples"] = 61
    (two / "manifest.json").write_text(json.dumps(manifest))
    other = call(one, two)
    assert other.exit_code == 3
    assert "data.samples is 60 in A, 61 in B" in other.stderr
    assert f"A, {one}, and B, {two}, cannot be compared" in other.stderr


def test_one_value_of_each_configuration_tells_nothing():
    a, b = trials([[1], [2]]), trials([[2], [2]])
    status, lines = conclude(a, b)
    assert status == comparison.UNTOLD
    assert "one value of each configuration" in lines[-1]


def test_a_folder_without_results_is_wrong_input(tmp_path):
    (tmp_path / "empty").mkdir()
    for folder, message in (("nowhere", "there is no folder"), ("empty", "empty has no manifest.json")):
        called = call(tmp_path / folder, tmp_path / folder)
        assert called.exit_code == 2
        assert message in called.stderr
