"""Losses: the value and the gradient from one call, `value, gradient = loss(output, target)`.

Output and target are `(R, outputs, samples)`. The value is `(R,)`, one per replica: the sum over outputs, and over samples
the mean (or the sum, with `reduction="sum"`). The gradient dL/doutput is of that same value; it has the shape of the output
and is valid until the next call. torch averages over outputs too, so that its MSE, MAE and BCE are smaller by their number.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from framework import ops
from framework.activations import (
    ELU,
    GELU,
    SELU,
    LeakyReLU,
    Mish,
    PReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from framework.layers import BatchNorm, Dropout, Linear
from framework.module import Module

# Modules whose outputs leave [0, 1]; Hardtanh and Identity may keep it.
_NO_PROBABILITIES = (
    *(Linear, BatchNorm, Dropout),
    *(ELU, GELU, SELU, LeakyReLU, Mish, PReLU, ReLU, SiLU, Softplus, Tanh),
)


class Loss:
    """L = sum over outputs, mean or sum over samples, of one term per output.

    Raises ValueError where output and target have different shapes, or fewer outputs than the loss compares.
    """

    fewest = 1  # outputs

    def __init__(self, reduction: Literal["mean", "sum"] = "mean") -> None:
        if reduction not in ("mean", "sum"):
            raise ValueError(f"reduction is mean or sum: {reduction!r} was given")
        self.reduction = reduction
        self.buffers = ops.Buffers()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.reduction!r})"

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
        terms = self.buffers.take("terms", output.shape, output)
        gradient = self.buffers.take("gradient", output.shape, output)
        self._evaluate(output, target, terms, gradient)
        value = terms.sum((1, 2))
        if self.reduction == "mean":
            samples = output.shape[2]
            return value.div_(ops.number(samples, value)), gradient.mul_(ops.number(1 / samples, gradient))
        return value, gradient

    def require_outputs_of(self, module: Module) -> None:
        """Raise ValueError where outputs of that module are none that this loss takes."""

    def _evaluate(self, output: Tensor, target: Tensor, terms: Tensor, gradient: Tensor) -> None:
        """Write every output's term of the sum to `terms`, and its derivative to `gradient`."""
        raise NotImplementedError


class MSELoss(Loss):
    """Squared error: (y - t)^2, with derivative 2 (y - t)."""

    def _evaluate(self, output: Tensor, target: Tensor, terms: Tensor, gradient: Tensor) -> None:
        torch.sub(output, target, out=gradient)
        torch.mul(gradient, gradient, out=terms)
        gradient.mul_(ops.number(2.0, gradient))


class MAELoss(Loss):
    """Absolute error: |y - t|, with derivative sign(y - t)."""

    def _evaluate(self, output: Tensor, target: Tensor, terms: Tensor, gradient: Tensor) -> None:
        torch.sub(output, target, out=gradient)
        torch.abs(gradient, out=terms)
        gradient.sign_()


class HuberLoss(Loss):
    """Huber loss: (y - t)^2 / 2 where |y - t| <= delta, else delta (|y - t| - delta / 2) (Huber 1964, equation 3.1).

    The derivative is y - t, limited to [-delta, delta]. Raises ValueError unless delta > 0.
    """

    def __init__(self, delta: float = 1.0, reduction: Literal["mean", "sum"] = "mean") -> None:
        super().__init__(reduction)
        if not 0 < delta < math.inf:
            raise ValueError(f"the delta of a Huber loss is a number above 0: {delta} was given")
        self.delta = delta

    def __repr__(self) -> str:
        return f"HuberLoss({self.delta:g}, {self.reduction!r})"

    def _evaluate(self, output: Tensor, target: Tensor, terms: Tensor, gradient: Tensor) -> None:
        torch.sub(output, target, out=gradient)
        torch.abs(gradient, out=terms)
        # m (|d| - m / 2) with m = min(|d|, delta) is both cases.
        least = torch.clamp(terms, max=self.delta, out=self.buffers.take("least", output.shape, output))
        terms.sub_(least, alpha=0.5).mul_(least)
        gradient.clamp_(-self.delta, self.delta)


