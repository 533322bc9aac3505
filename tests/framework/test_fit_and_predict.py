import copy

import numpy as np
import pandas as pd
import pytest
import torch
from oracle import close, disk, randn, small

import framework
from framework import (
    SGD,
    BatchNorm,
    BCELoss,
    CrossEntropyLoss,
    Dropout,
    Identity,
    Linear,
    MSELoss,
    ReLU,
    Rows,
    Sequential,
    Several,
    Sigmoid,
    Softmax,
    Tanh,
    fit,
    he,
    initialize,
    initialize_replica,
    initializers,
    normal,
    predict,
    xavier,
    zeros,
)
from framework.streams import CPU, generator

draw = Dropout.seed

pytestmark = pytest.mark.usefixtures("device")

# predict


def test_predictions_are_evaluations_of_rows():
    model, _ = small()
    inputs = randn(9, 2)
    output = predict(model, inputs)
    assert output.shape == (3, 9, 2)
    assert torch.equal(output, model.forward(inputs.T.expand(3, 2, 9).contiguous(), train=False).mT)


def test_predict_changes_nothing_of_the_model_nor_of_what_it_gave_before():
    model = Sequential(Linear(2, 4), BatchNorm(), Tanh(), Dropout(0.3), Linear(4, 2), replicas=3, dtype=torch.float64)
    initialize(model, xavier, normal)
    model.seed([1, 2, 3])
    x, gradient, inputs = randn(3, 2, 6), randn(3, 2, 6, seed=1), randn(9, 2, seed=2)
    norm = model.layers[1]
    model.forward(x)
    model.backward(gradient)
    before = [model.parameters.clone(), model.gradients.clone(), norm.running_mean.clone(), norm.running_variance.clone()]
    first = predict(model, inputs)
    kept = first.clone()
    predict(model, 10 * inputs)
    model.backward(gradient)
    for now, then in zip((model.parameters, model.gradients, norm.running_mean, norm.running_variance), before, strict=True):
        assert torch.equal(now, then)
    model.forward(x)
    assert torch.equal(first, kept)


@pytest.mark.parametrize("shape", [(2,), (1, 5, 2)], ids=str)
def test_predict_wants_rows(shape):
    with pytest.raises(
        ValueError, match=r"inputs are \(samples, 2 features\), or \(3 models, samples, 2 features\): \(.*\) was given"
    ):
        predict(small()[0], torch.zeros(shape))


# Wrong input.

