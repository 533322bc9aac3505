"""Style of all pictures: axes in percent, lines that differ in more than hue, titles and captions that fit.

No picture relies on hue alone: the colour maps are monotone in lightness, and lines differ in their dashes and markers.
"""

import functools
import itertools
import math
import re
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import font_manager
from matplotlib import style as styles
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator
from matplotlib.transforms import ScaledTranslation
from numpy.typing import ArrayLike
from rich.cells import cell_len

from studies.data.measures import Measure
from studies.show.texts import counted
from studies.spec.study import Study

_FONT = "DejaVu Sans"  # comes with matplotlib: pictures are the same on every machine
PLAIN: Mapping[str, Any] = {"font.family": [_FONT], "text.parse_math": False}  # a user's $ is a dollar
EMBEDDED: Mapping[str, Any] = {"pdf.fonttype": 42, "svg.fonttype": "path", "svg.hashsalt": "ablation"}  # the same bytes again
STYLE: Mapping[str, Any] = {
    **EMBEDDED,
    **sns.axes_style("whitegrid"),
    **{"font.size": 9, "axes.titlesize": 10, "axes.labelsize": 9, "figure.dpi": 130},
    **PLAIN,
}
HEAT = "rocket_r"
NARROW = 5.0  # inches: a page's column below takes one panel across
_PAGE: ContextVar[float] = ContextVar("page", default=math.inf)
LARGEST = 30  # inches of either side of a picture, 3,900 pixels
LINES = 16  # in one panel at most
_TICKS = (0, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
CAPTION = 8  # points: of captions and legends
_LINE = 0.15  # inches, of a legend
_BELOW = 0.45  # inches from axes to what is below their labels
_LETTER = 0.06  # inches, in captions, legends and labels of rows
_UPRIGHT = 12  # levels side by side at most whose labels are read without turning one's head
_STEPS = [1, 2, 5, 10]  # between ticks that are evenly spaced
_FEWER_TICKS = 4  # and a scale that spans less, one tick of 1, 2 and 5
_FEW_TICKS = 100  # a scale that spans less has two powers of ten at most


class TooLargeError(Exception):
    """A picture that would be larger than a reader can look at."""


@contextmanager
def drawing(style: Mapping[str, Any] = STYLE, width: float = math.inf) -> Iterator[None]:
    """A style on top of matplotlib's own defaults, whatever a user's matplotlibrc says; for a page of `width` inches."""
    page = _PAGE.set(width)
    with warnings.catch_warnings(), styles.context(dict(style), after_reset=True):
        if width < math.inf:  # `page.fit` says so
            warnings.filterwarnings("ignore", "constrained_layout not applied")
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # `choose_fonts` says so once
        yield
    _PAGE.reset(page)


def new_figure(width: float, height: float) -> Figure:
    """A figure of that many inches, whose parts do not overlap.

    Raises TooLargeError.
    """
    if max(width, height) > LARGEST:
        raise TooLargeError(f"it would be {width:,.0f} x {height:,.0f} inches, and {LARGEST} x {LARGEST} is the most")
    return Figure(figsize=(width, height), layout="constrained")


def choose_fonts(figure: Figure) -> str:
    """Write each letter in a font of this machine that has it; returns the letters that none has."""
    texts = figure.findobj(Text)
    families, missing = _families(frozenset("".join(text.get_text() for text in texts)) - {"\n"})
    if len(families) > 1:
        for text in texts:
            text.set_fontfamily(families)
    return missing


def without_font(letters: str) -> str:
    """Sentence about letters that no font has, with the remedy."""
    shown = textwrap.shorten(" ".join(letters), 40, placeholder=" ...")
    return f"no font of this machine has {shown}: boxes stand in their place; install one that has, and draw again"


@functools.cache
def _families(letters: frozenset[str]) -> tuple[list[str], str]:
    """Fonts that have the letters together, the usual one first, and the letters that none has."""
    families = [_FONT]
    missing = letters - _letters_of(font_manager.findfont(_FONT))
    for entry in sorted(font_manager.fontManager.ttflist, key=lambda entry: (entry.style != "normal", entry.name)):
        if missing and not entry.name.startswith("Last Resort") and (found := missing & _letters_of(entry.fname)):
            families.append(entry.name)
            missing -= found
    return families, "".join(sorted(missing))


def _letters_of(path: str) -> frozenset[str]:
    """The letters of a font file; none of one that cannot be read or is made of images."""
    try:
        font = font_manager.get_font(path)
    except (OSError, RuntimeError):
        return frozenset()
    return frozenset(map(chr, font.get_charmap())) if font.scalable else frozenset()


def titled(figure: Figure, title: str, caption: str = "") -> None:
    """A bold title above and a caption below, in lines as long as the figure is wide."""
    width = figure.get_figwidth()
    figure.suptitle(wrap(title, int(10 * width)), x=0.01, ha="left", fontweight="bold")
    if caption:
        figure.supxlabel(wrap(caption, int(15 * width)) + below_caption(figure), fontsize=CAPTION)


def below_caption(figure: Figure) -> str:
    """Empty lines below a caption, where a narrow page has the legend: both stand at the lower edge."""
    legends = figure.legends if _PAGE.get() < NARROW else []
    return "\n" * sum(math.ceil(1.3 * math.ceil(len(legend.get_texts()) / 2) + 0.7) for legend in legends)


def title_of(study: Study) -> str:
    """The title of a study, and its reading where it has several."""
    return f"{study.title} (reading: {study.reading})" if study.reading else study.title


def over(study: Study) -> str:
    """Values behind the mean of a configuration: "10 folds"."""
    if study.table:
        return study.sampling.over
    folds, repeats = study.validation.folds, study.validation.repeats
    parts = [f"{folds} folds"] if folds else []
    if repeats > 1 or not folds:
        parts.append(f"{repeats} repeat{'s' if repeats > 1 else ''}")
    return " x ".join(parts)


def lines_over(study: Study) -> str:
    """Meaning of lines and bands, in words."""
    models = counted(study.trials // len(study.grid.configurations), "model")
    return f"Lines: median over {models} each ({over(study)}); bands: quartiles."


def value_axis(
    ax: Axes, measure: Measure, words: str, values: pd.DataFrame | pd.Series, along: Literal["x", "y"] = "y"
) -> None:
    """An axis for values of a measure: of a percentage as in `percent_axis`, else linear."""
    known = np.asarray(values, dtype=float).ravel()
    known = known[np.isfinite(known)]
    if measure.unit == "%" and len(known):
        percent_axis(ax, words, float(known.min()), along, highest=float(known.max()) if along == "x" else 100.0)
    else:
        ax.set(**{f"{along}label": words})


def heat(measure: Measure, low: float, high: float) -> tuple[str, Normalize]:
    """Colour map and scale of a heat map of means: darker is worse; percentages on a logarithmic scale."""
    if measure.unit == "%":
        high = max(high, 0.1)
        return HEAT, LogNorm(min(max(low, 0.05), high / 2), high)
    return (HEAT if measure.better == "lower" else HEAT.removesuffix("_r")), Normalize(low, high if high > low else low + 1)


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
    """A logarithmic scale for what is drawn; ticks between powers of ten, or evenly spaced ones, where there would be few.

    Where a line has a 0, the scale is linear below the decade of the smallest other value, and 0 is at its end.
    """
    panels = ax.get_shared_y_axes().get_siblings(ax)
    lines = [line for each in panels for line in each.get_lines() if line.get_transform() == each.transData]
    drawn = np.concatenate([[], *(line.get_ydata() for line in lines)])
    positive = drawn[(drawn > 0) & np.isfinite(drawn)]
    if not positive.size:
        return
    if (drawn == 0).any():
        ax.set_yscale("symlog", linthresh=10.0 ** math.floor(math.log10(positive.min())))
        ax.set_ylim(bottom=0)
    else:
        ax.set_yscale("log")
        low, high = ax.get_ylim()
        if high < _FEW_TICKS * low:
            ax.yaxis.set_major_locator(
                MaxNLocator(5, steps=_STEPS) if high < _FEWER_TICKS * low else LogLocator(subs=(1, 2, 5))
            )
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
    """Inches that the longest of these labels, of 8 points, needs beyond those there are for it."""
    return max(0.0, max(map(length, labels)) - inches)


def length(label: str) -> float:
    """Inches that a label of 8 points takes."""
    return _LETTER * cell_len(label)


def wrap(text: str, width: int) -> str:
    """A text in lines of so many letters; wide letters count twice."""
    return textwrap.fill(text, max(1, width * len(text) // max(1, cell_len(text))))


def width_of_levels(names: Sequence[str]) -> float:
    """Inches that the levels of a factor take along an axis: see `label_levels`."""
    return (0.8 if len(names) <= _UPRIGHT else 0.17) * len(names)


def height_of_levels(names: Sequence[str]) -> float:
    """Inches that the labels of these levels take below an axis, about."""
    return 0.8 if len(names) <= _UPRIGHT else 0.8 + max(map(length, names))


def label_levels(ax: Axes, names: Sequence[str], notes: Sequence[str] = ()) -> None:
    """Name the places 0, 1, 2, ... along x by levels, each with a note; where they are many, from bottom to top."""
    upright = len(names) <= _UPRIGHT
    if upright:
        labels = [name if cell_len(name) <= 12 else wrap(re.sub(r"(?<=[+_])(?=\S)", " ", name), 12) for name in names]
        labels = [f"{label}\n\n{note}" for label, note in zip(labels, notes, strict=True)] if notes else labels
    else:
        labels = [f"{name}   {note}".replace("\n", ", ") for name, note in zip(names, notes or [""] * len(names), strict=True)]
    ax.set_xticks(range(len(names)), labels, fontsize=8 if upright else 7, rotation=0 if upright else 90)
    ax.set_xlim(-0.6, len(names) - 0.4)
    ax.grid(visible=False, axis="x")


def chosen(names: Sequence[str]) -> list[str]:
    """At most `LINES` of these names, evenly from the first to the last."""
    return [names[place] for place in np.linspace(0, len(names) - 1, min(LINES, len(names))).round().astype(int)]


def of_all(shown: Sequence[str], names: Sequence[str]) -> str:
    """The number of names shown, in brackets; nothing where all are."""
    return "" if len(shown) == len(names) else f" ({len(shown)} of {len(names)})"


def looks() -> Iterator[dict[str, Any]]:
    """Line styles that differ in colour, dash and marker, forty of them, over and over."""
    colors = [*sns.color_palette("colorblind", 10)]
    colors[6], colors[8] = (0.1, 0.1, 0.1), (0.6, 0.5, 0.0)  # its pale pink and yellow are faint on white
    dashes = ("-", "--", "-.", ":")
    markers = "osv^Dx*P"
    every = [{"color": colors[index % 10], "linestyle": dashes[index % 4], "marker": markers[index % 8]} for index in range(40)]
    return itertools.cycle(every)


def legend_below(ax: Axes, width: float) -> None:
    """A legend below axes of `width` inches, in as many columns as the labels leave room for."""
    handles, labels = ax.get_legend_handles_labels()
    if not labels:  # no level has rows yet
        return
    labels, columns = _in_columns(labels, width)
    below = ax.transAxes + ScaledTranslation(0, -_BELOW, ax.figure.dpi_scale_trans)
    ax.legend(
        handles,
        labels,
        loc="upper left",
        bbox_to_anchor=(0, 0),
        bbox_transform=below,
        borderaxespad=0,
        ncols=columns,
        fontsize=7,
    )


def height_of_legend(labels: Sequence[str], width: float) -> float:
    """Inches that a legend of these labels takes below axes of `width` inches."""
    lines, columns = _in_columns(labels, width)
    return _LINE * math.ceil(len(lines) / columns) * max((label.count("\n") + 1 for label in lines), default=0)


def _in_columns(labels: Sequence[str], width: float) -> tuple[list[str], int]:
    """The labels of a legend of `width` inches, in lines, and the number of its columns."""
    room = max(20, int((width - 0.6) / _LETTER))
    labels = [in_lines(label, room) if cell_len(label) > room else label for label in labels]
    each = 0.6 + max(
        (length(line) for label in labels for line in label.split("\n")), default=0
    )  # inches: the line, and the letters
    return labels, max(1, min(len(labels), int(width / each)))


def legend_beside(
    figure: Figure,
    handles: Sequence[Artist],
    labels: Sequence[str],
    title: str = "",
    columns: int = 1,
    markerscale: float = 1.0,
) -> None:
    """One legend for all panels: to their right, or, on a narrow page, below them."""
    narrow = _PAGE.get() < NARROW
    figure.legend(
        handles,
        [wrap(label, 40) for label in labels],
        loc="outside lower left" if narrow else "outside right center",  # no title reaches there
        fontsize=CAPTION,
        title=title or None,
        ncols=2 if narrow else columns,
        markerscale=markerscale,
    )


def column(inches: float) -> float:
    """The width of a panel, at most that of the page's column."""
    return min(inches, _PAGE.get())


def shape(count: int, most: int) -> tuple[int, int]:
    """Rows and columns for `count` panels, at most `most` side by side; one below the other in a narrow column of a page."""
    down = math.ceil(count / (1 if _PAGE.get() < NARROW else most))
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
    fits = max(map(cell_len, whole.split(" "))) <= width
    return wrap(whole if fits else label, width)
