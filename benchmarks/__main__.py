"""`python -m benchmarks run | report | cuda | calibration`: measure speed, check statistics."""

import time
from pathlib import Path

import click

from benchmarks import cuda, machine, measure, report, scale, tables
from benchmarks.calibration import command as calibration
from benchmarks.engines import TITLES

_SCALES = {sizes.name: sizes for sizes in (scale.FULL, scale.QUICK, scale.TINY)}
_STAGES = {
    "steps": measure.measure_steps,
    "grid": measure.measure_grid,
    "growth": measure.measure_growth,
    "processes": measure.measure_processes,
    "commands": measure.measure_commands,
}
_ONLY_NAMED = ("commands",)  # stages that take longer than all others
_results = click.option("--results", type=click.Path(path_type=Path), default=Path("results/bench"), show_default=True)
_figures = click.option("--figures", type=click.Path(path_type=Path), default=Path("figures/bench"), show_default=True)
_page = click.option("--page", type=click.Path(path_type=Path), help="Write the first tables to this page too.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """This suite against its peers, on the same work, side by side in one run."""


@main.command()
@click.option("--size", type=click.Choice(list(_SCALES)), default="full", show_default=True, help="How much is measured.")
@click.option("--engine", "engines", multiple=True, type=click.Choice(list(TITLES)), help="Only these, beside this suite.")
@click.option("--stage", "stages", multiple=True, type=click.Choice(list(_STAGES)), help="Only these; all but commands.")
@_results
@_figures
@_page
def run(size: str, engines: tuple[str, ...], stages: tuple[str, ...], results: Path, figures: Path, page: Path | None) -> None:
    """Measure, and write tables and pictures; a stage that is left out keeps its tables."""
    begin = time.perf_counter()
    chosen = [name for name in TITLES if name == "ours" or not engines or name in engines]
    about = machine.describe(size)
    names = stages or [name for name in _STAGES if name not in _ONLY_NAMED]
    for name in names:
        tables.keep(results, name, _STAGES[name](_SCALES[size], chosen, click.echo))
    if not (results / "machine.json").exists() or not set(names) <= set(_ONLY_NAMED):  # whose rows name their machine
        machine.write(results, about, time.perf_counter() - begin)
    click.echo(report.write(results, figures, page))


@main.command("report")
@_results
@_figures
@_page
def again(results: Path, figures: Path, page: Path | None) -> None:
    """Write the tables and pictures again, from the measured numbers in the results folder."""
    click.echo(report.write(results, figures, page))


main.add_command(cuda.command)
main.add_command(calibration.command)

if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
