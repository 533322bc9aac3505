"""The command line: `ablation ...`, or `python -m studies ...`.

Exit status: 0; 1 where trials failed, numbers differ, something is worse or no margin is shown to be kept; 2 for wrong input; 3
where two results cannot be compared; 130 when interrupted, 143 when ended by SIGTERM.
"""

import sys
from typing import Any

import click

from studies.cli import results, runs, specs, terminal, trials
from studies.cli.judge import judge
from studies.errors import UserError


class _Commands(click.Group):
    """A group whose commands end wrong input with one line and status 2, and an interrupt with 130 or 143."""

    def main(self, *args: Any, **extra: Any) -> Any:  # noqa: ANN401
        terminal.prepare()
        return super().main(*args, **extra)

    def invoke(self, ctx: click.Context) -> object:
        try:
            returned = super().invoke(ctx)
            sys.stdout.flush()  # while an error can still be told
            return returned
        except UserError as error:
            click.echo(f"ablation: {' '.join(str(error).splitlines())}", err=True)
            ctx.exit(2)
        except KeyboardInterrupt as interrupt:
            click.echo("interrupted", err=True)
            ctx.exit(terminal.status(interrupt))
        except OSError as error:
            click.echo(f"ablation: {error}", err=True)
            ctx.exit(1)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """In the order in which a study needs them."""
        return list(self.commands)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ablation-suite")
def main() -> None:
    """Ablation studies of small neural networks.

    A STUDY is a name from `ablation list`, the path of a TOML file, or NAME for NAME.toml in the working directory.
    """


for command in (
    *(specs.init, specs.list_studies, specs.show_plan),
    *(runs.run, runs.show_status, runs.explain, runs.verify),
    *(results.show_tables, results.figures, results.write_report, results.show_changes, results.verdict),
    *(trials.show, trials.animate),
    judge,
):
    main.add_command(command)
