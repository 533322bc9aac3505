"""The one training loop, over a stack of R models.

Here is the public edge: data comes as `(samples, features)` and is turned to `(features, samples)` once.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from framework.capture import Captured
from framework.decisions import Decision, argmax, threshold
from framework.history import History, Recorder, blocks
from framework.losses import Loss
from framework.module import Sequential
from framework.optimizers import Stepper
from framework.requirements import (
    require_batches,
    require_fitting,
    require_initialized,
    require_numbers,
    require_own_layers,
)
from framework.rows import Batches, Rows, Shuffle, to_columns, to_tensor
from framework.schedules import Schedule, constant
from framework.streams import DROPOUT, ORDER, derive


def fit(
    model: Sequential,
    loss: Loss,
    optimizer: Stepper,
    train: Rows,
    validation: Rows | None = None,
    test: Rows | None = None,
    *,
    epochs: int,
    batch_size: int | None = None,
    shuffle: Shuffle = "epoch",
    schedule: Schedule = constant,
    seeds: int | Sequence[int] = 0,
    sets: Sequence[int] | None = None,
    decide: Decision | None = None,
    history_every: int = 0,
    gradient_norms: bool = False,
    observe: Callable[[int], None] | None = None,
) -> History:
    """Train the stack for `epochs` passes over `train`, in batches of `batch_size` (None: all rows; the last may be short).

    * `shuffle`: a new order every "epoch", one order drawn "once", or "never". Replicas of equal seed (and set) share it.
    * `seeds`: what orders and dropout are drawn from; one number for all replicas, or one each.
    * `sets`: which of the sets each replica uses, where the rows hold several (by default replica r the r-th).
    * `decide`: turns outputs into labels; by default the largest of several outputs, or a single one above 0.5.
    * `history_every`: record all rows before training and after every that many epochs (0: not at all); always after the last.
    * `gradient_norms`: record them too.
    * `observe`: called with the epoch at every record, to look at the model while it trains.

    Raises ValueError where the model is not initialized, the optimizer is another model's, the loss cannot take the outputs, or
    shapes, labels or sizes do not fit, naming what was expected and given.

    >>> from framework import SGD, CrossEntropyLoss, Linear, initialize
    >>> rows = Rows(torch.linspace(-1, 1, 100)[:, None], torch.arange(100) // 50)  # class 1 above 0
    >>> model = Sequential(Linear(1, 2), replicas=2)
    >>> initialize(model, seed=0)
    >>> history = fit(model, CrossEntropyLoss(), SGD(model, lr=1.0), rows, epochs=20, batch_size=10)
    >>> history.errors["train"].shape  # one record of two models
    torch.Size([1, 2])
    """
    require_fitting(model, loss, optimizer)
    given = {name: each for name, each in (("train", train), ("validation", validation), ("test", test)) if each is not None}
    rows = {name: to_columns(model, each, sets, name) for name, each in given.items()}
    if sets is not None and not any(to_tensor(inputs).ndim == 3 for inputs, _ in given.values()):
        raise ValueError(
            f"sets says which of several sets of rows each model uses, and these are one set for all: sets={sets} was given; "
            "leave it out, or give rows (sets, samples, features)"
        )
    require_numbers(epochs, history_every, gradient_norms, shuffle)
    samples = rows["train"].labels.shape[1]
    batch_size = samples if batch_size is None else batch_size
    require_batches(model, samples, batch_size)
    seeds = torch.as_tensor(seeds, dtype=torch.int64).reshape(-1).tolist()
    seeds = seeds * model.replicas if len(seeds) == 1 else seeds
    if len(seeds) != model.replicas:
        raise ValueError(f"seeds is one number, or one for each of the {model.replicas} models: {len(seeds)} were given")
    require_initialized(model)

    device = model.parameters.device
    model.seed([derive(seed, DROPOUT) for seed in seeds], device)
    batches = Batches(rows["train"], [derive(seed, ORDER) for seed in seeds], batch_size, shuffle)
    recorder = Recorder(model, loss, rows, decide or (threshold if model.outputs == 1 else argmax), gradient_norms, observe)
    factor, total = model.parameters.new_ones(()), model.parameters.new_zeros(model.replicas)

    def train_on(x: Tensor, target: Tensor) -> None:
        value, gradient = loss(model.forward(x), target)
        model.accumulate(gradient)
        optimizer.step(factor)
        total.add_(value)

    step = Captured(train_on, device)
    diverged = torch.zeros(model.replicas, dtype=torch.bool, device=device)
    if history_every or not epochs:
        recorder.record(0)
    for epoch in range(epochs):
        total.zero_()
        factor.fill_(schedule(epoch))
        for x, target in batches:
            step(x, target)
            if history_every and not recorder.norms:
                recorder.record_gradients()
        diverged |= ~(model.parameters.isfinite().all(1) & total.isfinite())
        if epoch + 1 == epochs or (history_every and (epoch + 1) % history_every == 0):
            recorder.record(epoch + 1)
            recorder.record_gradients()
    return recorder.history(diverged)


def predict(model: Sequential, inputs: Tensor) -> Tensor:
    """Outputs `(R, samples, outputs)` of every model for inputs `(samples, features)`, or `(R, samples, features)` of its own.

    Raises ValueError where the inputs have another shape, or the model has no parameters yet.

    >>> from framework import Linear, initialize
    >>> model = Sequential(Linear(3, 2), replicas=4)
    >>> initialize(model, seed=0)
    >>> predict(model, torch.zeros(5, 3)).shape
    torch.Size([4, 5, 2])
    """
    require_own_layers(model)
    inputs = to_tensor(inputs)
    takes = model.takes if model.takes is not None else inputs.shape[-1]
    if inputs.ndim not in (2, 3) or inputs.shape[-1] != takes or (inputs.ndim == 3 and len(inputs) != model.replicas):
        raise ValueError(
            f"inputs are (samples, {takes} features), or ({model.replicas} models, samples, {takes} features): "
            f"{tuple(inputs.shape)} was given"
        )
    require_initialized(model)
    x = inputs.to(model.parameters).mT.expand(model.replicas, -1, -1)
    outputs = [model.forward(x[:, :, block].contiguous(), train=False).mT for block in blocks(model, x.shape[2])]
    return torch.cat(outputs, 1)
