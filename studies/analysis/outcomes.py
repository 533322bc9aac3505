"""Outcomes of trials: their errors in percent, the set of rows that they are judged on, and the flags of those that failed."""

from collections.abc import Sequence

import pandas as pd

from studies.columns import FLAGS, SETS

SET_WORDS = {"train": "training", "val": "validation", "test": "test"}
COUNTED = (*FLAGS, "failed")


def in_percent(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials with `<set>_pct`, the error in percent, for each set that the study has, and flags `failed` and `working`."""
    failed = trials["status"] != "ok"
    useless = (trials[list(FLAGS)].astype("boolean").fillna(False)).any(axis=1).astype(bool)
    added = {"failed": failed, "working": ~(failed | useless)}
    for name in SETS:
        if name == "train" or (trials[f"n_{name}"].fillna(0) > 0).any():
            added[f"{name}_pct"] = (100 * trials[f"{name}_errors"] / trials[f"n_{name}"]).astype(float)
    return trials.assign(**added)


def judged_on(table: pd.DataFrame) -> str:
    """The set that a table's errors are about: test rows, else validation rows, else training rows."""
    return next(name for name in SETS if f"{name}_pct" in table or f"{name}_mean_pct" in table)


def levels_of(trials: pd.DataFrame, factors: Sequence[str]) -> pd.DataFrame:
    """The level of each factor, by configuration."""
    return trials.drop_duplicates("config").set_index("config")[list(factors)]
