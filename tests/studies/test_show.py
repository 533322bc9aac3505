"""One trial trained again: the bits of its row, its picture, and a file that torch alone turns into the same model."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import framework as fw
from studies import cli
from studies.columns import OUTCOMES
from studies.data import splits
from studies.plan import plan
from studies.show import trial
from studies.spec import spec
from studies.spec.components import ACTIVATIONS
from studies.train import engines, runner

SINGLE = 'outputs = "single"'
MODELS = {
    **{f"activation {name}": f'activation = "{name}"' for name in ACTIVATIONS},
    "no hidden layer": "hidden = []",
    "parameters": 'hidden = [5, 3]\nactivation = [{ name = "leaky_relu", slope = 0.3 }, { name = "hardtanh", low = -0.1 }]',
    "mixed": 'hidden = [5, 3]\nactivation = ["prelu", "tanh"]',
    "sigmoid outputs": 'loss = "mse"',
    "softmax outputs": 'loss = "mse"\noutput = "softmax"',
    "tanh output": f'loss = "mse"\noutput = "tanh"\ndecision = "round"\n{SINGLE}',
    "one output": f'loss = "bce"\n{SINGLE}',
    "batch norm": 'batchnorm = "affine"',
    "simplified batch norm": 'batchnorm = "simplified"',
    "batch norm after": 'batchnorm = { affine = true, position = "after", eps = 1e-2, momentum = 0.3, unbiased = true }',
    "batch norm by the rows given": 'batchnorm = { affine = true, evaluate = "batch" }',
    "straight through": 'batchnorm = { affine = false, evaluate = "batch", gradient = "straight_through" }',
    "dropout": 'dropout = 0.3\nactivation = "selu"',
    "float64": 'dtype = "float64"\nbatchnorm = "affine"',
    "torch.nn": 'engine = "torch_nn"\nbatchnorm = "affine"\nactivation = "prelu"',
}
GRID = 'activation = ["relu", "tanh"]\noptimizer = [{ name = "sgd", lr = 0.1 }, { name = "adam", lr = 0.01 }]'


def one(tiny, base, *changes):
    """The tiny study with these lines of [base] and nothing else varied."""
    own = {line.split(" = ")[0]: line for line in base.splitlines()}
    lines = {"hidden": "hidden = [4]", **own}
    return tiny(("hidden = [4]", "\n".join(lines.values())), (GRID, 'bias_init = ["normal"]'), *changes)


def loaded(path):
    """The network in a file, as the README builds it, and the file's content."""
    saved = torch.load(path)
    network = torch.nn.Sequential(*(getattr(torch.nn, name)(**arguments) for name, arguments in saved["layers"]))
    network.load_state_dict(saved["state_dict"], assign=True)
    return network.eval(), saved


@pytest.mark.parametrize("base", MODELS.values(), ids=MODELS)
def test_torch_alone_predicts_the_same(tiny, tmp_path, base):
    study = spec.load(str(one(tiny, base)))
    trained = trial.retrain(study, plan.trials(study)[1].key)
    trial.write_trial(trained, tmp_path / "figures", tmp_path / "results")
    (path,) = (tmp_path / "results" / "models").iterdir()
    network, saved = loaded(path)
    raw = trained.scene.raw.test.inputs
    inputs = splits.split(study.data, study.validation, study.seed, 0, 1).test.inputs
    with runner.one_thread():
        expected = fw.predict(trained.model, torch.from_numpy(inputs))[0].clone()
    outputs = network((torch.from_numpy(raw) - saved["mean"]) / saved["scale"])
    torch.testing.assert_close(outputs, expected.double(), rtol=0, atol=1e-6)
    assert saved["decision"] == plan.trials(study)[0].configuration.settings["decision"]


STAMPED = """
title = "A time stamp"
[data]
name = "csv"
path = "d.csv"
target = "kind"
[validation]
folds = 2
[base]
hidden = [4]
epochs = 20
batch_size = 10
keep_predictions = true
[[grid]]
activation = ["tanh"]
"""


@pytest.fixture
def stamped(tmp_path):
    """A study of whole numbers, of which one is a time in seconds: early or late by a few."""
    rng = np.random.default_rng(0)
    seconds = 1_700_000_000 + rng.integers(-90, 90, 80)
    rows = (
        f"{t},{u},{'late' if t >= 1_700_000_000 else 'early'}" for t, u in zip(seconds, rng.integers(9, size=80), strict=True)
    )
    (tmp_path / "d.csv").write_text("\n".join(["time,u,kind", *rows]) + "\n")
    (tmp_path / "stamped.toml").write_text(STAMPED, encoding="utf-8-sig")  # with a byte order mark
    return spec.load(str(tmp_path / "stamped.toml"))


