"""The one place that writes whole files: a reader finds the old content or the new, never half of it."""

import os
from pathlib import Path


def write(path: Path, content: str | bytes) -> None:
    """Replace the file at `path`, making its folder where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)  # noqa: PTH105 - atomic within a folder, on every platform
