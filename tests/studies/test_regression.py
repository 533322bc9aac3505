"""Regression: a number as the target, from its rows to the tables, in the target's own unit."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import metrics

import framework as fw
import studies
from studies import api
from studies.data import measuring, splits
from studies.errors import UserError
from studies.plan import plan
from studies.spec import spec
from studies.train import engines

SPEC = """
measures = ["r2", "mae"]
[data]
name = "friedman1"
samples = 60
test_samples = 40
[validation]
folds = 3
[base]
hidden = [4]
batch_size = 16
epochs = 3
history_every = 1
keep_predictions = true
[[grid]]
activation = ["relu", "tanh"]
loss = ["mse", "huber"]
"""


def write(tmp_path, *replacements):
    content = SPEC
    for old, new in replacements:
        assert old in content, old
        content = content.replace(old, new)
    path = tmp_path / "numbers.toml"
    path.write_text(content)
    return path


def test_measures_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    truth, said = rng.normal(size=(2, 30))
    assert measuring.of_numbers("rmse", truth, said) == pytest.approx(metrics.root_mean_squared_error(truth, said))
    assert measuring.of_numbers("mae", truth, said) == pytest.approx(metrics.mean_absolute_error(truth, said))
    assert measuring.of_numbers("r2", truth, said) == pytest.approx(metrics.r2_score(truth, said))
    assert measuring.of_numbers("r2", np.ones(3), np.zeros(3)) is None
    assert measuring.of_numbers("mae", truth, said * np.inf) is None


def test_a_linear_model_finds_the_line():
    x = torch.linspace(-1, 1, 50, dtype=torch.float64)[:, None]
    rows = fw.Rows(x, 3 * x[:, 0] - 1)
    model = fw.Sequential(fw.Linear(1, 1), dtype=torch.float64)
    fw.initialize(model, seed=0)
    history = fw.fit(model, fw.MSELoss(), fw.SGD(model, lr=0.3), rows, epochs=200, history_every=200)
    assert fw.predict(model, x)[0, :, 0].tolist() == pytest.approx(rows.labels.tolist(), abs=1e-6)
    assert (history.errors, history.wrong) == ({}, {})
    assert history.loss["train"][-1].item() == pytest.approx(0, abs=1e-10)


def test_numbers_are_for_a_single_output():
    model = fw.Sequential(fw.Linear(1, 2))
    fw.initialize(model, seed=0)
    with pytest.raises(ValueError, match="or finite numbers for a single output"):
        fw.fit(model, fw.MSELoss(), fw.SGD(model), fw.Rows(torch.zeros(4, 1), torch.zeros(4)), epochs=1)


def test_targets_are_normalised_on_training_rows(tmp_path):
    study = spec.load(str(write(tmp_path)))
    drawn = splits.split(study.data, study.validation, study.seed, 0, 1)
    raw, _ = splits.raw_split(study.data, study.validation, study.seed, 0, 1)
    assert (drawn.train.labels.mean(), drawn.train.labels.std()) == pytest.approx((0, 1))
    assert drawn.shift + drawn.scale * drawn.test.labels == pytest.approx(raw.test.labels)
    assert drawn.shift == pytest.approx(raw.train.labels.mean())


def test_a_study_is_told_in_the_unit_of_its_target(tmp_path):
    study = spec.load(str(write(tmp_path)))
    rows = studies.run(study, results=tmp_path, jobs=1)
    assert (rows["status"] == "ok").all()
    assert rows[["test_errors", "wrong", "epochs_to_5_pct"]].isna().all(axis=None)
    kept = api.rows_of(study, tmp_path).predictions
    own = kept[kept["trial"] == rows["trial"][0]]
    truth, said = (own[column].to_numpy(dtype=float) for column in ("truth", "predicted"))
    assert rows["test_rmse"][0] == pytest.approx(metrics.root_mean_squared_error(truth, said), rel=1e-5)
    assert rows["test_r2"][0] == pytest.approx(metrics.r2_score(truth, said), rel=1e-4)
    assert truth.max() > 15  # y of friedman1 lies between 0 and 30
    page = api.write_report(study, tmp_path, tmp_path / "figures").read_text()
    assert "The lowest mean test RMSE of 4 configurations" in page
    assert "% error" not in page
    assert set(api.tables_of(study.about(study.measures[0]), tmp_path)["summary"]["measure"]) == {"r2"}


def test_a_model_no_better_than_the_mean_is_stuck(tmp_path):
    path = write(
        tmp_path, ("epochs = 3", 'epochs = 3\ninit = { name = "normal", sd = 3.0 }\noptimizer = { name = "sgd", lr = 1e-6 }')
    )
    assert studies.run(path, results=tmp_path, jobs=1)["stuck"].all()


def test_torch_nn_trains_the_same_models(tmp_path):
    values = []
    for each in ("stack", "torch_nn"):
        path = write(tmp_path, ("epochs = 3", f'epochs = 3\nengine = "{each}"\ndtype = "float64"'))
        values.append(studies.run(path, results=tmp_path / each, jobs=1)["test_rmse"].to_numpy())
    assert values[1] == pytest.approx(values[0], rel=1e-6)


def test_diabetes_and_a_csv_file_have_numbers(tmp_path):
    pd.DataFrame({"a": np.arange(50.0), "b": np.arange(50.0) ** 2 % 7, "y": np.arange(50) * 1.5}).to_csv(
        tmp_path / "t.csv", index=False
    )
    fixed = ('name = "friedman1"\nsamples = 60\ntest_samples = 40', 'name = "diabetes"')
    own = (fixed[0], 'name = "csv"\npath = "t.csv"\ntarget = "y"\ntask = "regression"')
    for change in (fixed, own):
        study = spec.load(str(write(tmp_path, change)))
        assert (study.data.task, study.measure.name, study.schema.classes) == ("regression", "rmse", ())
        assert engines.plan_units(study, plan.trials(study), jobs=1)
    with pytest.raises(UserError, match=r'for regression write task = "regression" in \[data\]'):
        spec.load(str(write(tmp_path, (fixed[0], 'name = "csv"\npath = "t.csv"\ntarget = "y"'))))


CSV = ('name = "friedman1"\nsamples = 60\ntest_samples = 40', 'name = "csv"\npath = "t.csv"\ntarget = "y"\ntask = "regression"')
WRONG = {
    "loss": (
        ('loss = ["mse", "huber"]', 'loss = ["mse", "cross_entropy"]'),
        "there is no loss 'cross_entropy'; allowed: mse, mae, huber",
    ),
    "output": (("epochs = 3", 'epochs = 3\noutput = "sigmoid"'), "regression has one linear output: output = 'sigmoid'"),
    "outputs": (("epochs = 3", 'epochs = 3\noutputs = "classes"'), "regression has one linear output"),
    "measure": (("measures =", 'measure = "auc"\nmeasures ='), "auc is for classification, and the data are for regression"),
    "noise": (("samples = 60", "samples = 60\nnoise = 0.1"), "data.noise changes classes, and regression has none"),
    "strata": (("folds = 3", "folds = 3\nstratified = true"), "validation.stratified gives folds the shares of the classes"),
    "task": (('name = "friedman1"', 'name = "friedman1"\ntask = "classification"'), "friedman1 is for regression"),
    "texts": (CSV, "the target of regression is numbers: texts in column 'y'"),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_what_regression_cannot_have_is_told(tmp_path, change, message):
    pd.DataFrame({"a": range(30), "y": ["low", "high", "3"] * 10}).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(UserError) as raised:
        spec.load(str(write(tmp_path, change)))
    assert message in str(raised.value)


def test_a_users_function_gets_and_returns_numbers_in_their_unit(tmp_path):
    def nearest(split, *, neighbours=3):
        from sklearn.neighbors import KNeighborsRegressor

        return KNeighborsRegressor(neighbours).fit(split.train.inputs, split.train.targets)

    data = {"name": "friedman1", "samples": 60, "test_samples": 40}
    document = {"name": "own", "data": data, "validation": {"folds": 3}, "grid": [{"neighbours": [1, 5]}]}
    rows = studies.run(document, train=nearest, results=tmp_path, jobs=1)
    assert (rows["status"] == "ok").all(), rows["reason"].tolist()
    assert rows.groupby("neighbours")["train_rmse"].mean().tolist() == pytest.approx([0, 3], abs=1.5)
    assert rows["test_rmse"].between(2, 6).all()
    assert not rows["stuck"].any()
