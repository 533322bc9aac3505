"""The one training loop, over a stack of R models.

Here is the public edge: data comes as `(samples, features)` and is turned to `(features, samples)` once.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from framework.capture import Captured
from framework.decisions import Decision, argmax, decided, encode, threshold
from framework.layers import BatchNorm, Linear
from framework.losses import Loss
from framework.module import Sequential
from framework.optimizers import Optimizer, Several, Stepper
from framework.schedules import Schedule, constant
from framework.streams import CPU, DROPOUT, ORDER, Streams, derive, sent

Shuffle = Literal["epoch", "once", "never"]

BLOCK = 512  # samples evaluated at a time on the CPU: more leave the cache between two layers, fewer take more calls


class Rows(NamedTuple):
    """Samples: `inputs` `(samples, features)` and integer `labels` `(samples,)`, shared by all models.

    Floating-point labels are targets themselves, numbers that a single output is to give: they have no errors.

    With a leading axis on both, `(sets, samples, features)` and `(sets, samples)`, they hold several sets of equal size, and
    each model uses one of them.
    """

    inputs: Tensor
    labels: Tensor


@dataclass(frozen=True)
class History:
    """What `fit` recorded after each of `epochs` (0: before training).

    `loss[name]` and `errors[name]` are `(recorded, R)` for each set of rows by name (train, validation, test): mean loss per
    sample, and number of wrong samples, which a set whose labels are numbers has not. `gradient_norms` is
    `(recorded, layers, R)`, or None where nobody asked for it: the Euclidean norm of the gradient of each Linear's weights,
    from input to output, in the last batch before the record, or the first batch of all. `diverged` is `(R,)`: the sum of an
    epoch's losses, or a parameter at its end, was not finite.
    `wrong[name]` is `(R, samples)`: the samples that a model gets wrong after the last epoch.
    """

    epochs: list[int]
    loss: dict[str, Tensor]
    errors: dict[str, Tensor]
    gradient_norms: Tensor | None
    diverged: Tensor
    wrong: dict[str, Tensor]


class _Columns(NamedTuple):
    """Rows as the stack sees them: labels, `(R,)` sets, and `pairs` `(sets, features + outputs, samples)`.

    A pair is a sample's inputs over its one-hot or single target: of one tensor, one call shuffles or selects both.
    """

    pairs: Tensor
    features: int
    labels: Tensor
    sets: Tensor


def _parted(pairs: Tensor, features: int) -> tuple[Tensor, Tensor]:
    """Inputs and targets."""
    return pairs[:, :features], pairs[:, features:]


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
    _require_fitting(model, loss, optimizer)
    named = {"train": train, "validation": validation, "test": test}
    columns = {name: _columns(model, rows, sets, name) for name, rows in named.items() if rows is not None}
    if sets is not None and not any(rows and _tensor(rows[0]).ndim == 3 for rows in named.values()):
        raise ValueError(
            f"sets says which of several sets of rows each model uses, and these are one set for all: sets={sets} was given; "
            "leave it out, or give rows (sets, samples, features)"
        )
    if not (isinstance(epochs, int) and isinstance(history_every, int) and epochs >= 0 and history_every >= 0):
        raise ValueError(f"epochs and history_every are whole numbers from 0: {epochs} and {history_every} were given")
    if gradient_norms and not epochs:
        raise ValueError("gradients are there after a step: gradient_norms needs epochs of 1 or more, 0 was given")
    if shuffle not in ("epoch", "once", "never"):
        raise ValueError(f"shuffle is epoch, once or never: {shuffle!r} was given")
    samples = columns["train"].labels.shape[1]
    batch_size = samples if batch_size is None else batch_size
    if not (isinstance(batch_size, int) and 1 <= batch_size <= samples):
        raise ValueError(f"a batch holds between 1 and all {samples} training samples: batch_size={batch_size} was given")
    seeds = torch.as_tensor(seeds, dtype=torch.int64).reshape(-1).tolist()
    seeds = seeds * model.replicas if len(seeds) == 1 else seeds
    if len(seeds) != model.replicas:
        raise ValueError(f"seeds is one number, or one for each of the {model.replicas} models: {len(seeds)} were given")
    decide = decide or (argmax if model.outputs != 1 else threshold)

    if samples % batch_size == 1 % batch_size and any(isinstance(module, BatchNorm) for module in model.modules()):
        raise ValueError(
            f"batch norm needs two samples or more in a training batch: batches of {batch_size} leave one of {samples} alone; "
            "choose another batch_size"
        )

    _require_initialized(model)
    model.seed([derive(seed, DROPOUT) for seed in seeds], model.parameters.device)
    batches = _Batches(columns["train"], [derive(seed, ORDER) for seed in seeds], batch_size, shuffle)
    recorder = _Recorder(model, loss, columns, decide, gradient_norms, observe)
    factor, total = model.parameters.new_ones(()), model.parameters.new_zeros(model.replicas)

    def train_on(x: Tensor, target: Tensor) -> None:
        value, gradient = loss(model.forward(x), target)
        model.accumulate(gradient)
        optimizer.step(factor)
        total.add_(value)

    step = Captured(train_on, model.parameters.device, model.generators())
    diverged = torch.zeros(model.replicas, dtype=torch.bool, device=model.parameters.device)
    if history_every or not epochs:
        recorder.record(0)
    for epoch in range(epochs):
        total.zero_()
        factor.fill_(schedule(epoch))
        for x, target in batches:
            step(x, target)
            if history_every and not recorder.norms:
                recorder.record_gradients()
        diverged |= ~(model.parameters.mul(0.0).sum(1) + total.mul_(0.0) == 0.0)  # 0 times what is not finite is not 0
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
    _require_own_layers(model)
    inputs = _tensor(inputs)
    takes = model.takes if model.takes is not None else inputs.shape[-1]
    if inputs.ndim not in (2, 3) or inputs.shape[-1] != takes or (inputs.ndim == 3 and len(inputs) != model.replicas):
        raise ValueError(
            f"inputs are (samples, {takes} features), or ({model.replicas} models, samples, {takes} features): "
            f"{tuple(inputs.shape)} was given"
        )
    _require_initialized(model)
    x = inputs.to(model.parameters).mT.expand(model.replicas, -1, -1)
    blocks = _blocks(model, x.shape[2])
    return torch.cat([model.forward(x[:, :, block].contiguous(), train=False).mT.clone() for block in blocks], 1)


def _tensor(x: Any) -> Tensor:  # noqa: ANN401
    """A tensor as it is; any other array, data frame or list of numbers as a new tensor.

    Raises ValueError where it holds anything but numbers.
    """
    if isinstance(x, Tensor):
        return x
    array = x.__array__() if hasattr(x, "__array__") else x
    try:
        return torch.tensor(array.copy() if array is not x or hasattr(x, "strides") else x)  # torch takes no reversed array
    except (TypeError, ValueError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"rows are arrays of numbers: a {type(x).__name__} was given, and {reason}; convert it") from None


def _require_own_layers(model: Sequential) -> None:
    """Raise ValueError where a later model took layers of this one."""
    for module in model.modules():
        if module.stack is not model.stack:
            raise ValueError(
                f"a layer has its parameters in one model: {module!r} is in a later Sequential too; "
                f"write {module!r} once for each model, or copy.deepcopy(model)"
            )


def _require_initialized(model: Sequential) -> None:
    """Raise ValueError where a model has the weights of 0 that it was made with."""
    linear = [module for module in model.modules() if isinstance(module, Linear)]
    for replica in range(model.replicas) if linear else ():
        if replica not in model.initialized and not any(module.weight[replica].any() for module in linear):
            raise ValueError(
                "the weights of a model are drawn before it trains or predicts: these are 0; call initialize(model)"
            )


def _require_fitting(model: Sequential, loss: Loss, optimizer: Stepper) -> None:
    """Raise ValueError where model, loss and optimizer do not belong together."""
    for given in (model, loss, optimizer):
        if isinstance(given, type):
            raise ValueError(f"fit takes objects: the class {given.__name__} was given; write {given.__name__}(...)")
    if not _offers(model, "forward", "accumulate"):
        raise ValueError(
            f"a model is a framework.Sequential: {_described(model)} was given; write Sequential(Linear(2, 3), ...)"
        )
    if not (_offers(loss, "__call__") and hasattr(loss, "reduction")):
        raise ValueError(
            f"a loss is one of this framework: {_described(loss)} was given; write framework.MSELoss(), "
            "framework.CrossEntropyLoss() and so on, or a subclass of framework.Loss"
        )
    _require_own_layers(model)
    for last in [*model.modules()][-1:]:
        loss.require_outputs_of(last)
    for part in optimizer.optimizers if isinstance(optimizer, Several) else [optimizer]:
        if not _offers(part, "step"):
            raise ValueError(
                f"an optimizer is one of this framework: {_described(part)} was given; write framework.SGD(model), "
                "framework.Adam(model) and so on"
            )
        if isinstance(part, Optimizer) and _place(part.parameters) != _place(model.parameters):
            raise ValueError(
                "an optimizer moves the parameters that it was made with: these are another model's; make it with this model"
            )


def _offers(given: object, *methods: str) -> bool:
    """True for what has these methods, and is not torch's own, whose methods of these names do other things."""
    return not type(given).__module__.startswith("torch.") and all(callable(getattr(given, name, None)) for name in methods)


