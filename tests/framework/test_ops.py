import copy
import math
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from oracle import close, randn

from framework import ops

pytestmark = pytest.mark.usefixtures("device")

SIZES = [(1, 1, 1), (1, 2, 3), (3, 1, 7), (5, 25, 13), (7, 3, 64), (2, 64, 64)]
KERNELS = {  # kernel, torch's function, values it takes
    "sigmoid": (ops.sigmoid, torch.sigmoid, lambda x: 5 * x),
    "tanh": (ops.tanh, torch.tanh, lambda x: 3 * x),
    "exp": (ops.exp, torch.exp, lambda x: 3 * x),
    "log": (ops.log, torch.log, lambda x: x.abs()),
    "sqrt": (ops.sqrt, torch.sqrt, lambda x: x.clamp(min=0)),
    "positive": (ops.positive, lambda x: (x > 0).to(x), lambda x: x.clamp(min=0)),
}
PRODUCTS = [
    (1, 1, 1),
    (1, 25, 1),
    (2, 3, 1),
    (25, 2, 1),
    (25, 25, 1),
    (1, 1, 37),
    (1, 25, 37),
    (3, 2, 100),
    (25, 25, 37),
]  # m, k, n


def taken(like):
    return ops.Buffers().take("taken", like.shape, like)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_kernels_are_the_functions_of_torch(name, shape):
    kernel, function, domain = KERNELS[name]
    x = domain(randn(*shape))
    before = x.clone()
    close(kernel(x, taken(x)), function(before))
    assert torch.equal(x, before)


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_may_write_over_their_argument(name):
    kernel, function, domain = KERNELS[name]
    x = domain(randn(3, 5, 11))
    out = taken(x).copy_(x)
    assert kernel(out, out) is out
    close(out, function(x))


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("values", [1, 2, 3, 13, 37, 50, 63], ids=lambda values: f"{values}_values")
@pytest.mark.cpu
def test_a_kernel_gives_a_replica_the_same_bits_in_any_stack(name, values):
    kernel, _, domain = KERNELS[name]
    x = domain(randn(48, 1, values)).float()
    whole = kernel(x, taken(x))
    for rows in (slice(0, 1), slice(47, 48), slice(5, 8), slice(20, 37)):
        assert torch.equal(kernel(x[rows], taken(x[rows])), whole[rows])


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "exp", "log"])
@pytest.mark.cpu
def test_exponentials_and_logarithms_run_over_the_padding_too(name):
    # Scalar code at the end of a vectorised loop may have other bits, if not in every build of torch: no number may be there.
    kernel, _, domain = KERNELS[name]
    x = domain(randn(1, 1, 5))
    out = taken(x)
    padding = out.as_strided((ops.LANES - 5,), (1,), 5).fill_(0.25)
    kernel(x, out)
    assert (padding != 0.25).all()


FUSED = {"line": lambda x, _, out: ops.line(x, -1.7, 0.3, out), "add_scaled": lambda x, y, out: ops.add_scaled(x, y, -1.7, out)}


@pytest.mark.parametrize("name", FUSED)
@pytest.mark.cpu
def test_sums_with_a_fused_product_run_over_the_padding_too(name):
    tensors = [taken(torch.ones(5)).fill_(1.0) for _ in range(3)]
    paddings = [tensor.as_strided((ops.LANES - 5,), (1,), 5).fill_(0.25) for tensor in tensors]
    FUSED[name](*tensors)
    assert (paddings[2] != 0.25).all()


@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_sums_with_a_fused_product_are_those_of_torch(shape):
    x, y = randn(*shape), randn(*shape, seed=1)
    close(ops.line(taken(x).copy_(x), -1.7, 0.3, taken(x)), 0.3 - 1.7 * x)
    close(ops.add_scaled(taken(x).copy_(x), taken(y).copy_(y), -1.7, taken(x)), x - 1.7 * y)


@pytest.mark.parametrize("name", FUSED)
@pytest.mark.cpu
def test_sums_with_a_fused_product_give_a_replica_the_same_bits_in_any_stack(name):
    x, y = randn(48, 1, 37).float(), randn(48, 1, 37, seed=1).float()
    whole = FUSED[name](taken(x).copy_(x), taken(y).copy_(y), taken(x))
    for rows in (slice(0, 1), slice(47, 48), slice(5, 8), slice(20, 37)):
        part = x[rows]
        assert torch.equal(FUSED[name](taken(part).copy_(part), taken(part).copy_(y[rows]), taken(part)), whole[rows])


