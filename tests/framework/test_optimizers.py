import pytest
import torch
from oracle import close, randn

from framework import SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, Linear, Part, RMSprop, Sequential, Several

pytestmark = pytest.mark.usefixtures("device")

# Ours; torch's optimizer of the hyperparameters h; a number for all models, and a number for each of three.
CASES = {
    "sgd": (SGD, lambda p, h: torch.optim.SGD(p, **h), {"lr": 0.3}, {"lr": [0.1, 0.3, 1.0]}),
    "momentum": (
        SGD,
        lambda p, h: torch.optim.SGD(p, **h),
        {"lr": 0.1, "momentum": 0.8},
        {"lr": [0.1, 0.3, 0.2], "momentum": [0.9, 0.0, 0.5]},
    ),
    "nesterov": (
        lambda model, **h: SGD(model, nesterov=True, **h),
        lambda p, h: torch.optim.SGD(p, nesterov=True, **h),
        {"lr": 0.1, "momentum": 0.8},
        {"lr": [0.1, 0.3, 0.2], "momentum": [0.9, 0.1, 0.5]},
    ),
    "adagrad": (
        Adagrad,
        lambda p, h: torch.optim.Adagrad(p, **h),
        {"lr": 0.02, "eps": 1e-3},
        {"lr": [0.1, 0.01, 0.2], "eps": [1e-10, 1e-3, 0.1]},
    ),
    "adadelta": (
        Adadelta,
        lambda p, h: torch.optim.Adadelta(p, **h),
        {"lr": 0.7, "rho": 0.8, "eps": 1e-4},
        {"lr": [1.0, 0.5, 3.0], "rho": [0.9, 0.5, 0.99], "eps": [1e-6, 1e-3, 0.1]},
    ),
    "rmsprop": (
        RMSprop,
        lambda p, h: torch.optim.RMSprop(p, **h),
        {"lr": 0.02, "alpha": 0.9, "eps": 1e-4},
        {"lr": [0.1, 0.01, 0.2], "alpha": [0.99, 0.5, 0.9], "eps": [1e-8, 1e-3, 0.1]},
    ),
    "adam": (
        Adam,
        lambda p, h: torch.optim.Adam(p, betas=(h.pop("beta1"), h.pop("beta2")), **h),
        {"lr": 0.02, "beta1": 0.8, "beta2": 0.99, "eps": 1e-4},
        {"lr": [0.1, 0.01, 0.2], "beta1": [0.9, 0.0, 0.5], "beta2": [0.999, 0.9, 0.5], "eps": [1e-8, 1e-3, 0.1]},
    ),
    "adamw": (
        AdamW,
        lambda p, h: torch.optim.AdamW(p, betas=(h.pop("beta1"), h.pop("beta2")), **h),
        {"lr": 0.02, "beta1": 0.8, "beta2": 0.99, "eps": 1e-4},
        {"lr": [0.1, 0.01, 0.2], "beta1": [0.9, 0.0, 0.5], "beta2": [0.999, 0.9, 0.5], "eps": [1e-8, 1e-3, 0.1]},
    ),
    "adamax": (
        Adamax,
        lambda p, h: torch.optim.Adamax(p, betas=(h.pop("beta1"), h.pop("beta2")), **h),
        {"lr": 0.02, "beta1": 0.8, "beta2": 0.99, "eps": 1e-4},
        {"lr": [0.1, 0.01, 0.2], "beta1": [0.9, 0.0, 0.5], "beta2": [0.999, 0.9, 0.5], "eps": [1e-8, 1e-3, 0.1]},
    ),
}
DECAYS = {"no_decay": 0.0, "decay": 0.1, "decay_each": [0.0, 0.3, 0.02]}
CLIPS = {"no_clip": 0.0, "clip": 2.0, "clip_each": [0.0, 1e9, 0.5]}  # gradients below have norms of about 3
FACTORS = {"constant": lambda _: 1.0, "scheduled": lambda t: 1.5 / (1 + t)}


