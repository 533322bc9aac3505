"""The suite: grids, cross-validation, parallel runs, statistics and pictures around `framework`."""

import contextlib
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from studies.errors import UserError

if TYPE_CHECKING:
    from studies.api import judge, run

__all__ = ["UserError", "judge", "run"]

# matplotlib cannot be imported where MPLBACKEND names a backend that is not installed, as in a cell of a notebook that runs a
# shell; no picture needs one.
if "MPLBACKEND" in os.environ and "matplotlib" not in sys.modules:
    backend = os.environ.pop("MPLBACKEND")
    import matplotlib as mpl

    with contextlib.suppress(ValueError):
        mpl.rcParams["backend"] = backend
        os.environ["MPLBACKEND"] = backend
_ROOT = Path(__file__).resolve().parents[1]


class _OwnFramework:
    """Importer of the package `framework` that lies beside this one, where a script has a framework.py of its own too."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:  # noqa: ARG004
        """The package's spec; None for other modules."""
        return PathFinder.find_spec(name, [str(_ROOT)]) if name == "framework" else None


def _require_own_framework() -> None:
    """Raise ImportError where another module `framework` is imported already."""
    other = sys.modules.get("framework")
    if other and Path(other.__file__ or "").resolve() != _ROOT / "framework" / "__init__.py":
        raise ImportError(f"studies has its own package framework, and {other} was imported by that name before: rename it")


_require_own_framework()
sys.meta_path.insert(0, _OwnFramework)


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """`run` and `judge`, imported when they are asked for: a process that only trains does without most of the suite."""
    if name in ("judge", "run"):
        from studies import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
