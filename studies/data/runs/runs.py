"""Runs: a table that something else made, as one line per run with its variant, block, replicate and measure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from studies.data.measures import Measure
from studies.data.runs import remarks, trackers, wide, words
from studies.data.runs.choices import Questions, choose_baseline, choose_measure, choose_share
from studies.data.runs.given import Given
from studies.data.runs.reading import Sheet, from_frame, is_true, read_sheet
from studies.data.runs.roles import PREFIX, Role, Roles, assign
from studies.errors import UserError, listed, quoted

KEY = ["variant", "block", "replicate"]
_OWN = {*KEY, "value", "sd", "n", "label"}  # columns of `Runs.table`, which factors must not be


@dataclass(frozen=True)
class Runs:
    """Runs of variants, and how they may be compared.

    Attributes:
        table: A line per run: a column per factor and `variant` (the label), `block`, `replicate` as texts ("" where there is
            none), `value` (NaN for a failed run), and `sd` and `n` where a line sums up n runs (else NaN).
        factors: Levels by factor: flags and numbers in natural order, texts in order of appearance.
        baseline: Level of each factor in the reference; None where only levels are compared.
        measure: The measure of `value`; `measures` are the others.
        replicate: Name of the column that pairs runs, "" where none does; `block`: that of data sets.
        fold: Replicates are folds; `test_share` is then their n_test / n_train, else 0.
        paired: Runs of one block and replicate belong together.
        searched: Settings were drawn or chosen by a search, so that level means compare unlike sets.
        attributes: Value by variant, by column.
        roles: Part of each column and why; `notes`: all else to be said, a line each.
        made: Columns that the table lacks: they were made of several of its own.
    """

    table: pd.DataFrame
    factors: Mapping[str, tuple[str, ...]]
    baseline: Mapping[str, str] | None
    measure: Measure
    measures: tuple[Measure, ...]
    replicate: str = ""
    block: str = ""
    fold: bool = False
    test_share: float = 0.0
    paired: bool = False
    searched: bool = False
    attributes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    roles: Mapping[str, Role] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    made: frozenset[str] = frozenset()

    @property
    def variants(self) -> tuple[str, ...]:
        """Labels in order of appearance."""
        return tuple(self.table["variant"].unique())

    @property
    def reference(self) -> str:
        """Label of the baseline, or ""."""
        return "" if self.baseline is None else label(self.baseline)

    @property
    def summarized(self) -> bool:
        """True where lines are means of n runs with their sd, and nothing else is replicated."""
        return bool(self.table["sd"].notna().any())

    @property
    def by_block(self) -> bool:
        """True where several blocks are the replicates."""
        return bool((self.table["block"] != self.table["block"].iloc[0]).any())


def label(levels: Mapping[str, str]) -> str:
    """The name of a configuration: the level of one factor, or all with their factors.

    >>> label({"method": "full"}), label({"use_a": "True", "lr": "0.1"})
    ('full', 'use_a=True, lr=0.1')
    """
    if len(levels) == 1:
        return next(iter(levels.values()))
    return ", ".join(f"{name}={level}" for name, level in levels.items())


def read_runs(path: Path, given: Given | None = None) -> Runs:
    """The runs of a CSV file.

    Args:
        path: A table of one of runs: long or wide, of means, of scikit-learn, Optuna, MLflow or W&B.
        given: Options, which override guesses.

    Raises UserError for a file that is no table, and where a guess would be wrong.
    """
    return runs_of(read_sheet(path), given or Given(), str(path))


def runs_from_frame(frame: pd.DataFrame, given: Given | None = None, where: str = "runs.csv") -> Runs:
    """The runs of a DataFrame; as `read_runs`."""
    return runs_of(from_frame(frame, where), given or Given(), where)


def runs_of(sheet: Sheet, given: Given, where: str) -> Runs:
    """The runs of a sheet; as `read_runs`."""
    own = set(sheet.table.columns)
    if len(sheet.table) < 2 and len(sheet.numbers) < 2:
        raise UserError(f"{where!r} has {len(sheet.table)} row: a comparison needs the rows of two variants")
    long = wide.to_long(
        sheet, variant=given.variant, block=given.block, repeat=given.repeat, baseline=given.baseline, name=given.name
    )
    sheet = long.sheet
    roles = assign(long, given)
    questions = Questions(where, given)
    measure, others = choose_measure(sheet, roles, given, questions)
    _require_design(sheet, roles, where)
    table, levels = _lines(sheet, roles, measure)
    attributes = _attributes(sheet, roles, table)
    notes = list(sheet.notes)
    table, found = _without_copies(table, sheet, roles)
    notes += found
    replicate, block = ", ".join(roles.of("replicate")), ", ".join(roles.of("block"))
    if long.by_row:
        replicate, table["replicate"] = "", ""
    seeds = [name for name in roles.of("constant") if words.replicate_word(name) and sheet.is_number(name)]
    _require_key(table, replicate or ", ".join(seeds), where)
    configs = table.drop_duplicates("variant").assign(label=lambda lines: lines["variant"])
    baseline, why = choose_baseline(levels, configs, given, questions)
    blocks = table["block"].nunique()
    is_fold = bool(given.fold) or (bool(replicate) and (given.test_share is not None or words.has(replicate, words.FOLDS)))
    if given.test_share is not None and not is_fold:
        raise UserError("--test-share is n_test / n_train of folds, and no column is one of folds: name it: --fold COLUMN")
    share, from_what = 0.0, ""
    if is_fold and blocks < 2:
        share, from_what = choose_share(sheet, roles, given, long.folds, questions)
    table = _with_counts(table, roles, given, measure, questions, needed=blocks < 2 and not replicate)
    questions.ask()
    runs = Runs(
        table, levels, baseline, measure, tuple(others), replicate, block, is_fold, share,
        paired=bool(replicate) or blocks > 1, searched=_is_search(sheet, levels, table),
        attributes=attributes, roles=roles.by_column, made=frozenset(set(sheet.table.columns) - own),
    )  # fmt: skip
    if why:
        notes.append(f"baseline {quoted(runs.reference)}: {why}")
    if share:
        notes.append(f"n_test / n_train of folds is {share:.4g}: {from_what}")
    return replace(runs, notes=(*notes, *remarks.of(runs)))


def _require_design(sheet: Sheet, roles: Roles, where: str) -> None:
    """Raise UserError where rows are steps of curves, or no column says what ran."""
    if steps := roles.of("step"):
        raise UserError(
            f"{where!r} has rows for steps of {quoted(steps[0])}: a row is a run; keep one row of each run, such as the last"
        )
    single = [name for name in roles.of("constant") if words.has(name, words.VARIANTS)]
    if not roles.design and single:
        reason = roles.by_column[single[0]].reason
        raise UserError(f"{where!r} has one variant, {quoted(single[0])} {reason}: a comparison needs the rows of two")
    if not roles.design:
        raise UserError(
            f"{where!r}: no column names variants among {listed(map(quoted, sheet.table.columns))}; name it: --variant COLUMN"
        )


def _lines(sheet: Sheet, roles: Roles, measure: Measure) -> tuple[pd.DataFrame, dict[str, tuple[str, ...]]]:
    """The line of each run, and the levels of each factor."""
    columns = {name: _levels(sheet, name) for name in roles.design}
    varying = [name for name, (_, own) in columns.items() if len(own) > 1] or roles.design[:1]
    names = {name: f"{name} column" if name in _OWN and varying != ["variant"] else name for name in varying}
    found = {shown: columns[name][0] for name, shown in names.items()}
    levels = {shown: columns[name][1] for name, shown in names.items()}
    table = pd.DataFrame(found)
    table["variant"] = (
        _joined(found) if len(found) == 1 else _joined({name: f"{name}=" + column for name, column in found.items()})
    )
    for kind in ("block", "replicate"):
        columns = {name: _levels(sheet, name)[0] for name in roles.of(kind)}
        table[kind] = _joined(columns, "/") if columns else ""
    values = sheet.table[measure.column].to_numpy(dtype=float, copy=True)
    for name in roles.of("status"):
        broken = {each: trackers.is_failed(name, each) for each in sheet.table[name].unique()}
        values[sheet.table[name].map(broken).to_numpy(dtype=bool)] = np.nan
    _require_unit(values, measure)
    table["value"] = values
    spread, is_error = roles.spreads.get(measure.column, ("", False))
    table["sd"] = sheet.table[spread].to_numpy() if spread else np.nan
    table["n"] = sheet.table[roles.of("n")[0]].to_numpy() if roles.of("n") else np.nan
    table.attrs["is_error"] = is_error
    return table, levels


def _require_unit(values: NDArray[np.float64], measure: Measure) -> None:
    """Raise UserError where some values are shares and others, a hundred times as large, in percent."""
    finite = values[np.isfinite(values)]
    low, high = finite[finite <= 1], finite[finite > 1]
    if not (len(low) and len(high)) or measure.better != "higher" or low.min() < 0.05 or high.min() < 5 or high.max() > 100:
        return
    if high.min() / 2 <= 100 * low.mean() <= 2 * high.max():
        raise UserError(
            f"a measure has one unit: {quoted(measure.column)} has {low[0]:g}, a share, and {high[0]:g}, in percent; write all "
            f"as one"
        )


def _levels(sheet: Sheet, name: str) -> tuple[pd.Series, tuple[str, ...]]:
    """A column as texts, and its levels: flags from true to false, numbers from low to high, texts as they appear."""
    column = sheet.table[name]
    if sheet.is_number(name):
        levels = sorted(column.dropna().unique())
        shown = {level: f"{level:.4g}" for level in levels}
        if len(set(shown.values())) < len(shown) or max(levels, default=0) >= 1e4:
            shown = {level: f"{level:.15g}" for level in levels}
        missing = ["(none)"] if column.isna().any() else []
        return column.map(shown).astype(object).fillna("(none)").astype(str), (*shown.values(), *missing)
    texts = column.where(column != "", "(none)").astype(str)
    order = texts.unique()
    return texts, tuple(sorted(order, key=lambda each: not is_true(each)) if sheet.is_flag(name) else order)


def _joined(columns: Mapping[str, pd.Series], between: str = ", ") -> pd.Series:
    first, *rest = columns.values()
    for each in rest:
        first = first + between + each
    return first


def _without_copies(table: pd.DataFrame, sheet: Sheet, roles: Roles) -> tuple[pd.DataFrame, list[str]]:
    """The lines without repeated rows, where these are no runs: rows have a key or seed, or no variant has two values."""
    index = [name for name in roles.of("index") if not words.replicate_word(name)]
    copies = sheet.table.drop(columns=index).duplicated().to_numpy()
    keyed = any(words.replicate_word(name) for name in roles.of("replicate", "constant"))
    if not copies.any() or not (keyed or table[~copies].groupby([*KEY]).size().max() == 1):
        return table, []
    note = f"{len(table):,} rows, {(~copies).sum():,} of them unique: repeated rows are no replication, and are left out"
    return table[~copies].reset_index(drop=True), [note]


def _require_key(table: pd.DataFrame, replicate: str, where: str) -> None:
    """Raise UserError where a replicate is named and two lines have one key."""
    twice = table.duplicated(KEY, keep=False)
    if not replicate or not twice.any():
        return
    row = table[twice].iloc[0]
    count = int((table[KEY] == row[KEY]).all(axis=1).sum())
    at = f"variant {quoted(row['variant'])}" + (f", block {quoted(row['block'])}" if row["block"] else "")
    at += f", {replicate} {row['replicate'] or '(the same in every row)'}"
    raise UserError(
        f"{where!r}: a run has a key of its own, but {count} rows differ at {at}; name all columns that vary: --factor COLUMN, "
        f"--block COLUMN, or --repeat COLUMN"
    )


def _with_counts(
    table: pd.DataFrame, roles: Roles, given: Given, measure: Measure, questions: Questions, *, needed: bool
) -> pd.DataFrame:
    """Lines with the n of their sd; without sd where lines are replicated. Raises UserError where n is needed and unknown."""
    is_error = table.attrs.pop("is_error", False)
    if given.n is not None and table["sd"].isna().all():
        raise UserError(
            f"--n is the number of runs behind a spread, and {quoted(measure.column)} has none: name it: --sd COLUMN"
        )
    single = not table.duplicated(KEY).any()
    if table["sd"].isna().all() or not (needed and single):
        return table.assign(sd=np.nan, n=np.nan)
    counts = float(given.n) if isinstance(given.n, int) else table["n"]
    if not np.isfinite(counts).all() if isinstance(counts, pd.Series) else counts < 2:
        if isinstance(given.n, int):
            raise UserError(f"--n is the number of runs behind a mean, from 2: {given.n} was given")
        spread = roles.spreads[measure.column][0]
        questions.add(f"{quoted(spread)} is a spread of n runs, and no column has n: say how many", "--n 5")
        return table
    return table.assign(n=counts, sd=table["sd"] * np.sqrt(counts) if is_error else table["sd"])


def _attributes(sheet: Sheet, roles: Roles, table: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Value of each attribute by variant."""
    first = ~table.duplicated("variant")
    labels = table.loc[first, "variant"]
    return {name: dict(zip(labels, _levels(sheet, name)[0][first], strict=True)) for name in roles.of("attribute")}


def _is_search(sheet: Sheet, levels: Mapping[str, tuple[str, ...]], table: pd.DataFrame) -> bool:
    """True for the log of a search: as Optuna writes it, or with a numeric setting that has another value nearly everywhere."""
    names = set(sheet.table.columns)
    if {"number", "state"} <= names or {"datetime_start"} <= names:
        return True
    configs = table["variant"].nunique()
    is_many = len(levels) > 1 or all(PREFIX.match(name) for name in levels)
    return configs > 10 and is_many and any(len(own) > 10 and len(own) > configs / 2 for own in levels.values())
