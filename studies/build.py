"""From names to objects: the one place where a spec's words meet the framework."""

import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

import framework as fw

ACTIVATIONS: dict[str, type[fw.Module]] = {
    "identity": fw.Identity,
    "relu": fw.ReLU,
    "leaky_relu": fw.LeakyReLU,
    "prelu": fw.PReLU,
    "elu": fw.ELU,
    "selu": fw.SELU,
    "tanh": fw.Tanh,
    "sigmoid": fw.Sigmoid,
    "softmax": fw.Softmax,
}
OUTPUTS: dict[str, type[fw.Module] | None] = {"linear": None, "sigmoid": fw.Sigmoid, "tanh": fw.Tanh, "softmax": fw.Softmax}
LOSSES = {"mse": fw.MSELoss, "mae": fw.MAELoss, "bce": fw.BCELoss, "cross_entropy": fw.CrossEntropyLoss}
DECISIONS = {"argmax": fw.argmax, "threshold": fw.threshold, "round": fw.rounded}
DTYPES = {"float32": torch.float32, "float64": torch.float64}

# Factories: their parameters, with their defaults, are what a table in a spec may set beside `name`.
INITIALIZERS: dict[str, Callable[..., fw.Initializer]] = {
    "normal": fw.gaussian,
    "he": lambda: fw.he,
    "xavier": lambda: fw.xavier,
    "lecun": lambda: fw.lecun,
    "uniform": lambda: fw.uniform,
}
BIASES: dict[str, Callable[..., fw.Initializer]] = {
    "zeros": lambda: fw.zeros,
    "normal": fw.gaussian,
    "uniform": lambda: fw.uniform,
}
OPTIMIZERS: dict[str, type[fw.Optimizer]] = {
    "sgd": fw.SGD,
    "adagrad": fw.Adagrad,
    "adadelta": fw.Adadelta,
    "rmsprop": fw.RMSprop,
    "adam": fw.Adam,
    "adamw": fw.AdamW,
    "adamax": fw.Adamax,
}
SCHEDULES: dict[str, Callable[..., fw.Schedule]] = {
    "constant": lambda: fw.constant,
    "step": fw.step_decay,
    "cyclical": fw.triangular,
    "cosine": fw.cosine,
}
_FROM_ELSEWHERE = {"model", "clip", "epochs"}  # arguments that a configuration has under keys of their own


def parameters_of(factory: Callable[..., object]) -> dict[str, Any]:
    """The parameters that a table may set, with their defaults."""
    found = inspect.signature(factory).parameters.values()
    return {parameter.name: parameter.default for parameter in found if parameter.name not in _FROM_ELSEWHERE}


def model(
    settings: Sequence[Mapping[str, Any]], features: int, classes: int, device: torch.device | str = "cpu"
) -> fw.Sequential:
    """An uninitialized stack for configurations of one structure, one replica each."""
    shared = settings[0]
    dropout = [each["dropout"] for each in settings]
    layers: list[fw.Module] = []
    width = features
    for units, activation in zip(shared["hidden"], shared["activation"], strict=True):
        norm = shared["batchnorm"]
        layers.append(fw.Linear(width, units))
        block = [ACTIVATIONS[activation]()]
        if norm["name"] != "none":
            options = {key: value for key, value in norm.items() if key not in ("name", "position")}
            block.insert(0 if norm["position"] == "before" else 1, fw.BatchNorm(**options))
        layers += block
        if any(dropout):
            layers.append(fw.Dropout(dropout))
        width = units
    layers.append(fw.Linear(width, classes if shared["outputs"] == "classes" else 1))
    output = OUTPUTS[shared["output"]]
    if output is not None:
        layers.append(output())
    return fw.Sequential(*layers, replicas=len(settings), dtype=DTYPES[shared["dtype"]], device=device)


def initialize(stack: fw.Sequential, settings: Sequence[Mapping[str, Any]], seeds: Sequence[int]) -> None:
    """Draw every replica's first parameters, each by its own configuration and from its own seed."""
    for replica, (each, seed) in enumerate(zip(settings, seeds, strict=True)):
        fw.initialize_replica(
            stack,
            replica,
            hidden=_made(INITIALIZERS, each["init"]),
            output=_made(INITIALIZERS, each["output_init"]),
            bias=_made(BIASES, each["bias_init"]),
            seed=seed,
        )


def update_rule(settings: Mapping[str, Any]) -> tuple[Any, ...]:
    """What replicas must share to be updated by one optimizer: its name, and which of its terms are there at all.

    A term that only some of them need would cost the others their bits.
    """
    table = settings["optimizer"]
    return table["name"], settings["clip"] > 0, *(table.get(key, 0) > 0 for key in ("momentum", "nesterov", "weight_decay"))


def optimizer(stack: fw.Sequential, settings: Sequence[Mapping[str, Any]]) -> fw.Several:
    """An optimizer for each run of replicas with one update rule, with each replica's own numbers."""
    parts: list[fw.Optimizer] = []
    start = 0
    for _, group in itertools.groupby(settings, key=update_rule):
        members = list(group)
        replicas = slice(start, start + len(members))
        part = fw.Part(stack.parameters[replicas], stack.gradients[replicas])
        tables = [each["optimizer"] for each in members]
        numbers = {
            name: value if isinstance(value, bool) else [table[name] for table in tables]
            for name, value in tables[0].items()
            if name != "name"
        }
        parts.append(OPTIMIZERS[tables[0]["name"]](part, clip=[each["clip"] for each in members], **numbers))
        start = replicas.stop
    return fw.Several(parts)


def loss(settings: Mapping[str, Any]) -> fw.Loss:
    """The loss of a configuration."""
    return LOSSES[settings["loss"]](settings["reduction"])


def schedule(settings: Mapping[str, Any]) -> fw.Schedule:
    """The learning-rate schedule of a configuration."""
    table = settings["schedule"]
    if table["name"] == "cosine":
        table = {**table, "epochs": settings["epochs"]}
    return _made(SCHEDULES, table)


def _made(factories: Mapping[str, Callable[..., Any]], table: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """What the factory called `table["name"]` makes from the rest of the table."""
    return factories[table["name"]](**{key: value for key, value in table.items() if key != "name"})
