"""Products and elementwise functions of a stack, where a replica's bits do not depend on its neighbours.

On one thread of a CPU three things would break that; they were found by measurement and are cured here and nowhere else:

* A vectorised loop hands the last few numbers of a tensor to scalar code, whose exponential differs in the last bit. Which
  replica they belong to depends on the stack. So they are computed once more, in a row that vectorised code fills.
* The product of one matrix takes another kernel than a batch of products. So a lone replica is multiplied twice.
* Intel's matrix library takes another path at another memory alignment. Its conditional reproducibility forbids that.

Sums, products, quotients, square roots, minima and maxima round alike everywhere.
"""

import os
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")  # read at the first product; Intel MKL only, ignored elsewhere
LANES = 64  # numbers; a multiple of what any vectorised loop takes in one step


def by_lanes(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """function(x), element by element, by vectorised code alone."""
    flat = x.reshape(-1)
    y = function(flat)
    rest = flat.numel() % LANES
    if rest and x.is_cpu:
        tail = flat.new_zeros(LANES)
        tail[:rest] = flat[-rest:]
        y[-rest:] = function(tail)[:rest]
    return y.view(x.shape)


exp, expm1, log, log1p = (partial(by_lanes, function) for function in (torch.exp, torch.expm1, torch.log, torch.log1p))
erf, sigmoid, tanh = (partial(by_lanes, function) for function in (torch.erf, torch.sigmoid, torch.tanh))


def softplus(x: Tensor) -> Tensor:
    """log(1 + e^x) as max(x, 0) + log(1 + e^-|x|), which never overflows."""
    return x.clamp(min=0) + log1p(exp(-x.abs()))


def positive(x: Tensor) -> Tensor:
    """[x > 0], 1 where that is so and else 0, as numbers: an eighth of the cost of a mask of booleans, or of torch.where."""
    return torch.gt(x, 0, out=torch.empty_like(x))


def product(a: Tensor, b: Tensor) -> Tensor:
    """a b of each replica: (R, m, k) times (R, k, n) to (R, m, n)."""
    return _batched(torch.bmm, a, b)


def affine(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """a b + c of each replica, with c of the shape (R, m, 1)."""
    return _batched(torch.baddbmm, c, a, b)


def _batched(multiply: Callable[..., Tensor], *matrices: Tensor) -> Tensor:
    if matrices[0].shape[0] == 1 and matrices[0].is_cpu:
        return multiply(*(each.expand(2, -1, -1) for each in matrices))[:1]
    return multiply(*matrices)
