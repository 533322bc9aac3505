from functools import cache

import pytest
import torch
from oracle import ACTIVATIONS, NORMS, close, network, randn, twin_of
from torch import nn

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
    step_decay,
    threshold,
    xavier,
)
from framework.streams import derive, generator


def disk(samples, seed=0, sets=None):
    """Points of the unit square, and whether they lie in a disk of half its area; float32."""
    shape = (samples, 2) if sets is None else (sets, samples, 2)
    inputs = torch.rand(shape, generator=generator(seed))
    return Rows(inputs, ((inputs - 0.5).square().sum(-1) < 0.16).long())


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
    **{f"end_{name}_{outputs}": {"end": name, "outputs": outputs} for name in ENDS for outputs in (1, 2, 3)},
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


# The loop, against one of torch.nn and torch.optim.

# An eps of 1e-3 where a bias stands before a batch norm: its gradient is 0 but for rounding, which a small eps would amplify.
LOOPS = {  # hidden activation, norm, our loss, torch's, head, outputs, optimizers
    "sgd": ("tanh", "plain", MSELoss, nn.MSELoss, "sigmoid", 2, SGD, torch.optim.SGD, {"lr": 0.3}),
    "momentum": ("relu", "plain", CrossEntropyLoss, nn.CrossEntropyLoss, None, 3, SGD, torch.optim.SGD,
                 {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
    "adam": ("elu", "affine", CrossEntropyLoss, nn.CrossEntropyLoss, None, 2, Adam, torch.optim.Adam,
             {"lr": 0.01, "eps": 1e-3}),
    "adamw": ("selu", "simplified", MSELoss, nn.MSELoss, "softmax", 3, AdamW, torch.optim.AdamW, {"lr": 0.01, "eps": 1e-3}),
    "adamax": ("leaky_relu", "plain", MAELoss, nn.L1Loss, None, 1, Adamax, torch.optim.Adamax, {"lr": 0.01}),
    "rmsprop": ("prelu", "plain", BCELoss, nn.BCELoss, "sigmoid", 1, RMSprop, torch.optim.RMSprop, {"lr": 0.01}),
    "adagrad": ("sigmoid", "plain", BCELoss, nn.BCELoss, "sigmoid", 2, Adagrad, torch.optim.Adagrad, {"lr": 0.1}),
    "adadelta": ("identity", "affine", MSELoss, nn.MSELoss, "tanh", 2, Adadelta, torch.optim.Adadelta, {"lr": 1.0}),
}  # fmt: skip


def orders(shuffle, seed, samples, epochs):
    """The documented order of every epoch: successive permutations of the stream under the seed."""
    stream = generator(derive(seed, 0))
    drawn = [torch.randperm(samples, generator=stream) for _ in range(epochs)]
    return {"epoch": drawn, "once": drawn[:1] * epochs, "never": [torch.arange(samples)] * epochs}[shuffle]


@pytest.mark.parametrize("shuffle", ["never", "once", "epoch"])
@pytest.mark.parametrize(
    ("name", "batch_size"),
    [(name, size) for name, (_, norm, *_) in LOOPS.items() for size in (1, 7, 25, None) if size != 1 or norm == "plain"],
)
def test_training_is_a_plain_loop_of_torch(name, batch_size, shuffle):
    hidden, norm, ours, theirs, head, outputs, optimizer, peer, hyperparameters = LOOPS[name]
    samples, epochs, replicas, seeds = 30, 4, 3, [5, 0, 5]  # the last batch of 7 holds 2, that of 25 holds 5
    sizes, parts = (2, 4, 3, outputs), (ACTIVATIONS[hidden], NORMS[norm], ACTIVATIONS[head] if head else None)
    model = Sequential(*network(sizes, *parts)[0], replicas=replicas, dtype=torch.float64)
    initialize(model, xavier, normal, seed=3)
    start = model.parameters.clone()
    inputs = randn(samples, 2, seed=1)
    labels = randn(samples, max(outputs, 2), seed=2).argmax(1)
    schedule = step_decay(0.5, 2)
    history = fit(
        model,
        ours(),
        optimizer(model, **hyperparameters),
        Rows(inputs, labels),
        epochs=epochs,
        batch_size=batch_size,
        shuffle=shuffle,
        schedule=schedule,
        seeds=seeds,
    )

    targets = nn.functional.one_hot(labels).double() if outputs > 1 else labels[:, None].double()
    factor = 1 if ours is CrossEntropyLoss else outputs
    for replica in range(replicas):
        twin, criterion = twin_of(start[replica], *network(sizes, *parts)[1]), theirs()
        stepper = peer(twin.parameters(), **hyperparameters)
        for epoch, order in enumerate(orders(shuffle, seeds[replica], samples, epochs)):
            stepper.param_groups[0]["lr"] = hyperparameters["lr"] * schedule(epoch)
            for rows in order.split(batch_size or samples):
                stepper.zero_grad()
                (factor * criterion(twin(inputs[rows]), targets[rows])).backward()
                stepper.step()
        close(model.parameters[replica], nn.utils.parameters_to_vector(twin.parameters()).detach())
        output = twin.eval()(inputs).detach()
        close(predict(model, inputs)[replica], output)
        close(history.loss["train"][-1, replica], factor * criterion(output, targets))
        wrong = (output.argmax(1) if outputs > 1 else (output[:, 0] > 0.5).long()) != labels
        assert history.errors["train"][-1, replica] == wrong.sum()


# What fit records, and in which order it reads.


def small(replicas=3, outputs=2, hidden=Tanh, loss=CrossEntropyLoss, lr=0.5, dtype=torch.float64, **options):
    """A small stack and the arguments of fit that train it."""
    model = Sequential(Linear(2, 5), hidden(), Linear(5, outputs), replicas=replicas, dtype=dtype)
    initialize(model, xavier, normal, seed=3)
    return model, (model, loss(**options), SGD(model, lr))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("batch_size", [10, None], ids=["batches", "full"])
@pytest.mark.parametrize(
    ("loss", "criterion", "outputs", "decide"),
    [
        (CrossEntropyLoss, nn.CrossEntropyLoss, 2, None),
        (MSELoss, nn.MSELoss, 3, None),
        (MSELoss, nn.MSELoss, 2, argmax),
        (MSELoss, nn.MSELoss, 1, None),
        (MSELoss, nn.MSELoss, 1, rounded),
        (MAELoss, nn.L1Loss, 1, threshold),
    ],
    ids=["cross_entropy", "mse_of_three", "mse_of_two", "mse_of_one", "mse_rounded", "mae_threshold"],
)
def test_the_history_is_what_predictions_after_that_many_epochs_give(loss, criterion, outputs, decide, batch_size, reduction):
    rows = {"train": disk(33), "validation": disk(20, seed=1), "test": disk(41, seed=2)}

    def fitted(epochs, **options):
        lr = 0.5 if reduction == "mean" else 0.005
        model, arguments = small(outputs=outputs, loss=loss, lr=lr, reduction=reduction)
        options = {"epochs": epochs, "batch_size": batch_size, "decide": decide, **options}
        return model, fit(*arguments, *rows.values(), **options)

    _, history = fitted(4, history_every=2)
    assert history.epochs == [0, 2, 4]
    for place, epochs in enumerate(history.epochs):
        model = fitted(epochs)[0] if epochs else small(outputs=outputs)[0]
        for name, (inputs, labels) in rows.items():
            for replica, output in enumerate(predict(model, inputs)):
                targets = nn.functional.one_hot(labels, outputs) if outputs > 1 else labels[:, None]
                factor = 1 if loss is CrossEntropyLoss else outputs
                close(history.loss[name][place, replica], factor * criterion()(output, targets.double()))
                label = {argmax: output.argmax(1), threshold: output[:, 0] > 0.5, rounded: output[:, 0].round()}
                decided = label[decide or (argmax if outputs > 1 else threshold)]
                assert history.errors[name][place, replica] == (decided != labels).sum()


@pytest.mark.parametrize(
    ("every", "epochs", "recorded"),
    [(0, 1, [1]), (0, 5, [5]), (1, 3, [0, 1, 2, 3]), (2, 5, [0, 2, 4, 5]), (2, 4, [0, 2, 4]), (7, 3, [0, 3])],
)
def test_epochs_recorded_are_every_so_many_and_the_last(every, epochs, recorded):
    _, arguments = small()
    history = fit(*arguments, disk(20), test=disk(9, seed=1), epochs=epochs, history_every=every)
    assert history.epochs == recorded
    assert history.loss.keys() == history.errors.keys() == {"train", "test"}
    for table in (*history.loss.values(), *history.errors.values()):
        assert table.shape == (len(recorded), 3)
    assert history.diverged.tolist() == [False] * 3


@pytest.mark.parametrize("hidden", [Tanh, lambda: Dropout(0.5), lambda: BatchNorm()], ids=["tanh", "dropout", "batch_norm"])
def test_recording_does_not_change_the_training(hidden):
    trained_so = []
    for options in ({}, {"history_every": 1, "validation": disk(50, seed=1), "test": disk(3, seed=2)}):
        model, arguments = small(hidden=hidden)
        fit(*arguments, disk(30), epochs=3, batch_size=8, **options)
        trained_so.append(model.parameters)
    assert torch.equal(*trained_so)


def spied(monkeypatch, model):
    """The inputs of every training batch that the model will be given."""
    forward, seen = model.forward, []

    def spy(x, train=True):
        if train:
            seen.append(x.clone())
        return forward(x, train)

    monkeypatch.setattr(model, "forward", spy)
    return seen


def read_by(monkeypatch, replicas, epochs, samples=11, sets=None, **options):
    """The rows that `fit` reads, `(R, epochs, samples)`: a row's input is its number, and 1000 more in every further set."""
    model = Sequential(Linear(1, 2), replicas=replicas)
    seen = spied(monkeypatch, model)
    numbers = torch.arange(samples)
    inputs = (
        numbers[:, None].float() if sets is None else (1000 * torch.arange(max(sets) + 1)[:, None] + numbers)[..., None].float()
    )
    rows = Rows(inputs, torch.zeros(inputs.shape[:-1], dtype=torch.long))
    fit(model, MSELoss(), SGD(model, 0.0), rows, epochs=epochs, sets=sets, **options)
    return torch.cat(seen, 2)[:, 0].long().unflatten(1, (epochs, samples))


@pytest.mark.parametrize("shuffle", ["never", "once", "epoch"])
@pytest.mark.parametrize("batch_size", [1, 4, 11, None], ids=lambda size: f"batch_{size}")
def test_rows_are_read_in_the_documented_order(monkeypatch, batch_size, shuffle):
    read = read_by(monkeypatch, 3, 4, batch_size=batch_size, shuffle=shuffle, seeds=[7, 0, 7])
    for replica, seed in enumerate([7, 0, 7]):
        assert torch.equal(read[replica], torch.stack(orders(shuffle, seed, 11, 4)))


def test_rows_are_shuffled_at_every_epoch_unless_told_otherwise(monkeypatch):
    read = read_by(monkeypatch, 2, 3)
    assert torch.equal(read[0], torch.stack(orders("epoch", 0, 11, 3)))
    assert len(read[0].unique(dim=0)) == 3


@pytest.mark.parametrize("shuffle", ["once", "epoch"])
def test_replicas_share_the_order_if_and_only_if_their_seeds_are_equal(monkeypatch, shuffle):
    read = read_by(monkeypatch, 5, 2, seeds=[3, 4, 3, 0, 4], shuffle=shuffle)
    same = [[torch.equal(one, other) for other in read] for one in read]
    assert same == [[a == b for b in (3, 4, 3, 0, 4)] for a in (3, 4, 3, 0, 4)]


@pytest.mark.parametrize("seed", [0, 6])
def test_one_seed_is_that_seed_for_every_replica(monkeypatch, seed):
    listed, single = (read_by(monkeypatch, 3, 2, seeds=seeds) for seeds in ([seed] * 3, seed))
    assert torch.equal(listed, single)
    assert torch.equal(single[0], single[2])


@pytest.mark.parametrize(
    ("batch_size", "sizes"), [(10, [10, 10, 3]), (23, [23]), (None, [23]), (22, [22, 1]), (1, [1] * 23)], ids=str
)
def test_batches_hold_the_batch_size_and_the_last_one_the_rest(monkeypatch, batch_size, sizes):
    model, arguments = small(replicas=1)
    seen = spied(monkeypatch, model)
    fit(*arguments, disk(23), epochs=2, batch_size=batch_size)
    assert [x.shape for x in seen] == [(1, 2, size) for size in sizes * 2]


@pytest.mark.parametrize("sets", [[0, 1, 2], [2, 0, 2], [1, 1, 1]], ids=str)
def test_each_replica_reads_its_own_set(monkeypatch, sets):
    read = read_by(monkeypatch, 3, 2, sets=sets, seeds=4)
    expected = torch.stack(orders("epoch", 4, 11, 2))
    for replica, own in enumerate(sets):
        assert torch.equal(read[replica], 1000 * own + expected)


def test_several_sets_are_one_for_each_replica_unless_told_otherwise():
    train, test = disk(20, sets=3), disk(9, seed=1, sets=3)
    trained_so = []
    for sets in (None, [0, 1, 2]):
        model, arguments = small()
        history = fit(*arguments, train, test=test, epochs=2, batch_size=6, sets=sets)
        trained_so.append((model.parameters, history.loss["test"]))
    assert torch.equal(trained_so[0][0], trained_so[1][0])
    assert torch.equal(trained_so[0][1], trained_so[1][1])


def test_a_replica_on_its_set_is_a_model_trained_on_those_rows():
    train, validation, test = disk(20, sets=4), disk(13, seed=1, sets=4), disk(9, seed=2)
    together, arguments = small()
    start = together.parameters.clone()
    options = {"epochs": 2, "batch_size": 6, "history_every": 1}
    history = fit(*arguments, train, validation, test, sets=[3, 0, 3], seeds=[1, 2, 1], **options)
    for replica, (own, seed) in enumerate(((3, 1), (0, 2), (3, 1))):
        model, arguments = small(replicas=1)
        model.parameters.copy_(start[replica])
        rows = [Rows(rows.inputs[own], rows.labels[own]) for rows in (train, validation)]
        alone = fit(*arguments, *rows, test, seeds=seed, **options)
        assert torch.equal(model.parameters[0], together.parameters[replica])
        for name in ("train", "validation", "test"):
            assert torch.equal(alone.loss[name][:, 0], history.loss[name][:, replica])
            assert torch.equal(alone.errors[name][:, 0], history.errors[name][:, replica])


@pytest.mark.parametrize("layer", [Tanh, lambda: Dropout(0.5)], ids=["order", "dropout"])
def test_replicas_that_start_alike_part_if_and_only_if_their_seeds_differ(layer):
    model, arguments = small(replicas=4, hidden=layer)
    model.parameters.copy_(model.parameters[0].expand(4, -1).clone())
    options = {"shuffle": "never"} if layer is not Tanh else {}
    fit(*arguments, disk(30), epochs=2, batch_size=7, seeds=[0, 1, 0, 2], **options)
    assert torch.equal(model.parameters[0], model.parameters[2])
    assert len(model.parameters.unique(dim=0)) == 3


def test_training_reads_no_global_generator():
    trained_so = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        state = torch.get_rng_state()
        model, arguments = small(hidden=lambda: Dropout(0.5))
        fit(*arguments, disk(30), epochs=2, batch_size=7)
        assert torch.equal(torch.get_rng_state(), state)
        trained_so.append(model.parameters)
    assert torch.equal(*trained_so)


def test_training_does_not_write_into_the_rows():
    rows = disk(30, sets=3)
    before = rows.inputs.clone(), rows.labels.clone()
    _, arguments = small(dtype=torch.float32)
    fit(*arguments, rows, test=rows, epochs=2, batch_size=7)
    assert torch.equal(rows.inputs, before[0])
    assert torch.equal(rows.labels, before[1])


def test_the_schedule_is_asked_once_for_every_epoch_from_0():
    asked = []

    def schedule(epoch):
        asked.append(epoch)
        return 1.0

    _, arguments = small()
    fit(*arguments, disk(30), epochs=4, batch_size=7, schedule=schedule)
    assert asked == [0, 1, 2, 3]


def test_a_nested_network_trains_as_the_flat_one():
    trained_so = []
    for nest in (lambda *layers: layers, lambda *layers: [Sequential(*layers)]):
        model = Sequential(*nest(Tanh(), *nest(Linear(2, 5), BatchNorm())), ReLU(), Linear(5, 2), replicas=3)
        initialize(model, xavier, normal)
        fit(model, CrossEntropyLoss(), Adam(model, 0.05), disk(30), epochs=2, batch_size=7)
        trained_so.append(model.parameters)
    assert torch.equal(*trained_so)


def test_training_learns_the_disk():
    model = Sequential(Linear(2, 25), Tanh(), Linear(25, 2), replicas=3)
    initialize(model, xavier, normal)
    history = fit(
        model,
        CrossEntropyLoss(),
        Adam(model, 0.05),
        disk(200),
        test=disk(200, seed=1),
        epochs=100,
        batch_size=20,
        history_every=100,
    )
    assert (history.errors["train"][0] > 50).all()
    assert (history.errors["train"][-1] < 20).all()
    assert (history.errors["test"][-1] < 20).all()


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
    with pytest.raises(ValueError, match=r"inputs are \(samples, \d+ features\): \(.*\) was given"):
        predict(small()[0], torch.zeros(shape))


# Wrong input.

ROWS = r"rows are inputs \(samples, features\) and labels \(samples,\), or .* were given"
WRONG = {
    "batch_of_none": ({"batch_size": 0}, r"a batch holds between 1 and all 20 training samples: batch_size=0 was given"),
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
    with pytest.raises(ValueError, match="batch norm needs two samples or more in a training batch: 1 was given"):
        fit(*arguments, disk(samples), epochs=1, batch_size=batch_size)


def test_predict_names_the_features_it_expects():
    with pytest.raises(ValueError, match="2 features"):
        predict(Sequential(Linear(2, 3)), torch.zeros(4, 5))


def test_an_unknown_shuffle_is_refused():
    model = Sequential(Linear(1, 1))
    with pytest.raises(ValueError, match="shuffle is epoch, once or never: 'often' was given"):
        fit(model, MSELoss(), SGD(model), Rows(torch.zeros(3, 1), torch.ones(3).long()), epochs=1, shuffle="often")