def random_stack(replicas, dtype=torch.float64):
    model = Sequential(Linear(2, 3), Linear(3, 2), replicas=replicas, dtype=dtype)
    model.parameters.copy_(randn(*model.parameters.shape))
    return model


def gradient_of(step, model):
    """A random gradient, always 0 in some columns: that of a unit which is never active."""
    gradient = randn(*model.parameters.shape, seed=100 + step)
    gradient[:, :4] = 0
    return gradient


def of_replica(hyperparameters, replica):
    return {name: value[replica] if isinstance(value, list) else value for name, value in hyperparameters.items()}


def assert_as_torch(model, ours, theirs, clips, factor=FACTORS["constant"]):
    """The same parameters after 1 and after 10 steps, with the gradient of each step the same for both."""
    twins = [one.clone().requires_grad_() for one in model.parameters]
    peers = [build([twin]) for build, twin in zip(theirs, twins, strict=True)]
    rates = [peer.param_groups[0]["lr"] for peer in peers]
    for step in range(10):
        gradient = gradient_of(step, model)
        model.gradients.copy_(gradient)
        ours.step(factor(step))
        assert torch.equal(model.gradients, gradient)
        for twin, peer, rate, clip, one in zip(twins, peers, rates, clips, gradient, strict=True):
            twin.grad = one.clone()
            if clip:
                torch.nn.utils.clip_grad_norm_([twin], clip)
            peer.param_groups[0]["lr"] = rate * factor(step)
            peer.step()
        if step in (0, 9):
            close(model.parameters, torch.stack([twin.detach() for twin in twins]))


@pytest.mark.parametrize("schedule", FACTORS)
@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("decay", DECAYS)
@pytest.mark.parametrize("numbers", ["one_number", "each"])
@pytest.mark.parametrize("name", CASES)
def test_optimizers_are_those_of_torch(name, numbers, decay, clip, schedule):
    ours, theirs, one_number, each = CASES[name]
    chosen = {**(one_number if numbers == "one_number" else each), "weight_decay": DECAYS[decay]}
    model = random_stack(3)
    assert_as_torch(
        model,
        ours(model, clip=CLIPS[clip], **chosen),
        [lambda p, replica=replica: theirs(p, of_replica(chosen, replica)) for replica in range(3)],
        [of_replica(CLIPS, replica)[clip] for replica in range(3)],
        FACTORS[schedule],
    )


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", CASES)
def test_a_single_model_is_optimized_as_torch_does(name, decay):
    ours, theirs, one_number, _ = CASES[name]
    chosen = {**one_number, "weight_decay": decay}
    model = random_stack(1)
    assert_as_torch(model, ours(model, clip=1.0, **chosen), [lambda p: theirs(p, dict(chosen))], [1.0])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Adagrad, torch.optim.Adagrad),
        (Adadelta, torch.optim.Adadelta),
        (RMSprop, torch.optim.RMSprop),
        (Adam, torch.optim.Adam),
        (AdamW, torch.optim.AdamW),
        (Adamax, torch.optim.Adamax),
    ],
    ids=["adagrad", "adadelta", "rmsprop", "adam", "adamw", "adamax"],
)
def test_defaults_are_those_of_torch(ours, theirs):
    model = random_stack(2)
    assert_as_torch(model, ours(model), [theirs] * 2, [0.0] * 2)


def test_the_defaults_of_sgd_but_the_learning_rate_are_those_of_torch():
    model = random_stack(2)
    assert_as_torch(model, SGD(model, 0.2), [lambda p: torch.optim.SGD(p, 0.2)] * 2, [0.0] * 2)


