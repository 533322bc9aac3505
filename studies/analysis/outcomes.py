"""Outcomes of trials: their values of a measure, the set of rows that they are judged on, and the flags of failures."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from studies.columns import FLAGS, SETS
from studies.data import measuring
from studies.data.measures import Measure
from studies.spec.measures import MEASURES, recorded
from studies.spec.study import Study

SET_WORDS = {"train": "training", "val": "validation", "test": "test"}
COUNTED = (*FLAGS, "failed")


def measured(trials: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    """The trials with `<set>_value`, the measure on each set of rows that there is, and flags `failed` and `working`.

    Errors are counted in rows, and are percentages of them here, as are those that a function gives as such; the time of
    training is about no rows, and is that of the set that the study is judged on. A trial that has no value, as a diverged one
    has no loss, counts in no mean.
    """
    failed = trials["status"] != "ok"
    useless = (trials[list(FLAGS)].astype("boolean").fillna(False)).any(axis=1).astype(bool)
    given = [name for name in SETS if f"{name}_{measure.name}" in trials and trials[f"{name}_{measure.name}"].notna().any()]
    sets = [name for name in SETS if name in given or (trials[f"n_{name}"].fillna(0) > 0).any()] or ["train"]
    timed = measure.name == "seconds" and not measure.column
    added = {"failed": failed, "working": ~(failed | useless)}
    for name in sets[:1] if timed else sets:
        if measure.name == "error" and not measure.column:
            values = 100 * trials[f"{name}_errors"] / trials[f"n_{name}"]
            if name in given:
                values = values.fillna(trials[f"{name}_error"])
        else:
            column = measure.name if timed else f"{name}_{measure.name}"
            values = trials[column] if column in trials else pd.Series(float("nan"), trials.index)
        values = values.astype(float)
        added[f"{name}_value"] = values.where(values.abs() < float("inf"))
    return trials.assign(**added)


def measures_of(trials: pd.DataFrame) -> list[str]:
    """The built-in measures that some trial has a value of."""
    columns = set(trials.columns[trials.notna().any()])
    return [
        name
        for name in MEASURES
        if columns & {name, *(f"{of}_{name}" for of in SETS)} or (name == "error" and columns & {f"{of}_errors" for of in SETS})
    ]


def from_predictions(trials: pd.DataFrame, predictions: pd.DataFrame, study: Study) -> pd.DataFrame:
    """The trials with the study's measure on the rows that judge, computed from their predictions where they lack it."""
    name = study.measure.name
    column = f"{study.sampling.judged}_{name}"
    if not recorded([study.measure]) or predictions.empty or trials.empty:
        return trials
    known = trials[column] if column in trials else pd.Series(float("nan"), trials.index)
    lacking = trials[known.isna()].set_index("trial")
    if not study.schema.classes:
        by_trial = predictions[predictions["trial"].isin(lacking.index)].groupby("trial")
        numbers = {
            trial: measuring.of_numbers(name, *(lines[each].to_numpy(dtype=float) for each in ("truth", "predicted")))
            for trial, lines in by_trial
        }
        return trials.assign(**{column: known.fillna(trials["trial"].map(numbers).astype(float))})
    place = {label: index for index, label in enumerate(study.schema.classes)}
    outputs = [f"output_{label}" for label in study.schema.classes]
    found = {}
    for trial, lines in predictions[predictions["trial"].isin(lacking.index)].groupby("trial"):
        columns = [each for each in outputs if each in lines and lines[each].notna().all()] or ["output"]
        probabilities = measuring.to_probabilities(lines[columns].to_numpy(dtype=float), str(lacking.loc[trial, "loss"]))
        truth, predicted = (lines[each].map(place).fillna(-1).to_numpy(dtype=np.int64) for each in ("truth", "predicted"))
        found[trial] = measuring.value(name, truth, predicted, probabilities)
    return trials.assign(**{column: known.fillna(trials["trial"].map(found).astype(float))})


def judged_on(table: pd.DataFrame) -> str:
    """The set that a table's values are about: test rows, else validation rows, else training rows."""
    return next(name for name in SETS if f"{name}_value" in table or f"{name}_mean" in table)


def levels_of(trials: pd.DataFrame, factors: Sequence[str]) -> pd.DataFrame:
    """The level of each factor, by configuration."""
    return trials.drop_duplicates("config").set_index("config")[list(factors)]
