import copy
import warnings

import pytest
import torch
from oracle import close, randn
from threadpoolctl import threadpool_info

import framework as fw
from framework import ops
from studies.train import products
from studies.train.products import WIDE, fast_products, inner, product

SIZES = [
    (25, 25, 100),
    (25, 2, 100),
    (2, 25, 100),
    (1, 25, 7),
    (25, 25, 1),
    (1, 25, 1),
    (3, 10, 2),
    (10, 64, 32),
    (25, 100, WIDE),
    (25, 100, WIDE + 1),
]
TRANSPOSED = ["", "a", "b"]


def matrices(replicas, m, k, n, transposed):
    """a and b, one of them transposed or none, and their product."""
    a, b = randn(replicas, m, k), randn(replicas, k, n, seed=1)
    given = a.mT.contiguous() if transposed == "a" else a, b.mT.contiguous() if transposed == "b" else b
    return *given, torch.einsum("rmk,rkn->rmn", a, b)


def multiplied(a, b, out, transposed=""):
    product(a, b, out, transposed)()
    return out


def with_gaps(like, gap):
    """A tensor of the shape of `like`, as a view of one with something else before and between the replicas."""
    replicas, *shape = like.shape
    flat = like.new_zeros(replicas, gap + like[0].numel())
    return flat[:, gap:].unflatten(1, shape)


@pytest.mark.parametrize("transposed", TRANSPOSED)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_products_are_those_of_torch(size, transposed):
    a, b, expected = matrices(3, *size, transposed)
    close(multiplied(a, b, torch.empty_like(expected), transposed), expected)
    close(multiplied(a, b, with_gaps(expected, gap=3), transposed), expected)


@pytest.mark.parametrize("transposed", TRANSPOSED)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_products_give_a_replica_the_same_bits_in_any_stack_and_memory(size, transposed):
    a, b, whole = (x.float() for x in matrices(16, *size, transposed))
    multiplied(a, b, whole, transposed)
    for gap, rows in enumerate((slice(0, 1), slice(15, 16), slice(5, 8), slice(2, 13)), start=1):
        moved = with_gaps(b[rows], gap).copy_(b[rows])
        assert torch.equal(multiplied(a[rows], moved, with_gaps(whole[rows], gap), transposed), whole[rows])


def test_a_product_that_was_made_ready_is_of_what_its_tensors_hold_by_then():
    a, b, out = randn(2, 3, 4), randn(2, 4, 5, seed=1), torch.empty(2, 3, 5, dtype=torch.float64)
    multiply = product(a, b, out)
    a.mul_(2.0)
    multiply()
    close(out, a @ b)


@pytest.mark.parametrize("samples", [1, 7, 16, 100])
def test_inner_products_are_those_of_torch_and_the_same_bits_in_any_stack(samples):
    def summed(a, b, out):
        inner(a, b, out)()
        return out

    a, b = randn(16, 3, samples), randn(16, 3, samples, seed=1)
    close(summed(a, b, a.new_empty(16, 3, 1)), torch.einsum("rfs,rfs->rf", a, b)[..., None])
    a, b = a.float(), b.float()
    whole = summed(a, b, a.new_empty(16, 3, 1))
    for gap, rows in enumerate((slice(0, 1), slice(15, 16), slice(5, 8), slice(2, 13)), start=1):
        moved = with_gaps(b[rows], gap).copy_(b[rows])
        assert torch.equal(summed(a[rows], moved, with_gaps(whole[rows], gap)), whole[rows])


def test_a_copy_of_a_model_is_a_model_of_its_own():
    model = fw.Sequential(fw.Linear(2, 3), fw.Tanh(), fw.Linear(3, 1), replicas=2, dtype=torch.float64)
    fw.initialize(model, fw.xavier, seed=0)
    x = randn(2, 2, 5)
    with fast_products():
        model.forward(x)
        copied = copy.deepcopy(model)
        copied.parameters.zero_()
        assert not copied.forward(x).any()
        assert model.forward(x).all()


def test_numbers_that_overflow_are_infinite_without_a_warning():
    huge = torch.full((2, 3, 3), 1e30)
    with warnings.catch_warnings(), fast_products():
        warnings.simplefilter("error")
        assert ops.product(huge, huge, torch.empty_like(huge)).isinf().all()


def test_the_framework_multiplies_so_within_on_one_thread(monkeypatch):
    a, b = randn(2, 3, 4), randn(2, 4, 5, seed=1)
    by_torch = ops.batched(a, b, a.new_empty(2, 3, 5))
    monkeypatch.setattr(products, "KERNELS", ops.Kernels(lambda _a, _b, out, _transposed: lambda: out.fill_(7.0), inner))
    with fast_products():
        assert (ops.product(a, b, a.new_empty(2, 3, 5)) == 7.0).all()
        assert {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"} == {1}
    assert torch.equal(ops.product(a, b, a.new_empty(2, 3, 5)), by_torch)
