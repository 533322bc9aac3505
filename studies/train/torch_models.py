"""Models, losses and optimizers of torch in the framework's place, and trained models as plain values for torch alone.

What `fit` asks of a model, a loss and an optimizer is answered by torch. Tensors are `(1, features, samples)`, and rows inside
the network only. The runner trains in inference mode, where autograd cannot work: each answer leaves it. Beside a bare loop of
torch, a step costs about a fifth more.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
import torch._dynamo  # torch.optim would import it at the first step, on a trial's clock
from torch import Tensor, nn, optim
from torch.nn import functional

import framework as fw
from studies.errors import UserError
from studies.spec.components import ACTIVATIONS, BATCH_NORM, LOSSES, OPTIMIZERS, OUTPUTS, Component, options, with_name
from studies.spec.settings import Settings

Layer = tuple[str, dict[str, Any]]  # a class of torch.nn and its arguments


def binary_cross_entropy(output: Tensor, target: Tensor, reduction: str) -> Tensor:
    """Binary cross-entropy; NaN of outputs that are NaN, where torch raises: a model that diverged is a result."""
    return output.sum() if output.isnan().any() else functional.binary_cross_entropy(output, target, reduction=reduction)


def multi_margin_loss(output: Tensor, target: Tensor, margin: float, reduction: str) -> Tensor:
    """Hinge loss of several classes, from one-hot targets, summed over outputs, where torch takes their mean."""
    rows = output.movedim(1, -1).flatten(0, -2)  # torch takes no further axis here
    labels = target.argmax(1).flatten()
    return output.shape[1] * functional.multi_margin_loss(rows, labels, margin=margin, reduction=reduction)


class Model:
    """A network of torch, as a stack of one."""

    replicas = 1

    def __init__(self, network: nn.Sequential, layers: Sequence[Layer], takes: int | None, outputs: int | None) -> None:
        self.network, self.layers, self.takes, self.outputs = network, layers, takes, outputs

    @property
    def parameters(self) -> Tensor:
        """A copy of all parameters, `(1, P)`, in the framework's order."""
        return nn.utils.parameters_to_vector(self.network.parameters()).detach()[None]

    def modules(self) -> Iterator[fw.Module]:
        """None of the framework's: torch's batch norm refuses a batch of one itself."""
        return iter(())

    def seed(self, seeds: Sequence[int], device: torch.device) -> None:  # noqa: ARG002
        """Start the one stream that dropout draws from: torch's own, so the draws are not the framework's."""
        torch.manual_seed(seeds[0])

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

    def __init__(self, function: Callable[..., Tensor], reduction: str, **parameters: float) -> None:
        self._function, self.reduction, self._parameters = function, reduction, parameters

    @torch.inference_mode(False)
    def __call__(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        # torch's own "mean" is over outputs too, but for cross-entropy.
        value = self._function(output, target.clone(), reduction="sum", **self._parameters)
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
def to_torch(stack: fw.Sequential, settings: Settings) -> tuple[Any, Any, Any]:
    """Model, loss and optimizer of torch for an initialized stack of one model, at the stack's parameters."""
    layers = list(_layers(stack, settings))
    network = _network(layers, stack)
    rule, numbers = _twin(OPTIMIZERS, settings["optimizer"])
    function, parameters = _twin(LOSSES, settings["loss"])
    loss = Loss(function, settings["reduction"], **parameters)
    rows = Model(network, layers, stack.takes, stack.outputs)
    return rows, loss, Optimizer(rule(network.parameters(), **numbers), settings["clip"])


@torch.inference_mode(False)
def export_model(model: fw.Sequential | Model, settings: Settings) -> dict[str, Any]:
    """A trained stack of one as `layers` and `state_dict`, plain values that build the same network in float64 by torch alone.

    `nn.Sequential(*(getattr(nn, name)(**arguments) for name, arguments in layers))` takes the `state_dict`; its predictions are
    the model's. A batch norm that evaluates by the rows given keeps no running averages there either, so that predictions
    depend on the rows that are given together; how its gradient was taken leaves no trace in a trained model.

    Raises UserError where torch has no such batch norm, or no such activation: it is a user's own.
    """
    norm = settings["batchnorm"]
    if norm.get("evaluate") == "batch" and norm["unbiased"]:
        raise UserError(
            "torch.nn's batch norm divides the variance of a batch by n: a model with evaluate = 'batch' and unbiased = true "
            "has no equal there; write evaluate = 'running', or unbiased = false"
        )
    if isinstance(model, Model):
        layers, network = list(model.layers), model.network
    else:
        layers = list(_layers(model, settings))
        network = _network(layers, model)
        for ours, theirs in zip(model.layers, network, strict=True):
            if isinstance(ours, fw.BatchNorm) and isinstance(theirs, nn.BatchNorm1d) and theirs.track_running_stats:
                theirs.running_mean = ours.running_mean[0, :, 0].clone()
                theirs.running_var = ours.running_variance[0, :, 0].clone()
    # All but the counts of batches in float64, so that inputs normalised in float64 need no cast.
    state = {name: value.double() if value.is_floating_point() else value for name, value in network.state_dict().items()}
    return {"layers": layers, "state_dict": {name: value.clone() for name, value in state.items()}}


def _network(layers: Sequence[Layer], stack: fw.Sequential) -> nn.Sequential:
    """The layers as a network of torch, at the parameters of a stack of one."""
    network = nn.Sequential(*(getattr(nn, name)(**arguments) for name, arguments in layers)).to(stack.parameters)
    nn.utils.vector_to_parameters(stack.parameters[0].clone(), network.parameters())
    return network


def _layers(stack: fw.Sequential, settings: Settings) -> Iterator[Layer]:
    """The layers of a stack, each as torch's; for training, the engine's `check` allows only those that have an equal there."""
    width = 0
    functions = iter([*settings["activation"], settings["output"]])
    for layer in stack.layers:
        if isinstance(layer, fw.Linear):
            width = layer.outputs
            yield "Linear", {"in_features": layer.inputs, "out_features": width}
        elif isinstance(layer, fw.BatchNorm):
            norm = {key: value for key, value in options(settings["batchnorm"]).items() if key != "position"}
            kind, arguments = BATCH_NORM.twin(**norm)
            yield kind.__name__, {"num_features": width, **arguments}
        elif isinstance(layer, fw.Dropout):
            yield "Dropout", {"p": settings["dropout"]}
        else:
            kind, arguments = _twin({**ACTIVATIONS, **OUTPUTS}, next(functions))
            yield kind.__name__, arguments


def _twin(components: Mapping[str, Component | None], value: Any) -> tuple[Callable[..., Any], dict[str, Any]]:  # noqa: ANN401
    """Torch's equivalent of a component of resolved settings, and its arguments."""
    component = components.get(with_name(value)["name"])
    if component is None:
        raise UserError(f"torch.nn has no equal of {with_name(value)['name']!r}, which is your own")
    return component.twin(**options(value))
