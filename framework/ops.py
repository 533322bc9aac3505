"""The few kernels that everything runs on, for R replicas at once.

What a replica computes must not depend on its neighbours in the stack, to the last bit. Three things would break that on a
CPU; they were found by measurement and are cured here and nowhere else:

* A vectorised loop hands the last few numbers of a tensor to scalar code, whose exponential differs in the last bit. Whose
  numbers those are depends on the size of the stack. So exponentials and logarithms run over rows padded to a multiple of
  `LANES`: scalar code sees padding only.
* The product of one matrix takes another kernel than a batch of products. So a lone replica is multiplied twice.
* The matrix library takes another path through thin matrices at another memory alignment, which differs from replica to
  replica. Its conditional numerical reproducibility, at no measurable cost, forbids that.

Sums, products, quotients, `rsqrt`, minima and maxima round alike in any code and need no cure on one thread. Nor, as measured,
do square roots: those of Intel MKL round otherwise, but everywhere alike. On several threads, torch splits a sum of more than
32,768 terms to a single number among them: the loss of a lone replica on that many rows, say.
"""

import math
import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")  # read at the first product; Intel MKL only, ignored elsewhere

LANES = 64  # numbers; a multiple of what any vectorised loop takes in one step


_numbers: dict[tuple[float, torch.dtype, torch.device], Tensor] = {}


def number(value: float, like: Tensor) -> Tensor:
    """A number as a tensor of the dtype and device of `like`, made once.

    torch turns a Python number into a tensor at every call, which takes 2.5 us: twice the rest of a call on a small tensor.
    """
    key = (value, like.dtype, like.device)
    if key not in _numbers:
        _numbers[key] = torch.tensor(value, dtype=like.dtype, device=like.device)
    return _numbers[key]


