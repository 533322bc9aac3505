"""The layers with something to learn or to remember: Linear, BatchNorm, Dropout."""

from collections.abc import Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from framework import ops
from framework.module import Module, is_count
from framework.streams import CPU, Streams


class Linear(Module):
    """y = W x + b, with `weight` W `(R, outputs, inputs)` and `bias` b `(R, outputs, 1)`.

    dL/dW = dL/dy x^T, dL/db = the sum of dL/dy over samples, dL/dx = W^T dL/dy.

    Before a batch norm, which subtracts the mean of y and b with it, training leaves out b, and dL/db is 0: `bias_cancels`.
    """

    parameter_names = ("weight", "bias")
    keeps_output = False
    own_results = True
    by_row = True
    bias_cancels = False
    weight: Tensor
    bias: Tensor
    weight_gradient: Tensor
    bias_gradient: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        if not all(is_count(given) for given in (inputs, outputs)):
            raise ValueError(
                f"a layer has one input and one output or more, in whole numbers: Linear({inputs!r}, {outputs!r}) was given"
            )
        self._x = self._out = torch.empty(0)  # of the last forward in training
        self._multiply = ops.Repeated(ops.prepared_product)
        self._multiply_transposed = ops.Repeated(partial(ops.prepared_product, transposed="a"))
        self._multiply_by_transposed = ops.Repeated(partial(ops.prepared_product, transposed="b"))
        self.inputs, self.outputs = inputs, outputs
        self.takes = inputs

    def __repr__(self) -> str:
        return f"Linear({self.inputs}, {self.outputs})"

    def connect(self, features: int | None) -> int:
        if features not in (None, self.inputs):
            raise ValueError(
                f"a layer takes as many features as the one before it gives: Linear({self.inputs}, {self.outputs}) "
                f"was given {features}; write Linear({features}, {self.outputs})"
            )
        return self.outputs

    def parameter_shapes(self) -> tuple[tuple[int, ...], ...]:
        return (self.outputs, self.inputs), (self.outputs, 1)

    def follow(self, before: Module | None) -> None:
        super().follow(before)
        self.bias_cancels = False

    def forward(self, x: Tensor, train: bool = True) -> Tensor:
        out = self._out if train and x is self._x else self._out_for(x, train)
        if not train:
            return ops.product(self.weight, x, out).add_(self.bias)
        self._multiply(self.weight, x, out)
        return out if self.bias_cancels else out.add_(self.bias)

    def backward(self, gradient: Tensor) -> Tensor:
        self.accumulate(gradient)
        return self._multiply_transposed(self.weight, gradient, self._input_gradient(self._x.shape, gradient))

    def accumulate(self, gradient: Tensor) -> None:
        self._multiply_by_transposed(gradient, self._x, self.weight_gradient)
        if self.bias_cancels:
            self.bias_gradient.zero_()
        else:
            torch.sum(gradient, 2, keepdim=True, out=self.bias_gradient)

    def _out_for(self, x: Tensor, train: bool) -> Tensor:
        """Where y is written; in training the same for the same x, which is a batch's buffer as a rule."""
        replicas, features, samples = x.shape
        if (replicas, features) != (self.weight.shape[0], self.inputs):
            raise ValueError(
                f"x is (replicas, features, samples): ({self.weight.shape[0]}, {self.inputs}, any) fits this layer, "
                f"{tuple(x.shape)} was given"
            )
        out = self._kept(train).take("output", torch.Size((replicas, self.outputs, samples)), x)
        if train:
            self._x, self._out = x, out
        return out


