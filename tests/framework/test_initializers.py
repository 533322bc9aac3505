import math

import pytest
import torch
from torch import nn

from framework import (
    BatchNorm,
    Linear,
    Sequential,
    Tanh,
    gaussian,
    he,
    he_uniform,
    initialize,
    initialize_replica,
    lecun,
    normal,
    orthogonal,
    uniform,
    xavier,
    xavier_uniform,
    zeros,
)
from framework.streams import derive, generator

DRAWS = 200_000
INITIALIZERS = {  # initializer, mean and variance at fan_in 30 and fan_out 50, kurtosis
    "normal": (normal, 0.0, 1.0, 3.0),
    "gaussian": (gaussian(0.7, 0.2), 0.7, 0.04, 3.0),
    "he": (he, 0.0, 2 / 30, 3.0),
    "xavier": (xavier, 0.0, 2 / 80, 3.0),
    "lecun": (lecun, 0.0, 1 / 30, 3.0),
    "uniform": (uniform, 0.0, 1 / (3 * 30), 1.8),
    "he_uniform": (he_uniform, 0.0, 2 / 30, 1.8),
    "xavier_uniform": (xavier_uniform, 0.0, 2 / 80, 1.8),
}


def drawn(initializer, seed=0, shape=(DRAWS,)):
    return initializer(shape, 30, 50, generator(seed))


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", INITIALIZERS)
def test_draws_have_the_mean_and_variance_of_the_formula(name, seed):
    initializer, mean, variance, kurtosis = INITIALIZERS[name]
    draws = drawn(initializer, seed)
    # Standard errors of a mean and of a variance; five of them are exceeded by chance once in a million.
    assert abs(draws.mean() - mean) < 5 * math.sqrt(variance / DRAWS)
    assert abs(draws.var() - variance) < 5 * variance * math.sqrt((kurtosis - 1) / DRAWS)


@pytest.mark.parametrize(
    ("initializer", "scale"),
    [(he, math.sqrt(2 / 30)), (xavier, math.sqrt(2 / 80)), (lecun, math.sqrt(1 / 30)), (gaussian(0.0, 0.3), 0.3)],
    ids=["he", "xavier", "lecun", "gaussian"],
)
def test_initializers_scale_the_same_standard_draws(initializer, scale):
    standard = torch.randn(DRAWS, generator=generator(3), dtype=torch.float64)
    assert torch.equal(drawn(normal, 3), standard)
    assert torch.equal(drawn(initializer, 3), scale * standard)


def test_gaussian_shifts_by_its_mean():
    assert torch.equal(drawn(gaussian(2.0, 0.5), 3), 2.0 + 0.5 * drawn(normal, 3))


def test_uniform_fills_the_bounds_of_torch_and_never_exceeds_them():
    bound = 1 / math.sqrt(30)
    for draws in (drawn(uniform), nn.Linear(30, 5000, dtype=torch.float64).weight):
        assert 0.999 * bound < draws.abs().max() <= bound
        assert draws.min() < 0 < draws.max()


@pytest.mark.parametrize(("initializer", "bound"), [(he_uniform, math.sqrt(6 / 30)), (xavier_uniform, math.sqrt(6 / 80))])
def test_uniform_initializers_scale_the_same_draws_and_fill_their_bounds(initializer, bound):
    draws = drawn(initializer, 3)
    torch.testing.assert_close(draws, bound * math.sqrt(30) * drawn(uniform, 3), rtol=1e-15, atol=1e-15)
    assert 0.999 * bound < draws.abs().max() <= bound


@pytest.mark.parametrize("shape", [(4, 4), (7, 3), (3, 7), (1, 5), (5, 1)], ids=str)
def test_orthogonal_draws_have_orthonormal_rows_or_columns(shape):
    draws = drawn(orthogonal, shape=shape)
    gram = draws @ draws.T if shape[0] <= shape[1] else draws.T @ draws
    torch.testing.assert_close(gram, torch.eye(min(shape), dtype=torch.float64), rtol=1e-12, atol=1e-12)
    assert torch.equal(draws, drawn(orthogonal, shape=shape))


def test_orthogonal_draws_are_uniform_and_those_of_torch():
    draws = torch.stack([drawn(orthogonal, seed, (3, 3)) for seed in range(4000)])
    assert (draws.mean(0).abs() < 5 / math.sqrt(3 * 4000)).all()  # of mean 0 and variance 1 / 3: QR alone has signs of its own
    torch.manual_seed(5)
    theirs = nn.init.orthogonal_(torch.empty(4, 4, dtype=torch.float64))
    torch.testing.assert_close(drawn(orthogonal, 5, (4, 4)), theirs)


def test_zeros_are_zero():
    assert torch.equal(drawn(zeros, shape=(3, 4)), torch.zeros(3, 4, dtype=torch.float64))


