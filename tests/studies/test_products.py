import copy
import warnings
import weakref

import pytest
import torch
from oracle import close, randn
from threadpoolctl import threadpool_info

import framework as fw
from framework import ops
from studies import products
from studies.products import WIDE, fast_products, inner, product

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
LAYOUTS = {"plain": (False, False), "first_transposed": (True, False), "second_transposed": (False, True)}


def matrices(replicas, rows, columns, transposed, seed):
    if transposed:
        return randn(replicas, columns, rows, seed=seed).mT
    return randn(replicas, rows, columns, seed=seed)


def with_gaps(like, gap):
    """A tensor of the shape of `like`, as a view of one with something else before and between the replicas."""
    replicas, *shape = like.shape
    flat = like.new_zeros(replicas, gap + like[0].numel())
    return flat[:, gap:].unflatten(1, shape)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_products_are_those_of_torch(size, layout):
    m, k, n = size
    a = matrices(3, m, k, LAYOUTS[layout][0], seed=0)
    b = matrices(3, k, n, LAYOUTS[layout][1], seed=1)
    expected = torch.einsum("rmk,rkn->rmn", a, b)
    close(product(a, b, torch.empty_like(expected)), expected)
    close(product(a, b, with_gaps(expected, gap=3)), expected)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_products_give_a_replica_the_same_bits_in_any_stack_and_memory(size, layout):
    m, k, n = size
    a = matrices(16, m, k, LAYOUTS[layout][0], seed=0).float()
    b = matrices(16, k, n, LAYOUTS[layout][1], seed=1).float()
    whole = product(a, b, a.new_empty(16, m, n))
    for gap, rows in enumerate((slice(0, 1), slice(15, 16), slice(5, 8), slice(2, 13)), start=1):
        part = b[rows].mT if LAYOUTS[layout][1] else b[rows]
        moved = with_gaps(part, gap).copy_(part)
        moved = moved.mT if LAYOUTS[layout][1] else moved
        assert torch.equal(product(a[rows], moved, with_gaps(whole[rows], gap)), whole[rows])


@pytest.mark.parametrize("samples", [1, 7, 16, 100])
def test_inner_products_are_those_of_torch_and_the_same_bits_in_any_stack(samples):
    a, b = randn(16, 3, samples), randn(16, 3, samples, seed=1)
    close(inner(a, b, a.new_empty(16, 3, 1)), torch.einsum("rfs,rfs->rf", a, b)[..., None])
    a, b = a.float(), b.float()
    whole = inner(a, b, a.new_empty(16, 3, 1))
    for gap, rows in enumerate((slice(0, 1), slice(15, 16), slice(5, 8), slice(2, 13)), start=1):
        moved = with_gaps(b[rows], gap).copy_(b[rows])
        assert torch.equal(inner(a[rows], moved, with_gaps(whole[rows], gap)), whole[rows])


def test_what_was_multiplied_is_not_kept():
    a, b = randn(2, 3, 4), randn(2, 4, 5)
    product(a, b, a.new_empty(2, 3, 5))
    forgotten = weakref.ref(a)
    del a
    assert forgotten() is None


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
    monkeypatch.setattr(products, "product", lambda _a, _b, out, _transposed: out.fill_(7.0))
    with fast_products():
        assert (ops.product(a, b, a.new_empty(2, 3, 5)) == 7.0).all()
        assert {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"} == {1}
    assert torch.equal(ops.product(a, b, a.new_empty(2, 3, 5)), by_torch)
