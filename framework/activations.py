"""Activations: a function and its derivative, side by side.

Where a function has a corner, its derivative there is that of the left side, as in torch.
"""

import math

import torch
from torch import Tensor

from framework import ops
from framework.module import Module


class Activation(Module):
    """y = f(x), dL/dx = f'(x) dL/dy: `function(x)` is f(x), and `derivative(x, y)` is f'(x), which y = f(x) may simplify."""

    def forward(self, x: Tensor, train: bool = True) -> Tensor:
        y = self.function(x)
        if train:
            self._x, self._y = x, y
        return y

    def backward(self, gradient: Tensor) -> Tensor:
        return gradient * self.derivative(self._x, self._y)

    def function(self, x: Tensor) -> Tensor:
        """y = f(x)."""
        raise NotImplementedError

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        """dy/dx at x, where the function is y."""
        raise NotImplementedError


class Identity(Activation):
    """y = x, dy/dx = 1."""

    def function(self, x: Tensor) -> Tensor:
        return x

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.ones_like(x)


class ReLU(Activation):
    """y = max(x, 0), dy/dx = [x > 0]."""

    def function(self, x: Tensor) -> Tensor:
        return x.clamp(min=0)

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        return ops.positive(x)


class LeakyReLU(Activation):
    """y = max(x, a x), dy/dx = [x > 0] (1 - a) + a, for a slope 0 <= a <= 1 (Maas et al. 2013)."""

    options = ("slope",)

    def __init__(self, slope: float = 0.01) -> None:
        if not 0 <= slope <= 1:
            raise ValueError(f"the slope of a leaky ReLU lies in [0, 1]: {slope} was given")
        self.slope = slope

    def function(self, x: Tensor) -> Tensor:
        return torch.maximum(x, self.slope * x)

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        return ops.positive(x) * (1 - self.slope) + self.slope


class PReLU(Activation):
    """y = max(x, 0) + a min(x, 0), dy/dx = [x > 0] (1 - a) + a, dy/da = min(x, 0), with one slope a learned per model.

    He et al. 2015, "Delving deep into rectifiers", equation 1; a = 0.25 at the start, as there, or the `slope` given.
    """

    parameter_names = ("slope",)
    options = ("first_slope",)
    slope: Tensor
    slope_gradient: Tensor

    def __init__(self, slope: float = 0.25) -> None:
        self.first_slope = slope

    def parameter_shapes(self) -> tuple[tuple[int, ...], ...]:
        return ((1, 1),)

    def start(self) -> None:
        self.slope.fill_(self.first_slope)

    def function(self, x: Tensor) -> Tensor:
        return x.clamp(min=0) + self.slope * x.clamp(max=0)

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        return ops.positive(x) * (1 - self.slope) + self.slope

    def backward(self, gradient: Tensor) -> Tensor:
        self.slope_gradient.copy_((gradient * self._x.clamp(max=0)).sum((1, 2), keepdim=True))
        return super().backward(gradient)


class ELU(Activation):
    """y = max(x, 0) + a (e^min(x, 0) - 1); dy/dx = [x > 0] (1 - a) + a + min(y, 0) (Clevert et al. 2015, equation 15)."""

    options: tuple[str, ...] = ("alpha",)

    def __init__(self, alpha: float = 1.0) -> None:
        if not 0 <= alpha < math.inf:
            raise ValueError(f"the alpha of an ELU is a number from 0: {alpha} was given")
        self.alpha = alpha

    def function(self, x: Tensor) -> Tensor:
        return x.clamp(min=0) + self.alpha * ops.expm1(x.clamp(max=0))

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        return ops.positive(x) * (1 - self.alpha) + self.alpha + y.clamp(max=0)


class SELU(ELU):
    """y = s (max(x, 0) + a (e^min(x, 0) - 1)); dy/dx = s ([x > 0] (1 - a) + a) + min(y, 0).

    ELU with the a and s at which activations of mean 0 and variance 1 stay so from layer to layer (Klambauer et al. 2017,
    equation 14).
    """

    options = ()
    scale = 1.0507009873554804934193349852946

    def __init__(self) -> None:
        super().__init__(1.6732632423543772848170429916717)

    def function(self, x: Tensor) -> Tensor:
        return self.scale * super().function(x)

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        return self.scale * super().derivative(x, y / self.scale)


