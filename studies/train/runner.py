"""From a stack to its rows: it trains in one process on one thread."""

import functools
import math
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch

import framework as fw
from studies.data.types import Labels, Split, Table
from studies.data.wrong import pack
from studies.plan import devices
from studies.plan.units import NUMERICS, Source, Stack, Trial, batch_size
from studies.seeds import digest, seed_for
from studies.spec.components import DECISIONS
from studies.spec.recording import first_fast_epoch
from studies.spec.settings import Settings
from studies.store.shards import Record
from studies.train import networks
from studies.train.code import code
from studies.train.products import fast_products

STUCK_LEVEL = 0.001  # of the exact test that a model is better than always guessing the majority of its training rows


class Trained(NamedTuple):
    """A trained stack: the model, the history, the rows of each of its trials, and the seconds of training it took."""

    model: fw.Sequential
    history: fw.History
    splits: Sequence[Split]
    seconds: float


def train(stack: Stack) -> list[Record]:
    """One record for each trial of a stack.

    A stack in which an exception was raised trains again in halves, down to the models that raise it alone: these are failed
    trials. Their records have the reason in a line, and the traceback as a file to write beside the rows.

    Raises MemoryError where memory does not suffice: it may for a smaller stack.
    """
    try:
        with one_thread():
            results = _results(stack, fit(stack))
    except Exception as error:
        reason = " ".join("".join(traceback.format_exception_only(error)).split())
        if (
            isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in reason
        ):  # the CPU's has no type
            raise MemoryError(reason) from None
        details = "".join(traceback.format_exception(error))
    else:
        return [{**_identity(stack, trial), **result} for trial, result in zip(stack.trials, results, strict=True)]
    if len(stack.trials) > 1:
        from studies.plan import plan

        return [record for half in plan.halves(stack) for record in train(half)]
    place = f"tracebacks/{digest(details, 8)}.txt"
    return [{**record, "files": {place: details}} for record in failed(stack, f"{reason} (see {place})")]


def failed(stack: Stack, reason: str) -> list[Record]:
    """The records of a stack that could not be trained."""
    return [{**_identity(stack, trial), "status": "failed", "reason": reason} for trial in stack.trials]


def made_by(device: str) -> Record:
    """What trains here: within one of these, rows are equal to the bit."""
    versions = {"torch": torch.__version__, "numpy": np.__version__}
    made = {"device": devices.described(device), "cpu": devices.instructions(), **versions, "threads": 1}
    return {**made, "numerics": NUMERICS, "code": code()}


