"""Rules of values: each component's own, in the precision that trains."""

import pytest

from studies.errors import UserError
from studies.spec import spec
from studies.spec.settings import resolve

OWN_RULES = {
    "momentum of batch norm": ("batchnorm", {"momentum": 1.0}, {"momentum": 0.0}),
    "momentum of sgd": ("optimizer", {"name": "sgd", "momentum": 0.0}, {"name": "sgd", "momentum": 1.0}),
    "eps of batch norm": ("batchnorm", {"eps": 2.0}, {"eps": 0.0}),
}


@pytest.mark.parametrize(("key", "right", "wrong"), OWN_RULES.values(), ids=OWN_RULES)
def test_parameters_of_one_name_have_rules_of_their_own(key, right, wrong):
    assert resolve({key: right}, "base")[key].items() >= right.items()
    with pytest.raises(UserError, match=r"is a number"):
        resolve({key: wrong}, "base")


ROUNDED = {  # settings, what is wrong, what becomes of it in float32
    "beta1": ({"optimizer": {"name": "adam", "beta1": 0.99999999}}, "optimizer.beta1 is a number from 0 below 1", "1"),
    "beta2": ({"optimizer": {"name": "adamax", "beta2": 0.99999999}}, "optimizer.beta2 is a number from 0 below 1", "1"),
    "alpha": ({"optimizer": {"name": "rmsprop", "alpha": 1 - 1e-9}}, "optimizer.alpha is a number from 0 below 1", "1"),
    "rho": ({"optimizer": {"name": "adadelta", "rho": 0.99999999}}, "optimizer.rho is a number from 0 below 1", "1"),
    "momentum": ({"optimizer": {"name": "sgd", "momentum": 0.99999999}}, "optimizer.momentum is a number from 0 below 1", "1"),
    "dropout": ({"dropout": 0.99999999}, "dropout is a number from 0 below 1", "1"),
    "large rate": ({"optimizer": {"name": "sgd", "lr": 1e39}}, "optimizer.lr is a number above 0", "inf"),
    "small rate": ({"optimizer": {"name": "sgd", "lr": 1e-39}}, "optimizer.lr is a number above 0", "0"),
    "weight decay": ({"optimizer": {"name": "adamw", "weight_decay": 1e39}}, "weight_decay is a number from 0", "inf"),
    "no weight decay": ({"optimizer": {"name": "adamw", "weight_decay": 1e-50}}, "weight_decay is a number from 0", "0"),
    "clip": ({"clip": 1e39}, "clip is a number from 0", "inf"),
    "eps": ({"optimizer": {"name": "adam", "eps": 1e-40}}, "optimizer.eps is a number above 0", "0"),
    "eps of batch norm": ({"batchnorm": {"eps": 1e-50}}, "batchnorm.eps is a number above 0", "0"),
    "sd": ({"init": {"name": "normal", "sd": 1e40}}, "init.sd is a number above 0", "inf"),
    "mean": ({"bias_init": {"name": "normal", "mean": -1e40}}, "bias_init.mean is a number", "-inf"),
    "schedule": ({"schedule": {"name": "step", "factor": 1e-50}}, "schedule.factor is a number above 0 to 1", "0"),
}


@pytest.mark.parametrize(("settings", "rule", "rounded"), ROUNDED.values(), ids=ROUNDED)
def test_a_number_that_is_another_one_in_float32_is_refused_there_only(settings, rule, rounded):
    with pytest.raises(UserError) as told:
        resolve(settings, "base")
    assert rule in str(told.value)
    assert f'was given, which is {rounded} in float32; give another value, or dtype = "float64"' in str(told.value)
    resolve({**settings, "dtype": "float64"}, "base")


def test_a_number_that_no_precision_holds_is_refused():
    with pytest.raises(UserError, match=r"which is 0 in float64; give another value$"):
        resolve({"optimizer": {"name": "sgd", "lr": 1e-310}, "dtype": "float64"}, "base")


@pytest.mark.parametrize(
    "beta2", ['"optimizer.beta2" = [0.9, 0.99999999]', 'optimizer = [{ name = "adam", beta2 = 0.99999999 }]']
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_levels_are_checked_in_the_precision_of_their_point(tiny, beta2, dtype):
    path = tiny(("epochs = 3", f'epochs = 3\ndtype = "{dtype}"\noptimizer = "adam"'))
    path.write_text(path.read_text().partition("[[grid]]")[0] + f"[[grid]]\n{beta2}\n")
    if dtype == "float64":
        spec.load(str(path))
        return
    with pytest.raises(UserError, match=r"optimizer.beta2 is a number from 0 below 1: 0.99999999 .* which is 1 in float32"):
        spec.load(str(path))
