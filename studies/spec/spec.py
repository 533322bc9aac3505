"""From a TOML file to a `Study`: read and checked completely.

Every error is found here, before anything trains, and says which file and key, what was given, and what is allowed.
"""

import copy
import re
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from studies.data import datasets, splits
from studies.data.types import CLASSIFICATION, NO_DATA, NO_SCHEMA, REGRESSION, Data, Schema, Validation
from studies.errors import UserError, quoted, unknown
from studies.spec import parts, table
from studies.spec.components import BUILT_IN
from studies.spec.functions import Function, read_function
from studies.spec.grid import Grid, expand, level_text
from studies.spec.keys import Keys, NetworkKeys
from studies.spec.measures import DEFAULT, MEASURES, read_measure, read_measures
from studies.spec.parts import NO_PARTS, Parts
from studies.spec.rows import (
    DATA,
    FOR_NUMBERS,
    OF_REGRESSION,
    VALIDATION,
    read_data,
    read_repeats,
    read_validation,
    require_fitting,
)
from studies.spec.rules import Key, Rule, choice, flag, number, require, require_keys, text, whole_number
from studies.spec.settings import DEFAULTS, assign, require_setting
from studies.spec.study import Study

SPECS = Path(__file__).parent / "specs"
_OVERLAID = ("data", "validation", "base", "grid", "exclude", "baseline")  # what a reading may change
TOP: Mapping[str, Key] = {
    "title": Key(text, "", "Heading of tables and pages.", "the name of the file"),
    "question": Key(text, "", "Question that the study answers."),
    "source": Key(text, "", "Source of the study, such as a report."),
    "seed": Key(whole_number(0), 0, "Number from which all draws follow: data, folds, first weights, order of batches."),
    "design": Key(
        choice("factorial", "one_at_a_time"),
        "factorial",
        "`factorial`: every combination of the levels of each `[[grid]]`. `one_at_a_time`: the base, and the base with one "
        "factor changed: few models, and nothing about interactions.",
    ),
    "tune": Key(
        Rule("a list of factors of the grid", lambda value: isinstance(value, list)),
        [],
        "Factors whose level is chosen by validation error, for every configuration of the others, before test error judges "
        "it. Needs validation and test rows.",
    ),
    "baseline": Key(
        Rule("a table of levels, by factor", lambda value: isinstance(value, Mapping)),
        {},
        "Configuration with which tables compare the others.",
        "the levels of the base",
    ),
    "measure": Key(
        Rule("a measure, or a table with its name and direction", lambda value: isinstance(value, str | Mapping)),
        DEFAULT[CLASSIFICATION],
        "Measure that the study is about, one of " + ", ".join(f"`{name}`" for name in MEASURES) + ".",
        "`error`; for regression `rmse`",
    ),
    "measures": Key(
        Rule("a list of measures", lambda value: isinstance(value, list)),
        [],
        "Measures that rows record beside it, for `--measure`.",
    ),
    "margin": Key(
        number(0),
        Study.margin,
        "Difference within which two values count as equal, in the unit of the measure.",
        "0.5 points; half a percent of the range of a measure between two bounds; else 0",
    ),
    "stack": Key(
        whole_number(0), 0, "Models that train together at most; 0: as many as fit the cache. Changes times, never numbers."
    ),
}
SECTIONS: Mapping[str, str] = {
    "data": "The data set and its rows.",
    "validation": "Cross-validation and repeats.",
    "base": "Settings that every model has unless a level says otherwise.",
    "grid": "Factors, each with the list of its levels; several `[[grid]]` tables are united.",
    "exclude": "Combinations to leave out.",
    "reading": "Other interpretations of the source.",
    "components": "Components of your own.",
    "engine": "A function or estimator of your own that trains the models.",
    "table": "Rows that something else produced, in place of all sections above: see [tables.md](tables.md).",
}
COMPONENTS: Mapping[str, Key] = {
    "path": Key(text, None, "Python file that defines them, relative to the spec.", "needed"),
}
PRIMARY = Key(flag, False, "The reading that headlines are about; exactly one has it.")
_SECTIONS = (*TOP, *SECTIONS)
NAME = Rule(  # it becomes a folder's
    "a name of letters, digits, '_', '-', '+', '.' and spaces that begins with a letter, digit or '_', of at most 100 bytes",
    lambda value: re.fullmatch(r"\w([\w .+-]*[\w.+-])?", value) is not None and len(value.encode()) <= 100,
)


