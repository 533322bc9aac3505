"""Optimizers: update rules on the flat `(R, P)` parameters of a stack, in order of increasing complexity.

A hyperparameter is one number or one for each replica, and enters as an `(R, 1)` tensor. In the formulas p are the parameters,
g their gradient, t counts steps from 1, and lr is the learning rate times the schedule's factor. Rules and defaults are those
of torch.optim, but for SGD's lr.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from framework.module import words

Number = float | Sequence[float] | Tensor


class Stack(Protocol):
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

    def __init__(self, model: Stack, lr: Number, weight_decay: Number = 0.0, clip: Number = 0.0) -> None:
        if not all(isinstance(getattr(model, name, None), Tensor) for name in ("parameters", "gradients")):
            kind = f"the class {model.__name__}" if isinstance(model, type) else f"a {type(model).__name__}"
            raise ValueError(
                f"an optimizer takes a model, with its parameters and gradients: {kind} was given; "
                f"write {type(self).__name__}(model)"
            )
        self.parameters, self.gradients = model.parameters, model.gradients
        self.lr = self._column("lr", lr)
        self.weight_decay = self._column("weight_decay", weight_decay)
        self.clip = self._column("clip", clip)
        self._clips, self._decays = bool(self.clip.any()), bool(self.weight_decay.any())

    def __repr__(self) -> str:
        replicas, size = self.parameters.shape
        given = {
            name: value for name, value in vars(self).items() if name not in ("parameters", "gradients") and name[0] != "_"
        }
        options = ", ".join(f"{name}={words(value) if isinstance(value, Tensor) else value}" for name, value in given.items())
        return f"{type(self).__name__}({options})  # replicas={replicas}, of {size:,} parameters each"

    def step(self, factor: float | Tensor = 1.0) -> None:
        """Update the parameters from the gradients, at `factor` times the learning rate."""
        gradient = self.gradients
        if self._clips:
            norm = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
            gradient = gradient * (self.clip / (norm + 1e-6)).masked_fill(self.clip == 0, 1).clamp(max=1)
        if self._decays:  # where a model has none, its parameters do not enter: 0 times infinity is not 0
            gradient = gradient + self.weight_decay * self.parameters.masked_fill(self.weight_decay == 0, 0)
        self._update(gradient, self.lr * factor)

    def _update(self, gradient: Tensor, lr: Tensor) -> None:
        """Apply the rule to a gradient `(R, P)` at the learning rates `(R, 1)`; what is remembered keeps its memory."""
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

    def _state(self) -> Tensor:
        return torch.zeros_like(self.parameters)


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
        self, model: Stack, lr: Number = 0.1, momentum: Number = 0.0, nesterov: bool = False,
        weight_decay: Number = 0.0, clip: Number = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(model, lr, weight_decay, clip)
        self.momentum, self.nesterov = self._column("momentum", momentum), nesterov
        self._has_momentum = bool(self.momentum.any())
        if nesterov and not self._has_momentum:
            raise ValueError("Nesterov's rule looks ahead along the momentum: nesterov=True needs a momentum above 0")
        self._velocity = self._state()

    def _update(self, gradient: Tensor, lr: Tensor) -> None:
        direction = gradient
        if self._has_momentum:
            direction = self._velocity.mul_(self.momentum).add_(gradient)
        if self.nesterov:
            direction = gradient + self.momentum * self._velocity
        self.parameters.addcmul_(lr, direction, value=-1)  # p - lr v, rounded once


class Adagrad(Optimizer):
    """s <- s + g^2; p <- p - lr g / (sqrt(s) + eps) (Duchi et al. 2011)."""

    def __init__(
        self, model: Stack, lr: Number = 0.01, eps: Number = 1e-10, weight_decay: Number = 0.0, clip: Number = 0.0
    ) -> None:
        super().__init__(model, lr, weight_decay, clip)
        self.eps = self._column("eps", eps)
        self._sum = self._state()

    def _update(self, gradient: Tensor, lr: Tensor) -> None:
        self._sum += gradient * gradient
        self.parameters -= lr * gradient / (self._sum.sqrt() + self.eps)


class RMSprop(Optimizer):
    """s <- alpha s + (1 - alpha) g^2; p <- p - lr g / (sqrt(s) + eps) (Tieleman and Hinton 2012, lecture 6.5)."""

    def __init__(
        self, model: Stack, lr: Number = 0.01, alpha: Number = 0.99, eps: Number = 1e-8,
        weight_decay: Number = 0.0, clip: Number = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(model, lr, weight_decay, clip)
        self.alpha, self.eps = self._column("alpha", alpha, below=1), self._column("eps", eps)
        self._square = self._state()

    def _update(self, gradient: Tensor, lr: Tensor) -> None:
        _average(self._square, self.alpha, gradient, gradient)
        self.parameters -= lr * gradient / (self._square.sqrt() + self.eps)


class Adadelta(Optimizer):
    """s <- rho s + (1 - rho) g^2; d = sqrt(u + eps) / sqrt(s + eps) g; u <- rho u + (1 - rho) d^2; p <- p - lr d.

    Zeiler 2012, Algorithm 1, where lr is 1.
    """

    def __init__(
        self, model: Stack, lr: Number = 1.0, rho: Number = 0.9, eps: Number = 1e-6,
        weight_decay: Number = 0.0, clip: Number = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(model, lr, weight_decay, clip)
        self.rho, self.eps = self._column("rho", rho, below=1), self._column("eps", eps)
        self._square, self._step_square = self._state(), self._state()

    def _update(self, gradient: Tensor, lr: Tensor) -> None:
        _average(self._square, self.rho, gradient, gradient)
        step = (self._step_square + self.eps).sqrt() / (self._square + self.eps).sqrt() * gradient
        _average(self._step_square, self.rho, step, step)
        self.parameters -= lr * step


class Adam(Optimizer):
    """p <- p - lr m' / (sqrt(s') + eps), with m' = m / (1 - b1^t), s' = s / (1 - b2^t).

    Averages m <- b1 m + (1 - b1) g and s <- b2 s + (1 - b2) g^2.
    Kingma and Ba 2015, Algorithm 1; eps stands outside the root.
    """

    def __init__(
        self, model: Stack, lr: Number = 0.001, beta1: Number = 0.9, beta2: Number = 0.999, eps: Number = 1e-8,
        weight_decay: Number = 0.0, clip: Number = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(model, lr, weight_decay, clip)
        self.beta1, self.beta2 = self._column("beta1", beta1, below=1), self._column("beta2", beta2, below=1)
        self.eps = self._column("eps", eps)
        self._mean, self._square = self._state(), self._state()
        self._power1, self._power2 = torch.ones_like(self.beta1), torch.ones_like(self.beta2)  # b1^t and b2^t

    def _update(self, gradient: Tensor, lr: Tensor) -> None:
        self._power1 *= self.beta1
        self._power2 *= self.beta2
        _average(self._mean, self.beta1, gradient)
        _average(self._square, self.beta2, gradient, gradient)
        mean = self._mean / (1 - self._power1)
        root = self._square.sqrt() / (1 - self._power2).sqrt()  # of s', which may overflow where s does not
        self.parameters -= lr * mean / (root + self.eps)


class AdamW(Adam):
    """Adam with decoupled weight decay: p <- p (1 - lr weight_decay) before the step, not through g.

    Loshchilov and Hutter 2019, Algorithm 2.
    """

    def __init__(
        self, model: Stack, lr: Number = 0.001, beta1: Number = 0.9, beta2: Number = 0.999, eps: Number = 1e-8,
        weight_decay: Number = 0.01, clip: Number = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(model, lr, beta1, beta2, eps, weight_decay, clip)
        self._decays = False

    def _update(self, gradient: Tensor, lr: Tensor) -> None:
        self.parameters *= 1 - lr * self.weight_decay
        super()._update(gradient, lr)


class Adamax(Optimizer):
    """m <- b1 m + (1 - b1) g; u <- max(b2 u, |g| + eps); p <- p - lr / (1 - b1^t) m / u (Kingma and Ba 2015, Algorithm 2)."""

    def __init__(
        self, model: Stack, lr: Number = 0.002, beta1: Number = 0.9, beta2: Number = 0.999, eps: Number = 1e-8,
        weight_decay: Number = 0.0, clip: Number = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(model, lr, weight_decay, clip)
        self.beta1, self.beta2 = self._column("beta1", beta1, below=1), self._column("beta2", beta2, below=1)
        self.eps = self._column("eps", eps)
        self._mean, self._largest = self._state(), self._state()
        self._power1 = torch.ones_like(self.beta1)  # b1^t

    def _update(self, gradient: Tensor, lr: Tensor) -> None:
        self._power1 *= self.beta1
        _average(self._mean, self.beta1, gradient)
        torch.maximum(self.beta2 * self._largest, gradient.abs() + self.eps, out=self._largest)
        self.parameters -= lr / (1 - self._power1) * self._mean / self._largest


def _average(average: Tensor, decay: Tensor, x: Tensor, times: Tensor | None = None) -> None:
    """average <- decay average + (1 - decay) x, or x times another."""
    newest = (1 - decay) * x
    average.mul_(decay).add_(newest if times is None else newest * times)
