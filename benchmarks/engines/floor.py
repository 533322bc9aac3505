"""Lower bound of all engines here: the matrix products of a step alone, in memory that stays, and the speed of a large one."""

import itertools
import time
from collections.abc import Callable

import torch

from benchmarks.work import Prepared, Rows, Trained, Work, steps, widths

LARGE = 1024  # rows and columns


def prepare(work: Work, rows: Rows) -> Prepared:
    """Nothing is compiled."""
    step = _step(work, rows)

    def train(rows: Rows, seed: int) -> Trained:  # noqa: ARG001 - all engines are called alike
        begin = time.perf_counter()
        for _ in range(steps(work, rows)):
            step()
        return Trained(time.perf_counter() - begin, {})

    return Prepared(train)


def _step(work: Work, rows: Rows) -> Callable[[], None]:
    """The products of one step, of all members in one batch: forward, weight gradient, input gradient, laid out as ours."""
    count, sizes = len(work.members), widths(work, rows)
    activations = [torch.rand(count, size, work.batch_size) for size in sizes]
    gradients = [torch.rand(count, size, work.batch_size) for size in sizes]
    weights = [torch.rand(count, outputs, inputs) for inputs, outputs in itertools.pairwise(sizes)]
    weight_gradients = [torch.rand_like(weight) for weight in weights]

    def step() -> None:
        for index, weight in enumerate(weights):
            torch.bmm(weight, activations[index], out=activations[index + 1])
        for index in reversed(range(len(weights))):
            torch.bmm(gradients[index + 1], activations[index].mT, out=weight_gradients[index])
            if index:
                torch.bmm(weights[index].mT, gradients[index + 1], out=gradients[index])

    step()
    return step


def gigaflops(repeats: int) -> list[float]:
    """Billions of operations a second in the product of two large matrices, each time it was measured."""
    a, b, out = torch.rand(3, 1, LARGE, LARGE)
    torch.bmm(a, b, out=out)
    speeds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        torch.bmm(a, b, out=out)
        speeds.append(2e-9 * LARGE**3 / (time.perf_counter() - begin))
    return speeds
