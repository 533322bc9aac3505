"""Specs that mean nothing, and the one line that says why."""

import re

import pytest

from studies.errors import UserError
from studies.spec import spec

WRONG = {
    "labels that join to one": (
        'activation = ["relu", "tanh"]',
        'a = [{ label = "p", init = "he" }, { label = "p | q", init = "xavier" }]\n'
        'b = [{ label = "q | r", clip = 1.0 }, { label = "r", clip = 2.0 }]',
        "grid: 'p | q | r | sgd lr=0.1' can be read as a = p, b = q | r, optimizer = sgd lr=0.1 and as a = p | q, b = r",
    ),
    "a factor named like a pair of others": (
        'activation = ["relu", "tanh"]',
        'a = [{ label = "p", init = "he" }]\nb = [{ label = "q", clip = 1.0 }]\n"a x b" = [{ label = "r", dropout = 0.1 }]',
        "grid: 'a x b' is the name of two effects, of factors or pairs of them; give the factor another name",
    ),
    "unknown section": ('title = "Tiny"', "titel = 1", "there is no key 'titel'; did you mean 'title'?"),
    "unknown key": ("epochs = 3", "epoch = 3", "there is no key 'epoch'; did you mean 'epochs'?"),
    "unknown factor": ("activation =", "activatoin =", "there is no factor 'activatoin'; did you mean 'activation'?"),
    "unknown level": ('"relu", "tanh"', '"relu", "tanhh"', "there is no activation 'tanhh'; did you mean 'tanh'?"),
    "unknown data set": ('"disk"', '"disc"', "there is no data set 'disc'; did you mean 'disk'?"),
    "unknown optimizer": ('"adam"', '"adamm"', "there is no name 'adamm'; did you mean 'adam'?"),
    "parameter of another optimizer": ('"adam", lr = 0.01', '"adam", momentum = 0.9', "there is no key 'momentum'"),
    "negative learning rate": ("lr = 0.01", "lr = -0.01", "optimizer.lr is a number above 0: -0.01 was given"),
    "learning rate zero": ("lr = 0.01", "lr = 0", "optimizer.lr is a number above 0: 0 was given"),
    "learning rate in words": ("lr = 0.01", 'lr = "fast"', "optimizer.lr is a number above 0: 'fast' was given"),
    "not a number": ("lr = 0.01", "lr = nan", "optimizer.lr is a number above 0: nan was given"),
    "momentum of one": ("lr = 0.1", "lr = 0.1, momentum = 1", "momentum is a number from 0 below 1: 1 was given"),
    "nesterov without momentum": ("lr = 0.1", "lr = 0.1, nesterov = true", "needs a momentum above 0"),
    "more folds than samples": ("folds = 3", "folds = 61", "at most the number of training samples, 60: 61 was given"),
    "one fold": ("folds = 3", "folds = 1", "1 was given"),
    "batch larger than the fold": ("batch_size = 16", "batch_size = 41", "training rows of a fold, 40: 41 was given"),
    "batch of zero": ("batch_size = 16", "batch_size = 0", 'a whole number from 1, or "full": 0 was given'),
    "batch norm with a lone row": (
        "batch_size = 16",
        'batch_size = 13\nbatchnorm = "affine"',
        "batches of 13 leave one of 40 training rows alone",
    ),
    "cross-entropy on a softmax": (
        "epochs = 3",
        'epochs = 3\noutput = "softmax"',
        "takes logits: output = 'softmax' was given",
    ),
    "BCE on a linear output": ("epochs = 3", 'epochs = 3\nloss = "bce"\noutput = "linear"', "output = 'linear' was given"),
    "cross-entropy on one output": ("epochs = 3", 'epochs = 3\noutputs = "single"', "outputs = 'single' was given"),
    "argmax of one output": (
        "epochs = 3",
        'epochs = 3\noutputs = "single"\nloss = "mse"\ndecision = "argmax"',
        "does not fit outputs = 'single'",
    ),
    "resampling iris": ('"disk"\nsamples = 60\ntest_samples = 40', '"iris"\nresample = true', "'iris' is fixed"),
    "more rows than iris has": (
        '"disk"\nsamples = 60',
        '"iris"\nsamples = 140',
        "iris has 150 rows of 3 classes: samples = 140",
    ),
    "path without csv": ("samples = 60", 'samples = 60\npath = "x.csv"', "belong to name = 'csv'"),
    "activations per layer": ('"relu", "tanh"', '["relu", "tanh"]', "one for each of the 1 hidden layers"),
    "factor named as a column": (
        'activation = ["relu", "tanh"]',
        'fold = [{ label = "A", init = "he" }]',
        "'fold' is a column",
    ),
    "duplicate level": ('"relu", "tanh"', '"relu", "relu"', "'relu' was given twice"),
    "levels not a list": ('["relu", "tanh"]', '"relu"', "is a list of levels: 'relu' was given"),
    "boolean epochs": ("epochs = 3", "epochs = true", "a whole number from 1: True was given"),
    "everything excluded": ("[[grid]]", '[[exclude]]\nloss = "cross_entropy"\n[[grid]]', "leaves no configuration"),
    "unknown key to exclude": ("[[grid]]", "[[exclude]]\nlos = 1\n[[grid]]", "there is no factor or key 'los'"),
    "parameter of a plain key": ('activation = ["relu", "tanh"]', '"clip.x" = [1]', "'clip' has no parameters"),
    "parameter of a loss without": (
        'activation = ["relu", "tanh"]',
        '"loss.x" = [1]',
        "loss (cross_entropy): there is no key 'x'",
    ),
    "parameter of an activation without": (
        'activation = ["relu", "tanh"]',
        '"activation.slope" = [0.1]',
        "activation (tanh): there is no key 'slope'",
    ),
    "slope out of range": (
        'activation = ["relu", "tanh"]',
        'activation = [{ name = "leaky_relu", slope = 1.5 }]',
        "activation.slope is a number from 0 to 1: 1.5 was given",
    ),
    "an activation that is no name": ('activation = ["relu", "tanh"]', "activation = [3]", "activation is a name, or a table"),
    "delta of 0": ("epochs = 3", 'epochs = 3\nloss = { name = "huber", delta = 0 }', "loss.delta is a number above 0"),
    "hinge of one output": (
        "epochs = 3",
        'epochs = 3\nloss = "hinge"\noutputs = "single"',
        "the hinge loss compares two outputs",
    ),
    "hinge of a sigmoid": (
        "epochs = 3",
        'epochs = 3\nloss = "hinge"\noutput = "sigmoid"',
        "scores without bounds: output = 'sigmoid'",
    ),
    "not TOML": ('title = "Tiny"', "title = ", "not valid TOML"),
    "seed in words": ('title = "Tiny"', 'seed = "a"', "seed is a whole number from 0: 'a' was given"),
    "dropout of one": ("epochs = 3", "epochs = 3\ndropout = 1.0", "dropout is a number from 0 below 1: 1.0 was given"),
    "unknown batch norm": ("epochs = 3", 'epochs = 3\nbatchnorm = "full"', "there is no batch norm 'full'"),
    "batch norm none with options": (
        "epochs = 3",
        'epochs = 3\nbatchnorm = { name = "none", eps = 1.0 }',
        "'none' has no parameters",
    ),
    "unknown factor of the baseline": ("[data]", "baseline = { activatoin = 'relu' }\n[data]", "baseline: there is no factor"),
    "unknown level of the baseline": ("[data]", "baseline = { activation = 'rellu' }\n[data]", "did you mean 'relu'?"),
    "baseline not a table": ("[data]", "baseline = 'relu'\n[data]", "baseline is a table of levels"),
    "negative margin": ("[data]", "margin = -1\n[data]", "margin is a number from 0: -1 was given"),
    "two factors that set one key": (
        "[[grid]]",
        '[[grid]]\nmodel = [{ label = "A", activation = "elu" }, { label = "B", init = "he" }]',
        "at each point one factor sets a key: model and activation both set activation",
    ),
    "one label of two levels": (
        "[[grid]]",
        '[[grid]]\nmodel = [{ label = "A", init = "he" }]\n[[grid]]\nmodel = [{ label = "A", init = "lecun" }]\n[[grid]]',
        "model = A sets one thing here and another there",
    ),
    "a label that is the base's": (
        "[[grid]]",
        '[[grid]]\nmodel = [{ label = "base", init = "he" }]\n[[grid]]',
        "model = base is what points without model are called",
    ),
    "empty label": ("[[grid]]", '[[grid]]\nmodel = [{ label = " ", init = "he" }]\n[[grid]]', "a label is a text of one line"),
    "label with underscore": (
        "[[grid]]",
        '[[grid]]\nmodel = [{ label = "_A", init = "he" }]\n[[grid]]',
        "a text of one line that does not begin with '_'",
    ),
    "factor without a name": (
        "[[grid]]",
        '[[grid]]\n"" = [{ label = "A", init = "he" }]\n[[grid]]',
        "the name of a factor is a text",
    ),
    "misspelt level to exclude": (
        "[[grid]]",
        '[[exclude]]\nactivation = "tahn"\n[[grid]]',
        "exclude 1.activation: there is no level 'tahn'; did you mean 'tanh'?",
    ),
    "date to exclude": ("[[grid]]", "[[exclude]]\nactivation = 1979-05-27\n[[grid]]", "there is no level '1979-05-27'"),
    "affine that is not": (
        "epochs = 3",
        'epochs = 3\nbatchnorm = { name = "simplified", affine = true }',
        "'simplified' and affine = true contradict",
    ),
    "momentum of no average": (
        "epochs = 3",
        'epochs = 3\nbatchnorm = { evaluate = "batch", momentum = 0.5 }',
        "evaluate = 'batch' keeps no running averages: leave momentum out",
    ),
    "batch norm by number": (
        "epochs = 3",
        "epochs = 3\nbatchnorm = 5",
        "base.batchnorm is one of none, simplified, affine, or a",
    ),
    "level of another type": (
        'activation = ["relu", "tanh"]',
        "batchnorm = [5]",
        "grid 1.batchnorm, level '5': batchnorm is one of none",
    ),
    "learning rate beyond numbers": ("lr = 0.1", "lr = 1" + 400 * "0", "lr is a number above 0: 1000"),
    "epochs beyond numbers": ("epochs = 3", "epochs = 10000000000", "epochs is a whole number from 1: 10000000000 was given"),
    "tune not by name": ("[data]", 'tune = [["activation"]]\n[data]', "tune: there is no factor ['activation']"),
    "tune twice": ("[data]", 'tune = ["activation", "activation"]\n[data]', "'activation' was given twice"),
    "hidden of zero": ("hidden = [4]", "hidden = [0]", "each a whole number from 1 to 100,000: [0] was given"),
}


