"""Wide tables to long ones: a column per fold or seed, per data set, or per method becomes a row per run."""

import itertools
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from studies.data.runs import rows, words
from studies.data.runs.reading import Sheet
from studies.errors import UserError, listed, quoted

COLUMNS = "columns"  # as --variant or --block: the names of columns are its levels
ROW = "row"  # as --repeat: rows of a table with a column per method pair
METHOD, DATASET = "method", "dataset"
_NUMBERED = re.compile(
    r"(?P<before>.*?)(?P<word>split|fold|seed|run|rep|repeat|trial|cv|replicate|lauf)[ _.-]?#?(?P<number>\d+)(?P<after>.*)",
    re.I,
)
_KNOWN_SETS = re.compile(
    r"cifar|mnist|imagenet|svhn|coco|glue|\bsst|mnli|qqp|qnli|\brte\b|squad|wikitext|kitti|\bvoc|cora|citeseer|pubmed|ogb|etth|"
    r"ettm|ecl|traffic|weather|iris|\bwine|adult|boston|celeba|librispeech|movielens|yelp|imdb|ag.?news|mvtec|cityscapes|ade20k|"
    r"nyu|shapenet|modelnet|tox21|bbbp|zinc|qm9|gsm8k|mmlu|humaneval|hellaswag|arc-|pacs|domainnet|cub|dtd|data.?set|set ?\d",
    re.I,
)


@dataclass(frozen=True)
class Long:
    """A sheet with a row per run, and what the columns that were stacked are levels of, "" where there were none.

    `folds` counts the folds that columns were about; `by_row`: rows had no key, so nothing says that they pair.
    """

    sheet: Sheet
    variant: str = ""
    block: str = ""
    replicate: str = ""
    measures: tuple[str, ...] = ()
    folds: int = 0
    by_row: bool = False
    derived: tuple[str, ...] = ()


def to_long(sheet: Sheet, *, variant: str = "", block: str = "", repeat: str = "", baseline: str = "", name: str = "") -> Long:
    """The table with a row per run; the sheet itself where it has one. Arguments are options that the user gave."""
    sheet = rows.judged(rows.by_metric(sheet))
    few = len(_unnamed_measures(sheet)) < 2
    if few and (variant == COLUMNS or (block == COLUMNS and not _sets_by_measure(sheet))):
        option = "--variant" if variant == COLUMNS else "--block"
        raise UserError(
            f"{option} {COLUMNS} takes the names of numeric columns for levels, and fewer than two are of one measure"
        )
    if variant == COLUMNS:
        return _methods(sheet, _unnamed_measures(sheet), repeat, name)
    if block == COLUMNS and not _sets_by_measure(sheet):
        return _stack(
            sheet, {name or "value": {each: each for each in _unnamed_measures(sheet)}}, DATASET, "columns are data sets"
        )
    if replicated := _replicates(sheet):
        word, stacked = replicated
        return _replicate_columns(sheet, word, stacked)
    if sets := _datasets(sheet, block):
        return sets
    methods = [] if variant else _method_columns(sheet, baseline)
    if methods:
        return _methods(sheet, methods, repeat, name)
    if repeat == ROW and ROW not in sheet.table:
        raise UserError(
            f"--repeat {ROW} pairs the rows of a table with a column per variant, and no column is one: --variant {COLUMNS}"
        )
    return Long(sheet)


def _unnamed_measures(sheet: Sheet) -> list[str]:
    """Numeric columns whose names say nothing that would make them one measure, attribute, key or setting of many."""
    known = (
        words.REPLICATES
        | words.BLOCKS
        | words.ATTRIBUTES
        | words.SETTINGS
        | words.COUNTS
        | words.DERIVED
        | words.SPREADS.keys()
    )
    return [each for each in sheet.numbers if words.is_removal(each) or not (words.direction(each) or words.has(each, known))]