ROWS = r"rows are inputs \(samples, features\) and labels \(samples,\), or .* were given"
WRONG = {
    "batch_of_none": ({"batch_size": 0}, r"a batch holds between 1 and all 20 training samples: batch_size=0 was given"),
    "negative_epochs": ({"epochs": -1}, "epochs and history_every are whole numbers from 0: -1 and 0 were given"),
    "epochs_not_whole": ({"epochs": 1.5}, "epochs and history_every are whole numbers from 0: 1.5 and 0 were given"),
    "history_not_whole": ({"history_every": 0.5}, "epochs and history_every are whole numbers from 0: 1 and 0.5 were given"),
    "norms_of_no_step": ({"epochs": 0, "gradient_norms": True}, "gradient_norms needs epochs of 1 or more, 0 was given"),
    "batch_not_whole": ({"batch_size": 2.5}, r"between 1 and all 20 training samples: batch_size=2.5 was given"),
    "no_training_rows": ({"train": disk(0)}, "train rows are one or more: none were given"),
    "no_test_rows": ({"test": disk(0)}, "test rows are one or more: none were given"),
    "negative_batch": ({"batch_size": -5}, r"between 1 and all 20 training samples: batch_size=-5 was given"),
    "batch_too_large": ({"batch_size": 21}, r"between 1 and all 20 training samples: batch_size=21 was given"),
    "label_too_large": ({"train": Rows(randn(2, 2), torch.tensor([0, 2]))}, "integers from 0 to 1: train labels from 0 to 2"),
    "label_negative": ({"test": Rows(randn(2, 2), torch.tensor([1, -1]))}, "integers from 0 to 1: test labels from -1 to 1"),
    "labels_too_few": ({"train": Rows(randn(4, 2), torch.tensor([0, 1, 1]))}, f"train {ROWS}"),
    "labels_of_rank_2": ({"validation": Rows(randn(4, 2), torch.zeros(4, 1).long())}, f"validation {ROWS}"),
    "inputs_of_rank_1": ({"train": Rows(randn(4), torch.zeros(4).long())}, f"train {ROWS}"),
    "sets_without_labels": ({"train": Rows(randn(3, 4, 2), torch.zeros(4).long())}, f"train {ROWS}"),
    "sets_too_few": ({"train": disk(20, sets=2)}, r"each of the 3 models uses one of the 2 sets of train rows"),
    "sets_too_short": ({"train": disk(20, sets=2), "sets": [0, 1]}, r"each of the 3 models .* sets=\[0, 1\] was given"),
    "set_out_of_range": ({"train": disk(20, sets=2), "sets": [0, 1, 2]}, r"one of the 2 sets of train rows: sets=\[0, 1, 2\]"),
    "set_negative": ({"train": disk(20, sets=2), "sets": [0, 1, -1]}, r"one of the 2 sets of train rows: sets=\[0, 1, -1\]"),
    "test_sets_too_few": ({"test": disk(20, sets=2), "sets": [0, 1, 2]}, r"one of the 2 sets of test rows: sets=\[0, 1, 2\]"),
    "sets_of_one_set": ({"sets": [0, 0, 0]}, r"one set for all: sets=\[0, 0, 0\] was given; leave it out, or give rows"),
    "sets_of_one_set_out_of_range": ({"sets": [0, 5, 0]}, r"one set for all: sets=\[0, 5, 0\] was given"),
    "seeds_too_few": ({"seeds": [1, 2]}, "seeds"),
    "seeds_too_many": ({"seeds": [1, 2, 3, 4]}, "seeds"),
    "features_too_many": ({"train": Rows(randn(4, 3), torch.zeros(4).long())}, "features"),
    "features_too_few_in_test": ({"test": Rows(randn(4, 1), torch.zeros(4).long())}, "features"),
    "labels_not_integers": ({"train": Rows(randn(4, 2), torch.full((4,), 0.5))}, "labels .* integers"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_of_fit_are_refused(name):
    wrong, message = WRONG[name]
    _, arguments = small()
    with pytest.raises(ValueError, match=message):
        fit(*arguments, **{"train": disk(20), "epochs": 1, **wrong})


def test_labels_of_one_output_are_0_or_1():
    _, arguments = small(outputs=1, loss=MSELoss)
    with pytest.raises(ValueError, match="labels of a model with 1 outputs are integers from 0 to 1: train labels from 0 to 2"):
        fit(*arguments, Rows(randn(3, 2), torch.tensor([0, 1, 2])), epochs=1)


@pytest.mark.parametrize("batch_size", [1, 19, 20])
def test_batches_of_one_are_refused_where_there_is_a_batch_norm(batch_size):
    _, arguments = small(hidden=lambda: BatchNorm())
    samples = 20 if batch_size == 1 else 1 + batch_size
    with pytest.raises(ValueError, match=f"in a training batch: batches of {batch_size} leave one of {samples} alone"):
        fit(*arguments, disk(samples), epochs=1, batch_size=batch_size)


def model_of(*layers, drawn=True, **options):
    model = Sequential(*layers, **options)
    if drawn:
        initialize(model)
    return model


LAYERS = Linear(2, 3), Tanh(), Linear(3, 2)
APART = {  # a model, a loss, an optimizer that do not belong together, and what is said
    "not initialized": (lambda: model_of(*LAYERS, drawn=False), CrossEntropyLoss, SGD, r"call initialize\(model\)"),
    "one layer, not initialized": (lambda: model_of(Linear(2, 2), drawn=False), MSELoss, SGD, r"call initialize\(model\)"),
    "another model's": (
        lambda: model_of(*LAYERS),
        CrossEntropyLoss,
        lambda _: SGD(model_of(Linear(2, 3), Tanh(), Linear(3, 2))),
        "these are another model's; make it with this model",
    ),
    "several of another's": (
        lambda: model_of(*LAYERS),
        CrossEntropyLoss,
        lambda _: Several([SGD(model_of(Linear(2, 3), Tanh(), Linear(3, 2)))]),
        "these are another model's; make it with this model",
    ),
    "a copy's": (
        lambda: copy.deepcopy(model_of(*LAYERS)),
        CrossEntropyLoss,
        lambda model: SGD(copy.deepcopy(model)),
        "these are another model's; make it with this model",
    ),
    "softmax twice": (
        lambda: model_of(*LAYERS, Softmax()),
        CrossEntropyLoss,
        SGD,
        r"the model ends in Softmax\(\); leave that out",
    ),
    "sigmoid and softmax": (lambda: model_of(*LAYERS, Sigmoid()), CrossEntropyLoss, SGD, r"the model ends in Sigmoid\(\)"),
    "logits": (
        lambda: model_of(*LAYERS),
        BCELoss,
        SGD,
        r"BCELoss takes probabilities: the model ends in Linear\(3, 2\); end it in Sigmoid\(\)",
    ),
    "probabilities at first": (
        lambda: model_of(*LAYERS, ReLU()),
        BCELoss,
        SGD,
        r"BCELoss takes probabilities: the model ends in ReLU\(\); end it in Sigmoid\(\)",
    ),
    "outputs that are no probabilities": (
        lambda: model_of(*LAYERS, Identity()),
        BCELoss,
        SGD,
        r"BCELoss takes probabilities: outputs from .* end the model in Sigmoid\(\)",
    ),
    "layers of a later model": (
        lambda: (model_of(*LAYERS), Sequential(*LAYERS))[0],
        MSELoss,
        SGD,
        r"a layer has its parameters in one model: Linear\(2, 3\) is in a later Sequential too; write Linear\(2, 3\) once",
    ),
    "an activation of a later model": (
        lambda: (model_of(Linear(2, 3), LAYERS[1], Linear(3, 2)), Sequential(LAYERS[1]))[0],
        MSELoss,
        SGD,
        r"Tanh\(\) is in a later Sequential too",
    ),
    "loss of torch": (
        lambda: model_of(*LAYERS),
        torch.nn.CrossEntropyLoss,
        SGD,
        r"a loss is one of this framework: CrossEntropyLoss\(\) of torch\.nn.* was given; write framework\.MSELoss\(\)",
    ),
    "name of a loss": (
        lambda: model_of(*LAYERS),
        lambda: "mse",
        SGD,
        "a loss is one of this framework: 'mse' of builtins was given",
    ),
    "optimizer of torch": (
        lambda: model_of(*LAYERS),
        MSELoss,
        lambda model: torch.optim.SGD([model.parameters], lr=0.1),
        r"an optimizer is one of this framework: SGD .* of torch\.optim\.sgd was given; write framework\.SGD\(model\)",
    ),
    "name of an optimizer": (
        lambda: model_of(*LAYERS),
        MSELoss,
        lambda _: "sgd",
        "an optimizer is one of this framework: 'sgd' of builtins was given",
    ),
    "class of a loss": (lambda: model_of(*LAYERS), lambda: MSELoss, SGD, r"the class MSELoss was given; write MSELoss\(...\)"),
    "class of an optimizer": (lambda: model_of(*LAYERS), MSELoss, lambda _: SGD, r"the class SGD was given; write SGD\(...\)"),
}


@pytest.mark.parametrize(("model", "loss", "optimizer", "message"), APART.values(), ids=APART)
def test_what_does_not_belong_together_is_refused(model, loss, optimizer, message):
    model = model()
    with pytest.raises(ValueError, match=message):
        fit(model, loss(), optimizer(model), disk(20), epochs=1)


def test_a_model_of_another_library_is_refused():
    _, (_, loss, optimizer) = small()
    with pytest.raises(ValueError, match=r"a model is a framework.Sequential: Linear\(.*\) of torch.nn.* was given"):
        fit(torch.nn.Linear(2, 2), loss, optimizer, disk(20), epochs=1)


def test_a_model_whose_layers_another_took_does_not_predict():
    layers = Linear(2, 3), Tanh()
    first, second = Sequential(*layers), Sequential(*layers, Linear(3, 2))
    initialize(second)
    with pytest.raises(ValueError, match=r"Linear\(2, 3\) is in a later Sequential too; .* or copy.deepcopy\(model\)"):
        predict(first, torch.zeros(4, 2))
    close(predict(copy.deepcopy(second), torch.ones(4, 2)), predict(second, torch.ones(4, 2)))


def test_a_network_inside_another_predicts_with_its_parameters():
    inner = Sequential(Linear(2, 3), Tanh())
    initialize(Sequential(inner, Linear(3, 2)), xavier)
    assert predict(inner, torch.ones(4, 2)).any()


def test_predictions_of_a_model_without_weights_are_refused():
    model = model_of(*LAYERS, replicas=2, drawn=False)
    with pytest.raises(ValueError, match=r"call initialize\(model\)"):
        predict(model, torch.zeros(4, 2))
    initialize_replica(model, 0, he, he, zeros, seed=0)
    with pytest.raises(ValueError, match=r"call initialize\(model\)"):  # one of the two
        predict(model, torch.zeros(4, 2))
    initialize(model, weight=zeros)
    assert not predict(model, torch.zeros(4, 2)).any()


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("labels", [np.int64, np.int8, np.bool_], ids=lambda kind: kind.__name__)
def test_arrays_are_converted(kind, labels):
    rng = np.random.default_rng(0)
    inputs, classes = (10 * rng.random((20, 2))).astype(kind), rng.integers(2, size=20).astype(labels)
    inputs.setflags(write=False)
    trained = []
    for rows in (Rows(inputs, classes), (torch.tensor(inputs), torch.tensor(classes).long())):
        model, arguments = small()
        history = fit(*arguments, rows, test=rows, epochs=2, batch_size=7)
        trained.append((model.parameters, history.loss["test"], predict(model, rows[0])))
    assert all(map(torch.equal, *trained))


@pytest.mark.parametrize(
    "arrange",
    [
        lambda inputs: inputs[::-1],
        lambda inputs: np.asfortranarray(inputs),
        lambda inputs: inputs[:, ::-1][:, ::-1],
        lambda inputs: pd.DataFrame(inputs, columns=["x0", "x1"]),
        lambda inputs: pd.DataFrame({"x0": inputs[:, 0], "x1": inputs[:, 1].astype(int)}),
    ],
    ids=["reversed", "in columns", "reversed twice", "frame", "frame of two kinds"],
)
def test_rows_are_arrays_in_any_order_and_frames(arrange):
    rng = np.random.default_rng(0)
    inputs = arrange(np.stack([rng.random(20), rng.integers(5, size=20)], axis=1))
    labels = pd.Series(rng.integers(2, size=20), index=range(5, 25))
    trained = []
    for rows in (Rows(inputs, labels), (torch.tensor(np.array(inputs)), torch.tensor(labels.to_numpy()))):
        model, arguments = small()
        fit(*arguments, rows, epochs=2, batch_size=7)
        trained.append((model.parameters, predict(model, rows[0])))
    assert all(map(torch.equal, *trained))


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        (pd.DataFrame({"x0": [0.5], "x1": ["a"]}), "DataFrame"),
        (np.array([["a", "b"]]), "ndarray"),
        ([[1.0, 2.0], [1.0]], "list"),
    ],
    ids=["frame with texts", "texts", "lists of two lengths"],
)
def test_rows_that_are_no_numbers_are_refused(rows, kind):
    with pytest.raises(ValueError, match=f"rows are arrays of numbers: a {kind} was given, and .*; convert it"):
        predict(small()[0], rows)


