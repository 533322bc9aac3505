"""Checks of somebody else's modules: those of a newcomer pass, and broken ones are found out."""

import pytest
import torch
from my_parts import Swish

import framework as fw
from framework.activations import Activation

pytestmark = pytest.mark.cpu


class WrongDerivative(Swish):
    def backward(self, gradient):
        return gradient * self.s


class Rows(Swish):
    def forward(self, x, train=True):
        return super().forward(x, train).mT


class Overwrites(Swish):
    def forward(self, x, train=True):
        y = super().forward(x.clone(), train)
        x.zero_()
        return y


class AcrossReplicas(Swish):
    def forward(self, x, train=True):
        return super().forward(x - x.mean(0, keepdim=True), train)


class ForgetsBackward(Swish):
    def forward(self, x, train=True):  # noqa: ARG002
        return super().forward(x, True)


class Float32(Swish):
    def forward(self, x, train=True):
        return super().forward(x, train).float()


class OverwritesGradient(Swish):
    def backward(self, gradient):
        dx = super().backward(gradient)
        gradient.zero_()
        return dx


class Scale(fw.Module):
    """y = a x, with a learned a per feature."""

    parameter_names = ("scale",)

    def connect(self, features):
        self.features = features
        return features

    def parameter_shapes(self):
        return ((self.features, 1),)

    def forward(self, x, train=True):
        if train:
            self.x = x
        return self.scale * x

    def backward(self, gradient):
        self.scale_gradient.copy_((gradient * self.x).sum(2, keepdim=True))
        return gradient * self.scale


class AddsUp(Scale):
    """Adds to gradients, where a module fills them."""

    def backward(self, gradient):
        self.scale_gradient.add_((gradient * self.x).sum(2, keepdim=True))
        return gradient * self.scale


class ChangedNorm(fw.BatchNorm):
    """A subclass that reads what it returned, which its base class does not."""

    def forward(self, x, train=True):
        y = super().forward(x, train)
        if train:
            self.y = y
        return y * y

    def backward(self, gradient):
        return super().backward(2 * gradient * self.y)


MODULES = {
    "swish": (Swish(1.5), None),
    "scale": (Scale(), None),
    "batch norm": (fw.BatchNorm(), None),
    "dropout": (fw.Dropout(0.3), None),
    "linear": (fw.Linear(3, 2), None),
    "a changed batch norm": (ChangedNorm(), None),
    "a wrong derivative": (
        WrongDerivative(),
        r"dL/dx\[:, \d, \d\] of WrongDerivative is .* by central differences: .* was got",
    ),
    "rows": (Rows(), r"y of Rows, .* has the shape \(3, 4, 5\): \(3, 5, 4\) was got"),
    "overwritten x": (Overwrites(), "Overwrites leaves x as it is"),
    "replicas that mix": (AcrossReplicas(), "y of AcrossReplicas for replica 0 alone, and in a stack, is the same"),
    "an evaluation that disturbs": (ForgetsBackward(), "dL/dx of ForgetsBackward after an evaluation"),
    "another dtype": (Float32(), "y of Float32, .* has the dtype of x, torch.float64: torch.float32 was got"),
    "overwritten dL/dy": (OverwritesGradient(), "OverwritesGradient leaves dL/dy as it is"),
    "gradients added up": (AddsUp(), r"the gradients of the parameters of AddsUp|dL/dscale\[0\] of AddsUp is"),
    "a class": (Swish, r"check_module takes a module: .* write check_module\(MyLayer\(\)\)"),
}


@pytest.mark.parametrize(("module", "message"), MODULES.values(), ids=MODULES)
def test_a_module_is_right_or_found_out(module, message):
    if message is None:
        fw.check_module(module)
        return
    with pytest.raises(fw.ModuleError, match=message):
        fw.check_module(module)


