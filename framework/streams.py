"""Random numbers that belong to a seed, not to a place in the stack.

One generator for a whole stack would make what a replica draws depend on its neighbours. So every seed has a generator of
its own, and replicas of equal seed share what it draws: that pairs them for a comparison, and costs one draw.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

_MASK = (1 << 64) - 1

ORDER, DROPOUT, WEIGHTS = range(3)  # what a seed is for: the streams under it for the one are never those for another


def derive(seed: int, index: int) -> int:
    """The seed of the `index`-th stream under `seed`, in [0, 2^63).

    The output function of SplitMix64 (Steele, Lea, Flood 2014, Fig. 17) at the `index`-th step after `seed`.
    """
    z = (seed + (index + 1) * 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return (z ^ (z >> 31)) >> 1


CPU = torch.device("cpu")


def generator(seed: int, device: torch.device = CPU) -> torch.Generator:
    """A generator at the start of the stream of `seed`; devices of different types draw different numbers."""
    return torch.Generator(device).manual_seed(seed)


def sent(x: Tensor, device: torch.device) -> Tensor:
    """x on the device; a CUDA device gets it while the host goes on."""
    return x.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else x.to(device)


class Streams:
    """One generator for each distinct key, started by the key's last number.

    `keys` lists the distinct keys; `member` is `(R,)`, the place in that list of each replica's own. `generators` draw on the
    device.
    """

    def __init__(self, keys: Sequence[tuple[int, ...]], device: torch.device = CPU) -> None:
        self.keys = list(dict.fromkeys(keys))
        place = {key: index for index, key in enumerate(self.keys)}
        self.member = torch.tensor([place[key] for key in keys], device=device)
        self.generators = [generator(key[-1], device) for key in self.keys]

    def draw(self, one: Callable[[torch.Generator], Tensor]) -> Tensor:
        """`one(generator)` of every distinct stream, stacked along a new first axis."""
        return torch.stack([one(stream) for stream in self.generators])
