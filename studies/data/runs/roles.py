"""Roles of the columns of a table of runs: by options first, then by structure, then by names; each with a reason in words."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import NamedTuple

from studies.data.runs import trackers, words
from studies.data.runs.columns import Structure
from studies.data.runs.given import Given
from studies.data.runs.reading import SPREAD, Sheet
from studies.data.runs.wide import COLUMNS, ROW, Long
from studies.errors import UserError, quoted, unknown

PREFIX = re.compile(r"(params?|config|hparams|hyperparameters|hp)[_./]", re.I)
_METRIC_PREFIX = re.compile(r"(metrics?|summary)[./_]|values?(_\d+)?$", re.I)
_FLAG_WORDS = words.each_of("use uses using with has enable enabled no without is remove disable ablate wo")
_STEPS = words.each_of("epoch step iteration iter")
_SUMMARY = words.each_of("delta diff difference gain improvement rank rel relative change")
_EXTREMES = words.each_of("min max median")


class Role(NamedTuple):
    """The part that a column plays, and why it was taken for it."""

    kind: str
    reason: str


@dataclass
class Roles:
    """Roles by column; `spreads` has by measure the column of its spread, and True where that is a standard error."""

    by_column: dict[str, Role] = field(default_factory=dict)
    spreads: dict[str, tuple[str, bool]] = field(default_factory=dict)

    def of(self, *kinds: str) -> list[str]:
        """The columns that play one of these parts, in order of assignment."""
        return [name for name, role in self.by_column.items() if role.kind in kinds]

    def put(self, name: str, kind: str, reason: str) -> None:
        """Give a column its role, unless it has one."""
        self.by_column.setdefault(name, Role(kind, reason))

    @property
    def design(self) -> list[str]:
        """Columns that say what ran."""
        return self.of("variant", "factor")


def assign(long: Long, given: Given) -> Roles:
    """The role of each column of a table with a row per run. Raises UserError for an option that names no column."""
    roles, sheet = Roles(), long.sheet
    structure = Structure(sheet)
    _from_options(roles, sheet, given)
    _from_stacking(roles, long)
    for name, kind, reason in trackers.parts(structure, _left(roles, [str(name) for name in sheet.table])):
        roles.put(name, kind, reason)
    _of_spreads(roles, sheet)
    _of_constants(roles, structure)
    _of_keys(roles, structure)
    _of_texts(roles, structure, is_open=not (given.variant or given.factors))
    _of_flags(roles, structure)
    _of_measures(roles, structure)
    _of_numbers(roles, structure, is_open=not (given.variant or given.factors or given.measure))
    return roles


def _left(roles: Roles, names: Sequence[str]) -> list[str]:
    return [name for name in names if name not in roles.by_column]


def _from_options(roles: Roles, sheet: Sheet, given: Given) -> None:
    """Roles that options give."""
    names = [str(name) for name in sheet.table]
    for pattern in given.factors:
        found = [name for name in names if fnmatchcase(name, pattern)]
        if not found:
            raise UserError(f"--factor: {unknown('column', pattern, names)}")
        for name in found:
            roles.put(name, "factor", "given as factor")
    options = {"variant": given.variant, "measure": given.measure, "block": given.block, "replicate": given.repeat}
    options |= {"fold": given.fold, "sd": given.sd, "n": given.n if isinstance(given.n, str) else ""}
    for kind, name in options.items():
        option = {"replicate": "repeat"}.get(kind, kind)
        if not name or name == COLUMNS or (kind == "replicate" and name == ROW and name not in names):
            continue
        if name not in names:
            raise UserError(f"--{option}: {unknown('column', name, names)}")
        if kind in ("measure", "sd", "n") and not sheet.is_number(name):
            cells = f", {sheet.odd[name].described}" if name in sheet.odd and sheet.odd[name].wrong else ""
            raise UserError(
                f"--{option} is a column of numbers: {quoted(name)} has texts{cells}; correct these cells, or name another one"
            )
        roles.put(name, "replicate" if kind == "fold" else kind, f"given as {option}")
    if given.sd:
        measure = given.measure or next((each for each in sheet.numbers if words.direction(each)), "")
        roles.spreads[measure] = (given.sd, False)


def _from_stacking(roles: Roles, long: Long) -> None:
    """Roles of the columns that `wide` made."""
    for kind, name in {"variant": long.variant, "block": long.block, "replicate": long.replicate}.items():
        if name:
            roles.put(name, kind, "rows" if name == ROW else "names of columns")
    for name in long.measures:
        roles.put(name, "measure", "stacked columns")
    if long.replicate and long.replicate != ROW and long.measures:
        for name in _left(roles, long.sheet.numbers):
            is_key = words.has(name, words.BLOCKS | words.REPLICATES | words.VARIANTS | words.SETTINGS)
            if not PREFIX.match(name) and not is_key:
                roles.put(name, "attribute", f"one number for all columns of {quoted(long.replicate)}")


def _of_spreads(roles: Roles, sheet: Sheet) -> None:
    """Standard deviations and errors with their measures, and numbers of runs."""
    stems = {name: frozenset(words.words(name)) - words.MEANS for name in sheet.numbers}
    for name in _left(roles, sheet.numbers):
        spread = set(words.words(name)) & words.SPREADS.keys()
        if name.endswith(SPREAD) and name.removesuffix(SPREAD) in sheet.table:
            partner, is_error = name.removesuffix(SPREAD), words.has_error(name)
        elif spread and name + SPREAD not in sheet.table:
            own = stems[name] - spread
            others = [
                each
                for each in _left(roles, sheet.numbers)
                if each != name and not set(words.words(each)) & words.SPREADS.keys()
            ]
            partner = next((each for each in others if stems[each] == own), "")
            measured = [each for each in others if words.direction(each)]
            partner = partner or (measured[0] if not own and len(measured) == 1 else "")
            is_error = words.has_error(name)
        else:
            continue
        if partner:
            roles.spreads.setdefault(partner, (name, is_error))
            roles.put(name, "sd", f"{'standard error' if is_error else 'standard deviation'} of {quoted(partner)}")
        else:
            roles.put(name, "derived", "a spread without its mean")
    for name in _left(roles, sheet.numbers):
        if roles.spreads and "".join(words.words(name)) in words.COUNTS and (sheet.table[name] % 1 == 0).all():
            roles.put(name, "n", "number of runs behind a mean")


def _of_constants(roles: Roles, structure: Structure) -> None:
    for name in _left(roles, [str(name) for name in structure.sheet.table]):
        is_number = structure.sheet.is_number(name)
        is_measure = is_number and (words.direction(name) or _METRIC_PREFIX.match(name))
        if (structure.known(name) <= 1 if is_number else structure.count(name) <= 1) and not is_measure:
            value = structure.sheet.table[name].iloc[0]
            roles.put(name, "constant", f"{value:g} in every row" if is_number else f"{quoted(value)} in every row")


def _of_keys(roles: Roles, structure: Structure) -> None:
    """Replicates, blocks and indices, by name, where structure allows."""
    sheet = structure.sheet
    has_replicate, has_block = bool(roles.of("replicate")), bool(roles.of("block"))
    for name in _left(roles, [str(name) for name in sheet.table]):
        every = words.words(PREFIX.sub("", name)) or (name,)
        own = [word for word in every if word not in {"name", "id", "idx", "index"}] or every
        counted = own[0] in {"n", "num", "number"} or sheet.is_flag(name)
        known = sheet.is_number(name) and words.direction(name)
        plain = own[-1].rstrip("0123456789") or own[-1]
        if counted or known or (not sheet.is_number(name) and own[-1] in words.VARIANTS - words.BLOCKS):
            continue
        if words.replicate_word(PREFIX.sub("", name)):
            if structure.is_unique(name):
                roles.put(name, "index", "another value in each row: it pairs none")
            elif not has_replicate:
                roles.put(name, "replicate", "a name of replicates, and its values recur")
        elif plain in words.BLOCKS and (plain != "data" or len(own) == 1) and not has_block:
            roles.put(name, "block", "a name of data sets or tasks")
        elif plain in {"index", "row", "no", "nr", "#"} and structure.is_unique(name):
            roles.put(name, "index", "counts the rows")
    for kind in ("replicate", "block"):
        _keep_finest(roles, structure, kind)
    replicates = roles.of("replicate")
    items = [name for name in replicates if words.replicate_word(name) in words.ITEMS]
    if len(items) == 1 < len(replicates) and not roles.of("block"):
        reason = f"each of its values has runs by {quoted(next(name for name in replicates if name not in items))}"
        roles.by_column[items[0]] = Role("block", reason)


def _keep_finest(roles: Roles, structure: Structure, kind: str) -> None:
    """Of two keys of which one is a function of the other, the coarser one is a covariate."""
    for name in roles.of(kind):
        finer = [each for each in roles.of(kind) if each != name and structure.determines([each], name)]
        if finer:
            roles.by_column[name] = Role("covariate", f"a function of {quoted(finer[0])}")


def _of_texts(roles: Roles, structure: Structure, *, is_open: bool) -> None:
    """Texts and prefixed settings are what ran, unless they repeat or follow from another column."""
    sheet = structure.sheet
    named = [name for name in _left(roles, sheet.texts) if words.has(name, words.VARIANTS) and not PREFIX.match(name)]
    for name in _left(roles, [str(name) for name in sheet.table]):
        if is_open and PREFIX.match(name) and not any(_follows(structure, [each], name) for each in named):
            roles.put(name, "factor", "a setting by its prefix")
    texts = sorted(_left(roles, sheet.texts), key=lambda name: (sheet.is_flag(name), not words.has(name, words.VARIANTS)))
    blocks, settings = roles.of("block"), roles.of("factor")
    taken = roles.design
    for name in texts:
        if not is_open:
            roles.put(name, "ignored", "texts that no option names")
        elif blocks and structure.determines(blocks, name):
            roles.put(name, "covariate", f"a function of {quoted(blocks[0])}")
        elif alias := next((each for each in taken if structure.is_alias(each, name)), ""):
            roles.put(name, "alias", f"goes with {quoted(alias)}")
        elif (settings and (structure.is_unique(name) or structure.determines(settings, name))) or (
            structure.is_unique(name) and len(texts) > 1 and not words.has(name, words.VARIANTS) and taken
        ):
            roles.put(name, "index", "a name of each row" if structure.is_unique(name) else "a function of the settings")
        elif taken and _follows(structure, taken, name):
            roles.put(name, "attribute", f"a function of {quoted(taken[0])}")
        else:
            is_flag = sheet.is_flag(name)
            reason = (
                "true or false" if is_flag else "a name of variants" if words.has(name, words.VARIANTS) else "texts that differ"
            )
            roles.put(name, "factor", reason)
            taken.append(name)


def _follows(structure: Structure, keys: Sequence[str], name: str) -> bool:
    """True where the keys determine a column, even if each row has another key."""
    return structure.determines(keys, name) or structure.count(*keys) == structure.rows


def _of_flags(roles: Roles, structure: Structure) -> None:
    """Numbers 0 and 1 whose name says that a part is there or not."""
    for name in _left(roles, structure.sheet.numbers):
        if set(structure.sheet.table[name].unique()) <= {0.0, 1.0} and set(words.words(name)[:1]) & _FLAG_WORDS:
            taken = roles.design
            if taken and _follows(structure, taken, name) and any(not structure.sheet.is_number(each) for each in taken):
                roles.put(name, "attribute", f"a function of {quoted(taken[0])}")
            else:
                roles.put(name, "factor", "0 or 1, and its name says that a part is there")


def _of_measures(roles: Roles, structure: Structure) -> None:
    """Numbers whose names are those of measures, without copies and summaries of others."""
    sheet = structure.sheet
    for name in _left(roles, sheet.numbers):
        own = set(words.words(name))
        others = roles.of("measure")
        if own & _SUMMARY:
            roles.put(name, "derived", "its name is that of a difference or rank")
            continue
        siblings = own & _EXTREMES and [
            each for each in sheet.numbers if set(words.words(each)) - words.MEANS == own - _EXTREMES
        ]
        if siblings:
            roles.put(name, "derived", f"an extreme beside {quoted(siblings[0])}")
        elif words.direction(name) or (_METRIC_PREFIX.match(name) and not PREFIX.match(name)):
            other, how = structure.copies(name, others)
            if other:
                roles.put(name, "alias", f"{how} as {quoted(other)}" if how.startswith("equal") else f"{how} ({quoted(other)})")
            else:
                roles.put(name, "measure", "a name of measures" if words.direction(name) else "a measure by its prefix")
    for name in _left(roles, sheet.numbers):
        if set(words.words(name)) & words.MEANS and len(roles.of("measure")) > 1:
            roles.put(name, "derived", "its name is that of an average of others")


def _of_numbers(roles: Roles, structure: Structure, *, is_open: bool) -> None:
    """Numbers that no name explains: functions of keys first, then settings, then measures without a direction."""
    rest = _left(roles, structure.sheet.numbers)
    blocks, replicates = roles.of("block"), roles.of("replicate")
    for name in rest:
        design = roles.design
        if design and structure.determines(design, name):
            roles.put(name, "attribute", f"a function of {quoted(design[0])}")
        elif blocks and structure.determines(blocks, name):
            roles.put(name, "covariate", f"a function of {quoted(blocks[0])}")
        elif replicates and structure.determines([*blocks, *replicates], name) and design:
            roles.put(name, "covariate", f"a function of {quoted(replicates[0])}")
        elif set(words.words(name)) <= _STEPS:
            roles.put(name, "step", "steps of a curve")
        elif design and words.has(name, words.ATTRIBUTES) and structure.count(*design) == structure.rows:
            roles.put(name, "attribute", "a name of sizes and costs of a variant")
        elif structure.is_row_number(name):
            roles.put(name, "index", "counts the rows")
    for name in _left(roles, rest):
        if is_open and _is_setting(roles, structure, name):
            roles.put(name, "factor", "few numbers that recur with others")
    for name in _left(roles, rest):
        copied, how = structure.copies(name, roles.of("measure"))
        kind, reason = ("alias", f"{how} as {quoted(copied)}") if copied else ("measure", "numbers that nothing else explains")
        if not copied and roles.of("measure") and words.has(name, words.ATTRIBUTES):
            kind, reason = "covariate", "a name of sizes"
        roles.put(name, kind, reason)


def _is_setting(roles: Roles, structure: Structure, name: str) -> bool:
    """True for few numbers that tell rows apart which nothing else does, or that are named as settings."""
    keys = [*roles.design, *roles.of("block", "replicate")]
    named = words.has(name, words.SETTINGS)
    few = structure.known(name) <= (50 if named else 12) and structure.known(name) * 2 <= structure.rows
    whole = bool((structure.sheet.table[name].dropna() % 1 == 0).all())
    if all(structure.sheet.is_number(each) for each in roles.design) and (named or not roles.design):
        return named or (few and (whole or bool(roles.of("measure"))))
    return few and (named or whole) and structure.count(*keys, name) > structure.count(*keys)
