"""From grids of levels to configurations: the factorial product, or one factor at a time, less what is excluded."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from studies.columns import is_taken
from studies.errors import UserError, quoted, unknown
from studies.seeds import digest
from studies.spec.identity import identity
from studies.spec.keys import NETWORKS, Keys
from studies.spec.rules import one_line, require
from studies.spec.settings import NO_LAYERS, Settings, assign, to_columns, value_at


@dataclass(frozen=True)
class Configuration:
    """One point of the grid: resolved settings, and the level of each factor by its label; of a table's rows their name."""

    id: str
    settings: Settings
    levels: Mapping[str, str]
    name: str = ""

    @property
    def label(self) -> str:
        """The name, or else the levels in one line."""
        return self.name or " | ".join(self.levels.values()) or "base"

    @cached_property
    def columns(self) -> dict[str, Any]:
        """Settings in dotted form, and each factor under its own name by the label of its level."""
        return {**to_columns(self.settings), **self.levels}


@dataclass(frozen=True)
class Grid:
    """All configurations of a study.

    `levels` are each factor's levels, in the order of the spec; `excluded` says how many points each rule left out (a point
    counts for the first that covers it), `duplicates` how many repeat an earlier one. `identity` is what all of them follow
    from, as plain values. `baseline` is the level of each factor that the others are compared with: the base's where the grid
    has it, else the first.
    """

    configurations: Sequence[Configuration]
    levels: Mapping[str, Sequence[str]]
    excluded: Sequence[tuple[str, int]]
    duplicates: int
    identity: Mapping[str, Any]
    baseline: Mapping[str, str]

    @property
    def labels(self) -> dict[str, str]:
        """The label of each configuration, by its id."""
        return {each.id: each.label for each in self.configurations}

    @property
    def baseline_configuration(self) -> Configuration | None:
        """The configuration that has the baseline level of every factor; None where the grid leaves it out."""
        return next((each for each in self.configurations if each.levels == self.baseline), None)

    def find(self, given: str) -> Configuration:
        """The configuration whose id begins so, or whose label is this.

        Raises UserError where none is, or several are.
        """
        found = [each for each in self.configurations if each.label == given or (given and each.id.startswith(given))]
        if len(found) == 1:
            return found[0]
        if found:
            raise UserError(
                f"{given!r} begins the ids of {len(found)} configurations, {found[0].id} and {found[1].id} among them"
            )
        raise UserError(unknown("configuration", given, [each.label for each in self.configurations]))


@dataclass(frozen=True)
class _Level:
    """A level of a factor: its label, the settings it assigns, and its place in the spec; dotted keys reach into tables."""

    label: str
    assigns: Mapping[str, Any]
    place: str  # "grid 1.activation"

    @property
    def grid(self) -> str:
        """The grid that it is in."""
        return self.place.partition(".")[0]

    @property
    def described(self) -> str:
        """Grid, factor and level, for errors."""
        return f"{self.place}, level {quoted(self.label)}"


def expand(grids: object, excludes: object, base: Settings, design: str, keys: Keys = NETWORKS) -> Grid:
    """The union of the grids around a checked base; `keys` are those that it may name.

    Raises UserError where a factor, level or rule is unknown, or a configuration means nothing.
    """
    axes = [_axes(grid, f"grid {index + 1}", keys) for index, grid in enumerate(_tables("grid", grids))]
    rules = _tables("exclude", excludes)
    home = {factor: _home(factor, base, "optimizer.lr" not in grid, keys) for grid in axes for factor in grid}
    _require_one_meaning(axes, home, base, design, keys)
    points = [_point(base, home, combination) for combination in _combinations(axes, design)]
    _require_met(rules, points, home, keys)
    removed = [0] * len(rules)
    duplicates = 0
    configurations: dict[str, Configuration] = {}
    for point in points:
        covering = next((index for index, rule in enumerate(rules) if _covers(rule, point.labels, point.settings, keys)), None)
        if covering is not None:
            removed[covering] += 1
            continue
        resolved = _resolve(point, base, keys)
        key = digest(identity("base", resolved), 12)
        duplicates += key in configurations
        configurations.setdefault(key, Configuration(key, resolved, point.labels))
    if not configurations:
        raise UserError("exclude leaves no configuration: every point of the grid is covered by a rule")
    levels = _levels(axes, home, configurations.values())
    _require_names(list(levels), configurations.values())
    return Grid(
        configurations=list(configurations.values()),
        levels=levels,
        excluded=[(level_text(rule), count) for rule, count in zip(rules, removed, strict=True)],
        duplicates=duplicates,
        identity={
            "design": design,
            "base": keys.resolve(base, "base"),
            "grid": [
                {factor: {level.label: level.assigns for level in given} for factor, given in grid.items()} for grid in axes
            ],
            "exclude": rules,
        },
        baseline={
            factor: _baseline(factor, axes, home[factor], levels[factor], keys.resolve(base, "base"), configurations.values())
            for factor in home
        },
    )


