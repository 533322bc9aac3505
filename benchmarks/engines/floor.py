"""The matrix products of a step alone: a numpy call for each product of each model, in memory that stays in the cache."""

import itertools
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.work import Prepared, Rows, Trained, Work, steps, widths

LARGE = 1024  # rows and columns


def prepare(work: Work, rows: Rows) -> Prepared:
    """Nothing is compiled."""
    step = _step(work, rows)

    def train(rows: Rows, seed: int) -> Trained:  # noqa: ARG001 - all engines are called alike
        begin = time.perf_counter()
        for _ in range(len(work.members) * steps(work, rows)):
            step()
        return Trained(time.perf_counter() - begin, {})

    return Prepared(train)


def _step(work: Work, rows: Rows) -> Callable[[], None]:
    """The products of one model's step: forward, weight gradient, input gradient but the first."""
    sizes, draw = widths(work, rows), np.random.default_rng(0)
    activations = [draw.random((size, work.batch_size), np.float32) for size in sizes]
    gradients = [draw.random((size, work.batch_size), np.float32) for size in sizes]
    weights = [draw.random((outputs, inputs), np.float32) for inputs, outputs in itertools.pairwise(sizes)]
    calls = [partial(np.matmul, weight, activations[index], activations[index + 1]) for index, weight in enumerate(weights)]
    for index, weight in reversed(list(enumerate(weights))):
        calls.append(partial(np.matmul, gradients[index + 1], activations[index].T, np.empty_like(weight)))
        if index:
            calls.append(partial(np.matmul, weight.T, gradients[index + 1], gradients[index]))

    def step() -> None:
        for call in calls:
            call()

    step()
    return step


def gigaflops(repeats: int) -> list[float]:
    """Billions of operations a second in the product of two large matrices, each time it was measured."""
    a, b, out = np.random.default_rng(0).random((3, LARGE, LARGE), np.float32)
    np.matmul(a, b, out)
    speeds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        np.matmul(a, b, out)
        speeds.append(2e-9 * LARGE**3 / (time.perf_counter() - begin))
    return speeds
