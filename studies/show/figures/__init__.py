"""Numbers to pictures: drawn from the tables beside the rows, so that committed tables redraw them.

A picture is drawn only where it means something, and says over how many models it is.
"""

import io
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from studies import files
from studies.analysis.outcomes import judged_on
from studies.analysis.tables import Tables, of_reading
from studies.seeds import digest
from studies.show.figures import curves, differences, effects, functions, gradients, grid, points
from studies.show.figures.labels import shorten_labels
from studies.show.figures.page import fit
from studies.show.figures.style import TooLargeError, choose_fonts, drawing, without_font
from studies.spec.identity import plain
from studies.spec.study import Study


class Picture(NamedTuple):
    """A picture: the tables it needs, the studies it is for, its function, and what it shows, in words.

    In place of a figure there may be the reason why there is none.
    """

    needs: Sequence[str]
    applies: Callable[[Study], bool]
    figure: Callable[[Study, Tables], Figure | str]
    shows: str


class Paper(NamedTuple):
    """The form of pictures: one of `FORMATS`, and the width of a column of the page in inches, infinite for none."""

    kind: str = "png"
    width: float = math.inf


SCREEN = Paper()

FORMATS = ("png", "pdf", "svg")
FINE = 300  # dots per inch, of pictures for a page
TRAINED = (  # pictures of what trained here, which a table of runs lacks
    *("budget", "curves", "compared", "learning", "gradients", "activations", "schedules", "data", "points"),
)
EXPLORED = ("models", "compared", "learning")  # pictures of readings beside the primary one
PICTURES = {
    "effects": Picture(
        ["summary", "effects"],
        grid.has_several_factors,
        effects.draw_effects,
        "How much of the difference between configurations each factor and each pair of factors explains, with intervals: on "
        "the measure, on its logarithm, and among the configurations that work.",
    ),
    "interactions": Picture(
        ["summary", "effects"],
        grid.has_several_factors,
        effects.interactions,
        "Mean of every two levels of the pairs of factors that matter. Where lines are parallel, neither choice depends "
        "on the other.",
    ),
    "levels": Picture(
        ["summary", "levels"],
        grid.has_several_factors,
        grid.draw_levels,
        "The mean by level of each factor: a dot for each configuration, and the mean over the grid with its interval.",
    ),
    "ladder": Picture(
        ["summary", "ladder"],
        differences.has_baseline,
        differences.draw_ladder,
        "Change when one choice of the baseline is changed, and when one choice of the best is taken back.",
    ),
    "grid": Picture(
        ["summary"],
        grid.has_several_factors,
        grid.grid,
        "Mean and standard deviation of every configuration, as heat maps: darker is worse.",
    ),
    "models": Picture(
        ["summary"],
        lambda _: True,
        grid.models,
        "Each configuration on training rows and on those that judge, mean and sd; best and worst where there are many.",
    ),
    "seeds": Picture(
        ["summary", "values"],
        lambda _: True,
        grid.seeds,
        "The single values under each mean, as points: how much depends on the split and the first weights.",
    ),
    "matrix": Picture(
        ["summary", "pairs"],
        differences.several,
        differences.matrix,
        "Paired differences between the best configurations and the baseline, each with each.",
    ),
    "budget": Picture(
        ["budget"],
        curves.budgeted,
        curves.draw_budget,
        "Error that each level reaches within a number of epochs, when the rest of the grid is chosen for it.",
    ),
    "curves": Picture(
        ["curves"],
        curves.has_history,
        curves.draw_curves,
        "Training loss and error by epoch for each level of every factor: median and quartiles of its models.",
    ),
    "compared": Picture(
        ["curves"],
        curves.comparable,
        curves.compared,
        "Training loss and error by epoch, all configurations together.",
    ),
    "learning": Picture(
        ["curves"],
        curves.few,
        curves.learning,
        "Loss and error by epoch on each set of rows, a column for each configuration.",
    ),
    "gradients": Picture(
        ["gradients"],
        gradients.has_gradients,
        gradients.draw_gradients,
        "Norm of the gradient by layer, before and after training.",
    ),
    "activations": Picture(
        [],
        functions.differently_bent,
        functions.activations,
        "The activation functions of the study and their derivatives.",
    ),
    "schedules": Picture([], functions.scheduled, functions.schedules, "The learning rate by epoch."),
    "data": Picture([], points.has_two_inputs, points.data, "The rows that there are to learn, by class."),
    "points": Picture(
        ["summary", "predictions"],
        points.predicted,
        points.draw_points,
        "What models make of the rows that they are judged on: crosses are wrong.",
    ),
}


