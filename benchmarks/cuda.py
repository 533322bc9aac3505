"""This suite's stacks on a CUDA device: `python -m benchmarks cuda`. How fast, against the CPU and what the device allows.

A step moves so many bytes in so many kernels. It can be no faster than the bytes over the device's bandwidth, nor than the
kernels over the rate at which a recorded graph starts them: the larger of the two is the floor of the step as it is written.
"""

import contextlib
import itertools
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import click
import pandas as pd
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks import data, scale, tables
from benchmarks.engines import ours
from benchmarks.engines.ours import Started
from benchmarks.work import Rows, Work, steps
from framework import capture
from studies import files
from studies.errors import UserError
from studies.plan.units import Unit
from studies.show.tables import markdown
from studies.store.rows import to_csv
from studies.train import devices, runner

CASES = (scale.CASES[0], scale.CASES[4], scale.CASES[7])
MODELS = (60, 120, 1_000, 10_000, 30_000)
AS_WRITTEN = 1_000  # models at most, where a step is not recorded
EPOCHS = 3, 13  # seconds of the one are taken from those of the other: what a training pays once is in neither
ROUNDS = 3
KERNELS = 1_000  # in the graph that tells how fast a device starts them


class About(NamedTuple):
    """Name of the device; bytes a second of a copy, read and written; seconds of an empty kernel."""

    device: str
    torch: str
    bandwidth: float
    launch: float


def about() -> About:
    """Measure the CUDA device."""
    source = torch.ones(1 << 28, device="cuda")
    copy, one = torch.empty_like(source), torch.zeros(1, device="cuda")
    copying = _seconds(lambda: copy.copy_(source), 20)
    one.add_(1)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(KERNELS):
            one.add_(1)
    launching = _seconds(graph.replay, 20) / KERNELS
    return About(torch.cuda.get_device_name(), torch.__version__, 2 * source.nbytes / copying, launching)


def _seconds(call: Callable[[], object], times: int) -> float:
    """Seconds of a call on the CUDA device, the median of several."""
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
    x = torch.rand(model.replicas, 2, work.batch_size, device=model.parameters.device)
    target = torch.cat([x[:, :1], 1 - x[:, :1]], 1)
    factor = torch.ones_like(x[0, 0, 0])

    def step() -> None:
        _, gradient = loss(model.forward(x), target)
        model.accumulate(gradient)
        optimizer.step(factor)

    step()  # what only the first step does
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


def _step_seconds(work: Work, stack: Unit, rows: Rows, device: torch.device) -> float:
    """Seconds of a step of the whole stack."""
    taken = []
    for _ in range(ROUNDS):
        seconds = []
        for epochs in EPOCHS:
            started = ours.start(work, stack, rows, 0, device)
            devices.wait(device)
            begin = time.perf_counter()
            ours.fit(replace(work, epochs=epochs), stack, rows, 0, started)
            devices.wait(device)
            seconds.append(time.perf_counter() - begin)
        taken.append((seconds[1] - seconds[0]) / (EPOCHS[1] - EPOCHS[0]))
    return float(pd.Series(taken).median()) / steps(replace(work, epochs=1), rows)


def measure(
    limits: About, device: torch.device, models: Sequence[int] = MODELS, cases: Sequence[tuple[str, str, str]] = CASES
) -> Iterator[dict[str, Any]]:
    """A record of each case, number of models and way to run a step, on a device of such limits."""
    for case, count in itertools.product(cases, models):
        work = scale.work(replace(scale.FULL, models=min(models)), *case)
        rows, planned = data.rows(work, 0), data.units(work, "stack")[0]
        repeated = itertools.islice(itertools.cycle(planned.trials), count)
        stack = replace(planned, trials=list(repeated))
        ways = [("cpu", torch.device("cpu"))] if count == min(models) else []
        ways += [("recorded", device), *([("as written", device)] if count <= AS_WRITTEN else [])]
        for how, where in ways:
            with runner.one_thread(), _as_written() if how == "as written" else contextlib.nullcontext():
                us = 1e6 * _step_seconds(work, stack, rows, where)
                kernels, moved = traffic(work, ours.start(work, stack, rows, 0, where))
            floor = 1e6 * max(moved / limits.bandwidth, kernels * limits.launch)
            yield {
                **dict(zip(tables.CASE, case, strict=True)),
                "models": count,
                "how": how,
                "us_per_model_step": us / count,
                "step_us": us,
                **(
                    {}
                    if how == "cpu"
                    else {"kernels": kernels, "megabytes": moved / 1e6, "floor_us": floor, "times": us / floor}
                ),
            }


@click.command("cuda")
@click.option("--results", type=click.Path(path_type=Path), default=Path("results/bench"), show_default=True)
def command(results: Path) -> None:
    """Time of a step on the CUDA device, against the CPU beside it and the device's floor."""
    try:
        devices.require_device("cuda")
    except UserError as error:
        raise click.UsageError(str(error)) from None
    limits = about()
    click.echo(limits)
    records = []
    for record in measure(limits, torch.device("cuda")):
        click.echo(record)
        records.append(record)
    table = pd.DataFrame(records)
    files.write(results / "cuda.json", json.dumps(limits._asdict(), indent=1) + "\n")
    files.write(results / "cuda.csv", to_csv(table.round(4)))
    click.echo(markdown(table.round(3).astype(str)))
