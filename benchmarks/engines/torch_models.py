"""Parts of the engines of torch: networks, losses and optimizers of torch.nn and torch.optim."""

import itertools
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn, optim
from torch.nn import functional

from benchmarks.work import Floats, Work

_ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU, "elu": nn.ELU, "sigmoid": nn.Sigmoid}
_OPTIMIZERS: dict[str, Callable[..., optim.Optimizer]] = {"sgd": optim.SGD, "adam": optim.Adam}


def network(work: Work, sizes: Sequence[int], running: bool = True) -> nn.Sequential:
    """A network of torch.nn; `running`: whether batch norm keeps running averages for evaluation."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes[:-1]):
        layers.append(nn.Linear(inputs, outputs))
        if work.batchnorm != "none":
            layers.append(nn.BatchNorm1d(outputs, affine=work.batchnorm == "affine", track_running_stats=running))
        layers.append(_ACTIVATIONS[work.activation]())
    layers.append(nn.Linear(sizes[-2], sizes[-1]))
    if work.loss == "mse":
        layers.append(nn.Sigmoid())
    return nn.Sequential(*layers)


@torch.no_grad()
def start(model: nn.Sequential, weights: Iterable[Floats]) -> nn.Sequential:
    """Set first weights, one array `(outputs, inputs)` a layer; biases and averages at their first values."""
    rest = iter(weights)
    for layer in model:
        if isinstance(layer, nn.Linear):
            layer.weight.copy_(torch.from_numpy(next(rest)))
            layer.bias.zero_()
        if isinstance(layer, nn.BatchNorm1d):
            layer.reset_parameters()
    return model


def targets(work: Work, labels: Tensor) -> Tensor:
    """Labels for cross-entropy, one-hot numbers for the squared error."""
    return labels if work.loss == "cross_entropy" else functional.one_hot(labels).float()


def loss(work: Work) -> Callable[[Tensor, Tensor], Tensor]:
    """The mean over samples, of the sum over outputs."""
    if work.loss == "cross_entropy":
        return functional.cross_entropy
    return lambda output, target: functional.mse_loss(output, target) * output.shape[1]


def optimizer(work: Work, parameters: Iterable[Tensor], lr: float | Tensor) -> optim.Optimizer:
    """torch's own, with its defaults."""
    return _OPTIMIZERS[work.optimizer](parameters, lr=lr)
