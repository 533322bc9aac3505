"""How a study stands: what its folder holds and lacks, and why one trial is or is not trained by the next run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from studies import plan, shards
from studies.columns import FIRST, FLAGS, LAST, MADE_BY
from studies.grid import words
from studies.spec import Study
from studies.stack import NUMERICS, Trial
from studies.store import Store, differing, good, read_manifest

NOT_ON = "jobs, backend, the trials beside it, titles and pictures"  # what a trial's numbers do not depend on


def status(study: Study, results: Path) -> list[str]:
    """What of a study is done, missing and failed, reading by reading, what made its rows, and who is at work; in lines.

    Raises UserError where the folder holds another study, or results of another format.
    """
    store = Store(results, study)
    store.require_own()
    rows = store.load().trials
    lines = [line for reading in study.readings for line in _of_reading(reading, rows)]
    if len(rows):
        lines.append(f"made by        {', '.join(f'{column} {_counted(rows[column])}' for column in MADE_BY)}")
    elif (store.folder / "summary.csv").exists():
        lines.append(
            f"tables         committed in {store.folder}, without the rows that they were computed from: "
            f"{study.command('run', results)} trains these"
        )
    lines += mixed(rows)
    hosts = [shards.writer(Path(run["shard"]))[0] for run in store.runs() if "shard" in run]
    if hosts:
        lines.append(f"runs           on {_counted(pd.Series(hosts))}")
    for shard in store.at_work():
        host, process = shards.writer(shard)
        lines.append(f"at work        process {process} on {host}")
    others = store.other_numerics()
    if len(others):
        lines.append(
            f"not used       rows of numerics {_counted(others['numerics'])}: this version computes numerics {NUMERICS}"
        )
    return lines


def mixed(rows: pd.DataFrame) -> list[str]:
    """A line for each thing that rows were made by several of."""
    return [
        f"mixed          rows of several {column}: {_counted(rows[column])}; rows are equal to the bit within one only"
        for column in MADE_BY
        if len(rows) and len(rows[column].unique()) > 1
    ]


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


def explain(study: Study, results: Path, beginning: str) -> list[str]:
    """Whether the next run trains the trial whose key begins so, and why; in lines.

    Raises UserError where no trial of the study has such a key, or several.
    """
    trial = plan.find(study, beginning)
    store = Store(results, study)
    manifest = read_manifest(store.folder)
    rows = store.load().trials
    lines = [f"trial          {trial.key}: {trial.configuration.label}, {trial.place}"]
    row = rows[rows["trial"] == trial.key] if len(rows) else rows
    if trial.key in good(rows):
        made = ", ".join(f"{column} {row.iloc[0][column]}" for column in MADE_BY)
        lines.append(f"reused         its row is in {store.folder}, made by {made}")
    elif len(row):
        lines.append(f"to be trained  its row in {store.folder} failed: {row.iloc[0]['reason']}")
    else:
        lines += [f"to be trained  {store.folder} has no row of it", *_nearest(trial, rows, store.other_numerics())]
    changes = manifest and differing(manifest["identity"], store.identity())
    if changes:
        lines.append(f"refused        {store.folder} holds another study of this name, and no run adds to it: {changes}")
    return [*lines, f"depends on     {words(plan.depends_on(study.named(trial.reading), trial))}", f"not on         {NOT_ON}"]


def _nearest(trial: Trial, rows: pd.DataFrame, others: pd.DataFrame) -> list[str]:
    """What is there in place of a trial: its row under other numerics, or the one that differs in the fewest settings."""
    there = pd.concat([table for table in (rows, others) if len(table)]) if len(rows) + len(others) else pd.DataFrame()
    if there.empty:
        return []
    same = (there["repeat"] == trial.repeat) & (there["fold"] == trial.fold)
    same &= there["reading"].fillna("") == trial.reading
    candidates = there[same] if same.any() else there
    settings = [column for column in there if column not in (*FIRST, *LAST)]
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
