"""Rows as tables: those that belong to the trials of a study, and their form as CSV.

A row belongs to a trial if their keys are equal. What the row says of the study (names, labels, settings) is taken from the
study as it is today, what came of the training from the row.
"""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from studies.columns import COUNTS, FIRST, FLAGS, LAST, MADE_BY, OUTCOMES, PARTS, SETS, TEXTS, Record, is_measure
from studies.errors import UserError
from studies.plan.units import Trial
from studies.spec import recording
from studies.spec.study import Study

REPEATED = ("study", "reading", "trial", "config")  # columns of a trial that each line of its parts repeats
_OF_THE_PLAN = ("repeat", "fold", "seed", "epochs")  # columns of `LAST` that the plan gives
_FROM_TRAINING = [column for column in LAST if column not in _OF_THE_PLAN]


class Rows(NamedTuple):
    """Results of models: a row for each trial, and its lines by epoch (`history`) and by sample (`predictions`)."""

    trials: pd.DataFrame
    history: pd.DataFrame
    predictions: pd.DataFrame


def planned(study: Study, trials: Sequence[Trial]) -> pd.DataFrame:
    """The columns that the study gives to the rows of its trials, indexed by their keys, in the order of the trials."""
    configurations = {(trial.reading, trial.configuration.id): trial.configuration for trial in trials}
    place = {key: index for index, key in enumerate(configurations)}
    table = pd.DataFrame(
        [
            {"reading": reading or None, "config": each.id, "label": each.label, **each.columns}
            for (reading, _), each in configurations.items()
        ]
    )
    # Through CSV: columns have the types that they have when rows are read from a file.
    table = read_table(io.StringIO(to_csv(table)), (*TEXTS, *study.factors))
    rows = table.take([place[trial.reading, trial.configuration.id] for trial in trials])
    return rows.assign(
        study=study.name,
        repeat=np.array([trial.repeat for trial in trials], dtype=np.int64),
        fold=np.array([trial.fold for trial in trials], dtype=np.int64),
        seed=study.seed,
    ).set_index(pd.Index([trial.key for trial in trials], name="trial"))


