import pytest
import torch
from oracle import (
    ONE_SAMPLE,
    SHAPES,
    UnbiasedBatchNorm,
    assert_as_autograd,
    assert_as_differences,
    assert_evaluates_as,
    by_autograd,
    close,
    randn,
    stack,
    twin_of,
)
from torch import nn

from framework import BatchNorm, Dropout, Linear, Sequential
from framework.streams import random_bits

pytestmark = pytest.mark.usefixtures("device")

OPTIONS = [
    {"affine": affine, "evaluate": evaluate, "unbiased": unbiased, "eps": eps, "momentum": momentum}
    for affine in (True, False)
    for evaluate in ("running", "batch")
    for unbiased in (False, True)
    for eps, momentum in ((1e-5, 0.1), (1e-2, 0.3))
]


def name_of(options):
    if not isinstance(options, dict):
        return None
    return "-".join(
        (
            "affine" if options["affine"] else "simplified",
            options["evaluate"],
            "unbiased" if options["unbiased"] else "biased",
            f"momentum_{options['momentum']}",
        )
    )


def norm_with_twins(options, replicas, features):
    """A stack of one batch norm, behind a linear layer that tells it its features and changes nothing."""
    model = stack(Linear(features, features), BatchNorm(**options), replicas=replicas)
    model.layers[0].weight.copy_(torch.eye(features))
    model.layers[0].bias.zero_()
    kind = UnbiasedBatchNorm if options["unbiased"] else nn.BatchNorm1d
    kept = {name: options[name] for name in ("affine", "eps", "momentum")}
    track = options["evaluate"] == "running"
    twins = [
        twin_of(one, nn.Linear(features, features), kind(features, track_running_stats=track, **kept))
        for one in model.parameters
    ]
    return model, twins


@pytest.mark.parametrize("outputs", [1, 2, 25])
@pytest.mark.parametrize("shape", SHAPES + ONE_SAMPLE, ids=str)
def test_linear_is_that_of_torch(shape, outputs):
    replicas, features, samples = shape
    model = stack(Linear(features, outputs), replicas=replicas)
    twins = [twin_of(one, nn.Linear(features, outputs)) for one in model.parameters]
    assert_as_autograd(model, twins, randn(*shape, seed=2), randn(replicas, outputs, samples, seed=3))


@pytest.mark.parametrize("outputs", [1, 2, 25])
@pytest.mark.parametrize("shape", SHAPES + ONE_SAMPLE, ids=str)
def test_linear_projects_as_differences_do(shape, outputs):
    assert_as_differences(stack(Linear(shape[1], outputs), replicas=shape[0]), randn(*shape, seed=2))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("options", OPTIONS, ids=name_of)
def test_batch_norm_is_that_of_torch(options, shape):
    model, twins = norm_with_twins(options, *shape[:2])
    assert_as_autograd(model, twins, randn(*shape, seed=2), randn(*shape, seed=3))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("options", OPTIONS, ids=name_of)
def test_batch_norm_projects_as_differences_do(options, shape):
    x = 2 + randn(*shape, seed=2)
    assert_as_differences(norm_with_twins(options, *shape[:2])[0], x)


@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.parametrize("options", OPTIONS, ids=name_of)
def test_batch_norm_evaluates_as_torch_does_before_and_after_several_batches(options, replicas):
    model, twins = norm_with_twins(options, replicas, 4)
    rows = 3 + 2 * randn(replicas, 4, 9, seed=4)
    assert_evaluates_as(model, twins, rows)
    for batch, samples in enumerate((6, 6, 2, 5)):
        x = 1 + 3 * randn(replicas, 4, samples, seed=10 + batch)
        model.forward(x)
        for twin, one in zip(twins, x, strict=True):
            twin.train()(one.T)
    assert_evaluates_as(model, twins, rows)
    if options["evaluate"] == "running":
        close(model.layers[1].running_mean[..., 0], torch.stack([twin[1].running_mean for twin in twins]))
        close(model.layers[1].running_variance[..., 0], torch.stack([twin[1].running_var for twin in twins]))


