"""The settings of one model: what each key of `[base]` may be, and which combinations mean something.

Settings are plain values: numbers, strings, lists and, for what has parameters of its own, tables with a `name`. Resolved
settings name every key and every parameter, so that equal settings are equal models.
"""

import math
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import framework as fw
from studies import build
from studies.errors import UserError, unknown

Settings = Mapping[str, Any]
MANY = 1_000_000_000  # more of anything is a slip of the finger
NO_LAYERS = "none"  # what an empty list of hidden layers is called
WIDEST = 100_000  # units of a layer, whose weights have to fit the memory

DEFAULTS: dict[str, Any] = {
    "hidden": [25, 25, 25],
    "activation": "tanh",
    "outputs": "classes",
    "output": "auto",
    "decision": "auto",
    "init": "xavier",
    "output_init": "same",
    "bias_init": "zeros",
    "batchnorm": "none",
    "dropout": 0.0,
    "loss": "cross_entropy",
    "reduction": "mean",
    "optimizer": {"name": "sgd"},
    "schedule": {"name": "constant"},
    "clip": 0.0,
    "batch_size": 100,
    "epochs": 200,
    "shuffle": "epoch",
    "history_every": 20,
    "gradient_norms": False,
    "keep_predictions": False,
    "engine": "stack",
    "dtype": "float32",
}


class Rule(NamedTuple):
    """What a value may be, in words and as a test, and what it is kept as: 1 and 1.0 are one learning rate."""

    words: str
    holds: Callable[[Any], bool]
    kept: Callable[[Any], Any] = lambda value: value


def number(low: float = -math.inf, high: float = math.inf, *, above: bool = False, below: bool = False) -> Rule:
    """A finite number from `low` to `high`; `above` and `below` exclude the ends."""
    words = "a number" + (f" above {low:g}" if above else f" from {low:g}" if low > -math.inf else "")
    words += f" below {high:g}" if below else f" to {high:g}" if high < math.inf else ""

    def holds(value: Any) -> bool:  # noqa: ANN401
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
            return False
        return (value > low if above else value >= low) and (value < high if below else value <= high)

    return Rule(words, holds, float)


def whole(low: int, high: int = MANY) -> Rule:
    """A whole number of at least `low`, and at most `high`."""
    words = f"a whole number from {low}" + (f" to {high:,}" if high < MANY else "")
    return Rule(words, lambda value: type(value) is int and low <= value <= high)


def choice(*names: str) -> Rule:
    """One of a few names."""
    return Rule("one of " + ", ".join(names), lambda value: value in names)


flag = Rule("true or false", lambda value: isinstance(value, bool))
text = Rule("a text", lambda value: isinstance(value, str) and value.encode(errors="ignore").decode() == value)
line = Rule(  # no underscore: legends of pictures leave such labels out
    "a text of one line that does not begin with '_'",
    lambda value: isinstance(value, str) and value.isprintable() and value.strip() != "" and not value.startswith("_"),
)

_SIMPLE: dict[str, Rule] = {
    "hidden": Rule(
        f"a list of widths, each {whole(1, WIDEST).words}",
        lambda value: isinstance(value, list) and all(whole(1, WIDEST).holds(width) for width in value),
    ),
    "outputs": choice("classes", "single"),
    "output": choice("auto", *build.OUTPUTS),
    "decision": choice("auto", *build.DECISIONS),
    "dropout": number(0, 1, below=True),
    "loss": choice(*build.LOSSES),
    "reduction": choice("mean", "sum"),
    "clip": number(0),
    "batch_size": Rule('a whole number from 1, or "full"', lambda value: value == "full" or whole(1).holds(value)),
    "epochs": whole(1),
    "shuffle": choice("epoch", "once", "never"),
    "history_every": whole(0),
    "gradient_norms": flag,  # in history.csv, of every layer
    "keep_predictions": flag,  # of the test rows, else validation, else training, in predictions.csv
    "engine": choice("stack", "torch_nn"),  # or torch.nn, autograd and torch.optim, one model at a time, for comparison
    "dtype": choice(*build.DTYPES),
}
_NAMED: dict[str, Mapping[str, Callable[..., Any]]] = {
    "init": build.INITIALIZERS,
    "output_init": build.INITIALIZERS,
    "bias_init": build.BIASES,
    "optimizer": build.OPTIMIZERS,
    "schedule": build.SCHEDULES,
}
_BATCHNORM = {"position": "before", **build.parameters_of(fw.BatchNorm)}
_PARAMETERS: dict[str, Rule] = {
    "mean": number(),
    "sd": number(0, above=True),
    "lr": number(0, above=True),
    "momentum": number(0, 1, below=True),
    "nesterov": flag,
    "weight_decay": number(0),
    "alpha": number(0, 1, below=True),
    "rho": number(0, 1, below=True),
    "beta1": number(0, 1, below=True),
    "beta2": number(0, 1, below=True),
    "eps": number(0, above=True),
    "factor": number(0, 1, above=True),
    "every": whole(1),
    "low": number(0, 1),
    "period": whole(2),
    "affine": flag,
    "position": choice("before", "after"),
    "evaluate": choice("running", "batch"),
    "gradient": choice("exact", "straight_through"),
    "unbiased": flag,
}


