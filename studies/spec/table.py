"""The `[table]` section: a study of rows that something else produced."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studies.columns import SETS, is_taken
from studies.data.runs.given import Given
from studies.data.types import OF_RUNS, Data, Schema, Validation
from studies.errors import UserError
from studies.seeds import digest
from studies.spec.grid import Configuration, Grid
from studies.spec.rules import Key, Rule, number, require, require_keys, text
from studies.spec.sampling import TableSampling
from studies.spec.settings import DEFAULTS
from studies.spec.study import Study, TableRows

if TYPE_CHECKING:
    from studies.data.runs.runs import Runs

_NAMES = Rule("a list of names of columns", lambda value: isinstance(value, list) and all(isinstance(x, str) for x in value))
_MEASURE = Rule(
    "a column, or a table with its column, name, direction and unit", lambda value: isinstance(value, str | Mapping)
)
_COUNT = Rule(
    "a number of runs from 2, or a column", lambda value: isinstance(value, str) or (type(value) is int and value > 1)
)
TABLE: Mapping[str, Key] = {
    "path": Key(
        text, None, "CSV file, relative to the spec: a row per run, or an export: see [tables.md](tables.md).", "needed"
    ),
    "variant": Key(text, "", "Column that names whole variants.", "guessed"),
    "factors": Key(_NAMES, [], "Columns of factors, in place of `variant`; a name may end in `*`.", "guessed"),
    "measure": Key(
        _MEASURE,
        "",
        'Column to judge by; or `{ column = "acc", name = "accuracy", better = "higher", unit = "%" }`.',
        "guessed",
    ),
    "name": Key(text, "", "Name of the measure for readers.", "the column"),
    "better": Key(text, "", "Better values of the measure: `lower` or `higher`.", "by its name"),
    "unit": Key(text, "", "Unit of the measure, such as `%` or `s`.", "by its name"),
    "repeat": Key(text, "", "Column that pairs runs: a seed, an item; `row` pairs by row.", "guessed"),
    "block": Key(text, "", "Column of data sets.", "guessed"),
    "fold": Key(text, "", "Column of folds, which share training rows.", "guessed"),
    "test_share": Key(number(0, above=True), None, "n_test / n_train of folds.", "by columns of sizes, or the number of folds"),
    "baseline": Key(text, "", "Variant that the others are compared with, by its label.", "by its name"),
    "n": Key(_COUNT, None, "Number of runs behind each mean, or its column.", "guessed"),
    "sd": Key(text, "", "Column of the sd of the runs behind each mean.", "guessed"),
}
_DESCRIBED = ("column", "name", "better", "unit")  # keys of a measure
TOP = ("title", "question", "source", "margin", "measure", "baseline")  # keys that may stand above [table]


def read_table(name: str, document: Mapping[str, Any], folder: Path) -> Study:
    """The study of a document with a `[table]` section, whose checked top-level keys are those of `TOP`.

    Raises UserError where a key is unknown or wrong, or the table cannot be judged.
    """
    section = document["table"]
    require_keys("table", section, TABLE)
    for key in document:
        if key not in (*TOP, "table"):
            raise UserError(
                f"with [table] nothing trains, so beside it stand {', '.join(TOP)} alone: {key!r} was given; remove it"
            )
    for key, each in TABLE.items():
        if key in section or each.otherwise == "needed":
            require(f"table.{key}", section.get(key), each.rule)
    given = _given(section, document)
    return read_study(name, folder / section["path"], given, document)


def _given(section: Mapping[str, Any], document: Mapping[str, Any]) -> Given:
    """The keys of the section as options; those above it fill gaps."""
    values = {key: value for key, value in section.items() if key != "path"}
    values["factors"] = tuple(values.get("factors", ()))
    measure = values.get("measure", document.get("measure", ""))
    if isinstance(measure, Mapping):
        require_keys("table.measure", measure, dict.fromkeys(_DESCRIBED))
        for key, value in measure.items():
            require(f"table.measure.{key}", value, text)
        values |= {"measure": measure.get("column", measure.get("name", ""))}
        values |= {key: measure[key] for key in ("name", "better", "unit") if key in measure}
    else:
        values["measure"] = measure
    levels = document.get("baseline", {})
    if levels and not values.get("baseline"):
        own = {key: _level(value) for key, value in levels.items()}
        single = len(own) == 1
        values["baseline"] = next(iter(own.values())) if single else ", ".join(f"{key}={value}" for key, value in own.items())
    return Given(**values)


def _level(value: object) -> str:
    """A level as a table shows it."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def read_study(name: str, path: Path, given: Given, document: Mapping[str, Any], aside: str = "") -> Study:
    """The study of a table of runs; `document` has title, question, source and margin."""
    from studies.data.runs.runs import read_runs  # with pandas, which takes half a second to import

    try:
        runs = read_runs(path, given)
    except UserError as error:
        raise UserError(f"{error}{_as_key(str(error))}") from None
    return study_of(name, path, runs, given, document, digest(path.read_bytes().hex(), 16), aside)


