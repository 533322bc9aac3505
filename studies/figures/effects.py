"""What each choice explains, alone and together with another."""

import itertools
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from studies.effects import EXACT, FITTED, KINDS
from studies.estimates import ALPHA
from studies.figures.style import (
    error_bars,
    in_lines,
    looks,
    over,
    percent_axis,
    shape,
    title_of,
    titled,
    used,
)
from studies.outcomes import SET_WORDS, judged_on
from studies.spec import Study
from studies.tables import Tables

MATTERS = 1.0  # % of the variance, from which on a pair that is more than chance has a panel
SHOWN = 24  # effects at most, the largest
PANELS = 6  # pairs at most
_ACROSS = 3  # panels side by side


def effects(study: Study, tables: Tables) -> Figure:
    """Share of the variance between configurations that each effect explains, with its interval, the largest first."""
    table = tables["effects"].sort_values("share_pct", ascending=False, kind="stable", na_position="last")
    shown = table[:SHOWN]
    figure = Figure(figsize=(10.5, 1.7 + 0.24 * len(shown)), layout="constrained")
    axes = figure.subplots(1, len(KINDS), sharex=True, sharey=True)
    places = np.arange(len(shown))
    for ax, (kind, words), marker in zip(axes, KINDS.items(), "osD", strict=True):
        sure = (shown[f"{kind}_p"] < ALPHA).to_numpy()
        for chosen in (sure, ~sure):
            own = shown[chosen]
            ends = (own[f"{kind}_ci_low_pct"], own[f"{kind}_ci_high_pct"])
            error_bars(ax, own[f"{kind}_pct"], places[chosen], *ends, marker, hollow=chosen is not sure)
        untold = shown[f"{kind}_pct"].isna()
        methods = shown.loc[untold, "working_method" if kind == "working_share" else "method"]
        for place, method in zip(places[untold], methods, strict=True):
            ax.text(0, place, "all equal" if method in (EXACT, FITTED) else method, va="center", fontsize=7, color="0.4")
        ax.set_title(words, loc="left")
        ax.set_xlabel("% of the variance")
        ax.grid(visible=False, axis="y")
    axes[0].set_xlim(-1.5, min(axes[0].get_xlim()[1], 101.5))
    axes[0].set_yticks(places, list(shown["effect"]))
    axes[0].set_ylim(len(shown) - 0.4, -0.6)
    some = f"The {SHOWN} largest of {len(table)} effects. " if len(table) > SHOWN else ""
    what = f"Share of the variance between configurations in mean {SET_WORDS[judged_on(tables['summary'])]} error. "
    works = "Where it works: no trial failed, diverged or got stuck, and the error is below half of guessing. "
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
    """Mean error of every two levels of the pairs of factors that matter, the largest share first, or that none does."""
    summary = tables["summary"]
    judged = judged_on(summary)
    pairs = _that_matter(study, tables["effects"])
    if not pairs:
        return f"not drawn: no pair of factors is shown to explain {MATTERS:g}% of the variance or more"
    down, across = shape(len(pairs[:PANELS]), _ACROSS)
    widest = max(len(study.grid.levels[pair.factor]) for pair in pairs[:PANELS])
    width = max(4.2, 0.8 * widest)
    figure = Figure(figsize=(0.5 + across * width, 0.9 + 4.3 * down), layout="constrained")
    axes = used(figure.subplots(down, across, sharey=True, squeeze=False).flat, len(pairs[:PANELS]))
    lowest = np.inf
    for ax, pair in zip(axes, pairs, strict=False):
        means = summary.groupby([pair.factor, pair.by], sort=False)[f"{judged}_mean_pct"].mean().unstack()  # noqa: PD010
        lowest = min(lowest, float(means.min(axis=None)))
        _lines(ax, means.reindex(index=study.grid.levels[pair.factor], columns=study.grid.levels[pair.by]))
        between = f" [{pair.low:.1f}, {pair.high:.1f}]" if np.isfinite(pair.low) else ""
        ax.set_title(f"{pair.factor} x {pair.by}: {pair.share:.1f}% of the variance{between}", loc="left")
        ax.set_xlabel(pair.factor)
        ax.yaxis.set_tick_params(labelleft=True)
        ax.legend(title=pair.by, fontsize=7, title_fontsize=7)
    percent_axis(axes[0], "", lowest)
    for ax in axes[::across]:
        ax.set_ylabel(f"{SET_WORDS[judged]} error in %")
    rest = f"the {PANELS} largest of {len(pairs)} pairs" if len(pairs) > PANELS else "all pairs"
    titled(
        figure,
        title_of(study),
        f"Mean over the rest of the grid ({over(study)}) for {rest} that are more than chance and explain {MATTERS:g}% of the "
        "variance or more. Lines that are not parallel: what one choice does depends on the other. Brackets: "
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


def _lines(ax: Axes, means: pd.DataFrame) -> None:
    """A line for each column of `means`, over its rows."""
    places = np.arange(len(means))
    for (name, values), look in zip(means.items(), looks(), strict=False):
        ax.plot(places, values, label=name, linewidth=1.4, markersize=5, **look)
    ax.set_xticks(places, [in_lines(name, 12) for name in means.index], fontsize=7)
    ax.set_xlim(-0.4, len(means) - 0.6)
    ax.grid(visible=False, axis="x")
