"""Rows that are less than a run: one measure of a run, or its numbers on one set of rows."""

from dataclasses import replace

from studies.data.runs import words
from studies.data.runs.reading import Sheet
from studies.errors import quoted

_METRIC = words.each_of("metric metrics measure measures name score criterion metrik")
_VALUE = words.each_of("value values score result wert metric val")
_SETS = {"train": 1, "training": 1, "val": 2, "valid": 2, "validation": 2, "dev": 2, "test": 3, "testing": 3}


def by_metric(sheet: Sheet) -> Sheet:
    """The sheet with a column per measure where a row is one measure of a run: columns such as "metric" and "value"."""
    names = [
        each
        for each in sheet.texts
        if set(words.words(each)) <= _METRIC and sheet.table[each].map(words.direction).ne("").any()
    ]
    if len(names) != 1 or len(sheet.numbers) < 1:
        return sheet
    value = next((each for each in sheet.numbers if set(words.words(each)) <= _VALUE), "")
    keys = [each for each in sheet.table if each not in (names[0], value)]
    if not value or not keys or sheet.table.duplicated([*keys, names[0]]).any():
        return sheet
    levels = list(sheet.table[names[0]].unique())
    table = sheet.table.set_index([*keys, names[0]])[value].unstack(names[0])[levels].reset_index()
    table.columns.name = None
    return replace(
        sheet,
        table=table,
        notes=(*sheet.notes, f"{quoted(names[0])}: its levels are measures, of the values in {quoted(value)}"),
    )


def judged(sheet: Sheet) -> Sheet:
    """The rows of test data where a column says of which set each row is, else of validation data."""
    for each in sheet.texts:
        levels = {str(level): _SETS.get(str(level).casefold(), 0) for level in sheet.table[each].unique()}
        if len(levels) > 1 and all(levels.values()):
            judged = max(levels, key=lambda level: levels[level])
            table = sheet.table[sheet.table[each] == judged].drop(columns=each).reset_index(drop=True)
            note = f"{quoted(each)}: sets of rows, of which {quoted(judged)} is judged; the others are left out"
            return replace(sheet, table=table, notes=(*sheet.notes, note))
    return sheet
