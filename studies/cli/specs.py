"""Commands about what is declared: write a spec, list the studies, say what one would train."""

import math
import shlex
from pathlib import Path

import click

from studies import files
from studies.cli import options
from studies.errors import UserError
from studies.spec import spec
from studies.spec.rules import number, require
from studies.spec.study import Study

TEMPLATE = Path(__file__).with_name("template.toml")


@click.command()
@click.argument("name")
def init(name: str) -> None:
    """Write NAME.toml, a commented spec to start a study of your own from."""
    path = Path(name if name.endswith(".toml") else f"{name}.toml")
    require("the name of a study", path.stem, spec.NAME)
    if path.stem in spec.names():
        raise UserError(f"a study of your own has a name of its own: {path.stem!r} is a declared study; give another name")
    if path.exists():
        raise UserError(f"{path} exists already and is left as it is; give another name")
    files.write(path, TEMPLATE.read_text(encoding="utf-8").replace("NAME", path.stem, 1))
    plan_it, train_it = (shlex.join(["ablation", verb, str(path)]) for verb in ("plan", "run"))
    click.echo(f"{path} is written; look at its plan by `{plan_it}`, train it by `{train_it}`")


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
