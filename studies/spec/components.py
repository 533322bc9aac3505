"""Components: the one table of names that a spec may use for parts of a model and of its training.

A row has the maker, its parameters, each with rule and default, and torch's equivalent with the names of its parameters.
Makers and torch's equivalents are paths, imported when they are first used: to read a spec takes neither.
"""

import functools
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from studies.spec.rules import Rule, choice, flag, number, whole_number

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Parameter(NamedTuple):
    """A parameter of a component.

    `torch` is its name there; empty where torch has none. Parameters of one name there are one tuple. `values` translates.
    """

    rule: Rule
    default: Any
    torch: str = ""
    values: Mapping[Any, Any] = _NOTHING


@dataclass(frozen=True)
class Component:
    """A name in a spec.

    Attributes
    ----------
    maker
        Path of the class or function, "module:name".
    parameters
        Its parameters, which a table sets beside the name.
    torch
        Path of torch's equivalent; empty where it has none, or where an engine needs none.
    fixed
        Arguments that torch's equivalent always gets.
    settings
        Settings of the model that the maker takes too.
    binds
        True for a function that is the component itself; its parameters are keyword arguments of each call.
    own
        True for one from a user's file.
    """

    maker: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    torch: str = ""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    settings: tuple[str, ...] = ()
    binds: bool = False
    own: bool = False

    @property
    def defaults(self) -> dict[str, Any]:
        """The parameters with their defaults."""
        return {name: parameter.default for name, parameter in self.parameters.items()}

    @property
    def make(self) -> Any:  # noqa: ANN401
        """The class or function, imported when it is first asked for."""
        return pkgutil.resolve_name(self.maker)

    def build(self, *arguments: object, **options: object) -> Any:  # noqa: ANN401
        """The component with these parameters."""
        if not self.binds:
            return self.make(*arguments, **options)
        return functools.partial(self.make, **options) if options else self.make

    def twin(self, **options: object) -> tuple[Any, dict[str, Any]]:
        """Torch's equivalent, and its arguments for these parameters; others have their defaults."""
        arguments: dict[str, Any] = dict(self.fixed)
        shared = [parameter.torch for parameter in self.parameters.values()]
        for name, parameter in self.parameters.items():
            value = options.get(name, parameter.default)
            value = parameter.values.get(value, value)
            if shared.count(parameter.torch) > 1:
                value = (*arguments.get(parameter.torch, ()), value)
            if parameter.torch:
                arguments[parameter.torch] = value
        return pkgutil.resolve_name(self.torch), arguments


@dataclass(frozen=True)
class Loss(Component):
    """A loss, and which outputs of a model it is for.

    Attributes
    ----------
    outputs
        Functions of the output that it takes; empty for all.
    auto
        The one that `output = "auto"` means.
    takes
        Its reason in words.
    several
        Its reason in words to want two outputs or more; empty where one will do.
    """

    settings: tuple[str, ...] = ("reduction",)
    outputs: tuple[str, ...] = ()
    auto: str = "sigmoid"
    takes: str = ""
    several: str = ""


_POSITIVE, _SHARE = number(0, above=True), number(0, 1, below=True)

