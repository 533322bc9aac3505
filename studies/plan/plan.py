"""From a study to its trials, and from trials to the stacks that train as one.

A right plan has every trial once, one structure in a stack, and as few stacks as the cache and the number of jobs allow.
"""

import json
import math
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from framework.training import BLOCK
from studies.analysis import power
from studies.data import datasets
from studies.errors import UserError
from studies.plan import costs, devices
from studies.plan.units import NUMERICS, Source, Stack, Structure, Trial, batch_size
from studies.seeds import digest
from studies.spec.identity import identity
from studies.spec.settings import Settings, update_rule
from studies.spec.spec import Study


def trials(study: Study) -> list[Trial]:
    """Every trial of a study, by reading, configuration, repeat and fold."""
    return [trial for reading in study.readings for trial in _trials(reading)]


def _trials(study: Study) -> list[Trial]:
    shared = digest(_shared(study), 32)
    return [
        Trial(digest([shared, configuration.id, repeat, fold], 16), study.reading, configuration, repeat, fold)
        for configuration in study.grid.configurations
        for repeat in range(study.validation.repeats)
        for fold in range(max(study.validation.folds, 1))
    ]


def _shared(study: Study) -> dict[str, Any]:
    """The values that the numbers of all trials of a reading depend on."""
    return {
        "numerics": NUMERICS,
        "seed": study.seed,
        **({"reading": study.reading} if study.reading else {}),
        **identity("data", asdict(study.data)),
        **identity("validation", asdict(study.validation)),
        **({"components.content": study.parts.content} if study.parts.path else {}),
    }


def depends_on(study: Study, trial: Trial) -> dict[str, Any]:
    """All that the numbers of a trial, and so its key, depend on, under dotted names."""
    return {**_shared(study), "repeat": trial.repeat, "fold": trial.fold, **identity("base", trial.configuration.settings)}


def find(study: Study, given: str) -> Trial:
    """The one trial whose key begins so, or the first of the configuration with this label or id.

    Raises UserError where there is none, or several.
    """
    every = trials(study)
    of_one = [trial for trial in every if given in (trial.configuration.label, trial.configuration.id)]
    found = of_one[:1] or [trial for trial in every if trial.key.startswith(given)]
    if len(found) == 1:
        return found[0]
    fits = f"{len(found):,}, {found[0].key} and {found[1].key} among them" if found else "none"
    raise UserError(
        "a trial is given as its key in trials.csv or how only that one begins, as a configuration's label, best or worst: "
        f"{given!r} fits {fits}"
    )


def stacks(study: Study, pending: Iterable[Trial], jobs: int, device: str = "cpu") -> list[Stack]:
    """The pending trials in stacks, the longest first, so that the jobs end together; of equal ones, repeat by repeat.

    What is compared within a repeat, seconds too, is then of one time: a machine is not equally fast at all times.
    """
    waiting = list(pending)
    planned = [
        stack
        for reading in study.readings
        for stack in _stacks(reading, [trial for trial in waiting if trial.reading == reading.reading], jobs, device)
    ]
    return sorted(planned, key=lambda stack: (-stack.work, stack.trials[0].repeat, stack.trials[0].fold))


def _stacks(study: Study, pending: Sequence[Trial], jobs: int, device: str) -> list[Stack]:
    source = Source(study.name, study.reading, study.seed, study.data, study.validation, study.schema, study.parts)
    groups: dict[Structure, list[Trial]] = defaultdict(list)
    rows = {}
    for trial in pending:
        place = (trial.repeat, trial.fold)
        if place not in rows:
            rows[place] = _row_counts(study, *place)
        groups[structure(trial.configuration.settings, rows[place])].append(trial)
    planned = []
    for shared, group in groups.items():
        # Trials of one update rule share an optimizer, those of one fold a permutation: keep them together.
        group.sort(key=lambda trial: (update_rule(trial.configuration.settings), trial.repeat, trial.fold))
        settings = group[0].configuration.settings
        size = min(capacity(study, settings, shared, device), max(8, math.ceil(len(pending) / jobs)))
        work = _operations(study, settings, shared)
        parts = np.array_split(np.arange(len(group)), math.ceil(len(group) / size))
        planned += [Stack(source, [group[index] for index in part], shared, work * len(part), device) for part in parts]
    return planned


def with_rows(stack: Stack) -> Stack:
    """The stack with the rows of each of its trials; those of one repeat and fold are the same."""
    source, places = stack.source, [(trial.repeat, trial.fold) for trial in stack.trials]
    of = {place: datasets.split(source.data, source.validation, source.seed, *place) for place in dict.fromkeys(places)}
    return replace(stack, splits=[of[place] for place in places])


def halves(stack: Stack) -> list[Stack]:
    """A stack in two, or as it is where it is of one model."""
    middle = (len(stack.trials) + 1) // 2
    return [of_trials(stack, part) for part in (stack.trials[:middle], stack.trials[middle:]) if part]


def of_trials(stack: Stack, trials: Sequence[Trial]) -> Stack:
    """A stack of some of its trials."""
    return replace(stack, trials=trials, work=stack.work * len(trials) / len(stack.trials), splits=())


def structure(settings: Settings, rows: tuple[int, int, int]) -> Structure:
    """The structure of a configuration trained and judged on that many training, validation and test rows."""
    own = dict.fromkeys(("init", "output_init", "bias_init", "optimizer", "clip"))
    shared = {**settings, **own, "dropout": settings["dropout"] > 0}
    return Structure(json.dumps(shared, sort_keys=True), rows)


