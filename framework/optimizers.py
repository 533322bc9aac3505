"""Optimizers: update rules on the flat `(R, P)` parameters of a stack, in order of increasing complexity.

A hyperparameter that is a number may be given per replica, and always enters as an `(R, 1)` tensor: a Python number would
take a fused kernel with other bits. In the formulas p are the parameters, g their gradient, t counts steps from 1, and lr is
the learning rate times the schedule's factor. Rules and defaults are those of torch.optim, but for SGD's lr.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from framework import ops

Number = float | Sequence[float] | Tensor


class Parametrized(Protocol):
    """What an optimizer needs of a model: flat parameters and gradients, `(R, P)`."""

    @property
    def parameters(self) -> Tensor: ...

    @property
    def gradients(self) -> Tensor: ...


class Part(NamedTuple):
    """Some of the replicas of a stack, for an optimizer of their own: `Part(model.parameters[:5], model.gradients[:5])`."""

    parameters: Tensor
    gradients: Tensor


class Stepper(Protocol):
    """What the training loop needs of an optimizer."""

    def step(self, factor: float | Tensor = 1.0) -> None:
        """Update the parameters from the gradients, at `factor` times the learning rate."""


class Optimizer:
    """p <- p - update(g), with g first scaled to a norm of at most `clip` per model (0: never), then g <- g + weight_decay p.

    Raises ValueError where a hyperparameter is negative, or is neither one number nor one for each replica, and where the model
    is none.
    """

    def __init__(self, model: Parametrized, lr: Number, weight_decay: Number = 0.0, clip: Number = 0.0) -> None:
        if not all(isinstance(getattr(model, name, None), Tensor) for name in ("parameters", "gradients")):
            name = type(self).__name__
            raise ValueError(
                f"an optimizer takes a model, with its parameters and gradients: {_kind(model)} was given; write {name}(model)"
            )
        self.parameters, self.gradients = model.parameters, model.gradients
        self.lr = self._column("lr", lr)
        self.weight_decay = self._column("weight_decay", weight_decay)
        self.clip = self._column("clip", clip)
        self._clips, self._decays = bool(self.clip.any()), bool(self.weight_decay.any())
        self._gradient, self._work = self._state(), self._state()

    def __repr__(self) -> str:
        numbers = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        replicas, size = numbers.pop("parameters").shape
        del numbers["gradients"]
        options = (f"{key}={ops.words(value) if isinstance(value, Tensor) else value}" for key, value in numbers.items())
        return f"{type(self).__name__}({', '.join(options)})  # replicas={replicas}, of {size:,} parameters each"

    def step(self, factor: float | Tensor = 1.0) -> None:
        """Update the parameters from the gradients, at `factor` times the learning rate."""
        gradient = self.gradients
        if self._clips:
            norm = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
            shrink = torch.where(self.clip > 0, self.clip / (norm + 1e-6), ops.number(1.0, norm)).clamp_(max=1.0)
            gradient = torch.mul(gradient, shrink, out=self._gradient)
        if self._decays:
            # Where a model has none, nothing of its parameters enters: 0 times one that has become infinite is not 0.
            decaying = torch.where(self.weight_decay > 0, self.parameters, ops.number(0.0, gradient), out=self._work)
            gradient = torch.addcmul(gradient, decaying, self.weight_decay, out=self._gradient)
        self._update(gradient, self.lr * factor)

    def _update(self, gradient: Tensor, lr: Tensor) -> None:
        """Apply the rule to a gradient `(R, P)` at the learning rates `(R, 1)`."""
        raise NotImplementedError

    def _column(self, name: str, value: Number, below: float = math.inf) -> Tensor:
        """A hyperparameter as `(R, 1)` in the dtype of the parameters."""
        replicas = self.parameters.shape[0]
        try:
            column = torch.as_tensor(value, dtype=self.parameters.dtype, device=self.parameters.device).reshape(-1, 1)
        except (TypeError, ValueError, RuntimeError):
            raise ValueError(f"{name} is one number, or one for each of the {replicas} models: {value!r} was given") from None
        if column.shape[0] not in (1, replicas) or not ((column >= 0) & (column < below)).all():
            limit = f"from 0 to below {below:g}" if below < math.inf else "of 0 or more"
            raise ValueError(
                f"{name} is one number {limit}, or one for each of the {replicas} models: {value} was given, as {column.dtype}"
            )
        return column.expand(replicas, 1)

    def _share(self, name: str, value: Number) -> Tensor:
        """A hyperparameter that says how much of an average is kept, likewise: below 1, or nothing new would enter."""
        return self._column(name, value, below=1.0)

    def _state(self) -> Tensor:
        return torch.zeros_like(self.parameters)

    def _average_square(self, average: Tensor, x: Tensor, decay: Tensor, newest: Tensor) -> Tensor:
        """average <- decay average + newest x^2, with newest = 1 - decay; infinite for good once newest x^2 overflows."""
        square = torch.mul(x, newest, out=self._work).mul_(x)
        return torch.addcmul(square, average, decay, out=average)

    def _descend(self, direction: Tensor, lr: Tensor) -> None:
        """p <- p - lr direction."""
        self.parameters.addcmul_(direction, lr, value=-1.0)


def _kind(given: object) -> str:
    """The type of a thing, or the class itself, as an error names it."""
    return f"the class {given.__name__}" if isinstance(given, type) else f"a {type(given).__name__}"


class Several:
    """One optimizer after the other, each for its part of a stack: models share a stack whatever their update rule."""

    def __init__(self, optimizers: Sequence[Stepper]) -> None:
        self.optimizers = optimizers

    def __repr__(self) -> str:
        return "\n".join(map(repr, self.optimizers))

    def step(self, factor: float | Tensor = 1.0) -> None:
        """Step all of them."""
        for optimizer in self.optimizers:
            optimizer.step(factor)


class SGD(Optimizer):
    """v <- momentum v + g; p <- p - lr v; with `nesterov`, p <- p - lr (g + momentum v).

    Sutskever et al. 2013, with lr outside the velocity as in torch.

    >>> model = Part(parameters=torch.ones(2, 3), gradients=torch.ones(2, 3))  # two models of three parameters
    >>> SGD(model, lr=[0.5, 0.25]).step()
    >>> model.parameters.tolist()
    [[0.5, 0.5, 0.5], [0.75, 0.75, 0.75]]
    """

    def __init__(
        self,
        model: Parametrized,
        lr: Number = 0.1,
        momentum: Number = 0.0,
        nesterov: bool = False,
        weight_decay: Number = 0.0,
        clip: Number = 0.0,
    ) -> None:
        super().__init__(model, lr, weight_decay, clip)
        self.momentum = self._column("momentum", momentum)
        self.nesterov = nesterov
        self._has_momentum = bool(self.momentum.any())
        if nesterov and not self._has_momentum:
            raise ValueError("Nesterov's rule looks ahead along the momentum: nesterov=True needs a momentum above 0")
        self._velocity = self._state()

    def _update(self, gradient: Tensor, lr: Tensor) -> None:
        direction = gradient
        if self._has_momentum:
            direction = self._velocity.mul_(self.momentum).add_(gradient)
        if self.nesterov:
            direction = torch.addcmul(gradient, self._velocity, self.momentum, out=self._work)
        self._descend(direction, lr)


class Adagrad(Optimizer):
    """s <- s + g^2; p <- p - lr g / (sqrt(s) + eps) (Duchi et al. 2011)."""

    def __init__(
        self, model: Parametrized, lr: Number = 0.01, eps: Number = 1e-10, weight_decay: Number = 0.0, clip: Number = 0.0
    ) -> None:
        super().__init__(model, lr, weight_decay, clip)
        self.eps = self._column("eps", eps)
        self._sum = self._state()

    def _update(self, gradient: Tensor, lr: Tensor) -> None:
        self._sum.add_(torch.mul(gradient, gradient, out=self._work))
        root = ops.sqrt(self._sum, self._work).add_(self.eps)
        self._descend(torch.div(gradient, root, out=self._work), lr)


class RMSprop(Optimizer):
    """s <- alpha s + (1 - alpha) g^2; p <- p - lr g / (sqrt(s) + eps) (Tieleman and Hinton 2012, lecture 6.5)."""

    def __init__(
        self,
        model: Parametrized,
        lr: Number = 0.01,
        alpha: Number = 0.99,
        eps: Number = 1e-8,
        weight_decay: Number = 0.0,
        clip: Number = 0.0,
    ) -> None:
        super().__init__(model, lr, weight_decay, clip)
        self.alpha, self.eps = self._share("alpha", alpha), self._column("eps", eps)
        self._newest = ops.one_minus(self.alpha)
        self._square = self._state()

    def _update(self, gradient: Tensor, lr: Tensor) -> None:
        square = self._average_square(self._square, gradient, self.alpha, self._newest)
        root = ops.sqrt(square, self._work).add_(self.eps)
        self._descend(torch.div(gradient, root, out=self._work), lr)


class Adadelta(Optimizer):
    """s <- rho s + (1 - rho) g^2; d = g sqrt(u + eps) / sqrt(s + eps); u <- rho u + (1 - rho) d^2; p <- p - lr d.

    Zeiler 2012, Algorithm 1, where lr is 1.
    """

    def __init__(
        self,
        model: Parametrized,
        lr: Number = 1.0,
        rho: Number = 0.9,
        eps: Number = 1e-6,
        weight_decay: Number = 0.0,
        clip: Number = 0.0,
    ) -> None:
        super().__init__(model, lr, weight_decay, clip)
        self.rho, self.eps = self._share("rho", rho), self._column("eps", eps)
        self._newest = ops.one_minus(self.rho)
        self._square, self._step_square, self._step = self._state(), self._state(), self._state()

    def _update(self, gradient: Tensor, lr: Tensor) -> None:
        square = self._average_square(self._square, gradient, self.rho, self._newest)
        # Two roots: the ratio of the squares may be too small a number where that of the roots is not.
        root = torch.add(square, self.eps, out=self._work).sqrt_()
        torch.add(self._step_square, self.eps, out=self._step).sqrt_().div_(root).mul_(gradient)
        self._average_square(self._step_square, self._step, self.rho, self._newest)
        self._descend(self._step, lr)


class Adam(Optimizer):
    """p <- p - lr m' / (sqrt(s') + eps), with m' = m / (1 - b1^t), s' = s / (1 - b2^t).

    Averages m <- b1 m + (1 - b1) g and s <- b2 s + (1 - b2) g^2.
    Kingma and Ba 2015, Algorithm 1; eps stands outside the root.
    """

    def __init__(
        self,
        model: Parametrized,
        lr: Number = 0.001,
        beta1: Number = 0.9,
        beta2: Number = 0.999,
        eps: Number = 1e-8,
        weight_decay: Number = 0.0,
        clip: Number = 0.0,
    ) -> None:
        super().__init__(model, lr, weight_decay, clip)
        self.beta1, self.beta2 = self._share("beta1", beta1), self._share("beta2", beta2)
        self.eps = self._column("eps", eps)
        self._betas = torch.stack([self.beta1, self.beta2])
        self._newest1, self._newest2 = ops.one_minus(self._betas)
        self._mean, self._square = self._state(), self._state()
        self._powers = torch.ones_like(self._betas)  # b1^t and b2^t

    def _update(self, gradient: Tensor, lr: Tensor) -> None:
        mean = self._mean.lerp_(gradient, self._newest1)
        square = self._average_square(self._square, gradient, self.beta2, self._newest2)
        # m' / (sqrt(s') + eps) = m / (sqrt(s) + eps c) c / (1 - b1^t), with c = sqrt(1 - b2^t): one pass fewer
        weight1, weight2 = ops.one_minus(self._powers.mul_(self._betas)).unbind()
        correction = weight2.sqrt()
        root = ops.sqrt(square, self._work).add_(self.eps * correction)
        self._descend(torch.div(mean, root, out=root), lr * correction / weight1)


class AdamW(Adam):
    """Adam with decoupled weight decay: p <- p (1 - lr weight_decay) beside the step, not through g.

    Loshchilov and Hutter 2019, Algorithm 2.
    """

    def __init__(
        self,
        model: Parametrized,
        lr: Number = 0.001,
        beta1: Number = 0.9,
        beta2: Number = 0.999,
        eps: Number = 1e-8,
        weight_decay: Number = 0.01,
        clip: Number = 0.0,
    ) -> None:
        super().__init__(model, lr, beta1, beta2, eps, 0.0, clip)
        self.weight_decay = self._column("weight_decay", weight_decay)

    def _update(self, gradient: Tensor, lr: Tensor) -> None:
        self.parameters.mul_(ops.one_minus(lr * self.weight_decay))
        super()._update(gradient, lr)


class Adamax(Optimizer):
    """m <- b1 m + (1 - b1) g; u <- max(b2 u, |g| + eps); p <- p - lr / (1 - b1^t) m / u (Kingma and Ba 2015, Algorithm 2)."""

    def __init__(
        self,
        model: Parametrized,
        lr: Number = 0.002,
        beta1: Number = 0.9,
        beta2: Number = 0.999,
        eps: Number = 1e-8,
        weight_decay: Number = 0.0,
        clip: Number = 0.0,
    ) -> None:
        super().__init__(model, lr, weight_decay, clip)
        self.beta1, self.beta2 = self._share("beta1", beta1), self._share("beta2", beta2)
        self.eps = self._column("eps", eps)
        self._newest1 = ops.one_minus(self.beta1)
        self._mean, self._largest = self._state(), self._state()
        self._power1 = torch.ones_like(self.beta1)

    def _update(self, gradient: Tensor, lr: Tensor) -> None:
        self._power1.mul_(self.beta1)
        mean = self._mean.lerp_(gradient, self._newest1)
        size = torch.abs(gradient, out=self._work).add_(self.eps)
        largest = torch.maximum(self._largest.mul_(self.beta2), size, out=self._largest)
        self._descend(torch.div(mean, largest, out=self._work), lr / ops.one_minus(self._power1))
