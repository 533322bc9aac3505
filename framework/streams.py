"""Random numbers that belong to a seed, not to a place in the stack: what a replica draws does not depend on the others."""

from typing import TypeVar

import torch
from torch import Tensor

ORDER, DROPOUT, WEIGHTS = range(3)  # uses of a seed, each with streams of its own under it
CPU = torch.device("cpu")
_32_BITS, _64_BITS = (1 << 32) - 1, (1 << 64) - 1
Whole = TypeVar("Whole", int, Tensor)


def derive(seed: int, index: int) -> int:
    """The seed of the `index`-th stream under `seed`, in [0, 2^63).

    The output function of SplitMix64 (Steele, Lea, Flood 2014, Fig. 17) at the `index`-th step after `seed`.
    """
    z = (seed + (index + 1) * 0x9E3779B97F4A7C15) & _64_BITS
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _64_BITS
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _64_BITS
    return (z ^ (z >> 31)) >> 1


def generator(seed: int, device: torch.device = CPU) -> torch.Generator:
    """A generator at the start of the stream of `seed`; devices of different types draw different numbers."""
    return torch.Generator(device).manual_seed(seed)


def mix(x: Whole) -> Whole:
    """A permutation of the numbers of 32 bits in which each bit depends on all bits of x.

    lowbias32 of C. Wellons ("Prospecting for hash functions", 2018), with the constants found by TheIronBorn.
    """
    x = ((x ^ (x >> 16)) * 0x21F0AAAD) & _32_BITS
    x = ((x ^ (x >> 15)) * 0xD35A2D97) & _32_BITS
    return x ^ (x >> 15)


def random_bits(seed: Whole, step: Whole, index: Whole) -> Whole:
    """32 random bits for each seed of 63 bits, step and index: mix(mix(index ^ a) ^ b).

    a = mix(step ^ low) and b = mix(~a ^ high), of the halves low and high of the seed. Nothing is remembered, so any bits are
    drawn alone, on any device.
    """
    a = mix((step & _32_BITS) ^ (seed & _32_BITS))
    b = mix(a ^ _32_BITS ^ (seed >> 32))  # no index below 2^31 is ~high, whose bits are 0
    return mix(mix(index ^ a) ^ b)
