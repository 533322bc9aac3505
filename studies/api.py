"""The suite as functions: train what is missing of a study, write its tables, compare, verify and judge its rows."""

import contextlib
import functools
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from studies import files
from studies.analysis import compare as versions
from studies.analysis import comparisons, power, scores
from studies.analysis.outcomes import from_predictions, judged_on, measures_of
from studies.analysis.tables import Tables, compute_tables, of_reading, scores_of
from studies.claims import claims
from studies.claims import judge as claim_judge
from studies.columns import MADE_BY, OUTCOMES, SETS, Record, is_measure
from studies.errors import UserError
from studies.judgements import judge as judge
from studies.plan import plan
from studies.plan.units import Trial
from studies.runs import run_all
from studies.show import comparison, tables, texts, verdict_texts
from studies.show import plan as plan_texts
from studies.spec import spec
from studies.spec.identity import differing
from studies.spec.measures import about, read_measure, recorded
from studies.spec.study import Study
from studies.store import status
from studies.store.rows import Rows, read_table, successful
from studies.store.store import Store, read_finished, read_manifest
from studies.store.table_rows import rows_of_table
from studies.train import engines


def run(
    study: str | Path | Mapping[str, Any] | Study,
    *,
    train: Callable[..., Any] | None = None,
    jobs: int | None = None,
    backend: str = "auto",
    scheduler: str | None = None,
    device: str = "cpu",
    results: str | Path = "results",
    overrides: Sequence[str] = (),
    received: Callable[[Sequence[Record]], None] = lambda records: None,  # noqa: ARG005
    progress: bool | None = None,
) -> pd.DataFrame:
    """Train the trials of a study that are not yet in `results/<study>/`, write its tables, and return one row per trial.

    Parameters
    ----------
    study
        A name in `studies/spec/specs`, the path of a TOML file, the keys of such a file and a `name` as a dictionary, or a
        `Study`.
    train
        A function or class that trains the models, in place of the file of the `[engine]` section.
    jobs
        Processes; by default one for each usable core or CUDA device, and with "sequential" 1.
    backend
        "auto" in processes, or of a short run in threads; "loky" in processes; "sequential" in this one; or "dask".
    scheduler
        With "dask", the address of the scheduler whose workers train, `tcp://host:8786`; without, `jobs` workers start here.
    device
        "cpu" or "cuda".
    results
        Folder in which each study has a folder of its name.
    overrides
        `key=value` changes to the spec of a `study` that is a name or a path.
    received
        Called with the records of each unit as it is done, a dictionary for each trial: the columns of its row.
    progress
        Show a bar; by default in notebooks and other interactive sessions.

    Returns
    -------
    DataFrame
        One row for each trial, in the order of the plan; see `columns`.

    Raises
    ------
    UserError
        The spec is wrong, or the folder holds rows of another device.
    OSError
        The folder cannot be written to, or goes away.
    """
    if isinstance(study, Mapping):
        study = spec.read(study, overrides, train)
    elif not isinstance(study, Study):
        study = spec.load(str(study), overrides, train=train)
    elif train is not None:
        raise UserError(f"train is part of a study, and {study.name!r} was read before: give it to spec.read or spec.load")
    elif overrides:
        raise UserError(
            f"overrides change a spec while it is read, and {study.name!r} was read before: give them to spec.load, or give "
            "the study's name or path"
        )
    given: dict[str, Any] = {"jobs": jobs, "backend": backend, "scheduler": scheduler, "device": device, "results": results}
    if not (hasattr(sys, "ps1") if progress is None else progress):
        (rows,) = run_all([study], **given, received=received)
        return rows
    from studies.show.progress import Screen  # with rich

    with Screen(Path(results), tables=False) as screen:

        def both(records: Sequence[Record]) -> None:
            screen.received(records)
            received(records)

        (rows,) = run_all([study], **given, started=screen.started, received=both, finished=screen.finished, said=screen.said)
    return rows


