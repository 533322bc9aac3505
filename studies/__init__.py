"""The suite: grids, cross-validation, parallel runs, statistics and pictures around `framework`."""

from studies.errors import UserError
from studies.suite import run

__all__ = ["UserError", "run"]
