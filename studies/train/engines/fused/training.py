"""Training of a stack by the core, one replica after the other, with the arguments and the history of `framework.fit`."""

import ctypes
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

import framework as fw
from studies.train.engines.fused.library import Functions, RowsSpec, functions
from studies.train.engines.fused.models import Structure

BLOCK = 512  # rows evaluated at a time, where each is treated alone


class _Set(NamedTuple):
    """Sets of rows of one name as the core reads them."""

    inputs: Tensor
    labels: Tensor

    def spec(self, index: int) -> RowsSpec:
        """The rows of one set."""
        labels = self.labels[index].data_ptr()
        numbers = self.labels.is_floating_point()
        return RowsSpec(self.inputs[index].data_ptr(), None if numbers else labels, labels if numbers else None, self.samples)

    @property
    def samples(self) -> int:
        """Rows of each set."""
        return self.labels.shape[1]


class _Replica:
    """One model in the core, and what was recorded of it."""

    def __init__(self, core: Functions, handle: int | None, gradient_norms: int) -> None:
        if not handle:
            raise MemoryError("no memory for a model")
        self._core, self._layers = core, gradient_norms
        self._handle: int | None = handle
        self.finite = True
        self.loss: dict[str, list[float]] = {}
        self.wrong: dict[str, Tensor] = {}
        self.errors: dict[str, list[int]] = {}
        self.norms: list[Tensor] = []

    def train(self, factors: Sequence[float], after_first_batch: bool) -> None:
        """Train for an epoch at each factor on the learning rate; record the norms of the last gradients, or the first too."""
        numbers = (ctypes.c_double * len(factors))(*factors)
        if not self._layers:
            self.finite &= bool(self._core.train(self._handle, len(factors), numbers, None, None))
            return
        first, last = torch.zeros(2, self._layers, dtype=torch.float64)
        self.finite &= bool(self._core.train(self._handle, len(factors), numbers, first.data_ptr(), last.data_ptr()))
        self.norms += [first, last] if after_first_batch else [last]

    def evaluate(self, name: str, rows: RowsSpec) -> None:
        """Record the loss of rows, and which are wrong."""
        wrong = torch.empty(rows.samples, dtype=torch.bool) if rows.labels else None
        pointer = None if wrong is None else wrong.data_ptr()
        self.loss.setdefault(name, []).append(self._core.evaluate(self._handle, ctypes.byref(rows), pointer))
        if wrong is not None:
            self.wrong[name] = wrong
            self.errors.setdefault(name, []).append(int(wrong.sum()))

    def read_into(self, parameters: Tensor, norms: Sequence[fw.BatchNorm], replica: int) -> None:
        """Write parameters and running moments to their places in a stack."""
        found = torch.empty_like(parameters)
        moments = parameters.new_empty(sum(2 * norm.running_mean.shape[1] for norm in norms))
        self._core.read(self._handle, found.data_ptr(), moments.data_ptr())
        parameters.copy_(found)
        for norm in norms:
            mean, variance, moments = moments.tensor_split([norm.running_mean.shape[1], 2 * norm.running_mean.shape[1]])
            norm.running_mean[replica, :, 0], norm.running_variance[replica, :, 0] = mean, variance

    def end(self) -> None:
        """Give back its memory."""
        self._core.free(self._handle)
        self._handle = None

    def __del__(self) -> None:
        self.end()


def fit(
    model: fw.Sequential,
    loss: fw.Loss,
    optimizer: fw.Several,
    train: fw.Rows,
    validation: fw.Rows | None = None,
    test: fw.Rows | None = None,
    *,
    epochs: int,
    batch_size: int,
    shuffle: str,
    schedule: fw.Schedule,
    seeds: Sequence[int],
    sets: Sequence[int],
    decide: fw.Decision,
    history_every: int,
    gradient_norms: bool,
    observe: Callable[[int], None] | None,
) -> tuple[fw.History, list[float]]:
    """Train an initialized stack as `framework.fit` does, replica by replica, or in step where they are observed.

    Returns the history, and the seconds of each replica.
    """
    dtype = model.parameters.dtype
    core = functions(dtype)
    named = {"train": train, "validation": validation, "test": test}
    rows = {name: _set(each, dtype) for name, each in named.items() if each is not None}
    by_batch = any(isinstance(layer, fw.BatchNorm) and layer.evaluate == "batch" for layer in model.layers)
    most_rows = max(batch_size, *(each.samples if by_batch else min(each.samples, BLOCK) for each in rows.values()))
    rules = [part for part in optimizer.optimizers if isinstance(part, fw.Optimizer)]
    structure = Structure(model, loss, rules, decide=decide, shuffle=shuffle, batch_size=batch_size, most_rows=most_rows)
    linear = sum(isinstance(layer, fw.Linear) for layer in model.layers)
    batch_norms = [layer for layer in model.layers if isinstance(layer, fw.BatchNorm)]
    factors = [schedule(epoch) for epoch in range(epochs)]
    records = [epoch for epoch in range(epochs) if history_every and epoch % history_every == 0] + [epochs]

    def start(replica: int) -> _Replica:
        spec = structure.spec(replica, seeds[replica], rows["train"].spec(sets[replica]))
        parameters = model.parameters[replica].contiguous()
        return _Replica(core, core.new(ctypes.byref(spec), parameters.data_ptr()), linear * gradient_norms)

    def advance(replica: int, record: int) -> None:
        here = trained[replica]
        begin, end = records[record - 1] if record else 0, records[record]
        if end > begin:
            here.train(factors[begin:end], after_first_batch=record == 1)
        for name, each in rows.items():
            here.evaluate(name, each.spec(sets[replica]))
        is_last = record + 1 == len(records)
        if observe or is_last:
            here.read_into(model.parameters[replica], batch_norms, replica)
        if is_last:
            here.end()

    trained: dict[int, _Replica] = {}
    seconds = [0.0] * model.replicas
    for together in [range(model.replicas)] if observe else [[replica] for replica in range(model.replicas)]:
        trained |= {replica: start(replica) for replica in together}
        for record, epoch in enumerate(records):
            for replica in together:
                started = time.perf_counter()
                advance(replica, record)
                seconds[replica] += time.perf_counter() - started
            if observe:
                observe(epoch)
    return _history(records, list(trained.values()), dtype, gradient_norms), seconds


def _set(rows: fw.Rows, dtype: torch.dtype) -> _Set:
    """Rows as the core reads them: contiguous, in its types."""
    labels = rows.labels.to(dtype if rows.labels.is_floating_point() else torch.int32)
    return _Set(rows.inputs.to(dtype).contiguous(), labels.contiguous())


def _history(records: list[int], trained: Sequence[_Replica], dtype: torch.dtype, gradient_norms: bool) -> fw.History:
    """What was recorded of all replicas, as the framework has it."""
    first = trained[0]
    return fw.History(
        records,
        {name: torch.tensor([each.loss[name] for each in trained], dtype=dtype).T for name in first.loss},
        {name: torch.tensor([each.errors[name] for each in trained]).T for name in first.errors},
        torch.stack([torch.stack(each.norms) for each in trained], 2).to(dtype) if gradient_norms else None,
        torch.tensor([not each.finite for each in trained]),
        {name: torch.stack([each.wrong[name] for each in trained]) for name in first.wrong},
    )
