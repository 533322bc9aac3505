"""Shards: files of JSON lines, each written by one run only, so that no lock is needed.

A shard is named after its run: start, host, place, process. It lies there from the run's start, empty or not, and is touched
every few seconds to say that the run is at work. Its lines are records of trials, keys of trials that the run has begun, and
notes of what the run is.
"""

import contextlib
import datetime
import functools
import hashlib
import json
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from studies.columns import MADE_BY, NEWER, Record

BEAT = 5.0  # seconds from one touch of a shard to the next
SILENT = 120.0  # seconds without a touch after which a run counts as ended: file servers report times a minute late
_END = b'{"ended": true}\n'
_NAME = re.compile(r"\d{8}T\d{6}-(?P<host>.+?)(-(?P<place>[0-9a-f]{12}))?-(?P<process>\d+)-[0-9a-f]+")
_NEEDED = {"study", "trial", "config", "label", "status", *MADE_BY} - {*NEWER}  # without which a record is none


class Writer(NamedTuple):
    """The run that a shard belongs to: its host, process, and the place in which that number means this process."""

    host: str
    process: int
    place: str


class Shard:
    """Shards of one run: `paths`, of which a thread touches the last until `end`."""

    def __init__(self, folder: Path) -> None:
        self.paths = [_created(folder)]
        self._ended = threading.Event()
        self._beat = threading.Thread(target=self._touch, daemon=True)
        self._beat.start()

    def append(self, records: Iterable[Record]) -> None:
        """Put records on disk, a line each.

        Raises OSError where they are not all there; what follows goes to a new shard, since the last line here may be torn. The
        same where another run took this one for dead and has moved its lines to the tables: its shard is gone.
        """
        lines = "".join(json.dumps(record) + "\n" for record in records).encode()
        try:
            written, there = _written(self.path, lines)
        except FileNotFoundError:
            written, there = 0, False
        except OSError:
            self._renew()
            raise
        if not there:
            self._renew()
            written, _ = _written(self.path, lines)
        if written != len(lines):
            torn = self.path
            self._renew()
            raise OSError(f"{written} of {len(lines)} bytes could be written to {torn}: is the disk full?")

    @property
    def path(self) -> Path:
        """The file that is written to."""
        return self.paths[-1]

    @property
    def time(self) -> float:
        """The time by the clock of the file system, which several machines may share.

        Raises FileNotFoundError where the folder is gone.
        """
        if not self.path.exists():
            self._renew()
        os.utime(self.path)
        return self.path.stat().st_mtime

    def end(self) -> None:
        """Say that nothing is to follow."""
        self._ended.set()
        self._beat.join()
        with contextlib.suppress(OSError), os.fdopen(os.open(self.path, os.O_WRONLY | os.O_APPEND), "wb") as file:
            file.write(_END)

    def _renew(self) -> None:
        """Go on in a new shard. Raises FileNotFoundError where the folder is gone too."""
        if not self.path.parent.is_dir():
            raise FileNotFoundError(
                f"{self.path} is gone: its folder was removed or moved aside during the run; run again"
            ) from None
        self.paths.append(_created(self.path.parent))

    def _touch(self) -> None:
        while not self._ended.wait(BEAT):
            with contextlib.suppress(OSError):
                os.utime(self.path)


class Others:
    """Trials that other runs at work in a folder have begun and done, read as their shards grow."""

    def __init__(self, folder: Path, own: Shard) -> None:
        self._folder, self._own = folder, own
        self._read: dict[Path, tuple[int, set[str], dict[str, Record]]] = {}

    def look(self) -> tuple[set[str], dict[str, Record]]:
        """The keys of trials that runs at work have begun and not done, and the records of those that they have done."""
        found = {shard: self._of(shard) for shard in find_shards(self._folder) if shard not in self._own.paths}
        self._read = found
        done = {key: record for _, _, records in found.values() for key, record in records.items()}
        at = self._own.time
        begun = {key for shard, (_, keys, _) in found.items() if is_live(shard, at) for key in keys}
        return begun - {*done}, done

    def _of(self, shard: Path) -> tuple[int, set[str], dict[str, Record]]:
        """Bytes of a shard that are read, and keys begun and records done up to there."""
        offset, begun, done = self._read.get(shard, (0, set(), {}))
        with contextlib.suppress(FileNotFoundError):
            if shard.stat().st_size > offset:
                content = shard.read_bytes()
                end = content.rfind(b"\n") + 1
                for record in _records(content[offset:end]):
                    begun.update(record.get("begun", ()))
                    if record.get("status") == "ok":
                        done[record["trial"]] = record
                offset = end
        return offset, begun, done


