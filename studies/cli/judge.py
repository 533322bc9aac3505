"""The command about a table of runs that something else made, and its options."""

import functools
from collections.abc import Callable
from typing import Any

import click

from studies.data.runs.given import Given

OPTIONS = (
    click.option("--variant", default="", metavar="COLUMN", help="Column that names whole variants."),
    click.option(
        "--factor", "factors", multiple=True, metavar="COLUMN", help="Column of a factor; may be given again, and end in *."
    ),
    click.option("--measure", default="", metavar="COLUMN", help="Column to judge by."),
    click.option("--name", default="", metavar="TEXT", help="Name of the measure for readers."),
    click.option("--better", default="", metavar="DIRECTION", help="Better values of the measure: lower or higher."),
    click.option("--unit", default="", metavar="TEXT", help="Unit of the measure, such as % or s."),
    click.option("--repeat", default="", metavar="COLUMN", help="Column that pairs runs: a seed, an item; row pairs by row."),
    click.option("--block", default="", metavar="COLUMN", help="Column of data sets."),
    click.option("--fold", default="", metavar="COLUMN", help="Column of folds, which share training rows."),
    click.option("--test-share", type=float, metavar="SHARE", help="n_test / n_train of folds."),
    click.option("--baseline", default="", metavar="VARIANT", help="Variant that the others are compared with."),
    click.option("--n", default=None, metavar="COUNT", help="Number of runs behind each mean, or its column."),
    click.option("--sd", default="", metavar="COLUMN", help="Column of the sd of the runs behind each mean."),
)


def with_given(command: Callable[..., None]) -> Callable[..., None]:
    """A command with the options about a table of runs: it is called with them as `given`."""

    @functools.wraps(command)
    def called(*, n: str | None, **options: Any) -> None:  # noqa: ANN401
        own = {name: options.pop(name) for name in list(options) if name in Given.__dataclass_fields__}
        count = int(n) if n and n.lstrip("-").isdigit() else n
        command(given=Given(**own, n=count), **options)

    wrapped: Callable[..., None] = called
    for option in reversed(OPTIONS):
        wrapped = option(wrapped)
    return wrapped


@click.command("judge")
@click.argument("file", metavar="FILE")
@with_given
def judge(file: str, given: Given) -> None:
    """Compare the variants in FILE, a CSV table of runs that something else made.

    Roles of columns are guessed and said; where a guess would be wrong, the error has the option to add.
    """
    from pathlib import Path

    from rich.console import Console

    from studies.data.runs.runs import read_runs
    from studies.judgements import judge_runs
    from studies.show import judged
    from studies.show.console import print_table

    found = judge_runs(read_runs(Path(file), given))
    console, named = Console(), ("variant", "factor", "level", "compared with", "test")
    for line in found.read:
        click.echo(line)
    click.echo()
    print_table(judged.heading(found.runs, found.variants), judged.table_of(found.variants, found.runs), named, console)
    if len(found.variants) > judged.SHOWN:
        click.echo(f"the best {judged.SHOWN} of {len(found.variants):,} variants\n")
    if len(found.levels):
        print_table(judged.heading_of_levels(found.runs), judged.table_of(found.levels, found.runs), named, console)
    for sentence in found.sentences:
        click.echo(f"* {sentence}")
