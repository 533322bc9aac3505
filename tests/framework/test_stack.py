from functools import cache

import pytest
import torch
from oracle import disk

from framework import (
    ELU,
    SELU,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    BatchNorm,
    BCELoss,
    CrossEntropyLoss,
    Dropout,
    Identity,
    LeakyReLU,
    Linear,
    MAELoss,
    MSELoss,
    Part,
    PReLU,
    ReLU,
    RMSprop,
    Rows,
    Sequential,
    Several,
    Sigmoid,
    Softmax,
    Tanh,
    argmax,
    fit,
    initialize,
    initialize_replica,
    normal,
    predict,
    rounded,
    threshold,
    xavier,
)

# A stack of R equals R single models, to the bit, in float32.

SAMPLES = 61


def one_each(model, lr, _):
    """SGD, Adam or RMSprop: each model has an optimizer of its own, its kind told by the learning rate."""
    kinds = {0.01: SGD, 0.02: Adam, 0.03: RMSprop}
    parts = [Part(model.parameters[place : place + 1], model.gradients[place : place + 1]) for place in range(len(lr))]
    return Several([kinds[rate](part, rate) for part, rate in zip(parts, lr, strict=True)])


OPTIMIZERS = {  # hyperparameters that differ from replica to replica, some of them 0
    "sgd": lambda model, lr, _: SGD(model, lr),
    "momentum": lambda model, lr, some: SGD(model, lr, some(0.9), weight_decay=some(1e-3), clip=some(1.0)),
    "nesterov": lambda model, lr, some: SGD(model, lr, some(0.9, 0.5), nesterov=True),
    "adagrad": lambda model, lr, some: Adagrad(model, lr, weight_decay=some(1e-3)),
    "adadelta": lambda model, lr, some: Adadelta(model, lr, some(0.8, 0.9)),
    "rmsprop": lambda model, lr, some: RMSprop(model, lr, some(0.99, 0.9)),
    "adam": lambda model, lr, some: Adam(model, lr, some(0.9, 0.5), some(0.999, 0.9), clip=some(0.5)),
    "adamw": lambda model, lr, some: AdamW(model, lr, weight_decay=some(0.1)),
    "adamax": lambda model, lr, some: Adamax(model, lr, some(0.9, 0.5)),
    "one_each": one_each,
}
HIDDEN = {
    "identity": Identity,
    "relu": ReLU,
    "leaky_relu": LeakyReLU,
    "prelu": PReLU,
    "elu": ELU,
    "selu": SELU,
    "tanh": Tanh,
    "sigmoid": Sigmoid,
    "softmax": Softmax,
}
ENDS = {
    "cross_entropy": (CrossEntropyLoss, []),
    "mse": (MSELoss, []),
    "mse_sigmoid": (MSELoss, [Sigmoid]),
    "mse_softmax": (MSELoss, [Softmax]),
    "mae_tanh": (MAELoss, [Tanh]),
    "bce_sigmoid": (BCELoss, [Sigmoid]),
}
BASE = {"hidden": "tanh", "end": "cross_entropy", "outputs": 2, "optimizer": "sgd", "width": 25, "between": None}
VARIANTS = {
    **{f"hidden_{name}": {"hidden": name} for name in HIDDEN},
    **{f"optimizer_{name}": {"optimizer": name} for name in OPTIMIZERS},
    **{
        f"end_{name}_{outputs}": {"end": name, "outputs": outputs}
        for name in ENDS
        for outputs in (1, 2, 3)
        if outputs > 1 or name != "cross_entropy"  # which compares two or more
    },
    **{f"width_{width}": {"width": width} for width in (1, 2, 3, 32)},
    "elu_of_width_3": {"hidden": "elu", "width": 3},
    "dropout": {"between": lambda some: Dropout(some(0.2, 0.5))},
}
NORMED = {
    "simplified": {"between": lambda _: BatchNorm(affine=False)},
    "affine": {"between": lambda _: BatchNorm()},
    "affine_relu": {"hidden": "relu", "between": lambda _: BatchNorm()},
    "unbiased_by_batch": {"between": lambda _: BatchNorm(unbiased=True, evaluate="batch")},
    "straight_through": {"between": lambda _: BatchNorm(gradient="straight_through")},
    "affine_of_width_3": {"width": 3, "between": lambda _: BatchNorm()},
}
SETTINGS = {
    f"{name}-batch_{batch_size}": {**BASE, **variant, "batch_size": batch_size}
    for variants, batch_sizes in ((VARIANTS, (1, 25, SAMPLES)), (NORMED, (2 * 23, 25, SAMPLES)))
    for name, variant in variants.items()
    for batch_size in batch_sizes
}
STACKS = {
    "first_alone": [0],
    "middle_alone": [22],
    "last_alone": [47],
    "three_reordered": [5, 3, 40],
    "first_seven": [*range(7)],
    "last_seventeen": [*range(31, 48)],
    "all_reversed": [*reversed(range(48))],
}


