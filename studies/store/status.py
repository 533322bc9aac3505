"""Status of a study: trials that its folder holds and lacks, and why the next run trains a trial or not."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from studies.columns import FIRST, FLAGS, LAST, MADE_BY, is_measure
from studies.plan import plan
from studies.plan.units import NUMERICS, Trial
from studies.spec import recording
from studies.spec.grid import level_text
from studies.spec.identity import differing, plain
from studies.spec.study import Study
from studies.store import shards
from studies.store.rows import lacks, successful
from studies.store.store import KEPT, Store, read_manifest
from studies.train.code import code

SHOWN = 6  # lines at most about what does not fit
NOT_ON = "jobs, backend, the trials beside it, titles and pictures"  # what a trial's numbers do not depend on


def describe_status(study: Study, results: Path) -> list[str]:
    """Counts of trials that are done, missing and failed, by reading, makers of the rows, and runs at work; in lines.

    Raises UserError where the folder holds results of another format.
    """
    if study.table:
        failed = int(study.table.runs.table["value"].isna().sum())
        return [f"{study.name:14} {study.described_data}: {failed:,} failed; nothing trains"]
    store = Store(results, study)
    (rows, *_), kept = store.load_all()
    lines = [line for reading in study.readings for line in _of_reading(reading, rows)]
    failed = len(rows) - len(successful(rows))
    if failed:
        lines.append(f"again          {study.command('run', results)} trains the {failed:,} failed trials again")
    if rows.empty and kept.empty and (store.folder / "summary.csv").exists():
        lines.append(
            f"tables         committed in {store.folder}, without the rows that they were computed from: "
            f"{study.command('run', results)} trains these"
        )
    if len(rows):
        lines.append(f"made by        {', '.join(f'{column} {_counted(rows[column])}' for column in MADE_BY)}")
    lines += [*mixed(rows), *of_other_code(study, rows, results)]
    hosts = [shards.writer(Path(run["shard"])).host for run in store.runs() if "shard" in run]
    if hosts:
        lines.append(f"runs           on {_counted(pd.Series(hosts))}")
    return [*lines, *at_work(store), *outside(store, rows, kept)]


def missing(study: Study, results: Path) -> tuple[list[Trial], list[str]]:
    """The trials of a study without a successful row, and lines about the rows in its folder that belong to none of them.

    Raises UserError where the folder holds results of another format.
    """
    if study.table:
        return [], []
    store = Store(results, study)
    (rows, *_), kept = store.load_all()
    done = successful(rows)
    return [trial for trial in plan.trials(study) if trial.key not in done], outside(store, rows, kept)


def mixed(rows: pd.DataFrame) -> list[str]:
    """A line for each thing that rows were made by several of."""
    if rows.empty:
        return []
    makers = rows.groupby("engine")["trained_by"].transform("nunique")  # a study may have engines as levels
    values = {column: rows[column] if column != "trained_by" else rows["trained_by"][makers > 1] for column in MADE_BY}
    return [
        f"mixed          rows of several {column}: {_counted(found)}; rows are equal to the bit within one only"
        for column, found in values.items()
        if len(found.unique()) > 1
    ]


def of_other_code(study: Study, rows: pd.DataFrame, results: Path) -> list[str]:
    """A line where rows were made by other code than this, with what to do."""
    others = int((rows["code"] != code()).sum()) if len(rows) else 0
    if not others:
        return []
    return [
        f"other code     made {others:,} of {len(rows):,} rows; if `{study.command('verify', results)}` finds that numbers "
        "differ, raise NUMERICS in studies/plan/units.py, and run again"
    ]


def at_work(store: Store) -> list[str]:
    """A line for each other run that is at work in the folder."""
    writers = [shards.writer(shard) for shard in store.at_work()]
    return [f"at work        process {writer.process} on {writer.host}" for writer in writers]


def outside(store: Store, rows: pd.DataFrame, kept: pd.DataFrame) -> list[str]:
    """Lines about rows in the folder that the study does not use, beside those that it does: how many, and why not."""
    if kept.empty:
        return []
    others = kept[~kept["trial"].isin(store.plan.index)]
    lines = incomplete(store, rows, kept)
    if len(others):
        count = f"{len(others):,} rows of other trials"
        lines.append(f"kept           {count} in {store.folder / KEPT}, for a study that comes back to them")
    reasons = [reason for reason in (_misfit(others, store.plan, column) for column in _settings(others)) if reason]
    reasons += changed(store)
    return [*lines, *(f"               {reason}" for reason in reasons[:SHOWN])]


def incomplete(store: Store, rows: pd.DataFrame, kept: pd.DataFrame) -> list[str]:
    """Lines about rows of the study's trials that lack what it records now, so that a run trains these trials again."""
    own = kept[kept["trial"].isin(store.plan.index)] if len(kept) else kept
    again = own[~own["trial"].isin(successful(rows))] if len(own) else own
    lines = []
    if len(again):
        lacking = lacks(again, store.plan, store.study.recorded)
        each = ", ".join(f"{name} ({count:,})" for name, count in lacking.items())
        lines.append(
            f"incomplete     {len(again):,} rows lack what the study records now, {each}: a run trains their trials again"
        )
    if len(own) > len(again):
        count = f"{len(own) - len(again):,} rows of trials that were trained again since"
        lines.append(f"kept           {count}: they record what the new rows do not")
    return lines


