"""Output streams, signals and warnings, which the command line shares with the shell around it."""

import errno
import io
import os
import signal
import sys
import warnings
from types import FrameType
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_GONE = (errno.EPIPE, errno.EIO)  # of a reader: it closed the pipe, or the terminal is no more


class _Output(io.FileIO):
    """A file descriptor whose reader may go away: the command then goes on, and what it prints is dropped.

    Any other error, such as a full disk, is raised once.
    """

    def write(self, content: "ReadableBuffer", /) -> int:
        try:
            return super().write(content)
        except OSError as error:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.fileno())
            os.close(null)
            if error.errno not in _GONE:
                raise
            return memoryview(content).nbytes


def prepare() -> None:
    """Set up this process as a command.

    Its output survives a closed pipe, and has a question mark for a character that the terminal's encoding lacks. SIGTERM and
    SIGHUP end it as an interrupt does. A warning is one line.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and stream is getattr(sys, f"__{name}__"):  # neither closed nor replaced
            stream.flush()
            raw = io.BufferedWriter(_Output(stream.fileno(), "w", closefd=False))
            patient = io.TextIOWrapper(raw, stream.encoding, "replace", line_buffering=stream.line_buffering)
            setattr(sys, name, patient)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _interrupt)
    warnings.showwarning = _show


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise KeyboardInterrupt(number)


def status(interrupt: KeyboardInterrupt) -> int:
    """The exit status of a command that a signal ended: 130 for SIGINT, 143 for SIGTERM."""
    return 128 + (interrupt.args or (signal.SIGINT,))[0]


def _show(message: Warning | str, *_: object, **__: object) -> None:
    click.echo(f"ablation: {message}", err=True)
