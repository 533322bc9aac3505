import pytest
import torch
from oracle import close, randn

from framework import ops

pytestmark = pytest.mark.usefixtures("device")

SIZES = [(1, 1, 1), (1, 2, 3), (3, 1, 7), (5, 25, 13), (7, 3, 64), (2, 64, 64)]
FUNCTIONS = {  # ours, torch's, values it takes
    "exp": (ops.exp, torch.exp, lambda x: 3 * x),
    "expm1": (ops.expm1, torch.expm1, lambda x: x.clamp(max=0)),
    "log": (ops.log, torch.log, lambda x: x.abs()),
    "log1p": (ops.log1p, torch.log1p, lambda x: x.abs()),
    "erf": (ops.erf, torch.erf, lambda x: x),
    "sigmoid": (ops.sigmoid, torch.sigmoid, lambda x: 5 * x),
    "tanh": (ops.tanh, torch.tanh, lambda x: 3 * x),
    "softplus": (ops.softplus, lambda x: torch.logaddexp(x, torch.zeros_like(x)), lambda x: 100 * x),
    "positive": (ops.positive, lambda x: (x > 0).to(x), lambda x: x.clamp(min=0)),
    "sqrt": (torch.sqrt, torch.sqrt, lambda x: x.abs()),  # as the optimizers and batch norm use them
    "rsqrt": (torch.rsqrt, lambda x: 1 / x.sqrt(), lambda x: x.abs()),
}
PRODUCTS = [  # m, k, n
    (1, 1, 1),
    (1, 25, 1),
    (2, 3, 1),
    (25, 2, 1),
    (25, 25, 1),
    (1, 1, 37),
    (1, 25, 37),
    (3, 2, 100),
    (25, 25, 37),
]
PLACES = slice(0, 1), slice(47, 48), slice(5, 8), slice(20, 37)  # stacks cut out of one of 48


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_functions_are_those_of_torch(name, shape):
    ours, theirs, domain = FUNCTIONS[name]
    x = domain(randn(*shape))
    before = x.clone()
    close(ours(x), theirs(before))
    assert torch.equal(x, before)
    close(ours(x.mT), theirs(before.mT))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("values", [1, 2, 3, 13, 37, 50, 63], ids=lambda values: f"{values}_values")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.cpu
def test_a_function_gives_a_replica_the_same_bits_in_any_stack(name, values, dtype):
    ours, _, domain = FUNCTIONS[name]
    x = domain(randn(48, 1, values)).to(dtype)
    whole = ours(x)
    for place in PLACES:
        assert torch.equal(ours(x[place]), whole[place])


@pytest.mark.parametrize("count", [1, 63, 65, 200])
@pytest.mark.cpu
def test_the_last_numbers_are_computed_in_a_row_that_vectorised_code_fills(count):
    lengths = []
    x = randn(count)
    close(ops.by_lanes(lambda row: lengths.append(len(row)) or row + 1, x), x + 1)
    assert lengths == [count, ops.LANES]


@pytest.mark.parametrize("size", PRODUCTS, ids=str)
@pytest.mark.parametrize("replicas", [1, 2, 5])
def test_products_are_those_of_torch(replicas, size):
    m, k, n = size
    a, b, c = randn(replicas, m, k), randn(replicas, k, n, seed=1), randn(replicas, m, 1, seed=2)
    expected = torch.einsum("rmk,rkn->rmn", a, b)
    for first in (a, a.mT.contiguous().mT):
        for second in (b, b.mT.contiguous().mT):
            close(ops.product(first, second), expected)
            close(ops.affine(first, second, c), expected + c)


@pytest.mark.parametrize("size", PRODUCTS, ids=str)
@pytest.mark.cpu
def test_products_give_a_replica_the_same_bits_in_any_stack(size):
    m, k, n = size
    a, b, c = randn(48, m, k).float(), randn(48, k, n, seed=1).float(), randn(48, m, 1, seed=2).float()
    parameters = randn(48, m * k + 1, seed=3).float()[:, 1:].unflatten(1, (m, k))  # with gaps between the replicas
    pairs = [(a, b), (a.mT.contiguous().mT, b), (a, b.mT.contiguous().mT), (parameters, b)]
    for first, second in pairs:
        product, affine = ops.product(first, second), ops.affine(first, second, c)
        for place in PLACES:
            assert torch.equal(ops.product(first[place], second[place]), product[place])
            assert torch.equal(ops.affine(first[place], second[place], c[place]), affine[place])
