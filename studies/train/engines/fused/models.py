"""A model of the framework as the core takes it."""

import ctypes
from typing import NamedTuple

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


class Training(NamedTuple):
    """The parts of a training that all replicas share."""

    loss: fw.Loss
    batch_size: int
    shuffle: str
    decide: fw.Decision
    most_rows: int


def model_spec(
    model: fw.Sequential, replica: int, rule: tuple[fw.Optimizer, int], seed: int, train: RowsSpec, training: Training
) -> ModelSpec:
    """One replica of a stack as the core takes it.

    Args:
        model: The stack.
        replica: The replica's place in it.
        rule: The optimizer of a part of the stack, and the replica's place in that.
        seed: What its orders and its dropout are drawn from.
        train: Its training rows.
        training: What all replicas share.
    """
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
        if isinstance(module, fw.Dropout):
            p = torch.as_tensor(module.p, dtype=torch.float64).reshape(-1)
            a = float(p[replica if len(p) > 1 else 0])
        kind = LAYERS.index(type(module).__name__)
        layers[index] = LayerSpec(kind, takes, features, flags, a, b, derive(derive(seed, DROPOUT), index))
    optimizer, place = rule
    numbers = {name: getattr(optimizer, name, 0.0) for name in HYPERPARAMETERS}
    numbers = {
        name: float(value[place]) if isinstance(value, torch.Tensor) else float(value) for name, value in numbers.items()
    }
    loss = training.loss
    parameter = getattr(loss, "delta", getattr(loss, "margin", 0.0))
    kinds = (
        LOSSES.index(type(loss).__name__),
        loss.reduction == "mean",
        RULES.index(type(optimizer).__name__),
        DECISIONS.index(training.decide.__name__),
        SHUFFLES.index(training.shuffle),
    )
    return ModelSpec(
        ctypes.cast(layers, ctypes.POINTER(LayerSpec)),
        len(layers),
        *kinds,
        parameter,
        Hyperparameters(**numbers),
        training.batch_size,
        training.most_rows,
        derive(seed, ORDER),
        train,
    )
