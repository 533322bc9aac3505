"""A soak: a small study under random faults, compared row by row with an undisturbed run.

`python tests/chaos.py --seconds 300 --seed 0` runs the study again and again: a round is some runs that are disturbed, each by
one fault, and a last one that is not. After it every row must be there once, with the bits of the undisturbed study, and
nothing of the runs may be left. Counts go to `results/chaos.csv`; exit status 1 where a row was lost, doubled or differs.
"""

import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import click
import pandas as pd

from studies import files
from studies.shards import read
from studies.store import to_csv

SPEC = """
title = "Chaos"
[data]
name = "disk"
samples = 240
test_samples = 100
[validation]
folds = 4
repeats = 5
[base]
hidden = [8]
batch_size = 20
epochs = 40
history_every = 10
keep_predictions = true
[[grid]]
activation = ["relu", "tanh", "elu", "sigmoid"]
loss = ["cross_entropy", "mse"]
"optimizer.lr" = [0.03, 0.3]
"""
STACK = 5  # models at most: many stacks, so that faults fall between and into them
TOLD = ["stack", "seconds"]  # how a row was trained, which may differ; all else may not
Run = subprocess.Popen[bytes]


class Soak:
    """One soak: where it works, its random faults, and what it counts."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.spec = folder / "chaos.toml"
        self.spec.write_text(f"stack = {STACK}\n{SPEC}")
        self.folder = folder

    def start(self, results: Path, limit: int = resource.RLIM_INFINITY) -> Run:
        """A run of the study; no file it writes may have more bytes than the limit."""
        self.counts["runs"] += 1
        return subprocess.Popen(
            [sys.executable, "-m", "studies", "run", str(self.spec), "-j", "2", "--results", str(results)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]),
            },
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY)),
        )

    def some_time(self, run: Run) -> bool:
        """Wait from its start to about the end of a run; False where it ended before."""
        try:
            run.wait(self.random.uniform(1.0, 8.0))
        except subprocess.TimeoutExpired:
            return True
        return False


def parent_killed(soak: Soak, results: Path) -> None:
    """kill -9 of a run; its processes must end by themselves."""
    run = soak.start(results)
    if soak.some_time(run):
        orphans = children(run.pid)
        run.kill()
        run.wait()
        soak.counts["parents killed"] += 1
        deadline = time.monotonic() + 30
        while any(map(alive, orphans)) and time.monotonic() < deadline:
            time.sleep(0.2)
        soak.counts["orphans left"] += sum(map(alive, orphans))


def workers_killed(soak: Soak, results: Path) -> None:
    """kill -9 of one process of a run, or of all, up to three times: more often, and nothing can be trained between."""
    run = soak.start(results)
    for _ in range(soak.random.randint(1, 3)):
        if not soak.some_time(run):
            return
        found = children(run.pid)
        for worker in found if soak.random.random() < 0.3 else soak.random.sample(found, min(1, len(found))):
            kill(worker)
            soak.counts["workers killed"] += 1
    run.wait()


def tail_torn(soak: Soak, results: Path) -> None:
    """A run is killed, and the last line on disk is torn."""
    parent_killed(soak, results)
    for shard in results.glob("chaos/shards/*.jsonl"):
        size = shard.stat().st_size
        if size and soak.random.random() < 0.7:
            os.truncate(shard, size - soak.random.randint(1, min(size, 2000)))
            soak.counts["tails torn"] += 1


def write_cut_short(soak: Soak, results: Path) -> None:
    """The disk is full in the middle of a write: of a line, or of a table at the end."""
    run = soak.start(results, limit=soak.random.randint(2_000, 400_000))
    if run.wait():
        soak.counts["writes cut short"] += 1


def two_at_once(soak: Soak, results: Path) -> None:
    """Two runs of the study in one folder, one of them killed now and then."""
    runs = [soak.start(results), soak.start(results)]
    if soak.random.random() < 0.5 and soak.some_time(runs[0]):
        runs[0].kill()
        soak.counts["parents killed"] += 1
    for run in runs:
        run.wait()
    soak.counts["runs side by side"] += 1


FAULTS: tuple[Callable[[Soak, Path], None], ...] = (parent_killed, workers_killed, tail_torn, write_cut_short, two_at_once)


def children(process: int) -> list[int]:
    """The processes that a process started, but for what cleans up after them."""
    found = Path(f"/proc/{process}/task/{process}/children")
    try:
        started = [int(child) for child in found.read_text().split()]
        return [child for child in started if b"resource_tracker" not in Path(f"/proc/{child}/cmdline").read_bytes()]
    except FileNotFoundError:
        return []


def alive(process: int) -> bool:
    """Whether a process runs: not gone, and not a zombie that nobody waited for."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def kill(process: int) -> None:
    """kill -9, of what may have ended."""
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return


