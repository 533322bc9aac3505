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
do the slopes of activations below, nor square roots: those of Intel MKL round otherwise, but everywhere alike. On several
threads, torch splits a sum of more than 32,768 terms to a single number among them: the loss of a lone replica on that many
rows, say.
"""

import math
import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, NamedTuple, Protocol

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
                if storage is not None and storage.is_cuda:
                    self._outgrown.append(storage)
                storage = self._storage[key] = like.new_zeros(_padded_length(count))
                self._views = {other: kept for other, kept in self._views.items() if other[:3] != key}
            view = self._views[(*key, shape)] = storage[:count].view(shape)
        return view


# Between large tensors, which leave nothing else in the cache, a call that could have been spared costs twice what it costs
# alone. A step sees the same tensors as the one before: what follows from them is made once, here and in `Repeated`.

_rows: dict[int, tuple[weakref.ref[Tensor], Tensor]] = {}


def row(buffer: Tensor) -> Tensor:
    """A tensor from `Buffers.take` as one row, padding included."""
    key = id(buffer)
    found = _rows.get(key)
    if found is None or found[0]() is not buffer:
        whole = buffer.as_strided((_padded_length(buffer.numel()),), (1,))
        found = _rows[key] = weakref.ref(buffer, lambda _: _rows.pop(key, None)), whole
    return found[1]


def words(x: Tensor) -> str:
    """One number where all are equal, else their list: hyperparameters of several models."""
    values = [f"{value:g}" for value in x.flatten().tolist()]
    return values[0] if len(set(values)) == 1 else f"[{', '.join(values)}]"


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

    A quarter of the cost of torch.tanh on AMD processors; on Intel's, twice that cost.
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


def erf(x: Tensor, out: Tensor) -> Tensor:
    """The error function, 2 / sqrt(pi) times the integral of e^-t^2 from 0 to x."""
    row(copy(x, out)).erf_()
    return out


def softplus(x: Tensor, out: Tensor, above: Tensor) -> Tensor:
    """log(1 + e^x) as max(x, 0) + log(1 + e^-|x|), which never overflows; `above` is written over too, and is not `x`."""
    torch.clamp(x, min=0.0, out=above)
    exp(torch.abs(x, out=out).neg_(), out)
    return log1p(out, out).add_(above)


def sqrt(x: Tensor, out: Tensor) -> Tensor:
    """The square root, of the least normal number where x is below it: torch.sqrt takes thirty times as long on zeros."""
    return torch.clamp(x, min=torch.finfo(x.dtype).tiny, out=out).sqrt_()


def positive(x: Tensor, out: Tensor) -> Tensor:
    """1 where x > 0, else 0, as numbers: several times faster than a mask of booleans."""
    return torch.gt(x, number(0.0, x), out=out)


# One pass each: torch has these kernels under no other name.
_leaky = torch.ops.aten.leaky_relu.out
_times_leaky, _times_elu, _times_hardtanh, _times_tanh, _times_sigmoid = (
    getattr(torch.ops.aten, f"{name}_backward").grad_input for name in ("leaky_relu", "elu", "hardtanh", "tanh", "sigmoid")
)


def leaky(x: Tensor, slope: float, out: Tensor) -> Tensor:
    """x where x > 0, else slope x."""
    return _leaky(x, slope, out=out)


def where_positive(gradient: Tensor, x: Tensor, slope: float, out: Tensor) -> Tensor:
    """gradient where x > 0, else slope gradient; torch.where takes 13 us for 2,500 numbers, thirty times as long."""
    return _times_leaky(gradient, x, slope, False, grad_input=out)


def times_elu_slope(gradient: Tensor, y: Tensor, scale: float, alpha: float, out: Tensor) -> Tensor:
    """scale gradient where y > 0, else (y + scale alpha) gradient."""
    return _times_elu(gradient, alpha, scale, 1.0, True, y, grad_input=out)


def where_between(gradient: Tensor, x: Tensor, low: float, high: float, out: Tensor) -> Tensor:
    """gradient where low < x < high, else 0."""
    return _times_hardtanh(gradient, x, low, high, grad_input=out)


def times_tanh_slope(gradient: Tensor, y: Tensor, out: Tensor) -> Tensor:
    """(1 - y^2) gradient."""
    return _times_tanh(gradient, y, grad_input=out)


def times_sigmoid_slope(gradient: Tensor, y: Tensor, out: Tensor) -> Tensor:
    """y (1 - y) gradient."""
    return _times_sigmoid(gradient, y, grad_input=out)


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
Call = Callable[[], object]


class PrepareProduct(Protocol):
    """Makes ready a product of matrices: a call that writes it to `out`, from what a and b hold by then."""

    def __call__(self, a: Tensor, b: Tensor, out: Tensor, transposed: Transposed = "", /) -> Call: ...


class Kernels(NamedTuple):
    """What computes `product` and `inner`."""

    product: PrepareProduct
    inner: Callable[[Tensor, Tensor, Tensor], Call]


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


class Repeated:
    """`prepare(a, b, out)()`, but that it prepares anew only where one of the three is another tensor than the last time."""

    def __init__(self, prepare: Callable[[Tensor, Tensor, Tensor], Call]) -> None:
        self._prepare = prepare
        self._a = self._b = self._out = torch.empty(0)  # nobody else's
        self._kernels: Kernels | None = None

    def __call__(self, a: Tensor, b: Tensor, out: Tensor) -> Tensor:
        if a is not self._a or b is not self._b or out is not self._out or self._kernels is not _lent.get():
            self._a, self._b, self._out, self._kernels = a, b, out, _lent.get()
            self._call = self._prepare(a, b, out)
        self._call()
        return out

    def __reduce__(self) -> tuple[type["Repeated"], tuple[object]]:
        return Repeated, (self._prepare,)  # a copy starts anew, with tensors of its own


def prepared_inner(a: Tensor, b: Tensor, out: Tensor) -> Call:
    """A call for `inner`."""
    kernels = _lent.get()
    return kernels.inner(a, b, out) if kernels and a.is_cpu else lambda: torch.sum(a * b, 2, keepdim=True, out=out)


def inner(a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    """The sums over samples of a b: twice (R, features, samples) to (R, features, 1)."""
    prepared_inner(a, b, out)()
    return out


def batched(a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    """a b of every replica, by torch."""
    if a.shape[0] == 1:
        return out.copy_(torch.bmm(a.expand(2, -1, -1), b.expand(2, -1, -1))[:1])
    if not out.is_contiguous():  # straight into a view with gaps between the replicas costs more than a product and a copy
        return out.copy_(torch.bmm(a, b))
    return torch.bmm(a, b, out=out)


# A batch of products takes half a microsecond for each, however small. Where a matrix is a single column, as with one sample a
# step, multiplying and adding element by element takes a half to an eighth of that.


def prepared_product(a: Tensor, b: Tensor, out: Tensor, transposed: Transposed = "") -> Call:
    """A call for `product`."""
    summed = a.shape[1] if transposed == "a" else a.shape[2]
    kernels = _lent.get()
    if kernels and a.is_cpu and summed > 1:
        return kernels.product(a, b, out, transposed)
    first, second = a.mT if transposed == "a" else a, b.mT if transposed == "b" else b
    if summed == 1:
        return lambda: torch.mul(first, second, out=out)
    if second.shape[2] == 1:
        return lambda: torch.sum(first * second.mT, 2, keepdim=True, out=out)
    return lambda: batched(first, second, out)


def product(a: Tensor, b: Tensor, out: Tensor, transposed: Transposed = "") -> Tensor:
    """a b of every replica, (R, m, k) times (R, k, n) to (R, m, n); or a^T b, or a b^T, where one of them is `transposed`."""
    prepared_product(a, b, out, transposed)()
    return out
