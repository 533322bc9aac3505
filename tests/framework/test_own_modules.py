"""Modules of somebody's own between those of the framework."""

import pytest
import torch
from oracle import by_autograd, close, randn, stack, twin_of
from torch import nn

from framework import Dropout, Identity, Linear, Module, ReLU, Sequential, Sigmoid, Softmax, Tanh
from framework.activations import Activation

pytestmark = pytest.mark.usefixtures("device")


class Through(Module):
    """A module of somebody's own, which hands on what it is given."""

    def forward(self, x, train=True):  # noqa: ARG002 - every module takes both
        return x

    def backward(self, gradient):
        return gradient


class Swish(Activation):
    """y = x sigmoid(x), of whose derivative y is no part."""

    def function(self, x):
        return x * x.sigmoid()

    def derivative(self, x, y):  # noqa: ARG002 - every derivative takes both
        gate = x.sigmoid()
        return gate * (1 + x * (1 - gate))


class Square(ReLU):
    """y = x^2, made of another activation."""

    def function(self, x):
        return x * x

    def derivative(self, x, y):  # noqa: ARG002
        return 2 * x


class Same(Sigmoid):
    """y = x, handed on as it is."""

    def forward(self, x, train=True):  # noqa: ARG002 - every module takes both
        return x

    def backward(self, gradient):
        return gradient


OWN = {
    "reads its input": (Swish, nn.SiLU()),
    "of one that reads its output": (Square, lambda x: x * x),
    "hands on what it is given": (Same, lambda x: x),
}


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("before", [Tanh, ReLU, Identity, lambda: Dropout(0.0)], ids=["tanh", "relu", "identity", "dropout"])
@pytest.mark.parametrize("after", [Tanh, Softmax, lambda: Dropout(0.0)], ids=["tanh", "softmax", "dropout"])
def test_an_activation_of_ones_own_declares_nothing(name, before, after):
    own, theirs = OWN[name]
    model = stack(Linear(3, 4), before(), own(), after(), Linear(4, 2), replicas=2)
    x, gradient = randn(2, 3, 6, seed=2), randn(2, 2, 6, seed=3)
    for _ in range(2):
        model.forward(x)
        dx, dp = model.backward(gradient).clone(), model.gradients.clone()
    known = {Tanh: torch.tanh, ReLU: torch.relu, Softmax: lambda rows: rows.softmax(1)}
    for replica, parameters in enumerate(model.parameters):
        layers = [nn.Linear(3, 4), nn.Linear(4, 2)]
        twin_of(parameters, *layers)

        def network(rows, layers=layers):
            return layers[1](known.get(after, nn.Identity())(theirs(known.get(before, nn.Identity())(layers[0](rows)))))

        weights = [parameter for layer in layers for parameter in layer.parameters()]
        _, expected_dx, expected_dp = by_autograd(network, weights, x[replica], gradient[replica])
        close(dx[replica], expected_dx)
        close(dp[replica], expected_dp)


PASSED_THROUGH = {  # a model with something that hands on what it is given, and the same model without
    "a module at the end": (lambda: [Linear(3, 4), Sigmoid(), Through()], lambda: [Linear(3, 4), Sigmoid()]),
    "nothing at the end": (lambda: [Linear(3, 4), Sigmoid(), Sequential()], lambda: [Linear(3, 4), Sigmoid()]),
    "a module between": (lambda: [Linear(3, 4), Through(), Linear(4, 4)], lambda: [Linear(3, 4), Linear(4, 4)]),
    "nothing between": (lambda: [Linear(3, 4), Sequential(), Linear(4, 4)], lambda: [Linear(3, 4), Linear(4, 4)]),
    "a module of modules": (
        lambda: [Linear(3, 4), ReLU(), Sequential(Through(), Sigmoid(), Through()), Linear(4, 4)],
        lambda: [Linear(3, 4), ReLU(), Sigmoid(), Linear(4, 4)],
    ),
}


@pytest.mark.parametrize("name", PASSED_THROUGH)
def test_what_a_module_hands_on_as_it_was_given_is_not_written_over(name):
    with_it, without = (stack(*layers(), replicas=2) for layers in PASSED_THROUGH[name])
    x, gradient = randn(2, 3, 6, seed=2), randn(2, 4, 6, seed=3)
    before = gradient.clone()
    for _ in range(2):
        assert torch.equal(with_it.forward(x), without.forward(x))
        assert torch.equal(with_it.backward(gradient), without.backward(gradient))
        assert torch.equal(with_it.gradients, without.gradients)
        assert torch.equal(with_it.forward(x, train=False), without.forward(x, train=False))
    assert torch.equal(gradient, before)
