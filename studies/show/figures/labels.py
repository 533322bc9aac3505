"""Names that fit into pictures: long ones are cut, and none is cut to the same as another. Tables have them whole."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pandas as pd
from rich.cells import cell_len, set_cell_size

from studies.analysis.tables import Tables
from studies.spec.study import Study

NAME = 30  # letters of a factor or a level
LABEL = 80  # of a configuration
_NAMED = ("label", "other_label", "factor", "level", "effect")  # columns of tables that hold names


def shorten_labels(study: Study, tables: Tables) -> tuple[Study, Tables]:
    """One reading and its tables with names of factors, levels and configurations that fit into a picture."""
    grid = study.grid
    names = shorten(itertools.chain(grid.levels, *grid.levels.values()), NAME)

    def rename(levels: Mapping[str, str]) -> dict[str, str]:
        return {names[factor]: names[level] for factor, level in levels.items()}

    baseline = rename(grid.baseline)
    whole = {each.label: each.name or " | ".join(rename(each.levels).values()) or each.label for each in grid.configurations}
    if any(cell_len(label) > LABEL for label in whole.values()):
        whole = {each.label: _changes(baseline, rename(each.levels)) for each in grid.configurations}
    fitting = shorten(whole.values(), LABEL)
    labels = {label: fitting[name] for label, name in whole.items()}
    pairs = itertools.combinations(grid.levels, 2)
    names |= labels | {f"{one} x {other}": f"{names[one]} x {names[other]}" for one, other in pairs}
    if all(new == old for old, new in names.items()):
        return study, tables
    renamed = replace(
        grid,
        configurations=[replace(each, levels=rename(each.levels), name=labels[each.label]) for each in grid.configurations],
        levels={names[factor]: [names[level] for level in levels] for factor, levels in grid.levels.items()},
        baseline=baseline,
    )
    return replace(study, grid=renamed), {name: _renamed(table, names, [*grid.levels]) for name, table in tables.items()}


def shorten(names: Iterable[str], most: int) -> dict[str, str]:
    """Each name in `most` letters or less: without its end or its middle, or else with its number among all, from 1."""
    found = {name: name for name in names}
    for head in (most - 1, 2 * most // 3, most // 2, most // 3):
        short = {name: _cut(name, most, head) for name in found}
        if len(set(short.values())) == len(found):
            return short
    return {
        name: name if cell_len(name) <= most else f"{_cut(name, most - 7, most - 8)} [{place}]"
        for place, name in enumerate(found, 1)
    }


def _cut(name: str, most: int, head: int) -> str:
    """A name in `most` letters, the first `head` and the last of them; wide letters count twice."""
    if cell_len(name) <= most:
        return name
    first, last = set_cell_size(name, head), set_cell_size(name[::-1], most - 1 - head)[::-1]
    return f"{first.rstrip()}…{last.lstrip()}"


def _changes(baseline: Mapping[str, str], levels: Mapping[str, str]) -> str:
    """A configuration by its changes from the baseline."""
    changes = " | ".join(f"{factor} = {level}" for factor, level in levels.items() if level != baseline[factor])
    return f"baseline with {changes}" if changes else "baseline"


def _renamed(table: pd.DataFrame, names: Mapping[str, str], factors: Sequence[str]) -> pd.DataFrame:
    """A table with other names in its columns of names and of factors, and over these."""
    columns = [column for column in (*_NAMED, *factors) if column in table]
    texts = {column: table[column].map(lambda name: names.get(name, name), na_action="ignore") for column in columns}
    return table.assign(**texts).rename(columns={factor: names[factor] for factor in factors})
