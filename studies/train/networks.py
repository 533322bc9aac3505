"""Networks, losses, optimizers and schedules from resolved settings."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import torch

import framework as fw
from studies.spec.components import BATCH_NORM, BUILT_IN, DTYPES, OUTPUTS, Known, make, options
from studies.spec.settings import Settings, update_rule


def model(
    settings: Sequence[Settings], features: int, classes: int, device: torch.device | str = "cpu", known: Known = BUILT_IN
) -> fw.Sequential:
    """An uninitialized stack for configurations of one structure, one replica each.

    Parameters
    ----------
    settings
        Resolved settings of each replica; those of the structure are equal.
    features, classes
        Columns of the inputs, and classes of the labels.
    device
        Where its parameters are.
    known
        Components by setting.

    Returns
    -------
    The stack, whose weights are 0.
    """
    shared = settings[0]
    dropout = [each["dropout"] for each in settings]
    layers: list[fw.Module] = []
    width = features
    for units, activation in zip(shared["hidden"], shared["activation"], strict=True):
        norm = shared["batchnorm"]
        layers.append(fw.Linear(width, units))
        block = [make(known["activation"], activation)]
        if norm["name"] != "none":
            parameters = {key: value for key, value in options(norm).items() if key != "position"}
            block.insert(0 if norm["position"] == "before" else 1, BATCH_NORM.build(**parameters))
        layers += block
        if any(dropout):
            layers.append(fw.Dropout(dropout))
        width = units
    layers.append(fw.Linear(width, classes if shared["outputs"] == "classes" else 1))
    output = OUTPUTS[shared["output"]]
    if output is not None:
        layers.append(output.build())
    return fw.Sequential(*layers, replicas=len(settings), dtype=DTYPES[shared["dtype"]].make, device=device)


def draw_first_weights(
    stack: fw.Sequential, settings: Sequence[Settings], seeds: Sequence[int], known: Known = BUILT_IN
) -> None:
    """Draw every replica's first parameters, each by its own configuration and from its own seed."""
    for replica, (each, seed) in enumerate(zip(settings, seeds, strict=True)):
        fw.initialize_replica(
            stack,
            replica,
            hidden=make(known["init"], each["init"]),
            output=make(known["output_init"], each["output_init"]),
            bias=make(known["bias_init"], each["bias_init"]),
            seed=seed,
        )


def optimizer(stack: fw.Sequential, settings: Sequence[Settings], known: Known = BUILT_IN) -> fw.Several:
    """An optimizer for each run of replicas with one update rule, with each replica's own numbers."""
    parts: list[fw.Optimizer] = []
    start = 0
    for _, group in itertools.groupby(settings, key=update_rule):
        members = list(group)
        replicas = slice(start, start + len(members))
        part = fw.Part(stack.parameters[replicas], stack.gradients[replicas])
        component = known["optimizer"][members[0]["optimizer"]["name"]]
        tables = [{**options(each["optimizer"]), **{key: each[key] for key in component.settings}} for each in members]
        parts.append(component.build(part, **(tables[0] if component.own else _by_replica(tables))))
        start = replicas.stop
    return fw.Several(parts)


def loss(settings: Settings, known: Known = BUILT_IN) -> fw.Loss:
    """The loss of a configuration."""
    made: fw.Loss = make(known["loss"], settings["loss"], settings)
    made.reduction = settings["reduction"]  # of a user's own, which may not take it
    return made


def schedule(settings: Settings, known: Known = BUILT_IN) -> fw.Schedule:
    """The learning-rate schedule of a configuration."""
    made: fw.Schedule = make(known["schedule"], settings["schedule"], settings)
    return made


def _by_replica(tables: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Numbers as lists of one for each replica; flags are those of all."""
    return {name: value if isinstance(value, bool) else [table[name] for table in tables] for name, value in tables[0].items()}
