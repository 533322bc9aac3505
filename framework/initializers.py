"""Initializers: the first weights and biases of one replica.

An initializer is a function of `(shape, fan_in, fan_out, generator)`. Fans are arguments, never guessed from a shape. Each
draws one standard normal (or uniform) number per entry and scales it, so that two models that differ in the initializer
alone start from the same draws, and their difference is the initializer's.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from framework.layers import Linear
from framework.module import Sequential
from framework.streams import WEIGHTS, derive, generator

Initializer = Callable[[tuple[int, ...], int, int, torch.Generator], Tensor]


def gaussian(mean: float = 0.0, sd: float = 1.0) -> Initializer:
    """N(mean, sd^2), whatever the fans."""

    def draw(shape: tuple[int, ...], fan_in: int, fan_out: int, stream: torch.Generator) -> Tensor:
        return mean + sd * torch.randn(shape, generator=stream, dtype=torch.float64, device=stream.device)

    return draw


normal = gaussian()


def he(shape: tuple[int, ...], fan_in: int, fan_out: int, stream: torch.Generator) -> Tensor:
    """N(0, 2 / fan_in): keeps the variance of activations under ReLU (He et al. 2015, equation 10)."""
    return math.sqrt(2 / fan_in) * normal(shape, fan_in, fan_out, stream)


def xavier(shape: tuple[int, ...], fan_in: int, fan_out: int, stream: torch.Generator) -> Tensor:
    """N(0, 2 / (fan_in + fan_out)): between the variance of activations and of gradients (Glorot and Bengio 2010, eq. 12)."""
    return math.sqrt(2 / (fan_in + fan_out)) * normal(shape, fan_in, fan_out, stream)


def lecun(shape: tuple[int, ...], fan_in: int, fan_out: int, stream: torch.Generator) -> Tensor:
    """N(0, 1 / fan_in) (LeCun et al. 1998, "Efficient backprop", equation 16)."""
    return math.sqrt(1 / fan_in) * normal(shape, fan_in, fan_out, stream)


def uniform(shape: tuple[int, ...], fan_in: int, fan_out: int, stream: torch.Generator) -> Tensor:
    """U(-b, b) with b = 1 / sqrt(fan_in): the default of torch.nn.Linear, for weights and biases."""
    return _uniform(shape, stream) / math.sqrt(fan_in)


def he_uniform(shape: tuple[int, ...], fan_in: int, fan_out: int, stream: torch.Generator) -> Tensor:
    """U(-b, b) with b = sqrt(6 / fan_in): the variance 2 / fan_in of `he` (He et al. 2015)."""
    return math.sqrt(6 / fan_in) * _uniform(shape, stream)


def xavier_uniform(shape: tuple[int, ...], fan_in: int, fan_out: int, stream: torch.Generator) -> Tensor:
    """U(-b, b) with b = sqrt(6 / (fan_in + fan_out)): the variance of `xavier` (Glorot and Bengio 2010, equation 16)."""
    return math.sqrt(6 / (fan_in + fan_out)) * _uniform(shape, stream)


def orthogonal(shape: tuple[int, ...], fan_in: int, fan_out: int, stream: torch.Generator) -> Tensor:
    """Orthonormal rows or columns, whichever are fewer, uniform among all of that shape (Saxe et al. 2014).

    The Q of a standard normal matrix, `(out, in)`, with the signs that make the diagonal of R positive (Mezzadri 2007).
    """
    drawn = normal(shape, fan_in, fan_out, stream)
    is_wide = shape[0] < shape[1]
    q, r = torch.linalg.qr(drawn.T if is_wide else drawn)
    q = q * torch.where(r.diagonal() < 0, -1.0, 1.0)
    return q.T if is_wide else q


def _uniform(shape: tuple[int, ...], stream: torch.Generator) -> Tensor:
    """U(-1, 1)."""
    return 2 * torch.rand(shape, generator=stream, dtype=torch.float64, device=stream.device) - 1


def zeros(shape: tuple[int, ...], fan_in: int, fan_out: int, stream: torch.Generator) -> Tensor:
    """0 everywhere: the usual start of a bias."""
    return torch.zeros(shape, dtype=torch.float64, device=stream.device)


def initialize_replica(
    model: Sequential, replica: int, hidden: Initializer, output: Initializer, bias: Initializer, seed: int
) -> None:
    """Draw the weights and biases of one replica; the last linear layer starts from `output`, the others from `hidden`.

    The i-th linear layer draws from a stream of its own, so that its start does not depend on the layers before it.

    Raises ValueError where an initializer is no function, or one of torch.nn.
    """
    for given in (hidden, output, bias):
        if not callable(given):
            raise ValueError(f"an initializer is a function, such as framework.he or framework.gaussian(): {given!r} was given")
        if (getattr(given, "__module__", None) or "").startswith("torch.nn"):
            raise ValueError(
                "an initializer is a function of (shape, fan_in, fan_out, generator): "
                f"{getattr(given, '__name__', given)} of {given.__module__} was given; "
                "write framework.he, framework.xavier_uniform and so on"
            )
    layers = [layer for layer in model.modules() if isinstance(layer, Linear)]
    for index, layer in enumerate(layers):
        stream = generator(derive(seed, index))
        weight = output if layer is layers[-1] else hidden
        fans = (layer.inputs, layer.outputs)
        layer.weight[replica] = weight((layer.outputs, layer.inputs), *fans, stream)
        layer.bias[replica] = bias((layer.outputs, 1), *fans, stream)
    model.initialized.add(replica)


def initialize(model: Sequential, weight: Initializer = he, bias: Initializer = zeros, seed: int = 0) -> None:
    """Draw every replica's weights and biases, each from a seed of its own under `seed`; `fit` draws from others under it."""
    for replica in range(model.replicas):
        initialize_replica(model, replica, weight, weight, bias, derive(derive(seed, WEIGHTS), replica))
