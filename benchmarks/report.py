"""From measured numbers to what a reader sees: `tables.md`, the figures' part of docs/measurements.md, and the pictures."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks import pictures, tables, targets
from benchmarks.engines import TITLES
from benchmarks.tables import CASE, Tables, ratios, spread
from studies import files
from studies.show.tables import markdown

BEGIN = "<!-- figures: written by `make bench` -->"
END = "<!-- end -->"
ALONE, TWO = "ours, 1 job", "ours, 2 jobs"
Section = tuple[str, pd.DataFrame]


def write(results: Path, figures: Path, page: Path | None = None) -> str:
    """Write `tables.md`, the part of a page between its marks, and the pictures; returns the text of `tables.md`."""
    measured = tables.read(results)
    about = json.loads((results / "machine.json").read_text())
    sections = [*_shown(measured), *_rest(measured)]
    text = "\n\n".join([_head(about), *_printed(sections)]) + "\n"
    files.write(results / "tables.md", text)
    if page is not None:
        files.write(page, with_part(page.read_text(encoding="utf-8"), results))
    pictures.draw(measured, figures)
    return text


def with_part(page: str, results: Path) -> str:
    """The text of a page, with the first tables of a results folder between its marks."""
    before, _, rest = page.partition(BEGIN)
    if not (results / "machine.json").exists():
        part = "Not measured yet: `make bench` writes this part."
    else:
        about = json.loads((results / "machine.json").read_text())
        head = _head(about).replace("# ", "## ", 1) + " [All tables](../results/bench/tables.md)."
        part = "\n\n".join([head, *_printed(_shown(tables.read(results)), "###")])
    return f"{before}{BEGIN}\n\n{part}\n\n{END}{rest.partition(END)[2]}"


def _printed(sections: Sequence[Section], level: str = "##") -> list[str]:
    return [f"{level} {title}\n\n{markdown(table)}" for title, table in sections if not table.empty]


def _shown(measured: Tables) -> list[Section]:
    """The sections that docs/measurements.md has too: figures beside their targets, steps, grid, growth and commands."""
    sections: list[Section] = [("Targets", targets.table(measured))]
    if not measured["steps"].empty:
        sections += _steps(measured["steps"], measured["learned"])
    if not measured["grid"].empty:
        sections.append(("Seconds for the whole grid, compilation included", _grid(measured["grid"], measured["learned"])))
    if not measured["growth"].empty:
        sections += _growth(measured["growth"])
    if not measured["commands"].empty:
        sections.append(("Seconds of whole commands", _commands(measured["commands"])))
    return sections


def _rest(measured: Tables) -> list[Section]:
    """The other sections of `tables.md`."""
    sections: list[Section] = []
    if not measured["processes"].empty:
        sections.append(("Two processes in times the work of one", _processes(measured["processes"])))
    if not measured["memory"].empty:
        sections.append(("Peak memory in MB, by stage", _memory(measured["memory"])))
    if not measured["learned"].empty:
        title = "Does each learn the same? Test error in % of the models that both trained"
        sections.append((title, _learned(measured["learned"])))
    return sections


def _head(about: Mapping[str, Any]) -> str:
    before, after = (_median(about[f"gigaflops_{when}"]) for when in ("before", "after"))
    versions = ", ".join(f"{name} {about[name]}" for name in ("python", "torch", "numpy", "scikit-learn", "jax") if about[name])
    small = "" if about["size"] == "full" else f" Sizes: {about['size']}, to try the harness and not to be quoted."
    core = f"compiled engine {about['core']}" if about["core"] else "without the compiled engine"
    return (
        f"# Side by side, {about['date']}\n\n{about['processor_name']}, {about['cores']} cores; {core}; {versions}. A large "
        f"matrix product ran at {before:.0f} GFLOP/s on one thread before the run, at {after:.0f} after it.{small} Numbers are "
        "the median (least to largest) over rounds."
    )


def _steps(steps: pd.DataFrame, learned: pd.DataFrame) -> list[Section]:
    """Times with the reason where there is none, ratios with a mark where they mean nothing, and compilation."""
    reasons = {_place(line): line["reason"] for line in _lines(steps) if not pd.isna(line.get("reason"))}
    doubtful = {_place(line) for line in _lines(learned) if line["stage"] == "steps" and line["verdict"] != "same"}
    times = {_place(line): _range(line, 1) for line in _lines(spread(steps, [*CASE, "engine"], "us_per_model_step"))}
    compared = {
        _place(line): f"({line['median']:.1f}: learns otherwise)" if _place(line) in doubtful else _range(line, 1)
        for line in _lines(ratios(steps, CASE, "engine", "us_per_model_step", "ours"))
        if line["engine"] != "ours"
    }
    compiled = spread(steps[steps["compile_seconds"] > 0], [*CASE, "engine"], "compile_seconds")
    return [
        ("Microseconds per model and step, one thread, without compilation", _by_case(reasons | times)),
        ("The same in times this suite's, round by round", _by_case(compared)),
        ("Seconds of compilation, once", _by_case({_place(line): f"{line['median']:.1f}" for line in _lines(compiled)})),
    ]


def _grid(grid: pd.DataFrame, learned: pd.DataFrame) -> pd.DataFrame:
    """A line for each engine: seconds, those of compilation, and ratios to this suite with one job and with two."""
    verdicts = {line["engine"]: line["verdict"] for line in _lines(learned) if line["stage"] == "grid"}
    seconds = {line["run"]: _range(line, 1) for line in _lines(spread(grid, ["run"], "seconds"))}
    compiling = {line["run"]: f"{line['median']:.1f}" for line in _lines(spread(grid, ["run"], "compile_seconds"))}
    against = {
        reference: {line["run"]: _range(line, 2) for line in _lines(ratios(grid, [], "run", "seconds", reference))}
        for reference in (ALONE, TWO)
    }
    parts = grid.dropna(subset=["seconds"]).groupby("run")["scaled_by"].median() if "scaled_by" in grid else {}
    return pd.DataFrame(
        [
            {
                "engine": run,
                "seconds": seconds.get(run, line.get("reason", "")),
                "of compilation": compiling.get(run, ""),
                "measured on": f"1/{parts[run]:.0f} of the grid" if run in parts else "",
                **{f"times {reference}": of.get(run, "") for reference, of in against.items()},
                "learns": verdicts.get(run, ""),
            }
            for run, line in {line["run"]: line for line in _lines(grid)}.items()
        ]
    )


def _growth(growth: pd.DataFrame) -> list[Section]:
    """For each axis, a line a point: time of each engine, and speed of this suite's arithmetic."""
    sections = []
    for axis in dict.fromkeys(growth["axis"]):
        part = growth[growth["axis"] == axis]
        times = {
            (line["value"], line["engine"]): line for line in _lines(spread(part, ["value", "engine"], "us_per_model_step"))
        }
        reasons = {(line["value"], line["engine"]): line["reason"] for line in _lines(part) if not pd.isna(line.get("reason"))}
        speeds = {(line["value"], line["engine"]): line for line in _lines(spread(part, ["value", "engine"], "gigaflops"))}
        points = {line["value"]: line for line in _lines(part[part["engine"] == "ours"])}
        lines = [
            {
                axis.partition(" ")[0]: str(value),
                "network": point["widths"],
                **({} if axis.startswith("models") else {"models": str(point["all_models"])}),
                **{
                    engine: reasons.get((value, engine)) or _range(times.get((value, engine)), 1)
                    for engine in dict.fromkeys(growth["engine"])
                },
                "GFLOP/s of ours": f"{speeds[value, 'ours']['median']:.1f}",
            }
            for value, point in sorted(points.items(), key=lambda item: (len(str(item[0])), str(item[0])))
        ]
        sections.append((f"Microseconds per model and step by {axis} (tanh, SGD)", pd.DataFrame(lines)))
    return sections


