"""The command line in real processes, each forked from one that has imported everything: that takes 4 s of a core."""

import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

PATIENCE = 120.0  # seconds for what takes one or two on a quiet machine
_SERVER = """
import gc, json, os, signal, sys
from studies import cli
from studies.show import figures
from studies.train import cluster

gc.freeze()  # else every process looks through all that was imported as it ends, for 2 s
for line in sys.stdin:
    asked = json.loads(line)
    if "ended" in asked:
        process, status = os.waitpid(asked["ended"], os.WNOHANG)
        print(json.dumps(os.waitstatus_to_exitcode(status) if process else None), flush=True)
        continue
    process = os.fork()
    if process:
        print(process, flush=True)
        continue
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has what it starts in the background ignore it
    os.chdir(asked["cwd"])
    os.environ["COLUMNS"] = "200"
    for descriptor, path in enumerate((os.devnull, asked["output"], asked["errors"])):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), descriptor)
    exec(asked["first"])
    cli.main(asked["arguments"], prog_name="ablation")
"""


class Command:
    """One process of the command line, which leads a session of its own, as a shell's would."""

    def __init__(self, server: "Commands", pid: int, output: Path, errors: Path) -> None:
        self.pid, self._server, self._output, self._errors = pid, server, output, errors
        self._status: int | None = None

    def poll(self) -> int | None:
        """Its exit status, minus a signal's number where one ended it; None: it runs."""
        if self._status is None:
            self._status = self._server.ask({"ended": self.pid})
        return self._status

    def wait(self, timeout: float = PATIENCE) -> int:
        """Its exit status, once there is one; raises subprocess.TimeoutExpired."""
        end = time.monotonic() + timeout
        while (status := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(0.02)
        return status

    def finish(self) -> subprocess.CompletedProcess[str]:
        """Its exit status and what it wrote."""
        return subprocess.CompletedProcess(self.pid, self.wait(), self._output.read_text(), self._errors.read_text())


class Commands:
    """The process that the others are forked from; it ends with this."""

    def __enter__(self) -> "Commands":
        self._folder = TemporaryDirectory()
        self._count = 0
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
        self._folder.cleanup()

    def ask(self, request: dict) -> int | None:
        """Answer of the process."""
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def begin(self, *arguments: object, cwd: Path, first: str = "") -> Command:
        """Start `ablation ARGUMENTS` in a folder, after running some code."""
        self._count += 1
        output, errors = (Path(self._folder.name) / f"{self._count}.{name}" for name in ("output", "errors"))
        request = {"arguments": [*map(str, arguments)], "cwd": str(cwd), "first": first}
        return Command(self, self.ask({**request, "output": str(output), "errors": str(errors)}), output, errors)

    def call(self, *arguments: object, cwd: Path, first: str = "") -> subprocess.CompletedProcess[str]:
        """Outcome of `ablation ARGUMENTS`."""
        return self.begin(*arguments, cwd=cwd, first=first).finish()
