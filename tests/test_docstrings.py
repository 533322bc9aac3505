"""Examples in docstrings run, and print what they say."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PATHS = [path for package in ("framework", "studies") for path in sorted((ROOT / package).rglob("*.py"))]
NAMES = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in PATHS if ">>> " in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("name", NAMES)
def test_examples_of_a_module(name):
    failed, attempted = doctest.testmod(import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert attempted
    assert not failed
