"""A script in a folder with modules that have the names of this project's packages."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def script(tmp_path):
    """Runs a script beside a framework.py of its own."""

    def run(code):
        (tmp_path / "framework.py").write_text("class Module:\n    pass\n")
        (tmp_path / "go.py").write_text(code)
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            [sys.executable, "go.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    return run


def test_studies_find_their_own_framework(script):
    done = script("import studies, framework; print(framework.Linear.__module__)")
    assert (done.stdout, done.stderr) == ("framework.layers\n", "")


def test_another_framework_that_is_imported_already_is_named(script):
    done = script("import framework, studies")
    assert done.returncode == 1
    assert "studies has its own package framework" in done.stderr
    assert "framework.py'> was imported by that name before: rename it" in done.stderr


def test_a_run_with_processes_does_not_see_files_of_these_names(call, tiny, tmp_path):
    for name in ("framework.py", "studies.py"):
        (tmp_path / name).write_text("raise SystemExit('another module')")
    run = call("run", tiny(), "-j", "2", cwd=tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