def trained(replicas, hidden, end, outputs, optimizer, width, between, batch_size):
    """Parameters `(R, P)` and record `(R, numbers)` of these replicas, which differ in all that replicas may differ in."""

    def some(value, other=0.0):
        return [other if replica % 3 == 1 else value for replica in replicas]

    loss, head = ENDS[end]
    layers = []
    for inputs in (2, width):
        layers += [Linear(inputs, width), *([between(some)] if between else []), HIDDEN[hidden]()]
    model = Sequential(*layers, Linear(width, outputs), *(build() for build in head), replicas=len(replicas))
    for place, replica in enumerate(replicas):
        initialize_replica(model, place, xavier, xavier, normal, replica)
    history = fit(
        model,
        loss(),
        OPTIMIZERS[optimizer](model, [(0.01, 0.02, 0.03)[replica % 3] for replica in replicas], some),
        disk(SAMPLES, sets=4),
        test=disk(37, seed=1),
        epochs=1 if batch_size == 1 else 3,
        batch_size=batch_size,
        seeds=[replica % 5 for replica in replicas],
        sets=[replica % 4 for replica in replicas],
        history_every=1,
    )
    record = [*history.loss.values(), *history.errors.values(), history.diverged[None]]
    return model.parameters, torch.cat(record).float().T


@cache
def trained_together(setting):
    return trained(range(48), **SETTINGS[setting])


@pytest.mark.parametrize("replicas", STACKS)
@pytest.mark.parametrize("setting", SETTINGS)
def test_a_stack_equals_its_models_trained_in_any_other_stack_to_the_bit(setting, replicas):
    parameters, record = trained(STACKS[replicas], **SETTINGS[setting])
    parameters_together, record_together = trained_together(setting)
    assert parameters.isfinite().all()
    assert torch.equal(parameters, parameters_together[STACKS[replicas]])
    assert torch.equal(record, record_together[STACKS[replicas]])


@pytest.mark.parametrize("replica", range(17))
def test_each_of_a_stack_equals_the_model_trained_alone_to_the_bit(replica):
    setting = "optimizer_adam-batch_25"
    alone, together = trained([replica], **SETTINGS[setting]), trained_together(setting)
    assert torch.equal(alone[0][0], together[0][replica])
    assert torch.equal(alone[1][0], together[1][replica])


def test_replicas_of_a_stack_do_differ():
    parameters, _ = trained_together("optimizer_adam-batch_25")
    assert len(parameters.unique(dim=0)) == 48


# A replica that diverges.


def with_rates(rates, hidden, end, optimizer, batch_size, decide=None):
    """Four or five models that differ in seed and learning rate; a rate of None is left out."""
    kept = [replica for replica, rate in enumerate(rates) if rate is not None]
    loss, head, outputs = end
    model = Sequential(
        Linear(2, 7), hidden(), Linear(7, 5), hidden(), Linear(5, outputs), *(build() for build in head), replicas=len(kept)
    )
    for place, replica in enumerate(kept):
        initialize_replica(model, place, xavier, xavier, normal, replica)
    optimizer = optimizer(model, [rates[replica] for replica in kept])
    train, test = disk(SAMPLES), disk(37, seed=1)
    options = {"epochs": 3, "batch_size": batch_size, "decide": decide, "seeds": kept, "history_every": 1}
    history = fit(model, loss(), optimizer, train, test=test, **options)
    return model, history, train, test


