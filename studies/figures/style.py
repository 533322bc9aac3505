"""What all pictures share: axes in percent, lines that differ in more than hue, titles and captions that fit.

No picture relies on hue alone: the colour maps are monotone in lightness, and lines differ in their dashes and markers.
"""

import itertools
import math
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator
from matplotlib.transforms import ScaledTranslation
from numpy.typing import ArrayLike

from studies.spec import Study
from studies.texts import counted

STYLE = {
    **sns.axes_style("whitegrid"),
    **{"font.size": 9, "axes.titlesize": 10, "axes.labelsize": 9, "figure.dpi": 130},
    "text.parse_math": False,  # a user's $ is a dollar
}
_TICKS = (0, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
_SIZE = 8  # points: of captions and legends
_BELOW = 0.45  # inches from axes to what is below their labels
_LETTER = 0.06  # inches, in captions, legends and labels of rows
_STEPS = [1, 2, 5, 10]  # between ticks that are evenly spaced
_FEWER_TICKS = 4  # and a scale that spans less, one tick of 1, 2 and 5
_FEW_TICKS = 100  # a scale that spans less has two powers of ten at most


def titled(figure: Figure, title: str, caption: str = "") -> None:
    """A bold title above and a caption below, in lines as long as the figure is wide."""
    width = figure.get_figwidth()
    figure.suptitle(textwrap.fill(title, int(10 * width)), x=0.01, ha="left", fontweight="bold")
    if caption:
        figure.supxlabel(textwrap.fill(caption, int(15 * width)), fontsize=_SIZE)


def title_of(study: Study) -> str:
    """The title of a study, and its reading where it has several."""
    return f"{study.title} (reading: {study.reading})" if study.reading else study.title


def over(study: Study) -> str:
    """What the mean of a configuration is over: "10 folds"."""
    folds, repeats = study.validation.folds, study.validation.repeats
    parts = [f"{folds} folds"] if folds else []
    if repeats > 1 or not folds:
        parts.append(f"{repeats} repeat{'s' if repeats > 1 else ''}")
    return " x ".join(parts)


def lines_over(study: Study) -> str:
    """What lines and bands are."""
    models = counted(study.trials // len(study.grid.configurations), "model")
    return f"Lines: median over {models} each ({over(study)}); bands: quartiles."


def percent_axis(ax: Axes, words: str, lowest: float, along: Literal["x", "y"] = "y", highest: float = 100.0) -> None:
    """Percent on a logarithmic scale, or, where errors come near 0, on one that is linear below 1%."""
    top = min(1.25 * highest, 100) or 1.0
    if lowest > 0.05:
        ax.set(**{f"{along}scale": "log", f"{along}lim": (0.8 * lowest, top), f"{along}label": words})
    else:
        getattr(ax, f"set_{along}scale")("symlog", linthresh=1.0)
        ax.set(**{f"{along}lim": (0, top), f"{along}label": words})
    axis = ax.yaxis if along == "y" else ax.xaxis
    percent_ticks(axis, _TICKS if lowest > 0.05 else [tick for tick in _TICKS if not 0 < tick < 0.5])


def error_bars(
    ax: Axes, values: ArrayLike, places: ArrayLike, low: ArrayLike, high: ArrayLike, marker: str = "o", *, hollow: bool = False
) -> None:
    """Values along x with their intervals, each at its place along y; a bar of no length where there is no interval."""
    values = np.asarray(values, dtype=float)
    reach = np.nan_to_num(np.stack((values - low, high - values)), nan=0.0).clip(min=0)
    ax.errorbar(
        values,
        places,
        xerr=reach,
        fmt=marker,
        color="C0",
        markerfacecolor="w" if hollow else "C0",
        markersize=5,
        capsize=3,
        linewidth=1.2,
        zorder=3,
    )


def log_axis(ax: Axes) -> None:
    """A logarithmic scale for what is drawn; ticks between powers of ten, or evenly spaced ones, where there would be few."""
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    if high < _FEW_TICKS * low:
        ax.yaxis.set_major_locator(MaxNLocator(5, steps=_STEPS) if high < _FEWER_TICKS * low else LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_minor_locator(NullLocator())
    plain_numbers(ax.yaxis)


def plain_numbers(axis: Any) -> None:  # noqa: ANN401
    """Ticks written as numbers, without powers."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def percent_ticks(axis: Any, ticks: Sequence[float] = _TICKS) -> None:  # noqa: ANN401
    """Ticks at round percentages, written as such; evenly spaced where fewer than three of these are in view."""
    low, high = sorted(axis.get_view_interval())
    few = sum(low <= tick <= high for tick in ticks) < 3
    axis.set_major_locator(MaxNLocator(5, steps=_STEPS) if few else FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    plain_numbers(axis)


def wider(labels: Iterable[str], inches: float) -> float:
    """How many inches the longest of these labels of 8 points needs beyond those there are for it."""
    return max(0.0, _LETTER * max(map(len, labels)) - inches)


def looks() -> Iterator[dict[str, Any]]:
    """Line styles that differ in colour, dash and marker, forty of them, over and over."""
    colors = [*sns.color_palette("colorblind", 10)]
    colors[6], colors[8] = (0.1, 0.1, 0.1), (0.6, 0.5, 0.0)  # its pale pink and yellow are faint on white
    dashes = ("-", "--", "-.", ":")
    markers = "osv^Dx*P"
    every = [{"color": colors[index % 10], "linestyle": dashes[index % 4], "marker": markers[index % 8]} for index in range(40)]
    return itertools.cycle(every)


def legend_below(ax: Axes, width: float, markerscale: float = 1.0) -> None:
    """A legend below axes of `width` inches, in as many columns as the labels leave room for."""
    handles, labels = ax.get_legend_handles_labels()
    room = max(20, int((width - 0.6) / _LETTER))
    labels = [in_lines(label, room) if len(label) > room else label for label in labels]
    longest = max(len(line) for label in labels for line in label.split("\n"))
    each = 0.6 + _LETTER * longest  # inches: the line, and the letters
    below = ax.transAxes + ScaledTranslation(0, -_BELOW, ax.figure.dpi_scale_trans)
    columns = max(1, min(len(labels), int(width / each)))
    ax.legend(
        handles,
        labels,
        loc="upper left",
        bbox_to_anchor=(0, 0),
        bbox_transform=below,
        borderaxespad=0,
        ncols=columns,
        fontsize=7,
        markerscale=markerscale,
    )


def legend_beside(figure: Figure, handles: Sequence[Artist], title: str = "") -> None:
    """One legend for all panels, to their right."""
    figure.legend(handles=handles, loc="outside right upper", fontsize=8, title=title or None)


def shape(count: int, most: int) -> tuple[int, int]:
    """Rows and columns for `count` panels, at most `most` side by side."""
    down = math.ceil(count / most)
    return down, math.ceil(count / down)


def used(axes: Iterable[Axes], count: int) -> list[Axes]:
    """The first `count` axes of a grid, once the rest of them are out of sight."""
    every = list(axes)
    for ax in every[count:]:
        ax.set_axis_off()
    return every[:count]


def in_lines(label: str, width: int) -> str:
    """A label in lines of at most `width` letters, broken between its levels where they are short enough."""
    whole = re.sub(r"(?<![|,]) ", "\N{NO-BREAK SPACE}", label)
    fits = max(map(len, whole.split(" "))) <= width
    return textwrap.fill(whole if fits else label, width)
