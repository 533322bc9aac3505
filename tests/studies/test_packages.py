"""The order of the packages: a stage imports earlier stages only."""

import ast
from pathlib import Path

import pytest

import studies

ROOT = Path(studies.__file__).parent
BASE = ("errors", "files", "seeds", "columns")
STAGES = (*BASE, "data", "spec", "plan", "train", "store", "analysis", "claims", "show", "api", "cli")
MODULES = sorted(ROOT.glob("*/**/*.py"))


def imported(source):
    """The stages that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "studies":
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("studies."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (name.name.split(".")[1] for name in node.names if name.name.startswith("studies."))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_stage_imports_earlier_stages_only(path):
    own = STAGES.index(path.relative_to(ROOT).parts[0])
    later = {stage for stage in imported(path.read_text(encoding="utf-8")) if STAGES.index(stage) > own}
    assert not later
