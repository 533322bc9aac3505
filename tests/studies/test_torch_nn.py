import json

import pandas as pd
import pytest
import torch
from click.testing import CliRunner

import framework as fw
import studies
from studies import cli
from studies.errors import UserError
from studies.plan import plan
from studies.spec import spec
from studies.spec.components import ACTIVATIONS
from studies.train import engines, fitting, networks, runner, torch_models

COUNTS = ["train_errors", "val_errors", "test_errors", "diverged", "stuck", "epochs_to_5_pct", "status"]
LOSSES = ["train_loss", "val_loss", "test_loss"]
LEVELS = 'activation = ["relu", "tanh"]\noptimizer = [{ name = "sgd", lr = 0.1 }, { name = "adam", lr = 0.01 }]'
BOTH = 'engine = ["stack", "torch_nn"]'

# Lines of [base], all in float64; in ReLU and its like a bias of 0 would put whole layers on the corner.
CASES = {
    **{f"activation {name}": f'activation = "{name}"\nbias_init = "normal"' for name in ACTIVATIONS},
    "slope": 'activation = { name = "leaky_relu", slope = 0.3 }\nbias_init = "normal"',
    "parameters for each layer": 'activation = [{ name = "elu", alpha = 0.4 }, { name = "softplus", beta = 2 }]',
    "huber": 'loss = { name = "huber", delta = 0.3 }',
    "huber of a linear output": 'loss = "huber"\noutput = "linear"',
    "hinge": 'loss = "hinge"',
    "hinge of another margin": 'loss = { name = "hinge", margin = 0.4 }\nreduction = "sum"\noptimizer = "adam"',
    "uniform initializers": 'init = "he_uniform"\noutput_init = "xavier_uniform"',
    "orthogonal": 'init = "orthogonal"',
    "exponential": 'schedule = { name = "exponential", factor = 0.5 }',
    "warm-up": 'schedule = { name = "warmup", length = 2 }',
    "an activation for each layer": 'activation = ["prelu", "tanh"]',
    "no hidden layer": "hidden = []",
    "xavier": 'init = "xavier"\nbias_init = "uniform"',
    "he, xavier at the end": 'init = "he"\noutput_init = "xavier"',
    "lecun": 'init = "lecun"',
    "uniform": 'init = "uniform"\nbias_init = "uniform"',
    "normal": 'init = { name = "normal", mean = 0.1, sd = 0.7 }',
    "mse": 'loss = "mse"',
    "mae": 'loss = "mae"',
    "bce": 'loss = "bce"',
    "bce of a softmax": 'loss = "bce"\noutput = "softmax"',
    "mse of a linear output": 'loss = "mse"\noutput = "linear"',
    "mse of one tanh, rounded": 'loss = "mse"\noutput = "tanh"\noutputs = "single"\ndecision = "round"',
    "bce of one output": 'loss = "bce"\noutputs = "single"',
    "sum": 'reduction = "sum"\noptimizer = { name = "sgd", lr = 0.01 }',
    "sum of mae": 'reduction = "sum"\nloss = "mae"\noptimizer = { name = "sgd", lr = 0.01 }',
    "batch norm": 'batchnorm = "affine"',
    "simplified batch norm": 'batchnorm = "simplified"\nactivation = "relu"\nbias_init = "normal"',
    "batch norm after": 'batchnorm = { affine = true, position = "after", eps = 1e-2, momentum = 0.3 }',
    "batch norm that evaluates by the rows given": 'batchnorm = { affine = false, evaluate = "batch" }',
    "momentum": 'optimizer = { name = "sgd", lr = 0.1, momentum = 0.9 }',
    "nesterov": 'optimizer = { name = "sgd", lr = 0.1, momentum = 0.8, nesterov = true, weight_decay = 0.01 }',
    "adagrad": 'optimizer = { name = "adagrad", lr = 0.1, eps = 1e-8, weight_decay = 0.01 }',
    "adadelta": 'optimizer = { name = "adadelta", lr = 0.9, rho = 0.8, eps = 1e-5, weight_decay = 0.01 }',
    "rmsprop": 'optimizer = { name = "rmsprop", lr = 0.01, alpha = 0.9, eps = 1e-6, weight_decay = 0.01 }',
    "adam": 'optimizer = { name = "adam", lr = 0.02, beta1 = 0.8, beta2 = 0.99, eps = 1e-7, weight_decay = 0.01 }',
    "adamw": 'optimizer = { name = "adamw", lr = 0.02, beta1 = 0.8, beta2 = 0.99, eps = 1e-7, weight_decay = 0.1 }',
    "adamax": 'optimizer = { name = "adamax", lr = 0.02, beta1 = 0.8, beta2 = 0.99, eps = 1e-7, weight_decay = 0.01 }',
    "clip": 'clip = 0.1\nloss = "mse"',
    "step decay": 'schedule = { name = "step", factor = 0.5, every = 1 }\noptimizer = { name = "adamw", lr = 0.02 }',
    "cosine": 'schedule = "cosine"\nclip = 0.5',
    "full batch": 'shuffle = "never"\nbatch_size = "full"',
    "single samples": 'shuffle = "once"\nbatch_size = 1',
}