def round_of(soak: Soak, results: Path, expected: pd.DataFrame, undisturbed: Path) -> None:
    """Some disturbed runs and one that is not, and what came of it."""
    for _ in range(soak.random.randint(1, 4)):
        soak.random.choice(FAULTS)(soak, results)
    status = soak.start(results).wait()
    soak.counts["rounds"] += 1
    soak.counts["last runs that failed"] += status != 0
    rows = pd.read_csv(results / "chaos" / "trials.csv")
    soak.counts["rows lost"] += len(set(expected["trial"]) - set(rows["trial"]))
    soak.counts["rows doubled"] += int(rows["trial"].duplicated().sum())
    together = expected.merge(rows, on="trial", suffixes=("", " here"))
    differing = pd.Series(False, index=together.index)
    for column in expected.columns.drop(["trial", *TOLD]):
        one, other = together[column], together[f"{column} here"]
        differing |= ~((one == other) | (one.isna() & other.isna()))
    soak.counts["rows that differ"] += int(differing.sum())
    for table in ("history.csv", "predictions.csv"):
        same = (results / "chaos" / table).read_bytes() == (undisturbed / "chaos" / table).read_bytes()
        soak.counts["tables that differ"] += not same
    left = [*results.glob("chaos/shards/*"), *results.glob("chaos/.*")]
    soak.counts["files left over"] += len(left)
    soak.counts["lines left over"] += sum(len(read(path)) for path in left if path.suffix == ".jsonl")


BAD = ("orphans left", "last runs that failed", "rows lost", "rows doubled", "rows that differ", "tables that differ",
       "files left over", "lines left over")  # fmt: skip


@click.command()
@click.option("--seconds", type=click.IntRange(10, 500), default=300, show_default=True, help="No round begins after that.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the faults; when they strike depends on the machine.")
@click.option("--results", type=click.Path(path_type=Path), default=Path("results"), show_default=True)
def main(seconds: int, seed: int, results: Path) -> None:
    """Run a small study under random faults for a while, and count what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(Path(folder), seed)
        undisturbed = Path(folder) / "undisturbed"
        soak.start(undisturbed).wait()
        expected = pd.read_csv(undisturbed / "chaos" / "trials.csv")
        begin = time.monotonic()
        while time.monotonic() - begin < seconds:
            round_of(soak, Path(folder) / f"round-{soak.counts['rounds']}", expected, undisturbed)
    counts = {"seed": seed, "seconds": round(time.monotonic() - begin), "rows": len(expected), **dict.fromkeys(BAD, 0)}
    counts = {**{key: counts.pop(key) for key in ("seed", "seconds", "rows")}, **soak.counts, **counts, **soak.counts}
    table = pd.DataFrame({"what": list(counts), "count": list(counts.values())})
    files.write(results / "chaos.csv", to_csv(table))
    click.echo(table.to_string(index=False))
    sys.exit(any(soak.counts[what] for what in BAD))


if __name__ == "__main__":
    main()
