"""A study small enough to train in a test, how to change it, and the command line in real processes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import Commands

from studies.data.runs.given import Given
from studies.data.runs.runs import Runs, read_runs

TINY = """
title = "Tiny"
[data]
name = "disk"
samples = 60
test_samples = 40
[validation]
folds = 3
[base]
hidden = [4]
batch_size = 16
epochs = 3
history_every = 1
[[grid]]
activation = ["relu", "tanh"]
optimizer = [{ name = "sgd", lr = 0.1 }, { name = "adam", lr = 0.01 }]
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Callable[..., Path]:
    """Writes the tiny study, after replacing text, and returns its path."""

    def write(*replacements: tuple[str, str], name: str = "tiny") -> Path:
        content = TINY
        for old, new in replacements:
            assert old in content, old
            content = content.replace(old, new)
        path = tmp_path / f"{name}.toml"
        path.write_text(content)
        return path

    return write


@pytest.fixture(scope="session")
def commands() -> Iterator[Commands]:
    with Commands() as started:
        yield started


@pytest.fixture
def call(commands: Commands) -> Callable:
    return commands.call


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Runs]:
    """Runs of a table that is given as a text."""

    def read_text(text: str | bytes, encoding: str = "utf-8", **options: str) -> Runs:
        path = tmp_path / "runs.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return read_runs(path, Given(**options))

    return read_text