@pytest.mark.parametrize(("old", "new", "message"), WRONG.values(), ids=WRONG)
def test_wrong_specs_are_told_in_one_line(tiny, old, new, message):
    with pytest.raises(UserError) as told:
        spec.load(str(tiny((old, new))))
    text = str(told.value)
    assert "\n" not in text.removesuffix("\n")
    assert text.startswith("tiny.toml: ")
    assert message in text


LEVELS = {  # grids in place of the tiny one's, and what is blamed
    "a name": ('activation = ["relu", "tnah"]', "grid 1.activation, level 'tnah': activation: there is no activation 'tnah'"),
    "a number": ("epochs = [1, -3]", "grid 1.epochs, level '-3': epochs is a whole number from 1: -3 was given"),
    "a parameter": (
        'activation = ["relu", "tanh"]\n"optimizer.lr" = [0.1, -1]',
        "grid 1.optimizer.lr, level '-1': optimizer.lr is a number above 0: -1 was given",
    ),
    "an optimizer": ('optimizer = ["sgd", "sgdd"]', "grid 1.optimizer, level 'sgdd': optimizer: there is no name 'sgdd'"),
    "a factor of one's own": (
        'mine = [{ label = "a", epochs = 1 }, { label = "b", activation = "rleu" }]',
        "grid 1.mine, level 'b': activation: there is no activation 'rleu'",
    ),
    "the second grid": (
        'activation = ["relu"]\n[[grid]]\nloss = ["mse", "msr"]',
        "grid 2.loss, level 'msr': loss: there is no loss 'msr'",
    ),
    "two levels together": (
        'activation = ["relu"]\noptimizer = ["adam"]\n"optimizer.momentum" = [0.5]',
        "grid 1 with optimizer = adam lr=0.001, optimizer.momentum = 0.5: optimizer (adam): there is no key 'momentum'",
    ),
    "a level that does not fit the rows": (
        'activation = ["relu"]\nbatch_size = [10, 500]',
        "configuration 'relu | 500': batch_size is at most the number of training rows of a fold, 40: 500 was given",
    ),
}


@pytest.mark.parametrize(("grid", "message"), LEVELS.values(), ids=LEVELS)
def test_a_wrong_level_is_named_with_its_grid_and_factor(tiny, grid, message):
    old = 'activation = ["relu", "tanh"]\noptimizer = [{ name = "sgd", lr = 0.1 }, { name = "adam", lr = 0.01 }]'
    with pytest.raises(UserError, match=f"^tiny.toml: {re.escape(message)}"):
        spec.load(str(tiny((old, grid))))


def test_a_base_that_fits_no_configuration_is_blamed_itself(tiny):
    with pytest.raises(UserError, match=r"^tiny.toml: batch_size is at most the number of training rows of a fold, 40: 64"):
        spec.load(str(tiny(("batch_size = 16", "batch_size = 64"))))
