"""From names to objects: the one place where a spec's words meet the framework."""

import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import torch

import framework as fw
from studies.spec.rules import Rule, choice, flag, number, whole

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


class Component(NamedTuple):
    """A name in a spec: what makes it, and the rules of its own parameters, which a table sets beside the name."""

    make: Callable[..., Any]
    rules: Mapping[str, Rule] = MappingProxyType({})

    @property
    def defaults(self) -> dict[str, Any]:
        """The parameters with their defaults."""
        arguments = inspect.signature(self.make).parameters
        return {name: arguments[name].default for name in self.rules}


_GAUSSIAN = Component(fw.gaussian, {"mean": number(), "sd": number(0, above=True)})
INITIALIZERS = {
    "normal": _GAUSSIAN,
    "he": Component(lambda: fw.he),
    "xavier": Component(lambda: fw.xavier),
    "lecun": Component(lambda: fw.lecun),
    "uniform": Component(lambda: fw.uniform),
}
BIASES = {"zeros": Component(lambda: fw.zeros), "normal": _GAUSSIAN, "uniform": INITIALIZERS["uniform"]}

_POSITIVE, _SHARE = number(0, above=True), number(0, 1, below=True)
_RATE, _DECAY, _EPS = {"lr": _POSITIVE}, {"weight_decay": number(0)}, {"eps": _POSITIVE}
_BETAS = {"beta1": _SHARE, "beta2": _SHARE}
OPTIMIZERS = {
    "sgd": Component(fw.SGD, {**_RATE, "momentum": _SHARE, "nesterov": flag, **_DECAY}),
    "adagrad": Component(fw.Adagrad, {**_RATE, **_EPS, **_DECAY}),
    "adadelta": Component(fw.Adadelta, {**_RATE, "rho": _SHARE, **_EPS, **_DECAY}),
    "rmsprop": Component(fw.RMSprop, {**_RATE, "alpha": _SHARE, **_EPS, **_DECAY}),
    "adam": Component(fw.Adam, {**_RATE, **_BETAS, **_EPS, **_DECAY}),
    "adamw": Component(fw.AdamW, {**_RATE, **_BETAS, **_EPS, **_DECAY}),
    "adamax": Component(fw.Adamax, {**_RATE, **_BETAS, **_EPS, **_DECAY}),
}
BATCH_NORM = Component(
    fw.BatchNorm,
    {
        "affine": flag,
        "evaluate": choice("running", "batch"),
        "gradient": choice("exact", "straight_through"),
        **_EPS,
        "unbiased": flag,
        "momentum": number(0, 1, above=True),
    },
)
SCHEDULES = {
    "constant": Component(lambda: fw.constant),
    "step": Component(fw.step_decay, {"factor": number(0, 1, above=True), "every": whole(1)}),
    "cyclical": Component(fw.triangular, {"low": number(0, 1), "period": whole(2)}),
    "cosine": Component(fw.cosine, {"low": number(0, 1)}),
}


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
            block.insert(0 if norm["position"] == "before" else 1, BATCH_NORM.make(**options))
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
        parts.append(OPTIMIZERS[tables[0]["name"]].make(part, clip=[each["clip"] for each in members], **numbers))
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


def _made(components: Mapping[str, Component], table: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """The component called `table["name"]`, made from the rest of the table."""
    return components[table["name"]].make(**{key: value for key, value in table.items() if key != "name"})