def _padded_length(count: int) -> int:
    return -(-count // LANES) * LANES


class Buffers:
    """Tensors that keep their memory from one step to the next.

    A fresh tensor above 128 kB is mapped and page-faulted at every step, which costs up to three times the arithmetic.
    """

    def __init__(self) -> None:
        self._storage: dict[tuple[str, torch.dtype, torch.device], Tensor] = {}
        self._views: dict[tuple[str, torch.dtype, torch.device, torch.Size], Tensor] = {}
        self._outgrown: list[Tensor] = []  # a step recorded for a CUDA device still writes there

    def take(self, name: str, shape: torch.Size, like: Tensor) -> Tensor:
        """The tensor called `name`, of `shape` and of the dtype and device of `like`; its values are whatever was there."""
        key = (name, like.dtype, like.device)
        view = self._views.get((*key, shape))
        if view is None:
            count = math.prod(shape)
            storage = self._storage.get(key)
            if storage is None or storage.numel() < _padded_length(count):
                if storage is not None:
                    self._outgrown.append(storage)
                storage = self._storage[key] = like.new_zeros(_padded_length(count))
                self._views = {other: kept for other, kept in self._views.items() if other[:3] != key}
            view = self._views[(*key, shape)] = storage[:count].view(shape)
        return view


T = TypeVar("T")


def kept(make: Callable[[Tensor], T]) -> Callable[[Tensor], T]:
    """`make`, for other looks at a tensor's memory, which must not hold the tensor: each is made once, and forgotten with it.

    A step sees the same tensors as the one before. Between large tensors, which leave nothing else in the cache, a call that
    could have been spared costs twice what it costs alone.
    """
    of: dict[int, tuple[weakref.ref[Tensor], T]] = {}

    def made(x: Tensor) -> T:
        key = id(x)
        found = of.get(key)
        if found is None or found[0]() is not x:
            found = of[key] = weakref.ref(x, lambda _: of.pop(key, None)), make(x)
        return found[1]

    return made


@kept
def row(buffer: Tensor) -> Tensor:
    """A tensor from `Buffers.take` as one row, padding included."""
    return buffer.as_strided((_padded_length(buffer.numel()),), (1,))


def one_minus(x: Tensor) -> Tensor:
    """1 - x: a quarter of the cost of Python's operator on a small tensor."""
    return number(1.0, x) - x


def copy(x: Tensor, out: Tensor) -> Tensor:
    """x."""
    return out if out is x else out.copy_(x)


# Below, `out` comes from `Buffers.take`, so that the padding behind it is nobody's data; it may be `x` itself.


def sigmoid(x: Tensor, out: Tensor) -> Tensor:
    """1 / (1 + e^-x)."""
    row(copy(x, out)).sigmoid_()
    return out


def tanh(x: Tensor, out: Tensor) -> Tensor:
    """tanh(x) = 2 sigmoid(2x) - 1, equal to one rounding error of 1.

    A quarter of the cost of torch.tanh on AMD processors; on Intel's it is twice that cost, but rows of both are then the same.
    """
    row(torch.mul(x, number(2.0, x), out=out)).sigmoid_()
    return line(out, 2.0, -1.0, out)


def exp(x: Tensor, out: Tensor) -> Tensor:
    """e^x as 2^(x / ln 2), equal to about 1 + |x| rounding errors of the result.

    Half the cost of torch.exp on AMD processors; on Intel's twice that cost, but there torch.exp is slow where it underflows.
    """
    row(torch.mul(x, number(1 / math.log(2), x), out=out)).exp2_()
    return out


def log(x: Tensor, out: Tensor) -> Tensor:
    """The natural logarithm."""
    row(copy(x, out)).log_()
    return out


def log1p(x: Tensor, out: Tensor) -> Tensor:
    """log(1 + x), exact to the last digits where x is small."""
    row(copy(x, out)).log1p_()
    return out


def sqrt(x: Tensor, out: Tensor) -> Tensor:
    """The square root, of the least normal number where x is below it: torch.sqrt takes thirty times as long on zeros."""
    return torch.clamp(x, min=torch.finfo(x.dtype).tiny, out=out).sqrt_()


def positive(x: Tensor, out: Tensor) -> Tensor:
    """1 where x > 0, else 0, as numbers: several times faster than a mask of booleans."""
    return torch.gt(x, number(0.0, x), out=out)


_leaky = torch.ops.aten.leaky_relu_backward.grad_input  # torch has a kernel for it under no other name


def where_positive(y: Tensor, x: Tensor, slope: float, out: Tensor) -> Tensor:
    """y where x > 0, else slope y, in one pass; torch.where takes 13 us for 2,500 numbers, thirty times as long."""
    return _leaky(y, x, slope, False, grad_input=out)


# A product fused with a sum may round otherwise than the two apart. Where the loop runs over a single row of samples, or the
# parameters of one model, all replicas have their last numbers at the same places. Else, as here, all arguments come from
# `Buffers.take`.


def line(x: Tensor, slope: float, intercept: float, out: Tensor) -> Tensor:
    """intercept + slope x, in one pass."""
    torch.add(number(intercept, x), row(x), alpha=slope, out=row(out))
    return out


def add_scaled(x: Tensor, y: Tensor, factor: float, out: Tensor) -> Tensor:
    """x + factor y, in one pass."""
    torch.add(row(x), row(y), alpha=factor, out=row(out))
    return out


Transposed = Literal["", "a", "b"]  # which of two matrices


class Product(Protocol):
    """A kernel for `product`."""

    def __call__(self, a: Tensor, b: Tensor, out: Tensor, transposed: Transposed = "", /) -> Tensor: ...


class Kernels(NamedTuple):
    """What computes `product` and `inner` from their arguments."""

    product: Product
    inner: Callable[[Tensor, Tensor, Tensor], Tensor]


_lent: ContextVar[Kernels | None] = ContextVar("lent", default=None)


@contextmanager
def products_by(kernels: Kernels) -> Iterator[None]:
    """Within, products on the CPU are by these kernels, not by torch: no one library is fastest everywhere.

    What they compute for a replica must not depend on the others, nor on how many there are.
    """
    token = _lent.set(kernels)
    try:
        yield
    finally:
        _lent.reset(token)


def inner(a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    """The sums over samples of a b: twice (R, features, samples) to (R, features, 1)."""
    lent = _lent.get()
    if lent and a.is_cpu:
        return lent.inner(a, b, out)
    return torch.sum(a * b, 2, keepdim=True, out=out)


def batched(a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    """a b of every replica, by torch."""
    if a.shape[0] == 1:
        return out.copy_(torch.bmm(a.expand(2, -1, -1), b.expand(2, -1, -1))[:1])
    if not out.is_contiguous():  # straight into a view with gaps between the replicas costs more than a product and a copy
        return out.copy_(torch.bmm(a, b))
    return torch.bmm(a, b, out=out)


# A batch of products takes half a microsecond for each, however small. Where a matrix is a single column, as with one sample a
# step, multiplying and adding element by element takes a half to an eighth of that.


def product(a: Tensor, b: Tensor, out: Tensor, transposed: Transposed = "") -> Tensor:
    """a b of every replica, (R, m, k) times (R, k, n) to (R, m, n); or a^T b, or a b^T, where one of them is `transposed`."""
    summed = a.shape[1] if transposed == "a" else a.shape[2]
    lent = _lent.get()
    if lent and a.is_cpu and summed > 1:
        return lent.product(a, b, out, transposed)
    if transposed:
        a, b = (a.mT, b) if transposed == "a" else (a, b.mT)
    if summed == 1:
        return torch.mul(a, b, out=out)
    if b.shape[2] == 1:
        return torch.sum(a * b.mT, 2, keepdim=True, out=out)
    return batched(a, b, out)


def affine(weight: Tensor, x: Tensor, bias: Tensor, out: Tensor) -> Tensor:
    """W x + b of every replica: (R, m, k) times (R, k, n) plus (R, m, 1)."""
    if x.shape[2] == 1 or (_lent.get() and x.is_cpu):
        return product(weight, x, out).add_(bias)
    if weight.shape[0] == 1:
        return out.copy_(torch.baddbmm(bias.expand(2, -1, -1), weight.expand(2, -1, -1), x.expand(2, -1, -1))[:1])
    return torch.baddbmm(bias, weight, x, out=out)
