import pytest
import torch
from oracle import ACTIVATIONS, NORMS, close, disk, network, randn, small, twin_of
from torch import nn

from framework import (
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
    Linear,
    MAELoss,
    MSELoss,
    ReLU,
    RMSprop,
    Rows,
    Sequential,
    Tanh,
    argmax,
    fit,
    initialize,
    normal,
    predict,
    rounded,
    step_decay,
    threshold,
    xavier,
)
from framework.history import BLOCK
from framework.streams import derive, generator

pytestmark = pytest.mark.usefixtures("device")

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
    drawn = [torch.randperm(samples, generator=stream, device="cpu").to(torch.get_default_device()) for _ in range(epochs)]
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
        assert torch.equal(history.wrong["train"][replica], wrong)


# What fit records, and in which order it reads.


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
                if epochs == 4:
                    assert torch.equal(history.wrong[name][replica], decided != labels)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("evaluate", ["running", "batch"])
@pytest.mark.parametrize("samples", [1, BLOCK, BLOCK + 1, 2 * BLOCK + 7])
def test_any_number_of_rows_is_evaluated_as_one_forward_pass_does(samples, evaluate, reduction):
    model, arguments = small(hidden=lambda: BatchNorm(evaluate=evaluate), reduction=reduction, lr=0.01)
    rows = disk(samples, seed=1)
    history = fit(*arguments, disk(30), test=rows, epochs=1, batch_size=10)
    output = model.forward(rows.inputs.double().T.expand(3, 2, samples).contiguous(), train=False).clone()
    target = torch.stack((rows.labels == 0, rows.labels == 1)).double().expand_as(output)
    close(history.loss["test"][-1], CrossEntropyLoss()(output, target)[0])
    assert torch.equal(history.wrong["test"], argmax(output) != rows.labels)
    assert torch.equal(history.errors["test"][-1], history.wrong["test"].sum(1))
    close(predict(model, rows.inputs), output.mT)


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
    initialize(model)
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
@pytest.mark.cpu  # a recorded step calls no Python
def test_rows_are_read_in_the_documented_order(monkeypatch, batch_size, shuffle):
    read = read_by(monkeypatch, 3, 4, batch_size=batch_size, shuffle=shuffle, seeds=[7, 0, 7])
    for replica, seed in enumerate([7, 0, 7]):
        assert torch.equal(read[replica], torch.stack(orders(shuffle, seed, 11, 4)))


@pytest.mark.cpu  # a recorded step calls no Python
def test_rows_are_shuffled_at_every_epoch_unless_told_otherwise(monkeypatch):
    read = read_by(monkeypatch, 2, 3)
    assert torch.equal(read[0], torch.stack(orders("epoch", 0, 11, 3)))
    assert len(read[0].unique(dim=0)) == 3


@pytest.mark.parametrize("shuffle", ["once", "epoch"])
@pytest.mark.cpu  # a recorded step calls no Python
def test_replicas_share_the_order_if_and_only_if_their_seeds_are_equal(monkeypatch, shuffle):
    read = read_by(monkeypatch, 5, 2, seeds=[3, 4, 3, 0, 4], shuffle=shuffle)
    same = [[torch.equal(one, other) for other in read] for one in read]
    assert same == [[a == b for b in (3, 4, 3, 0, 4)] for a in (3, 4, 3, 0, 4)]


@pytest.mark.parametrize("seed", [0, 6])
@pytest.mark.cpu  # a recorded step calls no Python
def test_one_seed_is_that_seed_for_every_replica(monkeypatch, seed):
    listed, single = (read_by(monkeypatch, 3, 2, seeds=seeds) for seeds in ([seed] * 3, seed))
    assert torch.equal(listed, single)
    assert torch.equal(single[0], single[2])


@pytest.mark.parametrize(
    ("batch_size", "sizes"), [(10, [10, 10, 3]), (23, [23]), (None, [23]), (22, [22, 1]), (1, [1] * 23)], ids=str
)
@pytest.mark.cpu  # a recorded step calls no Python
def test_batches_hold_the_batch_size_and_the_last_one_the_rest(monkeypatch, batch_size, sizes):
    model, arguments = small(replicas=1)
    seen = spied(monkeypatch, model)
    fit(*arguments, disk(23), epochs=2, batch_size=batch_size)
    assert [x.shape for x in seen] == [(1, 2, size) for size in sizes * 2]


@pytest.mark.parametrize("sets", [[0, 1, 2], [2, 0, 2], [1, 1, 1]], ids=str)
@pytest.mark.cpu  # a recorded step calls no Python
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


def test_gradient_norms_are_of_the_first_batch_and_then_of_the_last_before_each_record():
    rows = disk(24)
    _, arguments = small(replicas=2, lr=0.3)
    history = fit(*arguments, rows, epochs=4, batch_size=8, shuffle="never", history_every=2, gradient_norms=True)
    assert history.epochs == [0, 2, 4]
    assert history.gradient_norms.shape == (3, 2, 2)
    twin, (_, loss, optimizer) = small(replicas=2, lr=0.3)
    x, target = rows.inputs.double().T, torch.stack((rows.labels == 0, rows.labels == 1)).double()
    expected = []
    for epoch in range(4):
        for start in (0, 8, 16):
            batch = slice(start, start + 8)
            _, gradient = loss(twin.forward(x[:, batch].expand(2, -1, -1)), target[:, batch].expand(2, -1, -1))
            twin.backward(gradient)
            if (epoch, start) in ((0, 0), (1, 16), (3, 16)):
                expected.append([layer.weight_gradient.norm(dim=(1, 2)).tolist() for layer in (twin.layers[0], twin.layers[2])])
            optimizer.step()
    close(history.gradient_norms, torch.tensor(expected, dtype=torch.float64))
    assert fit(*arguments, rows, epochs=1, batch_size=8).gradient_norms is None