@pytest.mark.parametrize(
    "initializer", [normal, gaussian(1.0, 2.0), he, xavier, lecun, uniform, he_uniform, xavier_uniform, orthogonal, zeros]
)
def test_draws_have_the_shape_asked_for(initializer):
    assert drawn(initializer, shape=(4, 3)).shape == (4, 3)


def weights(model):
    return [layer.weight for layer in model.modules() if isinstance(layer, Linear)]


def biases(model):
    return [layer.bias for layer in model.modules() if isinstance(layer, Linear)]


def test_replicas_start_from_different_weights():
    model = Sequential(Linear(3, 4), Tanh(), Linear(4, 2), replicas=5)
    initialize(model, he, uniform)
    for tensor in weights(model) + biases(model):
        assert len(torch.unique(tensor.flatten(1), dim=0)) == 5


@pytest.mark.parametrize("replicas", [1, 2, 5])
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(replicas):
    first, again, other = (Sequential(Linear(3, 4), Linear(4, 2), replicas=replicas) for _ in range(3))
    for model, seed in ((first, 0), (again, 0), (other, 1)):
        initialize(model, xavier, normal, seed)
    assert torch.equal(first.parameters, again.parameters)
    assert not (first.parameters == other.parameters).any()


def test_a_replica_starts_alike_in_stacks_of_any_size():
    small, large = (Sequential(Linear(3, 4), Linear(4, 2), replicas=replicas) for replicas in (2, 7))
    initialize(small, he, normal, 4)
    initialize(large, he, normal, 4)
    assert torch.equal(small.parameters, large.parameters[:2])


def test_initialize_gives_replica_r_the_weights_of_its_derived_seed():
    model, expected = (Sequential(Linear(3, 4), Linear(4, 2), replicas=3) for _ in range(2))
    initialize(model, lecun, uniform, 9)
    for replica in range(3):
        initialize_replica(expected, replica, lecun, lecun, uniform, derive(derive(9, 2), replica))
    assert torch.equal(model.parameters, expected.parameters)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_only_the_named_replica_is_drawn_the_last_layer_from_its_own_initializer(dtype):
    model = Sequential(Linear(3, 4), Tanh(), Linear(4, 5), Tanh(), Linear(5, 2), replicas=3, dtype=dtype)
    initialize_replica(model, 1, he, zeros, gaussian(6.0, 0.0), 8)
    assert torch.equal(model.parameters[0], torch.zeros_like(model.parameters[0]))
    assert torch.equal(model.parameters[2], torch.zeros_like(model.parameters[2]))
    hidden = [
        he((layer.outputs, layer.inputs), layer.inputs, layer.outputs, generator(derive(8, index))).to(dtype)
        for index, layer in enumerate(model.layers[0:3:2])
    ]
    assert torch.equal(weights(model)[0][1], hidden[0])
    assert torch.equal(weights(model)[1][1], hidden[1])
    assert torch.equal(weights(model)[2][1], torch.zeros(2, 5, dtype=dtype))
    assert all(torch.equal(bias[1], torch.full_like(bias[1], 6.0)) for bias in biases(model))


@pytest.mark.parametrize(
    "before", [[Linear(9, 4)], [Linear(3, 4), Tanh()], [Linear(3, 4), BatchNorm(), Tanh()]], ids=["wider", "activation", "norm"]
)
def test_what_a_layer_draws_does_not_depend_on_the_layers_before_it(before):
    plain, other = Sequential(Linear(3, 4), Linear(4, 2)), Sequential(*before, Linear(4, 2))
    initialize(plain, he, normal, 5)
    initialize(other, he, normal, 5)
    assert torch.equal(weights(plain)[1], weights(other)[1])
    assert torch.equal(biases(plain)[1], biases(other)[1])


def test_gains_and_slopes_keep_their_constants():
    model = Sequential(Linear(3, 4), BatchNorm(), Linear(4, 2), replicas=2)
    initialize(model, he, normal)
    assert torch.equal(model.layers[1].gain, torch.ones(2, 4, 1))
    assert torch.equal(model.layers[1].shift, torch.zeros(2, 4, 1))


def test_initialization_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    initialize(Sequential(Linear(3, 4), Linear(4, 2)), he, uniform)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("options", [{"weight": "he"}, {"bias": "zeros"}, {"weight": 0.1}], ids=str)
def test_an_initializer_is_a_function(options):
    with pytest.raises(ValueError, match=r"an initializer is a function, such as framework.he .*: .* was given"):
        initialize(Sequential(Linear(2, 3)), **options)


@pytest.mark.parametrize("name", ["xavier_uniform_", "orthogonal_"])
def test_an_initializer_of_torch_is_refused(name):
    with pytest.raises(ValueError, match=rf"function of \(shape, .*: {name} of torch.nn.init was given; write framework.he"):
        initialize(Sequential(Linear(3, 4)), getattr(nn.init, name))
