import pytest
import torch
from oracle import (
    ACTIVATIONS,
    NORMS,
    assert_as_autograd,
    assert_close_to_differences,
    assert_evaluates_as,
    by_autograd,
    close,
    difference,
    network,
    randn,
    stack,
    twin_of,
)
from torch import nn

from framework import (
    ELU,
    BatchNorm,
    BCELoss,
    CrossEntropyLoss,
    Dropout,
    Identity,
    LeakyReLU,
    Linear,
    MAELoss,
    Module,
    MSELoss,
    PReLU,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
)
from framework.activations import Activation

pytestmark = pytest.mark.usefixtures("device")

HIDDEN = {name: pair for name, pair in ACTIVATIONS.items() if name != "softmax"}
ENDS = {  # our loss, torch's, output activation, whether torch's mean is over outputs too
    "mse": (MSELoss, nn.MSELoss, None, True),
    "mse_softmax": (MSELoss, nn.MSELoss, (Softmax, lambda: nn.Softmax(dim=1)), True),
    "mae_tanh": (MAELoss, nn.L1Loss, (Tanh, nn.Tanh), True),
    "bce_sigmoid": (BCELoss, nn.BCELoss, (Sigmoid, nn.Sigmoid), True),
    "cross_entropy": (CrossEntropyLoss, nn.CrossEntropyLoss, None, False),
}
IN_A_ROW = {  # ours and torch's, for so many features
    **{name: tuple(lambda _, build=build: build() for build in pair) for name, pair in ACTIVATIONS.items()},
    **{name: pair for name, pair in NORMS.items() if pair},
    "dropout_of_none": (lambda _: Dropout(0.0), lambda _: nn.Dropout(0.0)),
}
WITHOUT_PARAMETERS = {
    **{name: ours for name, (ours, _) in ACTIVATIONS.items() if name != "prelu"},
    "simplified": lambda: BatchNorm(affine=False),
    "simplified_batch": lambda: BatchNorm(affine=False, evaluate="batch"),
    "straight_through": lambda: BatchNorm(affine=False, gradient="straight_through"),
    "dropout": lambda: Dropout(0.4),
}
MODELS = {  # one of each module, behind a linear layer where it must learn its features from one, and whole networks
    **{name: lambda ours=ours: [ours()] for name, ours in WITHOUT_PARAMETERS.items()},
    "linear": lambda: [Linear(3, 4)],
    "prelu": lambda: [PReLU()],
    "affine": lambda: [Linear(3, 3), BatchNorm()],
    "affine_batch": lambda: [Linear(3, 3), BatchNorm(evaluate="batch")],
    "affine_straight_through": lambda: [Linear(3, 3), BatchNorm(gradient="straight_through")],
    "nothing": list,
    "without_parameters_first": lambda: [Identity(), LeakyReLU(), Dropout(0.3), Tanh(), BatchNorm(affine=False), Linear(3, 2)],
    "network": lambda: [Linear(3, 5), BatchNorm(), Tanh(), Dropout(0.3), Linear(5, 4), ELU(), Linear(4, 2), Softmax()],
    "nested": lambda: [Linear(3, 5), Sequential(ReLU(), Sequential(Linear(5, 4), BatchNorm(), PReLU())), Linear(4, 2)],
}


def over_networks(test):
    for name, values in (
        ("hidden", HIDDEN),
        ("norm", NORMS),
        ("end", ENDS),
        ("reduction", ["mean", "sum"]),
        ("replicas", [1, 3]),
    ):
        test = pytest.mark.parametrize(name, values)(test)
    return test


