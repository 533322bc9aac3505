"""Metadata of the package: data files that installed code reads, slow tests, and the tools of the hooks."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = [path for top in ("framework", "studies") for path in (ROOT / top).rglob("*") if (path / "__init__.py").exists()]
PACKAGES += [ROOT / "framework", ROOT / "studies"]
IGNORED = {".py", ".pyc", ".so"}


def test_every_data_file_is_in_the_wheel():
    declared = PROJECT["tool"]["setuptools"]["package-data"]
    listed = {
        path
        for package, patterns in declared.items()
        for pattern in patterns
        for path in ROOT.joinpath(*package.split(".")).glob(pattern)
    }
    there = {path for package in PACKAGES for path in package.rglob("*") if path.is_file() and path.suffix not in IGNORED}
    assert there == listed


def test_every_slow_module_exists():
    listed = re.findall(r'"(test_\w+)"', (ROOT / "tests" / "conftest.py").read_text(encoding="utf-8"))
    assert set(listed) - {path.stem for path in (ROOT / "tests").rglob("test_*.py")} == set()
