"""One trial trained again: the bits of its row, its picture, and a file that torch alone turns into the same model."""

import subprocess
import sys

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import framework as fw
from studies import build, cli, datasets, plan, runner, show, spec
from studies.columns import OUTCOMES

SINGLE = 'outputs = "single"'
MODELS = {
    **{f"activation {name}": f'activation = "{name}"' for name in build.ACTIVATIONS},
    "no hidden layer": "hidden = []",
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
    trained = show.retrain(study, plan.trials(study)[1].key)
    show.write(trained, tmp_path / "figures", tmp_path / "results")
    (path,) = (tmp_path / "results" / "models").iterdir()
    network, saved = loaded(path)
    raw = trained.scene.raw.test.inputs
    inputs = datasets.split(study.data, study.validation, study.seed, 0, 1).test.inputs
    with runner.one_thread():
        expected = fw.predict(trained.model, torch.from_numpy(inputs))[0].clone()
    x = (torch.from_numpy(raw).to(saved["mean"]) - saved["mean"]) / saved["scale"]
    torch.testing.assert_close(network(x), expected, rtol=0, atol=1e-6)
    assert saved["decision"] == plan.trials(study)[0].configuration.settings["decision"]


def test_a_trial_has_the_bits_of_its_row(tiny):
    study = spec.load(str(tiny()))
    (stack,) = plan.stacks(study, plan.trials(study)[:3], jobs=1)
    for row in runner.train(stack):
        record = show.retrain(study, row["trial"]).record
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
    written = show.write(show.retrain(study, plan.trials(study)[0].key), tmp_path / "figures", tmp_path / "results")
    assert [path.exists() for path in written] == [True, False]
    assert "has no equal there" in list(written.values())[1]


def test_the_file_needs_torch_alone(tiny, tmp_path):
    study = spec.load(str(one(tiny, 'batchnorm = "affine"')))
    written = show.write(show.retrain(study, plan.trials(study)[0].key), tmp_path / "figures", tmp_path / "results")
    script = f"""
import sys, torch
saved = torch.load({str(list(written)[1])!r})
network = torch.nn.Sequential(*(getattr(torch.nn, name)(**arguments) for name, arguments in saved["layers"]))
network.load_state_dict(saved["state_dict"], assign=True)
print(tuple(network.eval()(torch.zeros(3, 2)).shape), "framework" in sys.modules or "studies" in sys.modules)
"""
    called = subprocess.run([sys.executable, "-I", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert called.stdout.strip() == "(3, 2) False"


@pytest.mark.parametrize("key", ["zzz", ""], ids=["none", "several"])
def test_a_trial_that_is_not_one(tiny, key):
    called = CliRunner().invoke(cli.main, ["show", str(tiny()), key])
    assert called.exit_code == 2
    assert "a trial is given as its key" in called.output
