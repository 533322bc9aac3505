"""The command line: `ablation ...`, or `python -m studies ...`.

Exit status: 0; 1 where trials failed, numbers differ, something is worse or no margin is shown to be kept; 2 for wrong input; 3
where two results cannot be compared; 130 when interrupted, 143 when ended by SIGTERM.
"""

import sys
from typing import Any

import click

from studies.cli import results, runs, specs, terminal, trials
from studies.cli.judge import judge
from studies.errors import UserError, unknown


class _Usage(click.ClickException):
    """An error of click about options and arguments, in one line."""

    exit_code = 2

    def __init__(self, error: click.UsageError) -> None:
        text = " ".join(error.format_message().split()).rstrip(".")
        command = error.ctx.command_path if error.ctx else "ablation"
        super().__init__(f"{text[:1].lower()}{text[1:]}{' ' if text.endswith('?') else '; '}see: {command} --help")

    def show(self, file: Any = None) -> None:  # noqa: ANN401
        click.echo(f"ablation: {self.message}", file=file, err=True)


class _Commands(click.Group):
    """A group whose commands end wrong input with one line and status 2, and an interrupt with 130 or 143."""

    def main(self, *args: Any, **extra: Any) -> Any:  # noqa: ANN401
        terminal.prepare()
        return super().main(*args, **extra)

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **extra: Any) -> click.Context:  # noqa: ANN401
        given = bool(args)
        try:
            return super().make_context(info_name, args, *rest, **extra)
        except click.UsageError as error:
            raise (_Usage(error) if given else error) from None  # without arguments: the help

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:  # noqa: ANN401
        if self.get_command(ctx, args[0]) is None:
            raise UserError(unknown("command", args[0], self.commands))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        try:
            returned = super().invoke(ctx)
            sys.stdout.flush()  # while an error can still be told
            return returned
        except click.UsageError as error:
            raise _Usage(error) from None
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
