"""Batched products of small matrices, faster than torch's: numpy multiplies one replica after the other.

numpy's packages bring OpenBLAS, whose kernels for small matrices take two thirds of the time of torch's batches, which go
through Intel MKL; measured on AMD processors. A replica's product is a call of its own, so that its bits cannot depend on
its neighbours.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from threadpoolctl import threadpool_limits
from torch import Tensor

from framework import ops

# Columns of a transposed second matrix, beyond which torch is the faster: OpenBLAS multiplies these by another kernel.
WIDE = 32


_array = ops.kept(Tensor.numpy)


def product(a: Tensor, b: Tensor, out: Tensor, transposed: ops.Transposed = "") -> Tensor:
    """a b of every replica, or a^T b or a b^T, on the CPU."""
    if transposed == "b" and b.shape[1] > WIDE:
        return ops.batched(a, b.mT, out)
    first, second = _array(a), _array(b)
    if transposed == "a":
        first = first.swapaxes(1, 2)
    elif transposed == "b":
        second = second.swapaxes(1, 2)
    np.matmul(first, second, out=_array(out))
    return out


def inner(a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    """The sums over samples of a b, on the CPU."""
    np.vecdot(_array(a), _array(b), out=_array(out)[:, :, 0])
    return out


@contextmanager
def fast_products() -> Iterator[None]:
    """Within, the framework multiplies on the CPU by `product`, on one thread; numbers that overflow raise no warning."""
    with threadpool_limits(1, user_api="blas"), np.errstate(all="ignore"), ops.products_by(ops.Kernels(product, inner)):
        yield
