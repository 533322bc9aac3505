"""The figures that the compiled engine is held against: each with its target, as measured."""

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd

from benchmarks.scale import CASES
from benchmarks.tables import CASE, Tables, ratios

NOT_MEASURED = "not measured"
STEPS = (  # ratios of two engines, with targets by batch norm
    ("JAX / this suite", "jax_columns", "ours", {"none": "2", "affine": "2"}),
    ("this suite / products at the speed of a large one", "ours", "large", {"none": "under 2.5", "affine": "under 4"}),
    ("this suite without its compiled engine / code before", "stack", "before", {"none": "under 1.4", "affine": "under 1.4"}),
)
WIDTHS = ("25", "50", "100", "256")
_SINGLE, _SMALLEST = "models at one sample a step", "models of 2-3-3-2 on 21 samples"
_US = "us_per_model_step"


class Figure(NamedTuple):
    """A ratio with its target; `ratio` has its median, least and largest over rounds, and is None where there is no round."""

    figure: str
    target: str
    ratio: tuple[float, float, float] | None


def figures(tables: Tables) -> Iterator[Figure]:
    """Every figure of the list, measured or not."""
    steps, growth = tables["steps"], tables["growth"]
    for words, over, under, targets in STEPS:
        for case in CASES:
            ratio = _ratio(_where(steps, dict(zip(CASE, case, strict=True))), "engine", over, under)
            yield Figure(f"step: {words}; {_words(case)}", targets[case[2]], ratio)
    alone = _where(growth, {"axis": "models", "engine": "ours"})
    yield Figure("step: a model alone / one of sixty", "under 1.3", _ratio(alone, "value", "1", "60"))
    for axis, words, target in ((_SINGLE, "one sample a step", "5"), (_SMALLEST, "2-3-3-2 on 21 samples, full batch", "4")):
        for models, of in (("1", "a model alone"), ("60", "one of sixty")):
            point = _where(growth, {"axis": axis, "value": models})
            yield Figure(f"{words}, {of}: code before / this suite", target, _ratio(point, "engine", "before", "ours"))
    for width in WIDTHS:
        point = _where(growth, {"axis": "width", "value": width})
        yield Figure(f"{width} units in a layer: JAX / this suite", "1", _ratio(point, "engine", "jax_columns", "ours"))
    digits = _where(growth, {"axis": "data", "value": "digits"})
    yield Figure("digits, 64 inputs and 10 classes: JAX / this suite", "1", _ratio(digits, "engine", "jax_columns", "ours"))
    for command, words, target in (("make ablation", "", "under 0.5"), ("make reports", ", its studies", "under 0.33")):
        seconds = _where(tables["commands"], {"command": command})
        yield Figure(
            f"`{command}`{words}: this suite / code before", target, _ratio(seconds, "engine", "ours", "before", "seconds")
        )
    grid = _ratio(tables["grid"], "run", "jax_columns, 1 job", "ours, 2 jobs", "seconds")
    yield Figure("small grid with compilation: JAX / this suite with two jobs", "6", grid)


def table(tables: Tables) -> pd.DataFrame:
    """The figures as texts."""
    lines = []
    for figure, target, ratio in figures(tables):
        measured = f"{ratio[0]:.2f} ({ratio[1]:.2f} to {ratio[2]:.2f})" if ratio else NOT_MEASURED
        lines.append({"figure": figure, "target": target, "measured": measured})
    return pd.DataFrame(lines)


def _where(table: pd.DataFrame, values: dict[str, str]) -> pd.DataFrame:
    """The rows with these values; of a stage that was not measured, none."""
    for column, value in values.items():
        if table.empty:
            break
        table = table[table[column].astype(str) == value]
    return table


def _ratio(table: pd.DataFrame, which: str, over: str, under: str, value: str = _US) -> tuple[float, float, float] | None:
    """The spread over rounds of the value of one entry of a column over that of another."""
    if table.empty or value not in table:
        return None
    found = ratios(table.astype({which: str}), [], which, value, under)
    found = found[found[which] == over]
    return None if found.empty else tuple(found[["median", "min", "max"]].iloc[0].tolist())


def _words(case: tuple[str, str, str]) -> str:
    activation, optimizer, norm = case
    return f"{activation}, {optimizer}" + ("" if norm == "none" else f", {norm} batch norm")