def _described(given: object) -> str:
    """A wrong argument in the first line that it prints, with where its type is from."""
    return f"{repr(given).partition(chr(10))[0]} of {type(given).__module__}"


def _place(x: Tensor) -> int:
    """The address of the memory that a tensor is a view of."""
    return x.untyped_storage().data_ptr()


def _blocks(model: Sequential, samples: int) -> list[slice]:
    """The samples in the blocks in which the model evaluates them: the same for any, as bits may depend on their width."""
    size = BLOCK if model.by_row and model.parameters.is_cpu else samples  # a CUDA device is slow at many small things
    return [slice(start, start + size) for start in range(0, samples, size or 1)] or [slice(0)]


class _Recorder:
    """What becomes the history: loss and errors of all rows, and norms of gradients if they are asked for."""

    def __init__(
        self,
        model: Sequential,
        loss: Loss,
        columns: Mapping[str, _Columns],
        decide: Decision,
        gradient_norms: bool,
        observe: Callable[[int], None] | None,
    ) -> None:
        self._model, self._loss, self._columns, self._decide, self._observe = model, loss, columns, decide, observe
        self._linear = [module for module in model.modules() if isinstance(module, Linear)] if gradient_norms else []
        self._epochs: list[int] = []
        self._losses: dict[str, list[Tensor]] = {name: [] for name in columns}
        self._errors: dict[str, list[Tensor]] = {name: [] for name in columns}
        self._wrong: dict[str, Tensor] = {}
        self.norms: list[Tensor] = []

    def record(self, epoch: int) -> None:
        """Loss and errors as they are after that epoch."""
        self._epochs.append(epoch)
        for name, rows in self._columns.items():
            value, wrong = self._evaluated(rows)
            self._losses[name].append(value)
            if wrong is not None:
                self._errors[name].append(wrong.sum(1))
                self._wrong[name] = wrong
        if self._observe:
            self._observe(epoch)

    def _evaluated(self, rows: _Columns) -> tuple[Tensor, Tensor | None]:
        """Loss per sample of each model, and the samples that it gets wrong, `(R, samples)`; None where labels are numbers."""
        samples = rows.labels.shape[1]
        total, wrong = self._model.parameters.new_zeros(()), []
        for block in _blocks(self._model, samples):
            inputs, targets = _parted(rows.pairs[:, :, block].contiguous().index_select(0, rows.sets), rows.features)
            output = self._model.forward(inputs, train=False)
            value, _ = self._loss(output, targets)
            total = total + (value * output.shape[2] if self._loss.reduction == "mean" else value)
            if not rows.labels.is_floating_point():
                labels = rows.labels[:, block].contiguous().index_select(0, rows.sets)
                wrong.append(decided(output, self._decide) != labels)
        return total / samples, torch.cat(wrong, 1) if wrong else None

    def record_gradients(self) -> None:
        """Norms of the gradients of the last batch."""
        if self._linear:
            self.norms.append(torch.stack([layer.weight_gradient.flatten(1).norm(dim=1) for layer in self._linear]))

    def history(self, diverged: Tensor) -> History:
        """All that was recorded, and which replicas diverged."""
        return History(
            self._epochs,
            {name: torch.stack(rows) for name, rows in self._losses.items()},
            {name: torch.stack(rows) for name, rows in self._errors.items() if rows},
            torch.stack(self.norms) if self._linear else None,
            diverged,
            self._wrong,
        )