def divide(
    found: pd.DataFrame, plan: pd.DataFrame, measures: Sequence[str] = (), *, lacking: bool = False
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows that belong to the planned trials, in their order, and the others; of each trial one.

    A trial's row is a successful one that records all that the study asks for, `measures` among it, the fullest of several;
    else its last failure. With `lacking`, one that records less will do.
    """
    if found.empty:
        return found, found
    there = _recorded(found)
    found = found.assign(_extent=_extent(there))
    asked = _recorded(plan.reindex(found["trial"]).set_axis(found.index))
    is_planned, good = found["trial"].isin(plan.index), found["status"] == "ok"
    covered = np.asarray(recording.covers(there, asked), dtype=bool) & _has_measures(found, measures)
    fits = is_planned & good & (lacking | covered)
    own = _best(found[fits | (is_planned & ~good)], fits)
    own = own.set_index("trial", drop=False).reindex(plan.index[plan.index.isin(own["trial"])]).reset_index(drop=True)
    # What an own row holds too is not kept twice.
    others = found[~fits & ~(is_planned & ~good)]
    held = _recorded(own.set_index("trial")).reindex(others["trial"]).set_axis(others.index)
    done = others["trial"].map(own.set_index("trial")["status"]) == "ok"
    others = others[~(done & np.asarray(recording.covers(held, _recorded(others)), dtype=bool))]
    others = _best(others, others["status"] == "ok")
    return own.drop(columns="_extent"), others.drop(columns="_extent").reset_index(drop=True)


def _best(rows: pd.DataFrame, good: pd.Series) -> pd.DataFrame:
    """One row of each trial: the fullest good one, the first of equals; else the last."""
    chosen = rows[good.reindex(rows.index)].sort_values("_extent", ascending=False, kind="stable")
    rest = rows[~good.reindex(rows.index)][::-1]
    return pd.concat([chosen, rest]).drop_duplicates("trial")


def _has_measures(rows: pd.DataFrame, measures: Sequence[str]) -> pd.Series:
    """True for the rows that have a value of every measure on any set; of a diverged model there may be none."""
    has = pd.Series(True, rows.index)
    for name in measures:
        there = [column for column in (f"{short}_{name}" for short in SETS) if column in rows]
        has &= rows[there].notna().any(axis=1) | (rows["diverged"].fillna(False).astype(bool) if "diverged" in rows else False)
    return has


def lacks(rows: pd.DataFrame, plan: pd.DataFrame, measures: Sequence[str]) -> dict[str, int]:
    """The recording settings and measures that rows of planned trials lack, each with the number of these rows."""
    asked = _recorded(plan.loc[rows["trial"]]).set_axis(rows.index)
    there = _recorded(rows)
    lacking = {key: ~np.asarray(recording.covers({**asked, key: there[key]}, asked), dtype=bool) for key in recording.SETTINGS}
    lacking |= {name: ~_has_measures(rows, [name]).to_numpy() for name in measures}
    return {name: int(without.sum()) for name, without in lacking.items() if without.any()}


def _recorded(rows: pd.DataFrame) -> pd.DataFrame:
    """The recording settings of rows; of one that does not say, nothing."""
    return pd.DataFrame({key: rows[key].fillna(0).astype(int) for key in recording.SETTINGS})


def _extent(there: pd.DataFrame) -> pd.Series:
    """Rank of rows by what they record: predictions above gradient norms above lines of the history."""
    every = there["history_every"]
    return 4 * there["keep_predictions"] + 2 * there["gradient_norms"] + (every > 0) / np.maximum(every, 1)


def named_by(rows: pd.DataFrame, plan: pd.DataFrame) -> pd.DataFrame:
    """Rows of planned trials under the study's own names, labels and settings; what they record stays theirs."""
    if rows.empty:
        return rows
    own = plan.loc[rows["trial"]].reset_index()
    own = own.drop(columns=list(recording.SETTINGS)).join(rows[list(recording.SETTINGS)])
    measures = [column for column in rows if is_measure(column) and column not in plan]
    own = own.join(rows.reindex(columns=[*_FROM_TRAINING, *measures]))
    return in_order(own, measures)


def as_asked(rows: Rows, plan: pd.DataFrame) -> Rows:
    """Rows as if they recorded what the study asks for and no more; what they lack they still lack."""
    trials, history, predictions = rows
    if trials.empty:
        return rows
    asked = _recorded(plan.loc[trials["trial"]])
    fuller = set(trials["trial"][(_recorded(trials) != asked.set_axis(trials.index)).any(axis=1) & (trials["status"] == "ok")])
    if not fuller:
        return rows
    epochs, every = (history["trial"].map(column) for column in (plan["epochs"], asked["history_every"]))
    history = history[recording.is_recorded(history["epoch"], epochs, every)].reset_index(drop=True)
    norms = [column for column in history if column.startswith("gradient_norm_")]
    history[norms] = history[norms].where(history["trial"].map(asked["gradient_norms"]) == 1)
    predictions = predictions[predictions["trial"].map(asked["keep_predictions"]) == 1].reset_index(drop=True)
    if predictions.empty:
        predictions = pd.DataFrame(columns=[*REPEATED, PARTS["predictions"]])
    covering = np.asarray(recording.covers(_recorded(trials), asked.set_axis(trials.index)), dtype=bool)
    return Rows(
        _with_first_fast_epochs(trials, history, fuller).assign(
            **{key: trials[key].where(~covering, plan.loc[trials["trial"], key].to_numpy()) for key in recording.SETTINGS}
        ),
        history.drop(columns=[column for column in norms if history[column].isna().all()]),
        predictions,
    )


def _with_first_fast_epochs(trials: pd.DataFrame, history: pd.DataFrame, of: set[str]) -> pd.DataFrame:
    """Rows with `epochs_to_5_pct` by the history there is, for some of the trials."""
    sizes = trials.set_index("trial")["n_train"]
    lines = history[history["trial"].isin(of)].groupby("trial")
    first = {trial: recording.first_fast_epoch(group["epoch"], group["train_errors"], sizes[trial]) for trial, group in lines}
    there = trials["trial"].isin(of)
    counted = trials["epochs_to_5_pct"].mask(there, trials["trial"].map(first))
    return trials.assign(epochs_to_5_pct=counted.astype("Int64"))


def require_equal(rows: pd.DataFrame) -> None:
    """Raise UserError where a trial was trained twice by the same means with other numbers: two machines are not alike."""
    good = rows[rows["status"] == "ok"]
    own = [column for column in ("trial", *MADE_BY, "code") if column in good]
    outcomes = [column for column in OUTCOMES if column in good and column != "epochs_to_5_pct"]  # depends on what is recorded
    different = good.drop_duplicates([*own, *outcomes])
    different = different[different.duplicated(own)]
    if len(different):
        raise UserError(
            f"a trial has the same numbers wherever it trains: {different['trial'].iloc[0]} was trained twice, with different "
            "ones; one of the machines is not like the others: move the folder aside, and run the study without it"
        )


def of_trials(lines: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """The lines of some trials, in their order, with what they repeat of them."""
    place = pd.Series(np.arange(len(trials)), index=trials["trial"] if len(trials) else [])
    places = lines["trial"].map(place)
    own = lines[places.notna()].iloc[places.dropna().argsort(kind="stable")].reset_index(drop=True)
    repeated = [column for column in REPEATED if column != "trial"]
    given = trials.set_index("trial")[repeated].reindex(own["trial"]).reset_index(drop=True) if len(trials) else own[repeated]
    return own.assign(**{column: given[column] for column in repeated})


def expanded(record: Record, part: str) -> list[Record]:
    """One part of a record, which holds it by column, as lines."""
    columns = record.get(part) or {}
    return [
        {**{name: record[name] for name in REPEATED}, **dict(zip(columns, values, strict=True))}
        for values in zip(*columns.values(), strict=True)
    ]


def typed(rows: pd.DataFrame, factors: Iterable[str]) -> pd.DataFrame:
    """Rows with counts, flags and texts of those types, whatever is missing."""
    kinds = {
        **dict.fromkeys(COUNTS, "Int64"),
        **dict.fromkeys(FLAGS, "boolean"),
        **dict.fromkeys((*TEXTS, *factors), "str"),
    }
    return rows.astype({column: kind for column, kind in kinds.items() if column in rows})


def in_order(rows: pd.DataFrame, measures: Sequence[str]) -> pd.DataFrame:
    """Rows with their columns in the order of the format: parameters of a setting beside it, the measures at the end."""
    settings = [column for column in rows if column not in (*FIRST, *LAST, *measures)]
    heads = list(dict.fromkeys(column.partition(".")[0] for column in settings))
    settings.sort(key=lambda column: heads.index(column.partition(".")[0]))
    return rows.reindex(columns=[*FIRST, *settings, *LAST, *measures])


def successful(trials: pd.DataFrame) -> set[str]:
    """The keys of the rows that did not fail."""
    return set(trials["trial"][trials["status"] == "ok"]) if len(trials) else set()


def read_table(source: Path | io.StringIO, texts: Iterable[str]) -> pd.DataFrame:
    """A table that `to_csv` wrote; the columns in `texts` stay texts, and a level called "none" or "NA" is no missing value."""
    return pd.read_csv(source, dtype=dict.fromkeys(texts, "str"), keep_default_na=False, na_values=[""], low_memory=False)


def to_csv(table: pd.DataFrame) -> str:
    """A table as CSV; every number is read back as it was."""
    content = io.StringIO()
    table.to_csv(content, index=False, lineterminator="\n")
    return content.getvalue()
