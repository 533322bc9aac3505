"""A study before it trains, in lines: its grid, what it can tell, what is missing, and a rough time."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from studies.analysis import power
from studies.data import datasets
from studies.data.runs.remarks import describe
from studies.errors import SHOWN
from studies.plan.units import Trial, Unit
from studies.spec.study import Study
from studies.train import costs, devices, engines


def describe_plan(
    study: Study,
    jobs: int | None,
    missing: Sequence[Trial],
    spreads: Mapping[str, power.Spread] | None = None,
    difference: float | None = None,
    source: str = "given",
) -> list[str]:
    """A study in lines: grid, exclusions, trials, effects, power, and a rough time of the trials that are missing.

    Parameters
    ----------
    study
        The study.
    jobs
        Processes to plan for; by default, one for each usable core.
    missing
        The trials without a row.
    spreads
        Spread of paired differences by reading, in points; see `power.power`.
    difference
        Difference in points that the study is to show.
    source
        Where `spreads` are from.

    Raises
    ------
    UserError
        An engine cannot train a configuration of the study.
    """
    if study.table:
        return [
            study.title,
            *filter(None, (study.question, study.source and f"source: {study.source}")),
            *_describe_table(study),
            *power.power(study, (spreads or {}).get(""), difference, source),
        ]
    engines.require_trainable(study)
    lines = [study.title, *filter(None, (study.question, study.source and f"source: {study.source}"))]
    for reading in study.readings:
        kind = "primary" if reading is study else "exploration"
        lines += ["", *([f"reading        {reading.reading} ({kind})"] if reading.reading else []), *_describe_reading(reading)]
        lines += power.separation(reading)
        lines += power.power(reading, (spreads or {}).get(reading.reading), difference, source)
    count = sum(reading.trials for reading in study.readings)
    lines += ["", f"rows           {count - len(missing):,} of {count:,} trials have one, {len(missing):,} are missing"]
    if missing:
        jobs = jobs or devices.processes("cpu", study.function.threads)
        units = engines.plan_units(study, missing, jobs)
        largest = max(len(unit.trials) for unit in units)
        lines.append(f"stacks         {len(units):,}, the largest of {largest} models")
        lines.append(f"time           {rough_time(units, jobs)}")
    return lines


def _describe_table(study: Study) -> list[str]:
    """The rows of a table, and what its columns were taken for."""
    assert study.table is not None
    return [
        "",
        f"rows           {study.described_data}; nothing trains",
        *describe(study.table.runs),
        "",
        *power.separation(study),
    ]


def count_missing(study: Study, missing: Sequence[Trial], jobs: int | None, device: str) -> list[str]:
    """The trials that a run would train, by configuration, and a rough time; in lines.

    Raises UserError where the device is not here, or an engine cannot train a configuration of the study on it.
    """
    devices.require_device(device)
    engines.require_trainable(study, device)
    counts = Counter(", ".join(filter(None, (trial.reading, trial.configuration.label))) for trial in missing)
    trials = sum(reading.trials for reading in study.readings)
    total = f"{study.name}: {len(missing):,} of {trials:,} trials would be trained"
    if missing:
        jobs = jobs or devices.processes(device, study.function.threads)
        total += f", in {rough_time(engines.plan_units(study, missing, jobs, device), jobs)}"
    lines = [f"  {count:,} of {name}" for name, count in counts.items()]
    more = [f"  and those of {len(lines) - SHOWN:,} more configurations"] if len(lines) > SHOWN else []
    return [total, *lines[:SHOWN], *more]


def rough_time(units: Sequence[Unit], jobs: int) -> str:
    """The rough time of training some units, in words."""
    each = [engines.engine_of(unit).cost(unit) for unit in units]
    if math.inf in each:
        return "not known: nobody can tell how long a function of your own takes"
    threads = jobs > 1 and engines.threads_suffice(units, jobs)
    seconds = costs.rough_seconds(each, jobs, starts=jobs > 1 and not threads)
    if seconds < 100:
        about = f"{seconds:.0f} seconds"
    else:
        about = f"{seconds / 60:.0f} minutes" if seconds < 6000 else f"{seconds / 3600:.1f} hours"
    processes = "1 process" if jobs == 1 else f"{jobs:,} {'threads' if threads else 'processes'}"
    return f"about {about} in {processes}, as fast as this machine is now; give or take a factor of two"


def _describe_reading(study: Study) -> list[str]:
    """Grid, exclusions, rows with what is doubtful about them, and trials of one reading."""
    grid, validation = study.grid, study.validation
    lines = [f"{factor:14} {len(levels):>3} levels: {', '.join(levels)}" for factor, levels in grid.levels.items()]
    lines += [f"excluded       {count:>3} points where {rule}" for rule, count in grid.excluded]
    if grid.duplicates:
        lines.append(f"duplicates     {grid.duplicates:>3} points repeat an earlier one and are trained once")
    if study.function.name:
        lines.append(f"engine         {study.function.described}")
    lines += _describe_data(study) if study.data.name else [f"data           {study.schema.described}"]
    each = f"{validation.folds} folds" if validation.folds else "the whole pool" if study.data.name else "a run"
    repeats = f" x {validation.repeats} repeats" if validation.repeats > 1 else ""
    lines.append(f"trials         {len(grid.configurations):,} configurations x {each}{repeats} = {study.trials:,} models")
    return lines


def _describe_data(study: Study) -> list[str]:
    """Rows of one reading, with what is doubtful about them."""
    sizes = {"training": study.data.samples, "validation": study.data.validation_samples, "test": study.data.test_samples}
    counts = ", ".join(f"{size:,} {name}" for name, size in sizes.items() if size)
    return [
        f"data           {study.schema.name}: {counts} rows",
        *(f"{'':15}{words}" for words in study.schema.words),
        *(f"doubtful       {doubt}" for doubt in datasets.doubts(study.data)),
    ]