@pytest.mark.parametrize("unbiased", [False, True], ids=["biased", "unbiased"])
@pytest.mark.parametrize("replicas", [1, 3])
def test_straight_through_hands_the_gradient_on_as_if_the_normalisation_were_the_identity(replicas, unbiased):
    x, gradient = randn(replicas, 4, 6, seed=2), randn(replicas, 4, 6, seed=3)
    exact, straight = (
        stack(Linear(4, 4), BatchNorm(gradient=rule, unbiased=unbiased), replicas=replicas)
        for rule in ("exact", "straight_through")
    )
    close(straight.forward(x), exact.forward(x))
    exact.layers[1].backward(gradient)
    close(straight.layers[1].backward(gradient), straight.layers[1].gain * gradient)
    close(straight.layers[1].gain_gradient, exact.layers[1].gain_gradient)
    close(straight.layers[1].shift_gradient, exact.layers[1].shift_gradient)
    simplified = BatchNorm(affine=False, gradient="straight_through", unbiased=unbiased)
    simplified.forward(x)
    assert torch.equal(simplified.backward(gradient), gradient)


def test_a_straight_through_norm_leaves_the_bias_before_it_its_gradient():
    x, gradient = randn(2, 3, 6, seed=2), randn(2, 4, 6, seed=3)
    model = stack(Linear(3, 4), BatchNorm(gradient="straight_through"), replicas=2)
    model.forward(x)
    model.backward(gradient)
    linear, norm = model.layers
    close(linear.bias_gradient, norm.gain * gradient.sum(2, keepdim=True))


@pytest.mark.parametrize("shape", [(2, 3, 5), (3, 4, 5)], ids=str)
def test_batch_norm_refuses_what_its_running_averages_do_not_fit(shape):
    norm = BatchNorm(affine=False)
    norm.forward(randn(3, 3, 5))
    before = norm.running_mean.clone()
    with pytest.raises(ValueError, match=r"\(3, 3, any\) fits the running averages of this batch norm, \(\d, \d, 5\) was"):
        norm.forward(randn(*shape), train=False)
    assert torch.equal(norm.running_mean, before)


def test_batch_norm_starts_at_gain_one_and_shift_zero():
    norm = Sequential(Linear(2, 3), BatchNorm(), replicas=2).layers[1]
    assert torch.equal(norm.gain, torch.ones(2, 3, 1))
    assert torch.equal(norm.shift, torch.zeros(2, 3, 1))


@pytest.mark.parametrize("options", OPTIONS, ids=name_of)
def test_batch_norm_refuses_a_training_batch_of_one(options):
    model, _ = norm_with_twins(options, 2, 3)
    with pytest.raises(ValueError, match="batch norm needs two samples or more in a training batch: 1 was given"):
        model.forward(randn(2, 3, 1))


def test_batch_norm_with_running_averages_evaluates_a_single_row():
    model, twins = norm_with_twins(OPTIONS[0], 1, 3)
    model.forward(randn(1, 3, 5))
    twins[0](randn(1, 3, 5)[0].T)
    assert_evaluates_as(model, twins, randn(1, 3, 1, seed=6))


@pytest.mark.parametrize(
    "option", [{"evaluate": "runing"}, {"gradient": "strait"}, {"eps": 0.0}, {"momentum": 0.0}, {"momentum": 7.0}], ids=str
)
def test_batch_norm_refuses_an_unknown_option(option):
    with pytest.raises(ValueError, match=f"{next(iter(option))}=.* w(as|ere) given"):
        BatchNorm(**option)


@pytest.mark.parametrize("option", [{"affine": 4}, {"affine": "no"}, {"unbiased": 1}], ids=str)
def test_batch_norm_asks_for_true_or_false(option):
    (name, given), *_ = option.items()
    with pytest.raises(ValueError, match=rf"affine and unbiased are True or False: .*{name}={given!r}.* write BatchNorm\(\)"):
        BatchNorm(**option)