def rows_of(study: Study, results: str | Path) -> Rows:
    """The rows of a study on disk, of a run that is at work too, whatever they record beside their numbers.

    A measure that they lack is computed from their predictions, where they have these.
    """
    if study.table:
        return rows_of_table(study)
    rows = Store(Path(results), study).load(lacking=True)
    trials = [
        from_predictions(of_reading({"trials": rows.trials}, reading)["trials"], rows.predictions, reading)
        for reading in study.readings
    ]
    return rows._replace(trials=pd.concat(trials, ignore_index=True)) if len(rows.predictions) else rows


def tables_of(study: Study, results: str | Path, out: str | Path | None = None) -> Tables:
    """The tables of a study, computed from its rows as they are; where there are none, those that lie in the folder.

    They are written to the folder, or to `out`, unless they lie there already. The folder may be one that cannot be written to.

    Raises UserError where there are neither rows nor tables of this study; OSError where `out` cannot be written to.
    """
    return _tables_and_rows(study, results, out)[0]


def _tables_and_rows(study: Study, results: str | Path, out: str | Path | None = None) -> tuple[Tables, Rows]:
    folder, rows = Path(results) / study.folder, rows_of(study, results)
    if rows.trials.empty:
        try:
            found = tables.read_tables(study, folder)
        except UserError as error:
            _, outside = status.missing(study, Path(results))
            kept = f"; {' '.join(' '.join(outside).split())}" if outside else ""
            raise UserError(f"{error}{kept}; {_remedy(study, results)}") from None
        if not found:
            raise UserError(f"{folder} has neither rows nor tables; {_remedy(study, results)}")
    else:
        _require_measured(study, rows.trials)
        current = tables.read_current(study, folder, rows)
        found = compute_tables(study, rows) if current is None else current
        if current is None:
            with contextlib.suppress(OSError):
                tables.write_tables(study, found, folder, rows)
        if study.table and not study.aside:
            with contextlib.suppress(OSError):
                Store(Path(out or results), study).write_table(rows)
    if out is not None:
        tables.write_tables(study, found, Path(out) / study.folder, rows)
    return found, rows


def _require_measured(study: Study, trials: pd.DataFrame) -> None:
    """Raise UserError where no row has the measure that a study is asked about."""
    name = study.measure.name
    asked = [*(each.name for each in study.measures), name]
    columns = [column for column in (name, *(f"{of}_{name}" for of in SETS)) if column in trials]
    if (
        recorded([study.measure])
        and not study.table
        and (trials["status"] == "ok").any()
        and trials[columns].isna().all(axis=None)
    ):
        raise UserError(
            f"no row of {study.name} has the measure {name}: they have {', '.join(measures_of(trials))}; write measures = "
            f"{json.dumps(asked)} at the top of the spec, and run it again, which trains them again: {study.command('run')}"
        )


def draw(
    study: Study, results: str | Path, figures: str | Path, kind: str = "png", width: float = math.inf
) -> dict[str, Path | str]:
    """Draw the pictures of a study to `figures/<study>/`: the path of each by name, or the reason that there is none.

    Parameters
    ----------
    study
        The study.
    results, figures
        Folders in which each study has a folder of its name: of rows and tables, of pictures.
    kind
        "png", "pdf" or "svg".
    width
        Width of a column of a page in inches, which no picture exceeds.

    Raises
    ------
    UserError
        There are neither rows nor tables of this study, or the format or width is none.
    """
    from studies.show.figures import FORMATS, Paper, draw_study  # with matplotlib, which takes a second to import

    if kind not in FORMATS or not width >= 1:
        raise UserError(f"pictures are {', '.join(FORMATS)}, of a width from 1 inch: {kind}, {width:g} inches were given")
    found, rows = _tables_and_rows(study, results)
    return draw_study(study, found, Path(figures) / study.folder, rows.predictions, Paper(kind, width))


def write_report(study: Study, results: str | Path, figures: str | Path, out: str | Path | None = None) -> Path:
    """Write `report.html` and the tables and pictures on it; return the page's path.

    Parameters
    ----------
    study
        The study, as it was trained.
    results, figures
        Folders in which each study has a folder of its name: of rows and tables, of pictures.
    out
        Folder for tables and page in place of `results`.

    Raises
    ------
    UserError
        The study has neither rows nor tables.
    OSError
        A folder cannot be written to.
    """
    from studies.show import report
    from studies.show.figures import draw_study

    found, rows = _tables_and_rows(study, results, out)
    drawn = draw_study(study, found, Path(figures) / study.folder, rows.predictions)
    judged = Path(results) / "verdicts.csv"
    said = read_table(judged, verdict_texts.TEXTS) if judged.exists() else pd.DataFrame({"study": []})
    page = report.compose(study, found, drawn, read_manifest(Path(results) / study.name), said[said["study"] == study.name])
    path = Path(out or results) / study.folder / "report.html"
    files.write(path, page)
    return path


