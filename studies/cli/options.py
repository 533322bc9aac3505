"""The arguments and options that several commands have."""

import functools
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from studies.errors import UserError
from studies.spec import spec, table
from studies.spec.measures import ALWAYS, MEASURES, read_measure
from studies.spec.study import Study

overrides = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change the spec: --set base.epochs=50."
)
quick = click.option("--quick", is_flag=True, help="A quick look: the primary reading, no more than 10 repeats.")


def with_reports(given: Sequence[str]) -> list[str]:
    """The studies of a command line; a name of a report that is no study stands for its studies."""
    from studies.claims import claims

    reports = set(claims.report_names()) - set(spec.names())
    each = (claims.load_report(name).studies if name in reports else [name] for name in given)
    return list(dict.fromkeys(itertools.chain.from_iterable(each)))


def _folder(name: str, what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(
        f"--{name}",
        type=click.Path(path_type=Path),
        default=Path(name),
        show_default=True,
        help=f"Folder of {what}; each study has a folder of its name in it.",
    )


results = _folder("results", "results")
figures = _folder("figures", "pictures")
measure = click.option("--measure", metavar="NAME", help="Look at another measure that rows recorded, such as auc.")
out = click.option(
    "--out", type=click.Path(path_type=Path), help="Folder to write to in place of the results folder, which may be read-only."
)


def on_study(command: Callable[..., None]) -> Callable[..., None]:
    """A command about one STUDY: it is called with the study, as --set and --quick change it, and the folder of results."""

    @click.argument("study")
    @overrides
    @quick
    @results
    @functools.wraps(command)
    def with_study(study: str, overrides: Sequence[str], quick: bool, results: Path, **rest: Any) -> None:  # noqa: ANN401
        try:
            loaded = spec.load(study, overrides, quick, results)
        except UserError:
            of_report = with_reports([study])
            if of_report == [study]:
                raise
            raise UserError(
                f"{study!r} is a report, and this command is about one study: give one of {', '.join(of_report)}"
            ) from None
        command(loaded, results, **rest)

    return with_study


def about(study: Study, measure: str | None) -> Study:
    """The study about the measure that --measure names, where it does. Raises UserError where there is none such."""
    if measure is not None and study.table:
        return table.about(study, measure)
    if measure is None:
        return study
    try:
        return study.about(read_measure("--measure", measure, study.data.task))
    except UserError as error:
        always = [name for name in ALWAYS if MEASURES[name].task in ("", study.data.task)]
        recorded = ", ".join(dict.fromkeys([*always, *study.recorded]))
        raise UserError(f"{error}; rows of {study.name} record {recorded}") from None
