"""The suite: grids, cross-validation, parallel runs, statistics and pictures around `framework`."""

from typing import TYPE_CHECKING, Any

from studies.errors import UserError

if TYPE_CHECKING:
    from studies.suite import run

__all__ = ["UserError", "run"]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """`run`, imported when it is asked for: a process that only trains does without most of the suite."""
    if name == "run":
        from studies.suite import run

        return run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