class BatchNorm(Module):
    """y = gain (x - mean) / sqrt(variance + eps) + shift, with mean and variance over the samples of the batch.

    Ioffe and Szegedy 2015, Algorithm 1. Without `affine` there is no gain and shift: the reports' simplified batch norm.

    * `evaluate`: "running" normalises by running averages outside training, as torch does; "batch" by the rows given.
    * `gradient`: "exact" differentiates through mean and variance; "straight_through" hands the gradient on as if the
      normalisation were the identity, as the code behind `eight_models` does.
    * `unbiased`: whether the variance divides by n - 1 instead of n. The running variance always does, as in torch.
    * `momentum`: weight of the newest batch in the running averages.

    Raises ValueError on an option that is none of these, and on a training batch of one sample, which has no variance.
    """

    keeps_input = False
    overwrites = True
    own_results = True
    gain: Tensor
    shift: Tensor
    gain_gradient: Tensor
    shift_gradient: Tensor

    def __init__(
        self,
        affine: bool = True,
        evaluate: Literal["running", "batch"] = "running",
        gradient: Literal["exact", "straight_through"] = "exact",
        eps: float = 1e-5,
        unbiased: bool = False,
        momentum: float = 0.1,
    ) -> None:
        super().__init__()
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
        if type(self) is BatchNorm:  # a subclass may read what it likes
            self.keeps_output = not affine  # without gain and shift, it is the normalised batch
            self.by_row = evaluate == "running"
        self._moments: _Moments | None = None
        self._squares, self._along = ops.Repeated(ops.prepared_inner), ops.Repeated(ops.prepared_inner)
        self._without_bias: Linear | None = None  # the layer before, where it leaves out its bias in training

    def __repr__(self) -> str:
        options = ("affine", "evaluate", "gradient", "eps", "unbiased", "momentum")
        return f"BatchNorm({', '.join(f'{name}={getattr(self, name)!r}' for name in options)})"

    def follow(self, before: Module | None) -> None:
        super().follow(before)
        self._without_bias = before if type(before) is Linear and self.gradient == "exact" else None
        if self._without_bias:
            self._without_bias.bias_cancels = True

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

    def start(self) -> None:
        if self.affine:
            self.gain.fill_(1.0)

    def forward(self, x: Tensor, train: bool = True) -> Tensor:
        centred = x if self.in_place else self._kept(train).take("centred", x.shape, x)
        moments = self._moments_of(x)
        if train or self.evaluate == "batch":
            samples = x.shape[2]
            torch.mean(x, 2, keepdim=True, out=moments.mean)
            torch.sub(x, moments.mean, out=centred)
            (self._squares if train else ops.inner)(centred, centred, moments.variance)
            variance = moments.variance / ops.number(samples - self.unbiased, x)
            inverse_sd = variance.add_(ops.number(self.eps, x)).rsqrt_()
        else:
            torch.sub(x, moments.running_mean, out=centred)
            inverse_sd = (moments.running_variance + self.eps).rsqrt_()
        scale = inverse_sd * self.gain if self.affine else inverse_sd
        if train:
            self._centred, self._inverse_sd, self._scale = centred, inverse_sd, scale
            self._remember(moments, samples)
        if not self.affine:
            return centred.mul_(scale)
        out = self._kept(train).take("output", x.shape, x)
        return torch.mul(centred, scale, out=out).add_(self.shift)

    def backward(self, gradient: Tensor) -> Tensor:
        # With n samples, u = 1 if unbiased, and x' the normalised x:
        # dL/dx = gain / sd (dL/dy - sum(dL/dy) / n - x' sum(x' dL/dy) / (n - u)).
        # What is kept is x' itself without gain and shift, else x' sd: one pass over the batch less.
        samples, moments = gradient.shape[2], self._moments
        assert moments
        total, along = moments.total, moments.along
        torch.sum(gradient, 2, keepdim=True, out=total)
        self._along(gradient, self._centred, along)
        if self.affine:
            self.shift_gradient.copy_(total)
            torch.mul(along, self._inverse_sd, out=self.gain_gradient)
            torch.mul(self.gain_gradient, self._inverse_sd, out=along)
        out = self._over(gradient)
        if self.gradient == "straight_through":
            return torch.mul(gradient, self.gain, out=out) if self.affine else ops.copy(gradient, out)
        torch.addcmul(gradient, self._centred, along, value=-1 / (samples - self.unbiased), out=out)
        return out.sub_(total, alpha=1 / samples).mul_(self._scale)

    @property
    def running_mean(self) -> Tensor:
        """Running mean `(R, features, 1)`, once a forward pass has fixed its shape."""
        assert self._moments
        return self._moments.running_mean

    @property
    def running_variance(self) -> Tensor:
        """Running variance `(R, features, 1)`, likewise."""
        assert self._moments
        return self._moments.running_variance

    def _moments_of(self, x: Tensor) -> "_Moments":
        if self._moments is None:
            self._moments = _Moments(self.memory, x)
        if self._moments.shape != x.shape[:2]:
            replicas, features = self._moments.shape
            raise ValueError(
                f"x is (replicas, features, samples): ({replicas}, {features}, any) fits the running averages of this "
                f"batch norm, {tuple(x.shape)} was given"
            )
        return self._moments

    def _remember(self, moments: "_Moments", samples: int) -> None:
        if samples < 2:
            raise ValueError(
                "batch norm needs two samples or more in a training batch: 1 was given; "
                "choose a batch size that leaves no batch of one"
            )
        if self.evaluate == "running":
            moments.variance.div_(ops.number(samples - 1, moments.variance))
            if self._without_bias:
                moments.mean.add_(self._without_bias.bias)
            moments.remember(self.momentum)