def network_with_data(hidden, norm, end, replicas):
    """A stack of networks 2-4-3-2, its layers of torch, inputs and one-hot targets."""
    widths = (2, 4, 3, 2)
    parts = HIDDEN[hidden], NORMS[norm], ENDS[end][2]
    x = randn(replicas, 2, 5, seed=2)
    target = nn.functional.one_hot(randn(replicas, 2, 5, seed=3).argmax(1), 2).mT.double()
    model = stack(*network(widths, *parts)[0], replicas=replicas)
    model.parameters.mul_(0.5)  # no output so certain that the logarithm of 1 - output has lost its digits
    return model, lambda: network(widths, *parts)[1], x, target


@over_networks
def test_networks_and_their_losses_are_those_of_torch(hidden, norm, end, reduction, replicas):
    model, layers, x, target = network_with_data(hidden, norm, end, replicas)
    ours, theirs, _, over_outputs = ENDS[end]
    value, gradient = ours(reduction)(model.forward(x), target)
    dx = model.backward(gradient)
    for replica, parameters in enumerate(model.parameters):
        twin, criterion = twin_of(parameters, *layers()), theirs(reduction=reduction)
        factor = torch.tensor([[2.0 if over_outputs and reduction == "mean" else 1.0]], dtype=torch.float64)

        def of_rows(rows, twin=twin, criterion=criterion, labels=target[replica].T):
            return criterion(twin(rows), labels).reshape(1, 1)

        expected = by_autograd(of_rows, twin.parameters(), x[replica], factor)
        close(value[replica], (factor * expected[0]).squeeze())
        close(dx[replica], expected[1])
        close(model.gradients[replica], expected[2])


@over_networks
def test_networks_and_their_losses_project_as_differences_do(hidden, norm, end, reduction, replicas):
    model, _, x, target = network_with_data(hidden, norm, end, replicas)
    loss = ENDS[end][0](reduction)
    parameters, u_x, u_p = model.parameters.clone(), randn(*x.shape, seed=4), randn(*model.parameters.shape, seed=5)

    def value(t):
        model.parameters.copy_(parameters + t * u_p)
        return loss(model.forward(x + t * u_x), target)[0]

    numeric = difference(value, h=1e-5)
    value(0.0)
    gradient = loss(model.forward(x), target)[1]
    assert_close_to_differences((model.backward(gradient) * u_x).sum((1, 2)) + (model.gradients * u_p).sum(1), numeric)


@pytest.mark.parametrize("second", IN_A_ROW)
@pytest.mark.parametrize("first", IN_A_ROW)
def test_any_two_modules_in_a_row_are_those_of_torch_whatever_is_evaluated_in_between(first, second):
    def layers(side):
        linear = (Linear, nn.Linear)[side]
        a, b = IN_A_ROW[first][side], IN_A_ROW[second][side]
        return [linear(3, 4), a(4), b(4), linear(4, 3), b(3), a(3)]

    model = stack(*layers(0), replicas=2)
    model.parameters.mul_(0.5)
    x, rows, gradient = randn(2, 3, 5, seed=2), randn(2, 3, 8, seed=3), randn(2, 3, 5, seed=4)
    twins = [twin_of(parameters, *layers(1)) for parameters in model.parameters]
    assert_as_autograd(model, twins, x, gradient, between=lambda: assert_evaluates_as(model, twins, rows))


@pytest.mark.parametrize("replicas", [1, 4])
def test_parameters_are_zero_but_for_gains_of_one(replicas):
    model = Sequential(Linear(2, 3), BatchNorm(), Tanh(), Linear(3, 1), replicas=replicas)
    assert model.replicas == replicas
    assert model.outputs == 1
    assert model.parameters.shape == model.gradients.shape == (replicas, 9 + 6 + 4)
    assert model.parameters.dtype == torch.float32
    assert torch.equal(model.parameters[0], torch.tensor([0.0] * 9 + [1.0] * 3 + [0.0] * 3 + [0.0] * 4))
    assert (model.parameters == model.parameters[0]).all()
    assert not model.gradients.any()


