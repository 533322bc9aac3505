"""Batched products of small matrices, faster than torch's: numpy multiplies one replica after the other.

numpy's packages bring OpenBLAS, whose kernels for small matrices take two thirds of the time of torch's batches, which go
through Intel MKL; measured on AMD processors. A replica's product is a call of its own, so that its bits cannot depend on
its neighbours.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor

from framework import ops

# Columns of a transposed second matrix, beyond which torch is the faster: OpenBLAS multiplies these by another kernel.
WIDE = 32


def product(a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    """a b of every replica, on the CPU."""
    if b.shape[2] > WIDE and b.stride(2) != 1:
        return ops.batched(a, b, out)
    np.matmul(_array(a), _array(b), out=_array(out))
    return out


def _array(x: Tensor) -> NDArray[np.floating]:
    """A tensor as numpy sees it, made once: the same few tensors are multiplied in every step."""
    array: NDArray[np.floating] | None = getattr(x, "array", None)
    if array is None:
        array = x.array = x.numpy()  # type: ignore[attr-defined]
    return array


def inner(a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    """The sums over samples of a b, on the CPU."""
    np.vecdot(_array(a), _array(b), out=_array(out)[:, :, 0])
    return out


@contextmanager
def fast_products() -> Iterator[None]:
    """Within, the framework multiplies on the CPU by `product`, on one thread; numbers that overflow raise no warning."""
    with threadpool_limits(1, user_api="blas"), np.errstate(all="ignore"), ops.products_by(ops.Kernels(product, inner)):
        yield
