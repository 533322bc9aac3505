"""The settings of one model: what each key of `[base]` may be, and which combinations mean something.

Settings are plain values: numbers, strings, lists and, for what has parameters of its own, tables with a `name`. Resolved
settings name every key and every parameter, so that equal settings are equal models.
"""

from collections.abc import Mapping
from typing import Any

from studies.errors import UserError, unknown
from studies.spec import build
from studies.spec.rules import Rule, choice, flag, number, require, require_keys, toml, whole

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
    "engine": "stack",
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
    "engine": "`stack`: the framework. `torch_nn`: torch.nn, autograd and torch.optim, one model at a time, for comparison.",
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
_POSITION = {"position": choice("before", "after")}  # of batch norm: before or after the activation
_NAMED: dict[str, Mapping[str, build.Component]] = {
    "init": build.INITIALIZERS,
    "output_init": build.INITIALIZERS,
    "bias_init": build.BIASES,
    "optimizer": build.OPTIMIZERS,
    "schedule": build.SCHEDULES,
}


def resolve(settings: Settings, where: str) -> dict[str, Any]:
    """Settings with every default, name and parameter filled in, checked one by one and together.

    Raises UserError, which begins with `where`.
    """
    require_keys(where, settings, DEFAULTS)
    full = {**DEFAULTS, **settings}
    inside = f"{where}." if where.isidentifier() else f"{where}: "
    dtype = require(f"{inside}dtype", full["dtype"], _SIMPLE["dtype"])
    for key, rule in _SIMPLE.items():
        full[key] = require(f"{inside}{key}", full[key], rule, dtype)
    full["activation"] = _activations(full["activation"], full["hidden"], f"{inside}activation")
    full["batchnorm"] = _batchnorm(full["batchnorm"], f"{inside}batchnorm", dtype)
    if full["output_init"] == "same":
        full["output_init"] = full["init"]
    for key, components in _NAMED.items():
        full[key] = _named(full[key], components, f"{inside}{key}", dtype)
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
    if not isinstance(table, Mapping):
        table = {"name": table}
    return {**settings, outer: {**table, inner: value}}


def describe() -> dict[str, Words]:
    """Every key of `[base]` with its rule, default and meaning, in words."""
    named = "a name, or a table with a name and parameters"
    rules = {key: rule.words for key, rule in _SIMPLE.items()}
    rules |= {key: f"{named}: {', '.join(components)}" for key, components in _NAMED.items()}
    rules["output_init"] = f"same, or {rules['output_init']}"
    rules["activation"] = f"a name, or a list of names: {', '.join(build.ACTIVATIONS)}"
    rules["batchnorm"] = f"{named}: none, simplified, affine"
    return {key: (rules[key], toml(value), MEANINGS[key]) for key, value in DEFAULTS.items()}


def describe_parameters() -> dict[str, dict[str, Words]]:
    """Every parameter of every component with its rule, default and meaning, by "key.component"."""
    components = {f"{key}.{name}": each for key, named in _NAMED.items() for name, each in named.items()}
    components["batchnorm.affine"] = build.BATCH_NORM
    described = {
        where: {name: (rule.words, toml(each.defaults[name]), _meaning(where, name)) for name, rule in each.rules.items()}
        for where, each in components.items()
    }
    position = (_POSITION["position"].words, toml("before"), _meaning("batchnorm.affine", "position"))
    described["batchnorm.affine"] = {"position": position, **described["batchnorm.affine"]}
    return described


def _meaning(where: str, parameter: str) -> str:
    """The meaning of a parameter of the component "key.name"."""
    key, _, name = where.partition(".")
    return PARAMETERS.get(f"{name}.{parameter}") or PARAMETERS[f"{key}.{parameter}"]


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


def _named(value: object, components: Mapping[str, build.Component], where: str, dtype: str) -> dict[str, Any]:
    """A name, or a table with a name and parameters, as the full table."""
    table = {"name": value} if isinstance(value, str) else value
    if not isinstance(table, Mapping) or "name" not in table:
        raise UserError(f"{where} is a name, or a table with a name: {value!r} was given; names: {', '.join(components)}")
    name = table["name"]
    if not isinstance(name, str) or name not in components:
        raise UserError(f"{where}: {unknown('name', name, components)}")
    require_keys(f"{where} ({name})", table, {"name": None, **components[name].rules})
    return {"name": name, **_parameters(components[name], table, where, dtype)}


def _parameters(component: build.Component, table: Mapping[str, Any], where: str, dtype: str) -> dict[str, Any]:
    """Every parameter of a component, from a table or by default, checked by its rule."""
    given = {**component.defaults, **table}
    return {name: require(f"{where}.{name}", given[name], rule, dtype) for name, rule in component.rules.items()}


def _batchnorm(value: object, where: str, dtype: str) -> dict[str, Any]:
    """None, simplified or affine, or a table of options, as the full table."""
    names = {"simplified": False, "affine": True}
    if value in ("none", {"name": "none"}):
        return {"name": "none"}
    table = {"name": value} if isinstance(value, str) else value
    if not isinstance(table, Mapping):
        raise UserError(f"{where} is one of none, {', '.join(names)}, or a table of options: {value!r} was given")
    require_keys(where, table, {"name": None, **_POSITION, **build.BATCH_NORM.rules})
    if not isinstance(table.get("name", "affine"), str) or table.get("name", "affine") not in names:
        reason = (
            "'none' has no parameters" if table["name"] == "none" else unknown("batch norm", table["name"], ["none", *names])
        )
        raise UserError(f"{where}: {reason}")
    given = {"affine": names[table.get("name", "affine")], **table}
    position = require(f"{where}.position", table.get("position", "before"), _POSITION["position"])
    full = {"position": position, **_parameters(build.BATCH_NORM, given, where, dtype)}
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
    norm = full["batchnorm"]
    if norm.get("evaluate") == "batch" and norm["momentum"] != build.BATCH_NORM.defaults["momentum"]:
        return "batch norm with evaluate = 'batch' keeps no running averages: leave momentum out, or write evaluate = 'running'"
    if full["engine"] == "torch_nn":
        if norm.get("gradient") == "straight_through":
            return "torch.nn's batch norm has the exact gradient only: for gradient = 'straight_through' write engine = 'stack'"
        if norm.get("unbiased"):
            return "torch.nn's batch norm divides the variance by n only: for unbiased = true write engine = 'stack'"
        if full["gradient_norms"]:
            return "gradient norms are recorded from the framework's layers: for gradient_norms = true write engine = 'stack'"
    return ""
