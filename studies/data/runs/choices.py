"""Choices among what a table offers: the measure and its direction, the baseline, the share of test rows.

What must not be guessed is asked for by an error that has the option to add.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from studies.data.measures import Measure
from studies.data.runs import words
from studies.data.runs.given import Given
from studies.data.runs.reading import Sheet, is_true
from studies.data.runs.roles import Roles
from studies.errors import UserError, listed, quoted, unknown

BETTER = ("lower", "higher")


@dataclass
class Questions:
    """Questions that a table leaves open and nobody may guess: rules, and the options that answer them, all in one error."""

    where: str
    given: Given = field(default_factory=Given)
    rules: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)

    def add(self, rule: str, option: str) -> None:
        """Ask for an option."""
        self.rules.append(rule)
        self.options.append(option)

    def ask(self) -> None:
        """Raise UserError with all questions in one line, and the command that answers them, if there are any."""
        rules = [f"({place}) {rule}" for place, rule in enumerate(self.rules, start=1)] if len(self.rules) > 1 else self.rules
        if rules:
            command = ["ablation judge", shlex.quote(self.where), *self.given.as_options(), *self.options]
            raise UserError(f"{'; '.join(rules)}: {' '.join(command)}")


def measures(sheet: Sheet, roles: Roles) -> list[Measure]:
    """All measures of a table, the one to judge by first: no loss and no time before other measures, test rows first."""
    columns = sorted(roles.of("measure"), key=_order)
    units = [sheet.units.get(name, words.unit_of(name)) for name in columns]
    return [Measure(_shown(name), words.direction(name), unit, column=name) for name, unit in zip(columns, units, strict=True)]


def _shown(name: str) -> str:
    for prefix in ("metrics.", "metrics/", "summary."):
        name = name.removeprefix(prefix)
    return name


def _order(name: str) -> tuple[bool, bool, bool, bool]:
    own = set(words.words(name))
    return bool(own & words.TIMES), bool(own & {"train", "training"}), bool(own & words.LOSSES), "test" not in own


def choose_measure(sheet: Sheet, roles: Roles, given: Given, questions: Questions) -> tuple[Measure, list[Measure]]:
    """The measure to judge by, and the others. Raises UserError where there is none."""
    if given.better and given.better not in BETTER:
        raise UserError(f"--better: {unknown('direction', given.better, BETTER)}")
    found = measures(sheet, roles)
    if not found:
        texts = listed(map(quoted, sheet.table.columns))
        nearly = {name: cells for name, cells in sheet.odd.items() if 0 < 2 * cells.wrong <= cells.total}
        faults = "".join(f"; {quoted(name)} is one of numbers but for {cells.described}" for name, cells in nearly.items())
        raise UserError(
            f"{questions.where!r} has no numeric column that is a measure: its columns are {texts}{faults}; "
            + ("name one: --measure COLUMN" if sheet.numbers or nearly else "add one with a number for each run")
        )
    given_names = (each for each in found if given.measure in (each.column, each.name))
    chosen = next(given_names, found[0]) if given.measure else found[0]
    others = [each for each in found if each != chosen]
    better = given.better or chosen.better
    if not better:
        more = f" (or --measure with one of {listed(quoted(each.column) for each in others)})" if others else ""
        rule = f"better values of {quoted(chosen.name)} may be lower or higher ones: say which{more}"
        questions.add(rule, "--better lower")
    return Measure(given.name or chosen.name, better, given.unit or chosen.unit, column=chosen.column), others


def choose_baseline(
    levels: Mapping[str, Sequence[str]], configs: pd.DataFrame, given: Given, questions: Questions
) -> tuple[dict[str, str] | None, str]:
    """The level of each factor in the baseline, and why; None where level means need none.

    Args:
        levels: By factor.
        configs: Distinct configurations, `label` and a column per factor.
        given: Options; `baseline` is a label, or "factor=level, ..." as labels are written.
        questions: Gets the question where the names do not say it.
    """
    factors = list(levels)
    labels = configs["label"].to_list()
    if given.baseline:
        label = next((each for each in labels if _plain(each) == _plain(given.baseline)), None)
        if label is None:
            raise UserError(f"--baseline: {unknown('variant', given.baseline, labels)}")
        return _levels(configs, label, factors), "given as baseline"
    if len(labels) < 2:
        return None, ""
    flags = [name for name in factors if {each.casefold() for each in levels[name]} <= _FLAGS]
    if flags:
        return _complete(levels, configs, flags, questions)
    if len(factors) > 1:
        return None, ""
    found = words.baselines(labels)
    if len(found) == 1:
        return _levels(configs, found[0], factors), "the only name of a baseline"
    if not found and all(_is_number(label) for label in labels):
        return None, ""
    many = (
        f"{listed(map(quoted, found))} may all be the baseline"
        if found
        else f"none of {listed(map(quoted, labels))} names a baseline"
    )
    questions.add(f"{many}: say which one the others are compared with", f"--baseline {shlex.quote((found or labels)[0])}")
    return None, ""


_FLAGS = words.each_of("true false yes no on off 0 1 y n t f ✓ ✗ ✔ ✘")


def _plain(label: str) -> list[str]:
    """The parts of a label, in whatever order and case they are written."""
    return sorted("".join(part.split()).casefold() for part in label.split(","))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _levels(configs: pd.DataFrame, label: str, factors: Sequence[str]) -> dict[str, str]:
    row = configs[configs["label"] == label].iloc[0]
    return {name: str(row[name]) for name in factors}


def _complete(
    levels: Mapping[str, Sequence[str]], configs: pd.DataFrame, flags: Sequence[str], questions: Questions
) -> tuple[dict[str, str] | None, str]:
    """The configuration with all parts, else the one with none; other factors must have one level there."""
    for wanted, why in ((True, "all parts are there"), (False, "no part is there, and no row has all")):
        match = pd.Series(True, index=configs.index)
        for name in flags:
            absent = bool(set(words.words(name)[:1]) & {"no", "without", "remove", "disable", "ablate", "wo"})
            match &= configs[name].map(is_true) == (wanted != absent)
        if match.sum() == 1:
            return _levels(configs, str(configs.loc[match, "label"].iloc[0]), list(levels)), why
        if match.any():
            return None, ""
    first = str(configs["label"].iloc[0])
    rule = f"no row has all of {listed(flags)}, and none has none of them: say which one the others are compared with"
    questions.add(rule, f"--baseline {shlex.quote(first)}")
    return None, ""


def choose_share(sheet: Sheet, roles: Roles, given: Given, folds: int, questions: Questions) -> tuple[float, str]:
    """n_test / n_train of folds, and why. Raises UserError where nothing says it."""
    if given.test_share is not None:
        if not 0 < given.test_share <= 10:
            raise UserError(f"--test-share is n_test / n_train, a number above 0: {given.test_share:g} was given")
        return given.test_share, "given as test_share"
    sizes = roles.of("size")
    train = [name for name in sizes if "train" in name.casefold()]
    test = sorted((name for name in sizes if "train" not in name.casefold()), key=lambda name: "test" not in name.casefold())
    if train and test:
        share = float(sheet.table[test[0]].sum() / sheet.table[train[0]].sum())
        return share, f"{test[0]} / {train[0]}"
    if folds > 1:
        return 1 / (folds - 1), f"{folds} folds that divide all rows; --test-share if they do not"
    questions.add(
        "folds share training rows, so their differences are not independent: say n_test / n_train, which is 1 / (k - 1) for "
        "k folds that divide all rows",
        "--test-share 0.25",
    )
    return 0.0, ""
