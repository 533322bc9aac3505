"""Whole files, written elsewhere and moved into place: a reader finds the old content or the new, never half of it."""

import contextlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

ABANDONED = 600.0  # seconds after which a temporary file is one that a killed process left beside a file


def write(path: Path, content: str | bytes) -> None:
    """Replace the file at `path`, making its folder where there is none; on disk when this returns.

    Raises OSError, and leaves the file that was there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105 - atomic within a folder, on every platform
    finally:
        temporary.unlink(missing_ok=True)
    if os.name == "posix":  # until the folder is on disk too, the old content may come back
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def abandoned(folder: Path) -> Iterator[Path]:
    """Files that killed processes left half-written in a folder; younger ones may be of a process that is writing."""
    for temporary in folder.glob(".*.tmp"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - temporary.stat().st_mtime > ABANDONED:
                yield temporary