def changed(store: Store) -> list[str]:
    """Differences of a study from its last run in the folder, in a line; none where there are none."""
    manifest = read_manifest(store.folder)
    differences = differing(manifest["identity"], plain(store.study.identity())) if manifest else ""
    return [f"since the last run: {differences}"] if differences else []


def _settings(rows: pd.DataFrame) -> list[str]:
    """The columns by which trials differ: settings, factors and places."""
    own = [column for column in rows if column not in (*FIRST, *LAST, *recording.SETTINGS) and not is_measure(column)]
    return ["numerics", "seed", "epochs", *own, "repeat", "fold"]


def _misfit(kept: pd.DataFrame, plan: pd.DataFrame, column: str) -> str:
    """The values of a column that kept rows have and no planned trial has, or nothing."""
    there = kept[column].map(_shown)
    here = {str(NUMERICS)} if column == "numerics" else set(plan[column].map(_shown)) if column in plan else {"absent"}
    foreign = there[~there.isin(here)]
    return f"{column} is {_counted(foreign)}, not {', '.join(sorted(here)[:4])}" if len(foreign) else ""


def _of_reading(reading: Study, rows: pd.DataFrame) -> list[str]:
    """The counts of one reading, and why trials failed."""
    keys = {trial.key for trial in plan.trials(reading) if trial.reading == reading.reading}
    own = rows[rows["trial"].isin(keys)] if len(rows) else pd.DataFrame(columns=["status", "reason", "diverged", "stuck"])
    done, failed = own[own["status"] == "ok"], own[own["status"] != "ok"]
    line = f"{len(keys):,} trials: {len(done):,} done, {len(keys) - len(own):,} missing, {len(failed):,} failed"
    counts = [f"{int(done[flag].sum()):,} {flag}" for flag in FLAGS]
    reasons = failed["reason"].value_counts().items()
    return [
        f"{reading.reading or reading.name:14} {line}; of those done, {', '.join(counts)}",
        *(f"failed         {count:,}: {reason}" for reason, count in reasons),
    ]


def _counted(values: pd.Series) -> str:
    """The distinct values, each with how often it is there."""
    return ", ".join(f"{value} ({count:,})" for value, count in values.value_counts().items())


def explain_trial(study: Study, results: Path, beginning: str) -> list[str]:
    """Lines that say whether the next run trains the trial whose key begins so, and why.

    Raises UserError where no trial of the study has such a key, or several.
    """
    trial = plan.find(study, beginning)
    store = Store(results, study)
    (rows, *_), kept = store.load_all()
    lines = [f"trial          {trial.key}: {trial.configuration.label}, {trial.place}"]
    row = rows[rows["trial"] == trial.key] if len(rows) else rows
    if trial.key in successful(rows):
        made = ", ".join(f"{column} {row.iloc[0][column]}" for column in MADE_BY)
        lines.append(f"reused         its row is in {store.folder}, made by {made}")
    elif len(row):
        lines.append(f"to be trained  its row in {store.folder} failed: {row.iloc[0]['reason']}")
    else:
        lines += [f"to be trained  {store.folder} has no row of it", *_nearest(trial, rows, kept)]
        lines += [f"changed        {line}" for line in changed(store)]
    return [
        *lines,
        f"depends on     {level_text(plan.depends_on(study.named(trial.reading), trial))}",
        f"not on         {NOT_ON}",
    ]


def _nearest(trial: Trial, rows: pd.DataFrame, others: pd.DataFrame) -> list[str]:
    """The row that differs from a trial in the fewest settings, and in which."""
    there = pd.concat([table for table in (rows, others) if len(table)]) if len(rows) + len(others) else pd.DataFrame()
    if there.empty:
        return []
    same = (there["repeat"] == trial.repeat) & (there["fold"] == trial.fold)
    same &= there["reading"].fillna("") == trial.reading
    candidates = there[same] if same.any() else there
    settings = [column for column in there if column not in (*FIRST, *LAST) and not is_measure(column)]
    compared = [(_differences(row, trial, settings), row) for row in candidates.to_dict("records")]
    differences, nearest = min(compared, key=lambda pair: len(pair[0]))
    if not differences and nearest["numerics"] != NUMERICS:
        differences = [f"numerics is {nearest['numerics']} there, {NUMERICS} here"]
    told = differences or ["its settings are the same, the data, the seed, the repeat or the fold is not"]
    return [f"nearest row    {nearest['trial']}: {', '.join(told)}"]


def _differences(row: Mapping[str, Any], trial: Trial, settings: list[str]) -> list[str]:
    """In which settings a row is another model than the trial."""
    ours = trial.configuration.columns
    pairs = [(column, _shown(row.get(column)), _shown(ours.get(column))) for column in dict.fromkeys([*settings, *ours])]
    return [f"{column} is {theirs} there, {mine} here" for column, theirs, mine in pairs if theirs != mine]


def _shown(value: object) -> str:
    """A value as a text that does not tell whether it was read from a file: 4, "4" and 4.0 are one."""
    if value is None or value != value:
        return "absent"
    try:
        return f"{float(str(value)):.12g}"
    except ValueError:
        return str(value)
