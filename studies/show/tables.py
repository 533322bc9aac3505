"""Numbers to tables: CSV and Markdown beside the rows, and the same few lines on the screen."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from studies import files
from studies.analysis import comparisons, scores, summaries, tuning
from studies.analysis.effects import effects
from studies.analysis.outcomes import SET_WORDS, judged_on
from studies.data import datasets
from studies.errors import UserError
from studies.seeds import digest
from studies.show import texts
from studies.show.sentences import sentences
from studies.spec.identity import differing, plain
from studies.spec.spec import Study
from studies.store.rows import Rows, read_csv, to_csv

Tables = Mapping[str, pd.DataFrame]

NAMES = (
    *("summary", "levels", "effects", "comparisons", "pairs", "ladder", "values"),
    *("curves", "budget", "gradients", "tuned", "tuned_pairs"),
)
_MADE_FROM = "tables.json"
TEXTS = ("reading", "config", "label", "other", "other_label", "factor", "level", "chosen", "usual", "point")
SHOWN = 10  # configurations at either end
COMPARED = 24  # configurations at most whose curves are told apart


def compute(study: Study, rows: Rows) -> Tables:
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
    """What one reading has in each table of its study."""
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
    grid, sampling = study.grid, study.sampling
    factors, start = list(grid.levels), grid.baseline_configuration
    found = scores.of(trials, sampling, start.id if start else None)
    summary = summaries.summarise(trials, ["config", "label", *factors], found)
    tuned, tuned_pairs = tuning.tuned(trials, factors, study.tune, tuning.usual(grid, study.tune), found)
    drawn = [*factors, *(["label"] if len(summary) <= COMPARED else [])]
    return {
        "summary": summary,
        "levels": summaries.by_level(trials, factors, found, grid.baseline, around(study)),
        "effects": effects(trials, factors, found, guess_pct(study)),
        "comparisons": comparisons.compare(found, grid.labels, study.margin),
        "pairs": comparisons.pairs(found, grid.labels, study.margin),
        "ladder": comparisons.ladder(found, trials, grid.levels, grid.baseline, study.margin),
        "values": summaries.values(trials, drawn, sampling, around(study)),
        "curves": summaries.curves(trials, history, drawn, around(study)),
        "budget": summaries.budget(trials, history, drawn, around(study)),
        "gradients": summaries.gradients(trials, history),
        "tuned": tuned,
        "tuned_pairs": tuned_pairs,
    }


def around(study: Study) -> Mapping[str, str] | None:
    """The levels of the base where factors leave it one at a time; None in a grid, and where the base itself is excluded."""
    base = (each.levels for each in study.grid.configurations if each.settings == study.grid.identity["base"])
    return next(base, None) if study.design == "one_at_a_time" else None


def _first(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """The table with a column moved to the front, where it has it."""
    return table[[column, *table.columns.drop(column)]] if column in table else table


def guess_pct(study: Study) -> float:
    """The error in percent of always guessing the most frequent class of the pool."""
    labels = datasets.training_pool(study.data, study.schema, study.seed).labels
    return float(100 * (1 - np.bincount(labels).max() / len(labels)))


def write(study: Study, tables: Tables, folder: Path, rows: Rows) -> None:
    """Write every table that has lines as CSV, what `show` prints as `tables.md`, and what they were made from.

    Tables that no longer apply are removed. Raises OSError.
    """
    for name, table in tables.items():
        path = folder / f"{name}.csv"
        if table.empty:
            path.unlink(missing_ok=True)
        else:
            files.write(path, to_csv(table))
    told = "\n".join(f"* {sentence}" for sentence in [*remembered(study, tables), f"Data: {study.schema.described}."])
    parts = [f"# {study.title}", told, *(f"## {title}\n\n{markdown(table)}" for title, table in _shown_of_all(study, tables))]
    files.write(folder / "tables.md", "\n\n".join(parts) + "\n")
    files.write(folder / _MADE_FROM, json.dumps(_made_from(study, folder, rows), indent=1) + "\n")


def is_current(study: Study, folder: Path, rows: Rows) -> bool:
    """True where the tables in a folder are whole, and those that this code makes of these rows."""
    return _noted(folder) == _made_from(study, folder, rows)


def read(study: Study, folder: Path) -> Tables:
    """The tables in a folder, an empty one for each that the study has not; nothing where there are none.

    Raises UserError where they are of another study, of an earlier version, or not whole.
    """
    noted = _noted(folder)
    if noted is None:
        if (folder / "summary.csv").exists():
            raise UserError(f"the tables in {folder} are of an earlier version, and there are no rows")
        return {}
    differences = differing(noted["study"], plain(study.described()))
    if differences:
        raise UserError(f"the tables in {folder} are of another study, and there are no rows: {differences}")
    if noted["files"] != _hashes(folder):
        raise UserError(f"tables in {folder} were changed or are missing, and there are no rows")
    paths = {name: folder / f"{name}.csv" for name in NAMES}
    return {name: read_csv(path, (*TEXTS, *study.factors)) if path.exists() else pd.DataFrame() for name, path in paths.items()}


def _made_from(study: Study, folder: Path, rows: Rows) -> dict[str, Any]:
    """All that tables depend on: the study, its rows, and the code; and hashes of the files that they are in."""
    package = Path(__file__).parents[1]
    sources = {str(path.relative_to(package)): path.read_text(encoding="utf-8") for path in sorted(package.rglob("*.py"))}
    hashes = [pd.util.hash_pandas_object(table.astype("str"), index=False).to_numpy() for table in (rows.trials, rows.history)]
    return {
        "title": study.title,
        "study": plain(study.described()),
        "rows": digest([values.tobytes().hex() for values in hashes], 16),
        "code": digest(sources, 16),
        "files": _hashes(folder),
    }


def _hashes(folder: Path) -> dict[str, str]:
    """A hash of the content of each file of tables in a folder."""
    paths = [folder / name for name in (*(f"{name}.csv" for name in NAMES), "tables.md")]
    return {path.name: digest(path.read_bytes().hex(), 16) for path in paths if path.exists()}


def _noted(folder: Path) -> Any:  # noqa: ANN401
    """What is noted beside tables of what they were made from; None where nothing is."""
    try:
        noted = json.loads((folder / _MADE_FROM).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return noted if isinstance(noted, dict) and {"study", "files"} <= set(noted) else None


def _rounded(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """A table to six decimals, or to six digits: losses that converge and norms that vanish are small, not 0."""
    return table.map(_to_six_digits) if name in ("curves", "gradients") else table.round(6)


def _to_six_digits(value: object) -> object:
    """A number to six significant digits, anything else as it is."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def show(study: Study, tables: Tables, console: Console) -> None:
    """Print best and worst configurations, levels, effects, single changes, and the three sentences to remember."""
    for title, table in _shown_of_all(study, tables):
        print_table(title, table, (table.columns[0], "level", "configuration", "chosen", "usual", *study.factors), console)
    for sentence in remembered(study, tables):
        console.print(f"* {sentence}", markup=False, highlight=False)


