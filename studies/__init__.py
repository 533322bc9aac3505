"""The suite: grids, cross-validation, parallel runs, statistics and pictures around `framework`."""

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any

from studies.errors import UserError

if TYPE_CHECKING:
    from studies.suite import run

__all__ = ["UserError", "run"]

# matplotlib cannot be imported where MPLBACKEND names a backend that is not installed, as in a cell of a notebook that runs a
# shell; no picture needs one.
if "MPLBACKEND" in os.environ and "matplotlib" not in sys.modules:
    backend = os.environ.pop("MPLBACKEND")
    import matplotlib as mpl

    with contextlib.suppress(ValueError):
        mpl.rcParams["backend"] = backend
        os.environ["MPLBACKEND"] = backend


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """`run`, imported when it is asked for: a process that only trains does without most of the suite."""
    if name == "run":
        from studies.suite import run

        return run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
