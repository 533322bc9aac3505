"""Sizes of a measurement: in full, at a glance, or just enough to test the harness."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.work import FOLDS, Work

LR = {"sgd": 0.2, "adam": 0.005}
ONE_BY_ONE = ("torch_loop", "torch_compile", "sklearn_mlp")  # these train every eleventh model: each fold and rate once
CASES = tuple(itertools.product(("tanh", "relu"), ("sgd", "adam"), ("none", "affine")))


@dataclass(frozen=True)
class Scale:
    """Sizes of the stages. Of JAX's numbers, the structures of the grid divide all; the models are among all."""

    name: str
    rounds: int
    epochs: int
    models: int
    cases: Sequence[tuple[str, str, str]]
    grid_rounds: int
    grid_jobs: int
    grid_epochs: int
    grid_activations: Sequence[str]
    grid_structures_of_jax: int
    growth_rounds: int
    growth_epochs: int
    growth_models: Sequence[int]
    growth_models_of_jax: Sequence[int]
    growth_widths: Sequence[tuple[int, int]]  # units in a layer, models
    process_cases: Sequence[tuple[str, str, str]]
    process_epochs: int


FULL = Scale(
    name="full",
    rounds=5,
    epochs=40,
    models=60,
    cases=CASES,
    grid_rounds=3,
    grid_jobs=2,
    grid_epochs=100,
    grid_activations=("relu", "tanh", "elu", "sigmoid"),
    grid_structures_of_jax=6,
    growth_rounds=3,
    growth_epochs=30,
    growth_models=(1, 2, 4, 8, 16, 32, 48, 64, 128, 256, 512, 1000),
    growth_models_of_jax=(1, 16, 64, 256, 1000),
    growth_widths=((25, 60), (50, 60), (100, 40), (256, 10)),
    process_cases=(CASES[0], CASES[7]),
    process_epochs=150,
)
QUICK = Scale(
    name="quick",
    rounds=2,
    epochs=30,
    models=60,
    cases=(CASES[0], CASES[7]),
    grid_rounds=1,
    grid_jobs=2,
    grid_epochs=30,
    grid_activations=FULL.grid_activations,
    grid_structures_of_jax=3,
    growth_rounds=1,
    growth_epochs=10,
    growth_models=(1, 8, 64, 256),
    growth_models_of_jax=(64,),
    growth_widths=((25, 60), (100, 20)),
    process_cases=(CASES[0],),
    process_epochs=30,
)
TINY = Scale(
    name="tiny",
    rounds=2,
    epochs=2,
    models=12,
    cases=(CASES[0],),
    grid_rounds=1,
    grid_jobs=1,
    grid_epochs=1,
    grid_activations=("tanh",),
    grid_structures_of_jax=1,
    growth_rounds=1,
    growth_epochs=1,
    growth_models=(1, 12),
    growth_models_of_jax=(),
    growth_widths=((25, 2),),
    process_cases=(CASES[0],),
    process_epochs=1,
)


def work(scale: Scale, activation: str, optimizer: str, batchnorm: str) -> Work:
    """One case of the steps: learning rates of the models within 5% of one another's mean, each a number of its own."""
    return Work(activation, optimizer, batchnorm, _near(LR[optimizer], scale.models), tuple(range(scale.models)), scale.epochs)


def grown(scale: Scale, models: int, width: int = 25, data: str = "disk") -> Work:
    """One point of growth: tanh and SGD."""
    return Work(
        "tanh",
        "sgd",
        "none",
        _near(LR["sgd"], models),
        tuple(range(models)),
        scale.growth_epochs,
        hidden=(width,) * 3,
        data=data,
    )


def grid(scale: Scale) -> list[Work]:
    """The structures of the grid, each at two learning rates on ten folds."""
    structures = itertools.product(scale.grid_activations, ("mse", "cross_entropy"), ("none", "simplified", "affine"))
    return [
        Work(activation, "sgd", batchnorm, (0.1, 0.2), tuple(range(2 * FOLDS)), scale.grid_epochs, loss=loss)
        for activation, loss, batchnorm in structures
    ]


def _near(lr: float, models: int) -> tuple[float, ...]:
    """As many learning rates about this one as the models need, ten folds to each."""
    count = -(-models // FOLDS)
    return tuple(round(lr * (1 + share), 9) for share in np.linspace(-0.05, 0.05, count).tolist()) if count > 1 else (lr,)
