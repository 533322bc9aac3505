"""The layers with something to learn or to remember: Linear, BatchNorm, Dropout."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from framework import ops
from framework.module import Module, is_count
from framework.streams import CPU, random_bits


class Linear(Module):
    """y = W x + b, with `weight` W `(R, outputs, inputs)` and `bias` b `(R, outputs, 1)`.

    dL/dW = dL/dy x^T, dL/db = the sum of dL/dy over samples, dL/dx = W^T dL/dy.
    """

    parameter_names = ("weight", "bias")
    options = ("inputs", "outputs")
    weight: Tensor
    bias: Tensor
    weight_gradient: Tensor
    bias_gradient: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        if not (is_count(inputs) and is_count(outputs)):
            raise ValueError(
                f"a layer has one input and one output or more, in whole numbers: Linear({inputs!r}, {outputs!r}) was given"
            )
        self.inputs, self.outputs, self.takes = inputs, outputs, inputs

    def connect(self, features: int | None) -> int:
        if features not in (None, self.inputs):
            raise ValueError(
                f"a layer takes as many features as the one before it gives: {self!r} was given {features}; "
                f"write Linear({features}, {self.outputs})"
            )
        return self.outputs

    def parameter_shapes(self) -> tuple[tuple[int, ...], ...]:
        return (self.outputs, self.inputs), (self.outputs, 1)

    def forward(self, x: Tensor, train: bool = True) -> Tensor:
        _require_shape("this layer", x, (self.weight.shape[0], self.inputs))
        if train:
            self._x = x
        return ops.affine(self.weight, x, self.bias)

    def backward(self, gradient: Tensor) -> Tensor:
        self.accumulate(gradient)
        return ops.product(self.weight.mT, gradient)

    def accumulate(self, gradient: Tensor) -> None:
        self.weight_gradient.copy_(ops.product(gradient, self._x.mT))
        torch.sum(gradient, 2, keepdim=True, out=self.bias_gradient)


class BatchNorm(Module):
    """y = gain z + shift, z = (x - mean) / sqrt(variance + eps), with mean and variance over the n samples of the batch.

    dL/dgain = sum z dL/dy and dL/dshift = sum dL/dy over samples; with u = 1 if `unbiased`, else 0,
    dL/dx = gain / sqrt(variance + eps) (dL/dy - sum(dL/dy) / n - z sum(z dL/dy) / (n - u)).

    Ioffe and Szegedy 2015, Algorithm 1. Without `affine` there is no gain and shift: the reports' simplified batch norm.

    * `evaluate`: "running" normalises by running averages outside training, as torch does; "batch" by the rows given.
    * `gradient`: "exact" differentiates through mean and variance; "straight_through" hands the gradient on as if the
      normalisation were the identity, as the code behind `eight_models` does.
    * `unbiased`: divide the variance by n - 1 instead of n. The running variance always is, as in torch.
    * `momentum`: weight of the newest batch in the running averages.

    Raises ValueError on an option that is none of these, and on a training batch of one sample, which has no variance.
    """

    gain: Tensor
    shift: Tensor
    gain_gradient: Tensor
    shift_gradient: Tensor
    running_mean: Tensor  # `(R, features, 1)`, once the features are known
    running_variance: Tensor

    def __init__(
        self,
        affine: bool = True,
        evaluate: Literal["running", "batch"] = "running",
        gradient: Literal["exact", "straight_through"] = "exact",
        eps: float = 1e-5,
        unbiased: bool = False,
        momentum: float = 0.1,
    ) -> None:
        if not (isinstance(affine, bool) and isinstance(unbiased, bool)):
            raise ValueError(
                f"affine and unbiased are True or False: affine={affine!r} and unbiased={unbiased!r} were given; "
                "write BatchNorm(), which learns the number of features from the layer before it"
            )
        if evaluate not in ("running", "batch") or gradient not in ("exact", "straight_through"):
            raise ValueError(
                "evaluate is running or batch, gradient exact or straight_through: "
                f"evaluate={evaluate!r} and gradient={gradient!r} were given"
            )
        if not (eps > 0 and 0 < momentum <= 1):
            raise ValueError(f"eps > 0 and 0 < momentum <= 1: eps={eps} and momentum={momentum} were given")
        self.affine, self.evaluate, self.gradient = affine, evaluate, gradient
        self.eps, self.unbiased, self.momentum = eps, unbiased, momentum
        self.parameter_names = ("gain", "shift") if affine else ()

    def __repr__(self) -> str:
        options = ("affine", "evaluate", "gradient", "eps", "unbiased", "momentum")
        return f"BatchNorm({', '.join(f'{name}={getattr(self, name)!r}' for name in options)})"

    def connect(self, features: int | None) -> int | None:
        if self.affine and features is None:
            raise ValueError(
                "an affine BatchNorm has a gain for every feature and must know how many come in: nothing before it "
                "says so; put it after a Linear, or write BatchNorm(affine=False)"
            )
        self._features = features
        return features

    def parameter_shapes(self) -> tuple[tuple[int, ...], ...]:
        return ((self._features or 0, 1),) * len(self.parameter_names)

    def bind(self, parameters: Tensor, gradients: Tensor) -> None:
        super().bind(parameters, gradients)
        if self._features:
            self._start_averages(parameters, self._features)

    def start(self) -> None:
        if self.affine:
            self.gain.fill_(1.0)

    def _start_averages(self, like: Tensor, features: int) -> None:
        self.running_mean = like.new_zeros(like.shape[0], features, 1)
        self.running_variance = like.new_ones(like.shape[0], features, 1)

    def forward(self, x: Tensor, train: bool = True) -> Tensor:
        if not hasattr(self, "running_mean"):
            self._start_averages(x, x.shape[1])
        _require_shape("the running averages of this batch norm", x, self.running_mean.shape)
        samples = x.shape[2]
        if train and samples < 2:
            raise ValueError(
                "batch norm needs two samples or more in a training batch: 1 was given; "
                "choose a batch size that leaves no batch of one"
            )
        by_batch = train or self.evaluate == "batch"
        mean = x.mean(2, keepdim=True) if by_batch else self.running_mean
        centred, variance = x - mean, self.running_variance
        if by_batch:
            squares = centred.square().sum(2, keepdim=True)
            variance = squares / (samples - self.unbiased)
        inverse_sd = (variance + self.eps).rsqrt()
        z = centred * inverse_sd
        if train:
            self._z, self._inverse_sd = z, inverse_sd
            self.running_mean += self.momentum * (mean - self.running_mean)
            self.running_variance += self.momentum * (squares / (samples - 1) - self.running_variance)
        return torch.addcmul(self.shift, self.gain, z) if self.affine else z  # gain z + shift

    def backward(self, gradient: Tensor) -> Tensor:
        z, samples = self._z, gradient.shape[2]
        total = gradient.sum(2, keepdim=True)
        along = (z * gradient).sum(2, keepdim=True)
        if self.affine:
            self.gain_gradient.copy_(along)
            self.shift_gradient.copy_(total)
        if self.gradient == "straight_through":
            return self.gain * gradient if self.affine else gradient
        gradient = torch.addcmul(gradient - total / samples, z, along / (samples - self.unbiased), value=-1)
        return (self.gain * self._inverse_sd if self.affine else self._inverse_sd) * gradient


class Dropout(Module):
    """y = x m / (1 - p) in training, with m = 0 at probability p, else 1; y = x in evaluation. dL/dx = m / (1 - p) dL/dy.

    Inverted dropout (Srivastava et al. 2014, section 10). `p` is one number, or one for each replica. Replicas of equal seed
    drop the same units; without a call of `seed` all do. The unit of a feature and a sample is dropped where 32 random bits of
    the seed, the forward pass and the place sample * features + feature are below p 2^32.

    Raises ValueError unless 0 <= p < 1.
    """

    options = ("p",)

    def __init__(self, p: float | Sequence[float] = 0.5) -> None:
        self.p = torch.as_tensor(p, dtype=torch.float64).reshape(-1, 1, 1)
        if not ((self.p >= 0) & (self.p < 1)).all():
            raise ValueError(f"dropout keeps a unit with probability 1 - p, so 0 <= p < 1: {p} was given")
        self._scale = torch.empty(0, dtype=torch.bool)  # of the first x, see `_move_to`
        self.seed([0])

    def seed(self, seeds: Sequence[int], device: torch.device = CPU) -> None:
        distinct, self._member = torch.tensor(seeds, device=device).unique(return_inverse=True)  # equal seeds are drawn once
        self._seeds, self._step = distinct[:, None, None], torch.zeros((), dtype=torch.int64, device=device)

    def forward(self, x: Tensor, train: bool = True) -> Tensor:
        if not train:
            return x
        self._move_to(x)
        features, samples = (torch.arange(size, device=x.device) for size in x.shape[1:])
        bits = random_bits(self._seeds, self._step, samples * x.shape[1] + features[:, None])
        self._step += 1
        self._mask = (bits[self._member] >= self._threshold) * self._scale
        return x * self._mask

    def backward(self, gradient: Tensor) -> Tensor:
        return gradient * self._mask

    def _move_to(self, x: Tensor) -> None:
        """Have all tensors on the device of x; once, as a step that is recorded for a CUDA device copies nothing to it."""
        if self.p.shape[0] not in (1, x.shape[0]):
            raise ValueError(f"p is one number, or one for each of the {x.shape[0]} models: {self.p.shape[0]} were given")
        if self._step.device != x.device:
            self._seeds, self._member, self._step = (each.to(x.device) for each in (self._seeds, self._member, self._step))
        if self._scale.dtype != x.dtype or self._scale.device != x.device:
            self._threshold = (self.p * 2**32).round().long().to(x.device)
            self._scale = 1 / (1 - self.p.to(x))
            if self._scale.isinf().any():
                raise ValueError(f"0 <= p < 1 of dropout, as {x.dtype} too: {self.p.flatten().tolist()} was given")


def _require_shape(what: str, x: Tensor, shape: Sequence[int]) -> None:
    if x.shape[:2] != (shape[0], shape[1]):
        raise ValueError(
            f"x is (replicas, features, samples): ({shape[0]}, {shape[1]}, any) fits {what}, {tuple(x.shape)} was given"
        )
