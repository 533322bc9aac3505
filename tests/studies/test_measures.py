"""Measures: their values, their directions, and a study that is about another one than the error."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from builders import trials
from sklearn import metrics

import studies
from studies import api
from studies.analysis import compare as versions
from studies.analysis import comparisons, estimates, scores, summaries
from studies.analysis.effects import measure_effects
from studies.data import measuring
from studies.errors import UserError
from studies.show import texts
from studies.spec import spec
from studies.spec.measures import MEASURES, Measure, read_measure, read_measures
from studies.spec.sampling import Sampling

AUC = ('title = "Tiny"', 'title = "Tiny"\nmeasure = "auc"\nmeasures = ["f1", "log_loss", "brier", "balanced_error"]')
LOW, HIGH = Measure("cost", low=0, high=100), Measure("gain", "higher", low=0, high=100)


def test_values_by_hand():
    truth, predicted = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.25, 0.75]])
    found = {name: measuring.value(name, truth, predicted, probabilities) for name in measuring._FUNCTIONS}
    assert found == {
        "balanced_error": pytest.approx(100 * (1 / 3 + 0) / 2),
        "log_loss": pytest.approx(-math.log(0.9 * 0.8 * 0.4 * 0.75) / 4),
        "auc": 1.0,  # the one of class 1 is above all others
        "f1": pytest.approx((2 * 2 / (2 * 2 + 1) + 2 * 1 / (2 * 1 + 1)) / 2),
        "brier": pytest.approx(2 * (0.1**2 + 0.2**2 + 0.6**2 + 0.25**2) / 4),
    }


def test_three_classes_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=60)
    probabilities = rng.dirichlet(np.ones(3), 60)
    predicted = probabilities.argmax(1)
    expected = {
        "balanced_error": 100 * (1 - metrics.balanced_accuracy_score(truth, predicted)),
        "log_loss": metrics.log_loss(truth, probabilities),
        "auc": metrics.roc_auc_score(truth, probabilities, multi_class="ovr"),
        "f1": metrics.f1_score(truth, predicted, average="macro"),
    }
    for name, value in expected.items():
        assert measuring.value(name, truth, predicted, probabilities) == pytest.approx(value), name


@pytest.mark.parametrize("name", measuring._FUNCTIONS)
def test_outputs_that_are_not_finite_have_no_value(name):
    assert measuring.value(name, np.array([0, 1]), np.array([0, 1]), np.array([[np.nan, 1], [0, 1]])) is None


def test_without_a_class_there_is_no_auc():
    probabilities = np.array([[0.2, 0.8], [0.4, 0.6]])
    assert measuring.value("auc", np.array([1, 1]), np.array([1, 1]), probabilities) is None


PROBABILITIES = {
    "logits": ([[0.0, math.log(3)]], "cross_entropy", [[0.25, 0.75]]),
    "one output": ([[0.2]], "mse", [[0.8, 0.2]]),
    "beyond 0 and 1": ([[-0.5, 1.5]], "mse", [[0, 1]]),
    "no sum of 1": ([[0.2, 0.6]], "bce", [[0.25, 0.75]]),
    "all below 0": ([[-1.0, -2.0]], "mae", [[0.5, 0.5]]),
}


@pytest.mark.parametrize(("outputs", "loss", "expected"), PROBABILITIES.values(), ids=PROBABILITIES)
def test_outputs_as_probabilities(outputs, loss, expected):
    assert measuring.to_probabilities(np.array(outputs), loss) == pytest.approx(np.array(expected))


def test_a_guess_by_hand():
    labels = np.array([0, 0, 0, 1])
    assert measuring.of_a_guess("error", labels) == 25
    assert measuring.of_a_guess("balanced_error", labels) == 50
    assert measuring.of_a_guess("log_loss", labels) == pytest.approx(-(3 * math.log(0.75) + math.log(0.25)) / 4)
    assert measuring.of_a_guess("brier", labels) == pytest.approx(2 * (3 * 0.25**2 + 0.75**2) / 4)
    assert measuring.of_a_guess("f1", labels) == pytest.approx((6 / 7 + 0) / 2)


def mirrored(values):
    """Trials with a cost, and a gain that is 100 less it."""
    rows = trials({name: np.zeros((len(each), 1)) for name, each in values.items()}, factors=("model", "rate"))
    cost = np.concatenate([np.asarray(each, dtype=float) for each in values.values()])
    return rows.assign(test_cost=cost, test_gain=100 - cost)


def test_of_a_mirrored_measure_everything_is_mirrored():
    rng = np.random.default_rng(0)
    names = [f"{model} {rate}" for model in "abc" for rate in "xy"]
    rows = mirrored({name: 20 + 5 * place + rng.normal(0, 2, 8) for place, name in enumerate(names)})
    sampling = Sampling(0, 8, fresh=True)
    low, high = (scores.of(rows, sampling, "b x", measure) for measure in (LOW, HIGH))
    assert comparisons.best_of(low) == comparisons.best_of(high) == "a x"
    one, other = (comparisons.compare_with_references(each, {}, 0.5) for each in (low, high))
    assert other["difference"].to_numpy() == pytest.approx(-one["difference"].to_numpy())
    assert other["ci_low"].to_numpy() == pytest.approx(-one["ci_high"].to_numpy())
    same = ["against", "config", "other", "p", "p_adjusted", "better", "equal", "worse", "shown_equal", "visible"]
    pd.testing.assert_frame_equal(one[same], other[same])
    pairs = [comparisons.pairs(each, {}, 0.5)[["config", "other", "p_adjusted"]] for each in (low, high)]
    pd.testing.assert_frame_equal(*pairs)
    means = [summaries.summarise(rows, ["config"], each) for each in (low, high)]
    assert means[1]["test_ci_low"].to_numpy() == pytest.approx(100 - means[0]["test_ci_high"].to_numpy())
    shares = [measure_effects(rows, ["model", "rate"], each, guess) for each, guess in ((low, 90), (high, 10))]
    pd.testing.assert_frame_equal(*shares)


def test_changes_for_the_worse_follow_the_direction():
    rng = np.random.default_rng(0)
    a = mirrored({name: rng.normal(20, 1, 8) for name in ("a x", "b x")}).assign(seconds=1.0, reading=None)
    b = a.assign(test_cost=a["test_cost"] + 3, test_gain=a["test_gain"] - 3)
    for measure in (LOW, HIGH):
        found = versions.find_changes(versions.matched(a, b, measure), measure)
        mean = found[found["question"] == "mean"].iloc[0]
        assert mean["difference"] == pytest.approx(3 * measure.sign)
        assert (bool(mean["worse"]), bool(mean["better"])) == (True, False)


BOUNDS = {
    "between two": (0.0, 1.0, lambda low, high: 0 < low < 0.9 < high < 1),
    "above one": (0.0, math.inf, lambda low, high: 0 < low < 0.9 and low * high == pytest.approx(0.9**2)),
    "below one": (-math.inf, 1.0, lambda low, high: low < 0.9 < high < 1 and (1 - low) * (1 - high) == pytest.approx(0.1**2)),
    "none": (-math.inf, math.inf, lambda low, high: (low + high) / 2 == pytest.approx(0.9)),
}


@pytest.mark.parametrize(("low", "high", "holds"), BOUNDS.values(), ids=BOUNDS)
def test_intervals_stay_within_the_values_there_can_be(low, high, holds):
    found = estimates.within(estimates.from_moments(0.9, 0.3, 4), low, high)
    assert holds(found.ci_low, found.ci_high)


def test_a_study_about_another_measure(tiny, tmp_path):
    study = spec.load(str(tiny(AUC)))
    rows = studies.run(study, results=tmp_path, jobs=1)
    tables = api.tables_of(study, tmp_path)
    by_config = rows.groupby("config")["test_auc"].mean()
    summary = tables["summary"].set_index("config")
    assert summary["test_mean"].to_numpy() == pytest.approx(by_config[summary.index].to_numpy(), abs=1e-6)
    assert set(summary["measure"]) == {"auc"}
    against = tables["comparisons"][tables["comparisons"]["against"] == "best"]
    assert against["other"].iloc[0] == by_config.idxmax()
    page = api.write_report(study, tmp_path, tmp_path / "figures").read_text()
    assert "highest mean test AUC" in page
    assert "test error" not in page
    other = api.tables_of(study.about(MEASURES["f1"]), tmp_path)
    assert set(other["summary"]["measure"]) == {"f1"}
    assert (tmp_path / "tiny" / "f1" / "summary.csv").exists()
    assert set(api.tables_of(study, tmp_path)["summary"]["measure"]) == {"auc"}


def test_rows_that_lack_a_measure_are_trained_again_and_predictions_give_it(tiny, tmp_path):
    keep = ("epochs = 3", "epochs = 3\nkeep_predictions = true")
    trained = []
    studies.run(tiny(), results=tmp_path, jobs=1)
    with pytest.raises(UserError, match=r'measure auc: they have error, loss, seconds; write measures = \["auc"\]'):
        api.tables_of(spec.load(str(tiny())).about(MEASURES["auc"]), tmp_path)
    with pytest.raises(UserError, match=r"--measure: no row of .*tiny has auc: they have error, loss, seconds"):
        api.compare(tmp_path / "tiny", tmp_path / "tiny", measure="auc")
    rows = studies.run(tiny(AUC), results=tmp_path, jobs=1, received=trained.extend)
    assert len(trained) == 12
    studies.run(tiny(keep), results=tmp_path / "kept", jobs=1)
    study = spec.load(str(tiny(keep))).about(MEASURES["auc"])
    assert api.rows_of(study, tmp_path / "kept").trials["test_auc"].to_numpy() == pytest.approx(rows["test_auc"].to_numpy())


WRONG = {
    "unknown": ("accuracy", "there is no measure 'accuracy'"),
    "of other data": ("rmse", "rmse is for regression, and the data are for classification"),
    "no direction": ({"name": "gain"}, "measure.better is one of lower, higher: None was given"),
    "built in": ({"name": "auc", "better": "higher"}, "'auc' is built in, and higher is better: write \"auc\""),
    "unknown key": ({"name": "gain", "better": "higher", "best": 1}, "there is no key 'best'"),
    "a number": (3, "there is no measure 3"),
}


@pytest.mark.parametrize(("given", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_measure_is_told(given, message):
    with pytest.raises(UserError, match=message.replace("(", r"\(")):
        read_measure("measure", given, "classification")


def test_a_list_of_measures_has_each_once():
    assert [each.name for each in read_measures("measures", ["f1", "auc", "f1"])] == ["f1", "auc"]
    with pytest.raises(UserError, match="measures is a list of measures"):
        read_measures("measures", "auc")


DIGITS = {"percent": (MEASURES["error"], [93.2], 2), "shares": (MEASURES["auc"], [0.93], 4), "large": (LOW, [15000.0], 0)}


@pytest.mark.parametrize(("measure", "values", "expected"), DIGITS.values(), ids=DIGITS)
def test_decimals_follow_the_size(measure, values, expected):
    assert texts.digits_of(measure, values) == expected


def test_margins_follow_the_range():
    assert (MEASURES["error"].margin, MEASURES["auc"].margin, MEASURES["log_loss"].margin) == (0.5, 0.005, 0.0)
    assert replace(MEASURES["auc"], unit="%").points == " points"