@pytest.mark.parametrize("replicas", [1, 4])
def test_weights_are_views_of_the_flat_parameters(replicas):
    model = Sequential(Sequential(Linear(2, 3), BatchNorm(), PReLU()), Linear(3, 5), replicas=replicas)
    (first, norm, prelu), last = model.layers[0].layers, model.layers[1]
    columns = {  # in the order of torch's parameters
        (first, "weight"): (3, 2),
        (first, "bias"): (3, 1),
        (norm, "gain"): (3, 1),
        (norm, "shift"): (3, 1),
        (prelu, "slope"): (1, 1),
        (last, "weight"): (5, 3),
        (last, "bias"): (5, 1),
    }
    count = model.parameters.shape[1]
    model.parameters.copy_(torch.arange(replicas * count).reshape(replicas, count))
    model.gradients.copy_(-model.parameters)
    for flat, suffix in ((model.parameters, ""), (model.gradients, "_gradient")):
        views = [getattr(layer, name + suffix) for layer, name in columns]
        assert [view.shape for view in views] == [(replicas, *shape) for shape in columns.values()]
        assert {view.untyped_storage().data_ptr() for view in views} == {flat.untyped_storage().data_ptr()}
        assert torch.equal(torch.cat([view.flatten(1) for view in views], 1), flat)
        views[0].fill_(0.5)
        assert (flat[:, :6] == 0.5).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_outputs_and_gradients_have_the_dtype_of_the_model(dtype):
    model = Sequential(*MODELS["network"](), replicas=2, dtype=dtype)
    model.seed([0, 1])
    x = randn(2, 3, 5).to(dtype)
    assert model.forward(x).dtype == dtype
    assert model.backward(randn(2, 2, 5).to(dtype)).dtype == dtype


@pytest.mark.parametrize("name", WITHOUT_PARAMETERS)
def test_a_module_without_parameters_works_alone(name):
    alone, model = WITHOUT_PARAMETERS[name](), Sequential(WITHOUT_PARAMETERS[name](), replicas=2)
    x, gradient = randn(2, 3, 5), randn(2, 3, 5, seed=1)
    before = x.clone(), gradient.clone()
    alone.seed([4, 5])
    model.layers[0].seed([4, 5])
    assert torch.equal(alone.forward(x), model.forward(x))
    assert torch.equal(alone.backward(gradient), model.backward(gradient))
    assert torch.equal(alone.forward(x, train=False), model.forward(x, train=False))
    assert torch.equal(x, before[0])
    assert torch.equal(gradient, before[1])


def model_with_data(name):
    """A stack of three, seeded; its inputs, and a gradient of its outputs."""
    model = stack(*MODELS[name](), replicas=3)
    model.seed([1, 2, 3])
    x = randn(3, 3, 6, seed=2)
    return model, x, randn(*model.forward(x, train=False).shape, seed=3)


@pytest.mark.parametrize("name", MODELS)
def test_modules_do_not_write_into_the_inputs_and_gradients_they_are_given(name):
    model, x, gradient = model_with_data(name)
    before = x.clone(), gradient.clone()
    for _ in range(2):
        model.forward(x, train=False)
        model.forward(x)
        model.backward(gradient)
    assert torch.equal(x, before[0])
    assert torch.equal(gradient, before[1])


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("samples", [1, 6, 200])
def test_an_evaluation_never_disturbs_a_pending_backward(name, samples):
    gradients = []
    for evaluate in (False, True):
        model, x, gradient = model_with_data(name)
        for _ in range(2):
            model.gradients.zero_()
            y = model.forward(x)
            kept = y.clone()
            if evaluate:
                model.forward(100 * randn(3, 3, samples, seed=7), train=False)
            assert torch.equal(y, kept)
            gradients.append((model.backward(gradient).clone(), model.gradients.clone()))
    for undisturbed, disturbed in zip(gradients[:2], gradients[2:], strict=True):
        assert torch.equal(undisturbed[0], disturbed[0])
        assert torch.equal(undisturbed[1], disturbed[1])


