"""A network is a sequence of modules; each knows its value and the gradient that it hands on.

The shapes are the same everywhere: `(R, features, samples)`, replicas first, samples last. A module reduces over features
or samples, never over replicas, and never asks how many there are.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NoReturn

import torch
from torch import Tensor

from framework.streams import CPU, derive


class Module:
    """One step of a network, y = f(x), for R replicas.

    A subclass defines `forward` and `backward`. `forward(x, train=True)` keeps what `backward` needs; `forward(x, train=False)`
    leaves that alone, so that an evaluation never disturbs a pending `backward`. Neither writes into what it is given.
    """

    parameter_names: tuple[str, ...] = ()
    options: tuple[str, ...] = ()  # attributes to print, as the constructor takes them
    takes: int | None = None  # how many features must come in, where the module itself decides that
    stack: object = None  # marks the outermost Sequential that took the module in last

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(words(getattr(self, name)) for name in self.options)})"

    def __call__(self, *_: object, **__: object) -> NoReturn:
        """Raise TypeError: a module is no function."""
        raise TypeError(
            f"a module is used by name, and {type(self).__name__} was called: write predict(model, inputs) for rows "
            "(samples, features), or model.forward(x) for x (replicas, features, samples)"
        )

    def forward(self, x: Tensor, train: bool = True) -> Tensor:
        """y `(R, features out, samples)` from x `(R, features in, samples)`."""
        raise NotImplementedError

    def backward(self, gradient: Tensor) -> Tensor:
        """dL/dx from dL/dy, at the x of the last `forward(train=True)`; fills the gradients of the parameters."""
        raise NotImplementedError

    def accumulate(self, gradient: Tensor) -> None:
        """Fill the gradients of the parameters as `backward` does, where nobody asks for dL/dx: before the first module."""
        self.backward(gradient)

    def connect(self, features: int | None) -> int | None:
        """Learn how many features come in, None where no layer has said so yet; returns how many go out."""
        return features

    def parameter_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of each of `parameter_names` in one replica; known once connected."""
        return ()

    def size(self) -> int:
        """Number of parameters of one replica."""
        return sum(math.prod(shape) for shape in self.parameter_shapes())

    def bind(self, parameters: Tensor, gradients: Tensor) -> None:
        """Make each parameter `name`, and `name_gradient`, a view of this module's columns of the flat `(R, P)` tensors."""
        start = 0
        for name, shape in zip(self.parameter_names, self.parameter_shapes(), strict=True):
            columns = slice(start, start + math.prod(shape))
            setattr(self, name, parameters[:, columns].unflatten(1, shape))
            setattr(self, f"{name}_gradient", gradients[:, columns].unflatten(1, shape))
            start = columns.stop

    def start(self) -> None:
        """Set parameters to their first values where a constant is the convention (gain 1, shift 0)."""

    def seed(self, seeds: Sequence[int], device: torch.device = CPU) -> None:
        """Start the random streams of a module that draws during training: one seed per replica, equal seeds draw alike."""

    def modules(self) -> Iterator["Module"]:
        """This module, or the ones it is made of."""
        yield self

    def join(self, stack: object) -> None:
        """Belong to that stack from now on."""
        self.stack = stack


