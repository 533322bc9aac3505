"""The measured numbers on disk, and the two statistics made of them: spread over rounds, and ratios round by round."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from studies import files
from studies.store.rows import to_csv

NAMES = ("steps", "learned", "grid", "growth", "processes", "commands", "memory")
_OF_EVERY_STAGE = ("learned", "memory")

CASE = ["activation", "optimizer", "batchnorm"]

Tables = Mapping[str, pd.DataFrame]


def keep(results: Path, stage: str, measured: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Write what a stage measured, in the place of what an earlier run of it did."""
    earlier = read(results)
    for name, records in measured.items():
        table = pd.DataFrame(records)
        old = earlier[name]
        if name in _OF_EVERY_STAGE and not old.empty:
            table = pd.concat([part for part in (old[old["stage"] != stage], table) if not part.empty], ignore_index=True)
        files.write(results / f"{name}.csv", to_csv(table.round(6)))


def read(results: Path) -> Tables:
    """The tables in a results folder; one that is not there, or has no rows, is empty."""
    paths = {name: results / f"{name}.csv" for name in NAMES}
    return {
        name: pd.read_csv(path, keep_default_na=False, na_values=[""])
        if path.exists() and path.read_text().strip()
        else pd.DataFrame()
        for name, path in paths.items()
    }


def spread(table: pd.DataFrame, keys: Sequence[str], value: str) -> pd.DataFrame:
    """Median, least and largest of a value over rounds: one line for each of `keys`, in the order of the table."""
    return table.dropna(subset=[value]).groupby(list(keys), sort=False)[value].agg(["median", "min", "max"]).reset_index()


def ratios(table: pd.DataFrame, keys: Sequence[str], which: str, value: str, reference: str) -> pd.DataFrame:
    """The spread, over rounds, of a value over that of `reference`, an entry of the column `which`, in the same round.

    One line for each of `keys` and each entry of `which`. Two neighbours in time share what else the machine did.
    """
    at = [*keys, "round"]
    timed = table.dropna(subset=[value])
    base = timed[timed[which] == reference][[*at, value]].rename(columns={value: "base"})
    paired = timed.merge(base, on=at)
    return spread(paired.assign(ratio=paired[value] / paired["base"]), [*keys, which], "ratio")