def _as_key(message: str) -> str:
    """The last option that an error asks for, as a key of the section."""
    _, found, asked = message.rpartition(" --")
    option, _, value = asked.partition(" ")
    key = {"factor": "factors"}.get(option, option.replace("-", "_"))
    if not found or key not in TABLE or not value or value.startswith("COLUMN"):
        return ""
    shown = value.strip("'")
    return f"; in [table]: {key} = {shown if key in ('n', 'test_share') else json.dumps(shown, ensure_ascii=False)}"


def study_of(
    name: str,
    path: Path,
    runs: "Runs",
    given: Given,
    document: Mapping[str, Any],
    content: str,
    aside: str = "",
) -> Study:
    """The study of runs; levels and names of its configurations are those of the runs."""
    from studies.data.runs.places import places_of

    renamed = {factor: _free_name(factor, runs) for factor in runs.factors if _is_taken(factor)}
    if renamed:
        runs = replace(
            runs,
            table=runs.table.drop(columns=[name for name in renamed.values() if name in runs.table]).rename(columns=renamed),
            factors={renamed.get(key, key): levels for key, levels in runs.factors.items()},
            baseline=runs.baseline and {renamed.get(key, key): level for key, level in runs.baseline.items()},
        )
    places = places_of(runs)
    sizes = runs.table["n"].max() if runs.summarized else places.count
    sampling = TableSampling(
        0, int(sizes), rows=0, by_row=False, speaks_of=places.speaks_of, places=places.over, share=runs.test_share
    )
    measure = replace(runs.measure, words=runs.measure.called.removeprefix("test "))
    margin = require("margin", document.get("margin", measure.margin), number(0))
    return Study(
        name=name,
        title=document.get("title", name),
        question=document.get("question", ""),
        source=document.get("source", ""),
        seed=0,
        design="one_at_a_time" if _one_at_a_time(runs) else "factorial",
        data=Data(path.name, 0, 0, 0, "none", 0.0, resample=False, path=str(path), content=content, task=OF_RUNS),
        schema=Schema(path.name, (), "", (), (), content),
        validation=Validation(0, places.count, stratified=False),
        grid=_grid(runs),
        margin=margin,
        measure=measure,
        aside=aside,
        table=TableRows(path, runs, sampling, len(runs.table) - len(places.table), given),
    )


def _is_taken(factor: str) -> bool:
    """True where a table that has columns of factors has another of that name."""
    prefixed = factor.startswith(tuple(f"{name}_" for name in SETS))
    return is_taken(factor) and factor not in (*DEFAULTS, "method") and (prefixed or not factor.endswith("_loss"))


def _free_name(factor: str, runs: "Runs") -> str:
    """Another name of a factor: "variant" of the only one."""
    return "variant" if len(runs.factors) == 1 else f"{factor} column"


def _one_at_a_time(runs: "Runs") -> bool:
    """True where every variant has the baseline's level in all factors but one, of several."""
    if runs.baseline is None or len(runs.factors) < 2:
        return False
    configs = runs.table.drop_duplicates("variant")
    changed = sum((configs[factor] != level).astype(int) for factor, level in runs.baseline.items())
    return bool((changed <= 1).all()) and len(configs) > 1


def _grid(runs: "Runs") -> Grid:
    """The variants as configurations. Without a baseline, it is the first level of each factor, as in any grid."""
    from studies.data.runs.places import short_names

    baseline = dict(runs.baseline or {factor: levels[0] for factor, levels in runs.factors.items()})
    names = short_names(runs)
    configurations = []
    for row in runs.table.drop_duplicates("variant").to_dict("records"):
        levels = {factor: str(row[factor]) for factor in runs.factors}
        key = digest(["table", levels], 12)
        configurations.append(Configuration(key, levels, levels, names[str(row["variant"])]))
    return Grid(
        configurations=configurations,
        levels=dict(runs.factors),
        excluded=[],
        duplicates=0,
        identity={"base": baseline, "grid": {factor: list(levels) for factor, levels in runs.factors.items()}},
        baseline=baseline,
    )


def about(study: Study, column: str) -> Study:
    """The study of a table about another of its measures. Raises UserError where it has none such."""
    assert study.table is not None
    given = replace(study.table.given, measure=column, name="", better="", unit="", sd="")
    document = {each: getattr(study, each) for each in ("title", "question", "source")}
    return replace(read_study(study.name, study.table.path, given, document, aside=column), given=study.given)
