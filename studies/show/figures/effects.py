"""Shares of the variance that factors and pairs of factors explain, and means of pairs."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from studies.analysis.effects import EXACT, FITTED
from studies.analysis.estimates import ALPHA
from studies.analysis.outcomes import SET_WORDS, judged_on
from studies.analysis.tables import Tables
from studies.show.figures.style import (
    chosen,
    error_bars,
    height_of_levels,
    label_levels,
    length,
    looks,
    new_figure,
    of_all,
    over,
    shape,
    title_of,
    titled,
    used,
    value_axis,
    wider,
    width_of_levels,
    wrap,
)
from studies.show.texts import kinds
from studies.spec.study import Study

MATTERS = 1.0  # % of the variance, from which on a pair that is more than chance has a panel
SHOWN = 24  # effects at most, the largest
PANELS = 6  # pairs at most
_ACROSS = 3  # panels side by side


def draw_effects(study: Study, tables: Tables) -> Figure:
    """Share of the variance between configurations that each effect explains, with its interval, the largest first."""
    table = tables["effects"].sort_values("share_pct", ascending=False, kind="stable", na_position="last")
    shown = table[:SHOWN]
    named = kinds(study.measure)
    down, across = shape(len(named), len(named))
    figure = new_figure(3.5 * across + wider(shown["effect"], 2.0), down * (1.7 + 0.24 * len(shown)))
    axes = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
    places = np.arange(len(shown))
    for ax, (kind, words), marker in zip(axes, named.items(), "osD"[: len(named)], strict=True):
        sure = (shown[f"{kind}_p"] < ALPHA).to_numpy()
        for part in (sure, ~sure):
            own = shown[part]
            ends = (own[f"{kind}_ci_low_pct"], own[f"{kind}_ci_high_pct"])
            error_bars(ax, own[f"{kind}_pct"], places[part], *ends, marker, hollow=part is not sure)
        untold = shown[f"{kind}_pct"].isna()
        methods = shown.loc[untold, "working_method" if kind == "working_share" else "method"]
        for place, method in zip(places[untold], methods, strict=True):
            ax.text(0, place, "all equal" if method in (EXACT, FITTED) else method, va="center", fontsize=7, color="0.4")
        ax.set_title(words, loc="left")
        ax.set_xlabel("% of the variance")
        ax.grid(visible=False, axis="y")
    axes[0].set_xlim(-1.5, min(max(axes[0].get_xlim()[1], 10), 101.5))
    axes[0].set_yticks(places, list(shown["effect"]))
    axes[0].set_ylim(len(shown) - 0.4, -0.6)
    some = f"The {SHOWN} largest of {len(table)} effects. " if len(table) > SHOWN else ""
    mean = f"{SET_WORDS[judged_on(tables['summary'])]} {study.measure.called}"
    what = f"Share of the variance between configurations in mean {mean}. "
    half = "the mean is over half of the way from a guess to the best"
    works = f"Where it works: no trial failed, diverged or got stuck, and {half}. " if "working_share" in named else ""
    tested = f"Filled: p of its F test, adjusted for all effects, below {ALPHA:g}. "
    titled(figure, title_of(study), f"{what}{some}{works}{tested}Bars: {table['interval'].iloc[0]}.")
    return figure


class _Pair(NamedTuple):
    """Two factors, the one with more levels first, and the share that their interaction explains, with its interval."""

    factor: str
    by: str
    share: float
    low: float
    high: float


def interactions(study: Study, tables: Tables) -> Figure | str:
    """Mean of every two levels of the pairs of factors that matter, the largest share first, or that none does."""
    summary = tables["summary"]
    judged = judged_on(summary)
    pairs = _that_matter(study, tables["effects"])
    if not pairs:
        return f"not drawn: no pair of factors is shown to explain {MATTERS:g}% of the variance or more"
    levels, drawn = study.grid.levels, pairs[:PANELS]
    down, across = shape(len(drawn), _ACROSS)
    lines = {pair: chosen(levels[pair.by]) for pair in drawn}
    width = max(3.4, *(width_of_levels(levels[pair.factor]) for pair in drawn))
    legend = 0.6 + max(length(name) for pair in drawn for name in (pair.by, *lines[pair]))
    figure = new_figure(
        0.5 + across * (width + legend), 0.9 + down * (3.4 + max(height_of_levels(levels[pair.factor]) for pair in drawn))
    )
    axes = used(figure.subplots(down, across, sharey=True, squeeze=False).flat, len(drawn))
    lowest, even = np.inf, True
    for ax, pair in zip(axes, drawn, strict=True):
        means, same = _means(summary, pair, list(levels), f"{judged}_mean")
        even = even and same
        lowest = min(lowest, float(means.min(axis=None)))
        _lines(ax, means.reindex(index=levels[pair.factor], columns=lines[pair]))
        between = f" [{pair.low:.1f}, {pair.high:.1f}]" if np.isfinite(pair.low) else ""
        title = f"{pair.factor} x {pair.by}: {pair.share:.1f}% of the variance{between}"
        ax.set_title(wrap(title, int(12 * (width + legend))), loc="left")
        ax.set_xlabel(pair.factor)
        ax.yaxis.set_tick_params(labelleft=True)
        title = pair.by + of_all(lines[pair], levels[pair.by]).replace(" (", "\n(")
        ax.legend(title=title, fontsize=7, title_fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    value_axis(axes[0], study.measure, "", pd.Series([lowest]))
    for ax in axes[::across]:
        ax.set_ylabel(f"{SET_WORDS[judged]} {study.measure.title}")
    rest = f"the {PANELS} largest of {len(pairs)} pairs" if len(pairs) > PANELS else "all pairs"
    cells = "" if even else ", not over the same cells for all points,"
    titled(
        figure,
        title_of(study),
        f"Mean over the rest of the grid{cells} ({over(study)}) for {rest} that are more than chance and explain {MATTERS:g}% "
        "of the variance or more. Lines that are not parallel: what one choice does depends on the other. Brackets: "
        f"{study.sampling.words}.",
    )
    return figure


def _that_matter(study: Study, effects: pd.DataFrame) -> list[_Pair]:
    """The pairs that are more than chance and explain `MATTERS` or more, the largest first."""
    known = effects.set_index("effect")
    found = []
    for one, other in itertools.combinations(study.grid.levels, 2):
        if (name := f"{one} x {other}") in known.index:
            share, low, high, p = known.loc[name, ["share_pct", "share_ci_low_pct", "share_ci_high_pct", "share_p"]]
            more = len(study.grid.levels[one]) >= len(study.grid.levels[other])
            if p < ALPHA and share >= MATTERS:
                found.append(_Pair(*((one, other) if more else (other, one)), float(share), float(low), float(high)))
    return sorted(found, key=lambda pair: -pair.share)


def _means(summary: pd.DataFrame, pair: _Pair, factors: Sequence[str], column: str) -> tuple[pd.DataFrame, bool]:
    """Mean of a column by the levels of a pair, and whether each is over the same rest of the grid, as it is where it can."""
    others = [factor for factor in factors if factor not in (pair.factor, pair.by)]
    rest = summary.groupby(others, sort=False).ngroup() if others else np.zeros(len(summary))
    cells = summary.pivot_table(column, rest, [pair.factor, pair.by], sort=False)
    same = cells.dropna()
    return (cells if same.empty else same).mean().unstack(), not same.empty  # noqa: PD010


def _lines(ax: Axes, means: pd.DataFrame) -> None:
    """A line for each column of `means`, over its rows."""
    for (name, values), look in zip(means.items(), looks(), strict=False):
        ax.plot(range(len(means)), values, label=name, linewidth=1.4, markersize=5, **look)
    label_levels(ax, list(means.index))
