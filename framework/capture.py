"""One launch for a whole step of training.

A step is a hundred small kernels. On a CUDA device launching them takes longer than running them, unless a graph has recorded
them once: then a single launch replays them all. A recorded step reads and writes the same memory at every replay, so
whatever changes from step to step stands in tensors that keep their memory: the batch, the parameters, what an optimizer or a
batch norm remembers, the steps of dropout, and the schedule's factor. What a step makes anew lies in the graph's own pool.
"""

from collections import Counter
from collections.abc import Callable, Hashable

import torch
from torch import Tensor

WARM_UP = 3  # calls with tensors of one shape before that step is recorded: libraries and modules make ready in them
Replay = Callable[[], None]


def _cuda_graph(step: Replay, device: torch.device) -> Replay:
    """A function that does what `step()` does in one launch."""
    graph = torch.cuda.CUDAGraph()
    # A stream of its own: the one that torch would take stays on the first device that it was asked for.
    with torch.cuda.device(device), torch.cuda.graph(graph, stream=torch.cuda.Stream(device)):
        step()
    return graph.replay


RECORDERS = {"cuda": _cuda_graph}  # by type of device; any other runs each step as it is written


class Captured:
    """`step(*tensors)`, recorded once for each batch it is called with, and replayed from then on where the device can.

    The tensors are told apart by where they lie and their shape: whoever calls writes the next batch to the same memory.
    """

    def __init__(self, step: Callable[..., None], device: torch.device) -> None:
        self._step, self._device, self._record = step, device, RECORDERS.get(device.type)
        self._calls: Counter[Hashable] = Counter()
        self._replays: dict[Hashable, Replay] = {}

    def __call__(self, *tensors: Tensor) -> None:
        key = tuple((tensor.data_ptr(), tensor.shape) for tensor in tensors)
        self._calls[key] += 1
        if self._record is None or self._calls[key] <= WARM_UP:
            self._step(*tensors)
            return
        if key not in self._replays:
            self._replays[key] = self._record(lambda: self._step(*tensors), self._device)
        self._replays[key]()
