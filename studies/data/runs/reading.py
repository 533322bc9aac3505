"""Files of runs: bytes to columns of numbers and texts, whatever separates, encodes or ends their lines.

A file that cannot be read without a guess about its rows is refused in one line.
"""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from studies.data.runs import cells, words
from studies.errors import UserError, listed, quoted

SPREAD = " (sd)"  # ends the name of the column that "mean ± sd" leaves
_SEPARATORS = ",;\t|"
_LOOKED_AT = 50  # lines, to find the separator
_UNNAMED = re.compile(r"(Unnamed: \d+(_level_\d+)?(\.\d+)?)?")
_TRUE, _FALSE = (
    words.each_of("true yes on y t ✓ ✔ x ☑ wahr ja oui"),
    words.each_of("false no off n f ✗ ✘ ☐ falsch nein non"),
)


@dataclass(frozen=True)
class Sheet:
    """Columns of a table by name, float64 or texts, equally long; units that cells give, and notes on what was done.

    `odd` has, by column of texts, its cells that are no numbers.
    """

    table: pd.DataFrame
    units: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    odd: dict[str, cells.OddCells] = field(default_factory=dict)

    def is_number(self, name: str) -> bool:
        """True for a column of numbers."""
        return bool(self.table[name].dtype == np.float64)

    def is_flag(self, name: str) -> bool:
        """True for a column of two texts that mean true and false."""
        if self.is_number(name):
            return False
        levels = {str(level).casefold() for level in self.table[name].unique()} - {""}
        return (
            0 < len(levels) <= 2
            and levels <= _TRUE | _FALSE
            and not (len(levels) == 2 and (levels <= _TRUE or levels <= _FALSE))
        )

    @property
    def numbers(self) -> list[str]:
        """Names of the columns of numbers."""
        return [str(name) for name in self.table if self.is_number(str(name))]

    @property
    def texts(self) -> list[str]:
        """Names of the columns of texts."""
        return [str(name) for name in self.table if not self.is_number(str(name))]


def is_true(level: str) -> bool:
    """True where a level of a flag means that something is there."""
    return level.casefold() in _TRUE or level in {"1", "1.0"}


def read_sheet(path: Path) -> Sheet:
    """The columns of a CSV file of runs.

    Raises UserError where it is missing, empty, no text, ragged, or has two different columns of one name.
    """
    if path.is_dir():
        raise UserError(f"{str(path)!r} is a folder: give a CSV file with one row per run")
    if not path.is_file():
        raise UserError(f"there is no file {str(path)!r}: give a CSV file with one row per run")
    text, notes = _decode(path)
    separator, names, start = _header(text, path)
    _require_even(text, separator, names, start, path)
    try:
        table = pd.read_csv(
            io.StringIO(text), sep=separator, header=None, skiprows=start, names=range(len(names)), dtype=str, na_filter=False,
            index_col=False, skip_blank_lines=True, skipinitialspace=True,
        )  # fmt: skip
    except (ValueError, pd.errors.ParserError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{str(path)!r} is no CSV file: {reason}; save it as one") from None
    return clean(table, names, comma=separator == ";", where=str(path), notes=notes)


def from_frame(frame: pd.DataFrame, where: str = "the table") -> Sheet:
    """The columns of a DataFrame, such as Optuna's `trials_dataframe()`; raises UserError as `read_sheet`."""
    texts = frame.reset_index(drop=True).astype(object)
    texts = texts.where(frame.reset_index(drop=True).notna(), "").astype(str)
    names = [".".join(map(str, name)) if isinstance(name, tuple) else str(name) for name in frame.columns]
    texts.columns = range(len(names))
    return clean(texts, names, comma=False, where=where)


def _decode(path: Path) -> tuple[str, list[str]]:
    """The text of a file with line feeds alone, and a note where it was no UTF-8."""
    content = path.read_bytes()
    notes = []
    try:
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
        notes.append("the file is not in UTF-8: it was read as Windows-1252")
    if "\0" in text or content[:4] == b"PK\x03\x04":
        raise UserError(f"{str(path)!r} is no text: save the table as CSV")
    return text.replace("\r\n", "\n").replace("\r", "\n"), notes


def _header(text: str, path: Path) -> tuple[str, list[str], int]:
    """The separator, the names, and the number of lines down to those of the data."""
    lines = text.split("\n", _LOOKED_AT)[:_LOOKED_AT]
    skipped = 0
    while lines and (not lines[0].strip() or lines[0].startswith(("# ", "sep="))):
        lines, skipped = lines[1:], skipped + 1
    if not lines:
        raise UserError(f"{str(path)!r} is empty: a table has a line of names and a row per run")

    def fit(separator: str) -> tuple[bool, float, int]:
        widths = [len(row) for row in csv.reader(lines, delimiter=separator, skipinitialspace=True) if row]
        same = float(np.mean([width == widths[0] for width in widths[: max(1, len(widths) - 1)]]))
        return widths[0] > 1, same, widths[0]

    try:
        separator = max(_SEPARATORS, key=fit)
        reader = csv.reader(
            io.StringIO("\n".join(text.split("\n")[skipped:]) if skipped else text), delimiter=separator, skipinitialspace=True
        )
        names = next(reader)
    except csv.Error as error:
        raise UserError(f"{str(path)!r} is no CSV file: {error}; save it as one") from None
    if any(re.fullmatch(r"[-+]?\d*[.,]\d+", name.strip()) for name in names):
        raise UserError(
            f"{str(path)!r}: its first line looks like data ({listed(map(quoted, names))}); put a line of names above it"
        )
    return separator, [" ".join(name.split()) for name in names], skipped + reader.line_num


def _require_even(text: str, separator: str, names: Sequence[str], start: int, path: Path) -> None:
    """Raise UserError unless each row has a cell for each name."""
    reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True)
    ragged, rows = [], 0
    try:
        for row in reader:
            if reader.line_num <= start or not row or (len(row) == 1 and not row[0].strip()):
                continue
            rows += 1
            if len(row) != len(names):
                ragged.append((reader.line_num, len(row)))
    except csv.Error as error:
        raise UserError(f"{str(path)!r}, line {reader.line_num}: {error}; correct this line") from None
    if ragged:
        found = listed(f"line {line} has {width}" for line, width in ragged)
        raise UserError(
            f"{str(path)!r}: each row has a cell for each of the {len(names)} names: {found}; complete or quote these cells"
        )
    if not rows:
        raise UserError(f"{str(path)!r} has names and no row: a table has one row per run")


