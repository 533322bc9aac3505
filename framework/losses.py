"""Losses: the value and the gradient from one call, `value, gradient = loss(output, target)`.

Output and target are `(R, outputs, samples)`. The value is `(R,)`, one per replica: the sum over outputs, and over samples
the mean (or the sum, with `reduction="sum"`). The gradient dL/doutput is of that same value, and has the shape of the output.
torch averages over outputs too, so that its MSE, MAE and BCE are smaller by their number.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from framework import ops
from framework.activations import ELU, GELU, SELU, LeakyReLU, Mish, PReLU, ReLU, Sigmoid, SiLU, Softmax, Softplus, Tanh
from framework.layers import BatchNorm, Dropout, Linear
from framework.module import Module

# Modules whose outputs leave [0, 1]; Hardtanh and Identity may keep it, and a subclass may give what it likes.
_NO_PROBABILITIES = (Linear, BatchNorm, Dropout, ELU, GELU, SELU, LeakyReLU, Mish, PReLU, ReLU, SiLU, Softplus, Tanh)
Reduction = Literal["mean", "sum"]


class Loss:
    """L = sum over outputs, mean or sum over samples, of one term per output: `terms` gives these and their derivatives.

    Raises ValueError where output and target have different shapes, or fewer outputs than the loss compares.
    """

    fewest = 1  # outputs

    def __init__(self, reduction: Reduction = "mean") -> None:
        if reduction not in ("mean", "sum"):
            raise ValueError(f"reduction is mean or sum: {reduction!r} was given")
        self.reduction = reduction

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(repr(value) for name, value in vars(self).items() if name[0] != '_')})"

    def __call__(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        if output.shape != target.shape:
            raise ValueError(
                "a loss compares output and target of one shape (R, outputs, samples): "
                f"{tuple(output.shape)} and {tuple(target.shape)} were given"
            )
        if output.shape[1] < self.fewest:
            raise ValueError(
                f"{type(self).__name__} compares two outputs or more: 1 was given; give the model an output for each class"
            )
        terms, gradient = self.terms(output, target)
        divisor = output.shape[2] if self.reduction == "mean" else 1
        return terms.sum((1, 2)) / divisor, gradient / divisor

    def require_outputs_of(self, module: Module) -> None:
        """Raise ValueError where outputs of that module are none that this loss takes."""

    def terms(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The term of each output y with its target t, and the derivative of the sum of all terms by each y."""
        raise NotImplementedError


class MSELoss(Loss):
    """Squared error: (y - t)^2, with derivative 2 (y - t)."""

    def terms(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        error = output - target
        return error * error, 2 * error


class MAELoss(Loss):
    """Absolute error: |y - t|, with derivative sign(y - t)."""

    def terms(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        error = output - target
        return error.abs(), error.sign()


class HuberLoss(Loss):
    """Huber loss: (y - t)^2 / 2 where |y - t| <= delta, else delta (|y - t| - delta / 2) (Huber 1964, equation 3.1).

    The derivative is y - t, limited to [-delta, delta]. Raises ValueError unless delta > 0.
    """

    def __init__(self, delta: float = 1.0, reduction: Reduction = "mean") -> None:
        if not 0 < delta < math.inf:
            raise ValueError(f"the delta of a Huber loss is a number above 0: {delta} was given")
        self.delta = delta
        super().__init__(reduction)

    def terms(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        error = output - target
        least = error.abs().clamp(max=self.delta)
        return least * (error.abs() - least / 2), error.clamp(-self.delta, self.delta)  # both cases in one


class HingeLoss(Loss):
    """Hinge loss of several classes: max(0, margin + y_i - y_c) for every output i but that of the class c.

    Weston and Watkins 1999, equation 3; targets are one-hot. With h_i = [margin + y_i - y_c > 0] for i != c, the derivative by
    y_i is h_i, and by y_c it is -sum_i h_i. torch's `multi_margin_loss` is this divided by the number of classes.

    Raises ValueError unless margin > 0, and for a single output, which has no others to compare with.
    """

    fewest = 2

    def __init__(self, margin: float = 1.0, reduction: Reduction = "mean") -> None:
        if not 0 < margin < math.inf:
            raise ValueError(f"the margin of a hinge loss is a number above 0: {margin} was given")
        self.margin = margin
        super().__init__(reduction)

    def terms(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        one_hot = target.to(output.dtype)
        of_class = (output * one_hot).sum(1, keepdim=True)
        terms = (self.margin + output - of_class).clamp(min=0) * (1 - one_hot)
        h = ops.positive(terms)
        return terms, h - one_hot * h.sum(1, keepdim=True)


class BCELoss(Loss):
    """Binary cross-entropy of probabilities: -t log y - (1 - t) log(1 - y), with derivative (y - t) / (y (1 - y)).

    As in torch, each logarithm is at least -100, and y (1 - y) at least 1e-12 in the derivative: a certain and wrong output
    has a large loss and a large gradient, not infinite ones.

    Raises ValueError where the first outputs that it is given are no probabilities, and for a model that ends in a module whose
    outputs leave [0, 1], such as ReLU.
    """

    _checked = False

    def require_outputs_of(self, module: Module) -> None:
        if type(module) in _NO_PROBABILITIES:
            raise ValueError(
                f"BCELoss takes probabilities: the model ends in {module!r}; "
                "end it in Sigmoid(), or take CrossEntropyLoss for two outputs or more"
            )

    def terms(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        if not self._checked and ((output < 0) | (output > 1)).any():
            raise ValueError(
                f"BCELoss takes probabilities: outputs from {output.min():.3g} to {output.max():.3g} were given; "
                "end the model in Sigmoid(), or take CrossEntropyLoss for two outputs or more"
            )
        self._checked = True
        of_0, of_1 = ops.log1p(-output).clamp(min=-100), ops.log(output).clamp(min=-100)
        return -target * of_1 - (1 - target) * of_0, (output - target) / (output * (1 - output)).clamp(min=1e-12)


class CrossEntropyLoss(Loss):
    """Cross-entropy of the softmax of logits z: -t_i log p_i, p = softmax(z), with derivative p_i - t_i.

    Targets are probabilities of the classes, one-hot as a rule. The largest logit is subtracted first, so that no
    exponential overflows.

    Raises ValueError for a single output, whose softmax is 1 whatever it is.
    """

    fewest = 2

    def require_outputs_of(self, module: Module) -> None:
        if isinstance(module, Sigmoid | Softmax):
            raise ValueError(
                "CrossEntropyLoss has the softmax inside and takes logits: "
                f"the model ends in {module!r}; leave that out, or take BCELoss"
            )

    def terms(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        z = (output - output.amax(1, keepdim=True)).clamp(min=torch.finfo(output.dtype).min)  # 0 times infinity is no term
        raised = ops.exp(z)
        total = raised.sum(1, keepdim=True)
        return target * (ops.log(total) - z), raised / total - target
