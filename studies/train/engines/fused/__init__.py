"""The engine `fused`: a compiled core that trains one model at a time, in the cache, on one core of the CPU."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from studies.plan.units import Trial, Unit
from studies.spec.components import BUILT_IN, STEPS
from studies.spec.settings import Settings, components_of
from studies.train import costs
from studies.train.engines import Observe, Trained
from studies.train.engines.fused import builds
from studies.train.engines.fused.components import MAKERS

if TYPE_CHECKING:
    from studies.spec.study import Study

COSTS = costs.Costs(5e-3, 2e-3, 4e-3, 4e-3, 2e-3, 1.5e-4, 4.5e-6, 8e-6, 1.2e-6, 5e-6, 0.08)


class FusedEngine:
    """The fast way on the CPU: all built-in components, float and double."""

    leaves_interpreter = True

    def check(self, settings: Settings, device: str) -> str:
        """The reason that it is not built, or cannot train these settings on the device."""
        if device != "cpu":
            return f"engine fused trains on the CPU: --device {device} was given"
        for key, name in components_of(settings):
            if key in STEPS and (name not in BUILT_IN[key] or BUILT_IN[key][name].maker not in MAKERS):
                return f"engine fused has no formula for {key} {name!r}"
        return "" if builds.any_built() else f"engine fused is not built here: {builds.REMEDY}"

    def units(self, study: "Study", trials: Sequence[Trial], jobs: int, device: str) -> list[Unit]:
        """Units of models with one structure, which share the work around training."""
        from studies.train import packing

        return packing.pack(study, trials, jobs, device, packing.capacity)

    def cost(self, unit: Unit) -> float:
        """Rough time of training."""
        first = unit.of_trials(unit.trials[:1])
        return len(unit.trials) * costs.training_cost(first, COSTS)

    def train(self, unit: Unit, observe: Observe | None = None) -> list[Trained]:
        """Train the models of a unit, one after the other."""
        from studies.train import fitting
        from studies.train.engines.fused import training

        trained = fitting.train(unit, observe, fit=training.fit)
        return [each._replace(outcome={**each.outcome, "stack": 1}) for each in trained]