@pytest.mark.parametrize("steps", [range(6), [0], [3]], ids=["all", "first", "fourth"])
@pytest.mark.parametrize("changed", [{}, {"rho": 0.3, "alpha": 0.3, "beta1": 0.4, "beta2": 0.3}], ids=str)
@pytest.mark.parametrize("name", CASES)
def test_steps_are_those_of_torch_at_any_gradient_of_float32(name, changed, steps):
    ours, theirs, one_number, _ = CASES[name]
    chosen = {key: changed.get(key, value) for key, value in one_number.items()}
    powers = torch.arange(-37.0, 39.0, dtype=torch.float64)
    part = Part(torch.full((1, len(powers)), 0.5), torch.zeros(1, len(powers)))
    optimizer, twin = ours(part, **chosen), part.parameters[0].clone().requires_grad_()
    peer = theirs([twin], dict(chosen))
    for step in range(6):
        twin.grad = ((-1.0) ** step * 10.0 ** (powers * (step in steps))).float()
        part.gradients.copy_(twin.grad)
        optimizer.step()
        peer.step()
        torch.testing.assert_close(part.parameters[0], twin.detach(), rtol=1e-4, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("name", CASES)
def test_a_number_for_all_models_is_that_number_for_each_to_the_bit(name):
    ours, _, one_number, _ = CASES[name]
    trained = []
    for count in (None, 5):
        model = random_stack(5, torch.float32)
        chosen = {**one_number, "weight_decay": 0.01, "clip": 1.0}
        optimizer = ours(model, **{key: value if count is None else [value] * count for key, value in chosen.items()})
        for step in range(3):
            model.gradients.copy_(gradient_of(step, model))
            optimizer.step()
        trained.append(model.parameters)
    assert torch.equal(*trained)


@pytest.mark.parametrize("other", CASES)
@pytest.mark.parametrize("name", CASES)
def test_several_optimizers_update_each_its_own_part_as_if_it_were_alone(name, other):
    together = random_stack(5, torch.float32)
    apart = [random_stack(5, torch.float32) for _ in range(2)]
    parts = slice(0, 2), slice(2, 5)
    chosen = [CASES[name][2], CASES[other][2]]
    several = Several(
        [
            CASES[kind][0](Part(together.parameters[part], together.gradients[part]), **numbers)
            for kind, part, numbers in zip((name, other), parts, chosen, strict=True)
        ]
    )
    alone = [CASES[kind][0](model, **numbers) for kind, model, numbers in zip((name, other), apart, chosen, strict=True)]
    for step in range(3):
        for model, optimizer in zip((together, *apart), (several, *alone), strict=True):
            model.gradients.copy_(gradient_of(step, model))
            optimizer.step(1 / (1 + step))
    for part, model in zip(parts, apart, strict=True):
        assert torch.equal(together.parameters[part], model.parameters[part])


def test_a_part_has_as_many_hyperparameters_as_models():
    model = random_stack(5)
    with pytest.raises(ValueError, match="lr is one number of 0 or more, or one for each of the 2 models"):
        SGD(Part(model.parameters[:2], model.gradients[:2]), lr=[0.1] * 5)


def test_a_model_that_is_not_clipped_ignores_the_clips_of_others_whatever_its_gradient():
    trained = []
    for clip in ([0.0], [0.0, 1.0]):
        model = random_stack(len(clip), torch.float32)
        optimizer = SGD(model, lr=1e-25, clip=clip)
        model.parameters.fill_(3.0)
        model.gradients.fill_(1e25)  # finite, but its norm is not
        optimizer.step()
        trained.append(model.parameters[0])
    assert trained[0].isfinite().all()
    assert torch.equal(*trained)


def test_a_model_that_does_not_decay_ignores_the_decay_of_others_whatever_its_parameters():
    trained = []
    for decay in ([0.0], [0.0, 0.1]):
        model = random_stack(len(decay), torch.float32)
        optimizer = SGD(model, lr=0.1, weight_decay=decay)
        model.parameters.fill_(torch.inf)
        model.gradients.fill_(1.0)
        optimizer.step()
        trained.append(model.parameters[0])
    assert (trained[0] == torch.inf).all()
    assert torch.equal(*trained)


@pytest.mark.parametrize("value", [1.0, 1.5, [0.9, 1.0, 0.9]], ids=str)
@pytest.mark.parametrize(
    ("name", "key"),
    [("adam", "beta1"), ("adam", "beta2"), ("adamax", "beta2"), ("adadelta", "rho"), ("rmsprop", "alpha")],
)
def test_what_an_average_keeps_is_below_1(name, key, value):
    ours, _, one_number, _ = CASES[name]
    with pytest.raises(ValueError, match=f"{key} is one number from 0 to below 1, or one for each of the 3 models"):
        ours(random_stack(3), **{**one_number, key: value})


def hyperparameters_of(name):
    return [*CASES[name][2], "weight_decay", "clip"]


@pytest.mark.parametrize("value", [-0.1, [0.1, -0.1, 0.1], float("nan"), float("inf"), [0.1, 0.1], [0.1] * 4, []], ids=str)
@pytest.mark.parametrize(("name", "key"), [(name, key) for name in CASES for key in hyperparameters_of(name)])
def test_hyperparameters_are_one_number_of_0_or_more_or_one_for_each_model(name, key, value):
    ours, _, one_number, _ = CASES[name]
    with pytest.raises(
        ValueError, match=f"{key} is one number (of 0 or more|from 0 to below 1), or one for each of the 3 models: .* was given"
    ):
        ours(random_stack(3), **{**one_number, key: value})


@pytest.mark.parametrize("value", ["0.1", None, [[0.1], [0.1, 0.2]]], ids=str)
def test_hyperparameters_are_numbers(value):
    with pytest.raises(ValueError, match=r"lr is one number, or one for each of the 3 models: .* was given"):
        SGD(random_stack(3), lr=value)


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (lambda: random_stack(2).parameters, "a Tensor"),
        (lambda: [random_stack(2).parameters], "a list"),
        (lambda: torch.nn.Linear(2, 2), "a Linear"),
        (lambda: Sequential, "the class Sequential"),
    ],
    ids=["parameters", "list", "of torch", "class"],
)
def test_an_optimizer_takes_the_model(model, kind):
    with pytest.raises(ValueError, match=rf"an optimizer takes a model, .*: {kind} was given; write SGD\(model\)"):
        SGD(model(), lr=0.1)