@pytest.mark.parametrize("name", sorted(vars(fw).keys() & {each.__name__ for each in Activation.__subclasses__()}))
def test_activations_of_the_framework_pass(name):
    fw.check_module(getattr(fw, name)())


class Focal(fw.Loss):
    """-(1 - p)^gamma log p of the class, from probabilities p."""

    def __init__(self, gamma=2.0, reduction="mean"):
        super().__init__(reduction)
        self.gamma = gamma

    def __call__(self, output, target):
        value, gradient = self.terms(output, target)
        samples = output.shape[2] if self.reduction == "mean" else 1
        return value.sum((1, 2)) / samples, gradient / samples

    def terms(self, p, target):
        gradient = target * (1 - p) ** (self.gamma - 1) * (self.gamma * p.log() - (1 - p) / p)
        return -target * (1 - p) ** self.gamma * p.log(), gradient


class MeanAndSum(Focal):
    def __call__(self, output, target):
        value, gradient = super().__call__(output, target)
        return value, gradient * output.shape[2]


class OneNumber(Focal):
    def __call__(self, output, target):
        value, gradient = super().__call__(output, target)
        return value.sum(), gradient


class ValueOnly(Focal):
    def __call__(self, output, target):
        return super().__call__(output, target)[0]


class IgnoresReduction(Focal):
    def __call__(self, output, target):
        value, gradient = self.terms(output, target)
        return value.sum((1, 2)), gradient


class AcrossStack(Focal):
    def terms(self, p, target):
        return super().terms(p / p.mean(0, keepdim=True) * 0.5, target)


LOSSES = {
    "focal": (Focal(1.5), None),
    "mean and sum": (MeanAndSum(), r"dL/doutput\[:, \d, \d\] of MeanAndSum is .* by central differences: .* was got"),
    "one number": (OneNumber(), r"the value of OneNumber, one number for each replica, has the shape \(3,\): \(\) was got"),
    "value only": (ValueOnly(), "ValueOnly returns its value and its gradient"),
    "no reduction": (IgnoresReduction(), "the sum over samples by IgnoresReduction, and 5 times the mean"),
    "replicas that mix": (AcrossStack(), "the value of AcrossStack for replica 0 alone, and in a stack, is the same"),
}


@pytest.mark.parametrize(("loss", "message"), LOSSES.values(), ids=LOSSES)
def test_a_loss_is_right_or_found_out(loss, message):
    if message is None:
        fw.check_loss(loss)
        return
    with pytest.raises(fw.ModuleError, match=message):
        fw.check_loss(loss)


@pytest.mark.parametrize("name", ["MSELoss", "MAELoss", "HuberLoss", "HingeLoss", "BCELoss", "CrossEntropyLoss"])
def test_losses_of_the_framework_pass(name):
    fw.check_loss(getattr(fw, name)())


def small(shape, fan_in, fan_out, generator, gain=0.5):  # noqa: ARG001
    return gain / fan_in**0.5 * torch.randn(shape, generator=generator, dtype=torch.float64)


def from_anywhere(shape, fan_in, fan_out, generator):  # noqa: ARG001
    return torch.randn(shape)


def transposed(shape, fan_in, fan_out, generator):  # noqa: ARG001
    return torch.randn(shape, generator=generator).T


INITIALIZERS = {
    "small": (small, None),
    "the global generator": (from_anywhere, "from_anywhere draws from the generator that it is given"),
    "transposed": (transposed, r"what transposed draws has the shape \(4, 6\): \(6, 4\) was got"),
}


@pytest.mark.parametrize(("initializer", "message"), INITIALIZERS.values(), ids=INITIALIZERS)
def test_an_initializer_is_right_or_found_out(initializer, message):
    if message is None:
        fw.check_initializer(initializer)
        return
    with pytest.raises(fw.ModuleError, match=message):
        fw.check_initializer(initializer)


def test_a_check_leaves_the_module_as_it_was():
    module = Swish()
    fw.check_module(module)
    assert vars(module).keys() == vars(Swish()).keys()