def _commands(commands: pd.DataFrame) -> pd.DataFrame:
    """A line for each command: the code before, and this suite."""
    lines: dict[str, dict[str, str]] = {}
    for line in _lines(commands):
        cell = line["reason"] if pd.isna(line["seconds"]) else f"{line['seconds']:.0f}"
        lines.setdefault(line["command"], {"command": line["command"], "before": "", "ours": "", "measured": ""})
        lines[line["command"]] |= {line["engine"]: cell}
        if not pd.isna(line["seconds"]):
            lines[line["command"]] |= {"measured": f"{line['date']}, {line['processor_name']}"}
    return pd.DataFrame(list(lines.values()))


def _processes(processes: pd.DataFrame) -> pd.DataFrame:
    """A line for each case: the work of two processes at once over that of one."""
    return pd.DataFrame([{"case": _case(line), "times": _range(line, 2)} for line in _lines(spread(processes, CASE, "times"))])


def _memory(memory: pd.DataFrame) -> pd.DataFrame:
    """Engines by stage: the peak, and what the imports alone take."""
    cells = {
        (line["engine"], line["stage"]): f"{line['peak_mb']:.0f} ({line['imports_mb']:.0f} imports)" for line in _lines(memory)
    }
    return _crossed(cells, "engine")


def _learned(learned: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "case": _case(line) if line["stage"] == "steps" else line["stage"],
                "engine": line["engine"],
                "models": str(line["models"]),
                "error": f"{line['error_pct']:.2f}",
                "this suite's": f"{line['ours_pct']:.2f}",
                "difference": f"{line['difference']:+.2f} (standard error {line['standard_error']:.2f})",
                "verdict": line["verdict"],
            }
            for line in _lines(learned)
        ]
    )


def _lines(table: pd.DataFrame) -> list[dict[str, Any]]:
    return table.to_dict("records")


def _median(values: Sequence[float]) -> float:
    return float(pd.Series(values).median())


def _range(line: Mapping[str, Any] | None, digits: int) -> str:
    if line is None:
        return ""
    return f"{line['median']:.{digits}f} ({line['min']:.{digits}f} to {line['max']:.{digits}f})"


def _place(line: Mapping[str, Any]) -> tuple[str, str]:
    return TITLES.get(line["engine"], line["engine"]), _case(line)


def _case(line: Mapping[str, Any]) -> str:
    norm = "" if line["batchnorm"] == "none" else f", {line['batchnorm']} batch norm"
    return f"{line['activation']}, {line['optimizer']}{norm}"


def _by_case(cells: Mapping[tuple[str, str], str]) -> pd.DataFrame:
    """Engines down in the order of their declaration, cases across."""
    order = {title: place for place, title in enumerate(TITLES.values())}
    return _crossed(dict(sorted(cells.items(), key=lambda item: order[item[0][0]])), "engine")


def _crossed(cells: Mapping[tuple[str, str], str], corner: str) -> pd.DataFrame:
    """Cells by (row, column) as a table of texts; rows and columns in the order in which they first occur."""
    columns = list(dict.fromkeys(column for _, column in cells))
    rows = list(dict.fromkeys(row for row, _ in cells))
    lines = [{corner: row, **{column: cells.get((row, column), "") for column in columns}} for row in rows]
    return pd.DataFrame(lines)