ACTIVATIONS: Mapping[str, Component] = {
    "identity": Component("framework:Identity", torch="torch.nn:Identity"),
    "relu": Component("framework:ReLU", torch="torch.nn:ReLU"),
    "leaky_relu": Component(
        "framework:LeakyReLU", {"slope": Parameter(number(0, 1), 0.01, "negative_slope")}, "torch.nn:LeakyReLU"
    ),
    "prelu": Component("framework:PReLU", {"slope": Parameter(number(), 0.25, "init")}, "torch.nn:PReLU"),
    "elu": Component("framework:ELU", {"alpha": Parameter(number(0), 1.0, "alpha")}, "torch.nn:ELU"),
    "selu": Component("framework:SELU", torch="torch.nn:SELU"),
    "gelu": Component("framework:GELU", torch="torch.nn:GELU"),
    "silu": Component("framework:SiLU", torch="torch.nn:SiLU"),
    "mish": Component("framework:Mish", torch="torch.nn:Mish"),
    "softplus": Component(
        "framework:Softplus",
        {"beta": Parameter(_POSITIVE, 1.0, "beta")},
        "torch.nn:Softplus",
        {"threshold": 40.0},  # beyond it torch returns x itself, which is then equal in float64
    ),
    "hardtanh": Component(
        "framework:Hardtanh",
        {"low": Parameter(number(high=0), -1.0, "min_val"), "high": Parameter(_POSITIVE, 1.0, "max_val")},
        "torch.nn:Hardtanh",
    ),
    "tanh": Component("framework:Tanh", torch="torch.nn:Tanh"),
    "sigmoid": Component("framework:Sigmoid", torch="torch.nn:Sigmoid"),
    "softmax": Component("framework:Softmax", torch="torch.nn:Softmax", fixed={"dim": 1}),
}
OUTPUTS: Mapping[str, Component | None] = {
    "linear": None,
    **{name: ACTIVATIONS[name] for name in ("sigmoid", "tanh", "softmax")},
}
LOSSES: Mapping[str, Loss] = {
    "mse": Loss("framework:MSELoss", torch="torch.nn.functional:mse_loss"),
    "mae": Loss("framework:MAELoss", torch="torch.nn.functional:l1_loss"),
    "huber": Loss("framework:HuberLoss", {"delta": Parameter(_POSITIVE, 1.0, "delta")}, "torch.nn.functional:huber_loss"),
    "bce": Loss(
        "framework:BCELoss",
        torch="studies.train.torch_models:binary_cross_entropy",
        outputs=("sigmoid", "softmax"),
        takes="BCE takes probabilities",
    ),
    "cross_entropy": Loss(
        "framework:CrossEntropyLoss",
        torch="torch.nn.functional:cross_entropy",
        outputs=("linear",),
        auto="linear",
        takes="cross-entropy has the softmax inside and takes logits",
        several="cross-entropy is over two outputs or more",
    ),
    "hinge": Loss(
        "framework:HingeLoss",
        {"margin": Parameter(_POSITIVE, 1.0, "margin")},
        "studies.train.torch_models:multi_margin_loss",
        outputs=("linear",),
        auto="linear",
        takes="the hinge loss takes scores without bounds",
        several="the hinge loss compares two outputs or more",
    ),
}
DECISIONS: Mapping[str, Component] = {
    "argmax": Component("framework:argmax", binds=True),
    "threshold": Component("framework:threshold", binds=True),
    "round": Component("framework:rounded", binds=True),
}
DTYPES: Mapping[str, Component] = {name: Component(f"torch:{name}", binds=True) for name in ("float32", "float64")}

_GAUSSIAN = Component("framework:gaussian", {"mean": Parameter(number(), 0.0), "sd": Parameter(_POSITIVE, 1.0)})
INITIALIZERS: Mapping[str, Component] = {
    "normal": _GAUSSIAN,
    **{
        name: Component(f"framework:{name}", binds=True)
        for name in ("he", "xavier", "lecun", "uniform", "he_uniform", "xavier_uniform", "orthogonal")
    },
}
BIASES: Mapping[str, Component] = {
    "zeros": Component("framework:zeros", binds=True),
    "normal": _GAUSSIAN,
    "uniform": INITIALIZERS["uniform"],
}


def _optimizer(maker: str, lr: float, own: Mapping[str, Parameter], weight_decay: float = 0.0) -> Component:
    """An optimizer, which has a learning rate first and weight decay last."""
    decay = Parameter(number(0), weight_decay, "weight_decay")
    parameters = {"lr": Parameter(_POSITIVE, lr, "lr"), **own, "weight_decay": decay}
    return Component(f"framework:{maker}", parameters, f"torch.optim:{maker}", settings=("clip",))


def _eps(default: float) -> dict[str, Parameter]:
    return {"eps": Parameter(_POSITIVE, default, "eps")}


