"""Batched products of small matrices, faster than torch's: numpy multiplies one replica after the other.

numpy's packages bring OpenBLAS, whose kernels for small matrices take two thirds of the time of torch's batches, which go
through Intel MKL, on an AMD processor, and four fifths on an Intel one. A replica's product is a call of its own, so that
its bits cannot depend on its neighbours.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits
from torch import Tensor

from framework import ops

# Columns of a transposed second matrix, beyond which torch is the faster: OpenBLAS multiplies these by another kernel.
WIDE = 32


def product(a: Tensor, b: Tensor, out: Tensor, transposed: ops.Transposed = "") -> ops.Call:
    """A call that writes a b, a^T b or a b^T of every replica to `out`, on the CPU."""
    if transposed == "b" and b.shape[1] > WIDE:
        return partial(ops.batched, a, b.mT, out)
    first, second = a.numpy(), b.numpy()
    if transposed == "a":
        first = first.swapaxes(1, 2)
    elif transposed == "b":
        second = second.swapaxes(1, 2)
    return partial(np.matmul, first, second, out.numpy())


def inner(a: Tensor, b: Tensor, out: Tensor) -> ops.Call:
    """A call that writes the sums over samples of a b to `out`, on the CPU."""
    return partial(np.vecdot, a.numpy(), b.numpy(), out.numpy()[:, :, 0])


KERNELS = ops.Kernels(product, inner)


@contextmanager
def fast_products() -> Iterator[None]:
    """Within, the framework multiplies on the CPU by `product`, on one thread; numbers that overflow raise no warning."""
    with threadpool_limits(1, user_api="blas"), np.errstate(all="ignore"), ops.products_by(KERNELS):
        yield