def names() -> list[str]:
    """The declared studies."""
    return sorted(path.stem for path in SPECS.glob("*.toml"))


def read(document: Mapping[str, Any], overrides: Sequence[str] = (), train: Callable[..., Any] | None = None) -> Study:
    """The study that a dictionary describes as a file would, with a `name`; paths are relative to the working directory.

    Args:
        document: The keys of a spec.
        overrides: What to change in it, such as "base.epochs=50".
        train: Function or class in place of the file of the `[engine]` section.

    Raises:
        UserError: Something in it is wrong.
    """
    name = document.get("name")
    if not isinstance(name, str):
        raise UserError(f"a study that is no file has a name, of its folder of results, name = ...: {name!r} was given")
    changed = {key: copy.deepcopy(value) for key, value in document.items() if key != "name"}
    for override in overrides:
        _override(changed, override)
    return check(name, changed, train=train)


def load(
    study: str,
    overrides: Sequence[str] = (),
    quick: bool = False,
    results: Path | None = None,
    train: Callable[..., Any] | None = None,
) -> Study:
    """The study of a name or path, after `key=value` overrides.

    Args:
        study: Path, or name of a study in `studies/spec/specs`, or else of a TOML file in the working directory.
        overrides: What to change in the file, such as "base.epochs=50".
        quick: Keep the primary reading only, with no more than `QUICK` repeats.
        results: Folder of results whose manifest describes CSV files that are known there: they are not read, and may be gone.
        train: Function or class in place of the file of the `[engine]` section.

    Raises:
        UserError: The file is missing or wrong, in a way that the message says.
    """
    is_path = study.endswith(".toml") or "/" in study
    path = Path(study) if is_path else SPECS / f"{study}.toml"
    if not is_path and not path.is_file():
        path = Path(f"{study}.toml")
    try:
        if not path.is_file():
            if not is_path:
                raise UserError(f"{unknown('study', study, names())}; or give the path of a TOML file")
            raise UserError(f"there is no file {study!r}")
        document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path.name}: not valid TOML: {error}") from None
    except OSError as error:
        raise UserError(f"{study!r} cannot be read: {error.strerror}") from None
    try:
        for override in overrides:
            _override(document, override)
        known = datasets.schemas_of(results / path.stem) if results else ()
        options = [word for override in overrides for word in ("--set", override)] + ["--quick"] * quick
        checked = replace(check(path.stem, document, path.parent, known, train), given=(study, *options))
        return checked.quick() if quick else checked
    except UserError as error:
        raise UserError(f"{path.name}: {error}") from None


def check(
    name: str,
    document: Mapping[str, Any],
    folder: Path = Path(),
    known: Sequence[Schema] = (),
    train: Callable[..., Any] | None = None,
) -> Study:
    """The study that a parsed document describes; paths in it are relative to `folder`, and files in `known` are not read.

    `train` is a function or class in place of the file of the `[engine]` section.

    Raises UserError where anything in it is unknown, out of range or contradicts the rest.
    """
    require("the name of the file, and so of the study,", name, NAME)
    for key in document:
        for section, keys in (("data", DATA), ("validation", VALIDATION), ("base", DEFAULTS)):
            if key in keys and key not in _SECTIONS:
                raise UserError(f"{key} is a key of [{section}]: write it there, or give {section}.{key} to --set")
    require_keys("the file", document, dict.fromkeys(_SECTIONS))
    for key in ("title", "question", "source", "seed", "stack", "margin", "design", "measure", "measures"):
        require(key, document.get(key, TOP[key].default), TOP[key].rule)
    if "table" in document:
        return table.read_table(name, document, folder)
    overlays = _readings(document.get("reading", {}))
    own = _parts(document.get("components"), folder)
    function = read_function(document.get("engine"), folder, train)
    if function.name and own.path:
        raise UserError("[components] are for the suite's own networks, and [engine] trains a function: leave one of both out")
    if not overlays:
        return _one(name, document, folder, known, own, function)
    readings = []
    for reading, overlay in overlays.items():
        try:
            readings.append(replace(_one(name, _overlaid(document, overlay), folder, known, own, function), reading=reading))
        except UserError as error:
            raise UserError(f"reading {reading}: {error}") from None
    return replace(readings[0], others=tuple(readings[1:]))