class Sequential(Module):
    """f_n(... f_2(f_1(x))), as a stack of `replicas` models of this structure.

    All parameters live in `parameters` and all gradients in `gradients`, both `(R, P)`, so that an optimizer is a few
    operations whatever the depth. They start at zero, gains at one: `framework.initialize` draws them.
    Without a `device`, they are on torch's default one.

    Raises ValueError where a layer is none of this framework's modules, does not fit the one before it, or is there twice, and
    where `replicas` is no number from 1 or `dtype` no floating one of torch.

    >>> from framework import Linear, Tanh
    >>> model = Sequential(Linear(2, 25), Tanh(), Linear(25, 2), replicas=4)
    >>> model.parameters.shape
    torch.Size([4, 127])
    """

    def __init__(
        self, *layers: Module, replicas: int = 1, dtype: torch.dtype = torch.float32, device: str | torch.device | None = None
    ) -> None:
        for layer in layers:
            _require_module(layer)
        if not is_count(replicas):
            raise ValueError(f"a stack has one model or more: replicas={replicas!r} was given")
        if not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
            raise ValueError(f"dtype is torch.float32 or torch.float64: {dtype!r} was given")
        self.layers = layers
        parts = [id(module) for module in self.modules()]
        if len({*parts}) < len(parts):
            raise ValueError(
                "a module keeps what its backward needs, so that it has one place in a Sequential: one was given twice; "
                "write Tanh() once for each place"
            )
        self.initialized: set[int] = set()  # replicas whose first parameters were drawn
        self.join(object())
        self.outputs = self.connect(None)
        self.takes = next((layer.takes for layer in layers if layer.takes is not None), None)
        self.bind(*torch.zeros(2, replicas, self.size(), dtype=dtype, device=device))
        self.start()

    def __repr__(self) -> str:
        layers = "".join(f"    {module!r},\n" for module in self.modules())
        return f"Sequential(\n{layers}    replicas={self.replicas},\n)  # of {self.size():,} parameters each"

    @property
    def replicas(self) -> int:
        """R, the number of models in the stack."""
        return self.parameters.shape[0]

    def forward(self, x: Tensor, train: bool = True) -> Tensor:
        for layer in self.layers:
            x = layer.forward(x, train)
        return x

    def backward(self, gradient: Tensor) -> Tensor:
        for layer in reversed(self.layers):
            gradient = layer.backward(gradient)
        return gradient

    def accumulate(self, gradient: Tensor) -> None:
        for layer in reversed(self.layers[1:]):
            gradient = layer.backward(gradient)
        for layer in self.layers[:1]:
            layer.accumulate(gradient)

    def connect(self, features: int | None) -> int | None:
        for layer in self.layers:
            features = layer.connect(features)
        return features

    def size(self) -> int:
        return sum(layer.size() for layer in self.layers)

    def bind(self, parameters: Tensor, gradients: Tensor) -> None:
        self.parameters, self.gradients = parameters, gradients
        sizes = [layer.size() for layer in self.layers]
        for layer, *flat in zip(self.layers, parameters.split(sizes, 1), gradients.split(sizes, 1), strict=True):
            layer.bind(*flat)

    def start(self) -> None:
        for layer in self.layers:
            layer.start()

    def seed(self, seeds: Sequence[int], device: torch.device = CPU) -> None:
        for index, layer in enumerate(self.layers):
            layer.seed([derive(seed, index) for seed in seeds], device)

    def modules(self) -> Iterator[Module]:
        for layer in self.layers:
            yield from layer.modules()

    def join(self, stack: object) -> None:
        self.stack = stack
        for layer in self.layers:
            layer.join(stack)


def is_count(given: object) -> bool:
    """True for a whole number from 1, of Python or numpy."""
    return hasattr(type(given), "__index__") and int(given) >= 1  # type: ignore[call-overload]


def words(value: object) -> str:
    """A number, or the numbers of several models: one where all are equal, else their list."""
    values = [f"{number:g}" for number in value.flatten().tolist()] if isinstance(value, Tensor) else [f"{value:g}"]
    return values[0] if len({*values}) == 1 else f"[{', '.join(values)}]"


def _require_module(layer: object) -> None:
    """Raise ValueError where a layer is a class, or of another library."""
    if isinstance(layer, type) and issubclass(layer, Module):
        raise ValueError(f"a layer is an object: the class {layer.__name__} was given; write {layer.__name__}()")
    if not isinstance(layer, Module):
        raise ValueError(
            f"a layer is a module of this framework: {layer!r} of {type(layer).__module__} was given; write framework.Linear, "
            "framework.Tanh and so on, one after the other, or a subclass of framework.Module"
        )