def draw_study(
    study: Study, tables: Tables, folder: Path, predictions: pd.DataFrame | None = None, paper: Paper = SCREEN
) -> dict[str, Path | str]:
    """Write the pictures of a study to `folder`, those of readings other than the primary one to folders of their names in it.

    `predictions` are the rows of `predictions.csv`, where there are any. Returns, for each picture by name, its path, or why
    there is none; a picture that means nothing for the study is not named. Where no font has a letter, `fonts` says so.
    """
    known = {**tables, "predictions": pd.DataFrame() if predictions is None else predictions}
    note = _made_from(study, tables)
    written: list[Future[None]] = []
    missing: set[str] = set()
    with ThreadPoolExecutor(1) as writer:  # a third of a picture's time is compression, which leaves the interpreter free

        def save(path: Path, figure: Figure) -> None:
            missing.update(choose_fonts(figure))
            small = fit(figure, paper.width)
            if small:
                outcome[f"{path.stem} note"] = small
            if paper.kind != "png":
                written.append(writer.submit(files.write, path, _vectors(figure, paper.kind, note)))
                return
            figure.set_dpi(FINE if math.isfinite(paper.width) else figure.dpi)
            written.append(writer.submit(_write, path, _pixels(figure), figure.dpi, note))

        outcome: dict[str, Path | str] = {}
        outcome |= _draw(study, PICTURES, of_reading(known, study), folder, save, paper)
        explored = {name: PICTURES[name] for name in EXPLORED}
        for other in study.others:
            for name in PICTURES.keys() - explored.keys():  # of what was the primary reading once
                (folder / other.reading / f"{name}.{paper.kind}").unlink(missing_ok=True)
            drawn = _draw(other, explored, of_reading(known, other), folder / other.reading, save, paper)
            outcome |= {f"{other.reading}/{name}": result for name, result in drawn.items()}
    for each in written:
        each.result()  # raises what went wrong
    if missing:
        outcome["fonts"] = without_font("".join(sorted(missing)))
    return outcome


def _draw(
    study: Study,
    pictures: Mapping[str, Picture],
    tables: Tables,
    folder: Path,
    save: Callable[[Path, Figure], None],
    paper: Paper,
) -> dict[str, Path | str]:
    outcome: dict[str, Path | str] = {}
    study, tables = shorten_labels(study, tables)
    summary = tables["summary"]
    nothing = not summary.empty and bool(summary[f"{judged_on(summary)}_mean"].isna().all())
    for name, picture in pictures.items():
        path = folder / f"{name}.{paper.kind}"
        missing = [table for table in picture.needs if tables[table].empty]
        if (study.table and name in TRAINED) or not picture.applies(study):
            path.unlink(missing_ok=True)  # of what the study was before
            continue
        if picture.needs and nothing:
            path.unlink(missing_ok=True)
            outcome[name] = "not drawn: every trial failed"
            continue
        if missing:
            if missing != ["predictions"]:  # which a fresh clone lacks beside its tables
                path.unlink(missing_ok=True)
            needed = " and ".join(f"{table}.csv" for table in missing)
            outcome[name] = f"not drawn: {needed} is not there, as before a run of the study, or says nothing of it"
            continue
        with drawing(width=paper.width):
            try:
                drawn = picture.figure(study, tables)
            except TooLargeError as error:
                drawn = f"not drawn: {error}"
            if isinstance(drawn, Figure):
                save(path, drawn)
        outcome[name] = drawn if isinstance(drawn, str) else path
    return outcome


def png(figure: Figure) -> bytes:
    """The picture in 256 colours, which is what it takes, and half the bytes: pictures are committed."""
    return _encoded(_pixels(figure), figure.dpi)


def _made_from(study: Study, tables: Tables) -> str:
    """The origin that pictures carry: the study and its measure, and hashes of its spec and its tables."""
    contents = [table.to_csv(index=False) for _, table in sorted(tables.items())]
    return f"{study.name}, {study.measure.name}; spec {digest(plain(study.described()), 16)}; tables {digest(contents, 16)}"


def _vectors(figure: Figure, kind: str, note: str) -> bytes:
    """The picture with its fonts in it, without a date: the same bytes again."""
    content = io.BytesIO()
    about: dict[str, dict[str, str | None]] = {
        "pdf": {"CreationDate": None, "Producer": None, "Creator": None, "Subject": note},
        "svg": {"Date": None, "Creator": None, "Source": note},
    }
    figure.savefig(content, format=kind, metadata=about[kind])
    return content.getvalue()


def _write(path: Path, pixels: Image.Image, dpi: float, note: str) -> None:
    files.write(path, _encoded(pixels, dpi, note))


def _pixels(figure: Figure) -> Image.Image:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba()))


def _encoded(pixels: Image.Image, dpi: float, note: str = "") -> bytes:
    content, about = io.BytesIO(), PngInfo()
    if note:
        about.add_text("Source", note)
    image = pixels.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    image.save(content, format="png", optimize=True, dpi=(dpi, dpi), pnginfo=about)
    return content.getvalue()
