"""Cells of a table of runs: texts to numbers, with the spread beside a mean, percent signs, and marks of failed runs."""

import re
from collections import Counter
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from studies.data.csv_files import is_missing
from studies.data.runs import words
from studies.errors import listed, quoted

FAILURES = words.each_of(
    "fail failed failure oom error err crash crashed diverged timeout killed inf infinity nan x dnf aborted t/o +inf -inf"
) | {"out of memory", "timed out", "did not converge", "did not finish", "time out", "-infinity"}
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_PLAIN = re.compile(rf"({_NUMBER})\s*(%?)")
_SPREAD = re.compile(rf"({_NUMBER})\s*(%?)\s*(?:±|\+/-|\+-|\$?\\pm\$?)\s*({_NUMBER})\s*%?")
_BRACKET = re.compile(rf"({_NUMBER})\s*(%?)\s*\(\s*(?:±|\+/-|\+-)?\s*({_NUMBER})\s*%?\s*\)")
_THOUSANDS = re.compile(r"(?<!\d)\d{1,3}(,\d{3})+(?![\d,])")
_SAMPLE = 500  # different texts, of which most are numbers in a column of numbers
_MARKUP = re.compile(r"\\(?:textbf|mathbf|underline|bf)\s*\{([^{}]*)\}|[*$†‡↑↓]|(?<=\d)\s*\\%")


class Numbers(NamedTuple):
    """A column of numbers: values and spreads, NaN where a run failed, the unit that cells give, and notes."""

    values: NDArray[np.float64]
    spreads: NDArray[np.float64] | None
    unit: str
    notes: tuple[str, ...]


class _Cell(NamedTuple):
    value: float
    spread: float = np.nan
    percent: bool = False
    signed: bool = False  # a change in brackets, not a spread


def parse(texts: pd.Series, name: str, *, comma: bool, lenient: bool = False) -> Numbers | None:
    """The numbers of a column, or None where it is one of texts.

    Args:
        texts: Cells, stripped.
        name: Of the column, for notes.
        comma: The comma is a decimal one.
        lenient: Take other texts for failed runs where four cells of five are numbers: the name is that of a measure.
    """
    values = pd.to_numeric(texts, errors="coerce").to_numpy(dtype=float).copy()
    odd = np.flatnonzero(~np.isfinite(values))
    values[odd] = np.nan
    if not len(odd):
        return Numbers(values, None, "", ())
    places, different = pd.factorize(texts.iloc[odd])
    sample = [_cell(str(text), comma) for text in different[:_SAMPLE]]
    wrong = sum(cell is None and not _is_failure(str(text)) for cell, text in zip(sample, different, strict=False))
    if wrong > len(sample) * 0.2 and len(odd) > 0.2 * len(texts):
        return None
    cells = [_cell(str(text), comma) for text in different]
    others = np.array([cell is None and not _is_failure(str(text)) for cell, text in zip(cells, different, strict=True)])
    is_other = others[places]
    is_number = np.array([cell is not None for cell in cells])[places]
    if len(odd) == len(texts) and not is_number.any() and not lenient:
        return None
    if is_other.any() and not (lenient and is_other.sum() <= 0.2 * len(texts)):
        return None
    filled = [cell or _Cell(np.nan) for cell in cells]
    found = np.array([cell.value for cell in filled])
    values[odd] = np.where(np.isfinite(found), found, np.nan)[places]
    percent = np.zeros(len(texts), dtype=bool)
    percent[odd] = np.array([cell.percent for cell in filled])[places]
    spreads = np.full(len(texts), np.nan)
    signed = any(cell.signed for cell in filled)
    if not signed:
        spreads[odd] = np.array([cell.spread for cell in filled])[places]
    notes = [f"{quoted(name)}: numbers in brackets are changes, and are left out"] if signed else []
    notes += _failures(texts.iloc[odd[~is_number]], name)
    unit = "%" if percent.any() else ""
    plain = values[~percent & np.isfinite(values)]
    if percent.any() and len(plain) and (np.abs(plain) <= 1).all():
        values[percent] /= 100
        spreads[percent] /= 100
        unit = ""
        notes.append(f"{quoted(name)}: {percent.sum():,} cells in percent beside shares; all are read as shares")
    return Numbers(values, spreads if np.isfinite(spreads).any() else None, unit, tuple(notes))


class OddCells(NamedTuple):
    """Cells of a column of texts that are no numbers: the first in words, their number, and that of all cells."""

    first: str
    wrong: int
    total: int

    @property
    def described(self) -> str:
        """The cells in words."""
        return self.first + (f", and {self.wrong - 1:,} more" if self.wrong > 1 else "")


def odd_cells(texts: pd.Series, *, comma: bool) -> OddCells:
    """The cells of a column of texts that are no numbers and no failed runs."""
    is_odd = texts.map({text: _cell(text, comma) is None and not _is_failure(text) for text in texts.unique()}).to_numpy(
        dtype=bool
    )
    row = int(is_odd.argmax())
    return OddCells(_placed(texts.iloc[row], row), int(is_odd.sum()), len(texts))


def _placed(text: str, row: int) -> str:
    return f"{quoted(text)} in row {row + 1:,} below the header"


def _is_failure(text: str) -> bool:
    return text.casefold().strip("()[]<>! ") in FAILURES or is_missing(text)


def _failures(texts: pd.Series, name: str) -> list[str]:
    """The marks of failed runs of a column, counted."""
    if texts.empty:
        return []
    counts = Counter(text or "empty" for text in texts)
    marks = listed(f"{quoted(text)} in {count:,}" for text, count in counts.most_common())
    first = f"the first in row {texts.index[0] + 1:,} below the header"
    return [f"{quoted(name)}: cells that are no numbers ({marks}; {first}) are failed or missing runs, which no mean counts"]


def _cell(text: str, comma: bool) -> _Cell | None:
    """The numbers of a cell, or None."""
    text = _MARKUP.sub(lambda found: found.group(1) or "", text.replace("\N{MINUS SIGN}", "-").replace("\u00a0", " ")).strip()
    if comma and re.fullmatch(r"-?\d{1,3}(\.\d{3}){2,}", text):
        text = text.replace(".", "")
    if "," in text:
        if comma:
            text = re.sub(r"(?<=\d)\.(?=\d{3}(?:\D|$))", "", text).replace(",", ".")
        elif _THOUSANDS.search(text):
            text = _THOUSANDS.sub(lambda found: found.group().replace(",", ""), text)
        else:
            text = re.sub(r"(?<=\d),(?=\d)", ".", text)
    if found := _PLAIN.fullmatch(text):
        return _Cell(float(found[1]), percent=bool(found[2]))
    if found := _SPREAD.fullmatch(text):
        return _Cell(float(found[1]), abs(float(found[3])), bool(found[2]) or text.endswith("%"))
    if found := _BRACKET.fullmatch(text):
        return _Cell(float(found[1]), float(found[3]), bool(found[2]), signed=found[3][0] in "+-")
    return None