@pytest.mark.parametrize("train", [True, False], ids=["train", "evaluate"])
@pytest.mark.parametrize("name", MODELS)
def test_what_forward_returned_is_valid_until_the_next_forward(name, train):
    model, x, gradient = model_with_data(name)
    model.forward(x)
    y = model.forward(x, train)
    kept = y.clone()
    model.backward(gradient)
    MSELoss()(y, gradient)
    assert torch.equal(y, kept)


@pytest.mark.parametrize("name", MODELS)
def test_an_evaluation_repeats_to_the_bit_and_leaves_parameters_alone(name):
    model, x, _ = model_with_data(name)
    model.forward(x)
    before = model.parameters.clone(), model.gradients.clone()
    first = model.forward(x, train=False).clone()
    model.forward(10 * x, train=False)
    assert torch.equal(model.forward(x, train=False), first)
    assert torch.equal(model.parameters, before[0])
    assert torch.equal(model.gradients, before[1])


@pytest.mark.parametrize("name", MODELS)
def test_the_layout_of_inputs_and_gradients_in_memory_is_free(name):
    model, x, gradient = model_with_data(name)
    y, dx = model.forward(x).clone(), model.backward(gradient).clone()
    dp = model.gradients.clone()
    model.seed([1, 2, 3])
    close(model.forward(x.mT.contiguous().mT), y)
    close(model.backward(gradient.mT.contiguous().mT), dx)
    close(model.gradients, dp)


@pytest.mark.parametrize("name", MODELS)
def test_backward_sets_gradients_and_does_not_add_to_them(name):
    model, x, gradient = model_with_data(name)
    model.forward(x)
    model.backward(gradient)
    first = model.gradients.clone()
    model.gradients.fill_(7.0)
    model.backward(gradient)
    assert torch.equal(model.gradients, first)


@pytest.mark.parametrize("name", MODELS)
def test_accumulate_fills_the_gradients_that_backward_fills(name):
    model, x, gradient = model_with_data(name)
    model.forward(x)
    model.backward(gradient)
    expected = model.gradients.clone()
    model.gradients.fill_(7.0)
    model.accumulate(gradient)
    assert torch.equal(model.gradients, expected)


def test_a_nested_network_is_the_flat_one():
    layers = [[Linear(3, 5), ReLU(), Linear(5, 4), BatchNorm(), PReLU(), Linear(4, 2)] for _ in range(2)]
    a, b, c, d, e, f = layers[1]
    plain = stack(*layers[0], replicas=3)
    nested = stack(a, Sequential(b, Sequential(c, d), e), f, replicas=3)
    assert [type(module) for module in nested.modules()] == [type(module) for module in plain.modules()]
    x, gradient = randn(3, 3, 6, seed=2), randn(3, 2, 6, seed=3)
    assert torch.equal(nested.forward(x), plain.forward(x))
    assert torch.equal(nested.backward(gradient), plain.backward(gradient))
    assert torch.equal(nested.gradients, plain.gradients)
    assert torch.equal(nested.forward(x, train=False), plain.forward(x, train=False))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([Linear(2, 3), Linear(4, 1)], r"Linear\(4, 1\) was given 3; write Linear\(3, 1\)"),
        ([Linear(2, 3), Tanh(), BatchNorm(), Dropout(), Linear(2, 1)], r"Linear\(2, 1\) was given 3; write Linear\(3, 1\)"),
        ([Sequential(Linear(2, 5), ReLU()), Linear(2, 2)], r"Linear\(2, 2\) was given 5; write Linear\(5, 2\)"),
    ],
    ids=["next", "through_activations", "nested"],
)
def test_layers_that_do_not_fit_are_refused(layers, message):
    with pytest.raises(ValueError, match=message):
        Sequential(*layers)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Tanh, r"the class Tanh was given; write Tanh\(\)"),
        (nn.Tanh(), r"a layer is a module of this framework: Tanh\(\) of torch\.nn.* was given; write framework\.Linear"),
        ([Tanh()], r"a layer is a module of this framework: \[Tanh\(\)\] of builtins was given; .* one after the other"),
        (torch.tanh, "a layer is a module of this framework: .* was given"),
    ],
    ids=["class", "of torch", "list", "function"],
)
def test_layers_that_are_none_are_refused(layer, message):
    with pytest.raises(ValueError, match=message):
        Sequential(Linear(2, 3), layer)


