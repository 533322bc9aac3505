"""A soak: a small study under random faults, compared row by row with an undisturbed run.

`python tests/chaos.py --seconds 300 --seed 0` runs the study again and again: a round is a few runs in one folder, each
disturbed by one fault, until one of them ends well; if none does, a last one is left alone. After it every row must be there
once, with the bits of the undisturbed study, and nothing of the runs may be left. Each kind of fault comes once before any
comes again. Counts go to `results/chaos.csv`; exit status 1 where a row was lost, doubled or differs.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import click
import pandas as pd
from commands import Command, Commands

from studies import files
from studies.store.rows import to_csv
from studies.store.shards import read_shard

SPEC = """
title = "Chaos"
[data]
name = "disk"
samples = 240
test_samples = 100
[validation]
folds = 4
repeats = 2
[base]
hidden = [8]
batch_size = 20
epochs = 25
history_every = 10
keep_predictions = true
[[grid]]
activation = ["relu", "tanh", "elu", "sigmoid"]
loss = ["cross_entropy", "mse"]
"optimizer.lr" = [0.03, 0.3]
"""
STACK = 3  # models at most: many stacks, so that faults fall between and into them
TOLD = ["stack", "seconds"]  # how a row was trained, which may differ; all else may not
ALONE, PROCESSES, DASK = ("-j", "1"), ("-j", "2", "--backend", "loky"), ("-j", "2", "--backend", "dask")


class Soak:
    """One soak: where it works, its random faults, and what it counts."""

    def __init__(self, folder: Path, seed: int, commands: Commands) -> None:
        self.random = random.Random(seed)
        self.faults: Iterator[Fault] = self._faults()
        self.counts: Counter[str] = Counter()
        self.usual = {ALONE: 10.0, PROCESSES: 10.0, DASK: 10.0}  # seconds of a run that nothing disturbs, until measured
        self.folder, self._commands = folder, commands
        self.spec = folder / "chaos.toml"
        self.spec.write_text(f"stack = {STACK}\n{SPEC}")

    def _faults(self) -> Iterator["Fault"]:
        yield from FAULTS  # the cheap ones first: a short soak has all
        while True:
            yield from self.random.sample(FAULTS, len(FAULTS))

    def start(self, results: Path, options: tuple[str, ...] = ALONE, first: str = "") -> Command:
        """A run of the study."""
        self.counts["runs"] += 1
        return self._commands.begin("run", self.spec, *options, "--results", results, cwd=self.folder, first=first)

    def undisturbed(self, results: Path) -> pd.DataFrame:
        """The rows of a run that is left alone; it and one in processes are timed."""
        for options in (PROCESSES, ALONE):
            begin = time.monotonic()
            self.start(results / options[1], options).wait()
            self.usual[options] = time.monotonic() - begin
        self.usual[DASK] = self.usual[PROCESSES]
        return pd.read_csv(results / ALONE[1] / "chaos" / "trials.csv")

    def ends_well(self, run: Command) -> bool:
        """Wait for the end of a run; one that takes far too long is killed."""
        try:
            return run.wait(30 + 10 * self.usual[DASK]) == 0
        except subprocess.TimeoutExpired:
            self.counts["runs without end"] += 1
            kill(run.pid)
            return run.wait() == 0

    def some_time(self, run: Command, options: tuple[str, ...]) -> bool:
        """Wait until somewhere in the middle of such a run; False where it ended before."""
        try:
            run.wait(self.random.uniform(0.25, 0.7) * self.usual[options])
        except subprocess.TimeoutExpired:
            return True
        return False


def parent_killed(soak: Soak, results: Path, options: tuple[str, ...] = PROCESSES) -> bool:
    """kill -9 of a run; its processes must end by themselves."""
    run = soak.start(results, options)
    if not soak.some_time(run, options):
        return soak.ends_well(run)
    orphans = children(run.pid)
    kill(run.pid)
    run.wait()
    soak.counts["parents killed"] += 1
    deadline = time.monotonic() + 30
    while any(map(alive, orphans)) and time.monotonic() < deadline:
        time.sleep(0.2)
    soak.counts["orphans left"] += sum(map(alive, orphans))
    return False


def workers_killed(soak: Soak, results: Path) -> bool:
    """kill -9 of one process of a run, or of all, once or twice: more often, and nothing can be trained between."""
    run = soak.start(results, PROCESSES)
    for _ in range(soak.random.randint(1, 2)):
        if soak.some_time(run, PROCESSES):
            found = children(run.pid)
            for worker in found if soak.random.random() < 0.3 else soak.random.sample(found, min(1, len(found))):
                kill(worker)
                soak.counts["workers killed"] += 1
    return soak.ends_well(run)


def dask_worker_removed(soak: Soak, results: Path) -> bool:
    """kill -9 of one of the two workers of a Dask cluster."""
    run = soak.start(results, DASK)
    running = soak.some_time(run, DASK)
    while running and not (found := children(run.pid)):  # a cluster takes a while to start
        time.sleep(0.1)
        running = run.poll() is None
    if running:
        kill(soak.random.choice(found))
        soak.counts["Dask workers removed"] += 1
    return soak.ends_well(run)


def tail_torn(soak: Soak, results: Path, options: tuple[str, ...] = ALONE) -> bool:
    """A run is killed, and the last line on disk is torn."""
    ended = parent_killed(soak, results, options)
    for shard in results.glob("chaos/shards/*.jsonl"):
        size = shard.stat().st_size
        if size:
            os.truncate(shard, size - soak.random.randint(1, min(size, 2000)))
            soak.counts["tails torn"] += 1
    return ended


def write_cut_short(soak: Soak, results: Path) -> bool:
    """The disk is full in the middle of a write: of a line, or of a table at the end."""
    limit = int(10 ** soak.random.uniform(3.3, 6.0))  # bytes of a file
    run = soak.start(
        results, first=f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))"
    )
    ended = soak.ends_well(run)
    soak.counts["writes cut short"] += not ended
    return ended


def two_at_once(soak: Soak, results: Path) -> bool:
    """Two runs of the study in one folder, one of them killed now and then."""
    runs = [soak.start(results), soak.start(results)]
    if soak.random.random() < 0.5 and soak.some_time(runs[0], ALONE):
        kill(runs[0].pid)
        soak.counts["parents killed"] += 1
    soak.counts["runs side by side"] += 1
    for run in runs:
        soak.ends_well(run)
    return soak.ends_well(soak.start(results))  # either may have left its shard, which the other could have needed


def grown(soak: Soak, results: Path) -> bool:
    """The study as it once was, smaller or with other epochs, is run first, and killed now and then."""
    before = soak.random.choice(
        ["validation.repeats=1", "base.epochs=20", "base.history_every=0", "base.keep_predictions=false"]
    )
    options = (*ALONE, "--set", before)
    run = soak.start(results, options)
    if soak.random.random() < 0.5 and soak.some_time(run, ALONE):
        kill(run.pid)
        soak.counts["parents killed"] += 1
    soak.ends_well(run)
    soak.counts["studies grown"] += 1
    return False


Fault = Callable[[Soak, Path], bool]  # disturbs a run that works in a folder; whether it ended well all the same
FAULTS: tuple[Fault, ...] = (
    tail_torn,
    grown,
    write_cut_short,
    parent_killed,
    workers_killed,
    two_at_once,
    dask_worker_removed,
)


def children(process: int) -> list[int]:
    """The processes that a process started, but for what cleans up after them."""
    try:
        started = [
            int(child) for found in Path(f"/proc/{process}/task").glob("*/children") for child in found.read_text().split()
        ]
        return [child for child in started if b"resource_tracker" not in Path(f"/proc/{child}/cmdline").read_bytes()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def alive(process: int) -> bool:
    """True where a process runs: not gone, and not a zombie that nobody waited for."""
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
    """Up to three disturbed runs until one ends well, else one that is not disturbed, and what came of it."""
    if not any(fault(soak, results) for fault in islice(soak.faults, 3)):
        soak.counts["last runs that failed"] += not soak.ends_well(soak.start(results))
    soak.counts["rounds"] += 1
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
    soak.counts["lines left over"] += sum(len(read_shard(path)) for path in left if path.suffix == ".jsonl")


BAD = ("orphans left", "runs without end", "last runs that failed", "rows lost", "rows doubled", "rows that differ",
       "tables that differ", "files left over", "lines left over")  # fmt: skip


@click.command()
@click.option("--seconds", type=click.IntRange(10, 500), default=300, show_default=True, help="No round begins after that.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the faults; when they strike depends on the machine.")
@click.option("--results", type=click.Path(path_type=Path), default=Path("results"), show_default=True)
def main(seconds: int, seed: int, results: Path) -> None:
    """Run a small study under random faults for a while, and count what came of it."""
    with tempfile.TemporaryDirectory() as folder, Commands() as commands:
        soak = Soak(Path(folder), seed, commands)
        undisturbed = Path(folder) / "undisturbed"
        commands.call("list", cwd=soak.folder)  # what comes after it waits for no import
        expected = soak.undisturbed(undisturbed)
        begin = time.monotonic()
        while time.monotonic() - begin < seconds:
            round_of(soak, Path(folder) / f"round-{soak.counts['rounds']}", expected, undisturbed / ALONE[1])
    counts = {"seed": seed, "seconds": round(time.monotonic() - begin), "rows": len(expected), **dict.fromkeys(BAD, 0)}
    counts = {**{key: counts.pop(key) for key in ("seed", "seconds", "rows")}, **soak.counts, **counts, **soak.counts}
    table = pd.DataFrame({"what": list(counts), "count": list(counts.values())})
    files.write(results / "chaos.csv", to_csv(table))
    click.echo(table.to_string(index=False))
    sys.exit(any(soak.counts[what] for what in BAD))


if __name__ == "__main__":
    main()
