"""A simulation: a random walk that drifts, without data."""

import random


def simulate(split, *, seed, drift=0.0, steps=1000):
    """The share of steps that the walk is above 0, and where it ends."""
    draw = random.Random(seed)
    place, above = 0.0, 0
    for _ in range(steps):
        place += draw.gauss(drift, 1)
        above += place > 0
    return {"above": above / steps, "end": place}
