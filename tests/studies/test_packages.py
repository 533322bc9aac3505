"""The order of the packages: a stage imports earlier stages only."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import studies

ROOT = Path(studies.__file__).parent
BASE = ("errors", "files", "seeds", "columns")
STAGES = (*BASE, "data", "spec", "plan", "train", "store", "analysis", "claims", "show", "runs", "judgements", "api", "cli")
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


@pytest.mark.parametrize("path", sorted(ROOT.glob("analysis/*.py")), ids=lambda path: path.name)
def test_analysis_knows_numbers_alone(path):
    tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    names = {name.name for node in tree if isinstance(node, ast.Import) for name in node.names}
    assert not names & {"torch", "matplotlib", "rich", "os", "pathlib"}
    assert "files" not in imported(path.read_text(encoding="utf-8"))


HEAVY = ("torch", "scipy", "sklearn", "pandas", "matplotlib", "joblib", "rich")
READS = "from studies.spec import spec; spec.load('demo')"
LIGHT = {  # what may be imported, and what may not
    "a spec is read": (READS, HEAVY),
    "trials are planned": (f"{READS}; from studies.plan import plan; plan.trials(spec.load('demo'))", HEAVY),
    "the command line starts": ("import studies.cli", HEAVY),
    "a worker starts": ("import studies.train.worker", ("pandas", "scipy", "sklearn", "matplotlib")),
    "numbers are analysed": ("import studies.analysis.tables, studies.analysis.power", ("torch", "matplotlib", "rich")),
}


@pytest.mark.parametrize(("code", "heavy"), LIGHT.values(), ids=LIGHT)
def test_imports_no_more_than_it_takes(code, heavy):
    loaded = f"{code}; import sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    found = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True, cwd=ROOT.parent)
    assert not set(heavy) & set(found.stdout.split())
