"""Shards: what runs wrote line by line, each run to a file of its own, so that no two writers meet and none needs a lock.

A shard is named after its run (start, host, process) and lies there from the run's start, empty or not, to say that it is at
work. Its lines are records of trials, and what the run was.
"""

import contextlib
import datetime
import json
import os
import re
import secrets
import socket
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from studies.columns import MADE_BY, NEWER

Record = dict[str, Any]

# Seconds without a line after which a run counts as ended: of another host nothing else tells, and on this one its number may
# be another process's by now. Should it live, it is told that its shard is gone, and a second run trains what it lost.
ENDED = 24 * 3600
_NEEDED = {"study", "trial", "config", "label", "status", *MADE_BY} - {*NEWER}  # without which a record is none


def now() -> str:
    """The time as it stands in names of files."""
    return f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S}"


def begin(folder: Path) -> Path:
    """A new shard of this process."""
    folder.mkdir(parents=True, exist_ok=True)
    shard = folder / f"{now()}-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}.jsonl"
    shard.touch(exist_ok=False)
    return shard


def append(shard: Path, records: Iterable[Record]) -> None:
    """Put records on disk, a line each.

    Raises OSError where they are not all there; then the last line may be torn, and nothing is to follow it.
    """
    lines = "".join(json.dumps(record) + "\n" for record in records).encode()
    try:
        with os.fdopen(os.open(shard, os.O_WRONLY | os.O_APPEND), "wb", buffering=0) as file:
            written = file.write(lines)
            os.fsync(file.fileno())
    except FileNotFoundError:
        raise FileNotFoundError(f"{shard} is gone: its folder was removed or moved aside during the run; run again") from None
    if written != len(lines):
        raise OSError(f"{written} of {len(lines)} bytes could be written to {shard}: is the disk full?")


def read(shard: Path) -> list[Record]:
    """The lines of a shard; one torn by a crash is skipped, and its trials train again. Empty where it is gone."""
    try:
        lines = shard.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    records = []
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and (isinstance(record.get("run"), dict) or set(record) >= _NEEDED):
            records.append(record)
    return records


def of(folder: Path) -> list[Path]:
    """The shards in a folder, in the order of their beginnings."""
    return sorted(path for path in folder.glob("*.jsonl") if re.fullmatch(r"\d{8}T\d{6}-.+-\d+-[0-9a-f]+", path.stem))


def writer(shard: Path) -> tuple[str, int]:
    """The host and the process that a shard belongs to."""
    started_and_host, process, _ = shard.stem.rsplit("-", 2)
    return started_and_host.partition("-")[2], int(process)


def is_live(shard: Path) -> bool:
    """Whether another run may still write to a shard: its process exists, or is of another host, and wrote within a day."""
    host, process = writer(shard)
    if host == socket.gethostname() and not _exists(process):
        return False
    try:
        return time.time() - shard.stat().st_mtime < ENDED
    except FileNotFoundError:
        return False


def is_finished(shard: Path) -> bool:
    """Whether nothing is to follow in a shard: its run has ended, or noted how long it took."""
    return not is_live(shard) or any("seconds" in record.get("run", {}) for record in read(shard)[-1:])


def sizes(found: Iterable[Path]) -> dict[Path, int]:
    """The bytes of each shard that is still there: it only ever grows, so they say whether there is more to read."""
    there = {}
    for shard in found:
        with contextlib.suppress(FileNotFoundError):
            there[shard] = shard.stat().st_size
    return there


def _exists(process: int) -> bool:
    """Whether another process of this host has that number."""
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
