"""This suite on a CUDA device: `python -m benchmarks cuda`. How fast, against the CPU and against what the device allows.

A step moves so many bytes in so many kernels. It can be no faster than the bytes over the device's bandwidth, nor than the
kernels over the rate at which a recorded graph starts them: the larger of the two is the floor of the step as it is written.
"""

import contextlib
import itertools
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pandas as pd
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import framework as fw
from benchmarks import data, scale
from benchmarks.engines import ours
from benchmarks.work import Rows, Work, steps
from framework import capture
from studies import files, runner
from studies.stack import Stack
from studies.store import to_csv
from studies.tables import markdown

CASES = (scale.CASES[0], scale.CASES[4], scale.CASES[7])
MODELS = (60, 120, 1_000, 10_000, 30_000)
AS_WRITTEN = 1_000  # models at most, where a step is not recorded
EPOCHS = 3, 13  # seconds of the one are taken from those of the other: what a training pays once is in neither
ROUNDS = 3
CUDA, CPU = torch.device("cuda"), torch.device("cpu")

Started = tuple[fw.Sequential, fw.Loss, fw.Several]


def bandwidth() -> float:
    """Bytes a second of a copy within the device, read and written."""
    source = torch.ones(1 << 28, device=CUDA)
    copy = torch.empty_like(source)
    return 2 * source.nbytes / _seconds(lambda: copy.copy_(source), 20)


def launch() -> float:
    """Seconds that a kernel of a recorded graph takes where it has next to nothing to do."""
    count, x = 1_000, torch.zeros(1, device=CUDA)
    x.add_(1)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(count):
            x.add_(1)
    return _seconds(graph.replay, 20) / count


def _seconds(call: Callable[[], object], times: int) -> float:
    """Seconds of a call, the median of several."""
    taken = []
    for _ in range(times):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        call()
        torch.cuda.synchronize()
        taken.append(time.perf_counter() - begin)
    return float(pd.Series(taken).median())


class _Traffic(TorchDispatchMode):
    """Counts operations that compute something, a kernel each, and the bytes that they read and write."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels = self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401
        result = func(*args, **(kwargs or {}))
        tensors = {id(leaf): leaf for leaf in tree_leaves([args, kwargs or {}, result]) if isinstance(leaf, Tensor)}
        if not func.is_view:
            self.kernels += 1
            self.bytes += sum(map(_bytes, tensors.values()))
        return result


def _bytes(x: Tensor) -> int:
    """Its numbers, each once however often it is repeated along an axis."""
    return x.element_size() * math.prod(size for size, stride in zip(x.shape, x.stride(), strict=True) if stride)


def traffic(work: Work, started: Started) -> tuple[int, int]:
    """Kernels and bytes of one step, but for taking its batch."""
    model, loss, optimizer = started
    x = torch.rand(model.replicas, 2, work.batch_size, device=CUDA)
    target = torch.cat([x[:, :1], 1 - x[:, :1]], 1)
    factor = torch.ones((), device=CUDA)

    def step() -> None:
        _, gradient = loss(model.forward(x), target)
        model.accumulate(gradient)
        optimizer.step(factor)

    step()  # makes its buffers
    with _Traffic() as counted:
        step()
    return counted.kernels, counted.bytes


@contextlib.contextmanager
def _as_written() -> Iterator[None]:
    """Within, no step is recorded."""
    recorders = dict(capture.RECORDERS)
    capture.RECORDERS.clear()
    try:
        yield
    finally:
        capture.RECORDERS.update(recorders)


def _step_seconds(work: Work, stack: Stack, rows: Rows, device: torch.device) -> float:
    """Seconds of a step of the whole stack."""
    taken = []
    for _ in range(ROUNDS):
        seconds = []
        for epochs in EPOCHS:
            started = ours.start(work, stack, rows, 0, device)
            torch.cuda.synchronize()
            begin = time.perf_counter()
            ours.fit(replace(work, epochs=epochs), stack, rows, 0, started)
            torch.cuda.synchronize()
            seconds.append(time.perf_counter() - begin)
        taken.append((seconds[1] - seconds[0]) / (EPOCHS[1] - EPOCHS[0]))
    return float(pd.Series(taken).median()) / steps(replace(work, epochs=1), rows)


def measure(echo: Callable[[str], None]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What the device is, and a record of each case, number of models and way to run a step."""
    about = {
        "device": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "gigabytes_per_second": bandwidth() / 1e9,
        "launch_us": 1e6 * launch(),
    }
    echo(str(about))
    records = []
    for case, models in itertools.product(CASES, MODELS):
        work = scale.work(replace(scale.FULL, models=60), *case)
        rows = data.rows(work, 0)
        planned = data.stacks(work)[0]
        stack = replace(planned, trials=(list(planned.trials) * (models // 60 + 1))[:models])
        ways = [("cpu", CPU)] if models == 60 else []
        ways += [("recorded", CUDA), *([("as written", CUDA)] if models <= AS_WRITTEN else [])]
        for how, device in ways:
            with runner.one_thread(), _as_written() if how == "as written" else contextlib.nullcontext():
                torch.cuda.reset_peak_memory_stats()
                seconds = _step_seconds(work, stack, rows, device)
                record = dict(zip(("activation", "optimizer", "batchnorm"), case, strict=True)) | {
                    "models": models,
                    "how": how,
                    "us_per_model_step": 1e6 * seconds / models,
                    "step_us": 1e6 * seconds,
                }
                if device == CUDA:
                    kernels, moved = traffic(work, ours.start(work, stack, rows, 0, device))
                    floor = max(moved / about["gigabytes_per_second"] / 1e3, kernels * about["launch_us"])
                    record |= {
                        "kernels": kernels,
                        "megabytes": moved / 1e6,
                        "floor_us": floor,
                        "times_floor": 1e6 * seconds / floor,
                    }
                    record["peak_mb"] = torch.cuda.max_memory_allocated() / 1e6
            echo(str(record))
            records.append(record)
    return about, records


@click.command("cuda")
@click.option("--results", type=click.Path(path_type=Path), default=Path("results/bench"), show_default=True)
def command(results: Path) -> None:
    """Time of a step on the CUDA device, against the CPU beside it and the device's floor."""
    if not torch.cuda.is_available():
        raise click.UsageError("torch finds no CUDA device here: nothing can be measured")
    about, records = measure(click.echo)
    table = pd.DataFrame(records)
    files.write(results / "cuda.json", json.dumps(about, indent=1) + "\n")
    files.write(results / "cuda.csv", to_csv(table.round(4)))
    click.echo(markdown(table.round(3).astype(str)))