def test_a_model_prints_its_layers_replicas_and_parameters():
    layers = Linear(2, 3), BatchNorm(), Sequential(LeakyReLU(0.2), Dropout([0.0, 0.1])), Dropout(0.5), Linear(3, 1), Sigmoid()
    model = Sequential(*layers, replicas=2)
    assert (
        repr(model)
        == """Sequential(
    Linear(2, 3),
    BatchNorm(affine=True, evaluate='running', gradient='exact', eps=1e-05, unbiased=False, momentum=0.1),
    LeakyReLU(0.2),
    Dropout([0, 0.1]),
    Dropout(0.5),
    Linear(3, 1),
    Sigmoid(),
    replicas=2,
)  # of 19 parameters each"""
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"replicas": 0}, "a stack has one model or more: replicas=0 was given"),
        ({"replicas": -1}, "a stack has one model or more: replicas=-1 was given"),
        ({"replicas": 2.5}, "a stack has one model or more: replicas=2.5 was given"),
        ({"dtype": "float64"}, "dtype is torch.float32 or torch.float64: 'float64' was given"),
        ({"dtype": torch.int64}, "dtype is torch.float32 or torch.float64: torch.int64 was given"),
    ],
    ids=str,
)
def test_options_of_a_stack_that_are_none_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Sequential(Linear(2, 3), **options)


@pytest.mark.parametrize("module", [Sequential(Linear(2, 3)), Tanh()], ids=["stack", "layer"])
def test_a_module_is_not_called(module):
    with pytest.raises(TypeError, match=rf"{type(module).__name__} was called: write predict\(model, inputs\) for rows"):
        module(torch.zeros(4, 2))


@pytest.mark.parametrize("nested", [False, True], ids=["flat", "nested"])
def test_a_module_has_one_place(nested):
    tanh = Tanh()
    with pytest.raises(ValueError, match="one place in a Sequential: one was given twice"):
        Sequential(Linear(2, 3), tanh, Linear(3, 3), Sequential(tanh) if nested else tanh)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 2, 1), (1, 2, 5), (2, 1, 5), (3, 3, 1)], ids=str)
def test_inputs_that_do_not_fit_are_refused(shape):
    with pytest.raises(ValueError, match=r"\(3, 2, any\) fits this layer, \(\d, \d, \d\) was given"):
        Sequential(Linear(2, 4), replicas=3).forward(torch.ones(shape))


def test_a_module_of_ones_own_must_say_how_it_goes_forward_and_backward():
    with pytest.raises(NotImplementedError):
        Module().forward(randn(1, 1, 1))
    with pytest.raises(NotImplementedError):
        Module().backward(randn(1, 1, 1))


@pytest.mark.parametrize("name", MODELS)
def test_evaluating_the_very_inputs_of_a_pending_backward_does_not_disturb_it(name):
    (model, x, gradient), (twin, *_) = model_with_data(name), model_with_data(name)
    model.forward(x)
    model.forward(x, train=False)
    twin.forward(x)
    assert torch.equal(model.backward(gradient), twin.backward(gradient))
    assert torch.equal(model.gradients, twin.gradients)


class Through(Module):
    """A module of somebody's own, which hands on what it is given."""

    def forward(self, x, train=True):  # noqa: ARG002 - every module takes both
        return x

    def backward(self, gradient):
        return gradient


