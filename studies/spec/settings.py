"""The settings of one model: what each key of `[base]` may be, and which combinations mean something.

Settings are plain values: numbers, strings, lists and, for what has parameters of its own, tables with a `name`. Resolved
settings name every key and every parameter, so that equal settings are equal models.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from studies.errors import UserError, unknown
from studies.spec import engines
from studies.spec.components import (
    ACTIVATIONS,
    BATCH_NORM,
    BUILT_IN,
    DECISIONS,
    DTYPES,
    OUTPUTS,
    Component,
    Known,
    Loss,
    options,
    with_name,
)
from studies.spec.engines import ENGINES
from studies.spec.rules import Rule, choice, flag, number, require, require_keys, toml, whole_number

Settings = Mapping[str, Any]
Words = tuple[str, str, str]  # rule, default and meaning
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
    "engine": engines.AUTO,
    "dtype": "float32",
}

MEANINGS: dict[str, str] = {
    "hidden": "Widths of the hidden layers, first to last; `[]` for a linear model.",
    "activation": "Activation after each hidden layer: one name for all, or a list with one for each.",
    "outputs": "`classes`: one output for each class; `single`: one output, for two classes.",
    "output": "Activation of the output layer. `auto`: `linear` with cross-entropy, else `sigmoid`.",
    "decision": "From outputs to a class. `auto`: `argmax` of one output for each class, `threshold` of a single one.",
    "init": "Initializer of the weights.",
    "output_init": "Initializer of the weights of the output layer. `same`: that of `init`.",
    "bias_init": "Initializer of the biases.",
    "batchnorm": "Batch norm of every hidden layer: none, without gain and shift (`simplified`), or with both (`affine`).",
    "dropout": "Probability that a hidden unit is dropped in training; the others are divided by 1 - p.",
    "loss": "Loss of one sample; summed over its outputs.",
    "reduction": "Loss of a batch: mean or sum over its samples. A sum multiplies gradients by the batch size.",
    "optimizer": 'Update rule. Write `optimizer = { name = "adam", lr = 0.01 }` for other parameters than the defaults.',
    "schedule": "Factor on the learning rate, by epoch.",
    "clip": "Largest norm of a model's gradient; longer ones are scaled to it. 0: never.",
    "batch_size": "Samples in a batch; the last batch of an epoch has the rest. `full`: all training rows.",
    "epochs": "Passes over the training rows.",
    "shuffle": "Order of the samples: drawn again every epoch, once, or never (as in the data).",
    "history_every": "Epochs from one line of `history.csv` to the next; the last epoch has one always. 0: the last alone.",
    "gradient_norms": "Record the gradient norm of every layer in `history.csv`.",
    "keep_predictions": "Record outputs and loss of each judged row (test, else validation, else training) in predictions.csv.",
    "engine": " ".join(f"`{name}`: {meaning}" for name, meaning in engines.MEANINGS.items()),
    "dtype": "Floating-point type that training computes in.",
}
PARAMETERS: dict[str, str] = {  # of a component, or of all components of a key
    "optimizer.lr": "Learning rate.",
    "optimizer.weight_decay": "Factor of the parameters that is added to their gradient. 0: none.",
    "adamw.weight_decay": "Share of the parameters that a step at learning rate 1 takes away, apart from the gradient.",
    "optimizer.eps": "Number that keeps the divisor above 0.",
    "sgd.momentum": "Decay rate of the velocity. 0: none.",
    "sgd.nesterov": "Use Nesterov's rule; it needs a momentum above 0.",
    "optimizer.beta1": "Decay rate of the average gradient.",
    "optimizer.beta2": "Decay rate of the average squared gradient.",
    "adamax.beta2": "Decay rate of the largest gradient.",
    "adadelta.rho": "Decay rate of the average squares of gradients and steps.",
    "rmsprop.alpha": "Decay rate of the average squared gradient.",
    "leaky_relu.slope": "Slope below 0.",
    "prelu.slope": "First value of the learned slope below 0.",
    "elu.alpha": "Minus the limit far below 0.",
    "softplus.beta": "Sharpness of the bend at 0.",
    "hardtanh.low": "Lowest output.",
    "hardtanh.high": "Highest output.",
    "huber.delta": "Error from which on the loss is linear.",
    "hinge.margin": "Distance from the other scores that the score of the class must have.",
    "exponential.factor": "Factor on the learning rate after every epoch.",
    "warmup.length": "Epochs until the full learning rate.",
    "normal.mean": "Mean of the draws.",
    "normal.sd": "Standard deviation of the draws.",
    "step.factor": "Factor on the learning rate after every `every` epochs.",
    "step.every": "Epochs from one step to the next.",
    "cyclical.low": "Lowest factor.",
    "cyclical.period": "Epochs from one lowest factor to the next.",
    "cosine.low": "Factor at the end.",
    "batchnorm.position": "Before or after the activation.",
    "batchnorm.affine": "Learn a gain and a shift for each unit.",
    "batchnorm.evaluate": "Statistics in evaluation: running averages, or those of the rows that are evaluated.",
    "batchnorm.gradient": "`exact`, or `straight_through`: the gradient passes mean and variance as if they were constants.",
    "batchnorm.eps": "Number added to the variance.",
    "batchnorm.unbiased": "Divide the variance of a batch by n - 1 in place of n.",
    "batchnorm.momentum": 'Weight of the newest batch in the running averages; not with `evaluate = "batch"`.',
}


_SIMPLE: dict[str, Rule] = {
    "hidden": Rule(
        f"a list of widths, each {whole_number(1, WIDEST).words}",
        lambda value: isinstance(value, list) and all(whole_number(1, WIDEST).holds(width) for width in value),
    ),
    "outputs": choice("classes", "single"),
    "output": choice("auto", *OUTPUTS),
    "decision": choice("auto", *DECISIONS),
    "dropout": number(0, 1, below=True),
    "reduction": choice("mean", "sum"),
    "clip": number(0),
    "batch_size": Rule('a whole number from 1, or "full"', lambda value: value == "full" or whole_number(1).holds(value)),
    "epochs": whole_number(1),
    "shuffle": choice("epoch", "once", "never"),
    "history_every": whole_number(0),
    "gradient_norms": flag,  # in history.csv, of every layer
    "keep_predictions": flag,  # of the test rows, else validation, else training, in predictions.csv
    "engine": choice(engines.AUTO, *ENGINES),
    "dtype": choice(*DTYPES),
}
_POSITION = {"position": choice("before", "after")}  # of batch norm: before or after the activation
_TABLES = ("init", "output_init", "bias_init", "optimizer", "schedule")  # resolved to a table with a name, always


def resolve(settings: Settings, where: str, known: Known = BUILT_IN) -> dict[str, Any]:
    """Settings with every default, name and parameter filled in, checked one by one and together.

    An activation with its default parameters is its name, as is a loss without parameters.

    Raises UserError, which begins with `where`.
    """
    require_keys(where, settings, DEFAULTS)
    full = {**DEFAULTS, **settings}
    inside = f"{where}." if where.isidentifier() else f"{where}: "
    dtype = require(f"{inside}dtype", full["dtype"], _SIMPLE["dtype"])
    for key, rule in _SIMPLE.items():
        full[key] = require(f"{inside}{key}", full[key], rule, dtype)
    full["activation"] = _activations(full["activation"], full["hidden"], f"{inside}activation", dtype, known["activation"])
    loss = _named(full["loss"], known["loss"], f"{inside}loss", dtype, "loss")
    full["loss"] = loss if len(loss) > 1 else loss["name"]
    full["batchnorm"] = _batchnorm(full["batchnorm"], f"{inside}batchnorm", dtype)
    if full["output_init"] == "same":
        full["output_init"] = full["init"]
    for key in _TABLES:
        full[key] = _named(full[key], known[key], f"{inside}{key}", dtype)
    if full["output"] == "auto":
        full["output"] = _loss(full, known).auto
    if full["decision"] == "auto":
        full["decision"] = "argmax" if full["outputs"] == "classes" else "threshold"
    problem = _contradiction(full, known)
    if problem:
        raise UserError(f"{where}: {problem}")
    return full


def require_setting(where: str, key: str, what: str) -> None:
    """Raise UserError unless `key` is a setting, or, dotted, may be a parameter of one: "optimizer.lr"."""
    outer, dot, _ = key.partition(".")
    if outer not in DEFAULTS:
        raise UserError(f"{where}: {unknown(what, key, DEFAULTS)}")
    if dot and outer not in (*BUILT_IN, "batchnorm"):
        raise UserError(f"{where}: {outer!r} has no parameters, so {key!r} means nothing")


def assign(settings: Settings, key: str, value: object) -> dict[str, Any]:
    """Settings with `key` set; a dotted key reaches into a table."""
    outer, _, inner = key.partition(".")
    if not inner:
        return {**settings, key: value}
    current = settings.get(outer, DEFAULTS[outer])
    if isinstance(current, list):  # the activation of each layer
        return {**settings, outer: [{**with_name(each), inner: value} for each in current]}
    return {**settings, outer: {**with_name(current), inner: value}}


def value_at(settings: Settings, key: str, known: Known = BUILT_IN) -> Any:  # noqa: ANN401
    """The value under a key of resolved settings, which may be dotted; None where there is none.

    A parameter of the activations is a list where it differs from layer to layer.
    """
    outer, _, parameter = key.partition(".")
    if not parameter:
        return settings[outer]
    value = settings[outer]
    values = [_parameter(each, parameter, known.get(outer, {})) for each in (value if isinstance(value, list) else [value])]
    return values[0] if values and values.count(values[0]) == len(values) else values or None


def update_rule(settings: Settings) -> tuple[Any, ...]:
    """Key of the optimizer that replicas may share: its name, and the terms of its rule that are there.

    A term that only some of them need would change the rounding of the others.
    """
    table = settings["optimizer"]
    return table["name"], settings["clip"] > 0, *(table.get(key, 0) > 0 for key in ("momentum", "nesterov", "weight_decay"))


def components_of(settings: Settings) -> list[tuple[str, str]]:
    """The setting and the name of every component of resolved settings that a table of `BUILT_IN` has."""
    return [
        (key, with_name(value)["name"])
        for key in BUILT_IN
        for value in (settings[key] if isinstance(settings[key], list) else [settings[key]])
    ]


def describe() -> dict[str, Words]:
    """Every key of `[base]` with its rule, default and meaning, in words."""
    named = "a name, or a table with a name and parameters"
    rules = {key: rule.words for key, rule in _SIMPLE.items()}
    rules |= {key: f"{named}: {', '.join(components)}" for key, components in BUILT_IN.items()}
    rules["output_init"] = f"same, or {rules['output_init']}"
    rules["activation"] += "; or a list of these"
    rules["batchnorm"] = f"{named}: none, simplified, affine"
    return {key: (rules[key], toml(value), MEANINGS[key]) for key, value in DEFAULTS.items()}


def describe_parameters() -> dict[str, dict[str, Words]]:
    """Every parameter of every component with its rule, default and meaning, by "key.component"."""
    components = {f"{key}.{name}": each for key, named in BUILT_IN.items() for name, each in named.items()}
    components["batchnorm.affine"] = BATCH_NORM
    described = {
        where: {
            name: (parameter.rule.words, toml(parameter.default), _meaning(where, name))
            for name, parameter in each.parameters.items()
        }
        for where, each in components.items()
    }
    position = (_POSITION["position"].words, toml("before"), _meaning("batchnorm.affine", "position"))
    described["batchnorm.affine"] = {"position": position, **described["batchnorm.affine"]}
    return described


def _meaning(where: str, parameter: str) -> str:
    """The meaning of a parameter of the component "key.name"."""
    key, _, name = where.partition(".")
    return PARAMETERS.get(f"{name}.{parameter}") or PARAMETERS[f"{key}.{parameter}"]


def to_columns(settings: Settings) -> dict[str, Any]:
    """Resolved settings as columns: a name under the key itself, its parameters in dotted form, lists joined by "-" or "+"."""
    columns: dict[str, Any] = {}
    for key, value in settings.items():
        if key == "hidden" and isinstance(value, list):
            columns[key] = "-".join(map(str, value)) or NO_LAYERS
        elif key == "activation" and isinstance(value, list):
            columns |= _columns_of_activations(value)
        elif isinstance(value, Mapping):
            columns[key] = value["name"]
            if len(value) > 1:
                columns |= {f"{key}.{name}": parameter for name, parameter in value.items()}
        else:
            columns[key] = value
    return columns


def _columns_of_activations(value: Sequence[Any]) -> dict[str, Any]:
    """The names of the activations, and the parameters where one differs from its default: one each, or joined by "+"."""
    columns = {"activation": _joined([with_name(each)["name"] for each in value]) or NO_LAYERS}
    for parameter in dict.fromkeys(parameter for each in value for parameter in options(each)):
        found = [_parameter(each, parameter, ACTIVATIONS) for each in value]
        columns[f"activation.{parameter}"] = _joined(found)
    return columns


def _joined(values: list[Any]) -> Any:  # noqa: ANN401
    """The one value where all are equal, else all as a text, joined by "+"; empty where there are none."""
    if not values or values.count(values[0]) == len(values):
        return values[0] if values else ""
    return "+".join("" if value is None else str(value) for value in values)


def _parameter(value: Any, parameter: str, components: Mapping[str, Component]) -> Any:  # noqa: ANN401
    """A parameter of a component of resolved settings, by default where it is a plain name; None where it has none."""
    table = with_name(value)
    component = components.get(table["name"])
    return table.get(parameter, component.defaults.get(parameter) if component else None)


def _activations(
    value: object, hidden: list[int], where: str, dtype: str, components: Mapping[str, Component]
) -> list[str | dict[str, Any]]:
    """One activation for each hidden layer."""
    given: list[Any] = value if isinstance(value, list) else [value] * len(hidden)
    full = [_named(each, components, where, dtype, "activation") for each in given]
    if len(full) != len(hidden):
        raise UserError(f"{where} is one name, or one for each of the {len(hidden)} hidden layers: {value!r} was given")
    return [each["name"] if options(each) == components[each["name"]].defaults else each for each in full]


def _named(value: object, components: Mapping[str, Component], where: str, dtype: str, what: str = "name") -> dict[str, Any]:
    """A name, or a table with a name and parameters, as the full table."""
    table = {"name": value} if isinstance(value, str) else value
    if not isinstance(table, Mapping) or "name" not in table:
        raise UserError(f"{where} is a name, or a table with a name: {value!r} was given; names: {', '.join(components)}")
    name = table["name"]
    if not isinstance(name, str) or name not in components:
        raise UserError(f"{where}: {unknown(what, name, components)}")
    require_keys(f"{where} ({name})", table, {"name": None, **components[name].parameters})
    return {"name": name, **_parameters(components[name], table, where, dtype)}


def _parameters(component: Component, table: Mapping[str, Any], where: str, dtype: str) -> dict[str, Any]:
    """Every parameter of a component, from a table or by default, checked by its rule."""
    given = {**component.defaults, **table}
    return {name: require(f"{where}.{name}", given[name], rule, dtype) for name, (rule, *_) in component.parameters.items()}


def _batchnorm(value: object, where: str, dtype: str) -> dict[str, Any]:
    """None, simplified or affine, or a table of options, as the full table."""
    names = {"simplified": False, "affine": True}
    if value in ("none", {"name": "none"}):
        return {"name": "none"}
    table = {"name": value} if isinstance(value, str) else value
    if not isinstance(table, Mapping):
        raise UserError(f"{where} is one of none, {', '.join(names)}, or a table of options: {value!r} was given")
    require_keys(where, table, {"name": None, **_POSITION, **BATCH_NORM.parameters})
    if not isinstance(table.get("name", "affine"), str) or table.get("name", "affine") not in names:
        reason = (
            "'none' has no parameters" if table["name"] == "none" else unknown("batch norm", table["name"], ["none", *names])
        )
        raise UserError(f"{where}: {reason}")
    given = {"affine": names[table.get("name", "affine")], **table}
    position = require(f"{where}.position", table.get("position", "before"), _POSITION["position"])
    full = {"position": position, **_parameters(BATCH_NORM, given, where, dtype)}
    name = "affine" if full["affine"] else "simplified"
    if table.get("name", name) != name:
        raise UserError(f"{where}: {table['name']!r} and affine = {str(full['affine']).lower()} contradict: leave one out")
    return {**full, "name": name}


def _loss(full: Settings, known: Known) -> Loss:
    """The row of the loss of some settings."""
    component = known["loss"][with_name(full["loss"])["name"]]
    assert isinstance(component, Loss)
    return component


def _contradiction(full: Settings, known: Known) -> str:
    """The reason that these settings mean nothing together; empty where they mean something."""
    single, loss, output = full["outputs"] == "single", _loss(full, known), full["output"]
    if loss.outputs and output not in loss.outputs:
        remedy = "".join(f"output = {name!r} or " for name in loss.outputs[:1] if len(loss.outputs) > 1)
        return f"{loss.takes}: output = {output!r} was given; write {remedy}{'' if remedy else 'output = '}'auto'"
    if loss.several and single:
        return f"{loss.several}: outputs = 'single' was given; write outputs = 'classes' or loss = 'bce'"
    if output == "softmax" and single:
        return "the softmax of a single output is always 1: write output = 'sigmoid', or outputs = 'classes'"
    if (full["decision"] == "argmax") == single:
        return f"decision = {full['decision']!r} does not fit outputs = {full['outputs']!r}: write decision = 'auto'"
    optimizer = full["optimizer"]
    if optimizer.get("nesterov") and not optimizer["momentum"]:
        return "Nesterov's rule looks ahead along the momentum: nesterov = true needs a momentum above 0"
    norm = full["batchnorm"]
    if norm.get("evaluate") == "batch" and norm["momentum"] != BATCH_NORM.defaults["momentum"]:
        return "batch norm with evaluate = 'batch' keeps no running averages: leave momentum out, or write evaluate = 'running'"
    if full["clip"] and "clip" not in known["optimizer"][optimizer["name"]].settings:
        return f"the optimizer {optimizer['name']!r} takes no clip, which the optimizers of the framework do: leave clip out"
    return ""