def require(where: str, value: object, rule: Rule) -> Any:  # noqa: ANN401
    """The value as it is kept. Raises UserError unless it keeps the rule."""
    if not rule.holds(value):
        raise UserError(f"{where} is {rule.words}: {value!r} was given")
    return rule.kept(value)


def require_keys(where: str, table: object, allowed: Mapping[str, object]) -> None:
    """Raise UserError unless `table` is a table whose keys are all allowed."""
    if not isinstance(table, Mapping):
        raise UserError(f"{where} is a table: {table!r} was given")
    for key in table:
        if key not in allowed:
            raise UserError(f"{where}: {unknown('key', key, allowed)}")


def resolve(settings: Settings, where: str) -> dict[str, Any]:
    """Settings with every default, name and parameter filled in, checked one by one and together.

    Raises UserError, which begins with `where`.
    """
    require_keys(where, settings, DEFAULTS)
    full = {**DEFAULTS, **settings}
    inside = f"{where}." if where.isidentifier() else f"{where}: "
    for key, rule in _SIMPLE.items():
        full[key] = require(f"{inside}{key}", full[key], rule)
    full["activation"] = _activations(full["activation"], full["hidden"], f"{inside}activation")
    full["batchnorm"] = _batchnorm(full["batchnorm"], f"{inside}batchnorm")
    if full["output_init"] == "same":
        full["output_init"] = full["init"]
    for key, factories in _NAMED.items():
        full[key] = _named(full[key], factories, f"{inside}{key}")
    if full["output"] == "auto":
        full["output"] = "linear" if full["loss"] == "cross_entropy" else "sigmoid"
    if full["decision"] == "auto":
        full["decision"] = "argmax" if full["outputs"] == "classes" else "threshold"
    problem = _contradiction(full)
    if problem:
        raise UserError(f"{where}: {problem}")
    return full


def require_setting(where: str, key: str, what: str) -> None:
    """Raise UserError unless `key` is a setting, or, dotted, may be a parameter of one: "optimizer.lr"."""
    outer, dot, _ = key.partition(".")
    if outer not in DEFAULTS:
        raise UserError(f"{where}: {unknown(what, key, DEFAULTS)}")
    if dot and outer not in (*_NAMED, "batchnorm"):
        raise UserError(f"{where}: {outer!r} has no parameters, so {key!r} means nothing")


def assign(settings: Settings, key: str, value: object) -> dict[str, Any]:
    """Settings with `key` set; a dotted key reaches into a table."""
    outer, _, inner = key.partition(".")
    if not inner:
        return {**settings, key: value}
    table = settings.get(outer, DEFAULTS[outer])
    if isinstance(table, str):
        table = {"name": table}
    return {**settings, outer: {**table, inner: value}}


def flat(settings: Settings) -> dict[str, Any]:
    """Resolved settings as columns: a name under the key itself, its parameters in dotted form, lists joined by "-" or "+"."""
    columns: dict[str, Any] = {}
    for key, value in settings.items():
        if key == "hidden":
            columns[key] = "-".join(map(str, value)) or NO_LAYERS
        elif key == "activation":
            columns[key] = "+".join(value) if len(set(value)) > 1 else "".join(value[:1]) or NO_LAYERS
        elif isinstance(value, Mapping):
            columns[key] = value["name"]
            if len(value) > 1:
                columns |= {f"{key}.{name}": parameter for name, parameter in value.items()}
        else:
            columns[key] = value
    return columns