def _remedy(study: Study, results: str | Path) -> str:
    return f"train the study first: {study.command('run', results)}"


def spreads(study: Study, results: str | Path) -> dict[str, power.Spread]:
    """The spread of paired differences by reading, as far as the study has rows with it: see `power.spread`."""
    try:
        rows = rows_of(study, results)._asdict()
    except UserError:  # they are of another spec
        return {}
    found = {}
    for reading in study.readings:
        trials = of_reading(rows, reading)["trials"]
        if study.table and not study.table.runs.paired:
            continue
        if len(trials) and len(reading.grid.configurations) > 1:
            found[reading.reading] = power.spread(scores.of(trials, reading.sampling, measure=reading.measure))
    return {reading: spread for reading, spread in found.items() if spread.trials > 0}


def find_trial(study: Study, results: str | Path, given: str) -> Trial:
    """The trial of `plan.find`; "best" and "worst" are the configurations of extreme mean error in the primary reading.

    Raises UserError where there is none, or several.
    """
    if given in ("best", "worst") and given not in study.grid.labels.values():
        summary = of_reading(tables_of(study, results), study)["summary"]
        mean = f"{judged_on(summary)}_mean"
        known = texts.best_first(summary.dropna(subset=mean), mean, study.measure)["config"]
        if known.empty:
            why = study.command("status", results)
            raise UserError(f"no configuration of {study.name} has a value, so none is {given}; see why: {why}")
        given = known.iloc[0 if given == "best" else -1]
    return plan.find(study, given)


def describe_missing(study: Study, results: str | Path, jobs: int | None = None, device: str = "cpu") -> list[str]:
    """The trials that a run would train, by configuration, and a rough time; in lines.

    Raises UserError where a run would.
    """
    return plan_texts.count_missing(study, status.missing(study, Path(results))[0], jobs, device)


def against(study: Study, results: str | Path, given: str) -> pd.DataFrame:
    """Every configuration of the primary reading compared with the one whose label, or beginning of the id, is given.

    Raises UserError where there is none, or no rows.
    """
    other = study.grid.find(given)
    trials = of_reading(rows_of(study, results)._asdict(), study)["trials"]
    if len(study.grid.configurations) < 2:
        raise UserError(
            f"{study.name} has one configuration, {other.label}: none to compare it with; add levels under [[grid]]"
        )
    if trials.empty or not (trials["config"] == other.id).any():
        raise UserError(f"{Path(results) / study.name} has no rows of {other.label}; {_remedy(study, results)}")
    known = scores_of(study, trials)
    found = comparisons.compare_with(known, other.id, study.margin)
    return comparisons.labelled(found, study.grid.labels)


