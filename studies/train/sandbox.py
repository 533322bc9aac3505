"""A process for a user's function, which may raise, print without end, never return, or die, and take nothing along."""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from studies.train.calls import Answer, Request

TAIL = 4000  # bytes of what a trial prints that its record keeps, the last ones, where it fails
LOOK = 0.2  # seconds between two looks at whether the process lives
LAST = 2.0  # seconds in which a process that closed its connection ends
_END = b"\0end of a trial\0"
_SERVE = "import sys; sys.path[:] = {path!r}; from studies.train.sandbox import serve; serve({fd}, {parent})"


class FunctionError(Exception):
    """Failure of a user's function: the reason in a line, and the traceback with what it printed last."""

    def __init__(self, reason: str, details: str) -> None:
        super().__init__(reason)
        self.reason, self.details = reason, details


class Sandbox:
    """A process that calls functions one after the other, and starts again after it was stopped.

    Args:
        environment: Variables of the process that differ from this one's.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection[Any, Any] | None = None
        self._printed = b""

    def call(self, request: "Request", limit: float) -> "Answer":
        """The answer to a request.

        Raises FunctionError where the function raised, its process died, or `limit` seconds passed (0: any number may).
        """
        try:
            found = self._ask(request, limit)
        except BaseException:  # an interrupt too: the answer would be taken for that of the next request
            self.end()
            raise
        if found.reason:
            raise FunctionError(found.reason, found.details + self._said())
        return found

    def end(self) -> None:
        """Stop the process and all that it started."""
        process, self._process = self._process, None
        if process:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                process.kill()
            process.wait()
        if self._connection:
            self._connection.close()
            self._connection = None

    def _ask(self, request: "Request", limit: float) -> "Answer":
        if self._process is None or self._process.poll() is not None:
            self.end()
            self._start()
        assert self._process is not None
        assert self._connection is not None
        self._printed = b""
        started = time.monotonic()
        try:
            self._connection.send_bytes(pickle.dumps(request))
            while not self._connection.poll(LOOK):
                if limit and time.monotonic() - started > limit:
                    reason = f"no result after {limit:g} seconds, the limit of [engine]: it was stopped"
                    raise FunctionError(reason, reason + self._said(wait=False))
                if self._process.poll() is not None and not self._connection.poll():
                    raise EOFError
            found: Answer = pickle.loads(self._connection.recv_bytes())
        except (EOFError, OSError):
            reason = _ending(self._process)
            raise FunctionError(reason, reason + self._said()) from None
        return found

    def _start(self) -> None:
        ours, theirs = Pipe()
        code = _SERVE.format(path=[str(Path(__file__).parents[2]), *sys.path], fd=theirs.fileno(), parent=os.getpid())
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[theirs.fileno()],
            env={**os.environ, **self.environment},
            start_new_session=True,  # an interrupt is this process's to handle
        )
        theirs.close()
        self._connection = ours
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()

    def _read(self, process: "subprocess.Popen[bytes]") -> None:
        """Keep the last bytes of what the process prints."""
        assert process.stdout is not None
        with process.stdout:
            while chunk := os.read(process.stdout.fileno(), 1 << 16):
                if process is self._process:
                    self._printed = (self._printed + chunk)[-TAIL - len(_END) :]

    def _said(self, wait: bool = True) -> str:
        """The last bytes that the trial printed, under a heading; with `wait`, once all are here."""
        until = time.monotonic() + LOOK
        while wait and not self._printed.endswith(_END) and time.monotonic() < until:
            time.sleep(0.01)
        said = self._printed.removesuffix(_END).decode(errors="replace").strip()
        return f"\n\nThe last that it printed:\n{said}\n" if said else ""


def _ending(process: subprocess.Popen[bytes]) -> str:
    """The end of a process that answers no more, in words."""
    try:
        code = process.wait(LAST)
    except subprocess.TimeoutExpired:  # it lives: `call` stops it
        return "the function closed the files of its process, so no result can come: it was stopped"
    names = {each.value: each.name for each in signal.Signals}  # without those between SIGRTMIN and SIGRTMAX
    how = f"by signal {names.get(-code, -code)}" if code < 0 else f"with exit status {code}"
    return f"the process of the function ended {how}"


def serve(fd: int, parent: int) -> None:
    """Answer requests until the other end is closed, or its process is gone."""
    from studies.train import calls

    os.set_inheritable(fd, False)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr] # what it prints is here when it dies
    connection: Connection[Any, Any] = Connection(fd)
    while True:
        try:
            request = pickle.loads(connection.recv_bytes())
        except EOFError:
            return
        found = pickle.dumps(calls.answer(request))
        with contextlib.suppress(ValueError, OSError):  # the function may have closed them
            sys.stdout.flush()
            sys.stderr.flush()
            os.write(1, _END)
        connection.send_bytes(found)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