SLOPES = {
    "leaky": (lambda _, y, out: ops.leaky(y, 0.3, out), lambda _, y: torch.where(y > 0, y, 0.3 * y)),
    "where_positive": (lambda g, y, out: ops.where_positive(g, y, 0.3, out), lambda g, y: torch.where(y > 0, g, 0.3 * g)),
    "elu": (lambda g, y, out: ops.times_elu_slope(g, y, 1.1, 1.7, out), lambda g, y: torch.where(y > 0, 1.1, y + 1.87) * g),
    "tanh": (ops.times_tanh_slope, lambda g, y: (1 - y * y) * g),
    "sigmoid": (ops.times_sigmoid_slope, lambda g, y: y * (1 - y) * g),
}


@pytest.mark.parametrize("name", SLOPES)
def test_slopes_are_what_they_say_and_may_write_over_the_gradient(name):
    kernel, formula = SLOPES[name]
    gradient, y = randn(3, 5, 11), randn(3, 5, 11, seed=1)
    expected = formula(gradient, y)
    close(kernel(gradient, y, torch.empty_like(y)), expected)
    close(kernel(gradient, y, gradient), expected)


# Their gradient is anybody's tensor, with no padding behind it: scalar code has to round as the vectorised does.
@pytest.mark.parametrize("name", SLOPES)
@pytest.mark.parametrize("values", [1, 2, 3, 13, 37, 50, 63], ids=lambda values: f"{values}_values")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.cpu
def test_slopes_give_a_replica_the_same_bits_in_any_stack(name, values, dtype):
    kernel, _ = SLOPES[name]
    gradient, y = randn(48, 1, values).to(dtype), randn(48, 1, values, seed=1).to(dtype)
    whole = kernel(gradient, y, torch.empty_like(y))
    for rows in (slice(0, 1), slice(47, 48), slice(5, 8), slice(20, 37)):
        assert torch.equal(kernel(gradient[rows], y[rows], torch.empty_like(y[rows])), whole[rows])


def test_the_row_of_a_buffer_is_made_once_and_forgotten_with_it():
    buffer = taken(torch.ones(2, 3)).fill_(1.0)
    assert ops.row(buffer) is ops.row(buffer)
    copied = copy.deepcopy(buffer)
    ops.row(copied).fill_(5.0)
    assert (copied == 5.0).all()
    assert (buffer == 1.0).all()
    count, forgotten = len(ops._rows), weakref.ref(buffer)
    del buffer
    assert forgotten() is None
    assert len(ops._rows) == count - 1


def test_a_repeated_product_is_made_ready_once_and_anew_for_another_tensor_or_kernel():
    ready = []

    def prepare(a, b, out):
        ready.append((a, b, out))
        return ops.prepared_product(a, b, out)

    multiply = ops.Repeated(prepare)
    a, b, other, out = randn(2, 3, 4), randn(2, 4, 5, seed=1), randn(2, 4, 5, seed=2), randn(2, 3, 5)
    for times, (changed, kernels) in enumerate(
        [
            (b, None),
            (b, None),
            (other, None),
            (b, None),
            (b, ops.Kernels(lambda a, b, out, _: lambda: out.copy_(a @ b), ops.prepared_inner)),
        ]
    ):
        a.add_(times)
        with ops.products_by(kernels):
            close(multiply(a, changed, out), a @ changed)
    assert len(ready) == 4
    copied = copy.deepcopy(multiply)
    close(copied(a, b, torch.empty_like(out)), a @ b)
    assert len(ready) == 5


def test_sqrt_of_zero_is_next_to_nothing_and_of_infinity_infinite():
    x = torch.tensor([0.0, math.inf])
    assert torch.allclose(ops.sqrt(x, taken(x)), x, rtol=0.0, atol=1.1e-19)


@pytest.mark.parametrize("slope", [0.0, 0.01, 1.0])
@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_a_number_passes_where_another_is_positive(shape, slope):
    y, x = randn(*shape), randn(*shape, seed=1).round()  # with zeros among them
    expected = torch.where(x > 0, y, slope * y)
    close(ops.where_positive(y, x, slope, torch.empty_like(y)), expected)
    assert ops.where_positive(y, x, slope, y) is y
    close(y, expected)


@pytest.mark.parametrize("replicas", [1, 2, 5])
def test_inner_products_are_those_of_torch(replicas):
    a, b = randn(replicas, 3, 7), randn(replicas, 3, 7, seed=1)
    close(ops.inner(a, b, a.new_empty(replicas, 3, 1)), torch.einsum("rfs,rfs->rf", a, b)[..., None])


@pytest.mark.parametrize("size", PRODUCTS, ids=str)
@pytest.mark.parametrize("replicas", [1, 2, 5])
def test_products_are_those_of_torch(replicas, size):
    m, k, n = size
    a, b = randn(replicas, m, k), randn(replicas, k, n, seed=1)
    out = a.new_empty(replicas, m, n)
    close(ops.product(a, b, out).clone(), torch.einsum("rmk,rkn->rmn", a, b))
    close(ops.product(a.mT, b, out, transposed="a").clone(), torch.einsum("rmk,rkn->rmn", a, b))
    close(ops.product(a, b.mT, out, transposed="b").clone(), torch.einsum("rmk,rkn->rmn", a, b))