class _Batches:
    """The batches of one epoch after the other: x `(R, features, batch)` and targets `(R, outputs, batch)`.

    Sorting costs as much as a layer, so replicas of the same rows and seed share one permutation.
    """

    def __init__(self, rows: _Columns, seeds: Sequence[int], batch_size: int, shuffle: Shuffle) -> None:
        self._streams = Streams(list(zip(rows.sets.tolist(), seeds, strict=True)))
        self._member = self._streams.member.to(rows.sets.device)
        self._pairs = rows.pairs[torch.tensor([key[0] for key in self._streams.keys], device=rows.sets.device)]
        self._features, self._batch_size, self._every_epoch = rows.features, batch_size, shuffle == "epoch"
        self._batches: dict[int, tuple[Tensor, Tensor, Tensor]] = {}  # by size: the same tensors at every step
        if shuffle == "once":
            self._pairs = self._shuffled()

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        pairs = self._shuffled() if self._every_epoch else self._pairs
        for part in pairs.split(self._batch_size, 2):
            size = part.shape[2]
            if size not in self._batches:
                batch = part.new_empty(self._member.shape[0], *part.shape[1:])
                self._batches[size] = batch, *_parted(batch, self._features)
            batch, inputs, targets = self._batches[size]
            torch.index_select(part.contiguous(), 0, self._member, out=batch)  # with gaps, each replica costs a call
            yield inputs, targets

    def _shuffled(self) -> Tensor:
        order = self._streams.draw(lambda stream: torch.randperm(self._pairs.shape[2], generator=stream, device=CPU))
        return self._pairs.gather(2, sent(order[:, None], self._member.device).expand_as(self._pairs))


