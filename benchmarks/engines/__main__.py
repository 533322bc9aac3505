"""An engine's process: `python -m benchmarks.engines NAME [CORE]` answers pickled calls from standard input, until it ends.

A call is `(function, arguments)`, an answer `(result, error, peak memory in MB)`. `prepare` keeps what it returns here, and
answers its seconds of compilation.
"""

import importlib
import os
import pickle
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.work import Prepared, UnavailableError


def peak_mb() -> float:
    """The most memory this process has held, and each of its living children, added up.

    From /proc: `ru_maxrss` of a fresh process begins at what its parent held.
    """
    own = Path("/proc/self")
    if not (own / "status").exists():
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    children = [child for task in (own / "task").iterdir() for child in (task / "children").read_text().split()]
    statuses = [Path("/proc") / process / "status" for process in ("self", *children)]
    texts = [status.read_text() for status in statuses if status.exists()]
    lines = [line for text in texts for line in text.splitlines() if line.startswith("VmHWM")]
    return sum(int(line.split()[1]) for line in lines) / 1e3


def answer(module: ModuleType, prepared: list[Prepared], function: str, arguments: tuple[Any, ...]) -> object:
    """Answer of a module's function; `prepared` keeps the work that `train` trains."""
    if function == "train":
        return prepared[0].train(*arguments)
    result = getattr(module, function)(*arguments)
    if function == "prepare":
        prepared[:] = [result]
        return result.compile_seconds
    return result


def main(name: str, core: str = "") -> None:
    """Answer calls until standard input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the answers
    try:
        module, missing = importlib.import_module(f"benchmarks.engines.{name}"), ""
    except ModuleNotFoundError as error:
        module, missing = ModuleType(name), f"{error.name} is not installed"
    if core:
        os.sched_setaffinity(0, {int(core)})  # after the imports, which may as well take turns on all cores
    prepared: list[Prepared] = []
    while True:
        try:
            function, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        result, problem = None, "" if function == "start" else missing
        if not problem and function != "start":
            try:
                result = answer(module, prepared, function, arguments)
            except UnavailableError as error:
                problem = str(error)
            except Exception as error:
                traceback.print_exc()
                problem = traceback.format_exception_only(error)[-1].strip()
        pickle.dump((result, problem, peak_mb()), answers)
        answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
