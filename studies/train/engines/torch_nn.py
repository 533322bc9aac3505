"""The engine `torch_nn`: the same models by torch.nn, autograd and torch.optim, one at a time, for comparison."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from studies.plan.units import Trial, Unit
from studies.spec.components import BUILT_IN, STEPS
from studies.spec.settings import Settings, components_of
from studies.train import costs
from studies.train.engines import Observe, Trained

if TYPE_CHECKING:
    from studies.spec.study import Study

COSTS = costs.Costs(0.0, 1.1, 0.8, 0.7, 0.6, 5e-3, 1e-5, 3.5e-6, 3.5e-7, 3.5e-5, 5.0)


class TorchEngine:
    """A yardstick: same loop, splits, first weights and batches, other arithmetic."""

    leaves_interpreter = False

    def check(self, settings: Settings, device: str) -> str:
        """The setting that torch.nn has no equal for, or that its steps cannot be recorded for a CUDA device."""
        own = [name for key, name in components_of(settings) if key in STEPS and name not in BUILT_IN[key]]
        if own:
            return f"torch.nn has no equal of {own[0]!r}, which is your own"
        norm = settings["batchnorm"]
        if norm.get("gradient") == "straight_through":
            return "torch.nn's batch norm has the exact gradient only, not gradient = 'straight_through'"
        if norm.get("unbiased"):
            return "torch.nn's batch norm divides the variance by n only, not by n - 1 as unbiased = true asks"
        if settings["gradient_norms"]:
            return "gradient norms are recorded from the framework's layers only, and gradient_norms is true"
        if device != "cpu":
            return f"engine torch_nn trains on the CPU: --device {device} was given"
        return ""

    def units(self, study: "Study", trials: Sequence[Trial], jobs: int, device: str) -> list[Unit]:
        """A unit for each trial."""
        from studies.train import packing

        return packing.pack(study, trials, jobs, device, lambda *_: 1)

    def cost(self, unit: Unit) -> float:
        """Rough time of training."""
        return costs.training_cost(unit, COSTS)

    def train(self, unit: Unit, observe: Observe | None = None) -> list[Trained]:
        """Train the one model of a unit."""
        from studies.train import fitting, torch_models  # torch.optim takes a second to import, which no other study needs

        return fitting.train(unit, observe, torch_models.to_torch)
