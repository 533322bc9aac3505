"""Spec of a study of a table's runs: every role of a column spelled out, with the reason that it was taken for one."""

import json
from collections.abc import Iterator

from studies.data.runs.given import Given
from studies.data.runs.remarks import describe
from studies.data.runs.runs import Runs


def spec_of(name: str, path: str, runs: Runs, given: Given) -> str:
    """The TOML file of a study of these runs.

    Args:
        name: Title of the study.
        path: File of the runs, relative to the spec.
        runs: The runs, as they were read.
        given: The options that they were read with.
    """
    head = [f"title = {_toml(name)}", '# question = "..."', '# source = "..."']
    if runs.measure.unit == "%":
        head.append("# margin = 0.5           # difference within which two values count as equal, in the measure's unit")
    else:
        head.append("# margin = 0.01          # difference within which two values count as equal, in the measure's unit")
    read = [f"# {' '.join(line.split())}" for line in describe(runs)]
    return (
        "\n".join([*head, "", "# How the table was read:", *read, "", "[table]", f"path = {_toml(path)}", *_roles(runs, given)])
        + "\n"
    )


def _roles(runs: Runs, given: Given) -> Iterator[str]:
    """The keys of the section. Columns that were made of several are left to be found again."""
    there = {name: role.kind for name, role in runs.roles.items() if name not in runs.made}
    factors = [name for name, kind in there.items() if kind in ("factor", "variant")]
    factors = factors if factors and len(factors) == len(runs.factors) else []
    if given.variant or (len(factors) == 1 and not given.factors):
        yield from _line("variant", given.variant or factors[0], "names whole variants")
    else:
        yield from _line("factors", list(given.factors) or factors, "what was varied")
    measure = runs.measure
    column = measure.column if measure.column not in runs.made else given.measure
    described = {"column": column, "name": measure.name, "better": measure.better, "unit": measure.unit}
    inner = ", ".join(f"{key} = {_toml(value)}" for key, value in described.items() if value)
    yield f"measure = {{ {inner} }}"
    replicate = given.repeat or (runs.replicate if runs.replicate in there else "")
    if replicate != given.fold:
        yield from _line("fold" if runs.fold and not given.repeat else "repeat", replicate, "what pairs runs")
    yield from _line("fold", given.fold, "what pairs runs")
    yield from _line("block", given.block or (runs.block if runs.block in there else ""), "data sets")
    if runs.test_share and (given.test_share or runs.replicate in there):
        yield from _line("test_share", round(runs.test_share, 9), "n_test / n_train of folds")
    yield from _line("baseline", runs.reference, "what the others are compared with")
    yield from _line("n", given.n, "number of runs behind each mean")
    yield from _line("sd", given.sd, "spread of the runs behind each mean")


def _line(key: str, value: object, meaning: str) -> Iterator[str]:
    if value not in ("", None, [], ()):
        yield f"{f'{key} = {_toml(value)}':40}  # {meaning}"


def _toml(value: object) -> str:
    """A text, number or list as TOML; JSON's escapes are TOML's."""
    return json.dumps(value, ensure_ascii=False)
