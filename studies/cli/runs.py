"""Commands about the rows of a study: train them, say which there are and why, train some again."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from studies.cli import options, terminal
from studies.spec import spec
from studies.spec.study import Study


@click.command()
@click.argument("studies", nargs=-1, required=True, metavar="STUDY...")
@options.overrides
@options.quick
@options.results
@options.figures
@click.option("-j", "--jobs", type=click.IntRange(1), help="Processes; by default the usable cores, or CUDA devices.")
@click.option(
    "--backend", default="auto", show_default=True, help="What trains: auto (processes, threads), loky, sequential, dask."
)
@click.option(
    "--scheduler", metavar="ADDRESS", help="With --backend dask: whose workers train, tcp://host:8786; else local ones."
)
@click.option("--device", default="cpu", show_default=True, help="What trains: cpu, or cuda.")
@click.option("--report", is_flag=True, help="Then put what each study found on a page, as `ablation report` does.")
@click.option(
    "--dry-run", is_flag=True, help="Say what would be trained, and how long it takes; nothing is trained or written."
)
@click.option("-q", "--quiet", is_flag=True, help="Print no progress and no tables; errors and failures only.")
@click.option("--live", is_flag=True, help="First show in a window how the study's first trial trains: two inputs only.")
def run(
    studies: Sequence[str],
    overrides: Sequence[str],
    quick: bool,
    results: Path,
    figures: Path,
    jobs: int | None,
    backend: str,
    scheduler: str | None,
    device: str,
    report: bool,
    dry_run: bool,
    quiet: bool,
    live: bool,
) -> None:
    """Train what each STUDY still lacks; finished units are on disk at once, and a second run goes on from there.

    All studies are checked before the first trains. In place of a STUDY, the name of a report means its studies.
    """
    from studies import api
    from studies.runs import run_all
    from studies.show.progress import Screen

    planned = [spec.load(study, overrides, quick) for study in options.with_reports(studies)]
    for study in planned if dry_run else ():
        click.echo("\n".join(api.describe_missing(study, results, jobs, device)))
    if dry_run:
        return
    for study in planned if live else ():
        _show_live(study)
    with Screen(results, quiet) as screen:
        try:
            run_all(
                planned,
                jobs=jobs,
                backend=backend,
                scheduler=scheduler,
                device=device,
                results=results,
                started=screen.started,
                received=screen.received,
                finished=screen.finished,
                said=screen.said,
            )
        except KeyboardInterrupt as interrupt:
            click.echo(
                f"interrupted: {screen.trained():,} trials of this run are on disk; the same command goes on from there",
                err=True,
            )
            sys.exit(terminal.status(interrupt))
        except OSError as error:
            click.echo(f"ablation: {error}; what other units left is safe, and the same command goes on from there", err=True)
            sys.exit(1)
    for study in planned if report else ():
        _write_report(study, results, figures, quiet)
    sys.exit(1 if screen.trained("failed") else 0)


def _write_report(study: Study, results: Path, figures: Path, quiet: bool) -> None:
    """Put what the study found on a page."""
    from studies import api

    written = api.write_report(study, results, figures)
    if not quiet:
        click.echo(written)


def _show_live(study: Study) -> None:
    """Show the training of the study's first trial, or say why not."""
    from studies.show import regions  # only where asked for: a run is to start at once

    if not regions.live(study):
        click.echo(
            "--live is left out: no window can be opened here; `ablation animate` makes a file of the same picture", err=True
        )


@click.command("status")
@options.on_study
def show_status(study: Study, results: Path) -> None:
    """Say what of STUDY is done, missing and failed, and why; what made its rows, and which runs are at work."""
    from studies.store import status

    for line in status.describe_status(study, results):
        click.echo(line)


@click.command()
@options.on_study
@click.argument("trial")
def explain(study: Study, results: Path, trial: str) -> None:
    """Say whether a run of STUDY would train TRIAL or reuse its row, and why.

    TRIAL is a key from trials.csv or how only that one begins, a configuration's label (its first trial), best or worst.
    """
    from studies import api
    from studies.store import status

    for line in status.explain_trial(study, results, api.find_trial(study, results, trial).key):
        click.echo(line)


@click.command()
@options.on_study
@click.option("--sample", type=click.IntRange(1), default=10, show_default=True, help="How many trials to retrain.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Another number, another sample.")
def verify(study: Study, results: Path, sample: int, seed: int) -> None:
    """Retrain some of STUDY's trials, each alone, and compare them with their rows bit for bit: status 1 if any differ."""
    from rich.console import Console

    from studies import api
    from studies.show.console import print_table

    verified, differences = api.verify(study, results, sample, seed)
    if differences.empty:
        click.echo(
            f"{study.name}: a sample of {verified} trials, each trained alone, gives every number of their rows to the last bit"
        )
        return
    print_table(f"{study.name}: numbers that differ", differences.map(str), differences.columns, Console())
    sys.exit(1)
