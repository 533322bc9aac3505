"""The stages of measurement: steps, a grid, growth, two processes, commands. Each yields flat rows, one a measured number.

The processes of all engines live at the same time, and each has its turn in every round, in rotating order: whatever else the
machine does falls on all of them alike, so that ratios within a round hold where times wander.
"""

import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from benchmarks import before, checks, data, machine, scale
from benchmarks.host import Caller, hosts
from benchmarks.scale import Scale
from benchmarks.work import FOLDS, GridRun, Rows, Trained, UnavailableError, Work, operations, steps, widths

Table = list[dict[str, Any]]
Tell = Callable[[str], None]
T = TypeVar("T")


def measure_steps(sizes: Scale, engines: Sequence[str], tell: Tell) -> dict[str, Table]:
    """Microseconds per model and step of every engine in every case, and whether each learned what this suite did."""
    timed: Table = []
    learned: Table = []
    with hosts({name: name for name in engines}) as running:
        imports = _start(running)
        for case in sizes.cases:
            named = _named(case)
            works = {name: _for(name, scale.work(sizes, *case)) for name in running}
            planned = {name: sizes.slow_rounds if name in scale.SLOW else sizes.rounds for name in running}
            rounds, errors = _measured(" ".join(case), running, works, planned, tell)
            timed += [named | row for row in rounds]
            for name in errors:
                if name in ("ours", "floor", "large"):
                    continue
                pairs = zip(errors[name], errors["ours"], strict=False)  # slow engines have fewer rounds
                learned.append({"stage": "steps", **named, "engine": name, **checks.compare(pairs)._asdict()})
        memory = _memory("steps", running, imports)
    return {"steps": timed, "learned": learned, "memory": memory}


def measure_growth(sizes: Scale, engines: Sequence[str], tell: Tell) -> dict[str, Table]:
    """Microseconds per model and step by models, width, data and batch, of this suite, JAX in its best form and the floor."""
    table: Table = []
    measured = [name for name in ("ours", "stack", "before", "jax_columns", "floor") if name in engines]
    with hosts({name: name for name in measured}) as running:
        imports = _start(running)
        for (axis, value), work in sizes.growth.items():
            works = {name: _for(name, work) for name in running}
            rounds, _ = _measured(f"{axis} {value}", running, works, dict.fromkeys(works, sizes.growth_rounds), tell)
            sizes_of = widths(work, data.rows(work, 0))
            count = operations(sizes_of, work.batch_size)
            network = {"axis": axis, "value": value, "widths": "-".join(map(str, sizes_of)), "all_models": len(work.members)}
            for row in rounds:
                speed = {"gigaflops": 1e-3 * count / row["us_per_model_step"]} if "round" in row else {}
                table.append({**network, **row, **speed})
        memory = _memory("growth", running, imports)
    return {"growth": table, "memory": memory}


def measure_grid(sizes: Scale, engines: Sequence[str], tell: Tell) -> dict[str, Table]:
    """Seconds of wall time for a whole grid, each engine as a user would run it: threads and cores as it likes.

    The slow peers train a part of the grid, spread evenly over it and another in every round; their time is scaled up.
    """
    works = scale.grid(sizes)
    total = sum(len(work.members) for work in works)
    jobs = sizes.grid_jobs
    users = (("ours", 1), ("ours", jobs), ("before", jobs), ("torch_loop", jobs), ("jax_columns", 1))
    runs = {_run(engine, jobs): (engine, jobs) for engine, jobs in users if engine in engines}
    table: Table = []
    errors: dict[str, list[Mapping[int, checks.Errors]]] = {run: [] for run in runs}
    with hosts({run: engine for run, (engine, _) in runs.items()}, one_core=False) as running:
        imports = _start(running)
        for turn in range(sizes.grid_rounds):
            rows = data.rows(works[0], turn)
            for run in _rotated(list(runs), turn):
                engine, jobs = runs[run]
                part = part_of_grid(engine, works, sizes, turn)
                models = sum(len(work.members) for work in part.values())
                try:
                    result: GridRun = running[run].call("grid", list(part.values()), rows, jobs, turn)
                except UnavailableError as reason:
                    if engine == "ours":
                        raise
                    table.append({"run": run, "reason": str(reason)})
                    continue
                errors[run].append(dict(zip(part, result.error_pct, strict=True)))
                times = _scaled(result, total / models)
                table.append({"run": run, "round": turn, "models": models, **times})
                tell(f"grid: {run}: {times['seconds']:.1f} s")
        memory = _memory("grid", running, imports)
    pairs = {
        run: [(got[index], ours[index]) for got, ours in zip(rounds, errors[_run("ours", 1)], strict=True) for index in got]
        for run, rounds in errors.items()
        if rounds and run != _run("ours", 1)
    }
    learned = [{"stage": "grid", "engine": run, **checks.compare(pair)._asdict()} for run, pair in pairs.items()]
    return {"grid": table, "learned": learned, "memory": memory}


def measure_processes(sizes: Scale, engines: Sequence[str], tell: Tell) -> dict[str, Table]:  # noqa: ARG001 - none but this suite
    """Gain of two processes over one: this suite trains in one of two, then in both at the same time.

    Starting a process is not in it, as `grid` has that.
    """
    table: Table = []
    with hosts({"first": "ours", "second": "ours"}, one_core=False) as running, ThreadPoolExecutor(2) as at_once:
        _start(running)
        for case in sizes.process_cases:
            work = replace(scale.work(sizes, *case), epochs=sizes.process_epochs)
            for host in running.values():
                host.call("prepare", work, data.rows(work, 0))
            for turn in range(sizes.rounds):
                call = partial(_seconds, rows=data.rows(work, turn), turn=turn)
                alone = call(list(running.values())[turn % 2])
                both = list(at_once.map(call, running.values()))
                times = sum(alone / seconds for seconds in both)
                table.append(_named(case) | {"round": turn, "alone_seconds": alone, "both_seconds": max(both), "times": times})
                tell(
                    f"{' '.join(case)}: round {turn + 1} of {sizes.rounds}: two processes do {times:.2f} times the work of one"
                )
    return {"processes": table}


