"""Checks of modules, losses and initializers that somebody else wrote: shapes, gradients, replicas.

Gradients are compared with central differences in float64. A report says where, what was expected and what was got.
"""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from framework.decisions import encode
from framework.initializers import Initializer
from framework.losses import Loss
from framework.module import Module, Sequential
from framework.streams import generator

REPLICAS, FEATURES, SAMPLES = 3, 4, 5
_STEP = 1e-5  # of central differences, whose error is its square, and a rounding error of 1e-16 / _STEP
_TOLERANCE = 1e-6  # relative to 1 and to the number itself
_FAN_IN, _FAN_OUT = 6, 4


class ModuleError(AssertionError):
    """A module, loss or initializer that breaks what the framework asks of it."""


class _Given(Module):
    """y = x, of a number of features that it knows."""

    def __init__(self, features: int) -> None:
        self.features = features

    def connect(self, features: int | None) -> int:  # noqa: ARG002 - the first of a Sequential
        return self.features

    def forward(self, x: Tensor, train: bool = True) -> Tensor:  # noqa: ARG002 - every module takes both
        return x

    def backward(self, gradient: Tensor) -> Tensor:
        return gradient


def check_module(module: Module, features: int | None = None) -> None:
    """Check a copy of a module: shapes, gradients, replicas, and that it writes into nothing it is given.

    Args:
        module: The module, such as `MyLayer(0.3)`; it is tried on x of shape `(3, features, 5)` in float64.
        features: Features of x; by default those that the module takes, or 4.

    Raises:
        ModuleError: The first fault that is found, with what was expected and what was got.
    """
    if not isinstance(module, Module):
        raise ModuleError(f"check_module takes a module: {module!r} was given; write check_module(MyLayer())")
    name = type(module).__name__
    x = _drawn(torch.randn, REPLICAS, features or module.takes or FEATURES, SAMPLES, seed=1)
    stack = _stack(module, x.shape[1], REPLICAS)
    _check_shapes(name, stack, x)
    v = _drawn(torch.randn, *stack.forward(x).shape, seed=3)
    found = _differentiated(stack, x, v, range(REPLICAS))
    for replica in range(REPLICAS):
        alone, one = _stack(module, x.shape[1], 1), slice(replica, replica + 1)
        alone.parameters.copy_(stack.parameters[one])
        own = _differentiated(alone, x[one], v[one], [replica])
        for what, together, single in zip(("y", "dL/dx", "the gradients of the parameters"), found, own, strict=True):
            _require_equal(f"{what} of {name} for replica {replica} alone, and in a stack", together[replica], single[0])
    _check_gradients(name, stack, x, v)
    _, dx, dp = _differentiated(stack, x, v, range(REPLICAS))
    _value(stack, x, v)
    stack.forward(_drawn(torch.randn, *x.shape, seed=4), train=False)
    _require_equal(f"dL/dx of {name} after an evaluation", dx, stack.backward(v))
    _require_equal(f"the gradients of the parameters of {name} after an evaluation", dp, stack.gradients)


def check_loss(loss: Loss, outputs: int = 3) -> None:
    """Check a loss: shapes, gradient, replicas, and the mean over samples.

    Args:
        loss: The loss, such as `MyLoss(2.0)`; its outputs are from 0.1 to 0.9, its targets one-hot, in float64.
        outputs: Outputs of the model that it compares with the targets.

    Raises:
        ModuleError: The first fault that is found, with what was expected and what was got.
    """
    if not isinstance(loss, Loss):
        raise ModuleError(f"check_loss takes a loss: {loss!r} was given; write check_loss(MyLoss())")
    name = type(loss).__name__
    output = 0.1 + 0.8 * _drawn(torch.rand, REPLICAS, outputs, SAMPLES, seed=1)
    labels = torch.arange(REPLICAS * SAMPLES, device=output.device).reshape(REPLICAS, SAMPLES) % max(outputs, 2)
    target = encode(labels, outputs).double()
    before = output.clone(), target.clone()
    result = loss(output, target)
    if not isinstance(result, tuple) or len(result) != 2:
        raise ModuleError(f"{name} returns its value and its gradient, dL/doutput: {result!r} was got")
    value, gradient = result
    _require_untouched(name, output=(output, before[0]), target=(target, before[1]))
    _require_shape(f"the value of {name}, one number for each replica,", value, (REPLICAS,))
    _require_shape(f"the gradient of {name}", gradient, tuple(output.shape))
    for replica in range(REPLICAS):
        own = loss(output[replica : replica + 1], target[replica : replica + 1])
        _require_equal(f"the value of {name} for replica {replica} alone, and in a stack", value[replica], own[0][0])
        _require_equal(f"the gradient of {name} for replica {replica} alone, and in a stack", gradient[replica], own[1][0])
    _require_derivatives(f"dL/doutput{{}} of {name}", lambda moved: loss(moved, target)[0], output, gradient)
    both = copy.copy(loss), copy.copy(loss)
    both[0].reduction, both[1].reduction = "mean", "sum"
    mean, total = (each(output, target)[0] for each in both)
    _require_close(f"the sum over samples by {name}, and {SAMPLES} times the mean,", SAMPLES * mean, total)