def both(tiny, base):
    """The tiny study under both engines, with the lines of [base] that a case adds or replaces."""
    own = {line.split(" = ")[0]: line for line in base.splitlines()}
    standing = {"hidden": "hidden = [4]", "batch_size": "batch_size = 16", "epochs": "epochs = 3"}
    wider = {"hidden": "hidden = [5, 3]", "dtype": 'dtype = "float64"'}
    lines = {**standing, **wider, **own}
    return tiny(("\n".join(standing.values()), "\n".join(lines.values())), (LEVELS, BOTH))


def pairs(path, tmp_path):
    """The rows of the stack and those of its peer, in one order, and the same of their histories."""
    rows = studies.run(path, results=tmp_path / "r", backend="sequential")
    history = pd.read_csv(tmp_path / "r" / "tiny" / "history.csv").merge(rows[["trial", "engine", "fold"]], on="trial")
    return [
        [part.sort_values(order).reset_index(drop=True) for _, part in table.groupby("engine")]
        for table, order in ((rows, ["fold"]), (history, ["fold", "epoch"]))
    ]


def assert_equal(tables, columns, tolerance):
    pd.testing.assert_frame_equal(*(table[columns] for table in tables), rtol=0, atol=tolerance)


@pytest.mark.parametrize("case", CASES)
def test_a_row_of_torch_nn_is_the_row_of_the_stack(case, tiny, tmp_path):
    rows, histories = pairs(both(tiny, CASES[case]), tmp_path)
    assert [len(part) for part in rows] == [3, 3]
    assert (rows[1]["status"] == "ok").all(), rows[1]["reason"]
    assert_equal(rows, COUNTS, 0)
    assert_equal(rows, LOSSES, 1e-8)
    assert_equal(histories, ["train_errors", "val_errors", "test_errors"], 0)
    assert_equal(histories, LOSSES, 1e-8)
    moved = histories[1].groupby("fold")["train_loss"].agg(["first", "last"])
    assert (moved["first"] != moved["last"]).all()


def test_float32_stays_float32(tiny, tmp_path):
    path = both(tiny, 'dtype = "float32"')
    rows, _ = pairs(path, tmp_path)
    assert_equal(rows, LOSSES, 1e-5)
    _, stack = alone(path)
    assert fit(stack).model.parameters.dtype == torch.float32


@pytest.mark.parametrize("loss", ["mse", "bce", "cross_entropy"])
def test_a_model_that_diverges_is_a_row_like_any_other(loss, tiny, tmp_path):
    base = f'loss = "{loss}"\nactivation = "relu"\nbias_init = "normal"\ndtype = "float32"'
    output = '\noutput = "linear"' if loss == "mse" else ""
    rows, _ = pairs(both(tiny, f'{base}{output}\noptimizer = {{ name = "sgd", lr = 1e30 }}'), tmp_path)
    assert (rows[1]["status"] == "ok").all(), rows[1]["reason"]
    assert rows[1]["diverged"].all()
    assert_equal(rows, [*COUNTS, *LOSSES], 0)


