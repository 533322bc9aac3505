"""Commands about what is declared: write a spec, list the studies, say what one would train."""

import math
import os
import shlex
from pathlib import Path

import click

from studies import files
from studies.cli import options
from studies.cli.judge import with_given
from studies.data.runs.given import Given
from studies.errors import UserError
from studies.spec import spec
from studies.spec.rules import number, require
from studies.spec.study import Study

TEMPLATE = Path(__file__).with_name("template.toml")


@click.command()
@click.argument("study", metavar="NAME")
@click.option("--from", "table", type=click.Path(path_type=Path), metavar="FILE", help="Table of runs to make a study of.")
@with_given
def init(study: str, table: Path | None, given: Given) -> None:
    """Write NAME.toml, a commented spec to start a study of your own from.

    With --from FILE, the study is of the runs in that CSV file, and other options say what its columns are: see `judge`.
    """
    path = Path(study if study.endswith(".toml") else f"{study}.toml")
    require("the name of a study", path.stem, spec.NAME)
    if path.stem in spec.names():
        raise UserError(f"a study of your own has a name of its own: {path.stem!r} is a declared study; give another name")
    if path.exists():
        raise UserError(f"{path} exists already and is left as it is; give another name")
    if table is not None:
        files.write(path, _spec_of_table(path, table, given))
        drawn, shown = (shlex.join(["ablation", verb, str(path)]) for verb in ("report", "tables"))
        click.echo(f"{path} is written; look at its tables by `{shown}`, put them on a page by `{drawn}`")
        return
    if options_given := given.as_options():
        raise UserError(f"options about columns go with a table of runs: {options_given[0]} was given; add --from FILE")
    files.write(path, TEMPLATE.read_text(encoding="utf-8").replace("NAME", path.stem, 1))
    plan_it, train_it = (shlex.join(["ablation", verb, str(path)]) for verb in ("plan", "run"))
    click.echo(f"{path} is written; look at its plan by `{plan_it}`, train it by `{train_it}`")


def _spec_of_table(path: Path, table: Path, given: Given) -> str:
    """The spec of a study of a table's runs, with all roles. Raises UserError as `judge` does."""
    from studies.data.runs.runs import read_runs
    from studies.show.table_spec import spec_of

    try:
        runs = read_runs(table, given)
    except UserError as error:
        judged, made = (
            f"ablation judge {shlex.quote(str(table))}",
            shlex.join(["ablation", "init", path.stem, "--from", str(table)]),
        )
        raise UserError(str(error).replace(judged, made)) from None
    return spec_of(path.stem, Path(os.path.relpath(table.resolve(), path.resolve().parent)).as_posix(), runs, given)


@click.command("list")
def list_studies() -> None:
    """Show the declared studies."""
    for name in spec.names():
        study = spec.load(name)
        trials = sum(reading.trials for reading in study.readings)
        click.echo(f"{name:24} {trials:>7,} trials   {study.title}")


@click.command("plan")
@options.on_study
@click.option("-j", "--jobs", type=click.IntRange(1), help="Processes to plan for; by default the usable cores.")
@click.option(
    "--sd",
    type=float,
    help="Of the paired differences between two configurations, in points; by default from the study's rows, if there are any.",
)
@click.option(
    "--difference",
    type=float,
    help="Say how many repeats show a difference of so many points, or sd where none is known.",
)
def show_plan(
    study: Study,
    results: Path,
    jobs: int | None,
    sd: float | None,
    difference: float | None,
) -> None:
    """Check the spec of STUDY, and say what a run would train and what it could tell."""
    from studies import api
    from studies.analysis import power
    from studies.show import plan as plan_texts
    from studies.store import status

    for name, points in {"--sd": sd, "--difference": difference}.items():
        if points is not None:
            require(name, points, number(0, above=True))
    given = {each.reading: power.Spread(sd, math.nan) for each in study.readings} if sd else {}
    spreads = given or api.spreads(study, results)
    source = "given" if sd else f"by the rows in {results / study.name}"
    missing, outside = status.missing(study, results)
    for line in (*plan_texts.describe_plan(study, jobs, missing, spreads, difference, source), *outside):
        click.echo(line)