class Swish(Activation):
    """y = x sigmoid(x), of whose derivative y is no part."""

    def function(self, x):
        return x * x.sigmoid()

    def derivative(self, x, y):  # noqa: ARG002 - every derivative takes both
        gate = x.sigmoid()
        return gate * (1 + x * (1 - gate))


class Square(ReLU):
    """y = x^2, made of another activation."""

    def function(self, x):
        return x * x

    def derivative(self, x, y):  # noqa: ARG002
        return 2 * x


class Same(Sigmoid):
    """y = x, handed on as it is."""

    def forward(self, x, train=True):  # noqa: ARG002 - every module takes both
        return x

    def backward(self, gradient):
        return gradient


OWN = {
    "reads its input": (Swish, nn.SiLU()),
    "of one that reads its output": (Square, lambda x: x * x),
    "hands on what it is given": (Same, lambda x: x),
}


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("before", [Tanh, ReLU, Identity, lambda: Dropout(0.0)], ids=["tanh", "relu", "identity", "dropout"])
@pytest.mark.parametrize("after", [Tanh, Softmax, lambda: Dropout(0.0)], ids=["tanh", "softmax", "dropout"])
def test_an_activation_of_ones_own_declares_nothing(name, before, after):
    own, theirs = OWN[name]
    model = stack(Linear(3, 4), before(), own(), after(), Linear(4, 2), replicas=2)
    x, gradient = randn(2, 3, 6, seed=2), randn(2, 2, 6, seed=3)
    for _ in range(2):
        model.forward(x)
        dx, dp = model.backward(gradient).clone(), model.gradients.clone()
    known = {Tanh: torch.tanh, ReLU: torch.relu, Softmax: lambda rows: rows.softmax(1)}
    for replica, parameters in enumerate(model.parameters):
        layers = [nn.Linear(3, 4), nn.Linear(4, 2)]
        twin_of(parameters, *layers)

        def network(rows, layers=layers):
            return layers[1](known.get(after, nn.Identity())(theirs(known.get(before, nn.Identity())(layers[0](rows)))))

        weights = [parameter for layer in layers for parameter in layer.parameters()]
        _, expected_dx, expected_dp = by_autograd(network, weights, x[replica], gradient[replica])
        close(dx[replica], expected_dx)
        close(dp[replica], expected_dp)


PASSED_THROUGH = {  # a model with something that hands on what it is given, and the same model without
    "a module at the end": (lambda: [Linear(3, 4), Sigmoid(), Through()], lambda: [Linear(3, 4), Sigmoid()]),
    "nothing at the end": (lambda: [Linear(3, 4), Sigmoid(), Sequential()], lambda: [Linear(3, 4), Sigmoid()]),
    "a module between": (lambda: [Linear(3, 4), Through(), Linear(4, 4)], lambda: [Linear(3, 4), Linear(4, 4)]),
    "nothing between": (lambda: [Linear(3, 4), Sequential(), Linear(4, 4)], lambda: [Linear(3, 4), Linear(4, 4)]),
    "a module of modules": (
        lambda: [Linear(3, 4), ReLU(), Sequential(Through(), Sigmoid(), Through()), Linear(4, 4)],
        lambda: [Linear(3, 4), ReLU(), Sigmoid(), Linear(4, 4)],
    ),
}


@pytest.mark.parametrize("name", PASSED_THROUGH)
def test_what_a_module_hands_on_as_it_was_given_is_not_written_over(name):
    with_it, without = (stack(*layers(), replicas=2) for layers in PASSED_THROUGH[name])
    x, gradient = randn(2, 3, 6, seed=2), randn(2, 4, 6, seed=3)
    before = gradient.clone()
    for _ in range(2):
        assert torch.equal(with_it.forward(x), without.forward(x))
        assert torch.equal(with_it.backward(gradient), without.backward(gradient))
        assert torch.equal(with_it.gradients, without.gradients)
        assert torch.equal(with_it.forward(x, train=False), without.forward(x, train=False))
    assert torch.equal(gradient, before)