@pytest.mark.parametrize("dtype", [torch.float64, torch.int64, torch.int32], ids=str)
def test_a_saved_model_predicts_classes_by_name_from_inputs_of_any_type(stamped, tmp_path, dtype):
    trial.write_trial(trial.retrain(stamped, plan.trials(stamped)[0].key), tmp_path / "figures", tmp_path / "results")
    (path,) = (tmp_path / "results" / "models").iterdir()
    network, saved = loaded(path)
    assert [saved[name] for name in ("features", "target", "classes")] == [["time", "u"], "kind", ["early", "late"]]
    file = pd.read_csv(tmp_path / "d.csv")
    file.index += 1  # the first row below the header
    inputs = torch.tensor(file[saved["features"]].to_numpy()).to(dtype)
    outputs = network((inputs - saved["mean"]) / saved["scale"])
    said = pd.Series([saved["classes"][label] for label in outputs.argmax(1)], file.index)
    assert (said == file["kind"]).mean() > 0.9
    (record,) = runner.train_unit(engines.plan_units(stamped, plan.trials(stamped)[:1], jobs=1)[0])
    kept = pd.DataFrame(record["predictions"]).set_index("row")
    assert kept["truth"].tolist() == file["kind"][kept.index].tolist()
    assert kept["predicted"].tolist() == said[kept.index].tolist()
    np.testing.assert_allclose(kept[["output_early", "output_late"]], outputs[kept.index - 1].detach(), rtol=0, atol=1e-5)


def test_a_trial_has_the_bits_of_its_row(tiny):
    study = spec.load(str(tiny()))
    (stack,) = engines.plan_units(study, plan.trials(study)[:3], jobs=1)
    for row in runner.train_unit(stack):
        record = trial.retrain(study, row["trial"]).record
        assert {name: record[name] for name in OUTCOMES} == {name: row[name] for name in OUTCOMES}


@pytest.mark.parametrize(
    ("changes", "width"),
    [((), 1040), ((('name = "disk"\nsamples = 60\ntest_samples = 40', 'name = "iris"\ntest_samples = 30'),), 520)],
    ids=["a plane", "four features"],
)
def test_the_command(tiny, tmp_path, changes, width):
    path = tiny(*changes)
    key = plan.trials(spec.load(str(path)))[0].key
    folders = ["--figures", str(tmp_path / "f"), "--results", str(tmp_path / "r")]
    called = CliRunner().invoke(cli.main, ["show", str(path), key[:8], *folders])
    assert called.exit_code == 0, called.output
    assert f"{key}: relu | sgd lr=0.1" in called.output
    assert "history_every    1" in called.output
    assert "wrong (" in called.output
    assert ("choose data of two" in called.output) == bool(changes)
    with Image.open(tmp_path / "f" / "tiny" / f"trial-{key}.png") as picture:
        assert picture.width == width
    assert (tmp_path / "r" / "tiny" / "models" / f"{key}.pt").is_file()


def test_a_model_without_an_equal_in_torch_is_drawn_and_not_written(tiny, tmp_path):
    study = spec.load(str(one(tiny, 'batchnorm = { affine = false, evaluate = "batch", unbiased = true }')))
    written = trial.write_trial(trial.retrain(study, plan.trials(study)[0].key), tmp_path / "figures", tmp_path / "results")
    assert [path.exists() for path in written] == [True, False]
    assert "has no equal there" in list(written.values())[1]


def test_the_file_needs_torch_alone(tiny, tmp_path):
    study = spec.load(str(one(tiny, 'batchnorm = "affine"')))
    written = trial.write_trial(trial.retrain(study, plan.trials(study)[0].key), tmp_path / "figures", tmp_path / "results")
    script = f"""
import sys, torch
saved = torch.load({str(list(written)[1])!r})
network = torch.nn.Sequential(*(getattr(torch.nn, name)(**arguments) for name, arguments in saved["layers"]))
network.load_state_dict(saved["state_dict"], assign=True)
inputs = (torch.zeros(3, 2) - saved["mean"]) / saved["scale"]
print(tuple(network.eval()(inputs).shape), "framework" in sys.modules or "studies" in sys.modules)
"""
    called = subprocess.run([sys.executable, "-I", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert called.stdout.strip() == "(3, 2) False"


@pytest.mark.parametrize("key", ["zzz", ""], ids=["none", "several"])
def test_a_trial_that_is_not_one(tiny, key):
    called = CliRunner().invoke(cli.main, ["show", str(tiny()), key])
    assert called.exit_code == 2
    assert "a trial is given as its key" in called.output