def _activations(value: object, hidden: list[int], where: str) -> list[str]:
    """One activation for each hidden layer."""
    names: list[Any] = value if isinstance(value, list) else [value] * len(hidden)
    for name in names:
        if not isinstance(name, str) or name not in build.ACTIVATIONS:
            raise UserError(f"{where}: {unknown('activation', name, build.ACTIVATIONS)}")
    if len(names) != len(hidden):
        raise UserError(f"{where} is one name, or one for each of the {len(hidden)} hidden layers: {value!r} was given")
    return names


def _named(value: object, factories: Mapping[str, Callable[..., Any]], where: str) -> dict[str, Any]:
    """A name, or a table with a name and parameters, as the full table."""
    table = {"name": value} if isinstance(value, str) else value
    if not isinstance(table, Mapping) or "name" not in table:
        raise UserError(f"{where} is a name, or a table with a name: {value!r} was given; names: {', '.join(factories)}")
    if not isinstance(table["name"], str) or table["name"] not in factories:
        raise UserError(f"{where}: {unknown('name', table['name'], factories)}")
    parameters = build.parameters_of(factories[table["name"]])
    require_keys(f"{where} ({table['name']})", table, {"name": None, **parameters})
    full = {"name": table["name"], **parameters, **table}
    return {"name": full["name"], **{name: require(f"{where}.{name}", full[name], _PARAMETERS[name]) for name in parameters}}


def _batchnorm(value: object, where: str) -> dict[str, Any]:
    """None, simplified or affine, or a table of options, as the full table."""
    names = {"simplified": False, "affine": True}
    if value in ("none", {"name": "none"}):
        return {"name": "none"}
    table = {"name": value} if isinstance(value, str) else value
    if not isinstance(table, Mapping):
        raise UserError(f"{where} is one of none, {', '.join(names)}, or a table of options: {value!r} was given")
    require_keys(where, table, {"name": None, **_BATCHNORM})
    if not isinstance(table.get("name", "affine"), str) or table.get("name", "affine") not in names:
        reason = (
            "'none' has no parameters" if table["name"] == "none" else unknown("batch norm", table["name"], ["none", *names])
        )
        raise UserError(f"{where}: {reason}")
    given = {**_BATCHNORM, "affine": names[table.get("name", "affine")], **table}
    full = {name: require(f"{where}.{name}", given[name], _PARAMETERS[name]) for name in _BATCHNORM}
    name = "affine" if full["affine"] else "simplified"
    if table.get("name", name) != name:
        raise UserError(f"{where}: {table['name']!r} and affine = {str(full['affine']).lower()} contradict: leave one out")
    return {**full, "name": name}


def _contradiction(full: Settings) -> str:
    """Why these settings mean nothing together, or an empty text."""
    single, loss, output = full["outputs"] == "single", full["loss"], full["output"]
    if loss == "cross_entropy" and output != "linear":
        return f"cross-entropy has the softmax inside and takes logits: output = {output!r} was given; write output = 'auto'"
    if loss == "cross_entropy" and single:
        return (
            "cross-entropy is over two outputs or more: outputs = 'single' was given; write outputs = 'classes' or loss = 'bce'"
        )
    if loss == "bce" and output not in ("sigmoid", "softmax"):
        return f"BCE takes probabilities: output = {output!r} was given; write output = 'sigmoid' or 'auto'"
    if output == "softmax" and single:
        return "the softmax of a single output is always 1: write output = 'sigmoid', or outputs = 'classes'"
    if (full["decision"] == "argmax") == single:
        return f"decision = {full['decision']!r} does not fit outputs = {full['outputs']!r}: write decision = 'auto'"
    optimizer = full["optimizer"]
    if optimizer.get("nesterov") and not optimizer["momentum"]:
        return "Nesterov's rule looks ahead along the momentum: nesterov = true needs a momentum above 0"
    if full["engine"] == "torch_nn":
        norm = full["batchnorm"]
        if norm.get("gradient") == "straight_through":
            return "torch.nn's batch norm has the exact gradient only: for gradient = 'straight_through' write engine = 'stack'"
        if norm.get("unbiased"):
            return "torch.nn's batch norm divides the variance by n only: for unbiased = true write engine = 'stack'"
        if full["gradient_norms"]:
            return "gradient norms are recorded from the framework's layers: for gradient_norms = true write engine = 'stack'"
    return ""
