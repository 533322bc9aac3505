"""From measured data sets to rates: `calibration.csv`, its picture, and the table in `docs/statistics.md`."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from benchmarks.calibration.designs import DESIGNS
from studies import files
from studies.analysis import effects
from studies.analysis.estimates import ALPHA, rate
from studies.show.tables import markdown
from studies.spec.sampling import Population
from studies.store.rows import to_csv

INTERVALS = {  # kinds of statements, and whether those of one study hold together
    "means": False,
    "pairs, each": False,
    "pairs, together": True,
    "with the best": True,
    "levels": True,
    "shares": True,
}
TESTS = ("effects of nothing", "versions")
ALL = "all sources"
MARK = "<!-- below: written by `make calibration` -->"
_STYLE = {**sns.axes_style("whitegrid"), "font.size": 9, "axes.titlesize": 10, "axes.labelsize": 9, "figure.dpi": 110}


def rates(lines: pd.DataFrame) -> pd.DataFrame:
    """One row for each design, view, source (and all together) and kind of statement.

    * `hold_pct`: share of the intervals that hold the truth, or, where they hold together, of the studies in which all do; of
      tests the share of studies in which none finds what is not there. `ci_low_pct` and `ci_high_pct`: over data sets.
    * `worst_pct`: the same for the single statement (of one name) that holds least.
    * `none_pct`: intervals that are not given.
    * `width`: half of an interval by the half that 95 of 100 would need: above 1, it is wider than needed.
    * `new_data_pct`: where a study speaks of its own training pool, the share that holds for new pools too.
    """
    lines = _with_truth(lines)
    keys = ["design", "view", "population", "kind"]
    rows = []
    for group, part in lines.groupby(keys, sort=False):
        for source, own in [*part.groupby("source", sort=False), (ALL, part)]:
            rows.append({**dict(zip(keys, group, strict=True)), "source": source, **_rate(str(group[-1]), own)})
    return pd.DataFrame(rows)


def _with_truth(lines: pd.DataFrame) -> pd.DataFrame:
    """The lines with the truth of their population: over new data it is the mean over all data sets."""
    by = ["design", "view", "source", "kind", "name"]
    grouped = lines.groupby(by, sort=False)["truth"]
    everywhere, error = grouped.transform("mean"), grouped.transform("sem") * lines["scale"]
    shares = _shares(lines)
    own = lines["kind"] == "shares"
    named = pd.Series(list(zip(*(lines[key] for key in ("design", "view", "source", "name")), strict=True)), lines.index)
    everywhere = everywhere.where(~own, named.map(shares))
    wide = lines["population"] == Population.NEW_DATA
    truth, uncertain = lines["truth"].where(~wide, everywhere), lines["error"].where(~wide, error)
    uncertain = uncertain.fillna(0)  # a share has no interval where noise exceeds effects: its truth counts as exact
    half = [np.hypot((lines["mean"] - lines[end]).abs(), uncertain) for end in ("low", "high")]
    new = [np.hypot((lines["mean"] - lines[end]).abs(), error) for end in ("low", "high")]
    off, off_new = lines["mean"] - truth, lines["mean"] - everywhere
    given = lines["low"].notna()
    return lines.assign(
        holds=((off <= half[0] + 1e-9) & (-off <= half[1] + 1e-9)).where(given).astype(object),
        new_data=((off_new <= new[0] + 1e-9) & (-off_new <= new[1] + 1e-9)).where(given).astype(object),
        needed=off.abs() / np.where(off > 0, half[0], half[1]),
    )


def _shares(lines: pd.DataFrame) -> Mapping[tuple[str, ...], float]:
    """The shares of the variance of the mean truths over all data sets, by design, view, source and effect."""
    found: dict[tuple[str, ...], float] = {}
    means = lines[lines["kind"] == "means"]
    effects_named = lines[lines["kind"] == "shares"]
    for key, part in means.groupby(["design", "view", "source"], sort=False):
        truth = part.groupby("name", sort=False)["truth"].mean()
        codes = effects.codes_of(pd.DataFrame([name.split(" | ") for name in truth.index]))
        squares = effects.sums_of_squares(truth.to_numpy(), codes)
        names = effects_named.loc[(effects_named[["design", "view", "source"]] == list(key)).all(axis=1), "name"].unique()
        found |= {
            (*key, name): 100 * square / truth.var(ddof=0) / len(truth) for name, square in zip(names, squares, strict=True)
        }
    return found


def _rate(kind: str, part: pd.DataFrame) -> dict[str, Any]:
    """The rates of one kind of statement."""
    sets = ["source", "set"]
    if kind not in INTERVALS:
        holds = (part["p"] >= ALPHA).groupby([part[key] for key in sets]).all()
        return {
            "sets": len(holds),
            **_share(holds),
            "worst_pct": np.nan,
            "none_pct": 0.0,
            "width": np.nan,
            "new_data_pct": np.nan,
        }
    given = part[part["holds"].notna()]
    rest = {"none_pct": 100 * (1 - len(given) / len(part))}
    if given.empty:
        return {"sets": 0, "hold_pct": np.nan, **rest}
    place = [given[key] for key in sets]
    together = "all" if INTERVALS[kind] else "mean"
    holds = given["holds"].astype(bool).groupby(place).agg(together)
    needed = given["needed"].groupby(place).max() if INTERVALS[kind] else given["needed"]
    own_pool = part["population"].iloc[0] == Population.NEW_ROWS
    new = given["new_data"].astype(bool).groupby(place).agg(together).mean() if own_pool else np.nan
    return {
        "sets": len(holds),
        **_share(holds),
        "worst_pct": 100 * _worst(given),
        **rest,
        "width": 1 / needed.quantile(1 - ALPHA),
        "new_data_pct": 100 * new,
    }


def _worst(given: pd.DataFrame) -> float:
    """The share that holds of the single statement that holds least, of those that are made often enough to tell."""
    grouped = given["holds"].astype(float).groupby([given["source"], given["name"]])
    return float(grouped.mean()[grouped.size() >= grouped.size().max() / 2].min())


def _share(holds: pd.Series) -> dict[str, float]:
    """A share over data sets with its 95% interval, in percent."""
    values = holds.astype(float).to_numpy()
    low, high = rate(values[None], len(values)) if len(values) > 1 else ([np.nan], [np.nan])
    return {"hold_pct": 100 * values.mean(), "ci_low_pct": float(low[0]), "ci_high_pct": float(high[0])}


def write(lines: pd.DataFrame, results: Path, figures: Path, docs: Path) -> pd.DataFrame:
    """Write table, picture and the end of `docs/statistics.md`; returns the table. Designs without lines stay as they are."""
    table, path = rates(lines), results / "calibration.csv"
    if path.exists():
        known = pd.read_csv(path)
        of = {design: part for part in (known, table) for design, part in part.groupby("design", sort=False)}
        table = pd.concat([of[design.name] for design in DESIGNS if design.name in of], ignore_index=True)
    files.write(path, to_csv(table.round(3)))
    with mpl.rc_context(_STYLE):
        content = io.BytesIO()
        draw(table).savefig(content, format="png")
    files.write(figures / "calibration.png", content.getvalue())
    page = docs / "statistics.md"
    text = page.read_text(encoding="utf-8").partition(MARK)[0] if page.exists() else ""
    files.write(page, f"{text}{MARK}\n\n{markdown(shown(table))}\n")
    return table


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """The rates over all sources as texts."""
    own = table[table["source"] == ALL]
    between = [
        number + f" [{low} to {high}]" * bool(low)
        for number, low, high in zip(*(_texts(own[f"{name}_pct"]) for name in ("hold", "ci_low", "ci_high")), strict=True)
    ]
    return pd.DataFrame(
        {
            "design": own["design"],
            "judged on": own["view"],
            "speaks of": own["population"],
            "statement": own["kind"],
            "holds in %": between,
            "worst single": _texts(own["worst_pct"]),
            "width / needed": _texts(own["width"], 2),
            "no interval %": _texts(own["none_pct"].where(own["none_pct"] > 0)),
            "for new data %": _texts(own["new_data_pct"]),
        }
    )


def _texts(values: pd.Series, digits: int = 1) -> list[str]:
    return ["" if pd.isna(value) else f"{value:.{digits}f}" for value in values]


def draw(table: pd.DataFrame) -> Figure:
    """Rates at which each kind of statement holds, design by design, with 95% intervals over data sets."""
    own = table[(table["source"] == ALL) & table["hold_pct"].notna()]
    kinds = [kind for kind in (*INTERVALS, *TESTS) if (own["kind"] == kind).any()]
    names = list(dict.fromkeys(zip(own["design"], own["view"], strict=True)))
    figure = Figure(figsize=(11, 1.4 + 0.34 * len(names) * 2), layout="constrained")
    axes = figure.subplots(2, -(-len(kinds) // 2), sharex=True, sharey=True).ravel()
    for ax, kind in zip(axes, kinds, strict=False):
        part = own[own["kind"] == kind]
        for row in part.itertuples():
            place = names.index((row.design, row.view))
            ends = [[max(0, row.hold_pct - row.ci_low_pct)], [max(0, row.ci_high_pct - row.hold_pct)]]
            bars = None if np.isnan(row.ci_low_pct) else ends
            ax.errorbar(row.hold_pct, place, xerr=bars, fmt="o", color="C0", markersize=4, capsize=2)
            if not np.isnan(row.new_data_pct):
                ax.plot(max(row.new_data_pct, 70), place, "x", color="C3", markersize=5)
        ax.axvline(95, color="k", linewidth=1)
        ax.axvline(93, color="k", linewidth=1, linestyle=":")
        ax.set_title(kind, loc="left")
        ax.set_xlim(69, 101)
    for ax in axes[len(kinds) :]:
        ax.set_axis_off()
    for ax in axes[:: -(-len(kinds) // 2)]:
        ax.set_yticks(range(len(names)), [f"{design}, {view}" for design, view in names], fontsize=8)
    axes[0].set_ylim(len(names) - 0.5, -0.5)
    for ax in axes[-(-len(kinds) // 2) :]:
        ax.set_xlabel("holds in % of data sets")
    figure.suptitle(
        "Calibration: intervals that hold the truth of the population that they name, and tests that find nothing where there\n"
        "is nothing. Bars: 95% over data sets. Crosses: the same intervals read as ones for new training pools (70: or less).",
        x=0.01,
        ha="left",
        fontsize=9,
    )
    return figure