def _written(shard: Path, lines: bytes) -> tuple[int, bool]:
    """Bytes that were put on disk at the end of a shard, and True where it is still in its folder after that."""
    with os.fdopen(os.open(shard, os.O_WRONLY | os.O_APPEND), "wb", buffering=0) as file:
        written = file.write(lines)
        os.fsync(file.fileno())
        return written, os.fstat(file.fileno()).st_nlink > 0


def now() -> str:
    """The time as it stands in names of files."""
    return f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S}"


def _created(folder: Path) -> Path:
    """A new, empty shard of this process."""
    folder.mkdir(parents=True, exist_ok=True)
    shard = folder / f"{now()}-{socket.gethostname()}-{_place()}-{os.getpid()}-{secrets.token_hex(4)}.jsonl"
    shard.touch(exist_ok=False)
    return shard


@functools.cache
def _place() -> str:
    """A hash of what gives processes their numbers: the running kernel and the container, else the host."""
    try:
        found = Path("/proc/sys/kernel/random/boot_id").read_text() + str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        found = socket.gethostname()
    return hashlib.blake2b(found.encode(), digest_size=6).hexdigest()


def read_shard(shard: Path) -> list[Record]:
    """The lines of a shard, without one that a crash tore. Empty where the shard is gone."""
    try:
        return _records(shard.read_bytes())
    except FileNotFoundError:
        return []


def _records(content: bytes) -> list[Record]:
    """The lines that are records, begun keys or notes of a run."""
    records = []
    for line in content.decode(errors="replace").splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and (
            isinstance(record.get("run"), dict) or isinstance(record.get("begun"), list) or set(record) >= _NEEDED
        ):
            records.append(record)
    return records


def find_shards(folder: Path) -> list[Path]:
    """The shards in a folder, in the order of their beginnings."""
    return sorted(path for path in folder.glob("*.jsonl") if _NAME.fullmatch(path.stem))


def writer(shard: Path) -> Writer:
    """The run that a shard belongs to; shards of earlier versions name no place."""
    found = _NAME.fullmatch(shard.stem)
    assert found is not None
    return Writer(found["host"], int(found["process"]), found["place"] or "")


def is_live(shard: Path, at: float | None = None) -> bool:
    """True where a run may still write to a shard, at a time by the file system's clock, by default this machine's.

    It has not said that it ended, has touched the shard within `SILENT` seconds, and its process exists where that is known.
    """
    at = time.time() if at is None else at
    own = writer(shard)
    if own.place == _place() and not _exists(own.process):
        return False
    try:
        return at - shard.stat().st_mtime < SILENT and not has_ended(shard)
    except FileNotFoundError:
        return False


def is_finished(shard: Path) -> bool:
    """True where nothing is to follow in a shard: its run has ended, or noted how long it took."""
    return not is_live(shard) or any("seconds" in record.get("run", {}) for record in read_shard(shard)[-1:])


def has_ended(shard: Path) -> bool:
    """True where the run of a shard has said that nothing is to follow."""
    with shard.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - len(_END)))
        return file.read() == _END


def shard_sizes(found: Iterable[Path]) -> dict[Path, int]:
    """The bytes of each shard that is still there: it only ever grows, so they say whether there is more to read."""
    there = {}
    for shard in found:
        with contextlib.suppress(FileNotFoundError):
            there[shard] = shard.stat().st_size
    return there


def _exists(process: int) -> bool:
    """True where a process of that number runs here."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