@contextmanager
def one_thread() -> Iterator[None]:
    """How the suite computes: one thread a process, as many processes as cores, and products by numpy.

    There are no denormal numbers, which cost a hundred times a normal one.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        with torch.inference_mode(), fast_products():
            yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)


def fit(stack: Stack, observe: Callable[[int, fw.Sequential], None] | None = None) -> Trained:
    """Train a stack; `observe` gets the epoch and the model at every record of the history."""
    if not stack.splits:
        from studies.plan import plan  # with scikit-learn, scipy and pandas, which take longer to import than torch

        stack = plan.with_rows(stack)
    source = stack.source
    settings = [trial.configuration.settings for trial in stack.trials]
    shared = settings[0]
    of = {(trial.repeat, trial.fold): split for trial, split in zip(stack.trials, stack.splits, strict=True)}
    places, splits = list(of), list(of.values())
    sets = [places.index((trial.repeat, trial.fold)) for trial in stack.trials]

    train = _joined([split.train for split in splits])
    validation = _joined([split.validation for split in splits if split.validation])
    test = _joined([split.test for split in splits if split.test])
    assert train is not None

    device = devices.here(stack.device)
    names = source.schema
    known = source.parts.load()
    model = networks.model(settings, len(names.features), len(names.classes), device, known)
    networks.initialize(model, settings, [seed_for(source.seed, "init", *places[index]) for index in sets], known)
    loss, optimizer = networks.loss(shared, known), networks.optimizer(model, settings, known)
    if shared["engine"] == "torch_nn":
        from studies.train import torch_nn  # a second of imports that no other study needs

        model, loss, optimizer = torch_nn.of(model, shared)
    devices.wait(device)
    started = time.perf_counter()
    history = fw.fit(
        model,
        loss,
        optimizer,
        train,
        validation,
        test,
        epochs=shared["epochs"],
        batch_size=batch_size(shared, stack.structure),
        shuffle=shared["shuffle"],
        schedule=networks.schedule(shared, known),
        seeds=[seed_for(source.seed, "order", *places[index]) for index in sets],
        sets=sets,
        decide=DECISIONS[shared["decision"]].make,
        history_every=shared["history_every"],
        gradient_norms=shared["gradient_norms"],
        observe=observe and (lambda epoch: observe(epoch, model)),
    )
    devices.wait(device)
    return Trained(model, history, stack.splits, time.perf_counter() - started)


def _joined(tables: Sequence[Table]) -> fw.Rows | None:
    """Tables of one size as sets of rows; None where there are none."""
    if not tables:
        return None
    inputs, labels = (np.stack([getattr(table, name) for table in tables]) for name in ("inputs", "labels"))
    return fw.Rows(torch.from_numpy(inputs), torch.from_numpy(labels))


def _results(stack: Stack, trained: Trained) -> list[Record]:
    """What each model of a stack achieved."""
    seconds = trained.seconds / len(stack.trials)
    results = [{**outcome(trained.history, replica, split), "seconds": seconds} for replica, split in enumerate(trained.splits)]
    shared = stack.trials[0].configuration.settings
    if shared["keep_predictions"]:
        for result, predictions in zip(results, _predictions(trained, stack.source, shared), strict=True):
            result["predictions"] = predictions
    return results


def _predictions(trained: Trained, source: Source, shared: Settings) -> list[Record]:
    """The rows that each model is judged on, with their classes and those predicted by name: `predictions.csv` in columns."""
    classes, known = source.schema.classes, source.parts.load()
    judged = [getattr(split, split.judged) for split in trained.splits]
    rows = _joined(judged)
    assert rows is not None
    outputs = fw.predict(trained.model, rows.inputs)
    predicted = fw.decided(outputs.mT, DECISIONS[shared["decision"]].make).long()  # rules differ in the type they give
    targets = fw.encode(rows.labels, outputs.shape[2]).to(outputs).mT
    each = networks.loss({**shared, "reduction": "sum"}, known)
    columns = [f"output_{name}" for name in classes] if outputs.shape[2] > 1 else ["output"]
    names = dict(enumerate(classes))  # an output may be rounded to a label that is none
    return [
        {
            "row": table.rows.tolist(),
            "truth": [names[label] for label in table.labels.tolist()],
            "predicted": [names.get(label) for label in labels.tolist()],
            # A sample takes the place of a replica: one loss each.
            "loss": each(output[:, :, None], target[:, :, None])[0].tolist(),
            **dict(zip(columns, output.T.tolist(), strict=True)),
        }
        for table, labels, output, target in zip(judged, predicted, outputs, targets, strict=True)
    ]


def outcome(history: fw.History, replica: int, split: Split) -> Record:
    """What one model achieved, and its history."""
    sizes = {name: len(table.labels) if table else 0 for name, table in split._asdict().items()}
    curves = {"epoch": history.epochs}
    final: Record = {}
    for name, short in (("train", "train"), ("validation", "val"), ("test", "test")):
        final[f"n_{short}"] = sizes[name]
        if name in history.loss:
            curves[f"{short}_loss"] = history.loss[name][:, replica].tolist()
            curves[f"{short}_errors"] = history.errors[name][:, replica].tolist()
            final |= {f"{short}_{what}": curves[f"{short}_{what}"][-1] for what in ("loss", "errors")}
    if history.gradient_norms is not None:
        for layer, norms in enumerate(history.gradient_norms[:, :, replica].T.tolist(), start=1):
            curves[f"gradient_norm_{layer}"] = norms
    return {
        **final,
        "diverged": bool(history.diverged[replica]),
        "stuck": is_stuck(final["train_errors"], split.train.labels),
        "epochs_to_5_pct": first_fast_epoch(curves["epoch"], curves["train_errors"], sizes["train"]),
        "status": "ok",
        "reason": None,
        "wrong": pack(history.wrong[split.judged][replica].cpu().numpy()),
        "history": curves,
    }


def is_stuck(errors: int, labels: Labels) -> bool:
    """True where a model with so many errors on its training rows is not shown to be better than always guessing.

    The exact one-sided binomial test: P(X <= errors) > 0.001 for X ~ B(n, share of rows outside the majority). A model without
    errors is never stuck, however few rows there are.
    """
    return errors > _most_errors(len(labels), len(labels) - int(np.bincount(labels).max()))


@functools.lru_cache(maxsize=1024)
def _most_errors(rows: int, others: int) -> int:
    """Most errors of `rows` with which a model is better than guessing, where `others` rows are outside the majority."""
    if not others:
        return 0
    # log P(X = k) by its recursion in k: scipy takes a second to import in every process that trains.
    k = np.arange(others)
    start = rows * math.log1p(-others / rows)
    steps = np.log((rows - k) / (k + 1)) + math.log(others / (rows - others))
    below = np.exp(np.logaddexp.accumulate(start + np.concatenate(([0.0], np.cumsum(steps)))))
    return max(0, int((below <= STUCK_LEVEL).sum()) - 1)


def _identity(stack: Stack, trial: Trial) -> dict[str, Any]:
    """Which model a record is about, and what computed it."""
    return {
        "study": stack.source.study,
        "reading": trial.reading or None,
        "trial": trial.key,
        "config": trial.configuration.id,
        "label": trial.configuration.label,
        **trial.configuration.columns,
        "repeat": trial.repeat,
        "fold": trial.fold,
        "seed": stack.source.seed,
        "stack": len(stack.trials),
        **made_by(stack.device),
    }
