"""Rows of a study whose rows come from a table, as if they had been trained here."""

import pandas as pd

from studies.columns import FIRST, LAST, PARTS
from studies.data.runs.places import places_of
from studies.seeds import digest
from studies.spec.study import Study
from studies.store.rows import REPEATED, Rows


def rows_of_table(study: Study) -> Rows:
    """A row per run in the cells that all variants share; `repeat` numbers what intervals are over.

    `variant` is the label in the table. The measure stands in `test_<measure>`.
    """
    assert study.table is not None
    table = places_of(study.table.runs).table.reset_index(drop=True)
    factors = list(study.grid.levels)
    configs = {tuple(each.levels.values()): each for each in study.grid.configurations}
    own = [configs[levels] for levels in table[factors].itertuples(index=False, name=None)]
    ids = [each.id for each in own]
    cells = zip(ids, table["place"], table["part"], strict=True)
    good = table["value"].notna()
    trials = pd.DataFrame(
        {
            "study": study.name,
            "reading": None,
            "trial": [digest([config, int(place), int(part)], 16) for config, place, part in cells],
            "config": ids,
            "label": [each.label for each in own],
            **{factor: table[factor] for factor in factors if factor != "variant"},
            "variant": table["variant"],
            "block": table["block"],
            "replicate": table["replicate"],
            **dict.fromkeys(LAST),
            "repeat": table["place"].astype(int),
            "fold": table["part"].astype(int),
            "seed": 0,
            "n_train": 0,
            "n_val": 0,
            "n_test": 1,
            "diverged": False,
            "stuck": False,
            "status": good.map({True: "ok", False: "failed"}),
            "reason": good.map({True: None, False: "no value in the table"}),
            f"test_{study.measure.name}": table["value"],
        }
    )
    order = [*FIRST, *(name for name in trials if name not in (*FIRST, *LAST)), *LAST]
    parts = {name: pd.DataFrame(columns=[*REPEATED, key]) for name, key in PARTS.items()}
    return Rows(trials[list(dict.fromkeys(order))], **parts)