def show_comparison(study: Study, table: pd.DataFrame, console: Console) -> None:
    """Print what `api.against` found, the lowest error first."""
    shown = texts.comparisons(table, table[["label", "config"]].set_axis(["configuration", "id"], axis=1))
    title = (
        f"Error in points less that of {table['other_label'].iloc[0]}, and how likely it is better, equal within "
        f"{study.margin:g} points, or worse ({study.sampling.words}{texts.visible(table['visible_pct'])})"
    )
    print_table(title, shown, ("configuration", "id"), console)


def remembered(study: Study, tables: Tables) -> list[str]:
    """The sentences of the primary reading; none where it has no rows."""
    own = of_reading(tables, study)
    return [] if own["summary"].empty else sentences(study, own)


def print_table(title: str, table: pd.DataFrame, texts: Sequence[str], console: Console) -> None:
    """Print a table of texts; the columns in `texts` to the left, numbers to the right."""
    # As Text: a label is a user's, and what stands in brackets would be taken for markup.
    printed = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD)
    for column in table.columns:
        printed.add_column(Text(column), justify="left" if column in texts else "right")
    for row in table.itertuples(index=False):
        printed.add_row(*map(Text, row))
    # A level cut short is of no use: a narrow terminal wraps the line instead.
    console.width = max(console.width, console.measure(printed, options=console.options.update(max_width=1000)).maximum)
    console.print(printed)


def _shown_of_all(study: Study, tables: Tables) -> list[tuple[str, pd.DataFrame]]:
    """The tables that a reader sees, as texts, each with its title, reading by reading."""
    return [
        (f"Reading {reading.reading}: {title}" if reading.reading else title, table)
        for reading in study.readings
        for title, table in _shown(reading, of_reading(tables, reading))
    ]


def _shown(study: Study, tables: Tables) -> list[tuple[str, pd.DataFrame]]:
    """The same for one reading."""
    summary, levels, effects, ladder = (tables[name] for name in ("summary", "levels", "effects", "ladder"))
    if summary.empty:
        return []
    factors = list(study.grid.levels)
    judged = SET_WORDS[judged_on(summary)]
    order = summary.sort_values(f"{judged_on(summary)}_mean_pct", kind="stable", na_position="last")
    each = f"mean and sd of the error in % over {study.trials // len(study.grid.configurations)} trials each"
    if len(order) <= 2 * SHOWN:
        shown = [(f"Configurations by {judged} error ({each})", texts.configurations(order, factors))]
    else:
        shown = [
            (
                f"The {SHOWN} best configurations of {len(order)} by {judged} error ({each})",
                texts.configurations(order[:SHOWN], factors),
            ),
            (f"The {SHOWN} worst", texts.configurations(order[-SHOWN:], factors)),
        ]
    words = study.sampling.words
    if not levels.empty:
        rest = "averaged over the rest of the grid" if around(study) is None else "all else as in the base"
        half = (levels["difference_ci_high_pct"] - levels["difference_ci_low_pct"]) / 2
        title = f"Each level, {rest}, and less the factor's baseline: {judged} error in % ({words}{texts.visible(half)})"
        shown.append((title, texts.levels(levels)))
    if not effects.empty:
        title = f"What explains the difference between configurations in mean {judged} error: % of the variance ({words})"
        shown.append((title, texts.effects(effects)))
    if not ladder.empty:
        seen = texts.visible(ladder["visible_pct"])
        title = f"Single changes around the baseline and the best configuration: {judged} error in % ({words}{seen})"
        shown.append((title, texts.ladder(ladder)))
    if study.tune and not tables["tuned"].empty:
        title = f"Test error in % at the {' and '.join(study.tune)} chosen by validation error ({words})"
        shown.append((title, texts.tuned(tables["tuned"], [factor for factor in factors if factor not in study.tune])))
    if not tables["tuned_pairs"].empty:
        best = tables["tuned_pairs"]["other"].iloc[0]
        title = f"Tuned configurations less the best of them, {best}: test error in points ({words})"
        shown.append((title, texts.tuned_pairs(tables["tuned_pairs"])))
    return shown


def markdown(table: pd.DataFrame) -> str:
    """A table of texts in Markdown."""
    rows = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy().tolist()]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in rows)
