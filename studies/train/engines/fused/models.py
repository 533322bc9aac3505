"""Models of the framework as the core takes them."""

import ctypes
from collections.abc import Sequence

import torch

import framework as fw
from framework.streams import DROPOUT, ORDER, derive
from studies.train.engines.fused.components import DECISIONS, LAYERS, LOSSES, RULES, SHUFFLES
from studies.train.engines.fused.library import HYPERPARAMETERS, Hyperparameters, LayerSpec, ModelSpec, RowsSpec

_NUMBERS = {  # of layers that have some, by attribute
    "LeakyReLU": ("slope",),
    "ELU": ("alpha",),
    "SELU": ("alpha", "scale"),
    "Softplus": ("beta",),
    "Hardtanh": ("low", "high"),
    "BatchNorm": ("eps", "momentum"),
}


class Structure:
    """The parts that all replicas of a stack share, and each replica as the core takes it.

    Args:
        model: The stack.
        loss, decide, shuffle: As `framework.fit` takes them.
        rules: Its optimizers, each of some replicas, in order.
        batch_size, most_rows: Rows of a training batch, and rows that are evaluated at once.
    """

    def __init__(
        self,
        model: fw.Sequential,
        loss: fw.Loss,
        rules: Sequence[fw.Optimizer],
        *,
        decide: fw.Decision,
        shuffle: str,
        batch_size: int,
        most_rows: int,
    ) -> None:
        self._layers = _layers(model)
        self._dropout = [
            (index, torch.as_tensor(module.p, dtype=torch.float64).expand(model.replicas, 1, 1).flatten().tolist())
            for index, module in enumerate(model.layers)
            if isinstance(module, fw.Dropout)
        ]
        self._rules = [each for rule in rules for each in _hyperparameters(rule)]
        self._spec = ModelSpec(
            layer_count=len(model.layers),
            loss=LOSSES.index(type(loss).__name__),
            loss_is_mean=loss.reduction == "mean",
            loss_parameter=getattr(loss, "delta", getattr(loss, "margin", 0.0)),
            decision=DECISIONS.index(decide.__name__),
            shuffle=SHUFFLES.index(shuffle),
            batch_size=batch_size,
            most_rows=most_rows,
        )

    def spec(self, replica: int, seed: int, train: RowsSpec) -> ModelSpec:
        """A replica with its training rows, and the seed that its orders and dropout are drawn from."""
        layers = type(self._layers).from_buffer_copy(self._layers)
        for index, p in self._dropout:
            layers[index].a, layers[index].seed = p[replica], derive(derive(seed, DROPOUT), index)
        spec = ModelSpec.from_buffer_copy(self._spec)
        spec.layers = ctypes.cast(layers, ctypes.POINTER(LayerSpec))
        spec.rule, spec.hyperparameters = self._rules[replica]
        spec.order_seed, spec.train = derive(seed, ORDER), train
        return spec


def _layers(model: fw.Sequential) -> "ctypes.Array[LayerSpec]":
    """The layers, but for what dropout has of each replica."""
    layers = (LayerSpec * len(model.layers))()
    features = 0
    for index, module in enumerate(model.layers):
        takes = module.inputs if isinstance(module, fw.Linear) else features
        features = module.outputs if isinstance(module, fw.Linear) else features
        a, b, *_ = [*(float(getattr(module, name)) for name in _NUMBERS.get(type(module).__name__, ())), 0.0, 0.0]
        flags = 0
        if isinstance(module, fw.BatchNorm):
            options = (module.affine, module.evaluate == "running", module.gradient == "exact", module.unbiased)
            flags = sum(1 << bit for bit, is_set in enumerate(options) if is_set)
        layers[index] = LayerSpec(LAYERS.index(type(module).__name__), takes, features, flags, a, b)
    return layers


def _hyperparameters(rule: fw.Optimizer) -> list[tuple[int, Hyperparameters]]:
    """The rule's place in the table, and its numbers, of each replica."""
    replicas = len(rule.parameters)
    columns = []
    for name in HYPERPARAMETERS:
        value = getattr(rule, name, 0.0)
        columns.append(value.flatten().tolist() if isinstance(value, torch.Tensor) else [float(value)] * replicas)
    kind = RULES.index(type(rule).__name__)
    return [(kind, Hyperparameters(*numbers)) for numbers in zip(*columns, strict=True)]
