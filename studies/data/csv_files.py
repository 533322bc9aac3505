"""CSV files with a header: numbers in every column but the target, whose distinct values are the classes.

Numbers are read by pandas' own parser; only a column in which it finds something else is read as texts. All faults of a file
are in one message, each with its column and a remedy.
"""

import re
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from studies.data.types import CLASSIFICATION, REGRESSION, DataSet, Floats
from studies.errors import UserError, listed, quoted, unknown

_SEPARATORS = ",;\t|"
# Around the words below, or alone: '?', '-', '<NA>', '#N/A', 'n.a.'.
_MARKS = "-.?*#<>()_/ \N{EN DASH}\N{EM DASH}\N{MINUS SIGN}\N{HORIZONTAL ELLIPSIS}"
_MISSING = ("", "na", "n/a", "n/a n/a", "n.a", "n.d", "nan", "nat", "null", "nil", "1.#ind", "1.#qnan")
_EXACT = ("None", "\\N")  # in no other case
_SPREADSHEET_ERROR = re.compile(r"#[A-Z]+(/0)?[!?]")
_WITH_COMMA = re.compile(r"[-+]?[\d.,]*,[\d.]+([eE][-+]?\d+)?")
_LARGEST = np.finfo(np.float32).max
_REMEDIES = {  # by what a cell of a feature is
    "missing cells": "fill them, or remove their rows or columns",
    "numbers with commas": "write 1234.5 for 1.234,5 and for 1,234.5",
    "numbers that are infinite or above 3.4e38": "remove or rescale them",
    "texts": "encode these columns as numbers, or drop them",
}


def read_csv(path: Path, target: str, task: str = CLASSIFICATION) -> DataSet:
    """The rows of a CSV file separated by commas, semicolons, tabs or bars; classes that are numbers are in numeric order.

    For regression, the target is a column of numbers.

    Raises UserError where the file is missing or no CSV in UTF-8; else with all faults of its names, features and classes.
    """
    if not path.is_file():  # a device or a pipe may never end
        raise UserError(f"data.path: there is no file {str(path)!r}")
    try:
        names, cells = _columns(path, target)
    except (OSError, ValueError) as error:  # ValueError: of pandas's parser, or of the encoding
        reason = " ".join(str(error).split())
        raise UserError(
            f"data.path: {str(path)!r} is not a CSV file with a header, in UTF-8: {reason}; save it as one"
        ) from None
    if _is_data(names, cells):
        _refuse(path, [_no_header(names)])
    faults = list(_faulty_names(names, target))
    if names.count(target) != 1:
        _refuse(path, faults)
    labels = cells.pop(names.index(target)).str.strip()
    if cells.empty:
        lacks = f"rows and a feature beside the target are needed: {len(labels)} rows and {len(names)} columns were found"
        _refuse(path, [*faults, lacks])
    inputs, faulty = _numbers(cells, names)
    if task == REGRESSION:
        place = names.index(target)
        numbers, wrong = _numbers(labels.to_frame(place), names, "the target of regression is numbers")
        _refuse(path, [*faults, *faulty, *wrong])
        return DataSet(inputs, numbers[:, 0], tuple(names[each] for each in cells), target, ())
    classes = sorted(labels.unique(), key=_order)
    _refuse(path, [*faults, *faulty, *_faulty_classes(labels, classes, target)])
    features = tuple(names[place] for place in cells)
    return DataSet(inputs, pd.Categorical(labels, classes).codes.astype(np.int64), features, target, tuple(classes))


def _refuse(path: Path, faults: Sequence[str]) -> None:
    """Raise UserError with all faults in one line, if there are any."""
    if len(faults) > 1:
        faults = [f"({place}) {fault}" for place, fault in enumerate(faults, start=1)]
    if faults:
        raise UserError(f"data.path: {str(path)!r}: {'; '.join(faults)}")


def _columns(path: Path, target: str) -> tuple[list[str], pd.DataFrame]:
    """The names in the first line, and the columns below by their place, the target's as texts.

    Parts of the file are read one after the other, which takes half the time of the whole at once; a column of several types
    would lose the spelling of its numbers, so a file with a column of texts is read as a whole.
    """

    def read(separator: str, **options: Any) -> pd.DataFrame:  # noqa: ANN401
        return pd.read_csv(path, sep=separator, na_filter=False, compression=None, **options)

    def names(separator: str, lines: int = 1) -> list[str]:
        return read(separator, header=None, nrows=lines, dtype=str).iloc[0].str.strip().to_list()

    separator = max(_SEPARATORS, key=lambda each: (target in names(each), len(names(each))))
    found = names(separator, lines=2)  # raises where the first row is longer: below, pandas would cut it
    texts = {place: str for place, name in enumerate(found) if name == target}
    options = {"header": 0, "names": range(len(found)), "index_col": False, "dtype": texts}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.DtypeWarning)
        cells = read(separator, **options)
    if any(not _is_number(column) for place, column in cells.items() if place not in texts):
        cells = read(separator, **options, low_memory=False)
    return found, cells


def _is_number(column: pd.Series) -> bool:
    """True for a column that pandas read as numbers."""
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _order(name: str) -> tuple[bool, float, str]:
    """A key to sort by: numbers first, as numbers, then texts."""
    try:
        return False, float(name), name
    except ValueError:
        return True, 0.0, name


