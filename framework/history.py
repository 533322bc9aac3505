"""What a training records: loss and errors of all rows, and norms of gradients."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from framework.decisions import Decision, decided
from framework.layers import Linear
from framework.losses import Loss
from framework.module import Sequential
from framework.rows import Columns

BLOCK = 512  # samples evaluated at a time on the CPU: more leave the cache between two layers, fewer take more calls


@dataclass(frozen=True)
class History:
    """What `fit` recorded after each of `epochs` (0: before training).

    `loss[name]` and `errors[name]` are `(recorded, R)` for each set of rows by name (train, validation, test): mean loss per
    sample, and number of wrong samples, which a set whose labels are numbers has not. `gradient_norms` is
    `(recorded, layers, R)`, or None where nobody asked for it: the Euclidean norm of the gradient of each Linear's weights,
    from input to output, in the last batch before the record, or the first batch of all. `diverged` is `(R,)`: the sum of an
    epoch's losses, or a parameter at its end, was not finite.
    `wrong[name]` is `(R, samples)`: the samples that a model gets wrong after the last epoch.
    """

    epochs: list[int]
    loss: dict[str, Tensor]
    errors: dict[str, Tensor]
    gradient_norms: Tensor | None
    diverged: Tensor
    wrong: dict[str, Tensor]


class Recorder:
    """What becomes the history of a model on rows by name."""

    def __init__(
        self,
        model: Sequential,
        loss: Loss,
        rows: Mapping[str, Columns],
        decide: Decision,
        norms: bool,
        observe: Callable[[int], None] | None,
    ) -> None:
        self._model, self._loss, self._rows, self._decide, self._observe = model, loss, rows, decide, observe
        self._linear = [module for module in model.modules() if isinstance(module, Linear)] if norms else []
        self._epochs: list[int] = []
        self._losses: dict[str, list[Tensor]] = {name: [] for name in rows}
        self._wrong: dict[str, list[Tensor]] = {name: [] for name, each in rows.items() if not each.labels.is_floating_point()}
        self.norms: list[Tensor] = []

    def record(self, epoch: int) -> None:
        """Loss and wrong samples as they are after that epoch."""
        self._epochs.append(epoch)
        for name, rows in self._rows.items():
            total, wrong, samples = self._model.parameters.new_zeros(()), [], rows.labels.shape[1]
            for block in blocks(self._model, samples):
                inputs, targets = rows.split(rows.pairs[:, :, block].contiguous()[rows.sets])
                output = self._model.forward(inputs, train=False)
                value, _ = self._loss(output, targets)
                total = total + (value * output.shape[2] if self._loss.reduction == "mean" else value)
                if name in self._wrong:
                    wrong.append(decided(output, self._decide) != rows.labels[rows.sets, block])
            self._losses[name].append(total / samples)
            if wrong:
                self._wrong[name].append(torch.cat(wrong, 1))
        if self._observe:
            self._observe(epoch)

    def record_gradients(self) -> None:
        """Norms of the gradients of the last batch."""
        if self._linear:
            self.norms.append(torch.stack([layer.weight_gradient.flatten(1).norm(dim=1) for layer in self._linear]))

    def history(self, diverged: Tensor) -> History:
        """All that was recorded, and which replicas diverged."""
        return History(
            self._epochs,
            {name: torch.stack(losses) for name, losses in self._losses.items()},
            {name: torch.stack([each.sum(1) for each in wrong]) for name, wrong in self._wrong.items()},
            torch.stack(self.norms) if self._linear else None,
            diverged,
            {name: wrong[-1] for name, wrong in self._wrong.items()},
        )


def blocks(model: Sequential, samples: int) -> list[slice]:
    """The samples in the blocks in which the model evaluates them: the same for any, as bits may depend on their width.

    All are one block for a CUDA device, which is slow at many small things, and where one sample's output may depend on others.
    """
    apart = isinstance(model, Sequential) and all(
        type(module).__module__.startswith("framework.") and getattr(module, "evaluate", "") != "batch"
        for module in model.modules()
    )
    size = BLOCK if apart and model.parameters.is_cpu else samples
    return [slice(start, start + size) for start in range(0, samples, size or 1)] or [slice(0)]
