"""Checks of modules, losses and initializers that somebody else wrote: shapes, gradients, replicas.

Gradients are compared with central differences in float64. A report says where, what was expected and what was got.
"""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

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
    width = features or module.takes or FEATURES
    x = _randn(REPLICAS, width, SAMPLES, seed=1)
    alone = _stack(_Given(width), module, width=width)
    _check_shapes(name, alone, x)
    _check_replicas(name, alone, module, x)
    _check_gradients(name, alone, x)
    _check_evaluation(name, alone, x)


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
    output = 0.1 + 0.8 * _rand(REPLICAS, outputs, SAMPLES, seed=1)
    classes = torch.arange(REPLICAS * SAMPLES, device=output.device).reshape(REPLICAS, 1, SAMPLES) % max(outputs, 2)
    first = 1 if outputs == 1 else 0
    target = (classes == torch.arange(first, first + outputs, device=output.device)[None, :, None]).double()
    before = output.clone(), target.clone()
    value, gradient = _pair(name, loss(output, target))
    for what, now, then in zip(("output", "target"), (output, target), before, strict=True):
        if not torch.equal(now, then):
            raise ModuleError(f"{name} leaves the {what} as it is: it was written over")
    _require_shape(f"the value of {name}, one number for each replica,", value, (REPLICAS,))
    _require_shape(f"the gradient of {name}", gradient, tuple(output.shape))
    value, gradient = value.clone(), gradient.clone()
    for replica in range(REPLICAS):
        own = loss(output[replica : replica + 1], target[replica : replica + 1])
        _require_equal(f"the value of {name} for replica {replica} alone, and in a stack", value[replica], own[0][0])
        _require_equal(f"the gradient of {name} for replica {replica} alone, and in a stack", gradient[replica], own[1][0])
    for place in _places(output):
        numeric = _difference(lambda moved: loss(moved, target)[0].clone(), output, place)
        _require_close(f"dL/doutput{_at(place)} of {name}", numeric, gradient[_index(place)])
    kept = loss.reduction
    values = {}
    for reduction in ("mean", "sum"):
        loss.reduction = reduction  # type: ignore[assignment]
        values[reduction] = loss(output, target)[0].clone()
    loss.reduction = kept
    _require_close(f"the sum over samples by {name}, and {SAMPLES} times the mean,", SAMPLES * values["mean"], values["sum"])


def check_initializer(initializer: Initializer) -> None:
    """Check an initializer: shape and type of what it draws, and that it draws from the generator it is given.

    Args:
        initializer: A function of `(shape, fan_in, fan_out, generator)`.

    Raises:
        ModuleError: The first fault that is found, with what was expected and what was got.
    """
    name = getattr(initializer, "__name__", repr(initializer))
    shape = (_FAN_OUT, _FAN_IN)

    def draw() -> Any:  # noqa: ANN401 - whatever somebody else's function returns
        return initializer(shape, _FAN_IN, _FAN_OUT, generator(7))

    state = torch.get_rng_state()
    first = draw()
    if not torch.equal(state, torch.get_rng_state()):
        raise ModuleError(f"{name} draws from the generator that it is given: it drew from torch's global one")
    _require_shape(f"what {name} draws", first, shape, dtype=None)
    if not first.isfinite().all():
        raise ModuleError(f"what {name} draws is finite: {first.flatten().tolist()} was got")
    if not torch.equal(first, draw()):
        raise ModuleError(f"{name} draws the same from generators of one seed: two calls differ")


def _check_shapes(name: str, stack: Sequential, x: Tensor) -> None:
    before = x.clone()
    y = stack.forward(x)
    _require_shape(f"y of {name}, (replicas, features, samples),", y, (REPLICAS, stack.outputs or x.shape[1], SAMPLES))
    gradient = _randn(*y.shape, seed=3)
    _require_shape(f"dL/dx of {name}", stack.backward(gradient), tuple(x.shape))
    for what, now, then in (("x", x, before), ("dL/dy", gradient, _randn(*y.shape, seed=3))):
        if not torch.equal(now, then):
            raise ModuleError(f"{name} leaves {what} as it is: it was written over")


def _check_replicas(name: str, stack: Sequential, module: Module, x: Tensor) -> None:
    """Each replica computes in a stack what it computes alone."""
    parameters = stack.parameters.clone()
    v = _randn(*stack.forward(x).shape, seed=3)
    y, dx, dp = _all(stack, x, v)
    for replica in range(REPLICAS):
        one = slice(replica, replica + 1)
        alone = _stack(_Given(x.shape[1]), module, width=x.shape[1], replicas=1)
        alone.parameters.copy_(parameters[one])
        alone.seed([replica])
        own = _all(alone, x[one], v[one], seeds=[replica])
        for what, together, single in zip(("y", "dL/dx", "the gradients of the parameters"), (y, dx, dp), own, strict=True):
            _require_equal(f"{what} of {name} for replica {replica} alone, and in a stack", together[replica], single[0])


