"""Activations: a function and its derivative, side by side.

Each keeps its output y, or its input x where the derivative needs that, and multiplies the gradient by dy/dx. Where a
function has a corner, its derivative there is that of the left side, as in torch.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from framework import ops
from framework.module import Module


class Activation(Module):
    """y = f(x), given by `_function` and `_derivative`.

    Without `reads`, both methods may read x and y, and return any tensor; that is always right, and takes more memory.
    `class Tanh(Activation, reads="output")` declares which of x and y `_derivative` reads (input, output or nothing), that both
    methods write to `out` only, which may be what they were given, and that each sample is treated alone.
    """

    def __init_subclass__(cls, reads: Literal["", "input", "output", "nothing"] = "") -> None:
        super().__init_subclass__()
        if reads:
            cls.keeps_input, cls.keeps_output = reads == "input", reads == "output"
            cls.overwrites = cls.own_results = cls.by_row = True

    def forward(self, x: Tensor, train: bool = True) -> Tensor:
        y = self._function(x, self._output(x, train))
        if train:
            self._x, self._y = x, y
        return y

    def backward(self, gradient: Tensor) -> Tensor:
        return self._derivative(gradient, self._over(gradient))

    def _function(self, x: Tensor, out: Tensor) -> Tensor:
        """f(x), written to `out`, which may be x."""
        raise NotImplementedError

    def _derivative(self, gradient: Tensor, out: Tensor) -> Tensor:
        """gradient f'(x) at the x and y = f(x) kept by `forward`, written to `out`, which may be the gradient."""
        raise NotImplementedError


class Identity(Activation, reads="nothing"):
    """y = x, dy/dx = 1."""

    def _function(self, x: Tensor, out: Tensor) -> Tensor:
        return ops.copy(x, out)

    def _derivative(self, gradient: Tensor, out: Tensor) -> Tensor:
        return ops.copy(gradient, out)


class ReLU(Activation, reads="output"):
    """y = max(x, 0), dy/dx = [x > 0]."""

    def _function(self, x: Tensor, out: Tensor) -> Tensor:
        return torch.clamp(x, min=0.0, out=out)

    def _derivative(self, gradient: Tensor, out: Tensor) -> Tensor:
        return ops.where_positive(gradient, self._y, 0.0, out)


class LeakyReLU(Activation, reads="output"):
    """y = max(x, a x), dy/dx = [x > 0] (1 - a) + a, for a slope 0 <= a <= 1 (Maas et al. 2013)."""

    def __init__(self, slope: float = 0.01) -> None:
        super().__init__()
        if not 0 <= slope <= 1:
            raise ValueError(f"the slope of a leaky ReLU lies in [0, 1]: {slope} was given")
        self.slope = slope

    def __repr__(self) -> str:
        return f"LeakyReLU({self.slope:g})"

    def _function(self, x: Tensor, out: Tensor) -> Tensor:
        return ops.leaky(x, self.slope, out)

    def _derivative(self, gradient: Tensor, out: Tensor) -> Tensor:
        return ops.where_positive(gradient, self._y, self.slope, out)


class PReLU(Activation, reads="input"):
    """y = max(x, 0) + a min(x, 0), dy/dx = [x > 0] + a [x <= 0], dy/da = min(x, 0), with one slope a learned per model.

    He et al. 2015, "Delving deep into rectifiers", equation 1; a = 0.25 at the start, as there, or the `slope` given.
    """

    parameter_names = ("slope",)
    slope: Tensor
    slope_gradient: Tensor

    def __init__(self, slope: float = 0.25) -> None:
        super().__init__()
        self.first_slope = slope

    def __repr__(self) -> str:
        return f"PReLU({self.first_slope:g})"

    def parameter_shapes(self) -> tuple[tuple[int, ...], ...]:
        return ((1, 1),)

    def start(self) -> None:
        self.slope.fill_(self.first_slope)

    def _function(self, x: Tensor, out: Tensor) -> Tensor:
        below = torch.clamp(x, max=0.0, out=self._scratch(x)).mul_(self.slope)
        return torch.clamp(x, min=0.0, out=out).add_(below)

    def _derivative(self, gradient: Tensor, out: Tensor) -> Tensor:
        scratch = self._scratch(gradient)
        below = torch.clamp(self._x, max=0.0, out=scratch).mul_(gradient)
        torch.sum(below, (1, 2), keepdim=True, out=self.slope_gradient)
        slopes = ops.positive(self._x, scratch).mul_(1 - self.slope).add_(self.slope)
        return torch.mul(gradient, slopes, out=out)


