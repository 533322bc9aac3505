import numpy as np
import pandas as pd
import pytest

from studies.claims import measures
from studies.data import datasets
from studies.errors import UserError
from studies.spec import spec
from studies.store.rows import Rows

# Two configurations of two repeats; the second of "b" failed.
TRIALS = pd.DataFrame(
    {
        "trial": ["a0", "a1", "b0", "b1"],
        "config": ["a", "a", "b", "b"],
        "repeat": [0, 1, 0, 1],
        "fold": 0,
        "n_train": 10,
        "n_val": 20,
        "n_test": 50,
        "train_errors": [0, 2, 5, None],
        "val_errors": [1, 3, 10, None],
        "test_errors": [5, 10, 25, None],
        "diverged": [False, False, False, None],
        "stuck": [False, False, True, None],
        "epochs": [8, 8, 8, 8],
        "epochs_to_5_pct": [2, None, None, None],
        "seconds": [4.0, 4.0, 2.0, None],
        "status": ["ok", "ok", "ok", "failed"],
    }
)
EPOCHS = [0, 2, 4, 8]
HISTORY = pd.DataFrame(
    {
        "trial": np.repeat(["a0", "a1", "b0"], 4),
        "epoch": EPOCHS * 3,
        "train_loss": [4.0, 3.0, 2.0, 1.0, 4.0, 2.0, 3.0, 1.0, 1.0, 1.5, 2.0, 2.5],
        "train_errors": [5, 0, 1, 0, 5, 4, 3, 2, 5, 5, 5, 5],
        "val_loss": [4.0, 2.0, 3.0, 3.5, 4.0, 3.0, 2.0, 1.0, 1.0, 2.0, 3.0, 4.0],
        "val_errors": [10, 4, 6, 1, 10, 9, 6, 3, 10, 10, 10, 10],
        "test_errors": [25, 20, 10, 5, 25, 20, 15, 10, 25, 25, 25, 25],
        "gradient_norm_1": [3.0, 3.0, 0.3, 0.1, 0.0, 1.0, 1.0, 1.0, 0.01, 0.1, 1.0, 1.0],
        "gradient_norm_2": [4.0, 4.0, 0.4, 0.1, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
    }
)
PREDICTIONS = pd.DataFrame(
    {
        "trial": ["a0"] * 3 + ["a1"] * 3,
        "row": [1, 2, 3] * 2,
        "truth": [0, 1, 1, 0, 1, 1],
        "predicted": [0, 1, 1, 0, 0, 0],
        "loss": [0.1, 0.2, 0.3, 0.4, 5.0, 6.0],
    }
)
NAN = float("nan")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    path = tmp_path_factory.mktemp("specs") / "m.toml"
    path.write_text('title = "m"\n[data]\nsamples = 10\ntest_samples = 3\n[validation]\nfolds = 0\n[base]\nbatch_size = 5\n')
    return spec.load(str(path))


@pytest.mark.parametrize(
    ("name", "values"),
    {
        "test_pct": [10, 20, 50],
        "train_errors": [0, 2, 5],
        "train_loss@4": [2, 3, 2],
        "learned": [1, 1, 0],
        "solved": [1, 0, 0],
        "epochs_to_0": [8, 8, 8],  # a0 had none wrong at 2, but one again at 4
        "epochs_or_all": [2, 8, 8],
        "seconds_to_5_pct": [1, 4, 2],
        "log_seconds": [np.log(0.5), np.log(0.5), np.log(0.25)],
        "spread": [5, 5, 0],  # from the median of the configuration: 15, 15, 50
        "fold_sd": [0, 0, 0],
        "turn_epoch": [2, 8, 0],
        "fluctuation": [(30 + 10 + 25) / 3, (5 + 15 + 15) / 3, 0],
        "gradient_norm": [5, 0, np.hypot(1, 0.01)],
        "gradient_growth": [1, np.inf, np.sqrt(2) / np.hypot(1, 0.01)],
        "first_gradient": [np.log10(3), -30, -2],
        "first_over_last": [np.log10(0.75), NAN, -2],
        "loss_and_gradient": [0.9486833, -0.7745967, 0.9486833],
        "right_loss": [0.2, 0.4, NAN],
        "right_share": [100, 100 * 0.4 / 11.4, NAN],
    }.items(),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_measure_is_what_it_says(study, name, values):
    found = measures.measure(name, study, Rows(TRIALS, HISTORY, PREDICTIONS))
    assert list(found.index) == ["a0", "a1", "b0"]
    np.testing.assert_allclose(found, values, atol=1e-6)


def test_the_spread_of_late_errors_is_over_the_last_eighth(study):
    history = pd.DataFrame(
        {"trial": "a0", "epoch": range(101), "test_errors": [25] * 88 + [*[5, 10] * 6, 5], "train_errors": 0, "val_loss": 0.0}
    )
    late = [10.0, 20.0] * 6 + [10.0]
    found = measures.measure("late_sd", study, Rows(TRIALS[:1], history, PREDICTIONS))
    assert found["a0"] == pytest.approx(np.std(late, ddof=1))


def test_the_sd_over_folds_is_that_of_each_cross_validation(study):
    trials = TRIALS.iloc[[0, 0, 0, 0]].assign(
        trial=list("wxyz"), repeat=[0, 0, 1, 1], fold=[0, 1, 0, 1], val_errors=[2, 4, 10, 20]
    )
    found = measures.measure("fold_sd", study, Rows(trials, HISTORY, PREDICTIONS))
    assert found.tolist() == [5, 5, 25, 25]  # of 10 and 20%, and of 50 and 100%


def test_the_distance_to_the_border_is_of_the_farthest_wrong_row(study):
    found = measures.measure("border_distance", study, Rows(TRIALS, HISTORY, PREDICTIONS))
    points = datasets.pools(study.data, study.seed, 1).test.inputs[1:]
    distances = [abs(((x - 0.5) ** 2 + (y - 0.5) ** 2) ** 0.5 - 0.3989422804) for x, y in points]
    np.testing.assert_allclose(found, [0, max(distances), 0])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("lerned", "there is no measure 'lerned'; did you mean 'learned'?"),
        ("train_loss@3", "no train_loss at epoch 3"),
        ("entropy@4", "no entropy at epoch 4"),
    ],
)
def test_what_was_not_recorded_is_refused(study, name, words):
    with pytest.raises(UserError, match=words.replace("?", r"\?")):
        measures.measure(name, study, Rows(TRIALS, HISTORY, PREDICTIONS))


def test_gradients_that_were_not_recorded_are_refused(study):
    history = HISTORY.drop(columns=["gradient_norm_1", "gradient_norm_2"])
    with pytest.raises(UserError, match="gradient_norms = true"):
        measures.measure("gradient_norm", study, Rows(TRIALS, history, PREDICTIONS))
