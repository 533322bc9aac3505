"""One step of this suite by operation: `python -m benchmarks profile`."""

import time
from dataclasses import replace
from pathlib import Path

import click
import pandas as pd
from torch.profiler import ProfilerActivity, profile

from benchmarks import data, scale
from benchmarks.engines import ours
from benchmarks.work import steps
from studies import files
from studies.show.tables import markdown
from studies.store.rows import to_csv
from studies.train import runner


def operations(activation: str, optimizer: str, batchnorm: str, epochs: int) -> tuple[float, pd.DataFrame]:
    """Microseconds per model and step without the profiler; and by operation, its calls a step and its share of them.

    The profiler makes every call dearer. So shares are of its own total, and microseconds those shares of the time without it.
    """
    work = scale.work(replace(scale.FULL, epochs=epochs), activation, optimizer, batchnorm)
    rows = data.rows(work, 0)
    stack = data.stacks(work)[0]
    count = steps(work, rows)
    with runner.one_thread():
        seconds = []
        for _ in range(3):
            started = ours.start(work, stack, rows, 0)
            begin = time.perf_counter()
            ours.fit(work, stack, rows, 0, started)
            seconds.append(time.perf_counter() - begin)
        for _ in range(2):  # what only the first profile of a process pays would be on the account of single operations
            started = ours.start(work, stack, rows, 0)
            with profile(activities=[ProfilerActivity.CPU]) as recorded:
                ours.fit(work, stack, rows, 0, started)
    each = 1e6 * min(seconds[1:]) / count / len(stack.trials)
    events = recorded.key_averages()
    total = sum(event.self_cpu_time_total for event in events)
    shares = [(event.key.removeprefix("aten::"), event.count / count, event.self_cpu_time_total / total) for event in events]
    table = pd.DataFrame(
        [(name, calls, 100 * share, each * share) for name, calls, share in shares],
        columns=["operation", "calls_per_step", "share_pct", "us_per_model_step"],
    )
    return each, table.sort_values("share_pct", ascending=False, ignore_index=True)


@click.command("profile")
@click.option("--activation", default="tanh", show_default=True)
@click.option("--optimizer", default="sgd", show_default=True)
@click.option("--batchnorm", default="none", show_default=True)
@click.option("--epochs", default=50, show_default=True)
@click.option("--rows", "shown", default=24, show_default=True, help="Operations to show; the rest in one line.")
@click.option("--results", type=click.Path(path_type=Path), default=Path("results/bench"), show_default=True)
def command(activation: str, optimizer: str, batchnorm: str, epochs: int, shown: int, results: Path) -> None:
    """Time of one step, by operation."""
    each, table = operations(activation, optimizer, batchnorm, epochs)
    files.write(results / f"profile-{activation}-{optimizer}-{batchnorm}.csv", to_csv(table.round(3)))
    rest = table[shown:]
    lines = [*table[:shown].itertuples(index=False, name=None)]
    if not rest.empty:
        lines.append((f"{len(rest)} others", *rest.drop(columns="operation").sum()))
    texts = [[name, f"{calls:.1f}", f"{share:.1f}", f"{spent:.2f}"] for name, calls, share, spent in lines]
    click.echo(f"{activation}, {optimizer}, batch norm {batchnorm}: {each:.1f} us per model and step\n")
    click.echo(markdown(pd.DataFrame(texts, columns=["operation", "calls a step", "% of the time", "us per model and step"])))