def capacity(study: Study, settings: Settings, shared: Structure, device: str) -> int:
    """How many models of a structure train together: what has room on the device while training, and while evaluated.

    Each may have rows of its own. On the CPU it is evaluated in blocks of them, unless batch norm wants them all.
    """
    if settings["engine"] != "stack" or study.parts.train_alone(settings):
        return 1
    features, units, parameters = _sizes(study, settings)
    rows = max(shared.rows)
    size = np.dtype(settings["dtype"]).itemsize
    step = size * (3 * batch_size(settings, shared) * (features + units) + 5 * parameters)
    at_once = rows if device != "cpu" or settings["batchnorm"].get("evaluate") == "batch" else min(rows, BLOCK)
    evaluation = size * (rows * (features + 1) + at_once * (features + 2 * max([*settings["hidden"], 1])))
    training, evaluating = devices.room(device)
    return min(study.stack or sys.maxsize, max(2, min(int(training / step), int(evaluating / evaluation))))


def _sizes(study: Study, settings: Settings) -> tuple[int, int, int]:
    """Input features, units of all layers, and weights and biases."""
    features, classes = len(study.schema.features), len(study.schema.classes)
    return features, *costs.sizes(features, classes, settings)


def _operations(study: Study, settings: Settings, shared: Structure) -> float:
    """Operations of one training, by which the longest stacks come first.

    These are three products of two a weight, and 12 a unit, 72 with batch norm, for each row and epoch.
    Those of units are worth what they take in time, not in arithmetic.
    """
    _, units, count = _sizes(study, settings)
    each = 12.0 if settings["batchnorm"]["name"] == "none" else 72.0
    return settings["epochs"] * shared.rows[0] * (6.0 * count + each * units)


def _row_counts(study: Study, repeat: int, fold: int) -> tuple[int, int, int]:
    """Training, validation and test rows of a trial."""
    pool = datasets.pools(study.data, study.seed, repeat)
    test = len(pool.test.labels) if pool.test else 0
    if study.validation.folds:
        kept, left_out = datasets.folds(pool.train, study.validation, study.seed, repeat)[fold]
        return len(kept), len(left_out), test
    return len(pool.train.labels), len(pool.validation.labels) if pool.validation else 0, test


def describe(
    study: Study,
    jobs: int,
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
        Processes to plan for.
    missing
        The trials without a row.
    spreads
        Spread of paired differences by reading, in points; see `power.power`.
    difference
        Difference in points that the study is to show.
    source
        Where `spreads` are from.
    """
    lines = [study.title, *filter(None, (study.question, study.source and f"source: {study.source}"))]
    for reading in study.readings:
        kind = "primary" if reading is study else "exploration"
        lines += ["", *([f"reading        {reading.reading} ({kind})"] if reading.reading else []), *_describe(reading)]
        lines += power.separation(reading)
        lines += power.power(reading, (spreads or {}).get(reading.reading), difference, source)
    count = sum(reading.trials for reading in study.readings)
    lines += ["", f"rows           {count - len(missing):,} of {count:,} trials have one, {len(missing):,} are missing"]
    planned = stacks(study, missing, jobs)
    if planned:
        lines.append(f"stacks         {len(planned):,}, the largest of {max(len(stack.trials) for stack in planned)} models")
        lines.append(f"time           {rough_time(planned, jobs)}")
    return lines


def rough_time(planned: Sequence[Stack], jobs: int) -> str:
    """The rough time of training some stacks, in words."""
    units = [costs.units(stack) for stack in planned]
    around = costs.END + costs.START * (jobs > 1) if planned else 0.0
    seconds = (around + max([sum(units) / jobs, *units])) * costs.unit_seconds()
    if seconds < 100:
        told = f"{seconds:.0f} seconds"
    else:
        told = f"{seconds / 60:.0f} minutes" if seconds < 6000 else f"{seconds / 3600:.1f} hours"
    processes = "1 process" if jobs == 1 else f"{jobs:,} processes"
    return f"about {told} in {processes}, as fast as this machine is now; give or take a factor of two"


def _describe(study: Study) -> list[str]:
    """Grid, exclusions, rows with what is doubtful about them, and trials of one reading."""
    grid, validation = study.grid, study.validation
    lines = [f"{factor:14} {len(levels):>3} levels: {', '.join(levels)}" for factor, levels in grid.levels.items()]
    lines += [f"excluded       {count:>3} points where {rule}" for rule, count in grid.excluded]
    if grid.duplicates:
        lines.append(f"duplicates     {grid.duplicates:>3} points repeat an earlier one and are trained once")
    pool = datasets.pools(study.data, study.seed, 0)
    held_out = [
        f"{len(table.labels):,} {name}" for name, table in (("validation", pool.validation), ("test", pool.test)) if table
    ]
    lines.append(f"data           {study.schema.name}: {', '.join([f'{len(pool.train.labels):,} training', *held_out])} rows")
    lines += [f"{'':15}{words}" for words in study.schema.words]
    lines += [f"doubtful       {doubt}" for doubt in datasets.doubts(study.data)]
    each = f"{validation.folds} folds" if validation.folds else "the whole pool"
    repeats = f" x {validation.repeats} repeats" if validation.repeats > 1 else ""
    lines.append(f"trials         {len(grid.configurations):,} configurations x {each}{repeats} = {study.trials:,} models")
    return lines
