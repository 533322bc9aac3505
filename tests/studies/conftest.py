"""A study small enough to train in a test, and how to change it."""

from collections.abc import Callable
from pathlib import Path

import pytest

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
