"""The table of components: every row's parameters are those of its maker, and torch's equivalent computes the same."""

import inspect
import subprocess
import sys

import pytest
import torch
from oracle import assert_as_autograd, by_autograd, close, off_corners, randn, stack, twin_of

import framework as fw
from studies.spec import components
from studies.spec.components import BATCH_NORM, BUILT_IN, DECISIONS, DTYPES
from studies.spec.rules import require

ROWS = {f"{kind} {name}": row for kind, rows in BUILT_IN.items() for name, row in rows.items()} | {"batch norm": BATCH_NORM}
OTHERS = {  # values that are no defaults
    ("activation", "leaky_relu"): {"slope": 0.3},
    ("activation", "prelu"): {"slope": 0.1},
    ("activation", "elu"): {"alpha": 1.7},
    ("activation", "softplus"): {"beta": 2.5},
    ("activation", "hardtanh"): {"low": -0.5, "high": 2.0},
    ("loss", "huber"): {"delta": 0.4},
    ("loss", "hinge"): {"margin": 0.7},
    ("optimizer", "sgd"): {"lr": 0.3, "momentum": 0.8, "nesterov": True, "weight_decay": 0.02},
    ("optimizer", "adagrad"): {"lr": 0.3, "eps": 1e-3, "weight_decay": 0.02},
    ("optimizer", "adadelta"): {"lr": 0.3, "rho": 0.8, "eps": 1e-3, "weight_decay": 0.02},
    ("optimizer", "rmsprop"): {"lr": 0.3, "alpha": 0.8, "eps": 1e-3, "weight_decay": 0.02},
    **{
        ("optimizer", name): {"lr": 0.3, "beta1": 0.7, "beta2": 0.8, "eps": 1e-3, "weight_decay": 0.02}
        for name in ("adam", "adamw", "adamax")
    },
    ("schedule", "step"): {"factor": 0.3, "every": 3},
    ("schedule", "exponential"): {"factor": 0.7},
}
CASES = {
    f"{kind} {name}{' of other parameters' if parameters else ''}": (kind, name, parameters)
    for kind in ("activation", "loss", "optimizer", "schedule")
    for name, row in BUILT_IN[kind].items()
    if row.torch
    for parameters in ({}, OTHERS.get((kind, name)))
    if parameters is not None
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_the_parameters_of_a_row_are_those_of_its_maker(row):
    arguments = inspect.signature(row.make).parameters
    if row.binds:
        assert not row.parameters
        return
    assert {name: arguments[name].default for name in row.parameters} == row.defaults
    assert [name for name in arguments if name in row.parameters] == list(row.parameters)
    assert set(arguments) - set(row.parameters) - {"model"} == set(row.settings)


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_default_keeps_its_rule(row):
    for name, parameter in row.parameters.items():
        assert require(name, parameter.default, parameter.rule, "float32") == parameter.default


@pytest.mark.parametrize("row", [*DECISIONS.values(), *DTYPES.values()], ids=[*DECISIONS, *DTYPES])
def test_decisions_and_dtypes_are_found(row):
    assert row.build() is row.make


def test_every_row_with_parameters_is_compared_at_other_values_too():
    with_parameters = {
        (kind, name) for kind, rows in BUILT_IN.items() for name, row in rows.items() if row.parameters and row.torch
    }
    assert with_parameters == set(OTHERS)
    for (kind, name), parameters in OTHERS.items():
        defaults = BUILT_IN[kind][name].defaults
        assert parameters.keys() == defaults.keys()
        assert all(parameters[key] != defaults[key] for key in defaults)


def of_kind(kind):
    cases = {label: case for label, case in CASES.items() if case[0] == kind}
    return pytest.mark.parametrize(("name", "parameters"), [case[1:] for case in cases.values()], ids=cases)


@of_kind("activation")
def test_an_activation_is_its_twin(name, parameters):
    row = components.ACTIVATIONS[name]
    make, arguments = row.twin(**parameters)
    model = fw.Sequential(row.build(**parameters), replicas=3, dtype=torch.float64)
    twins = [twin_of(one, make(**arguments)) for one in model.parameters]
    assert_as_autograd(model, twins, off_corners(3 * randn(3, 4, 9)), randn(3, 4, 9, seed=1))
    fresh = make(**arguments)
    assert torch.equal(
        torch.cat([model.parameters.new_empty(0), *(each.flatten().double() for each in fresh.parameters())]),
        model.parameters[0].float().double(),
    )


@of_kind("loss")
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_loss_is_its_twin(name, parameters, reduction):
    row = components.LOSSES[name]
    function, arguments = row.twin(**parameters)
    output = randn(2, 3, 7).softmax(1)
    target = torch.nn.functional.one_hot(randn(2, 3, 7, seed=1).argmax(1), 3).mT.double()
    value, gradient = row.build(reduction=reduction, **parameters)(output, target)
    for replica in range(2):

        def summed(rows, replica=replica):
            total = function(rows, target[replica].T, reduction="sum", **arguments)
            return total / 7 if reduction == "mean" else total

        expected, slope, _ = by_autograd(
            lambda rows, summed=summed: summed(rows).reshape(1, 1), [], output[replica], torch.ones(1, 1, dtype=torch.float64)
        )
        close(value[replica], expected[0, 0])
        close(gradient[replica], slope)


@of_kind("optimizer")
def test_an_optimizer_is_its_twin(name, parameters):
    row = components.OPTIMIZERS[name]
    rule, arguments = row.twin(**parameters)
    model = stack(fw.Linear(3, 4), replicas=1)
    theirs = torch.nn.Parameter(model.parameters[0].clone())
    ours, twin = row.build(model, **parameters), rule([theirs], **arguments)
    for step in range(5):
        gradient = randn(*model.parameters.shape, seed=step)
        model.gradients.copy_(gradient)
        theirs.grad = gradient[0].clone()
        ours.step()
        twin.step()
        close(model.parameters[0], theirs.detach())


@of_kind("schedule")
def test_a_schedule_is_its_twin(name, parameters):
    row = components.SCHEDULES[name]
    make, arguments = row.twin(**parameters)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    twin, ours = make(optimizer, **arguments), row.build(**parameters)
    for epoch in range(12):
        assert ours(epoch) == pytest.approx(twin.get_last_lr()[0], rel=1e-12)
        optimizer.step()
        twin.step()


@pytest.mark.parametrize("module", ["components", "settings", "grid", "rules", "parts"])
def test_reading_settings_imports_neither_torch_nor_the_framework(module):
    source = f"import studies.spec.{module}, sys; print([name for name in ('torch', 'framework') if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
