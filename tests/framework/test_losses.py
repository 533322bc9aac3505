import math
from functools import partial

import pytest
import torch
from oracle import assert_close_to_differences, close, difference, randn
from torch import nn

from framework import BCELoss, CrossEntropyLoss, HingeLoss, HuberLoss, MAELoss, MSELoss

pytestmark = pytest.mark.usefixtures("device")

SHAPES = [(1, 1, 1), (1, 1, 6), (1, 2, 5), (1, 10, 1), (3, 1, 4), (3, 2, 1), (4, 3, 7), (2, 10, 65)]  # (R, outputs, samples)
REDUCTIONS = ["mean", "sum"]


def any_number(shape):
    return randn(*shape, seed=1)


def probability(shape):
    return any_number(shape).sigmoid()


def distribution(shape):
    return any_number(shape).softmax(1)


def one_hot(shape):
    return nn.functional.one_hot(any_number(shape).argmax(1), shape[1]).mT.double()


LOSSES = {  # ours, torch's, outputs, targets, whether torch's mean is over outputs too
    "mse": (MSELoss, nn.MSELoss, any_number, one_hot, True),
    "mse_any_target": (MSELoss, nn.MSELoss, any_number, lambda shape: randn(*shape, seed=2), True),
    "mae": (MAELoss, nn.L1Loss, any_number, one_hot, True),
    "huber": (HuberLoss, nn.HuberLoss, any_number, one_hot, True),
    "huber_of_0.3": (partial(HuberLoss, 0.3), partial(nn.HuberLoss, delta=0.3), any_number, one_hot, True),
    "huber_of_5": (partial(HuberLoss, 5.0), partial(nn.HuberLoss, delta=5.0), any_number, one_hot, True),
    "bce": (BCELoss, nn.BCELoss, probability, one_hot, True),
    "bce_soft_target": (BCELoss, nn.BCELoss, probability, distribution, True),
    "cross_entropy": (CrossEntropyLoss, nn.CrossEntropyLoss, any_number, one_hot, False),
    "cross_entropy_soft_target": (CrossEntropyLoss, nn.CrossEntropyLoss, any_number, distribution, False),
}


def over_the_product(test):
    cases = [(name, shape) for name in LOSSES for shape in SHAPES if shape[1] > 1 or LOSSES[name][0] is not CrossEntropyLoss]
    for name, values in ((("name", "shape"), cases), ("reduction", REDUCTIONS)):
        test = pytest.mark.parametrize(name, values, ids=str)(test)
    return test


def assert_as_autograd(ours, theirs, output, target, over_outputs, scale=1.0):
    """Value and gradient of every replica are torch's, times the number of outputs where torch divides by it."""
    factor = output.shape[1] if over_outputs and ours.reduction == "mean" else 1
    value, gradient = ours(output, target)
    for replica in range(len(output)):
        rows = output[replica].T.clone().requires_grad_()
        expected = factor * theirs(rows, target[replica].T)
        close(value[replica], expected.detach())
        close(gradient[replica], (scale * torch.autograd.grad(expected, rows)[0]).T)


@over_the_product
def test_losses_are_those_of_torch(name, shape, reduction):
    ours, theirs, outputs, targets, over_outputs = LOSSES[name]
    assert_as_autograd(ours(reduction=reduction), theirs(reduction=reduction), outputs(shape), targets(shape), over_outputs)


@over_the_product
def test_losses_project_as_differences_do(name, shape, reduction):
    ours, _, outputs, targets, _ = LOSSES[name]
    loss, output, target, u = ours(reduction=reduction), outputs(shape), targets(shape), randn(*shape, seed=4)
    if ours is BCELoss:
        u = u * output * (1 - output)  # stays between 0 and 1, where its derivatives are small
    numeric = difference(lambda t: loss(output + t * u, target)[0])
    assert_close_to_differences((loss(output, target)[1] * u).sum((1, 2)), numeric)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_cross_entropy_is_that_of_torch_with_class_labels(reduction):
    output, labels = randn(3, 4, 9), randn(3, 4, 9, seed=1).argmax(1)
    value, _ = CrossEntropyLoss(reduction)(output, nn.functional.one_hot(labels, 4).mT.double())
    close(value, torch.stack([nn.CrossEntropyLoss(reduction=reduction)(*pair) for pair in zip(output.mT, labels, strict=True)]))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(
    "logits",
    [(1000.0, -1000.0), (-1000.0, 1000.0), (1000.0, 1000.0), (-1000.0, -1000.0), (1000.0, 999.0), (1e6, 0.0), (0.0, 1e6)],
    ids=str,
)
@pytest.mark.parametrize("replicas", [1, 3])
def test_cross_entropy_of_extreme_logits_is_that_of_torch(replicas, logits, reduction):
    output = torch.tensor(logits, dtype=torch.float64)[None, :, None].expand(replicas, 2, 3)
    target = torch.tensor([[1.0, 0.0, 0.3], [0.0, 1.0, 0.7]], dtype=torch.float64).expand(replicas, 2, 3)
    assert_as_autograd(CrossEntropyLoss(reduction), nn.CrossEntropyLoss(reduction=reduction), output, target, False)


@pytest.mark.parametrize("logits", [(3e38, -3e38), (0.0, -math.inf), (-3e38, -3e38), (-math.inf, 0.0)], ids=str)
def test_cross_entropy_of_the_largest_logits_is_that_of_torch_with_class_labels(logits):
    output = torch.tensor(logits)[None, :, None]
    label = torch.tensor([[output.argmax()]])
    value, gradient = CrossEntropyLoss()(output, nn.functional.one_hot(label, 2).mT.float())
    assert torch.equal(value, nn.CrossEntropyLoss()(output, label).reshape(1))
    assert gradient.isfinite().all()


