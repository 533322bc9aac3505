"""One launch for a whole step of training.

A step is a hundred small kernels. On a CUDA device launching them takes longer than running them, unless a graph has recorded
them once: then a single launch replays them all. A recorded step reads and writes the same memory at every replay, so
whatever changes from step to step stands in tensors: the batch, and the schedule's factor.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

WARM_UP = 3  # calls before a step is recorded: they make its buffers and constants, and choose its kernels

Replay = Callable[[], None]
Record = Callable[[Replay, Sequence[torch.Generator]], Replay]


def _cuda_graph(step: Replay, generators: Sequence[torch.Generator]) -> Replay:
    """A function that does what `step()` does in one launch; generators go on from replay to replay."""
    graph = torch.cuda.CUDAGraph()
    for generator in generators:
        graph.register_generator_state(generator)
    with torch.cuda.graph(graph):
        step()
    return graph.replay


RECORDERS: dict[str, Record] = {"cuda": _cuda_graph}  # by type of device; any other runs each step as it is written


class Captured:
    """`step(*tensors)`, recorded once for each batch it is called with, and replayed from then on where the device can.

    The tensors are told apart by where they lie and their shape: whoever calls writes the next batch to the same memory.
    """

    def __init__(self, step: Callable[..., None], device: torch.device, generators: Sequence[torch.Generator] = ()) -> None:
        self._step, self._generators = step, generators
        self._record = RECORDERS.get(device.type)
        self._calls = 0
        self._replays: dict[tuple[object, ...], Replay] = {}

    def __call__(self, *tensors: Tensor) -> None:
        if self._record is None or self._calls < WARM_UP:
            self._calls += 1
            self._step(*tensors)
            return
        key = tuple((tensor.data_ptr(), tensor.shape) for tensor in tensors)
        if key not in self._replays:
            self._replays[key] = self._record(lambda: self._step(*tensors), self._generators)
        self._replays[key]()
