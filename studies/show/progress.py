"""Progress of a run: a bar for each study while it trains, and its tables when it is done."""

import datetime
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from studies.analysis.tables import Tables
from studies.columns import Record
from studies.show import console
from studies.spec.study import Study
from studies.store import status

EVERY = 5.0  # seconds from line to line where no bar can move


class Screen:
    """Callbacks of `runs.run_all`: `started`, `received`, `finished`; counts the trials of this run.

    On a terminal and in a notebook, a bar moves for each study; elsewhere, a line every few seconds says how far the run is.
    `quiet`: print neither, and no tables. `tables`: print these at the end of a study.
    """

    def __init__(self, results: Path, quiet: bool = False, *, tables: bool = True) -> None:
        self._results, self._tables = results, tables
        self._console = Console(quiet=quiet)
        on_terminal = self._console.file.isatty() and not self._console.is_dumb_terminal
        self._moves = on_terminal or self._console.is_jupyter
        self._ended = threading.Event()
        self._lines = threading.Thread(target=self._print_lines, daemon=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:.0f} trials/s, left:"),
            TimeRemainingColumn(),
            TextColumn("diverged: {task.fields[diverged]}"),
            console=self._console,
            refresh_per_second=2,  # ten, as rich would, take another hundredth of a core from what trains
        )
        self._bars: dict[str, TaskID] = {}
        self._counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._clock = time.perf_counter()

    def __enter__(self) -> Self:
        self._start = time.perf_counter()
        if self._moves:
            self._progress.start()
        else:
            self._lines.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        if self._moves:
            self._progress.stop()

    def _print_lines(self) -> None:
        """Print how far the run is, every few seconds, and less often in a long one."""
        while not self._ended.wait(max(EVERY, (time.perf_counter() - self._start) / 100)):
            tasks = self._progress.tasks
            done, total, trained = sum(task.completed for task in tasks), sum(task.total or 0 for task in tasks), self.trained()
            if total:
                rate = trained / (time.perf_counter() - self._start)
                left = datetime.timedelta(seconds=round((total - done) / rate)) if rate else "unknown"
                self._say(f"{done:,.0f} of {total:,.0f} trials, {rate:.1f} trials/s, time left: {left}")

    def trained(self, kind: str = "trials") -> int:
        """Number of trials that this run trained, of all studies; or of these that "diverged" or "failed"."""
        return sum(counts[kind] for counts in self._counts.values())

    def started(self, study: Study, done: int, trials: int) -> None:
        """Show a bar."""
        self._bars[study.name] = self._progress.add_task(study.name, completed=done, total=trials, rate=0.0, diverged=0)

    def received(self, records: Sequence[Record]) -> None:
        """Move the bar of the records' study on."""
        name = records[0]["study"]
        counts = self._counts[name]
        counts["trials"] += len(records)
        counts["diverged"] += sum(bool(record.get("diverged")) for record in records)
        counts["failed"] += sum(record["status"] != "ok" for record in records)
        rate = counts["trials"] / (time.perf_counter() - self._clock)
        self._progress.update(self._bars[name], advance=len(records), rate=rate, diverged=counts["diverged"])

    def finished(self, study: Study, rows: pd.DataFrame, tables: Tables) -> None:
        """Print the tables of a study, what was trained, and what failed."""
        seconds, trained = time.perf_counter() - self._clock, self._counts[study.name]["trials"]
        folder = self._results / study.name
        self._progress.update(self._bars[study.name], visible=not self._tables)
        if not self._tables:
            return
        console.print_tables(study, tables, self._console)
        self._say(
            f"{study.name}: {len(rows):,} trials, of which this run trained {trained:,} in {seconds:.1f} s "
            f"({trained / seconds:.1f} trials per second); tables in {folder}"
        )
        for line in status.mixed(rows):
            self._say(line, err=True)
        if self._counts[study.name]["failed"]:
            for reason, count in rows.loc[rows["status"] != "ok", "reason"].value_counts().items():
                self._say(f"{count:,} trials failed: {reason}", err=True)
            self._say(f"to train them again: {study.command('run', self._results)}", err=True)
        self._clock = time.perf_counter()

    def said(self, line: str) -> None:
        """Print a line about the rows there are, or about other runs."""
        self._say(line, err=True)

    def _say(self, line: str, err: bool = False) -> None:
        """Print a line as it is, above the bars."""
        console = Console(stderr=True) if err else self._console
        console.print(line, markup=False, highlight=False, soft_wrap=True)