@pytest.mark.parametrize("target", [0.0, 1.0])
@pytest.mark.parametrize("distance", [1e-8, 1e-6, 1e-5, 1e-3, 0.4])
def test_bce_keeps_the_digits_of_small_losses_in_float32(distance, target):
    output = torch.tensor(distance if target == 0 else 1 - distance)
    value, _ = BCELoss()(output.reshape(1, 1, 1), torch.full((1, 1, 1), target))
    torch.testing.assert_close(value, nn.BCELoss()(output, torch.tensor(target)).reshape(1), rtol=1e-6, atol=0)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("probabilities", [(0.0,), (1.0,), (0.0, 1.0), (1e-13, 1 - 1e-13), (1e-300, 1.0)], ids=str)
@pytest.mark.parametrize("replicas", [1, 3])
def test_bce_of_certain_outputs_is_that_of_torch(replicas, probabilities, reduction):
    outputs = len(probabilities)
    output = torch.tensor(probabilities, dtype=torch.float64)[None, :, None].expand(replicas, outputs, 3)
    target = torch.tensor([0.0, 1.0, 0.4], dtype=torch.float64).expand(replicas, outputs, 3)
    # The bound on y (1 - y) is 1e-12, which torch rounds to float32 for tensors of float64 too: 4e-9 less.
    scale = torch.tensor(1e-12, dtype=torch.float32).double() / 1e-12
    assert_as_autograd(BCELoss(reduction), nn.BCELoss(reduction=reduction), output, target, True, scale)


def test_mae_of_an_exact_output_has_no_gradient():
    output = randn(2, 3, 4)
    value, gradient = MAELoss()(output, output.clone())
    assert torch.equal(value, torch.zeros(2, dtype=torch.float64))
    assert torch.equal(gradient, torch.zeros_like(output))


@over_the_product
def test_losses_do_not_write_into_output_and_target(name, shape, reduction):
    ours, _, outputs, targets, _ = LOSSES[name]
    output, target = outputs(shape), targets(shape)
    before = output.clone(), target.clone()
    ours(reduction=reduction)(output, target)
    assert torch.equal(output, before[0])
    assert torch.equal(target, before[1])


@pytest.mark.parametrize(
    "ours", [MSELoss, MAELoss, HuberLoss, BCELoss, CrossEntropyLoss, HingeLoss], ids=lambda ours: ours.__name__
)
@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 2, 4), (1, 3, 4), (2, 3, 1), (3, 4)], ids=str)
def test_losses_refuse_a_target_of_another_shape(ours, shape):
    with pytest.raises(ValueError, match=r"one shape \(R, outputs, samples\): \(2, 3, 4\) and \(.*\) were given"):
        ours()(torch.full((2, 3, 4), 0.5), torch.zeros(shape))


@pytest.mark.parametrize("margin", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape[1] > 1], ids=str)
def test_the_hinge_loss_is_that_of_torch_times_the_classes(shape, reduction, margin):
    output, target = any_number(shape), randn(*shape, seed=5).argmax(1)
    one_hot_target = nn.functional.one_hot(target, shape[1]).mT.double()
    value, gradient = HingeLoss(margin, reduction)(output, one_hot_target)
    theirs = nn.MultiMarginLoss(margin=margin, reduction=reduction)
    for replica in range(shape[0]):
        rows = output[replica].T.clone().requires_grad_()
        expected = shape[1] * theirs(rows, target[replica])
        close(value[replica], expected.detach())
        close(gradient[replica], torch.autograd.grad(expected, rows)[0].T)


@pytest.mark.parametrize("target", [torch.bool, torch.float64], ids=str)
def test_the_hinge_loss_leaves_output_and_target_alone(target):
    output, one = randn(2, 3, 4), nn.functional.one_hot(randn(2, 3, 4, seed=1).argmax(1), 3).mT.to(target)
    before = output.clone(), one.clone()
    HingeLoss()(output, one)
    assert torch.equal(output, before[0])
    assert torch.equal(one, before[1])


@pytest.mark.parametrize("loss", [HingeLoss, CrossEntropyLoss], ids=lambda loss: loss.__name__)
def test_a_loss_of_several_outputs_refuses_a_single_one(loss):
    with pytest.raises(
        ValueError, match=f"{loss.__name__} compares two outputs or more: 1 was given; give the model an output"
    ):
        loss()(torch.zeros(1, 1, 3), torch.ones(1, 1, 3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: HuberLoss(0.0), "the delta of a Huber loss is a number above 0: 0.0 was given"),
        (lambda: HingeLoss(-1.0), "the margin of a hinge loss is a number above 0: -1.0 was given"),
    ],
    ids=["huber", "hinge"],
)
def test_parameters_of_losses_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_an_unknown_reduction_is_refused():
    with pytest.raises(ValueError, match="reduction is mean or sum: 'avg' was given"):
        MSELoss("avg")


def test_a_loss_prints_its_reduction():
    assert repr(MSELoss("sum")) == "MSELoss('sum')"


@pytest.mark.parametrize("outputs", [[-0.1, 0.5], [0.5, 1.1], [0.5, torch.inf]], ids=str)
def test_binary_cross_entropy_takes_probabilities(outputs):
    outputs = torch.tensor([[outputs]])
    with pytest.raises(ValueError, match=r"BCELoss takes probabilities: outputs from .* were given; end the model in Sigmoid"):
        BCELoss()(outputs, torch.ones_like(outputs))
    BCELoss()(torch.full_like(outputs, torch.nan), torch.ones_like(outputs))  # a model that diverged is a result
