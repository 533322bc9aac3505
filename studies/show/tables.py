"""Tables of a study on disk: CSV files, `tables.md`, and a note of what they were made from."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from studies import files
from studies.analysis.outcomes import SET_WORDS, judged_on
from studies.analysis.tables import NAMES, Tables, around, of_reading
from studies.errors import UserError
from studies.seeds import digest
from studies.show import texts
from studies.show.sentences import sentences
from studies.spec.identity import differing, plain
from studies.spec.study import Study
from studies.store.rows import Rows, read_table, to_csv

_MADE_FROM = "tables.json"
NOTE = {  # keys of tables.json, with their meanings
    "title": "Title of the study.",
    "study": "The resolved study, with margin, baseline and tuned factors.",
    "rows": "Hash of the rows.",
    "code": "Hash of the code of the package `studies`.",
    "files": "Hash of each file of tables.",
}
TEXTS = ("reading", "config", "label", "other", "other_label", "factor", "level", "chosen", "usual", "point")
SHOWN = 10  # configurations at either end


def write_tables(study: Study, tables: Tables, folder: Path, rows: Rows) -> None:
    """Write every table that has lines as CSV, what `show` prints as `tables.md`, and what they were made from.

    Tables that no longer apply are removed, and a page with other ones. Raises OSError.
    """
    (folder / "report.html").unlink(missing_ok=True)
    for name, table in tables.items():
        path = folder / f"{name}.csv"
        if table.empty:
            path.unlink(missing_ok=True)
        else:
            files.write(path, to_csv(table))
    told = "\n".join(f"* {sentence}" for sentence in [*remembered(study, tables), f"Data: {study.described_data}."])
    parts = [f"# {study.title}", told, *(f"## {each.heading}\n\n{markdown(each.table)}" for each in list_shown(study, tables))]
    files.write(folder / "tables.md", "\n\n".join(parts) + "\n")
    files.write(folder / _MADE_FROM, json.dumps(_made_from(study, folder, rows), indent=1) + "\n")


def read_current(study: Study, folder: Path, rows: Rows) -> Tables | None:
    """The tables in a folder where they are whole, and those that this code makes of these rows; else None."""
    if _noted(folder) == _made_from(study, folder, rows):
        with contextlib.suppress(UserError):  # another run has replaced them meanwhile
            return read_tables(study, folder)
    return None


def read_tables(study: Study, folder: Path) -> Tables:
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
    return {
        name: read_table(path, (*TEXTS, *study.factors)) if path.exists() else pd.DataFrame() for name, path in paths.items()
    }


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
    """Note beside tables of what they were made from; None where there is none."""
    try:
        noted = json.loads((folder / _MADE_FROM).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return noted if isinstance(noted, dict) and {"study", "files"} <= set(noted) else None


def remembered(study: Study, tables: Tables) -> list[str]:
    """The sentences of the primary reading, and notes on a table that its rows come from; none where it has no rows."""
    own = of_reading(tables, study)
    notes = [f"{note}." for note in study.table.runs.notes] if study.table else []
    return [] if own["summary"].empty else [*sentences(study, own), *notes]


class Shown(NamedTuple):
    """A table of texts: its title, how many columns at the left say what a line is about, and a note on its numbers."""

    title: str
    table: pd.DataFrame
    left: int
    note: str

    @property
    def heading(self) -> str:
        """Title and note in a line."""
        return f"{self.title} ({self.note})"


def list_shown(study: Study, tables: Tables) -> list[Shown]:
    """The tables that a reader sees on a terminal and in `tables.md`, reading by reading."""
    return [
        each._replace(title=f"Reading {reading.reading}: {each.title}") if reading.reading else each
        for reading in study.readings
        for each in _of_one_reading(reading, of_reading(tables, reading))
    ]


def _of_one_reading(study: Study, tables: Tables) -> list[Shown]:
    summary = tables["summary"]
    shown = [] if summary.empty else [*_extremes(study, summary), *explained(study, tables).values()]
    return [each._replace(table=texts.of_runs(each.table)) for each in shown] if study.table else shown


def _extremes(study: Study, summary: pd.DataFrame) -> Iterator[Shown]:
    """All configurations, or the best and the worst."""
    factors, judged = list(study.grid.levels), judged_on(summary)
    measure = study.measure
    order = texts.best_first(summary, f"{judged}_mean", measure)
    each = f"mean and sd of the {measure.title} over {study.trials // len(study.grid.configurations)} trials each"
    if study.table:
        each = f"mean and sd of the {measure.title}"
    parts = {f"Configurations by {SET_WORDS[judged]} {measure.called}": order}
    if len(order) > 2 * SHOWN:
        best = f"The {SHOWN} best configurations of {len(order)} by {SET_WORDS[judged]} {measure.called}"
        parts = {best: order[:SHOWN], f"The {SHOWN} worst": order[-SHOWN:]}
    for title, part in parts.items():
        yield Shown(title, texts.configurations(part, factors, measure), max(1, len(factors)), each)


def explained(study: Study, tables: Tables) -> dict[str, Shown]:
    """The tables of one reading about levels, effects, single changes and tuning, by name; none that is empty."""
    levels, effects, ladder, tuned, pairs = (tables[name] for name in ("levels", "effects", "ladder", "tuned", "tuned_pairs"))
    words, measure = study.sampling.words, study.measure
    judged = f"{SET_WORDS[judged_on(tables['summary'])]} {measure.title}"
    found = {}
    if not levels.empty:
        rest = "averaged over the rest of the grid" if around(study) is None else "all else as in the base"
        if study.table and study.table.runs.searched:
            rest += " (sampling may have been adaptive, so these means compare unlike sets)"
        title = f"Each level, {rest}, and less the factor's baseline: {judged}"
        half = (levels["difference_ci_high"] - levels["difference_ci_low"]) / 2
        found["levels"] = Shown(title, texts.levels_table(levels, measure), 2, words + texts.visible(half, measure))
    if not effects.empty:
        mean = f"{SET_WORDS[judged_on(tables['summary'])]} {measure.called}"
        title = f"% of the variance between configurations in mean {mean} that each effect explains"
        found["effects"] = Shown(title, texts.effects_table(effects, measure), 2, words)
    if not ladder.empty:
        title = f"Single changes around the baseline and the best configuration: {judged}"
        found["ladder"] = Shown(
            title, texts.ladder_table(ladder, measure), 2, words + texts.visible(ladder["visible"], measure)
        )
    if study.tune and not tuned.empty:
        fixed = [factor for factor in study.grid.levels if factor not in study.tune]
        chosen = " and ".join(study.tune)
        title = f"Test {measure.title} at the {chosen} chosen by validation {measure.called}, and at the usual one"
        found["tuned"] = Shown(title, texts.tuned_table(tuned, fixed, measure), len(fixed) + 1, words)
    if not pairs.empty:
        title = f"Tuned configurations less the best of them, {pairs['other'].iloc[0]}: test {measure.change}"
        found["tuned_pairs"] = Shown(title, texts.tuned_pairs(pairs, measure), 1, words)
    return found


def markdown(table: pd.DataFrame) -> str:
    """A table of texts in Markdown."""
    rows = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy().tolist()]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in rows)
