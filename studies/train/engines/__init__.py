"""Engines: what trains units of work. Everything around them (grid, folds, seeds, rows, statistics) is the suite's.

An engine imports what trains in the methods that need it, so that planning imports neither torch nor the engine's own tools.
"""

import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from studies.columns import Record
from studies.errors import UserError
from studies.plan.units import Trial, Unit
from studies.spec.engines import AUTO, ENGINES, FUNCTIONS
from studies.spec.settings import Settings
from studies.train import costs

if TYPE_CHECKING:  # a process that trains does without what reads specs: it takes longer to import than torch
    from studies.spec.study import Study

WORTH_A_START = 8  # times what starting processes takes, training takes longer where it is left to them
Observe = Callable[[int, Any], None]  # gets epoch and model at every record of the history


class Trained(NamedTuple):
    """A trained trial: its outcome, in the columns of a row, and its model (of a stack: all models)."""

    outcome: Record
    model: Any


class Engine(Protocol):
    """The parts that an engine has."""

    leaves_interpreter: bool  # while it trains, so that threads train at once

    def check(self, settings: Settings, device: str) -> str:
        """The reason that the engine cannot train these settings on the device; empty where it can."""

    def units(self, study: "Study", trials: Sequence[Trial], jobs: int, device: str) -> list[Unit]:
        """The trials, all of one reading, divided into those that train together."""

    def cost(self, unit: Unit) -> float:
        """Rough time of training, in the unit of `costs.unit_seconds`."""

    def train(self, unit: Unit, observe: Observe | None = None) -> list[Trained]:
        """Train the trials of a unit, in their order."""


@functools.cache
def load_engine(name: str) -> Engine:
    """The engine of that name."""
    module, _, attribute = {**ENGINES, **FUNCTIONS}[name].partition(":")
    return getattr(import_module(module), attribute)()


def engine_of(unit: Unit) -> Engine:
    """The engine that trains a unit."""
    return load_engine(unit.engine)


def engine_for(settings: Settings, device: str) -> str:
    """The name of the engine that trains these settings on a device: of `auto`, the first that can."""
    asked = settings["engine"]
    return next(name for name in ENGINES if not load_engine(name).check(settings, device)) if asked == AUTO else asked


def threads_suffice(units: Sequence[Unit], jobs: int) -> bool:
    """True where all would be trained before starting processes has paid, and threads do not wait for the interpreter."""
    of_units = [(engine_of(unit), unit) for unit in units]
    if not all(engine.leaves_interpreter for engine, _ in of_units):
        return False
    return sum(engine.cost(unit) for engine, unit in of_units) / jobs < WORTH_A_START * costs.START


def require_trainable(study: "Study", device: str = "cpu") -> None:
    """Raise UserError where an engine cannot train a configuration of a study, or nothing trains."""
    study.require_trainable()
    for reading in study.readings:
        for each in reading.grid.configurations:
            problem = load_engine(engine_for(each.settings, device)).check(each.settings, device)
            if problem:
                name = f"{study.name}.toml: " + f"reading {reading.reading}: " * bool(reading.reading)
                point = ", ".join(f"{factor} = {level}" for factor, level in each.levels.items())
                raise UserError(f"{name}base{point and f' with {point}'}: {problem}; write engine = {AUTO!r}")


def remarks(study: "Study", device: str) -> list[str]:
    """The reasons why engines that are faster do not train a study that leaves the choice to the suite, each in a line."""
    first = next(iter(ENGINES))
    of_study = [each.settings for reading in study.readings for each in reading.grid.configurations]
    reasons = [load_engine(first).check(settings, device) for settings in of_study if settings["engine"] == AUTO]
    return [f"{reason}; another engine trains, several times slower" for reason in dict.fromkeys(filter(None, reasons))]


def plan_units(study: "Study", trials: Iterable[Trial], jobs: int, device: str = "cpu") -> list[Unit]:
    """Divide trials into units, the longest first, so that the jobs end together; of equal ones, repeat by repeat.

    A machine is not equally fast at all times: what is compared within a repeat, seconds too, is then of one time.

    Args:
        study: The study that the trials are of.
        trials: Trials of any reading and engine.
        jobs: Number of processes that train at once.
        device: Kind of device that trains.

    Raises:
        UserError: An engine cannot train a configuration of the study.
    """
    require_trainable(study, device)
    groups: dict[tuple[str, str], list[Trial]] = defaultdict(list)
    names: dict[str, str] = {}  # of engines by configuration, which many trials share
    for trial in trials:
        configuration = trial.configuration
        if configuration.id not in names:
            names[configuration.id] = engine_for(configuration.settings, device)
        groups[trial.reading, names[configuration.id]].append(trial)
    planned = [
        replace(unit, engine=engine)
        for (reading, engine), group in groups.items()
        for unit in load_engine(engine).units(study.named(reading), group, jobs, device)
    ]
    return sorted(planned, key=lambda unit: (-unit.work, unit.trials[0].repeat, unit.trials[0].fold))