def _replicates(sheet: Sheet) -> tuple[str, dict[str, dict[str, str]]] | None:
    """The word of numbered columns, and by measure the columns with the number of each."""
    groups: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for each in sheet.numbers:
        if (found := _NUMBERED.fullmatch(each)) and not words.has(found["before"] + " " + found["after"], {"rank"}):
            rest = re.sub(r"\(\s*\)|\[\s*\]", "", f"{found['before']} {found['after']}".replace("_", " "))
            measure = " ".join(rest.split()).strip(" -.:/")
            groups[found["word"].casefold(), measure.replace(" ", "_") or "value"][each] = found["number"]
        elif re.fullmatch(r"\d{1,4}", each):
            groups["seed", "value"][each] = each
        elif words.direction(each) and (counted := re.fullmatch(r"(.*?)[ _.-]?(\d)", each)):
            groups["run", counted[1]][each] = counted[2]
    groups = {key: columns for key, columns in groups.items() if len(columns) > 1 and _counts(key, columns)}
    if not groups:
        return None
    word = max(groups, key=lambda key: len(groups[key]))[0]
    numbered = {each for columns in groups.values() for each in columns}
    if any(word in words.words(each) for each in sheet.table if each not in numbered):
        return None  # there is such a column: a row is a run already
    size = max(len(columns) for (own, _), columns in groups.items() if own == word)
    return word, {measure: columns for (own, measure), columns in groups.items() if own == word and len(columns) == size}


def _counts(key: tuple[str, str], columns: dict[str, str]) -> bool:
    """True for columns numbered with a word for it, or three or more that count from 0 or 1: not top 1 and top 5."""
    if any(key[0] in each.casefold() for each in columns) or key[1] == "value":
        return True
    numbers = sorted(int(number) for number in columns.values())
    return len(numbers) > 2 and numbers[0] in (0, 1) and numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def _replicate_columns(sheet: Sheet, word: str, stacked: dict[str, dict[str, str]]) -> Long:
    long = _stack(sheet, stacked, word, f"a column for each {word}")
    folds = len(next(iter(stacked.values()))) if word in words.FOLDS else 0
    return replace(long, block="", replicate=long.block, folds=folds)


def _datasets(sheet: Sheet, block: str) -> Long | None:
    """A table with a column per data set: an average of columns, names of known sets, or one measure with several of them."""
    if (block and block != COLUMNS) or any(words.has(each, words.BLOCKS) for each in sheet.texts):
        return None
    by_measure = _sets_by_measure(sheet)
    evident = [sets for sets in by_measure.values() if _averages(sheet, list(sets)) or _are_sets(list(sets))]
    equal = len(by_measure) > 1 and len({frozenset(sets.values()) for sets in by_measure.values()}) == 1
    if by_measure and (evident or equal or block == COLUMNS):
        return _stack(sheet, by_measure, DATASET, "one measure in a column for each of several data sets")
    columns = [each for each in _unnamed_measures(sheet) if not words.is_removal(each)]
    measured = any(words.direction(each) for each in sheet.numbers if not words.has(each, words.TIMES))
    if not sheet.texts or len(columns) < 2 or measured:
        return None
    average = _averages(sheet, columns)
    if average or _are_sets(columns):
        why = f"{quoted(average[0])} is their mean" if average else "their names are those of data sets"
        return _stack(
            sheet, {"value": {each: each for each in columns}}, DATASET, f"a column for each data set: {why}", average
        )
    return None


def _sets_by_measure(sheet: Sheet) -> dict[str, dict[str, str]]:
    """Columns by the measure in their names, each with the rest of its name, where that may be a data set: "alpha_acc"."""
    by_measure: dict[str, dict[str, str]] = defaultdict(dict)
    for each in sheet.numbers:
        own = words.words(each)
        rest = [word for word in own if not words.direction(word)]
        if rest and len(rest) < len(own) and not set(rest) <= words.PARTS | words.ATTRIBUTES | words.DERIVED:
            by_measure["_".join(word for word in own if word not in rest)][each] = "_".join(rest)
    return {name: sets for name, sets in by_measure.items() if len(sets) > 1 and not any(map(words.is_removal, sets))}


def _are_sets(names: Sequence[str]) -> bool:
    return sum(bool(_KNOWN_SETS.search(name)) for name in names) * 2 > len(names)


def _averages(sheet: Sheet, columns: Sequence[str]) -> list[str]:
    """Columns named as averages that are the mean of these."""
    if len(columns) < 2:
        return []
    expected = sheet.table[list(columns)].mean(axis=1)
    named = [each for each in sheet.numbers if each not in columns and words.has(each, words.DERIVED)]
    return [each for each in named if is_close(sheet.table[each], expected)]


def is_close(one: pd.Series, other: pd.Series) -> bool:
    """True where two columns are equal but for rounding to the digits that they have."""
    difference = (one - other).abs()
    size = max(float(other.abs().max()), 1e-12)
    return bool(difference.notna().any() and difference.max() <= 2e-3 * size)