def alone(path):
    """The first trial of each engine as a stack of one."""
    study = spec.load(str(path))
    trials = plan.trials(study)
    firsts = [
        next(trial for trial in trials if trial.configuration.settings["engine"] == name) for name in ("stack", "torch_nn")
    ]
    return [engines.plan_units(study, [trial], jobs=1)[0] for trial in firsts]


def fit(stack, observe=None):
    return fitting.fit_unit(stack, observe, torch_models.to_torch)


def numbers(record):
    return json.dumps(record["history"])


def test_dropout_draws_are_torchs_own_and_belong_to_the_trial(tiny):
    ours, theirs = alone(both(tiny, "dropout = 0.3\nhidden = [20]"))
    first = runner.train_unit(theirs)[0]
    torch.rand(7)
    (other,) = runner.train_unit(ours)
    assert numbers(runner.train_unit(theirs)[0]) == numbers(first)
    assert first["history"]["train_loss"][0] == pytest.approx(other["history"]["train_loss"][0], rel=1e-12)
    assert first["history"]["train_loss"][1] != pytest.approx(other["history"]["train_loss"][1], rel=1e-6)


def test_dropout_drops_the_share_asked_for(tiny):
    settings = alone(both(tiny, "dropout = 0.3\nhidden = [400]"))[1].trials[0].configuration.settings
    model, _, _ = torch_models.to_torch(networks.model([settings], 2, 2), settings)
    ones = torch.ones(1, 400, 50)
    assert (model.network[2](ones) == 0).float().mean() == pytest.approx(0.3, abs=0.02)


def test_predictions_are_kept(tiny):
    ours, theirs = (runner.train_unit(stack)[0]["predictions"] for stack in alone(both(tiny, "keep_predictions = true")))
    assert theirs["predicted"] == ours["predicted"]
    assert theirs["output_1"] == pytest.approx(ours["output_1"], abs=1e-8)


def test_outside_inference_mode_the_numbers_are_the_same_and_predictions_carry_no_graph(tiny):
    _, stack = alone(both(tiny, "epochs = 2"))
    seen = []
    trained = fit(stack, observe=lambda epoch, model: seen.append((epoch, model.parameters.clone())))
    with torch.inference_mode():
        again = fit(stack)
    assert torch.equal(trained.history.loss["test"], again.history.loss["test"])
    assert torch.equal(trained.model.parameters, again.model.parameters)
    assert not fw.predict(trained.model, torch.ones(4, 2)).requires_grad
    assert not trained.history.loss["train"].requires_grad
    assert [epoch for epoch, _ in seen] == [0, 1, 2]
    assert torch.equal(seen[-1][1], trained.model.parameters)
    assert not torch.equal(seen[-1][1], seen[-2][1])


REFUSED = {
    "straight-through batch norm": (
        'batchnorm = { affine = false, gradient = "straight_through" }',
        "torch.nn's batch norm has the exact gradient only",
    ),
    "unbiased batch norm": ("batchnorm = { unbiased = true }", "divides the variance by n only"),
    "gradient norms": ("gradient_norms = true", "gradient norms are recorded from the framework's layers"),
}


@pytest.mark.parametrize(("base", "message"), REFUSED.values(), ids=REFUSED)
def test_what_torch_nn_has_no_equal_for_is_refused_before_anything_trains(base, message, tiny, tmp_path):
    path = str(both(tiny, base))
    results = ("--results", str(tmp_path / "results"))
    for command in (["plan", path], ["run", path], ["run", path, "--dry-run"]):
        called = CliRunner().invoke(cli.main, [*command, *results])
        assert called.exit_code == 2
        assert called.stderr.startswith("ablation: tiny.toml: base with engine = torch_nn: ")
        assert message in called.stderr
        assert called.stderr.endswith("write engine = 'auto'\n")
    assert not (tmp_path / "results").exists()
    study = spec.load(path)
    with pytest.raises(UserError, match="torch_nn"):
        engines.plan_units(study, plan.trials(study), jobs=1)
    engines.require_trainable(spec.load(path, ["grid=[{}]"]))