def verify(study: Study, results: str | Path, sample: int, seed: int = 0) -> tuple[int, pd.DataFrame]:
    """Retrain a random sample of a study's trials, each alone, and compare them with their rows to the last bit.

    Returns how many were retrained, and a line for each number that differs: trial, column, the number in the rows, and that of
    the trial alone.

    Raises UserError where there are no rows, or they were made by another torch, device or numerics.
    """
    from studies.train import runner

    rows = rows_of(study, results).trials
    done = successful(rows)
    trials = [trial for trial in plan.trials(study) if trial.key in done]
    if not trials:
        folder = Path(results) / study.name
        if len(rows):
            why = study.command("status", results)
            raise UserError(f"{folder} has nothing to verify: all {len(rows):,} trials failed; see why: {why}")
        raise UserError(f"{folder} has no rows to compare with; {_remedy(study, results)}")
    rows = rows.set_index("trial")
    chosen = np.random.default_rng(seed).choice(len(trials), min(sample, len(trials)), replace=False)
    differences: list[tuple[Any, ...]] = []
    for index in chosen:
        trial = trials[index]
        (unit,) = engines.plan_units(study, [trial], jobs=1)
        (alone,) = runner.train_unit(unit)
        if alone["status"] != "ok":
            differences.append((trial.key, "status", "ok", f"failed: {alone['reason']}"))
            continue
        kept = rows.loc[trial.key]
        for column in MADE_BY:
            if kept[column] != alone[column]:
                raise UserError(
                    f"rows are equal to the bit within one {column}: trial {trial.key} was made with {kept[column]}, "
                    f"this is {alone[column]}"
                )
        for column in dict.fromkeys([*OUTCOMES, *filter(is_measure, alone)]):
            theirs, ours = kept.get(column), alone.get(column)
            if not (pd.isna(theirs) and pd.isna(ours)) and (pd.isna(theirs) or pd.isna(ours) or theirs != ours):
                differences.append((trial.key, column, theirs, ours))
    return len(chosen), pd.DataFrame(differences, columns=["trial", "column", "in the rows", "alone"])


def verdicts(results: str | Path, quick: bool = False, reports: Sequence[str] = ()) -> pd.DataFrame:
    """Verdicts on every claim of the reports, by default of all of them; see `claims.judge.judge`."""

    @functools.lru_cache(maxsize=4)
    def find(name: str) -> tuple[Study, Rows]:
        study = spec.load(name, quick=quick)
        rows = rows_of(study, results)
        if rows.trials.empty:
            raise UserError(f"{study.name} was not run: {study.command('run', results)}")
        return study, rows

    return pd.concat(
        [claim_judge.judge(claims.load_report(name), find) for name in reports or claims.report_names()], ignore_index=True
    )


class Changes(NamedTuple):
    """Changes between two results: the exit status, facts about both, a table of texts, and what follows from it.

    `table` is None where the two cannot be compared, and empty where every number is equal.
    """

    status: int
    facts: Sequence[str]
    table: pd.DataFrame | None
    conclusions: Sequence[str]


def compare(a: str | Path, b: str | Path, margin: float | None = None, measure: str = "") -> Changes:
    """The changes from the results in folder `a` to those in folder `b`, trial by trial, in a measure that both recorded.

    By default in the one that the study in `a` is about.

    With a `margin` in its unit, the status is 1 unless the mean is shown to be worse by less than that.

    Raises UserError where the margin is no number above 0, a folder has no results, or there is no such measure.
    """
    if margin is not None and not 0 < margin < math.inf:
        raise UserError(f"a margin is a number above 0: {margin:g} was given")
    (manifest_a, trials_a), (manifest_b, trials_b) = (read_finished(Path(folder)) for folder in (a, b))
    judged = read_measure("--measure", measure) if measure else about(manifest_a.get("measure"))
    for folder, trials in ((a, trials_a), (b, trials_b)):
        known = measures_of(trials)
        if measure and len(trials) and known and judged.name not in known:
            raise UserError(f"--measure: no row of {folder} has {judged.name}: they have {', '.join(known)}")
    identities = manifest_a["identity"], manifest_b["identity"]
    obstacle = versions.obstacle(*identities)
    none = obstacle or trials_a.empty or trials_b.empty
    both = pd.DataFrame() if none else versions.matched(trials_a, trials_b, judged, by_label=versions.other_engine(*identities))
    if both.empty:
        counts = f"{len(trials_a):,} in A, {len(trials_b):,} in B"
        why = obstacle or f"no trial is in both: {differing(*identities, places=versions.SIDES) or counts}"
        return Changes(comparison.UNTOLD, [f"A, {a}, and B, {b}, cannot be compared: {why}"], None, [])
    found = versions.find_changes(both, judged)
    status, conclusions = comparison.conclude(both, found, margin, judged)
    facts = [
        *comparison.maker_differences(manifest_a, manifest_b, trials_a, trials_b),
        f"{len(both):,} trials in both, {len(trials_a) - len(both):,} in A only, {len(trials_b) - len(both):,} in B only",
    ]
    table = pd.DataFrame() if both["equal"].all() else comparison.change_table(found, judged)
    return Changes(status, facts, table, conclusions)