@pytest.mark.parametrize("size", PRODUCTS, ids=str)
@pytest.mark.cpu
def test_products_give_a_replica_the_same_bits_in_any_stack(size):
    m, k, n = size
    a, b = randn(48, m, k).float(), randn(48, k, n, seed=1).float()
    out = a.new_empty(48, m, n)
    whole = ops.product(a, b, out).clone()
    for rows in (slice(0, 1), slice(47, 48), slice(5, 8), slice(20, 37)):
        out = a.new_empty(len(a[rows]), m, n)
        assert torch.equal(ops.product(a[rows], b[rows], out), whole[rows])


@pytest.mark.cpu
def test_a_kernel_of_ones_own_multiplies_within_its_context_and_its_thread():
    a, b = randn(2, 3, 4), randn(2, 4, 5, seed=1)

    def sevens(a, b, out, transposed):  # noqa: ARG001 - a kernel takes all four
        return lambda: out.fill_(7.0)

    def eights(a, b, out):  # noqa: ARG001
        return lambda: out.fill_(8.0)

    def product():
        return ops.product(a, b, a.new_empty(2, 3, 5))

    by_torch = product()
    with ThreadPoolExecutor(1) as other_thread, ops.products_by(ops.Kernels(sevens, eights)):
        assert (product() == 7.0).all()
        assert (ops.inner(b, b, b.new_empty(2, 4, 1)) == 8.0).all()
        assert torch.equal(other_thread.submit(product).result(), by_torch)
    assert torch.equal(product(), by_torch)


@pytest.mark.parametrize("replicas", [1, 2, 5])
def test_a_product_into_a_view_with_gaps_is_the_same(replicas):
    a, b = randn(replicas, 3, 4).float(), randn(replicas, 4, 5, seed=1).float()
    view = a.new_empty(replicas, 17)[:, 2:].unflatten(1, (3, 5))
    assert torch.equal(ops.product(a, b, view), ops.product(a, b, a.new_empty(replicas, 3, 5)))


def test_a_buffer_keeps_its_memory_from_one_step_to_the_next():
    buffers, like = ops.Buffers(), torch.zeros(1)
    first = buffers.take("y", torch.Size((2, 3, 50)), like)
    short = buffers.take("y", torch.Size((2, 3, 7)), like)
    again = buffers.take("y", torch.Size((2, 3, 50)), like)
    assert first.data_ptr() == short.data_ptr() == again.data_ptr()
    assert short.shape == (2, 3, 7)
    assert short.is_contiguous()


def test_a_buffer_that_must_grow_leaves_what_it_gave_before():
    buffers, like = ops.Buffers(), torch.zeros(1)
    small = buffers.take("y", torch.Size((1, 1, 3)), like).fill_(1.0)
    large = buffers.take("y", torch.Size((4, 5, 60)), like).fill_(2.0)
    assert torch.equal(small, torch.ones(1, 1, 3))
    assert buffers.take("y", torch.Size((1, 1, 3)), like).data_ptr() == large.data_ptr()


@pytest.mark.cpu  # a recorded step still writes to what was outgrown
def test_a_buffer_that_has_grown_gives_its_old_memory_back():
    buffers, like = ops.Buffers(), torch.zeros(1)
    outgrown = weakref.ref(buffers.take("y", torch.Size((1, 1, 3)), like)._base)
    assert outgrown() is not None
    buffers.take("y", torch.Size((4, 5, 60)), like)
    assert outgrown() is None


@pytest.mark.parametrize(
    ("name", "dtype"), [("other", torch.float32), ("y", torch.float64)], ids=["another_name", "another_dtype"]
)
def test_buffers_do_not_overlap(name, dtype):
    buffers, shape = ops.Buffers(), torch.Size((2, 3, 5))
    y = buffers.take("y", shape, torch.zeros(1)).fill_(1.0)
    other = buffers.take(name, shape, torch.zeros(1, dtype=dtype))
    ops.exp(torch.zeros(shape, dtype=dtype), other)  # writes the padding too
    assert other.dtype == dtype
    assert torch.equal(y, torch.ones(shape))
    assert torch.equal(other, torch.ones(shape, dtype=dtype))


@pytest.mark.parametrize("count", [1, 63, 64, 65, 129])
def test_a_buffer_is_padded_to_a_multiple_of_the_lanes(count):
    buffer = ops.Buffers().take("y", torch.Size((count,)), torch.zeros(1))
    numbers = buffer.untyped_storage().nbytes() // buffer.element_size()
    assert numbers % ops.LANES == 0
    assert 0 <= numbers - count < ops.LANES