@pytest.mark.parametrize("sizes", [(0, 2), (2, 0), (-1, 2), (2, 1.5), ("2", 1)], ids=str)
def test_a_linear_layer_has_inputs_and_outputs(sizes):
    with pytest.raises(ValueError, match=r"one input and one output or more, in whole numbers: Linear\(.*\) was given"):
        Linear(*sizes)


def test_an_affine_batch_norm_must_know_its_features():
    with pytest.raises(ValueError, match=r"an affine BatchNorm .* must know how many come in"):
        Sequential(BatchNorm(), Linear(2, 2))


def mask_of(dropout, shape, seeds):
    """The mask that the next forward of a module so seeded draws, and the factor on what is kept."""
    dropout.seed(seeds)
    return dropout.forward(torch.ones(shape, dtype=torch.float64)).clone()


@pytest.mark.parametrize("p", [0.0, 0.3, 0.9, "each"], ids=lambda p: f"p_{p}")
@pytest.mark.parametrize("shape", SHAPES + ONE_SAMPLE, ids=str)
def test_dropout_is_a_product_with_the_mask_it_drew(shape, p):
    p = [0.1 * replica for replica in range(shape[0])] if p == "each" else p
    x, gradient = randn(*shape, seed=2), randn(*shape, seed=3)
    dropout = Dropout(p)
    mask = mask_of(dropout, shape, range(shape[0]))
    dropout.seed(range(shape[0]))
    keep = 1 - torch.tensor(p, dtype=torch.float64).reshape(-1, 1, 1).expand(shape[0], 1, 1)
    features, samples = (torch.arange(size) for size in shape[1:])
    places = samples * shape[1] + features[:, None]
    bits = torch.stack([random_bits(torch.tensor(seed), torch.tensor(0), places) for seed in range(shape[0])])
    close(mask, (bits >= 2**32 * (1 - keep)) / keep)
    y, dx = zip(
        *(by_autograd(lambda rows, m=m: rows * m.T, [], *pair)[:2] for m, *pair in zip(mask, x, gradient, strict=True)),
        strict=True,
    )
    close(dropout.forward(x), torch.stack(y))
    close(dropout.backward(gradient), torch.stack(dx))


@pytest.mark.parametrize("p", [0.0, 0.3, 0.9], ids=lambda p: f"p_{p}")
@pytest.mark.parametrize("shape", SHAPES + ONE_SAMPLE, ids=str)
def test_dropout_projects_as_differences_do(shape, p):
    model = stack(Linear(shape[1], 3), Dropout(p), replicas=shape[0])
    model.seed(range(shape[0]))
    assert_as_differences(model, randn(*shape, seed=2))


@pytest.mark.parametrize("p", [0.01, 0.2, 0.5, 0.9])
def test_each_pass_drops_a_share_p_of_independent_units(p):
    """Within 4 standard errors: shares, and the correlations of neighbours, of passes and of seeds, which are 0."""
    dropout, count = Dropout(p), 400 * 50
    dropout.seed([1, 2])
    passes = [(dropout.forward(torch.ones(2, 50, 400)) == 0).double() for _ in range(4)]
    for dropped in passes:
        assert ((dropped.mean((1, 2)) - p).abs() < 4 * (p * (1 - p) / count) ** 0.5).all()
    centred = [dropped - p for dropped in passes]
    pairs = [(centred[0], each) for each in centred[1:]]
    pairs += [(each[:, 1:], each[:, :-1]) for each in centred] + [(each[..., 1:], each[..., :-1]) for each in centred]
    pairs += [(each[:1], each[1:]) for each in centred]
    for one, other in pairs:
        correlation = (one * other).mean((1, 2)) / (p * (1 - p))
        assert (correlation.abs() < 4 / one[0].numel() ** 0.5).all()


