"""The operations of a step's matrix products at the speed of a large product, measured in every round."""

import statistics

from benchmarks.engines import floor
from benchmarks.work import Prepared, Rows, Trained, Work, operations, steps, widths

REPEATS = 9


def prepare(work: Work, rows: Rows) -> Prepared:
    """Nothing is compiled."""
    count = len(work.members) * steps(work, rows) * operations(widths(work, rows), work.batch_size)
    return Prepared(lambda rows, seed: Trained(1e-9 * count / statistics.median(floor.gigaflops(REPEATS)), {}))  # noqa: ARG005