_BETAS = {"beta1": Parameter(_SHARE, 0.9, "betas"), "beta2": Parameter(_SHARE, 0.999, "betas")}
OPTIMIZERS: Mapping[str, Component] = {
    "sgd": _optimizer(
        "SGD", 0.1, {"momentum": Parameter(_SHARE, 0.0, "momentum"), "nesterov": Parameter(flag, False, "nesterov")}
    ),
    "adagrad": _optimizer("Adagrad", 0.01, _eps(1e-10)),
    "adadelta": _optimizer("Adadelta", 1.0, {"rho": Parameter(_SHARE, 0.9, "rho"), **_eps(1e-6)}),
    "rmsprop": _optimizer("RMSprop", 0.01, {"alpha": Parameter(_SHARE, 0.99, "alpha"), **_eps(1e-8)}),
    "adam": _optimizer("Adam", 0.001, {**_BETAS, **_eps(1e-8)}),
    "adamw": _optimizer("AdamW", 0.001, {**_BETAS, **_eps(1e-8)}, 0.01),
    "adamax": _optimizer("Adamax", 0.002, {**_BETAS, **_eps(1e-8)}),
}
BATCH_NORM = Component(
    "framework:BatchNorm",
    {
        "affine": Parameter(flag, True, "affine"),
        "evaluate": Parameter(choice("running", "batch"), "running", "track_running_stats", {"running": True, "batch": False}),
        "gradient": Parameter(choice("exact", "straight_through"), "exact"),
        "eps": Parameter(_POSITIVE, 1e-5, "eps"),
        "unbiased": Parameter(flag, False),
        "momentum": Parameter(number(0, 1, above=True), 0.1, "momentum"),
    },
    "torch.nn:BatchNorm1d",
)
_FACTOR = number(0, 1, above=True)
SCHEDULES: Mapping[str, Component] = {
    "constant": Component("framework:constant", binds=True),
    "step": Component(
        "framework:step_decay",
        {"factor": Parameter(_FACTOR, 0.5, "gamma"), "every": Parameter(whole_number(1), 10, "step_size")},
        "torch.optim.lr_scheduler:StepLR",
    ),
    "exponential": Component(
        "framework:exponential", {"factor": Parameter(_FACTOR, 0.95, "gamma")}, "torch.optim.lr_scheduler:ExponentialLR"
    ),
    "cyclical": Component(
        "framework:triangular", {"low": Parameter(number(0, 1), 0.1), "period": Parameter(whole_number(2), 20)}
    ),
    "cosine": Component("framework:cosine", {"low": Parameter(number(0, 1), 0.0)}, settings=("epochs",)),
    "warmup": Component("framework:warmup", {"length": Parameter(whole_number(1), 5)}),
}

STEPS = ("activation", "loss", "optimizer")  # settings whose components compute in every step, for all replicas at once
Known = Mapping[str, Mapping[str, Component]]  # the components of each setting that names one
BUILT_IN: Known = {
    "activation": ACTIVATIONS,
    "loss": LOSSES,
    "init": INITIALIZERS,
    "output_init": INITIALIZERS,
    "bias_init": BIASES,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
}


def with_name(value: Any) -> Mapping[str, Any]:  # noqa: ANN401
    """A component of resolved settings as a table with a name, which a plain name stands for."""
    return value if isinstance(value, Mapping) else {"name": value}


def options(value: Any) -> dict[str, Any]:  # noqa: ANN401
    """The parameters that a component of resolved settings has beside its name."""
    return {key: parameter for key, parameter in with_name(value).items() if key != "name"}


def make(components: Mapping[str, Component], value: Any, settings: Mapping[str, Any] = _NOTHING) -> Any:  # noqa: ANN401
    """The component that a value of resolved settings stands for, with those of the settings that it takes."""
    component = components[with_name(value)["name"]]
    return component.build(**options(value), **{key: settings[key] for key in component.settings})
