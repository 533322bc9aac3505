import pytest
import torch
from oracle import (
    ACTIVATIONS,
    ONE_SAMPLE,
    SHAPES,
    assert_as_autograd,
    assert_as_differences,
    off_corners,
    ours_and_theirs,
    randn,
    stack,
    twin_of,
)
from torch import nn

from framework import ELU, Hardtanh, LeakyReLU, PReLU, Sequential, Softplus
from studies.spec import components

pytestmark = pytest.mark.usefixtures("device")

PARAMETERS = {
    "leaky_relu": [{"slope": 0}, {"slope": 0.3}, {"slope": 1}],
    "prelu": [{"slope": -0.5}],
    "elu": [{"alpha": 0}, {"alpha": 0.3}, {"alpha": 2.5}],
    "softplus": [{"beta": 0.4}, {"beta": 3}],
    "hardtanh": [{"low": 0, "high": 6}, {"low": -0.25, "high": 0.5}],
}
OTHERS = {
    f"{name} {parameters}": ours_and_theirs(components.ACTIVATIONS[name], **parameters)
    for name, several in PARAMETERS.items()
    for parameters in several
}
CASES = ACTIVATIONS | OTHERS


@pytest.mark.parametrize("shape", SHAPES + ONE_SAMPLE, ids=str)
@pytest.mark.parametrize("name", CASES)
def test_activations_are_those_of_torch(name, shape):
    ours, theirs = CASES[name]
    model = stack(ours(), replicas=shape[0])
    twins = [twin_of(one, theirs()) for one in model.parameters]
    assert_as_autograd(model, twins, 2 * randn(*shape, seed=2), randn(*shape, seed=3))


@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.parametrize("name", CASES)
def test_activations_are_those_of_torch_at_corners_and_extremes(name, replicas):
    points = torch.tensor([0.0, -0.0, 1e-300, -1e-300, 1e-12, -1e-12, 30.0, -30.0, 1000.0, -1000.0], dtype=torch.float64)
    x = torch.stack((points, points.flip(0), points.roll(3))).expand(replicas, -1, -1)
    ours, theirs = CASES[name]
    model = stack(ours(), replicas=replicas)
    twins = [twin_of(one, theirs()) for one in model.parameters]
    assert_as_autograd(model, twins, x, randn(*x.shape, seed=3))


@pytest.mark.parametrize("shape", SHAPES + ONE_SAMPLE, ids=str)
@pytest.mark.parametrize("name", CASES)
def test_activations_project_as_differences_do(name, shape):
    assert_as_differences(stack(CASES[name][0](), replicas=shape[0]), off_corners(2 * randn(*shape, seed=2)))


def test_prelu_starts_at_the_slope_of_torch():
    assert torch.equal(Sequential(PReLU(), replicas=3).parameters, nn.PReLU().weight.detach().expand(3, 1))


def test_every_activation_with_parameters_is_tried_at_several():
    assert PARAMETERS.keys() == {name for name, component in components.ACTIVATIONS.items() if component.parameters}


REFUSED = {
    "alpha": (lambda: ELU(-0.1), "the alpha of an ELU is a number from 0: -0.1 was given"),
    "beta": (lambda: Softplus(0.0), "the beta of a softplus is a number above 0: 0.0 was given"),
    "low": (lambda: Hardtanh(1.0, 1.0), "a hard tanh has low below high: low=1.0 and high=1.0 were given"),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED)
def test_parameters_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("name", [*ACTIVATIONS])
def test_a_value_of_float32_belongs_to_a_number_not_to_its_place_in_the_stack(name):
    """Vectorised loops hand their last numbers to other code, whose last digits differ."""
    x = 3 * randn(7, 5, 9).float()
    together, alone = (Sequential(ACTIVATIONS[name][0](), replicas=replicas) for replicas in (7, 1))
    assert torch.equal(together.forward(x)[6], alone.forward(x[6:])[0])
    gradient = randn(7, 5, 9, seed=1).float()
    assert torch.equal(together.backward(gradient)[6], alone.backward(gradient[6:])[0])


@pytest.mark.parametrize("slope", [-0.01, 1.01, float("nan")])
def test_leaky_relu_refuses_a_slope_out_of_range(slope):
    with pytest.raises(ValueError, match=r"the slope of a leaky ReLU lies in \[0, 1\]"):
        LeakyReLU(slope)
