"""torch.nn, autograd and torch.optim in the framework's place: same loop, splits, first weights and batches.

What `fit` asks of a model, a loss and an optimizer is answered by torch. Tensors are `(1, features, samples)`, and rows inside
the network only. The runner trains in inference mode, where autograd cannot work: each answer leaves it. Beside a bare loop of
torch, a step costs about a fifth more.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
import torch._dynamo  # torch.optim would import it at the first step, on a trial's clock
from torch import Tensor, nn, optim
from torch.nn import functional

import framework as fw
from studies.settings import Settings

_ACTIVATIONS: dict[type[fw.Module], Callable[[], nn.Module]] = {
    fw.Identity: nn.Identity,
    fw.ReLU: nn.ReLU,
    fw.LeakyReLU: nn.LeakyReLU,
    fw.PReLU: nn.PReLU,
    fw.ELU: nn.ELU,
    fw.SELU: nn.SELU,
    fw.Tanh: nn.Tanh,
    fw.Sigmoid: nn.Sigmoid,
    fw.Softmax: partial(nn.Softmax, dim=1),
}


def _bce(output: Tensor, target: Tensor, reduction: str) -> Tensor:
    """Binary cross-entropy; NaN of outputs that are, where torch raises: a model that diverged is a result."""
    return output.sum() if output.isnan().any() else functional.binary_cross_entropy(output, target, reduction=reduction)


_LOSSES: dict[str, Callable[..., Tensor]] = {
    "mse": functional.mse_loss,
    "mae": functional.l1_loss,
    "bce": _bce,
    "cross_entropy": functional.cross_entropy,
}


def _with_betas(rule: Callable[..., optim.Optimizer]) -> Callable[..., optim.Optimizer]:
    """An optimizer that takes its two betas one by one."""
    return lambda parameters, beta1, beta2, **rest: rule(parameters, betas=(beta1, beta2), **rest)


_OPTIMIZERS: dict[str, Callable[..., optim.Optimizer]] = {  # all other arguments have torch's names
    "sgd": optim.SGD,
    "adagrad": optim.Adagrad,
    "adadelta": optim.Adadelta,
    "rmsprop": optim.RMSprop,
    "adam": _with_betas(optim.Adam),
    "adamw": _with_betas(optim.AdamW),
    "adamax": _with_betas(optim.Adamax),
}


class Model:
    """A network of torch, as a stack of one."""

    replicas = 1

    def __init__(self, network: nn.Module, takes: int | None, outputs: int | None) -> None:
        self.network, self.takes, self.outputs = network, takes, outputs

    @property
    def parameters(self) -> Tensor:
        """A copy of all parameters, `(1, P)`, in the framework's order."""
        return nn.utils.parameters_to_vector(self.network.parameters()).detach()[None]

    def seed(self, seeds: Sequence[int], device: torch.device) -> None:  # noqa: ARG002
        """Start the one stream that dropout draws from: torch's own, so the draws are not the framework's."""
        torch.manual_seed(seeds[0])

    def generators(self) -> list[torch.Generator]:
        """None of its own: torch's."""
        return []

    def forward(self, x: Tensor, train: bool = True) -> Tensor:
        """The outputs, with autograd's graph behind them in training."""
        if self.network.training != train:
            self.network.train(train)
        if not train:
            with torch.no_grad():
                return self.network(x[0].mT).mT[None]
        with torch.inference_mode(False):
            rows = x[0].mT.clone(memory_format=torch.contiguous_format)  # autograd keeps nothing that inference mode made
            return self.network(rows).mT[None]

    @torch.inference_mode(False)
    def accumulate(self, value: Tensor) -> None:
        """Fill the gradients of the parameters from the value that `Loss` returned in the place of dL/doutput."""
        self.network.zero_grad()
        value.backward()


class Loss:
    """L = sum over outputs, mean or sum over samples; returned as a number, `(1,)`, and with autograd's graph behind it."""

    def __init__(self, function: Callable[..., Tensor], reduction: str) -> None:
        self._function, self.reduction = function, reduction

    @torch.inference_mode(False)
    def __call__(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        # torch's own "mean" is over outputs too, but for cross-entropy.
        value = self._function(output, target.clone(), reduction="sum")
        if self.reduction == "mean":
            value = value / output.shape[2]
        return value.detach()[None], value


class Optimizer:
    """An update rule of torch, with its gradients clipped to a norm of at most `clip` (0: never)."""

    def __init__(self, rule: optim.Optimizer, clip: float) -> None:
        self._rule, self._clip, self._lr = rule, clip, rule.defaults["lr"]

    @torch.inference_mode(False)
    def step(self, factor: float | Tensor = 1.0) -> None:
        """Update the parameters from the gradients, at `factor` times the learning rate."""
        (group,) = self._rule.param_groups
        if self._clip:
            nn.utils.clip_grad_norm_(group["params"], self._clip)
        group["lr"] = self._lr * float(factor)
        self._rule.step()


@torch.inference_mode(False)
def of(stack: fw.Sequential, settings: Settings) -> tuple[Any, Any, Any]:
    """Model, loss and optimizer of torch for an initialized stack of one model, at the stack's parameters."""
    network = nn.Sequential(*_layers(stack, settings["dropout"])).to(stack.parameters)
    nn.utils.vector_to_parameters(stack.parameters[0].clone(), network.parameters())
    numbers = {key: value for key, value in settings["optimizer"].items() if key != "name"}
    rule = _OPTIMIZERS[settings["optimizer"]["name"]](network.parameters(), **numbers)
    loss = Loss(_LOSSES[settings["loss"]], settings["reduction"])
    return Model(network, stack.takes, stack.outputs), loss, Optimizer(rule, settings["clip"])


def _layers(stack: fw.Sequential, dropout: float) -> Iterator[nn.Module]:
    """The layers of a stack, each as torch's; `settings` allows those only that have an equal there."""
    width = 0
    for layer in stack.layers:
        if isinstance(layer, fw.Linear):
            width = layer.outputs
            yield nn.Linear(layer.inputs, width)
        elif isinstance(layer, fw.BatchNorm):
            yield nn.BatchNorm1d(width, layer.eps, layer.momentum, layer.affine, layer.evaluate == "running")
        elif isinstance(layer, fw.Dropout):
            yield nn.Dropout(dropout)
        else:
            yield _ACTIVATIONS[type(layer)]()