@pytest.mark.parametrize("p", [0.2, 0.5, 0.8])
def test_dropout_drops_a_share_p_and_keeps_the_mean(p):
    count = 100_000
    mask = mask_of(Dropout(p), (1, 100, count // 100), [3])
    error = (p * (1 - p) / count) ** 0.5  # standard error of a share
    assert abs((mask == 0).double().mean() - p) < 5 * error
    assert abs(mask.mean() - 1) < 5 * error / (1 - p)
    close(mask[mask > 0], torch.full_like(mask[mask > 0], 1 / (1 - p)))


def test_dropout_is_the_identity_in_evaluation_and_draws_nothing():
    dropout, x = Dropout(0.5), randn(2, 3, 50)
    dropout.seed([1, 2])
    first, second = dropout.forward(x).clone(), dropout.forward(x).clone()
    assert not torch.equal(first, second)
    dropout.seed([1, 2])
    assert torch.equal(dropout.forward(x), first)
    assert torch.equal(dropout.forward(x, train=False), x)
    assert torch.equal(dropout.forward(x), second)


def test_units_are_dropped_by_the_bits_of_seed_pass_and_place():
    """The rule written out once more in whole numbers of Python, which another engine repeats."""

    def mix(x):
        x ^= x >> 16
        x = x * 0x21F0AAAD % 2**32
        x ^= x >> 15
        x = x * 0xD35A2D97 % 2**32
        return x ^ x >> 15

    seeds, p, features, samples = [2**63 - 1, 5], [0.3, 0.6], 3, 7
    dropout = Dropout(p)
    dropout.seed(seeds)
    for step in range(3):
        mask = dropout.forward(torch.ones(2, features, samples))
        for replica, seed in enumerate(seeds):
            a = mix(step ^ seed % 2**32)
            b = mix(a ^ 0xFFFFFFFF ^ seed // 2**32)
            bits = [[mix(mix(sample * features + feature ^ a) ^ b) for sample in range(samples)] for feature in range(features)]
            kept = torch.tensor(bits) >= round(p[replica] * 2**32)
            assert torch.equal(mask[replica], kept / (1 - torch.tensor(p[replica])))


def test_replicas_of_equal_seed_drop_alike_whatever_p():
    mask = mask_of(Dropout([0.2, 0.5]), (2, 5, 40), [7, 7])
    assert (mask[0][mask[1] > 0] > 0).all()
    assert (mask[0] > 0).sum() > (mask[1] > 0).sum()


def test_replicas_of_equal_seed_drop_the_same_units():
    mask = mask_of(Dropout(0.5), (4, 5, 20), [7, 0, 7, 8])
    assert torch.equal(mask[0], mask[2])
    assert not torch.equal(mask[0], mask[1])
    assert not torch.equal(mask[0], mask[3])
    assert not torch.equal(mask[1], mask[3])


def test_replicas_drop_alike_if_never_seeded():
    mask = Dropout(0.5).forward(torch.ones(3, 4, 20))
    assert torch.equal(mask[0], mask[1])
    assert torch.equal(mask[0], mask[2])
    assert 0 < (mask == 0).sum() < mask.numel()


def test_two_dropouts_of_a_network_draw_from_streams_of_their_own():
    model = Sequential(Dropout(0.5), Dropout(0.5))
    model.seed([0])
    first, second = (layer.forward(torch.ones(1, 5, 20)) for layer in model.layers)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("replicas", [1, 2, 4])
def test_dropout_has_one_p_or_one_for_each_model(replicas):
    with pytest.raises(ValueError, match=f"p is one number, or one for each of the {replicas} models: 3 were given"):
        Dropout([0.1, 0.2, 0.3]).forward(randn(replicas, 2, 4))


@pytest.mark.parametrize("p", [-0.1, 1.0, 1.5, float("nan"), [0.1, 1.0], [-1e-9, 0.5]], ids=str)
def test_dropout_refuses_a_p_out_of_range(p):
    with pytest.raises(ValueError, match="so 0 <= p < 1"):
        Dropout(p)


def test_dropout_that_is_1_in_the_precision_of_its_input_is_refused():
    x, p = randn(2, 3, 5), [0.5, 0.99999999]
    Dropout(p).forward(x)
    with pytest.raises(ValueError, match=r"0 <= p < 1 of dropout, as torch.float32 too: \[0.5, 0.99999999\] was given"):
        Dropout(p).forward(x.float())