def _is_data(names: Sequence[str], cells: pd.DataFrame) -> bool:
    """True where the first line is no header: each name is a number, a mark of a missing cell or a value of its column.

    Names that count from 0, 0, 1, 2, ..., are those that pandas writes for columns without names, unless each is a value of its
    column.
    """
    is_number = [not _order(name)[0] for name in names]
    is_marked = [bool(name) and is_missing(name) for name in names]
    if not any(is_number):
        return False
    is_counted = list(names) == [str(place) for place in range(len(names))]
    values = (cells[place].astype(str).str.strip() for place in cells)
    return all(
        (not is_counted and (number or missing)) or (column == name).any()
        for number, missing, name, column in zip(is_number, is_marked, names, values, strict=True)
    )


def _no_header(names: Sequence[str]) -> str:
    """Remedy for a file without names."""
    header = ",".join([*(f"x{place}" for place in range(len(names) - 1)), "class"])
    return (
        f"the first line looks like data, {listed(map(quoted, names))}: put a line of {len(names)} names above it, such as "
        f"{quoted(header)}, and give that of the column of classes as data.target"
    )


def _faulty_names(names: Sequence[str], target: str) -> Iterator[str]:
    """The faults of the first line."""
    unnamed = [place for place, name in enumerate(names, start=1) if not name]
    if unnamed:
        yield f"column {listed(map(str, unnamed))} has no name: is it an index? Remove it, or name it"
    repeated = [name for name in dict.fromkeys(names) if name and names.count(name) > 1]
    if repeated:
        yield f"each column has a name of its own: {listed(map(quoted, repeated))} was given twice; rename or drop columns"
    if target not in names:
        yield f"data.target: {unknown('column', target, filter(None, names))}"
        if len(names) == 1:
            yield "one column was found: columns are separated by commas, semicolons, tabs or bars"


def _numbers(cells: pd.DataFrame, names: Sequence[str], rule: str = "features are numbers") -> tuple[Floats, list[str]]:
    """The features as numbers `(samples, features)`, and a fault for each kind of cell that is none."""
    texts = {place: column.astype(str).str.strip() for place, column in cells.items() if not _is_number(column)}
    for place, column in texts.items():
        cells[place] = pd.to_numeric(column, errors="coerce")
    inputs = cells.to_numpy(dtype=np.float64)
    found: dict[str, list[str]] = defaultdict(list)
    for index in np.flatnonzero(~((inputs.min(0) >= -_LARGEST) & (inputs.max(0) <= _LARGEST))):
        place, rows = cells.columns[index], np.flatnonzero(~(np.abs(inputs[:, index]) <= _LARGEST))
        given = texts[place].iloc[rows] if place in texts else cells[place].iloc[rows].astype(str)
        for fault, those in given.groupby(given.map(_fault)):
            more = f", and {len(those) - 1:,} more" if len(those) > 1 else ""
            first = f"row {those.index[0] + 1} below the header: {quoted(those.iloc[0])}"
            found[str(fault)].append(f"{quoted(names[place])} ({first}{more})")
    return inputs, [
        f"{rule}: {fault} in column {listed(found[fault])}: {remedy}" for fault, remedy in _REMEDIES.items() if fault in found
    ]


def _fault(text: str) -> str:
    """Kind of a feature's cell that is no number which a model can take."""
    if is_missing(text):
        return "missing cells"
    if _WITH_COMMA.fullmatch(text):
        return "numbers with commas"
    return "texts" if np.isnan(pd.to_numeric(text, errors="coerce")) else "numbers that are infinite or above 3.4e38"


def is_missing(text: str) -> bool:
    """True where a cell is empty, or has a mark in its place: of pandas, R, UCI, a database or a spreadsheet."""
    word = text.strip(_MARKS).casefold()
    return word in _MISSING or text in _EXACT or _SPREADSHEET_ERROR.fullmatch(text) is not None


def _faulty_classes(labels: pd.Series, classes: Sequence[str], target: str) -> Iterator[str]:
    """The faults of the target."""
    missing = labels.isin([name for name in classes if is_missing(name)])
    if missing.any():
        row = int(missing.argmax())
        yield (
            f"every row has a class, and column {quoted(target)} names none in {missing.sum():,} (row {row + 1} below the "
            f"header: {quoted(labels[row])}): remove these rows, or call their class otherwise"
        )
    named = [name for name in classes if not is_missing(name)]
    if len(named) < 2:
        yield f"two classes or more are needed: column {quoted(target)} has {listed(map(quoted, named)) or 'none'} only"
    if len(named) > max(20, len(labels) // 5):
        yield (
            f"the target's distinct values are the classes: column {quoted(target)} has {len(named):,} of them in "
            f"{len(labels):,} rows; a measured quantity is no class"
            + (
                ""
                if any(is_text for is_text, *_ in map(_order, named))
                else ': for regression write task = "regression" in [data]'
            )
        )
        return
    numbers = [number for is_text, number, _ in map(_order, named) if not is_text]
    alike = sorted({number for number in numbers if numbers.count(number) > 1})
    if alike:
        written = [name for name in named if _order(name)[:2] == (False, alike[0])]
        yield f"a class is written in one way: column {quoted(target)} has {listed(map(quoted, written))}; write them alike"