class ELU(Activation, reads="output"):
    """y = max(x, 0) + a (e^min(x, 0) - 1); dy/dx = 1 where x > 0, else y + a (Clevert et al. 2015, equation 15)."""

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        if not 0 <= alpha < math.inf:
            raise ValueError(f"the alpha of an ELU is a number from 0: {alpha} was given")
        self.alpha = alpha

    def __repr__(self) -> str:
        return f"ELU({self.alpha:g})"

    def _function(self, x: Tensor, out: Tensor) -> Tensor:
        below = torch.clamp(x, max=0.0, out=self._scratch(x))
        raised = ops.exp(below, self._scratch(x, "raised")).sub_(ops.number(1.0, x))
        # e^x - 1 is nowhere below x, but for rounding.
        torch.maximum(below, raised, out=below).mul_(ops.number(self.alpha, x))
        return torch.clamp(x, min=0.0, out=out).add_(below)

    def _derivative(self, gradient: Tensor, out: Tensor) -> Tensor:
        return ops.times_elu_slope(gradient, self._y, 1.0, self.alpha, out)


class SELU(Activation, reads="output"):
    """y = s (max(x, 0) + a (e^min(x, 0) - 1)); dy/dx = s where x > 0, else y + s a.

    ELU with the a and s at which activations of mean 0 and variance 1 stay so from layer to layer (Klambauer et al. 2017,
    equation 14).
    """

    alpha = 1.6732632423543772848170429916717
    scale = 1.0507009873554804934193349852946
    lowest = -scale * alpha

    def _function(self, x: Tensor, out: Tensor) -> Tensor:
        below = torch.clamp(x, max=0.0, out=self._scratch(x))
        ops.line(ops.exp(below, below), -self.lowest, self.lowest, below)
        return ops.add_scaled(below, torch.clamp(x, min=0.0, out=out), self.scale, out)

    def _derivative(self, gradient: Tensor, out: Tensor) -> Tensor:
        return ops.times_elu_slope(gradient, self._y, self.scale, self.alpha, out)


class Tanh(Activation, reads="output"):
    """y = tanh(x), dy/dx = 1 - y^2."""

    def _function(self, x: Tensor, out: Tensor) -> Tensor:
        return ops.tanh(x, out)

    def _derivative(self, gradient: Tensor, out: Tensor) -> Tensor:
        return ops.times_tanh_slope(gradient, self._y, out)


class Sigmoid(Activation, reads="output"):
    """y = 1 / (1 + e^-x), dy/dx = y (1 - y)."""

    def _function(self, x: Tensor, out: Tensor) -> Tensor:
        return ops.sigmoid(x, out)

    def _derivative(self, gradient: Tensor, out: Tensor) -> Tensor:
        return ops.times_sigmoid_slope(gradient, self._y, out)


class GELU(Activation, reads="input"):
    """y = x Phi(x), dy/dx = Phi(x) + x phi(x), with Phi and phi of the standard normal distribution.

    Hendrycks and Gimpel 2016, equation 1; Phi(x) = (1 + erf(x / sqrt(2))) / 2 and phi(x) = e^(-x^2 / 2) / sqrt(2 pi).
    """

    def _function(self, x: Tensor, out: Tensor) -> Tensor:
        return torch.mul(x, self._phi(x), out=out)

    def _derivative(self, gradient: Tensor, out: Tensor) -> Tensor:
        x, density = self._x, self._scratch(gradient, "density")
        ops.exp(torch.mul(x, x, out=density).mul_(ops.number(-0.5, x)), density).mul_(ops.number(1 / math.sqrt(2 * math.pi), x))
        slope = self._phi(x).add_(density.mul_(x))
        return torch.mul(gradient, slope, out=out)

    def _phi(self, x: Tensor) -> Tensor:
        """Phi(x)."""
        scaled = torch.mul(x, ops.number(1 / math.sqrt(2), x), out=self._scratch(x))
        return ops.erf(scaled, scaled).add_(ops.number(1.0, x)).mul_(ops.number(0.5, x))


