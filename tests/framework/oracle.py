"""Oracle of the framework: torch.nn and autograd, one replica at a time, and finite differences; in float64.

The small problems at the end are what several test files train on.
"""

from itertools import pairwise

import torch
from torch import nn

from framework import (
    SGD,
    BatchNorm,
    CrossEntropyLoss,
    Linear,
    Rows,
    Sequential,
    Tanh,
    initialize,
    normal,
    xavier,
)
from framework.streams import generator
from studies.spec import components

SHAPES = [  # (R, features, samples)
    (1, 1, 2),
    (1, 3, 5),
    (1, 2, 64),
    (1, 25, 7),
    (2, 1, 3),
    (3, 4, 6),
    (5, 2, 33),
    (7, 25, 10),
]
ONE_SAMPLE = [(1, 1, 1), (1, 5, 1), (4, 3, 1)]


def ours_and_theirs(component, **parameters):
    """Makers of a component of the framework and of its equal of torch.nn."""
    make, arguments = component.twin(**parameters)
    return lambda: component.build(**parameters), lambda: make(**arguments)


ACTIVATIONS = {name: ours_and_theirs(component) for name, component in components.ACTIVATIONS.items()}
NORMS = {
    "plain": None,
    "simplified": (lambda _: BatchNorm(affine=False), lambda features: nn.BatchNorm1d(features, affine=False)),
    "affine": (lambda _: BatchNorm(), nn.BatchNorm1d),
}


class UnbiasedBatchNorm(nn.BatchNorm1d):
    """torch's batch norm, but for batches that are normalised by a variance over n - 1."""

    def forward(self, x):
        y = super().forward(x)  # keeps the running statistics
        if self.track_running_stats and not self.training:
            return y
        y = (x - x.mean(0)) / (x.var(0, unbiased=True) + self.eps).sqrt()
        return y * self.weight + self.bias if self.affine else y


def close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)


def randn(*shape, seed=0):
    """The same numbers on every device."""
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64, device="cpu")
    return drawn.to(torch.get_default_device())


def off_corners(x):
    """x, but no closer than 0.01 to a multiple of 0.05, where some activations have a corner."""
    return (10 * x).round() / 10 + 0.03


def stack(*layers, replicas, seed=1):
    """A stack of `replicas` models with random parameters, of gains and slopes too."""
    model = Sequential(*layers, replicas=replicas, dtype=torch.float64)
    model.parameters.copy_(randn(*model.parameters.shape, seed=seed))
    return model


def network(widths, activation, norm=None, head=None):
    """The layers of a network, ours and torch's; `activation`, `norm` and `head` are such pairs too."""
    pairs = []
    for layer, (inputs, outputs) in enumerate(pairwise(widths), start=2):
        pairs.append((Linear(inputs, outputs), nn.Linear(inputs, outputs)))
        if layer < len(widths):
            pairs += [[build(outputs) for build in norm]] if norm else []
            pairs.append([build() for build in activation])
    pairs += [[build() for build in head]] if head else []
    return tuple(zip(*pairs, strict=True))


def twin_of(parameters, *layers):
    """torch's network of these layers, at the flat parameters of one replica."""
    twin = nn.Sequential(*layers).double()
    nn.utils.vector_to_parameters(parameters.clone(), twin.parameters())
    return twin


def flat(tensors, like):
    return torch.cat([like.new_empty(0), *(tensor.flatten() for tensor in tensors)])


def by_autograd(function, parameters, x, gradient):
    """y, dL/dx and dL/dparameters of a torch function of rows, for x and dL/dy as columns."""
    rows = x.T.clone().requires_grad_()
    y = function(rows)
    parameters = list(parameters)
    dx, *dp = torch.autograd.grad(y, [rows, *parameters], gradient.T)
    return y.detach().T, dx.T, flat(dp, x)


def assert_as_autograd(model, twins, x, gradient, between=None):
    """Values, input gradients and parameter gradients of the stack are those of its replicas' twins.

    `between` is called while the backward pass is pending, and must not matter.
    """
    expected = [by_autograd(twin, twin.parameters(), *pair) for twin, *pair in zip(twins, x, gradient, strict=True)]
    y, dx, dp = (torch.stack(tensors) for tensors in zip(*expected, strict=True))
    output = model.forward(x)
    if between:
        between()
    close(output, y)
    close(model.backward(gradient), dx)
    close(model.gradients, dp)


def assert_evaluates_as(model, twins, x):
    """Outputs in evaluation are those of its replicas' twins."""
    close(
        model.forward(x, train=False), torch.stack([twin.eval()(one.T).detach().T for twin, one in zip(twins, x, strict=True)])
    )


def difference(value, h=1e-4):
    """The derivative of value(t) at 0 by central differences of order h^4."""
    return (8 * (value(h) - value(-h)) - (value(2 * h) - value(-2 * h))) / (12 * h)


def assert_as_differences(model, x, seed=5):
    """v.(J u) of every replica: numeric J u against analytic J^T v, for one random direction u of inputs and parameters."""
    parameters = model.parameters.clone()
    v = randn(*model.forward(x).shape, seed=seed)
    u_x, u_p = randn(*x.shape, seed=seed + 1), randn(*parameters.shape, seed=seed + 2)

    def value(t):
        model.seed(range(model.replicas))  # dropout draws the same mask again
        model.parameters.copy_(parameters + t * u_p)
        return (v * model.forward(x + t * u_x)).sum((1, 2))

    numeric = difference(value)
    value(0.0)
    analytic = (model.backward(v) * u_x).sum((1, 2)) + (model.gradients * u_p).sum(1)
    assert_close_to_differences(analytic, numeric)


def assert_close_to_differences(analytic, numeric):
    # Truncation is h^4 = 1e-16 times a fifth derivative, rounding 1e-16 / h = 1e-12 times the value.
    torch.testing.assert_close(analytic, numeric, rtol=1e-8, atol=1e-8)


def disk(samples, seed=0, sets=None):
    """Points of the unit square, and whether they lie in a disk of half its area; float32."""
    shape = (samples, 2) if sets is None else (sets, samples, 2)
    inputs = torch.rand(shape, generator=generator(seed), device="cpu").to(torch.get_default_device())
    return Rows(inputs, ((inputs - 0.5).square().sum(-1) < 0.16).long())


def small(replicas=3, outputs=2, hidden=Tanh, loss=CrossEntropyLoss, lr=0.5, dtype=torch.float64, **options):
    """A small stack and the arguments of fit that train it."""
    model = Sequential(Linear(2, 5), hidden(), Linear(5, outputs), replicas=replicas, dtype=dtype)
    initialize(model, xavier, normal, seed=3)
    return model, (model, loss(**options), SGD(model, lr))
