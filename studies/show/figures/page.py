"""Pictures for a column of a page: as narrow as it, with text that can be read."""

import warnings
from typing import Any

from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.text import Text

from studies.show.figures.style import CAPTION, LARGEST, below_caption, wrap

SMALLEST = 6  # points of text on a page
_LEAST = 3.5  # points of a number in a cell


def fit(figure: Figure, width: float) -> str:
    """Make a figure `width` inches wide, with text of `SMALLEST` points or more where that leaves room for what it says.

    Returns what a reader should know: the size of the text, where it had to be smaller.
    """
    wide, high = figure.get_size_inches()
    if width >= wide:
        return ""
    texts: Any = figure.findobj(Text)
    sizes = [text.get_fontsize() for text in texts]
    axes = [axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)]
    ticks: Any = [[label.get_fontsize() for label in axis.get_ticklabels()[:1]] for axis in axes]

    def scaled(factor: float, height: float) -> None:
        for text, size in zip(texts, sizes, strict=True):
            text.set_fontsize(size * factor)
        for axis, size in zip(axes, ticks, strict=True):  # whose labels may be written later
            axis.set_tick_params(labelsize=size[0] * factor if size else None)
        figure.set_size_inches(width, min(height, LARGEST))
        for text, letters, below in (
            (getattr(figure, "_suptitle", None), 10, ""),
            (getattr(figure, "_supxlabel", None), 15, below_caption(figure)),
        ):
            if text is not None:
                text.set_text(wrap(" ".join(text.get_text().split()), int(letters * width / factor)) + below)

    scaled(SMALLEST / CAPTION, high * max(width / wide, 0.6))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        figure.draw_without_rendering()
    if not any("constrained_layout" in str(each.message) for each in told):
        for ax in figure.axes:
            _wrap_words(ax)
            _shrink_cells(ax)
        return ""
    scaled(width / wide, high * width / wide)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "constrained_layout not applied")
        figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return f"its text is of {CAPTION * width / wide:.1f} points at this width"


def _wrap_words(ax: Any) -> None:  # noqa: ANN401
    """Break titles and labels of axes that are longer than the axes."""
    box = ax.get_window_extent()
    for text, room in (
        (ax._left_title, box.width),
        (ax.title, box.width),
        (ax.xaxis.label, box.width),
        (ax.yaxis.label, box.height),
    ):
        extent = text.get_window_extent()
        length = extent.height if text is ax.yaxis.label else extent.width
        if text.get_text() and length > room:
            text.set_text(wrap(" ".join(text.get_text().split()), max(8, int(len(text.get_text()) * room / length))))


def _shrink_cells(ax: Axes) -> None:
    """Write numbers in the cells of a heat map so small that they fit, or not at all."""
    if not ax.texts or not any(isinstance(each, QuadMesh) for each in ax.collections):
        return
    cell = abs(float(ax.transData.transform((1, 0))[0] - ax.transData.transform((0, 0))[0]))
    widest = max(text.get_window_extent().width for text in ax.texts)
    for text in list(ax.texts):
        size = float(text.get_fontsize()) * min(1.0, 0.92 * cell / widest)
        if size < _LEAST:
            text.remove()
        else:
            text.set_fontsize(size)