def test_predict_names_the_features_it_expects():
    with pytest.raises(ValueError, match="2 features"):
        predict(Sequential(Linear(2, 3)), torch.zeros(4, 5))


def test_an_unknown_shuffle_is_refused():
    model = Sequential(Linear(1, 1))
    with pytest.raises(ValueError, match="shuffle is epoch, once or never: 'often' was given"):
        fit(model, MSELoss(), SGD(model), Rows(torch.zeros(3, 1), torch.ones(3).long()), epochs=1, shuffle="often")


@pytest.mark.parametrize("seeds", [3, [3], [3, 3, 3], torch.tensor([3]), torch.tensor([3] * 3), np.int64(3)], ids=repr)
def test_seeds_are_numbers_of_any_kind(seeds):
    trained = []
    for given in (3, seeds):
        model, arguments = small()
        fit(*arguments, disk(20), epochs=2, batch_size=7, seeds=given)
        trained.append(model.parameters)
    assert torch.equal(*trained)


def test_weights_orders_and_dropout_of_one_seed_are_drawn_from_streams_of_their_own(monkeypatch):
    started = []
    monkeypatch.setattr(framework.rows, "generator", lambda seed: started.append(seed) or generator(seed))
    monkeypatch.setattr(initializers, "generator", framework.rows.generator)
    monkeypatch.setattr(Dropout, "seed", lambda self, seeds, device=CPU: started.extend({*seeds}) or draw(self, seeds, device))
    model = Sequential(Linear(2, 4), Dropout(), Linear(4, 4), Dropout(), Linear(4, 2), replicas=3)
    started.clear()
    initialize(model, seed=5)
    fit(model, CrossEntropyLoss(), SGD(model), disk(20), epochs=1, seeds=5)
    assert len(started) == 3 * 3 + 1 + 2
    assert len(set(started)) == len(started)


def test_predictions_of_a_model_that_takes_any_features():
    close(predict(Sequential(Tanh(), dtype=torch.float64), randn(5, 3))[0], randn(5, 3).tanh())


def test_no_epochs_record_the_model_as_it_is():
    _, arguments = small()
    history = fit(*arguments, disk(20), epochs=0)
    assert history.epochs == [0]
    assert history.loss["train"].shape == (1, 3)
