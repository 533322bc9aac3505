"""Places of runs: the values that a mean is over, and what they stand for; and short names of variants."""

from dataclasses import dataclass

import pandas as pd

from studies.data.runs import words
from studies.data.runs.runs import Runs
from studies.errors import quoted


@dataclass(frozen=True)
class Places:
    """Runs with the number of their `place` and, where several are of one place, of their `part` of it.

    `speaks_of` and `over` are the population and the places in words; `complete`: every variant has a value in each part.
    """

    table: pd.DataFrame
    speaks_of: str
    over: str
    complete: bool

    @property
    def count(self) -> int:
        """Number of places."""
        return int(self.table["place"].max()) + 1


def places_of(runs: Runs) -> Places:
    """The runs of the cells that all variants share, by place: blocks, else replicates, else runs of each variant."""
    table = runs.table
    if runs.paired:
        ran = table.groupby(["block", "replicate"])["variant"].transform("nunique")
        shared = table[ran == len(runs.variants)]
        table = shared if len(shared) else table
    key = "block" if runs.by_block else "replicate" if runs.paired else None
    runs_of = table.groupby("variant").cumcount()
    place = pd.Series(pd.factorize(table[key])[0], table.index) if key else runs_of
    table = table.assign(place=place)
    table["part"] = table.groupby(["variant", "place"]).cumcount()
    if runs.by_block and runs.replicate:
        table = table.sort_values(["place", "replicate"], kind="stable")
        table["part"] = table.groupby(["variant", "place"]).cumcount()
    cells = table.groupby(["place", "part"])["variant"].nunique()
    complete = bool((cells == len(runs.variants)).all()) and bool(table["value"].notna().all())
    count = int(table["place"].max()) + 1
    return Places(table, _population(runs, count), _over(runs, count), complete)


def noun(runs: Runs) -> str:
    """The places in words: "data sets", "folds", "values of 'item'"."""
    if runs.by_block:
        return "data sets" if words.has(runs.block, words.BLOCKS) else f"values of {quoted(runs.block)}"
    if runs.fold:
        return "folds"
    return f"values of {quoted(runs.replicate)}" if runs.replicate else "runs"


def _over(runs: Runs, count: int) -> str:
    return f"{count} {noun(runs)}" if runs.paired else "the runs of each variant"


def _population(runs: Runs, count: int) -> str:
    """The runs for which intervals hold, in words."""
    if runs.by_block:
        return f"new {noun(runs)} like {'this one' if count == 1 else f'these {count}'}"
    if runs.fold:
        return "new rows from the source of this data set"
    if words.has(runs.replicate, words.ITEMS):
        return f"new {noun(runs)} like these {count}"
    if runs.replicate:
        return f"new {noun(runs)}, all else as it is"
    return "new runs of these variants, all else as it is"


def short_names(runs: Runs) -> dict[str, str]:
    """Names of variants by label: where there are several factors and a baseline, the levels that differ from it.

    The baseline keeps its label.
    """
    if runs.baseline is None or len(runs.factors) < 2:
        return {name: name for name in runs.variants}
    names = {}
    for row in runs.table.drop_duplicates("variant").to_dict("records"):
        changed = {name: str(row[name]) for name, level in runs.baseline.items() if row[name] != level}
        names[str(row["variant"])] = ", ".join(f"{name}={level}" for name, level in changed.items()) or str(row["variant"])
    return names
