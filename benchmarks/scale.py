"""Sizes of a measurement: in full, at a glance, or just enough to test the harness."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.before import ROOT
from benchmarks.work import FOLDS, Work

LR = {"sgd": 0.2, "adam": 0.005}
ONE_BY_ONE = ("torch_loop", "torch_compile", "sklearn_mlp", "floor", "large")  # these train every eleventh model
SLOW = ("jax_rows", "torch_vmap", "sklearn_mlp", "torch_loop", "torch_compile")  # in the first rounds of `steps` only
CASES = tuple(itertools.product(("tanh", "relu"), ("sgd", "adam"), ("none", "affine")))


@dataclass(frozen=True)
class Scale:
    """Sizes of the stages. The structures of the grid that JAX trains divide all; growth and commands are by name."""

    name: str
    rounds: int
    slow_rounds: int  # of the engines in SLOW
    epochs: int
    models: int
    cases: Sequence[tuple[str, str, str]]
    grid_rounds: int
    grid_jobs: int
    grid_epochs: int
    grid_activations: Sequence[str]
    grid_structures_of_jax: int
    growth_rounds: int
    growth: Mapping[tuple[str, str], Work]  # by axis and value
    process_cases: Sequence[tuple[str, str, str]]
    process_epochs: int
    commands: Mapping[str, Sequence[str]]  # arguments of `ablation`


def work(scale: Scale, activation: str, optimizer: str, batchnorm: str) -> Work:
    """One case of the steps: learning rates of the models within 5% of one another's mean, each a number of its own."""
    return Work(activation, optimizer, batchnorm, _near(LR[optimizer], scale.models), tuple(range(scale.models)), scale.epochs)


def grown(models: int, epochs: int, width: int = 25, **fields: Any) -> Work:  # noqa: ANN401 - of a Work
    """One point of growth: tanh and SGD."""
    fields = {"hidden": (width,) * 3, **fields}
    return Work("tanh", "sgd", "none", _near(LR["sgd"], models), tuple(range(models)), epochs, **fields)


def one_sample(models: int, epochs: int) -> Work:
    """Batches of one sample."""
    return grown(models, epochs, batch_size=1)


def smallest(models: int, epochs: int) -> Work:
    """2-3-3-2 on 21 samples, all in one batch."""
    return grown(models, epochs, width=3, hidden=(3, 3), batch_size=21, samples=21)


def _reports() -> list[str]:
    """The studies of `make reports`."""
    found = re.search(r"^REPORTS := ((?:.*\\\n)*.*)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    return found[1].replace("\\\n", " ").split()


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


FULL = Scale(
    name="full",
    rounds=5,
    slow_rounds=3,
    epochs=16,
    models=60,
    cases=CASES,
    grid_rounds=3,
    grid_jobs=2,
    grid_epochs=100,
    grid_activations=("relu", "tanh", "elu", "sigmoid"),
    grid_structures_of_jax=6,
    growth_rounds=3,
    growth={
        ("models", "16"): grown(16, 60),
        ("models", "1"): grown(1, 300),  # beside 60 in time: they are compared
        ("models", "60"): grown(60, 30),
        ("models", "250"): grown(250, 10),
        ("models", "1000"): grown(1000, 6),
        ("width", "25"): grown(60, 20),
        ("width", "50"): grown(40, 20, width=50),
        ("width", "100"): grown(16, 20, width=100),
        ("width", "256"): grown(4, 15, width=256),
        ("data", "digits"): grown(60, 15, data="digits"),
        ("models at one sample a step", "1"): one_sample(1, 10),
        ("models at one sample a step", "60"): one_sample(60, 4),
        ("models of 2-3-3-2 on 21 samples", "1"): smallest(1, 2000),
        ("models of 2-3-3-2 on 21 samples", "60"): smallest(60, 1000),
    },
    process_cases=(CASES[0], CASES[7]),
    process_epochs=150,
    commands={"make ablation": ("run", "ablation", "--report"), "make reports": ("run", *_reports())},
)
QUICK = Scale(
    name="quick",
    rounds=2,
    slow_rounds=1,
    epochs=16,
    models=60,
    cases=(CASES[0], CASES[7]),
    grid_rounds=1,
    grid_jobs=2,
    grid_epochs=30,
    grid_activations=FULL.grid_activations,
    grid_structures_of_jax=3,
    growth_rounds=1,
    growth={point: work for point, work in FULL.growth.items() if point[1] not in ("250", "1000", "256")},
    process_cases=(CASES[0],),
    process_epochs=30,
    commands={"make ablation": ("run", "demo", "--report"), "make reports": ("run", "eight_models", "--quick")},
)
TINY = Scale(
    name="tiny",
    rounds=2,
    slow_rounds=1,
    epochs=1,
    models=12,
    cases=(CASES[0],),
    grid_rounds=1,
    grid_jobs=1,
    grid_epochs=1,
    grid_activations=("tanh",),
    grid_structures_of_jax=1,
    growth_rounds=1,
    growth={
        ("models", "1"): grown(1, 1),
        ("models", "60"): grown(3, 1),
        ("width", "50"): grown(2, 1, width=50),
        ("data", "digits"): grown(2, 1, data="digits"),
        ("models of 2-3-3-2 on 21 samples", "1"): smallest(1, 1),
    },
    process_cases=(CASES[0],),
    process_epochs=1,
    commands={"make ablation": ("run", "demo", "--set", "base.epochs=1", "--quiet")},
)