def level_text(value: Any) -> str:  # noqa: ANN401
    """A value in a line: a table as its name and key=value, a list joined by "+", or "none" where it is empty."""
    if isinstance(value, Mapping):
        return " ".join(level_text(inner) if key == "name" else f"{key}={level_text(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return "+".join(map(level_text, value)) or NO_LAYERS
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _tables(key: str, tables: object) -> list[Mapping[str, Any]]:
    if not isinstance(tables, list) or not all(isinstance(table, Mapping) for table in tables):
        raise UserError(f"{key} is a list of tables, each under [[{key}]]: {tables!r} was given")
    return tables


def _axes(grid: Mapping[str, Any], where: str, keys: Keys) -> dict[str, list[_Level]]:
    """The factors of one grid and their levels."""
    axes = {}
    for factor, values in grid.items():
        if not isinstance(values, list) or not values:
            raise UserError(f"{where}.{factor} is a list of levels: {values!r} was given")
        axes[factor] = [_level(factor, value, f"{where}.{factor}", "optimizer.lr" not in grid, keys) for value in values]
        labels = [level.label for level in axes[factor]]
        twice = next((label for label in labels if labels.count(label) > 1), None)
        if twice is not None:
            raise UserError(
                f"{where}.{factor}: levels differ in their labels, of numbers the first six digits: {twice!r} was given twice; "
                'leave one out, or give a table a label = "..."'
            )
    return axes


def _level(factor: str, value: Any, where: str, rated: bool, keys: Keys) -> _Level:  # noqa: ANN401
    """One level: a value of a base key, or, under a factor of one's own, a labelled table of several keys."""
    given = None
    if isinstance(value, Mapping):
        given = value.get("label")
        value = {key: inner for key, inner in value.items() if key != "label"}
        if given is not None:
            require(f"{where}: a label", given, one_line)
    if factor.partition(".")[0] in keys.defaults:
        keys.require(where, factor, "factor")
        shown = quoted(level_text(value) if given is None else given)
        return _Level(_label(factor, value, f"{where}, level {shown}", rated, keys, given), {factor: value}, where)
    if given is None or not isinstance(value, Mapping):
        raise UserError(
            f"{where}: {unknown('factor', factor, keys.defaults)}; or, for a factor of your own, levels that are tables "
            'with a label: { label = "...", activation = "relu" }'
        )
    require(f"{where}: the name of a factor", factor, one_line)
    if is_taken(factor):
        raise UserError(f"{where}: {factor!r} is a column of the tables already; give the factor another name")
    for key in value:
        keys.require(f"{where} ({given})", key, "key")
    return _Level(given, value, where)


def _label(factor: str, value: Any, where: str, rated: bool, keys: Keys, given: str | None = None) -> str:  # noqa: ANN401
    """The name of a level. An optimizer is named with its learning rate (`rated`), unless that is a factor of the same grid."""
    if factor != "optimizer" or not isinstance(keys.defaults[factor], Mapping):
        return level_text(value) if given is None else given
    # In float64: the precision of a point is known once it is made.
    table = keys.resolve({"optimizer": value, "dtype": "float64"}, where)["optimizer"]
    rated = rated and "lr" in table
    if given is None:
        options = value if isinstance(value, Mapping) else {}
        return level_text({"name": table["name"], **({"lr": table["lr"]} if rated else {}), **options})
    rate = level_text(table["lr"]) if rated else ""
    return given if not rated or rate in given else f"{given} lr={rate}"


def _home(factor: str, base: Settings, rated: bool, keys: Keys) -> str:
    """The label of a factor where the base decides: in another grid, or one factor at a time."""
    key, _, parameter = factor.partition(".")
    if key not in keys.defaults:
        return "base"
    if not parameter:
        return _label(factor, base.get(key, keys.defaults[key]), "base", rated, keys)
    value = keys.value_at(keys.resolve(base, "base"), factor)
    return level_text("" if value is None else value)


def _combinations(axes: Sequence[Mapping[str, Sequence[_Level]]], design: str) -> Iterator[dict[str, _Level]]:
    """The chosen level of every factor that a point sets."""
    if not axes or design == "one_at_a_time":
        yield {}
    for grid in axes:
        if design == "one_at_a_time":
            yield from ({factor: level} for factor, levels in grid.items() for level in levels)
        else:
            yield from (dict(zip(grid, levels, strict=True)) for levels in itertools.product(*grid.values()))


class _Point(NamedTuple):
    """One point of a grid: the level of each factor by its label, the settings, and the levels that it sets by factor."""

    labels: Mapping[str, str]
    settings: Settings
    chosen: Mapping[str, _Level]


def _point(base: Settings, home: Mapping[str, str], combination: Mapping[str, _Level]) -> _Point:
    """The base with the levels' settings."""
    setters: dict[str, str] = {}
    assigns: dict[str, Any] = {}
    for factor, level in combination.items():
        for key, value in level.assigns.items():
            if key in setters:
                raise UserError(f"grid: at each point one factor sets a key: {setters[key]} and {factor} both set {key}")
            setters[key], assigns[key] = factor, value
    settings = _set(base, assigns)
    labels = {factor: level.label for factor, level in combination.items()}
    return _Point({**home, **labels}, settings, combination)


def _resolve(point: _Point, base: Settings, keys: Keys) -> dict[str, Any]:
    """The resolved settings of a point.

    Raises UserError, which names the level that is wrong alone, else two that are wrong together, else all of the point.
    """
    names = _in_words({factor: level.label for factor, level in point.chosen.items()})
    where = f"{next(iter(point.chosen.values())).grid} with {names}" if point.chosen else "base"
    try:
        return keys.resolve(point.settings, where)
    except UserError as error:
        for few in itertools.chain(*(itertools.combinations(point.chosen.items(), count) for count in (1, 2))):
            assigns = {key: value for _, level in few for key, value in level.assigns.items()}
            if _problem(_set(base, assigns), where, keys) == str(error):
                (_, level), *others = few
                blamed = level.described if not others else f"{level.grid} with {_in_words({f: x.label for f, x in few})}"
                raise UserError(blamed + str(error).removeprefix(where)) from None
        raise


def _problem(settings: Settings, where: str, keys: Keys) -> str:
    """The error of resolving some settings; empty where there is none."""
    try:
        keys.resolve(settings, where)
    except UserError as error:
        return str(error)
    return ""


def _set(base: Settings, assigns: Mapping[str, Any]) -> Settings:
    """The base with these settings; dotted keys last, since they reach into tables that others may set."""
    for key, value in sorted(assigns.items(), key=lambda item: "." in item[0]):
        base = assign(base, key, value)
    return base


def _require_one_meaning(
    axes: Sequence[Mapping[str, Sequence[_Level]]], home: Mapping[str, str], base: Settings, design: str, keys: Keys
) -> None:
    """Raise UserError where a label stands for one level in this grid and for another in that, or for the base in that."""
    meanings: dict[tuple[str, str], Mapping[str, Any]] = {}
    for factor, level in ((factor, level) for grid in axes for factor, levels in grid.items() for level in levels):
        if not _are_equal(meanings.setdefault((factor, level.label), level.assigns), level.assigns, base, keys):
            raise UserError(f"grid: {factor} = {level.label} sets one thing here and another there; write other labels")
        mixed = len(axes) > 1 or design == "one_at_a_time"
        if mixed and level.label == home[factor] and not _are_equal(level.assigns, {}, base, keys):
            raise UserError(f"grid: {factor} = {level.label} is what points without {factor} are called; write another")


def _are_equal(one: Mapping[str, Any], other: Mapping[str, Any], base: Settings, keys: Keys) -> bool:
    """True where both levels make the same settings of the base."""
    if one == other:
        return True
    try:
        return keys.resolve(_set(base, one), "base") == keys.resolve(_set(base, other), "base")
    except UserError:  # a level that means something beside those of other factors only
        return False


def _require_met(rules: Sequence[Mapping[str, Any]], points: Sequence[_Point], home: Mapping[str, str], keys: Keys) -> None:
    """Raise UserError where a rule names a key that there is not, or a level that no point has."""
    for index, rule in enumerate(rules):
        for key, value in rule.items():
            if key not in home and key not in keys.defaults:
                raise UserError(f"exclude {index + 1}: {unknown('factor or key', key, [*home, *keys.defaults])}")
            if not any(_covers({key: value}, point.labels, point.settings, keys) for point in points):
                there = dict.fromkeys(
                    labels[key] if key in labels else level_text(settings.get(key, keys.defaults.get(key)))
                    for labels, settings, _ in points
                )
                raise UserError(f"exclude {index + 1}.{key}: {unknown('level', level_text(value), there)}")


def _require_names(factors: Sequence[str], configurations: Iterable[Configuration]) -> None:
    """Raise UserError where two configurations have one label, or two effects one name: tables would join their numbers."""
    known: dict[str, Configuration] = {}
    for each in configurations:
        other = known.setdefault(each.label, each)
        if other is not each:
            both = " and as ".join(_in_words(found.levels) for found in (other, each))
            raise UserError(f"grid: {each.label!r} can be read as {both}; give these levels labels without ' | '")
    effects = [*factors, *(f"{one} x {other}" for one, other in itertools.combinations(factors, 2))]
    twice = next((effect for effect in effects if effects.count(effect) > 1), None)
    if twice is not None:
        raise UserError(
            f"grid: {twice!r} is the name of two effects, of factors or pairs of them; give the factor another name"
        )


def _in_words(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{factor} = {label}" for factor, label in labels.items())


def _covers(rule: Mapping[str, Any], levels: Mapping[str, str], settings: Settings, keys: Keys) -> bool:
    """True where every entry of a rule holds at a point, by a level's label or a setting's value."""
    return all(
        levels.get(key) == level_text(value) or settings.get(key, keys.defaults.get(key)) == value
        for key, value in rule.items()
    )


def _levels(
    axes: Sequence[Mapping[str, Sequence[_Level]]], home: Mapping[str, str], configurations: Iterable[Configuration]
) -> dict[str, list[str]]:
    """The levels of each factor that some configuration has, in the order of the spec."""
    found = {}
    for factor, label in home.items():
        declared = [level.label for grid in axes for level in grid.get(factor, ())]
        present = {each.levels[factor] for each in configurations}
        found[factor] = [each for each in dict.fromkeys([*declared, label]) if each in present]
    return found


def _baseline(
    factor: str,
    axes: Sequence[Mapping[str, Sequence[_Level]]],
    home: str,
    present: Sequence[str],
    own: Settings,
    configurations: Iterable[Configuration],
) -> str:
    """The level of a factor that is the base's: called as it, or of its value in some configuration; else the first."""
    if home in present:
        return home
    assigned = {level.label: list(level.assigns) for grid in axes for level in grid.get(factor, ())}
    equal = {
        each.levels[factor]
        for each in configurations
        if each.levels[factor] in assigned
        and all(value_at(each.settings, key) == value_at(own, key) for key in assigned[each.levels[factor]])
    }
    return next((label for label in present if label in equal), present[0])
