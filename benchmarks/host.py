"""An engine's process from outside: started with one thread on one core, kept alive, and called when it is its turn."""

import math
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from benchmarks import before
from benchmarks.work import UnavailableError

_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "TORCHINDUCTOR_COMPILE_THREADS": "1",
}


class Caller(Protocol):
    """An engine that answers calls. `peak_mb` is the most memory its process has held so far."""

    peak_mb: float

    def call(self, function: str, *arguments: object) -> Any:  # noqa: ANN401
        """Answer of the engine's function."""


class Missing:
    """An engine that cannot be started, for a reason."""

    peak_mb = math.nan

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def call(self, function: str, *arguments: object) -> None:  # noqa: ARG002 - as of a Host
        """Nothing where the engine is only started; else raises UnavailableError with the reason."""
        if function != "start":
            raise UnavailableError(self._reason)


class Host:
    """The process of one engine."""

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", stderr: Path) -> None:
        self.name, self._process, self._stderr = name, process, stderr
        self.peak_mb = 0.0

    def call(self, function: str, *arguments: object) -> Any:  # noqa: ANN401
        """Answer of the engine's function.

        Raises UnavailableError with the reason where it does not have the work or failed at it, as without a compiler, and
        RuntimeError where its process ended.
        """
        assert self._process.stdin
        assert self._process.stdout
        try:
            pickle.dump((function, arguments), self._process.stdin)
            self._process.stdin.flush()
            result, problem, self.peak_mb = pickle.load(self._process.stdout)
        except (EOFError, BrokenPipeError):
            self._process.wait()
            said = self._stderr.read_text(errors="replace").strip().splitlines()
            reason = said[-1] if said else "it said nothing"
            raise RuntimeError(f"{self.name} ended with status {self._process.returncode}: {reason}") from None
        if problem:
            raise UnavailableError(problem)
        return result


@contextmanager
def hosts(engines: Mapping[str, str], one_core: bool = True) -> Iterator[dict[str, Caller]]:
    """A process for the engine of each name, with one thread on the last of the usable cores, or as free as a user's.

    They end with the context.
    """
    core = str(max(os.sched_getaffinity(0))) if one_core and hasattr(os, "sched_getaffinity") else ""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        started: dict[str, Caller] = {}
        for name, engine in engines.items():
            root, module = before.ROOT, engine
            if engine == "before":
                try:
                    root, module = before.checkout(folder / "before"), "ours"
                except UnavailableError as reason:
                    started[name] = Missing(str(reason))
                    continue
            environment = {
                **os.environ,
                **(_ONE_THREAD if one_core else {}),
                "PYTHONPATH": str(root),  # of the processes that it starts, too
                "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),  # torch.compile would find what an earlier run compiled
            }
            stderr = stack.enter_context((folder / f"{name}.txt").open("wb"))
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "benchmarks.engines", module, core],
                    cwd=root,
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                )
            )
            started[name] = Host(name, process, folder / f"{name}.txt")
        yield started
