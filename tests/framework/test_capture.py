"""A step that is recorded and replayed, on the CPU by a recorder that replays by calling it."""

import pytest
import torch
from oracle import ACTIVATIONS, disk
from torch.utils._python_dispatch import TorchDispatchMode

import framework as fw
from framework import capture


@pytest.fixture
def recorded(monkeypatch):
    """Recorded steps, by a recorder that replays a step as it is written: a list of their numbers of replays."""
    records = []

    def record(step, device):
        assert device == torch.device("cpu")
        replays = [0]
        records.append(replays)

        def replay():
            replays[0] += 1
            step()

        return replay

    monkeypatch.setitem(capture.RECORDERS, "cpu", record)
    return records


def trained(optimizer, schedule=fw.constant, shuffle="epoch"):
    model = fw.Sequential(fw.Linear(2, 5), fw.BatchNorm(), fw.Tanh(), fw.Dropout(0.2), fw.Linear(5, 2), replicas=3)
    fw.initialize(model, fw.xavier, seed=1)
    rows = disk(70)
    history = fw.fit(
        model,
        fw.CrossEntropyLoss(),
        optimizer(model),
        rows,
        epochs=4,
        batch_size=32,
        schedule=schedule,
        shuffle=shuffle,
        seeds=[1, 2, 3],
        history_every=1,
        gradient_norms=True,
    )
    return model.parameters, history.loss["train"], history.gradient_norms


@pytest.mark.parametrize("shuffle", ["epoch", "never"])
@pytest.mark.parametrize(
    "optimizer", [fw.SGD, fw.Adagrad, fw.Adadelta, fw.RMSprop, fw.Adam, fw.AdamW, fw.Adamax], ids=lambda each: each.__name__
)
def test_a_recorded_run_is_the_run_as_written(recorded, monkeypatch, optimizer, shuffle):
    found = trained(optimizer, fw.step_decay(0.5, 2), shuffle)
    assert recorded
    monkeypatch.delitem(capture.RECORDERS, "cpu")
    for one, other in zip(found, trained(optimizer, fw.step_decay(0.5, 2), shuffle), strict=True):
        assert torch.equal(one, other)


def test_each_size_of_batch_is_recorded_once(recorded):
    trained(fw.SGD)
    # 4 epochs of 32, 32 and 6 rows; of each size, the first three steps are the warm-up
    assert recorded == [[5], [1]]


def test_the_cpu_runs_each_step_as_it_is_written():
    calls = []
    step = capture.Captured(lambda x: calls.append(float(x)), torch.device("cpu"))
    for value in range(6):
        step(torch.tensor(float(value)))
    assert calls == [0, 1, 2, 3, 4, 5]


class Calls(TorchDispatchMode):
    """Notes the name of every operation."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def recorded_names(monkeypatch, layers, loss, optimizer, outputs=2):
    """The operations of a step while it is recorded."""
    names = []

    def record(step, *_):
        def noted():
            with Calls() as calls:
                step()
            names.extend(calls.names)

        return noted

    monkeypatch.setitem(capture.RECORDERS, "cpu", record)
    model = fw.Sequential(
        fw.Linear(2, 4), *layers, fw.Linear(4, outputs), *(() if outputs == 2 else [fw.Sigmoid()]), replicas=3
    )
    fw.initialize(model, fw.xavier, seed=1)
    fw.fit(model, loss, optimizer(model), disk(100), epochs=4, batch_size=32, seeds=[1, 2, 3], schedule=fw.cosine(4))
    assert names
    return names


# A CUDA graph holds no copy from the host and no answer to it: it fails where these are recorded.
WITH_THE_HOST = {"_to_copy", "scalar_tensor", "lift_fresh", "lift_fresh_copy", "_local_scalar_dense", "nonzero", "is_nonzero"}
STEPS = {
    "clip and weight decay": ([fw.Tanh()], fw.CrossEntropyLoss(), lambda model: fw.SGD(model, 0.1, weight_decay=0.1, clip=1.0)),
    "nesterov": ([fw.Tanh()], fw.CrossEntropyLoss(), lambda model: fw.SGD(model, 0.1, momentum=0.9, nesterov=True)),
    "several optimizers": (
        [fw.Tanh()],
        fw.CrossEntropyLoss(),
        lambda model: fw.Several(
            [
                fw.SGD(fw.Part(model.parameters[:1], model.gradients[:1])),
                fw.Adam(fw.Part(model.parameters[1:], model.gradients[1:])),
            ]
        ),
    ),
    "dropout": ([fw.Dropout([0.1, 0.2, 0.3])], fw.CrossEntropyLoss(), fw.SGD),
    "batch norm": ([fw.BatchNorm(), fw.Tanh()], fw.CrossEntropyLoss(), fw.SGD),
    "batch norm by the batch": ([fw.BatchNorm(affine=False, evaluate="batch")], fw.CrossEntropyLoss(), fw.SGD),
    "straight through": ([fw.BatchNorm(gradient="straight_through")], fw.CrossEntropyLoss(), fw.SGD),
    **{
        loss.__name__: ([fw.Tanh()], loss(), fw.SGD)
        for loss in (fw.MSELoss, fw.MAELoss, fw.HuberLoss, fw.HingeLoss, fw.BCELoss)
    },
    **{name: ([ours()], fw.CrossEntropyLoss(), fw.SGD) for name, (ours, _) in ACTIVATIONS.items()},
    **{
        each.__name__: ([fw.Tanh()], fw.CrossEntropyLoss(), each)
        for each in (fw.Adagrad, fw.Adadelta, fw.RMSprop, fw.Adam, fw.AdamW, fw.Adamax)
    },
}


@pytest.mark.parametrize(("layers", "loss", "optimizer"), STEPS.values(), ids=STEPS)
def test_a_recorded_step_has_no_dealings_with_the_host(monkeypatch, layers, loss, optimizer):
    outputs = 1 if isinstance(loss, fw.BCELoss) else 2
    assert not WITH_THE_HOST & set(recorded_names(monkeypatch, layers, loss, optimizer, outputs))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is present")
def test_a_run_on_a_cuda_device_agrees_with_the_cpu():
    def losses(device):
        model = fw.Sequential(fw.Linear(2, 8), fw.BatchNorm(), fw.ReLU(), fw.Linear(8, 2), replicas=4, device=device)
        fw.initialize(model, fw.he, seed=1)
        rows = disk(100)
        history = fw.fit(model, fw.CrossEntropyLoss(), fw.Adam(model, 0.005), rows, epochs=20, batch_size=32, history_every=5)
        return history.loss["train"].cpu()

    assert torch.allclose(losses("cpu"), losses("cuda"), rtol=1e-2, atol=1e-3)
