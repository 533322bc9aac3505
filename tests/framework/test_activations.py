import pytest
import torch
from oracle import (
    ACTIVATIONS,
    ONE_SAMPLE,
    SHAPES,
    assert_as_autograd,
    assert_as_differences,
    off_corners,
    randn,
    stack,
    twin_of,
)
from torch import nn

from framework import LeakyReLU, PReLU, Sequential

pytestmark = pytest.mark.usefixtures("device")

SLOPES = {
    f"leaky_relu_{slope}": (lambda slope=slope: LeakyReLU(slope), lambda slope=slope: nn.LeakyReLU(slope))
    for slope in (0, 0.3, 1)
}
CASES = ACTIVATIONS | SLOPES


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


@pytest.mark.parametrize("slope", [-0.01, 1.01, float("nan")])
def test_leaky_relu_refuses_a_slope_out_of_range(slope):
    with pytest.raises(ValueError, match=r"the slope of a leaky ReLU lies in \[0, 1\]"):
        LeakyReLU(slope)
