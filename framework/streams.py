"""Random numbers that belong to a seed, not to a place in the stack.

One generator for a whole stack would make what a replica draws depend on its neighbours. So every seed has a generator of
its own, and replicas of equal seed share what it draws: that pairs them for a comparison, and costs one draw.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

_MASK = (1 << 64) - 1


def derive(seed: int, index: int) -> int:
    """The seed of the `index`-th stream under `seed`, in [0, 2^63).

    The output function of SplitMix64 (Steele, Lea, Flood 2014, Fig. 17) at the `index`-th step after `seed`.
    """
    z = (seed + (index + 1) * 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return (z ^ (z >> 31)) >> 1


def generator(seed: int) -> torch.Generator:
    """A generator at the start of the stream of `seed`."""
    return torch.Generator().manual_seed(seed)


class Streams:
    """One generator for each distinct key, started by the key's last number.

    `keys` lists the distinct keys; `member` is `(R,)`, the place in that list of each replica's own.
    """

    def __init__(self, keys: Sequence[tuple[int, ...]]) -> None:
        self.keys = list(dict.fromkeys(keys))
        place = {key: index for index, key in enumerate(self.keys)}
        self.member = torch.tensor([place[key] for key in keys])
        self._generators = [generator(key[-1]) for key in self.keys]

    def draw(self, one: Callable[[torch.Generator], Tensor]) -> Tensor:
        """`one(generator)` of every distinct stream, stacked along a new first axis."""
        return torch.stack([one(stream) for stream in self._generators])