class _Moments:
    """What batch norm knows of x, each `(R, features, 1)`.

    Mean and variance of a batch, and their running averages; the sums of its backward, of dL/dy and of that along x.
    """

    def __init__(self, buffers: ops.Buffers, like: Tensor) -> None:
        self.shape = like.shape[:2]
        shape = torch.Size((2, *self.shape, 1))
        newest, running, sums = (buffers.take(name, shape, like) for name in ("newest", "running", "sums"))
        self.mean, self.variance = newest.unbind()
        self.running_mean, self.running_variance = running.unbind()
        self.total, self.along = sums.unbind()
        self.running_mean.zero_()
        self.running_variance.fill_(1.0)
        self._newest, self._running = ops.row(newest), ops.row(running)

    def remember(self, weight: float) -> None:
        """Running averages <- themselves + weight (the batch's - themselves)."""
        self._running.lerp_(self._newest, weight)


class Dropout(Module):
    """y = x m / (1 - p) in training, with m = 0 at probability p, else 1; y = x in evaluation.

    Inverted dropout (Srivastava et al. 2014, section 10). `p` is one number, or one for each replica. Replicas of equal seed
    drop the same units; without a call of `seed` all do.

    Raises ValueError unless 0 <= p < 1.
    """

    keeps_input = False
    keeps_output = False
    overwrites = True
    own_results = True
    by_row = True

    def __init__(self, p: float | Sequence[float] = 0.5) -> None:
        super().__init__()
        self._given = self._p = torch.as_tensor(p, dtype=torch.float64).reshape(-1, 1, 1)
        if not ((self._p >= 0) & (self._p < 1)).all():
            raise ValueError(f"dropout keeps a unit with probability 1 - p, so 0 <= p < 1: {p} was given")
        self.seed([0])

    def __repr__(self) -> str:
        return f"Dropout({ops.words(self._given)})"

    def seed(self, seeds: Sequence[int], device: torch.device = CPU) -> None:
        self._seeds, self._streams = seeds, Streams([(seed,) for seed in seeds], device)

    def generators(self) -> list[torch.Generator]:
        return self._streams.generators

    def forward(self, x: Tensor, train: bool = True) -> Tensor:
        out = self._output(x, train)
        if not train:
            return ops.copy(x, out)
        if self._streams.member.device != x.device:
            self.seed(self._seeds, x.device)
        if self._p.shape[0] not in (1, x.shape[0]):
            raise ValueError(f"p is one number, or one for each of the {x.shape[0]} models: {self._p.shape[0]} were given")
        drawn = self._streams.draw(lambda stream: torch.rand(x.shape[1:], generator=stream, dtype=x.dtype, device=x.device))
        if self._p.dtype != x.dtype or self._p.device != x.device:
            # once: a step that is recorded for a CUDA device copies nothing from the host
            self._p = self._given.to(x)
            if (self._p == 1).any():
                raise ValueError(f"0 <= p < 1 of dropout, as {x.dtype} too: {self._given.flatten().tolist()} was given")
        self._mask = self.memory.take("mask", x.shape, x)
        torch.ge(drawn[self._streams.member].expand_as(x), self._p, out=self._mask).div_(ops.one_minus(self._p))
        return torch.mul(x, self._mask, out=out)

    def backward(self, gradient: Tensor) -> Tensor:
        return torch.mul(gradient, self._mask, out=self._over(gradient))
