"""`python -m benchmarks calibration`: how often the suite's intervals and tests hold."""

import itertools
import json
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import joblib
import pandas as pd

from benchmarks.calibration import measure, report
from benchmarks.calibration.designs import DESIGNS, SOURCES

Unit = tuple[int, str, int]  # design, source, data set


@click.command("calibration")
@click.option(
    "--sets", type=click.IntRange(2), default=60, show_default=True, help="Independent data sets per design and source."
)
@click.option("--source", "sources", multiple=True, default=SOURCES, show_default=True, help="Generated data sets.")
@click.option(
    "--design",
    "designs",
    multiple=True,
    type=click.Choice([design.name for design in DESIGNS]),
    help="Only these designs; calibration.csv keeps what it has of others.",
)
@click.option("--jobs", type=click.IntRange(1), help="Processes; by default the usable cores.")
@click.option("--results", type=click.Path(path_type=Path), default=Path("results"), show_default=True)
@click.option("--figures", type=click.Path(path_type=Path), default=Path("figures"), show_default=True)
@click.option("--docs", type=click.Path(path_type=Path), default=Path("docs"), show_default=True)
def command(
    sets: int, sources: Sequence[str], designs: Sequence[str], jobs: int | None, results: Path, figures: Path, docs: Path
) -> None:
    """Train real models on independent data sets, and count how often what the suite says of them holds.

    Every data set that is done is on disk at once; the same command goes on from there.
    """
    path = results / "calibration" / "lines.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    chosen = [place for place, design in enumerate(DESIGNS) if not designs or design.name in designs]
    units = [unit for index in range(sets) for unit in itertools.product(chosen, sources, [index])]
    done = {unit for unit, _ in _read(path)}
    pending = [unit for unit in units if unit not in done]
    begin = time.perf_counter()
    found = joblib.Parallel(n_jobs=jobs or joblib.cpu_count(), return_as="generator_unordered")(
        joblib.delayed(_measured)(unit) for unit in pending
    )
    with path.open("ab") as file:
        if path.stat().st_size:
            file.write(b"\n")  # a torn line ends here
        for count, (unit, lines) in enumerate(found, 1):
            file.write(json.dumps([unit, lines]).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
            if count % 20 == 0 or count == len(pending):
                click.echo(
                    f"{len(units) - len(pending) + count:,} of {len(units):,} data sets, {time.perf_counter() - begin:,.0f} s"
                )
    asked = set(units)
    lines = pd.DataFrame([line for unit, lines in _read(path) if unit in asked for line in lines])
    table = report.write(lines, results, figures, docs)
    click.echo(report.shown(table).to_string(index=False))


def _measured(unit: Unit) -> tuple[Unit, list[measure.Line]]:
    design, source, index = unit
    return unit, measure.measure(DESIGNS[design], source, index)


def _read(path: Path) -> Iterator[tuple[Unit, list[measure.Line]]]:
    """The data sets that are done; a line that a crash tore is none."""
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            (design, source, index), lines = json.loads(line)
        except ValueError:
            continue
        yield (design, source, index), lines
