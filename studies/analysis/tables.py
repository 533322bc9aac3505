"""The tables of a study by name, from its rows."""

import math
from collections.abc import Mapping

import pandas as pd

from studies.analysis import comparisons, outcomes, run_scores, scores, summaries, tuning
from studies.analysis.effects import measure_effects
from studies.analysis.run_tables import compared_factors
from studies.analysis.scores import Scores
from studies.data import datasets, measuring
from studies.data.types import REGRESSION
from studies.spec.study import Study
from studies.store.rows import Rows

Tables = Mapping[str, pd.DataFrame]

NAMES = (
    *("summary", "levels", "effects", "comparisons", "pairs", "ladder", "values"),
    *("curves", "budget", "gradients", "tuned", "tuned_pairs"),
)
MEASURED = ("summary", "levels", "effects", "comparisons", "pairs", "ladder", "values", "tuned", "tuned_pairs")
COMPARED = 24  # configurations at most whose curves have names of their own


def compute_tables(study: Study, rows: Rows) -> Tables:
    """The tables of a study by name, rounded as they are written.

    Those of several readings stand one below the other, told apart by the column `reading`.
    """
    parts = [
        {name: _rounded(name, table) for name, table in _compute(reading, of_reading(rows._asdict(), reading)).items()}
        for reading in study.readings
    ]
    if not study.reading:
        return parts[0]
    named = [
        {name: table if table.empty else table.assign(reading=reading.reading) for name, table in part.items()}
        for reading, part in zip(study.readings, parts, strict=True)
    ]
    return {name: _first(pd.concat([part[name] for part in named], ignore_index=True), "reading") for name in named[0]}


def of_reading(tables: Tables, reading: Study) -> Tables:
    """Rows of one reading in each table of its study."""
    if not reading.reading:
        return tables
    own = {name: table if table.empty else table[table["reading"] == reading.reading] for name, table in tables.items()}
    return {
        name: (_without_foreign_sets(table) if name in NAMES else table).reset_index(drop=True) for name, table in own.items()
    }


def _without_foreign_sets(table: pd.DataFrame) -> pd.DataFrame:
    """The table without the columns of sets of rows that only other readings have."""
    of_sets = [[column for column in table if column.startswith(f"{name}_")] for name in ("val", "test")]
    return table.drop(columns=[column for columns in of_sets if table[columns].isna().all(axis=None) for column in columns])


def _compute(study: Study, rows: Tables) -> Tables:
    """The tables of one reading; one that its grid or its rows have nothing for is empty."""
    trials, history = rows["trials"], rows["history"]
    if trials.empty:
        return {name: pd.DataFrame() for name in NAMES}
    grid = study.grid
    factors = list(grid.levels)
    found = scores_of(study, trials)
    summary = summaries.summarise(trials, ["config", "label", *factors], found)
    tuned, tuned_pairs = tuning.tune(trials, factors, study.tune, tuning.usual(grid, study.tune), found)
    drawn = [*factors, *(["label"] if len(summary) <= COMPARED else [])]
    tables = {
        "summary": summary,
        "levels": summaries.by_level(trials, factors, found, grid.baseline, around(study)),
        "effects": measure_effects(trials, factors, found, guess(study)),
        "comparisons": comparisons.compare_with_references(found, grid.labels, study.margin),
        "pairs": comparisons.pairs(found, grid.labels, study.margin),
        "ladder": comparisons.single_changes(found, trials, grid.levels, grid.baseline, study.margin),
        "values": summaries.values(trials, drawn, found, around(study)),
        "curves": summaries.curves(trials, history, drawn, around(study)),
        "budget": summaries.budget(trials, history, drawn, study.measure, around(study)),
        "gradients": summaries.gradients(trials, history),
        "tuned": tuned,
        "tuned_pairs": tuned_pairs,
    }
    if study.table:
        tables = _of_table(study, trials, tables)
    return {
        name: table.assign(measure=study.measure.name) if name in MEASURED and len(table) else table
        for name, table in tables.items()
    }


def scores_of(study: Study, trials: pd.DataFrame) -> Scores:
    """The scores of one reading in the study's measure."""
    start = study.grid.baseline_configuration
    found = scores.of(trials, study.sampling, start.id if start else None, study.measure)
    if study.table is None:
        return found
    return run_scores.of_table(found, study, trials)


def _of_table(study: Study, trials: pd.DataFrame, tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The tables of rows that came from a table: without effects where these do not pair, and without p of no difference."""
    assert study.table is not None
    runs = study.table.runs
    changed = dict(tables)
    if not runs.paired or runs.searched:
        changed["effects"] = pd.DataFrame()
    if runs.summarized:
        judged, variants = outcomes.judged_on(tables["summary"]), trials.set_index("config")["variant"]
        changed["summary"] = run_scores.summarised(tables["summary"], tables["summary"]["config"].map(variants), runs, judged)
        if len(study.grid.levels) == 1 and len(tables["levels"]):
            changed["levels"] = run_scores.summarised(tables["levels"], tables["levels"]["level"], runs, judged)
        changed["values"] = pd.DataFrame()
    if runs.searched and len(tables["levels"]):
        changed["levels"] = tables["levels"][tables["levels"]["factor"].isin(compared_factors(runs))].reset_index(drop=True)
    if len(study.grid.levels) == 1:  # differences of levels are those of variants, over cells that tables do not list
        changed["levels"] = changed["levels"].drop(columns=["pairs", "paired_mean", "paired_baseline"], errors="ignore")
    return changed


def around(study: Study) -> Mapping[str, str] | None:
    """The levels of the base where factors leave it one at a time; None in a grid, and where the base itself is excluded."""
    base = (each.levels for each in study.grid.configurations if each.settings == study.grid.identity["base"])
    return next(base, None) if study.design == "one_at_a_time" else None


def _first(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """The table with a column moved to the front, where it has it."""
    return table[[column, *table.columns.drop(column)]] if column in table else table


def guess(study: Study) -> float:
    """The value of the study's measure for a guess that looks at no input; NaN where it has none.

    That of always naming the most frequent class of the pool, or its shares of the classes.
    """
    if study.measure.guess != "rows":
        return math.nan if study.measure.guess is None else float(study.measure.guess)
    if not study.data.name:
        return math.nan
    if study.data.task == REGRESSION:
        return study.schema.deviation if study.measure.name == "mae" else study.schema.spread
    pool = datasets.training_pool(study.data, study.schema, study.seed)
    return measuring.of_a_guess(study.measure.name, pool.labels)


def _rounded(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """A table to six decimals, or to six digits: losses that converge and norms that vanish are small, not 0."""
    return table.map(_to_six_digits) if name in ("curves", "gradients") else table.round(6)


def _to_six_digits(value: object) -> object:
    """A number to six significant digits, anything else as it is."""
    return float(f"{value:.6g}") if isinstance(value, float) else value