def _readings(section: object) -> dict[str, Mapping[str, Any]]:
    """The `[reading.<name>]` tables, the primary one first; each may change any section."""
    require_keys("reading", section, section if isinstance(section, Mapping) else {})
    assert isinstance(section, Mapping)
    for name, overlay in section.items():
        require("the name of a reading", name, NAME)
        require_keys(f"reading.{name}", overlay, dict.fromkeys(("primary", *_OVERLAID)))
        require(f"reading.{name}.primary", overlay.get("primary", PRIMARY.default), PRIMARY.rule)
    primary = [name for name, overlay in section.items() if overlay.get("primary")]
    if section and len(primary) != 1:
        raise UserError(f"exactly one reading is declared primary = true: {len(primary)} were ({', '.join(primary) or 'none'})")
    return {name: section[name] for name in [*primary, *section]}


def _overlaid(document: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """The document with a reading's changes: tables key by key, lists of tables as a whole."""
    changed = dict(document)
    for section, content in overlay.items():
        if section == "primary":
            continue
        given = document.get(section, {})
        if isinstance(content, Mapping) and isinstance(given, Mapping):
            changed[section] = {**given, **content}
        else:
            changed[section] = content
    return changed


def _parts(section: object, folder: Path) -> Parts:
    """The user's file of components that the `[components]` section names; none without the section."""
    if section is None:
        return NO_PARTS
    require_keys("components", section, COMPONENTS)
    assert isinstance(section, Mapping)
    return parts.read_parts(folder / require("components.path", section.get("path"), COMPONENTS["path"].rule))


def _one(
    name: str, document: Mapping[str, Any], folder: Path, known: Sequence[Schema], own: Parts, function: Function
) -> Study:
    """The study of one reading."""
    seed, design = document.get("seed", 0), document.get("design", "factorial")
    sizes: Collection[int] = ()
    if function.name and "data" not in document:
        data, schema, validation = NO_DATA, NO_SCHEMA, read_repeats(document.get("validation", {}))
    else:
        data, schema = read_data(document.get("data", {}), folder, known, seed)
        pool = datasets.training_pool(data, schema, seed)
        if data.task == CLASSIFICATION and len(np.unique(pool.labels)) < 2:
            raise UserError(
                f"data.samples: {data.samples} rows of {data.name} hold one class only, from seed {seed}; give more"
            )
        validation = read_validation(document.get("validation", {}), data, pool)
        sizes = splits.training_sizes(len(pool.labels), validation.folds)
    base = document.get("base", {})
    components = own.known()
    if data.task == REGRESSION and not function.name:
        require_keys("base", base, DEFAULTS)
        base = {**OF_REGRESSION, **base}
        fit = {name: loss for name, loss in components["loss"].items() if name in FOR_NUMBERS or name not in BUILT_IN["loss"]}
        components = {**components, "loss": fit}
    keys: Keys = function if function.name else NetworkKeys(components)
    keys.resolve(base, "base")
    expanded = expand(document.get("grid", []), document.get("exclude", []), base, design, keys)
    expanded = replace(expanded, baseline={**expanded.baseline, **_baseline(document.get("baseline", {}), expanded)})
    if not function.name:
        _require_fitting(expanded, data, schema, sizes)
    _check_tune(document.get("tune", []), expanded, data, validation)
    task = data.task if data.name else ""
    measure = read_measure("measure", document.get("measure", DEFAULT[data.task]), task, bool(function.name))
    margin = document.get("margin", measure.margin)
    return Study(
        name=name,
        title=document.get("title", name),
        question=document.get("question", ""),
        source=document.get("source", ""),
        seed=seed,
        design=design,
        data=data,
        schema=schema,
        validation=validation,
        grid=expanded,
        stack=document.get("stack", 0),
        tune=tuple(document.get("tune", [])),
        margin=require("margin", margin, number(0, measure.high - measure.low)),
        measure=measure,
        measures=read_measures("measures", document.get("measures", []), task, bool(function.name)),
        parts=own,
        function=function,
    )


def _require_fitting(grid: Grid, data: Data, schema: Schema, sizes: Collection[int]) -> None:
    """Require that every configuration fits the data; an error names the first that does not, unless none does."""
    problems = {}
    for each in grid.configurations:
        try:
            require_fitting(each, data, len(schema.classes), sizes)
        except UserError as error:
            problems[each.label] = str(error)
    if problems:
        label, problem = next(iter(problems.items()))
        of_all = len(problems) == len(grid.configurations) and len(set(problems.values())) == 1
        raise UserError(problem if of_all else f"configuration {quoted(label)}: {problem}")


def _check_tune(factors: object, grid: Grid, data: Data, validation: Validation) -> None:
    """Require that the factors to tune are of the grid, and that there are rows to choose by and other rows to judge by."""
    if not isinstance(factors, list):
        raise UserError(f'tune is a list of factors of the grid, such as ["optimizer.lr"]: {factors!r} was given')
    for factor in factors:
        if not isinstance(factor, str) or factor not in grid.levels:
            raise UserError(f"tune: {unknown('factor', factor, grid.levels)}")
        if factors.count(factor) > 1:
            raise UserError(f"tune: a factor is tuned once: {factor!r} was given twice")
    if factors and not data.test_samples:
        raise UserError("tune judges what was chosen on test rows, which no choice has seen: write data.test_samples")
    if factors and not (validation.folds or data.validation_samples):
        raise UserError("tune chooses by validation error: write validation.folds, or data.validation_samples")


def _baseline(section: object, grid: Grid) -> Mapping[str, str]:
    """The levels that are declared to be the baseline, factor by factor."""
    if not isinstance(section, Mapping):
        raise UserError(f'baseline is a table of levels, such as {{ activation = "tanh" }}: {section!r} was given')
    for factor, level in section.items():
        if factor not in grid.levels:
            raise UserError(f"baseline: {unknown('factor', factor, grid.levels)}")
        if level_text(level) not in grid.levels[factor]:
            raise UserError(f"baseline.{factor}: {unknown('level', level_text(level), grid.levels[factor])}")
    return {factor: level_text(level) for factor, level in section.items()}


def _override(document: dict[str, Any], override: str) -> None:
    """Set one value of the document from "section.key=value", the value in TOML's notation or a bare word."""
    path, equals, value = override.partition("=")
    *sections, key = path.strip().split(".")
    depth = 1 if sections[:1] == ["base"] else 3 if sections[:1] == ["reading"] and sections[2:3] == ["base"] else len(sections)
    sections, key = sections[:depth], ".".join([*sections[depth:], key])
    if not equals or not key:
        raise UserError(f"an override is key=value, such as base.epochs=50: {override!r} was given")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):
        parsed = value.strip()
    table: Any = document
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise UserError(f"{path} cannot be set: {section!r} is no table")
    setting = key.partition(".")[0]
    if sections[-1:] == ["base"] and setting != key:  # of what the reading or the base has, as in a grid
        require_setting("base", key, "key")
        require_keys("base", document.get("base", {}), DEFAULTS)
        parsed = assign({**document.get("base", {}), **table}, key, parsed)[setting]
    table[setting] = parsed
