"""The arguments and options that several commands have."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

INTERRUPTED = 130

study = click.argument("study")
overrides = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change the spec: --set base.epochs=50."
)
quick = click.option("--quick", is_flag=True, help="A quick look: the primary reading, no more than 10 repeats.")


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
out = click.option(
    "--out", type=click.Path(path_type=Path), help="Folder to write to in place of the results folder, which may be read-only."
)
