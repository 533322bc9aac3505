"""Sentences on runs: what columns were taken for, and what the table does not allow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from studies.data.runs import words
from studies.errors import listed, quoted, shortened

if TYPE_CHECKING:
    from studies.data.runs.runs import Runs

SHOWN_BY = "5 show a difference of 1.7 sd of the differences four times in five, 10 one of 1.0 sd, 20 one of 0.7 sd"
_LEFT_OUT = {
    "attribute": "attributes of variants",
    "covariate": "covariates",
    "alias": "copies of other columns",
    "derived": "derived from other columns",
    "constant": "constant",
    "index": "indices",
    "size": "sizes of sets",
    "status": "states",
    "sd": "spreads",
    "n": "numbers of runs",
    "ignored": "left out",
}


def describe(runs: Runs) -> list[str]:
    """Sentences for the head of a judgement: what each column was taken for and why, and what else was done."""
    measure = runs.measure
    unit = f", in {measure.unit}" if measure.unit else ""
    renamed = f" (column {quoted(measure.column)})" if measure.column != measure.name else ""
    lines = [f"measure: {measure.name}{renamed}, {measure.better} is better{unit}"]
    if runs.measures:
        lines.append(
            "other measures: " + listed(f"{each.name} ({each.better or 'direction unknown'})" for each in runs.measures)
        )
    for name, levels in runs.factors.items():
        lines.append(
            f"{'variants' if len(runs.factors) == 1 else 'factor'}: {quoted(name)} ({_why(runs, name)}), {_levels(levels)}"
        )
    if runs.block:
        lines.append(f"blocks: {quoted(runs.block)} ({_why(runs, runs.block)}), {_levels(runs.table['block'].unique())}")
    if runs.replicate:
        kind = "folds" if runs.fold else "replicates"
        lines.append(
            f"{kind}: {quoted(runs.replicate)} ({_why(runs, runs.replicate)}), {_levels(runs.table['replicate'].unique())}"
        )
    grouped: dict[str, list[str]] = defaultdict(list)
    for name, role in runs.roles.items():
        if role.kind in _LEFT_OUT:
            grouped[role.kind].append(f"{quoted(name)} ({role.reason})")
    lines += [f"{_LEFT_OUT[kind]}: {listed(found)}" for kind, found in grouped.items()]
    return [*lines, *runs.notes]


def _why(runs: Runs, names: str) -> str:
    return next((runs.roles[name].reason for name in [names, *names.split(", ")] if name in runs.roles), "columns together")


def _levels(levels: object) -> str:
    names = [shortened(str(level), 30) for level in levels]  # type: ignore[attr-defined]
    return f"{len(names):,}: {listed(names)}"


def of(runs: Runs) -> Iterator[str]:
    """Lines on failures, cells that are not shared, replication, and searches."""
    table, reference = runs.table, runs.reference
    failed = table["value"].isna().groupby(table["variant"], sort=False).agg(["sum", "size"])
    failed = failed[failed["sum"] > 0]
    if len(failed):
        shares = listed(f"{name} {row['sum']} of {row['size']}" for name, row in failed.iterrows())
        yield f"failed runs: {shares}; they are counted, and in no mean"
    if runs.by_block:
        yield from _unshared(runs)
    if runs.searched:
        yield "the log of a search: sampling may have been adaptive, so means of levels compare unlike sets"
    count = table.groupby(["variant", "block"]).size().max()
    blocks = table["block"].nunique()
    if blocks > 1:
        ran = table.groupby("block")["variant"].nunique()
        shared = ran.index[ran == len(runs.variants)]
        if len(shared) > 1:
            blocks, table = len(shared), table[table["block"].isin(shared)]
        few = ": few, so small differences do not show" if blocks < 6 else ""
        noun = "data sets" if words.has(runs.block, words.BLOCKS) else f"values of {quoted(runs.block)}"
        yield f"the replicates are {blocks:,} {noun}, by the mean of each, not their {len(table):,} cells{few}"
    elif runs.summarized:
        yield "means and sds of runs without the runs: whether they pair is unknown, so tests are Welch's, unpaired"
    elif count == 1:
        yield "one run of each variant: differences and their order, no test; nothing tells these differences from chance"
        yield f"runs that pair, by a seed or a fold, would: {SHOWN_BY}"
    elif not runs.paired:
        yield "no column pairs runs, so tests are Welch's, unpaired"
    if reference and runs.replicate and blocks < 2 and count > 1:
        yield from _unpaired(runs)


def _unshared(runs: Runs) -> Iterator[str]:
    """Blocks in which a variant did not run: comparisons leave them out."""
    there = runs.table.groupby("block", sort=False)["variant"].agg(lambda names: tuple(dict.fromkeys(names)))
    every = set(runs.variants)
    lonely = {block: names for block, names in there.items() if set(names) != every}
    if not lonely:
        return
    by_names: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for block, names in lonely.items():
        by_names[tuple(sorted(names))].append(str(block))
    for names, blocks in list(by_names.items())[:3]:
        have = "1 block has" if len(blocks) == 1 else f"{len(blocks):,} blocks have"
        yield f"{have} {listed(names)} only ({listed(blocks)}): each comparison uses the blocks that both have"


def _unpaired(runs: Runs) -> Iterator[str]:
    """Variants with replicates that the baseline lacks, or the other way round."""
    sets = runs.table.groupby("variant", sort=False)["replicate"].agg(set)
    own = sets[runs.reference]
    for name, others in sets.items():
        if others != own:
            shared = f"{len(own & others)} of {len(own | others)} replicates"
            yield f"{quoted(name)} shares {shared} with {quoted(runs.reference)}: these are compared"
