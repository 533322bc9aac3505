"""The engine `python`: a user's own function or estimator, one trial at a time, in a process that can be killed."""

import atexit
import math
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from studies.plan.units import Trial, Unit
from studies.seeds import seed_for
from studies.spec.settings import Settings
from studies.train.engines import Observe, Trained
from studies.train.sandbox import FunctionError, Sandbox

if TYPE_CHECKING:
    from studies.data.types import Split
    from studies.spec.study import Study

_LIBRARIES = ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "VECLIB")


class PythonEngine:
    """Calls of a function. The process of the calls is kept from one trial to the next."""

    leaves_interpreter = False

    def __init__(self) -> None:
        self._sandbox: Sandbox | None = None
        atexit.register(self._end)

    def check(self, settings: Settings, device: str) -> str:  # noqa: ARG002 - an engine takes both
        """Nothing: what the function can train is known once it has."""
        return ""

    def units(self, study: "Study", trials: Sequence[Trial], jobs: int, device: str) -> list[Unit]:  # noqa: ARG002
        """A unit for each trial."""
        from studies.train import packing

        source = replace(packing.source_of(study), measures=(study.measure.name, *study.recorded))
        return [Unit(source, [trial], (0, 0, 0), 1.0, device) for trial in trials]

    def cost(self, unit: Unit) -> float:  # noqa: ARG002
        """Nobody knows."""
        return math.inf

    def train(self, unit: Unit, observe: Observe | None = None) -> list[Trained]:  # noqa: ARG002 - there is nothing to observe
        """Call the function for each trial of a unit. Raises FunctionError where it fails."""
        unit = unit if unit.splits else unit.with_rows()
        splits: Sequence[Split | None] = unit.splits or [None] * len(unit.trials)
        return [self._train(unit, trial, split) for trial, split in zip(unit.trials, splits, strict=True)]

    def _train(self, unit: Unit, trial: Trial, split: "Split | None") -> Trained:
        from studies.train import returned
        from studies.train.calls import Request

        source, settings = unit.source, trial.configuration.settings
        seed = seed_for(source.seed, "init", trial.repeat, trial.fold) % 2**32  # the most that numpy and scikit-learn take
        request = Request(source.function, settings, seed, split, source.schema.features, source.schema.classes)
        answer = self._process(source.function.threads, unit.device).call(request, source.function.limit)
        about, *measures = source.measures
        try:
            outcome = returned.outcome(answer.outputs, answer.numbers, split, source.schema.classes, measures, about)
        except ValueError as error:
            raise FunctionError(f"{source.function.name}: {error}", str(error)) from None
        return Trained({"seconds": answer.seconds, **outcome}, None)

    def _process(self, threads: int, device: str) -> Sandbox:
        """The process of the calls; another one where the number of threads or the device has changed."""
        environment = {f"{library}_NUM_THREADS": str(threads) for library in _LIBRARIES}
        environment["CUDA_VISIBLE_DEVICES"] = _visible(device)
        if self._sandbox is None or self._sandbox.environment != environment:
            self._end()
            self._sandbox = Sandbox(environment)
        return self._sandbox

    def _end(self) -> None:
        if self._sandbox:
            self._sandbox.end()


def _visible(device: str) -> str:
    """The CUDA devices that a function sees: that of this process alone, and none in a run on the CPU."""
    from studies.train import devices

    if device == "cpu":
        return ""
    index = devices.take(device).index or 0
    seen = [each for each in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if each]
    return seen[index] if seen else str(index)