def _method_columns(sheet: Sheet, baseline: str) -> list[str]:
    """Names of columns that are variants, each with the values of one measure; none where columns are measures."""
    columns = _unnamed_measures(sheet)
    keys = [
        each for each in sheet.texts if not words.has(each, words.REPLICATES | words.BLOCKS) and not sheet.table[each].is_unique
    ]
    measured = [each for each in sheet.numbers if each not in columns and words.direction(each)]
    if len(columns) < 2 or keys or measured or any(sheet.is_flag(each) for each in sheet.texts):
        return []
    if baseline in columns or words.baselines(columns) or any(map(words.is_removal, columns)):
        return columns
    rest = [each for each in sheet.table if each not in columns]
    values = sheet.table[columns]
    design = any(values[each].nunique() * 2 <= len(values) for each in columns)
    return columns if rest and not design and all(words.has(each, words.REPLICATES | words.BLOCKS) for each in rest) else []


def _methods(sheet: Sheet, columns: Sequence[str], repeat: str, name: str) -> Long:
    """A row per run of a table with a column per method."""
    keys = [each for each in sheet.table if each not in columns and each != repeat]
    keyed = any(words.has(each, words.REPLICATES | words.BLOCKS) or sheet.table[each].is_unique for each in keys)
    by_row = not keyed and repeat not in sheet.table
    table = sheet.table.assign(row=np.arange(1, len(sheet.table) + 1, dtype=float)) if by_row else sheet.table
    notes = list(sheet.notes)
    if by_row and repeat != ROW:
        base = next(iter(words.baselines(columns)), columns[0])
        with np.errstate(invalid="ignore", divide="ignore"):
            related = table[columns].corr()[base]
        found = listed(f"{each} {related[each]:.2f}" for each in columns if each != base and np.isfinite(related[each]))
        hint = f"the correlation of rows with {quoted(base)} ({found}) is a hint, no proof: " if found else ""
        notes.append(
            f"rows have no key, so nothing says that they pair: variants are compared unpaired; {hint}--repeat {ROW} pairs them"
        )
    long = _stack(
        replace(sheet, table=table, notes=tuple(notes)),
        {name or "value": {each: each for each in columns}},
        METHOD,
        "a column for each method",
    )
    return replace(long, block="", variant=long.block, replicate=ROW if by_row else "", by_row=by_row and repeat != ROW)


def _stack(sheet: Sheet, stacked: dict[str, dict[str, str]], level: str, reason: str, derived: Sequence[str] = ()) -> Long:
    """The long table: by measure, the columns with their levels. Columns that summarize the stacked ones are left out."""
    levels = list(dict.fromkeys(itertools.chain.from_iterable(sets.values() for sets in stacked.values())))
    columns = {each for sets in stacked.values() for each in sets}
    summaries = [
        each
        for each in sheet.numbers
        if each not in columns and words.has(each, words.DERIVED) and _sums_up(sheet, each, stacked)
    ]
    summaries = list(dict.fromkeys([*derived, *summaries]))
    kept = sheet.table.drop(columns=[*columns, *summaries])
    level = level if level not in kept else f"{level} of column"
    stacked = {measure if measure not in kept else f"{measure} of column": sets for measure, sets in stacked.items()}
    parts = []
    for each in levels:
        values = {
            measure: sheet.table[next((column for column, own in sets.items() if own == each), "")]
            if each in sets.values()
            else np.nan
            for measure, sets in stacked.items()
        }
        parts.append(pd.concat([kept, pd.DataFrame({level: each, **values}, index=kept.index)], axis=1))
    notes = [*sheet.notes, f"{listed(map(quoted, sorted(columns, key=list(sheet.table).index)))}: {reason}"]
    notes += [f"{listed(map(quoted, summaries))}: derived from these, left out"] if summaries else []
    units = {
        **sheet.units,
        **{measure: sheet.units[next(iter(sets))] for measure, sets in stacked.items() if next(iter(sets)) in sheet.units},
    }
    table = pd.concat(parts, ignore_index=True)
    return Long(Sheet(table, units, tuple(notes)), block=level, measures=tuple(stacked), derived=tuple(summaries))


def _sums_up(sheet: Sheet, column: str, stacked: dict[str, dict[str, str]]) -> bool:
    """True for a mean, spread or rank of stacked columns."""
    if words.has(column, {"rank"}):
        return True
    for sets in stacked.values():
        values = sheet.table[list(sets)]
        known = (
            values.mean(axis=1),
            values.std(axis=1, ddof=1),
            values.std(axis=1, ddof=0),
            values.min(axis=1),
            values.max(axis=1),
        )
        if any(is_close(sheet.table[column], each) for each in known):
            return True
    return False
