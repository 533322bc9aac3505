"""Training of a stack by the core, one replica after the other, with the arguments and the history of `framework.fit`."""

import ctypes
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

import framework as fw
from framework.history import BLOCK
from studies.train.engines.fused.library import Functions, ModelSpec, RecordsSpec, RowsSpec, functions
from studies.train.engines.fused.models import Structure


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


class _Records:
    """Records of one model after some epochs, on some sets of rows: tensors that the core writes to."""

    def __init__(self, epochs: Sequence[int], sets: Sequence[RowsSpec], layers: int) -> None:
        self.epochs = torch.tensor(epochs)
        self.losses = torch.zeros(len(epochs), len(sets), dtype=torch.float64)
        self.errors = torch.zeros(len(epochs), len(sets), dtype=torch.int64)
        self.norms = torch.zeros(len(epochs), layers, dtype=torch.float64)
        self.wrong = [torch.zeros(rows.samples, dtype=torch.bool) for rows in sets]
        self._sets = (RowsSpec * len(sets))(*sets)
        labelled = [each.data_ptr() if rows.labels else None for each, rows in zip(self.wrong, sets, strict=True)]
        self._wrong = (ctypes.c_void_p * len(sets))(*labelled)

    def spec(self, first: int, end: int) -> RecordsSpec:
        """The records from a first to before another as the core takes them."""
        norms = self.norms[first:].data_ptr() if self.norms.shape[1] else None
        places = (self.epochs[first:].data_ptr(), self._sets, self.losses[first:].data_ptr(), self.errors[first:].data_ptr())
        return RecordsSpec(*places, norms, ctypes.addressof(self._wrong), end - first, len(self.wrong))


class _Replica:
    """One model in the core, until it is ended."""

    def __init__(self, core: Functions, spec: ModelSpec, parameters: Tensor, records: _Records) -> None:
        self._core, self.records = core, records
        self._handle: int | None = core.new(ctypes.byref(spec), parameters.contiguous().data_ptr())
        if not self._handle:
            raise MemoryError("no memory for a model")
        self.finite, self.seconds = True, 0.0

    def run(self, factors: "ctypes.Array[ctypes.c_double]", first: int, end: int) -> None:
        """Train up to the records from a first to before another, and make them."""
        started = time.perf_counter()
        self.finite &= bool(self._core.run(self._handle, factors, ctypes.byref(self.records.spec(first, end))))
        self.seconds += time.perf_counter() - started

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
    layers = sum(isinstance(layer, fw.Linear) for layer in model.layers) if gradient_norms else 0
    batch_norms = [layer for layer in model.layers if isinstance(layer, fw.BatchNorm)]
    factors = (ctypes.c_double * epochs)(*map(schedule, range(epochs)))
    records = [epoch for epoch in range(epochs) if history_every and epoch % history_every == 0] + [epochs]

    def start(replica: int) -> _Replica:
        specs = [each.spec(sets[replica]) for each in rows.values()]
        spec = structure.spec(replica, seeds[replica], specs[0])
        return _Replica(core, spec, model.parameters[replica], _Records(records, specs, layers))

    trained: list[_Replica] = []
    if observe:
        trained = [start(replica) for replica in range(model.replicas)]
        for record, epoch in enumerate(records):
            for replica, each in enumerate(trained):
                each.run(factors, record, record + 1)
                each.read_into(model.parameters[replica], batch_norms, replica)
            observe(epoch)
    else:
        for replica in range(model.replicas):
            trained.append(start(replica))
            trained[-1].run(factors, 0, len(records))
            trained[-1].read_into(model.parameters[replica], batch_norms, replica)
            trained[-1].end()
    return _history(rows, trained, dtype), [each.seconds for each in trained]


def _set(rows: fw.Rows, dtype: torch.dtype) -> _Set:
    """Rows as the core reads them: contiguous, in its types."""
    labels = rows.labels.to(dtype if rows.labels.is_floating_point() else torch.int32)
    return _Set(rows.inputs.to(dtype).contiguous(), labels.contiguous())


def _history(rows: Mapping[str, _Set], trained: Sequence[_Replica], dtype: torch.dtype) -> fw.History:
    """The records of all replicas, as the framework has them."""
    all_records = [each.records for each in trained]
    losses, errors, norms = (
        torch.stack([getattr(each, name) for each in all_records], -1) for name in ("losses", "errors", "norms")
    )
    labelled = [(index, name) for index, (name, each) in enumerate(rows.items()) if not each.labels.is_floating_point()]
    return fw.History(
        all_records[0].epochs.tolist(),
        {name: losses[:, index].to(dtype) for index, name in enumerate(rows)},
        {name: errors[:, index] for index, name in labelled},
        norms.to(dtype) if norms.shape[1] else None,
        torch.tensor([not each.finite for each in trained]),
        {name: torch.stack([each.wrong[index] for each in all_records]) for index, name in labelled},
    )