def _check_gradients(name: str, stack: Sequential, x: Tensor) -> None:
    """Backward's gradients are central differences of v y, for random v."""
    v = _randn(*stack.forward(x).shape, seed=3)
    _, dx, dp = _all(stack, x, v)
    for place in _places(x):
        numeric = _difference(lambda moved: _value(stack, moved, v), x, place)
        _require_close(f"dL/dx{_at(place)} of {name}", numeric, dx[_index(place)])
    parameters = stack.parameters.clone()

    def value(moved: Tensor) -> Tensor:
        stack.parameters.copy_(moved)
        return _value(stack, x, v)

    for column in range(parameters.shape[1]):
        numeric = _difference(value, parameters, (column,))
        _require_close(f"dL/d{_parameter(stack, column)} of {name}", numeric, dp[:, column])
    stack.parameters.copy_(parameters)


def _check_evaluation(name: str, stack: Sequential, x: Tensor) -> None:
    """An evaluation leaves a pending backward as it is."""
    v = _randn(*stack.forward(x).shape, seed=3)
    _, dx, dp = _all(stack, x, v)
    _value(stack, x, v)
    stack.forward(_randn(*x.shape, seed=4), train=False)
    _require_equal(f"dL/dx of {name} after an evaluation", dx, stack.backward(v))
    _require_equal(f"the gradients of the parameters of {name} after an evaluation", dp, stack.gradients)


def _stack(*layers: Module, width: int, replicas: int = REPLICAS) -> Sequential:
    """A stack with random parameters, gains and slopes too."""
    stack = Sequential(*copy.deepcopy(layers), replicas=replicas, dtype=torch.float64)
    if stack.takes not in (None, width):
        raise ModuleError(f"features are those that the module takes, {stack.takes}: {width} were given")
    stack.parameters.copy_(_randn(*stack.parameters.shape, seed=5))
    return stack


def _all(stack: Sequential, x: Tensor, v: Tensor, seeds: Any = None) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ANN401
    """y, dL/dx and the gradients of the parameters, for L = sum(v y); the gradients are not what was there before."""
    stack.seed(range(len(x)) if seeds is None else seeds)
    y = stack.forward(x).clone()
    stack.gradients.fill_(123.0)
    dx = stack.backward(v.clone()).clone()
    return y, dx, stack.gradients.clone()


def _value(stack: Sequential, x: Tensor, v: Tensor) -> Tensor:
    """L = sum(v y) of each replica; what is dropped is the same at each call."""
    stack.seed(range(len(x)))
    return (v * stack.forward(x)).sum((1, 2))


def _difference(value: Callable[[Tensor], Tensor], x: Tensor, place: tuple[int, ...]) -> Tensor:
    """The derivative of value(x) by x at a place in every replica, by central differences."""
    step = torch.zeros_like(x)
    step[_index(place)] = _STEP
    above = value(x + step).clone()
    return (above - value(x - step)) / (2 * _STEP)


def _places(x: Tensor) -> Iterator[tuple[int, ...]]:
    yield from ((feature, sample) for feature in range(x.shape[1]) for sample in range(x.shape[2]))


def _index(place: tuple[int, ...]) -> tuple[Any, ...]:
    """The index of a place in every replica."""
    return (slice(None), *place)


def _parameter(stack: Sequential, column: int) -> str:
    """Name of the parameter that a column of the flat tensors belongs to."""
    for module in stack.modules():
        for name, shape in zip(module.parameter_names, module.parameter_shapes(), strict=True):
            count = torch.Size(shape).numel()
            if column < count:
                return f"{name}[{column}]"
            column -= count
    return f"parameter[{column}]"


def _at(place: tuple[int, ...]) -> str:
    return f"[:, {', '.join(map(str, place))}]"


def _pair(name: str, result: Any) -> tuple[Tensor, Tensor]:  # noqa: ANN401
    if not isinstance(result, tuple) or len(result) != 2:
        raise ModuleError(f"{name} returns its value and its gradient, dL/doutput: {result!r} was got")
    return result


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


def _randn(*shape: int, seed: int) -> Tensor:
    """Normal numbers, the same on every device."""
    drawn = torch.randn(shape, generator=generator(seed), dtype=torch.float64, device="cpu")
    return drawn.to(torch.get_default_device())


def _rand(*shape: int, seed: int) -> Tensor:
    """Uniform numbers, the same on every device."""
    drawn = torch.rand(shape, generator=generator(seed), dtype=torch.float64, device="cpu")
    return drawn.to(torch.get_default_device())