def check_initializer(initializer: Initializer) -> None:
    """Check an initializer: shape and type of what it draws, and that it draws from the generator it is given.

    Args:
        initializer: A function of `(shape, fan_in, fan_out, generator)`.

    Raises:
        ModuleError: The first fault that is found, with what was expected and what was got.
    """
    name, shape = getattr(initializer, "__name__", repr(initializer)), (_FAN_OUT, _FAN_IN)
    state = torch.get_rng_state()
    first, second = (initializer(shape, _FAN_IN, _FAN_OUT, generator(7)) for _ in range(2))
    if not torch.equal(state, torch.get_rng_state()):
        raise ModuleError(f"{name} draws from the generator that it is given: it drew from torch's global one")
    _require_shape(f"what {name} draws", first, shape, dtype=None)
    if not first.isfinite().all():
        raise ModuleError(f"what {name} draws is finite: {first.flatten().tolist()} was got")
    if not torch.equal(first, second):
        raise ModuleError(f"{name} draws the same from generators of one seed: two calls differ")


def _stack(module: Module, width: int, replicas: int) -> Sequential:
    """A stack of a copy of the module with random parameters, gains and slopes too."""
    stack = Sequential(_Given(width), copy.deepcopy(module), replicas=replicas, dtype=torch.float64)
    if stack.takes not in (None, width):
        raise ModuleError(f"features are those that the module takes, {stack.takes}: {width} were given")
    stack.parameters.copy_(_drawn(torch.randn, *stack.parameters.shape, seed=5))
    return stack


def _check_shapes(name: str, stack: Sequential, x: Tensor) -> None:
    before = x.clone()
    y = stack.forward(x)
    _require_shape(f"y of {name}, (replicas, features, samples),", y, (REPLICAS, stack.outputs or x.shape[1], SAMPLES))
    gradient = _drawn(torch.randn, *y.shape, seed=3)
    given = gradient.clone()
    _require_shape(f"dL/dx of {name}", stack.backward(gradient), tuple(x.shape))
    _require_untouched(name, x=(x, before), **{"dL/dy": (gradient, given)})


def _check_gradients(name: str, stack: Sequential, x: Tensor, v: Tensor) -> None:
    """Backward's gradients are central differences of v y."""
    _, dx, dp = _differentiated(stack, x, v, range(REPLICAS))
    _require_derivatives(f"dL/dx{{}} of {name}", lambda moved: _value(stack, moved, v), x, dx)
    parameters = stack.parameters.clone()

    def value(moved: Tensor) -> Tensor:
        stack.parameters.copy_(moved)
        return _value(stack, x, v)

    module = stack.layers[1]
    shapes = zip(module.parameter_names, module.parameter_shapes(), strict=True)
    names = [f"{each}[{index}]" for each, shape in shapes for index in range(torch.Size(shape).numel())]
    names += [f"parameter[{column}]" for column in range(len(names), parameters.shape[1])]  # of a Sequential
    _require_derivatives(f"dL/d{{}} of {name}", value, parameters, dp, names)
    stack.parameters.copy_(parameters)


def _differentiated(stack: Sequential, x: Tensor, v: Tensor, seeds: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """y, dL/dx and the gradients of the parameters, for L = sum(v y); the gradients are not what was there before."""
    stack.seed(seeds)
    y = stack.forward(x)
    stack.gradients.fill_(123.0)
    return y, stack.backward(v), stack.gradients.clone()


def _value(stack: Sequential, x: Tensor, v: Tensor) -> Tensor:
    """L = sum(v y) of each replica; what is dropped is the same at each call."""
    stack.seed(range(len(x)))
    return (v * stack.forward(x)).sum((1, 2))


def _require_derivatives(
    what: str, value: Callable[[Tensor], Tensor], x: Tensor, got: Tensor, names: Sequence[str] | None = None
) -> None:
    """Raise ModuleError unless `got` are the derivatives of value(x) by each place of x, by central differences."""
    names = names or [f"[:, {feature}, {sample}]" for feature in range(x.shape[1]) for sample in range(x.shape[2])]
    for column, name in enumerate(names):
        step = torch.zeros_like(x)
        step.flatten(1)[:, column] = _STEP
        numeric = (value(x + step) - value(x - step)) / (2 * _STEP)
        _require_close(what.format(name), numeric, got.flatten(1)[:, column])


def _require_untouched(name: str, **tensors: tuple[Tensor, Tensor]) -> None:
    for what, (now, before) in tensors.items():
        if not torch.equal(now, before):
            raise ModuleError(f"{name} leaves {what} as it is: it was written over")


def _require_shape(what: str, got: object, shape: tuple[int, ...], dtype: torch.dtype | None = torch.float64) -> None:
    if not isinstance(got, Tensor):
        raise ModuleError(f"{what} is a tensor: {got!r} was got")
    if tuple(got.shape) != shape:
        raise ModuleError(f"{what} has the shape {shape}: {tuple(got.shape)} was got")
    if dtype and got.dtype != dtype:
        raise ModuleError(f"{what} has the dtype of x, {dtype}: {got.dtype} was got")


def _require_equal(what: str, one: Tensor, other: Tensor) -> None:
    """Raise ModuleError unless both are equal, but for rounding."""
    if not torch.allclose(one, other, rtol=1e-10, atol=1e-10, equal_nan=True):
        worst = int((one - other).abs().argmax())
        raise ModuleError(f"{what}, is the same: {one.flatten()[worst]:.6g} and {other.flatten()[worst]:.6g} were got")


def _require_close(what: str, expected: Tensor, got: Tensor) -> None:
    if not torch.allclose(expected, got, rtol=_TOLERANCE, atol=_TOLERANCE):
        worst = int((expected - got).abs().nan_to_num(nan=torch.inf).argmax())
        raise ModuleError(f"{what} is {expected[worst]:.6g} by central differences: {got[worst]:.6g} was got (replica {worst})")


def _drawn(draw: Callable[..., Tensor], *shape: int, seed: int) -> Tensor:
    """Random numbers, the same on every device."""
    return draw(shape, generator=generator(seed), dtype=torch.float64, device="cpu").to(torch.get_default_device())