class Tanh(Activation):
    """y = tanh(x), dy/dx = 1 - y^2."""

    def function(self, x: Tensor) -> Tensor:
        return ops.tanh(x)

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        return 1 - y * y


class Sigmoid(Activation):
    """y = 1 / (1 + e^-x), dy/dx = y (1 - y)."""

    def function(self, x: Tensor) -> Tensor:
        return ops.sigmoid(x)

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        return y * (1 - y)


class GELU(Activation):
    """y = x Phi(x), dy/dx = Phi(x) + x phi(x), with Phi and phi of the standard normal distribution.

    Hendrycks and Gimpel 2016, equation 1; Phi(x) = (1 + erf(x / sqrt(2))) / 2 and phi(x) = e^(-x^2 / 2) / sqrt(2 pi).
    """

    def function(self, x: Tensor) -> Tensor:
        return x * self._distribution(x)

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        density = ops.exp(-x * x / 2) / math.sqrt(2 * math.pi)
        return self._distribution(x) + x * density

    def _distribution(self, x: Tensor) -> Tensor:
        return (1 + ops.erf(x / math.sqrt(2))) / 2


class SiLU(Activation):
    """y = x s, dy/dx = s (1 + x (1 - s)), with s = 1 / (1 + e^-x): swish (Ramachandran et al. 2017, with beta = 1)."""

    def function(self, x: Tensor) -> Tensor:
        return x * ops.sigmoid(x)

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        s = ops.sigmoid(x)
        return s * (1 + x * (1 - s))


class Mish(Activation):
    """y = x t, dy/dx = t + x (1 - t^2) s, with t = tanh(log(1 + e^x)) and s = 1 / (1 + e^-x) (Misra 2019, equation 1)."""

    def function(self, x: Tensor) -> Tensor:
        return x * ops.tanh(ops.softplus(x))

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        t, s = ops.tanh(ops.softplus(x)), ops.sigmoid(x)
        return t + x * (1 - t * t) * s


class Softplus(Activation):
    """y = log(1 + e^(b x)) / b, dy/dx = 1 / (1 + e^(-b x)), for a sharpness `beta` b > 0 (Dugas et al. 2001)."""

    options = ("beta",)

    def __init__(self, beta: float = 1.0) -> None:
        if not 0 < beta < math.inf:
            raise ValueError(f"the beta of a softplus is a number above 0: {beta} was given")
        self.beta = beta

    def function(self, x: Tensor) -> Tensor:
        return ops.softplus(self.beta * x) / self.beta

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        return ops.sigmoid(self.beta * x)


class Hardtanh(Activation):
    """y = min(max(x, low), high), dy/dx = [low < x < high] (Collobert 2004)."""

    options = ("low", "high")

    def __init__(self, low: float = -1.0, high: float = 1.0) -> None:
        if not low < high:
            raise ValueError(f"a hard tanh has low below high: low={low} and high={high} were given")
        self.low, self.high = low, high

    def function(self, x: Tensor) -> Tensor:
        return x.clamp(self.low, self.high)

    def derivative(self, x: Tensor, y: Tensor) -> Tensor:
        return ops.positive(x - self.low) * ops.positive(self.high - x)


class Softmax(Activation):
    """y_i = e^x_i / sum_j e^x_j over the features; dL/dx_i = y_i (dL/dy_i - sum_j y_j dL/dy_j)."""

    def function(self, x: Tensor) -> Tensor:
        raised = ops.exp(x - x.amax(1, keepdim=True))  # none overflows
        return raised / raised.sum(1, keepdim=True)

    def backward(self, gradient: Tensor) -> Tensor:
        y = self._y
        return y * (gradient - (y * gradient).sum(1, keepdim=True))