@pytest.mark.parametrize("hyperparameters", [{}, {"momentum": 0.0}, {"momentum": [0.0, 0.0, 0.0]}], ids=str)
def test_nesterov_needs_a_momentum(hyperparameters):
    with pytest.raises(ValueError, match="nesterov=True needs a momentum above 0"):
        SGD(random_stack(3), nesterov=True, **hyperparameters)


@pytest.mark.parametrize("name", CASES)
def test_an_optimizer_moves_the_weights_that_the_layers_see(name):
    ours, _, one_number, _ = CASES[name]
    model = random_stack(2)
    before = model.layers[1].weight.clone()
    model.layers[1].weight_gradient.fill_(1.0)
    ours(model, **one_number).step()
    assert (model.layers[1].weight < before).all()


def test_an_optimizer_prints_its_hyperparameters_and_models():
    model = random_stack(2)
    several = Several([Adam(Part(model.parameters[:1], model.gradients[:1]), lr=0.1), SGD(model, [0.5, 0.25], momentum=0.9)])
    assert repr(several) == (
        "Adam(lr=0.1, weight_decay=0, clip=0, beta1=0.9, beta2=0.999, eps=1e-08)  # replicas=1, of 17 parameters each\n"
        "SGD(lr=[0.5, 0.25], weight_decay=0, clip=0, momentum=0.9, nesterov=False)  # replicas=2, of 17 parameters each"
    )


def test_a_number_that_is_another_one_in_the_precision_of_the_model_is_told_with_it():
    Adam(random_stack(1), beta2=0.99999999)
    with pytest.raises(ValueError, match=r"beta2 .* below 1, .*: 0.99999999 was given, as torch.float32"):
        Adam(random_stack(1, torch.float32), beta2=0.99999999)