DIVERGING = {
    "sgd_leaky_relu": (LeakyReLU, (CrossEntropyLoss, [], 2), SGD, None),
    "sgd_elu_mse": (ELU, (MSELoss, [], 2), SGD, None),
    "momentum_prelu": (PReLU, (CrossEntropyLoss, [], 3), lambda model, lr: SGD(model, lr, 0.9, clip=1.0), None),
    "adam_leaky_relu": (LeakyReLU, (MSELoss, [], 1), Adam, None),
    "adamw_relu": (ReLU, (MSELoss, [], 1), AdamW, threshold),
    "rmsprop_selu": (SELU, (MSELoss, [], 1), RMSprop, rounded),
    "adagrad_selu": (SELU, (MSELoss, [Softmax], 2), Adagrad, argmax),
    "adamax_identity": (Identity, (CrossEntropyLoss, [], 2), Adamax, None),
}


@pytest.mark.parametrize("batch_size", [1, 25, SAMPLES])
@pytest.mark.parametrize("place", [0, 2, 4])
@pytest.mark.parametrize("name", DIVERGING)
def test_a_replica_that_diverges_leaves_the_others_alone_and_errs_as_class_0(name, place, batch_size):
    hidden, end, optimizer, decide = DIVERGING[name]
    rates = [0.01, 0.02, 0.01, 0.005, 0.01]
    others = [replica for replica in range(5) if replica != place]
    diverging, missing = list(rates), list(rates)
    diverging[place], missing[place] = 1e30, None
    model, history, train, test = with_rates(diverging, hidden, end, optimizer, batch_size, decide)
    peers, history_of_peers, *_ = with_rates(missing, hidden, end, optimizer, batch_size, decide)

    assert history.diverged.tolist() == [replica == place for replica in range(5)]
    assert torch.equal(model.parameters[others], peers.parameters)
    for rows in ("train", "test"):
        assert torch.equal(history.loss[rows][:, others], history_of_peers.loss[rows])
        assert torch.equal(history.errors[rows][:, others], history_of_peers.errors[rows])
    for rows, name_of_rows in ((train, "train"), (test, "test")):
        assert not predict(model, rows.inputs)[place].isfinite().any()
        assert not history.loss[name_of_rows][-1, place].isfinite()
        assert history.errors[name_of_rows][-1, place] == (rows.labels != 0).sum()


def fitted_bias(start, lr, epochs):
    """Two models of a bias alone, t = 1 being its target: a step is b <- b - 2 lr (b - 1)."""
    model = Sequential(Linear(1, 1), replicas=2)
    initialize(model)
    model.layers[0].bias.copy_(torch.tensor(start).reshape(2, 1, 1))
    return model, fit(model, MSELoss(), SGD(model, lr), Rows(torch.zeros(3, 1), torch.ones(3).long()), epochs=epochs)


@pytest.mark.parametrize("epochs", [1, 3])
def test_a_loss_that_was_not_finite_in_any_epoch_is_a_divergence(epochs):
    model, history = fitted_bias(
        start=[1e25, 0.0], lr=0.5, epochs=epochs
    )  # the square of 1e25 is not finite, one step cures it
    assert model.parameters.isfinite().all()
    assert history.loss["train"].isfinite().all()
    assert history.diverged.tolist() == [True, False]


def test_a_parameter_that_is_not_finite_is_a_divergence():
    model, history = fitted_bias(start=[0.0, 0.0], lr=[3e38, 0.1], epochs=1)  # the loss that led there was 1
    assert model.parameters.isfinite().all(1).tolist() == [False, True]
    assert history.diverged.tolist() == [True, False]
