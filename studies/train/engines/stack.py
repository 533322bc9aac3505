"""The engine `stack`: the framework, which trains many models of one structure together."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from studies.plan.units import Trial, Unit
from studies.spec.settings import Settings
from studies.train import costs
from studies.train.engines import Observe, Trained

if TYPE_CHECKING:
    from studies.spec.study import Study

COSTS = costs.Costs(0.8, 0.75, 1.7, 2.5, 0.2, 1.5e-3, 2e-5, 8e-6, 1e-6, 4e-5, 5.0)


class StackEngine:
    """The reference, and the way to CUDA."""

    leaves_interpreter = False

    def check(self, settings: Settings, device: str) -> str:  # noqa: ARG002 - an engine takes both
        """Nothing: it trains all settings, on all devices."""
        return ""

    def units(self, study: "Study", trials: Sequence[Trial], jobs: int, device: str) -> list[Unit]:
        """As few stacks as memory and the number of jobs allow."""
        from studies.train import packing

        return packing.pack(study, trials, jobs, device, packing.capacity)

    def cost(self, unit: Unit) -> float:
        """Rough time of training."""
        return costs.training_cost(unit, COSTS)

    def train(self, unit: Unit, observe: Observe | None = None) -> list[Trained]:
        """Train a stack."""
        from studies.train import fitting

        return fitting.train(unit, observe)
