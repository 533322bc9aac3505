"""Commands about what rows say: tables, pictures, the page, what changed between two folders, verdicts."""

import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from studies import files
from studies.cli import options
from studies.errors import UserError
from studies.spec import spec
from studies.spec.study import Study


@click.command("tables")
@options.on_study
@options.out
@options.measure
@click.option("--latex", is_flag=True, help="Print the configurations as a table for a paper instead; writes nothing.")
@click.option(
    "--spread", type=click.Choice(["sd", "interval"]), default="sd", show_default=True, help="With --latex, beside means."
)
@click.option("--against", metavar="CONFIG", help="Compare all configurations with this one, an id or a label; writes nothing.")
def show_tables(
    study: Study,
    results: Path,
    out: Path | None,
    measure: str | None,
    latex: bool,
    spread: str,
    against: str | None,
) -> None:
    """Make STUDY's tables from its rows, or read the ones there are, and print them."""
    from rich.console import Console

    from studies import api
    from studies.show.console import print_comparison, print_tables

    study = options.about(study, measure)
    if latex:
        from studies.show import latex as papers

        click.echo(papers.of_study(study, api.tables_of(study, results, out), spread), nl=False)
        return
    if against is not None:
        print_comparison(study, api.against(study, results, against), Console())
        return
    print_tables(study, api.tables_of(study, results, out), Console())


@click.command()
@click.argument("studies", nargs=-1, metavar="[STUDY]...")
@options.overrides
@options.quick
@options.results
@options.figures
@options.measure
@click.option(
    "--format", "kind", type=click.Choice(["png", "pdf", "svg"]), default="png", show_default=True, help="With its fonts."
)
@click.option("--width", default="", metavar="WIDTH", help="Widest picture, for a column of a page: 3.3in or 84mm.")
def figures(
    studies: Sequence[str],
    overrides: Sequence[str],
    quick: bool,
    results: Path,
    figures: Path,
    measure: str | None,
    kind: str,
    width: str,
) -> None:
    """Draw the pictures of each STUDY, by default of all that have results, from the tables of their rows.

    In place of a STUDY, the name of a report means its studies.
    """
    import joblib

    inches = _inches(width)
    named = options.with_reports(studies) or [name for name in spec.names() if (results / name / "summary.csv").exists()]
    planned = [options.about(spec.load(name, overrides, quick, results), measure) for name in named]
    drawn = joblib.Parallel(n_jobs=min(joblib.cpu_count(), max(1, len(planned))), return_as="generator")(
        joblib.delayed(_drawn)(study, results, figures, kind, inches) for study in planned
    )
    some = False
    for study, outcomes in zip(planned, drawn, strict=True):
        if isinstance(outcomes, UserError):
            if studies:
                raise outcomes
            click.echo(f"{study.name}: not drawn: {outcomes}")
            continue
        some = True
        for name, outcome in outcomes.items():
            click.echo(f"{study.name}: {name:12} {outcome}")
    if not some:
        raise UserError(
            f"no declared study has tables in {results}; train one first: {spec.load('demo').command('run', results)}"
        )


def _inches(width: str) -> float:
    """A width in inches; infinite where none is given. Raises UserError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(in|mm|cm|pt)", width.replace(" ", "")) if width else None
    if width and not found:
        raise UserError(f"--width is a number with its unit, in, mm, cm or pt, such as 3.3in: {width!r} was given")
    return float(found[1]) / {"in": 1, "mm": 25.4, "cm": 2.54, "pt": 72.27}[found[2]] if found else math.inf


def _drawn(study: Study, results: Path, figures: Path, kind: str, width: float) -> dict[str, Path | str] | UserError:
    """The pictures of a study, or why there are none."""
    from studies import api

    try:
        return api.draw(study, results, figures, kind, width)
    except UserError as error:
        return error


@click.command("report")
@options.on_study
@options.figures
@options.out
@options.measure
def write_report(study: Study, results: Path, figures: Path, out: Path | None, measure: str | None) -> None:
    """Write what STUDY found as one page, report.html, with its tables and pictures."""
    from studies import api

    click.echo(api.write_report(options.about(study, measure), results, figures, out))


@click.command()
@click.argument("reports", nargs=-1, metavar="[REPORT]...")
@options.quick
@options.results
@options.out
@click.option("--markdown", type=click.Path(path_type=Path), help="Write the table of verdicts to this file too.")
def verdict(reports: Sequence[str], quick: bool, results: Path, out: Path | None, markdown: Path | None) -> None:
    """Judge every claim of each REPORT by the rows in the results folder; of all five, writes verdicts.csv there."""
    from rich.console import Console

    from studies import api
    from studies.show import verdict_texts
    from studies.show.console import print_table
    from studies.store.rows import to_csv

    if quick:
        click.echo(verdict_texts.QUICK)
    table = api.verdicts(results, quick, reports).round(9)  # as the file has it, and so the page
    path = (out or results) / "verdicts.csv"
    if not reports:
        files.write(path, to_csv(table))
    console = Console()
    shown = verdict_texts.texts(table[table["role"] == "primary"])
    print_table("Verdicts", shown.drop(columns="reason"), ("source", "claim", "verdict"), console)
    counts = table.loc[table["role"] == "primary", "verdict"].value_counts()
    written = "" if reports else f"; {path}"
    click.echo(", ".join(f"{count} {outcome}" for outcome, count in counts.items()) + written)
    if markdown:
        files.write(markdown, verdict_texts.in_markdown(table))


@click.command("compare")
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option(
    "--margin", type=float, metavar="M", help="Fail unless the mean error is shown to be worse by less than M points."
)
@options.measure
def show_changes(a: Path, b: Path, margin: float | None, measure: str | None) -> None:
    """Compare the results in folder B with those in A, trial by trial: two commits, machines or versions of torch.

    Exit status 1 where something is worse beyond chance, or the margin is not shown to be kept; 3 where nothing can be told.
    """
    from rich.console import Console

    from studies import api
    from studies.show.console import print_table

    found = api.compare(a, b, margin, measure or "")
    for line in found.facts:
        click.echo(line, err=found.table is None)
    if found.table is not None and len(found.table):
        print_table(f"From A, {a}, to B, {b}", found.table, ("what", "beyond chance"), Console())
    for line in found.conclusions:
        click.echo(line)
    sys.exit(found.status)
