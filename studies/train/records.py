"""Outcomes of trained models, in the columns of their rows."""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

import framework as fw
from studies.columns import SETS, Record
from studies.data import measuring
from studies.data.types import Labels, Split, Table
from studies.data.wrong import pack_rows
from studies.plan.units import Unit
from studies.spec.components import DECISIONS, with_name
from studies.spec.recording import first_fast_epoch
from studies.train import networks

STUCK_LEVEL = 0.001  # of the exact test that a model is better than always guessing the majority of its training rows


def outcomes(unit: Unit, model: Any, history: fw.History, splits: Sequence[Split]) -> list[Record]:  # noqa: ANN401
    """The outcome of each trial of a unit.

    Args:
        unit: The unit, trained.
        model: The stack of its models, one replica for each trial.
        history: The stack's history.
        splits: Rows of each trial.
    """
    found = [outcome(history, replica, split) for replica, split in enumerate(splits)]
    if unit.source.measures:
        for each, values in zip(found, _measures(unit, model, splits), strict=True):
            each |= values
    if unit.settings["keep_predictions"]:
        for each, predictions in zip(found, _predictions(unit, model, splits), strict=True):
            each["predictions"] = predictions
    return found


def join_rows(tables: Sequence[Table]) -> fw.Rows | None:
    """Tables of one size as sets of rows; None where there are none."""
    if not tables:
        return None
    inputs, labels = (np.stack([getattr(table, name) for table in tables]) for name in ("inputs", "labels"))
    return fw.Rows(torch.from_numpy(inputs), torch.from_numpy(labels))


def _measures(unit: Unit, model: Any, splits: Sequence[Split]) -> list[Record]:  # noqa: ANN401
    """The recorded measures of each model on each of its sets of rows; None where it has no such value.

    A model of numbers is stuck where its training rows are no nearer than their mean is, which is 0 after normalisation.
    """
    settings, found = unit.settings, [dict[str, Any]() for _ in splits]
    for short, field in reversed(SETS.items()):
        tables = [getattr(split, field) for split in splits]
        rows = join_rows([table for table in tables if table])
        if rows is None:
            continue
        outputs = fw.predict(model, rows.inputs)
        if not unit.source.schema.classes:
            for record, table, output, split in zip(found, tables, outputs.cpu().numpy(), splits, strict=True):
                said = split.in_unit(output[:, 0].astype(np.float64))
                if field == "train":
                    record["stuck"] = not np.square(output[:, 0] - table.labels).sum() < np.square(table.labels).sum()
                for name in unit.source.measures:
                    record[f"{short}_{name}"] = measuring.of_numbers(name, split.in_unit(table.labels), said)
            continue
        predicted = fw.decided(outputs.mT, DECISIONS[settings["decision"]].make).long()
        for record, table, labels, output in zip(found, tables, predicted.cpu().numpy(), outputs.cpu().numpy(), strict=True):
            probabilities = measuring.to_probabilities(output.astype(np.float64), with_name(settings["loss"])["name"])
            for name in unit.source.measures:
                record[f"{short}_{name}"] = measuring.value(name, table.labels, labels, probabilities)
    return found


def _predictions(unit: Unit, model: Any, splits: Sequence[Split]) -> list[Record]:  # noqa: ANN401
    """The rows that each model is judged on, with their classes and those predicted by name: `predictions.csv` in columns."""
    settings, classes = unit.settings, unit.source.schema.classes
    judged = [getattr(split, split.judged) for split in splits]
    rows = join_rows(judged)
    assert rows is not None
    outputs = fw.predict(model, rows.inputs)
    each = networks.loss({**settings, "reduction": "sum"}, unit.source.parts.load())
    columns = [f"output_{name}" for name in classes] if outputs.shape[2] > 1 else ["output"]
    names = dict(enumerate(classes))  # an output may be rounded to a label that is none
    if not classes:
        return [
            {
                "row": table.rows.tolist(),
                "truth": split.in_unit(table.labels).tolist(),
                "predicted": split.in_unit(output[:, 0].double().numpy()).tolist(),
                "loss": each(output[:, :, None], torch.as_tensor(table.labels)[:, None, None].to(output))[0].tolist(),
            }
            for table, output, split in zip(judged, outputs, splits, strict=True)
        ]
    predicted = fw.decided(outputs.mT, DECISIONS[settings["decision"]].make).long()  # rules differ in the type they give
    targets = fw.encode(rows.labels, outputs.shape[2]).to(outputs).mT
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
    """The outcome of one model, with its history."""
    sizes = {name: len(table.labels) if table else 0 for name, table in split.sets.items()}
    curves = {"epoch": history.epochs}
    final: Record = {}
    for short, name in reversed(SETS.items()):
        final[f"n_{short}"] = sizes[name]
        if name in history.loss:
            curves[f"{short}_loss"] = history.loss[name][:, replica].tolist()
            if name in history.errors:
                curves[f"{short}_errors"] = history.errors[name][:, replica].tolist()
            final |= {column: curves[column][-1] for column in (f"{short}_loss", f"{short}_errors") if column in curves}
    if history.gradient_norms is not None:
        for layer, norms in enumerate(history.gradient_norms[:, :, replica].T.tolist(), start=1):
            curves[f"gradient_norm_{layer}"] = norms
    return {
        **final,
        "diverged": bool(history.diverged[replica]),
        "status": "ok",
        "reason": None,
        "history": curves,
        **(_of_errors(history, replica, split, curves) if history.errors else {"stuck": False}),
    }


def _of_errors(history: fw.History, replica: int, split: Split, curves: Mapping[str, Any]) -> Record:
    """The columns that follow from the number of rows that a model gets wrong."""
    errors, labels = curves["train_errors"], split.train.labels
    return {
        "stuck": is_stuck(errors[-1], labels),
        "epochs_to_5_pct": first_fast_epoch(curves["epoch"], errors, len(labels)),
        "wrong": pack_rows(history.wrong[split.judged][replica].cpu().numpy()),
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