class HingeLoss(Loss):
    """Hinge loss of several classes: max(0, margin + y_i - y_c) for every output i but that of the class c.

    Weston and Watkins 1999, equation 3; targets are one-hot. With h_i = [margin + y_i - y_c > 0] for i != c, the derivative by
    y_i is h_i, and by y_c it is -sum_i h_i. torch's `multi_margin_loss` is this divided by the number of classes.

    Raises ValueError unless margin > 0, and for a single output, which has no others to compare with.
    """

    fewest = 2

    def __init__(self, margin: float = 1.0, reduction: Literal["mean", "sum"] = "mean") -> None:
        super().__init__(reduction)
        if not 0 < margin < math.inf:
            raise ValueError(f"the margin of a hinge loss is a number above 0: {margin} was given")
        self.margin = margin

    def __repr__(self) -> str:
        return f"HingeLoss({self.margin:g}, {self.reduction!r})"

    def _evaluate(self, output: Tensor, target: Tensor, terms: Tensor, gradient: Tensor) -> None:
        one_hot = self.buffers.take("one_hot", output.shape, output).copy_(target)
        of_class = torch.mul(output, one_hot, out=terms).sum(1, keepdim=True)
        torch.sub(output, of_class, out=terms).add_(ops.number(self.margin, terms)).clamp_(min=0.0)
        terms.sub_(torch.mul(terms, one_hot, out=gradient))  # the class itself has no term
        ops.positive(terms, gradient)
        gradient.sub_(one_hot.mul_(gradient.sum(1, keepdim=True)))


class BCELoss(Loss):
    """Binary cross-entropy of probabilities: -t log y - (1 - t) log(1 - y), with derivative (y - t) / (y (1 - y)).

    As in torch, each logarithm is at least -100, and y (1 - y) at least 1e-12 in the derivative: a certain and wrong output
    has a large loss and a large gradient, not infinite ones.

    Raises ValueError where the first outputs that it is given are no probabilities, and for a model that ends in a module whose
    outputs leave [0, 1], such as ReLU.
    """

    _checked = False

    def require_outputs_of(self, module: Module) -> None:
        if type(module) in _NO_PROBABILITIES:  # a subclass may give what it likes
            raise ValueError(
                f"BCELoss takes probabilities: the model ends in {module!r}; "
                "end it in Sigmoid(), or take CrossEntropyLoss for two outputs or more"
            )

    def __call__(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        if not self._checked and ((output < 0) | (output > 1)).any():
            raise ValueError(
                f"BCELoss takes probabilities: outputs from {output.min():.3g} to {output.max():.3g} were given; "
                "end the model in Sigmoid(), or take CrossEntropyLoss for two outputs or more"
            )
        self._checked = True
        return super().__call__(output, target)

    def _evaluate(self, output: Tensor, target: Tensor, terms: Tensor, gradient: Tensor) -> None:
        spread = torch.sub(1.0, output, out=terms).mul_(output).clamp_(min=1e-12)
        torch.sub(output, target, out=gradient).div_(spread)
        negative = torch.neg(output, out=self.buffers.take("negative", output.shape, output))
        of_0 = ops.log1p(negative, negative).clamp_(min=-100.0)
        of_1 = ops.log(output, terms).clamp_(min=-100.0)
        # Between the two logarithms, and at t = 0 and t = 1 exactly the one: what the other rounds off would hide a small loss.
        torch.lerp(of_0, of_1, target, out=terms).neg_()


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

    def _evaluate(self, output: Tensor, target: Tensor, terms: Tensor, gradient: Tensor) -> None:
        torch.sub(output, output.amax(1, keepdim=True), out=terms).clamp_(min=torch.finfo(terms.dtype).min)
        ops.exp(terms, gradient)
        total = self.buffers.take("total", torch.Size((output.shape[0], 1, output.shape[2])), output)
        torch.sum(gradient, 1, keepdim=True, out=total)
        gradient.div_(total).sub_(target)
        log_total = ops.log(total, total)
        torch.sub(log_total, terms, out=terms).mul_(target)