def clean(table: pd.DataFrame, names: Sequence[str], *, comma: bool, where: str, notes: Sequence[str] = ()) -> Sheet:
    """Columns of texts, by place, as numbers where they are numbers; empty ones, copies and an index without name left out.

    Raises UserError where two different columns have one name, or no column remains.
    """
    found: dict[str, pd.Series] = {}
    units, said, odd = {}, list(notes), {}
    first: dict[str, pd.Series] = {}
    table = table.apply(lambda column: column.str.strip())
    if len(table) and table.iloc[0].str.fullmatch(r":?-{3,}:?|").all():
        table = table.iloc[1:].reset_index(drop=True)
        said.append("the line below the names is one of dashes, as in Markdown: left out")
    for place, name in enumerate(names):
        texts = table[place]
        if (texts == "").all():
            said += [f"{quoted(name)}: empty, left out"] if name else []
            continue
        if _UNNAMED.fullmatch(name):
            if _is_index(texts):
                said.append(f"column {place + 1} has no name and counts the rows: an index, left out")
                continue
            name = f"column {place + 1}"
        if name in first:
            if not texts.equals(first[name].rename(place)):
                raise UserError(f"{where!r}: each column has a name of its own: {quoted(name)} is there twice; rename one")
            said.append(f"{quoted(name)}: there twice with equal cells, one is left out")
            continue
        first[name] = texts
        numbers = cells.parse(texts, name, comma=comma, lenient=bool(words.direction(name)))
        if numbers is None:
            found[name] = texts
            odd[name] = cells.odd_cells(texts, comma=comma)
            continue
        found[name] = pd.Series(numbers.values)
        said += numbers.notes
        if numbers.unit or words.unit_of(name):
            units[name] = numbers.unit or words.unit_of(name)
        if numbers.spreads is None:
            continue
        if words.has(name, words.INTERVALS):
            said.append(f"{quoted(name)}: cells of a mean and half an interval, which is no standard deviation: it is left out")
            continue
        found[name + SPREAD] = pd.Series(numbers.spreads)
        kind = "standard error, by its name" if words.has_error(name) else "standard deviation"
        said.append(f"{quoted(name)}: cells of a mean and a spread; the second number is taken for a {kind}")
    if not found:
        raise UserError(f"{where!r} has no column with a name and cells: a table has one row per run")
    return Sheet(pd.DataFrame(found).reset_index(drop=True), units, tuple(said), odd)


def _is_index(texts: pd.Series) -> bool:
    """True for whole numbers, each once."""
    return bool(texts.str.fullmatch(r"\d+").all() and texts.is_unique)