def measure_commands(sizes: Scale, engines: Sequence[str], tell: Tell) -> dict[str, Table]:
    """Seconds of whole commands, each by the code before and by this, in folders of their own."""
    table: Table = []
    with tempfile.TemporaryDirectory() as folder:
        roots = {"ours": before.ROOT}
        if "before" in engines:
            try:
                roots["before"] = before.checkout(Path(folder) / "before")
            except UnavailableError as reason:
                table = [{"command": name, "engine": "before", "reason": str(reason)} for name in sizes.commands]
        for name, arguments in sizes.commands.items():
            for engine, root in roots.items():
                seconds = run_command(root, arguments, Path(folder) / name / engine)
                table.append({"command": name, "engine": engine, "round": 0, "seconds": seconds, **machine.where()})
                tell(f"{name}: {engine}: {seconds:.0f} s")
    return {"commands": table}


def run_command(root: Path, arguments: Sequence[str], folder: Path) -> float:
    """Seconds of `ablation` with these arguments by the code in `root`, with results and figures in a new folder.

    Raises subprocess.CalledProcessError where it fails.
    """
    command = [sys.executable, "-m", "studies", *arguments, "--results", str(folder), "--figures", str(folder / "figures")]
    environment = {**os.environ, "PYTHONPATH": str(root)}  # of its workers, too
    begin = time.perf_counter()
    subprocess.run(command, cwd=root, env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begin


def _seconds(host: Caller, rows: Rows, turn: int) -> float:
    trained: Trained = host.call("train", rows, turn)
    return trained.seconds


def _named(case: tuple[str, str, str]) -> dict[str, str]:
    return dict(zip(("activation", "optimizer", "batchnorm"), case, strict=True))


def _measured(
    what: str, running: Mapping[str, Caller], works: Mapping[str, Work], rounds: Mapping[str, int], tell: Tell
) -> tuple[Table, dict[str, list[checks.Errors]]]:
    """A row for each engine and round, or one with the reason why there is none; and the errors of each by round."""
    table: Table = []
    compiled: dict[str, float] = {}
    for name, work in works.items():
        try:
            compiled[name] = running[name].call("prepare", work, data.rows(work, 0))
        except UnavailableError as reason:
            if name == "ours":
                raise
            table.append({"engine": name, "models": len(work.members), "reason": str(reason)})
    errors: dict[str, list[checks.Errors]] = {name: [] for name in compiled}
    for turn in range(max(rounds.values())):
        for name in _rotated([name for name in compiled if turn < rounds[name]], turn):
            work, rows = works[name], data.rows(works[name], turn)
            trained: Trained = running[name].call("train", rows, turn)
            count = steps(work, rows)
            each = 1e6 * trained.seconds / (len(work.members) * count)
            row = {"engine": name, "round": turn, "models": len(work.members), "steps": count, "seconds": trained.seconds}
            table.append(row | {"us_per_model_step": each, "compile_seconds": compiled[name]})
            errors[name].append(trained.error_pct)
            tell(f"{what}: round {turn + 1} of {rounds[name]}: {name} {each:.1f} us per model and step")
    return table, errors


def _for(engine: str, work: Work) -> Work:
    """The work of an engine: every eleventh model where it trains one by one."""
    return replace(work, members=work.members[:: FOLDS + 1]) if engine in scale.ONE_BY_ONE else work


def _run(engine: str, jobs: int) -> str:
    return f"{engine}, {jobs} job{'s' if jobs > 1 else ''}"


def part_of_grid(engine: str, works: Sequence[Work], sizes: Scale, turn: int) -> dict[int, Work]:
    """The part of the grid that an engine trains, by place in the grid.

    Of torch.nn's, one model of every structure; of JAX's, one structure in several.
    """
    if engine == "torch_loop":
        return {
            index: replace(work, members=((FOLDS + 1) * (index + turn) % len(work.members),))
            for index, work in enumerate(works)
        }
    if engine == "jax_columns":
        every = len(works) // sizes.grid_structures_of_jax
        return dict(list(enumerate(works))[turn % every :: every])
    return dict(enumerate(works))


def _scaled(run: GridRun, factor: float) -> dict[str, float]:
    """Measured seconds, and seconds that the whole grid would take: starting processes is paid once."""
    return {
        "seconds_measured": run.seconds,
        "scaled_by": factor,
        "start_seconds": run.start_seconds,
        "compile_seconds": factor * run.compile_seconds,
        "seconds": run.start_seconds + factor * (run.seconds - run.start_seconds),
    }


def _start(running: Mapping[str, Caller]) -> dict[str, float]:
    """Wait until all processes have imported what they need; the memory that took."""
    for host in running.values():
        host.call("start")
    return {name: host.peak_mb for name, host in running.items()}


def _memory(stage: str, running: Mapping[str, Caller], imports: Mapping[str, float]) -> Table:
    return [
        {"stage": stage, "engine": name, "imports_mb": imports[name], "peak_mb": host.peak_mb}
        for name, host in running.items()
        if not math.isnan(host.peak_mb)
    ]


def _rotated(items: Sequence[T], turn: int) -> Iterable[T]:
    start = turn % len(items)
    return [*items[start:], *items[:start]]
