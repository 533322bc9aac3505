"""Numbers to pictures: drawn from the tables beside the rows, so that committed tables redraw them.

A picture is drawn only where it means something, and says over how many models it is.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from studies import files
from studies.figures import curves, differences, effects, functions, gradients, grid, points
from studies.figures.style import STYLE
from studies.spec import Study
from studies.tables import Tables, of_reading


class Picture(NamedTuple):
    """Which tables a picture needs, for which studies it means something, and how it is drawn."""

    needs: Sequence[str]
    applies: Callable[[Study], bool]
    figure: Callable[[Study, Tables], Figure | str]


EXPLORED = ("models", "compared", "learning")  # pictures of readings beside the primary one
PICTURES = {
    "grid": Picture(["summary"], grid.has_several_factors, grid.grid),
    "levels": Picture(["summary", "levels"], grid.has_several_factors, grid.levels),
    "models": Picture(["summary"], lambda _: True, grid.models),
    "seeds": Picture(["summary", "values"], lambda _: True, grid.seeds),
    "effects": Picture(["summary", "effects"], grid.has_several_factors, effects.effects),
    "interactions": Picture(["summary", "effects"], grid.has_several_factors, effects.interactions),
    "ladder": Picture(["summary", "ladder"], differences.has_baseline, differences.ladder),
    "matrix": Picture(["summary", "pairs"], differences.several, differences.matrix),
    "budget": Picture(["budget"], curves.budgeted, curves.budget),
    "curves": Picture(["curves"], curves.recorded, curves.curves),
    "compared": Picture(["curves"], curves.comparable, curves.compared),
    "learning": Picture(["curves"], curves.few, curves.learning),
    "gradients": Picture(["gradients"], gradients.recorded, gradients.gradients),
    "activations": Picture([], functions.differently_bent, functions.activations),
    "schedules": Picture([], functions.scheduled, functions.schedules),
    "data": Picture([], points.flat, points.data),
    "points": Picture(["summary", "predictions"], points.predicted, points.points),
}


def draw(study: Study, tables: Tables, folder: Path, predictions: pd.DataFrame | None = None) -> dict[str, str]:
    """Write the pictures of a study to `folder`, those of readings other than the primary one to folders of their names in it.

    `predictions` are the rows of `predictions.csv`, where there are any. Returns, for each picture by name, its path or what it
    still needs; a picture that means nothing for the study is not named.
    """
    known = {**tables, "predictions": pd.DataFrame() if predictions is None else predictions}
    outcome = _draw(study, PICTURES, of_reading(known, study), folder)
    explored = {name: PICTURES[name] for name in EXPLORED}
    for other in study.others:
        drawn = _draw(other, explored, of_reading(known, other), folder / other.reading)
        outcome |= {f"{other.reading}/{name}": result for name, result in drawn.items()}
    return outcome


def _draw(study: Study, pictures: Mapping[str, Picture], tables: Tables, folder: Path) -> dict[str, str]:
    outcome = {}
    for name, picture in pictures.items():
        if not picture.applies(study):
            continue
        missing = [table for table in picture.needs if tables[table].empty]
        if missing:
            outcome[name] = f"not drawn: it needs {' and '.join(f'{table}.csv' for table in missing)}; run the study first"
            continue
        with mpl.rc_context(STYLE):
            drawn = picture.figure(study, tables)
            if isinstance(drawn, Figure):
                files.write(folder / f"{name}.png", _png(drawn))
        outcome[name] = drawn if isinstance(drawn, str) else str(folder / f"{name}.png")
    return outcome


def _png(figure: Figure) -> bytes:
    """The picture in 256 colours, which is what it takes, and half the bytes: pictures are committed."""
    drawn, content = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png")
    image = Image.open(drawn).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    image.save(content, format="png", optimize=True, dpi=(figure.dpi, figure.dpi))
    return content.getvalue()
