"""Rows of a data set as a stack reads them: checked, turned once to `(features, samples)`, shuffled and cut into batches."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from framework.decisions import encode
from framework.module import Sequential
from framework.streams import CPU, generator

Shuffle = Literal["epoch", "once", "never"]


class Rows(NamedTuple):
    """Samples: `inputs` `(samples, features)` and integer `labels` `(samples,)`, shared by all models.

    Floating-point labels are targets themselves, numbers that a single output is to give: they have no errors.

    With a leading axis on both, `(sets, samples, features)` and `(sets, samples)`, they hold several sets of equal size, and
    each model uses one of them.
    """

    inputs: Tensor
    labels: Tensor


class Columns(NamedTuple):
    """Rows as the stack sees them: labels, `(R,)` sets, and `pairs` `(sets, features + outputs, samples)`.

    A pair is a sample's inputs over its one-hot or single target: of one tensor, one call shuffles or selects both.
    """

    pairs: Tensor
    features: int
    labels: Tensor
    sets: Tensor

    def split(self, pairs: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs and targets."""
        return pairs[:, : self.features], pairs[:, self.features :]


class Batches:
    """The batches of one epoch after the other: x `(R, features, batch)` and targets `(R, outputs, batch)`.

    Replicas of the same rows and seed share an order. Batches of one size lie in the same memory, one after the other.
    """

    def __init__(self, rows: Columns, seeds: Sequence[int], batch_size: int, shuffle: Shuffle) -> None:
        keys = list(zip(rows.sets.tolist(), seeds, strict=True))
        distinct = list(dict.fromkeys(keys))
        device = rows.sets.device
        self._member = torch.tensor([distinct.index(key) for key in keys], device=device)
        self._pairs = rows.pairs[torch.tensor([index for index, _ in distinct], device=device)]
        self._streams = [generator(seed) for _, seed in distinct]
        self._rows, self._batch_size, self._every_epoch = rows, batch_size, shuffle == "epoch"
        self._batches: dict[int, Tensor] = {}  # by size
        if shuffle == "once":
            self._pairs = self._shuffled()

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        pairs = self._shuffled() if self._every_epoch else self._pairs
        for part in pairs.split(self._batch_size, 2):
            size = part.shape[2]
            if size not in self._batches:
                self._batches[size] = part.new_empty(len(self._member), *part.shape[1:])
            yield self._rows.split(torch.index_select(part.contiguous(), 0, self._member, out=self._batches[size]))

    def _shuffled(self) -> Tensor:
        count = self._pairs.shape[2]
        order = torch.stack([torch.randperm(count, generator=stream, device=CPU) for stream in self._streams])[:, None]
        if self._pairs.is_cuda:  # the device gets it while the host goes on
            order = order.pin_memory().to(self._pairs.device, non_blocking=True)
        return self._pairs.gather(2, order.expand_as(self._pairs))


def to_columns(model: Sequential, rows: Rows, sets: Sequence[int] | None, name: str) -> Columns:
    """Check labelled rows against the model, and turn them."""
    if model.outputs is None:
        raise ValueError("a model to train has a Linear layer: none was given")
    inputs, labels = map(to_tensor, rows)
    if inputs.ndim == 2:
        inputs, labels, sets = inputs[None], labels[None], [0] * model.replicas
    if inputs.ndim != 3 or labels.shape != inputs.shape[:2]:
        raise ValueError(
            f"{name} rows are inputs (samples, features) and labels (samples,), or (sets, samples, features) and "
            f"(sets, samples): {tuple(inputs.shape)} and {tuple(labels.shape)} were given"
        )
    sets = list(range(model.replicas)) if sets is None else list(sets)
    if len(sets) != model.replicas or not all(0 <= index < inputs.shape[0] for index in sets):
        raise ValueError(
            f"each of the {model.replicas} models uses one of the {inputs.shape[0]} sets of {name} rows: sets={sets} was given"
        )
    if inputs.shape[2] != model.takes:
        raise ValueError(f"the model takes {model.takes} features: {name} rows with {inputs.shape[2]} were given")
    if not labels.numel():
        raise ValueError(f"{name} rows are one or more: none were given")
    classes, numbers = max(model.outputs, 2), labels.is_floating_point()
    if (model.outputs != 1 or not labels.isfinite().all()) if numbers else (labels.min() < 0 or labels.max() >= classes):
        raise ValueError(
            f"labels of a model with {model.outputs} outputs are integers from 0 to {classes - 1}"
            f"{', or finite numbers for a single output' * numbers}: "
            f"{name} labels from {labels.min()} to {labels.max()} of {labels.dtype} were given"
        )
    targets = labels[:, None] if numbers else encode(labels, model.outputs)
    device = model.parameters.device
    pairs = torch.cat([inputs.mT.to(model.parameters), targets.to(model.parameters)], 1)
    return Columns(pairs, inputs.shape[2], labels.to(device), torch.tensor(sets, device=device))


def to_tensor(x: Any) -> Tensor:  # noqa: ANN401
    """A tensor as it is; any other array, data frame or list of numbers as a new tensor.

    Raises ValueError where it holds anything but numbers.
    """
    if isinstance(x, Tensor):
        return x
    array = x.__array__() if hasattr(x, "__array__") else x
    try:
        return torch.tensor(array.copy() if array is not x or hasattr(x, "strides") else x)  # torch takes no reversed array
    except (TypeError, ValueError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"rows are arrays of numbers: a {type(x).__name__} was given, and {reason}; convert it") from None