def _columns(model: Sequential, rows: Rows, sets: Sequence[int] | None, name: str) -> _Columns:
    """Check labelled rows against the model, and turn them."""
    if model.outputs is None:
        raise ValueError("a model to train has a Linear layer: none was given")
    inputs, labels = map(_tensor, rows)
    if inputs.ndim == 2:
        inputs, labels, sets = inputs[None], labels[None], [0] * model.replicas
    if inputs.ndim != 3 or labels.shape != inputs.shape[:2]:
        raise ValueError(
            f"{name} rows are inputs (samples, features) and labels (samples,), or (sets, samples, features) and "
            f"(sets, samples): {tuple(inputs.shape)} and {tuple(labels.shape)} were given"
        )
    sets = list(range(model.replicas)) if sets is None else list(sets)
    if len(sets) != model.replicas or not all(0 <= index < inputs.shape[0] for index in sets):
        raise ValueError(
            f"each of the {model.replicas} models uses one of the {inputs.shape[0]} sets of {name} rows: sets={sets} was given"
        )
    if inputs.shape[2] != model.takes:
        raise ValueError(f"the model takes {model.takes} features: {name} rows with {inputs.shape[2]} were given")
    classes = max(model.outputs, 2)
    if not labels.numel():
        raise ValueError(f"{name} rows are one or more: none were given")
    if labels.is_floating_point():
        if model.outputs != 1 or not labels.isfinite().all():
            raise ValueError(
                f"labels of a model with {model.outputs} outputs are integers from 0 to {classes - 1}, or finite numbers for a "
                f"single output: {name} labels from {labels.min()} to {labels.max()} of {labels.dtype} were given"
            )
        targets = labels[:, None].to(model.parameters)
    elif labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"labels of a model with {model.outputs} outputs are integers from 0 to {classes - 1}: "
            f"{name} labels from {labels.min()} to {labels.max()} were given"
        )
    else:
        targets = encode(labels, model.outputs).to(model.parameters)
    device = model.parameters.device
    return _Columns(
        torch.cat([inputs.mT.to(model.parameters), targets], 1),
        inputs.shape[2],
        labels.to(device),
        torch.tensor(sets, device=device),
    )
