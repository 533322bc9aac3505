"""From labels to targets, from outputs to labels, and the one definition of an error.

An output that is not finite counts as class 0: a diverged model is judged as one that always says so.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Decision = Callable[[Tensor], Tensor]


def encode(labels: Tensor, outputs: int) -> Tensor:
    """Targets: 1 for the output of a label's class, else 0; a single output stands for class 1.

    Integer labels `(sets, samples)` to booleans `(sets, outputs, samples)`.

    >>> encode(torch.tensor([[0, 2, 1]]), outputs=3).int().tolist()
    [[[1, 0, 0], [0, 0, 1], [0, 1, 0]]]
    """
    first = 1 if outputs == 1 else 0
    return labels[:, None] == torch.arange(first, first + outputs, device=labels.device)[None, :, None]


def argmax(output: Tensor) -> Tensor:
    """The class of the largest output: `(R, classes, samples)` to `(R, samples)`; the first of equals."""
    best, label = output[:, 0], torch.zeros_like(output[:, 0], dtype=torch.long)
    for index in range(1, output.shape[1]):  # torch.argmax over a middle axis takes ten times as long
        label.masked_fill_(output[:, index] > best, index)
        best = torch.maximum(best, output[:, index])
    return label


def threshold(output: Tensor) -> Tensor:
    """1 where a single output exceeds 0.5, else 0: `(R, 1, samples)` to `(R, samples)`."""
    return output[:, 0] > 0.5


def rounded(output: Tensor) -> Tensor:
    """A single output rounded: below -0.5 or from 1.5 up it is no label at all, so an error (as in `sgd_vs_adam`)."""
    return output[:, 0].round()


def decided(output: Tensor, decide: Decision) -> Tensor:
    """The label of each sample, class 0 where an output is not finite: `(R, outputs, samples)` to `(R, samples)`."""
    not_finite = output.mul(0.0).sum(1) != 0.0  # 0 times such a number is not 0; a third of the cost of torch.isfinite
    return decide(output).masked_fill_(not_finite, 0)
