"""The measured numbers as pictures: `steps.png` and `growth.png`."""

import io
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from benchmarks.engines import TITLES
from benchmarks.tables import CASE, Tables, spread
from studies import files

_STYLE = {**sns.axes_style("whitegrid"), "font.size": 9, "axes.titlesize": 10, "axes.labelsize": 9, "figure.dpi": 130}
_LOOKS = {"tanh": ("o", "C0"), "relu": ("s", "C1")}
_LINES = {"ours": "o-", "stack": "v-.", "before": "^-.", "jax_columns": "D--", "floor": "x:"}
_US = "microseconds per model and step"


def draw(tables: Tables, folder: Path) -> None:
    """Write the pictures whose numbers there are."""
    with mpl.rc_context(_STYLE):
        if not tables["steps"].empty:
            _save(steps(tables["steps"]), folder / "steps.png")
        if not tables["growth"].empty:
            _save(growth(tables["growth"]), folder / "growth.png")


def steps(table: pd.DataFrame) -> Figure:
    """Time of each engine in every case: median over rounds, and a line from the least to the largest."""
    lines = spread(table, [*CASE, "engine"], "us_per_model_step")
    panels = list(dict.fromkeys(zip(lines["optimizer"], lines["batchnorm"], strict=True)))
    engines = [engine for engine in TITLES if (lines["engine"] == engine).any()]
    figure = Figure(figsize=(9.5, 1.4 + 3.6 * -(-len(panels) // 2)), layout="constrained")
    axes = figure.subplots(-(-len(panels) // 2), 2, sharex=True, sharey=True, squeeze=False)
    for ax, (optimizer, norm) in zip(axes.flat, panels, strict=False):
        part = lines[(lines["optimizer"] == optimizer) & (lines["batchnorm"] == norm)]
        for offset, (activation, (marker, color)) in zip((-0.18, 0.18), _LOOKS.items(), strict=True):
            own = part[part["activation"] == activation]
            y = np.array([engines.index(engine) for engine in own["engine"]]) + offset
            ax.hlines(y, own["min"], own["max"], color=color)
            ax.plot(own["median"], y, marker, color=color, label=activation)
            for median, end, at in zip(own["median"], own["max"], y, strict=True):
                ax.annotate(f"{median:.0f}", (end, at), (5, 0), textcoords="offset points", va="center", fontsize=7)
        ax.set_title(f"{optimizer}, {'no' if norm == 'none' else norm} batch norm", loc="left")
        ax.set_xscale("log")
        _plain_ticks(ax.xaxis)
        ax.tick_params(axis="x", labelsize=8)
        ax.margins(x=0.12)
    axes[0, 0].set_yticks(range(len(engines)), [TITLES[engine] for engine in engines])
    axes[0, 0].invert_yaxis()
    axes[0, 0].legend()
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    for ax in axes[-1]:
        ax.set_xlabel(_US)
    return figure


def growth(table: pd.DataFrame) -> Figure:
    """Time by number of models and by width, with all models of the same structure."""
    lines = spread(table, ["axis", "value", "engine"], "us_per_model_step")
    figure = Figure(figsize=(9.5, 3.4), layout="constrained")
    axes = figure.subplots(1, 2)
    for ax, (axis, words) in zip(axes, (("models", "models in all"), ("width", "units in each hidden layer")), strict=True):
        part = lines[lines["axis"] == axis]
        for engine, look in _LINES.items():
            own = part[part["engine"] == engine].astype({"value": int}).sort_values("value")
            x = own["value"]
            ax.errorbar(
                x, own["median"], [own["median"] - own["min"], own["max"] - own["median"]], fmt=look, label=TITLES[engine]
            )
        ticks = sorted(set(part["value"].astype(int)))
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xticks(ticks, [str(tick) for tick in ticks], fontsize=7)
        ax.xaxis.set_minor_locator(NullLocator())
        _plain_ticks(ax.yaxis)
        ax.set_xlabel(words)
        ax.set_ylabel(_US)
    axes[0].legend(fontsize=7)
    return figure


def _plain_ticks(axis: Axis) -> None:
    """1, 2, 5 and their multiples by ten, on a logarithmic axis."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter("{x:g}")


def _save(figure: Figure, path: Path) -> None:
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    files.write(path, content.getvalue())