class SiLU(Activation, reads="input"):
    """y = x s, dy/dx = s (1 + x (1 - s)), with s = 1 / (1 + e^-x): swish (Ramachandran et al. 2017, with beta = 1)."""

    def _function(self, x: Tensor, out: Tensor) -> Tensor:
        return torch.mul(x, ops.sigmoid(x, self._scratch(x)), out=out)

    def _derivative(self, gradient: Tensor, out: Tensor) -> Tensor:
        share = ops.sigmoid(self._x, self._scratch(gradient))
        slope = torch.sub(1.0, share, out=self._scratch(gradient, "slope")).mul_(self._x).add_(ops.number(1.0, share))
        return torch.mul(gradient, slope.mul_(share), out=out)


class Mish(Activation, reads="input"):
    """y = x t, dy/dx = t + x (1 - t^2) s, with t = tanh(log(1 + e^x)) and s = 1 / (1 + e^-x) (Misra 2019, equation 1)."""

    def _function(self, x: Tensor, out: Tensor) -> Tensor:
        return torch.mul(x, self._tanh_of_softplus(x), out=out)

    def _derivative(self, gradient: Tensor, out: Tensor) -> Tensor:
        t = self._tanh_of_softplus(self._x)
        slope = ops.sigmoid(self._x, self._scratch(gradient, "slope")).mul_(self._x)
        slope.sub_(torch.mul(t, t, out=self._scratch(gradient, "square")).mul_(slope)).add_(t)
        return torch.mul(gradient, slope, out=out)

    def _tanh_of_softplus(self, x: Tensor) -> Tensor:
        softplus = ops.softplus(x, self._scratch(x), self._scratch(x, "above"))
        return ops.tanh(softplus, softplus)


class Softplus(Activation, reads="input"):
    """y = log(1 + e^(b x)) / b, dy/dx = 1 / (1 + e^(-b x)), for a sharpness `beta` b > 0 (Dugas et al. 2001)."""

    def __init__(self, beta: float = 1.0) -> None:
        super().__init__()
        if not 0 < beta < math.inf:
            raise ValueError(f"the beta of a softplus is a number above 0: {beta} was given")
        self.beta = beta

    def __repr__(self) -> str:
        return f"Softplus({self.beta:g})"

    def _function(self, x: Tensor, out: Tensor) -> Tensor:
        scaled = torch.mul(x, ops.number(self.beta, x), out=self._scratch(x))
        softplus = ops.softplus(scaled, scaled, self._scratch(x, "above"))
        return torch.div(softplus, ops.number(self.beta, x), out=out)

    def _derivative(self, gradient: Tensor, out: Tensor) -> Tensor:
        scaled = torch.mul(self._x, ops.number(self.beta, gradient), out=self._scratch(gradient))
        return torch.mul(gradient, ops.sigmoid(scaled, scaled), out=out)


class Hardtanh(Activation, reads="output"):
    """y = min(max(x, low), high), dy/dx = [low < x < high] (Collobert 2004)."""

    def __init__(self, low: float = -1.0, high: float = 1.0) -> None:
        super().__init__()
        if not low < high:
            raise ValueError(f"a hard tanh has low below high: low={low} and high={high} were given")
        self.low, self.high = low, high

    def __repr__(self) -> str:
        return f"Hardtanh({self.low:g}, {self.high:g})"

    def _function(self, x: Tensor, out: Tensor) -> Tensor:
        return torch.clamp(x, self.low, self.high, out=out)

    def _derivative(self, gradient: Tensor, out: Tensor) -> Tensor:
        return ops.where_between(gradient, self._y, self.low, self.high, out)


class Softmax(Activation, reads="output"):
    """y_i = e^x_i / sum_j e^x_j over the features; dL/dx_i = y_i (dL/dy_i - sum_j y_j dL/dy_j)."""

    def _function(self, x: Tensor, out: Tensor) -> Tensor:
        ops.exp(torch.sub(x, x.amax(1, keepdim=True), out=out), out)
        return out.div_(out.sum(1, keepdim=True))

    def _derivative(self, gradient: Tensor, out: Tensor) -> Tensor:
        mean = torch.mul(self._y, gradient, out=self._scratch(gradient)).sum(1, keepdim=True)
        return torch.sub(gradient, mean, out=out).mul_(self._y)
