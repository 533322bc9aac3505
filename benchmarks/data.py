"""The same work as a study of the suite: its rows go to every engine, and its plan says which models train together."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.work import FOLDS, Rows, Work
from studies.data import splits
from studies.plan import plan
from studies.plan.units import Unit
from studies.spec import spec
from studies.spec.study import Study
from studies.train import engines

_SECTIONS: Mapping[str, Mapping[str, Any]] = {
    "disk": {"name": "disk", "samples": 1000, "test_samples": 1000},
    "digits": {"name": "digits", "samples": 1000, "test_samples": 797},
}


def grid_study(works: Sequence[Work], seed: int, engine: str = "auto") -> Study:
    """The study whose configurations are those of the works, which are the product of their levels.

    The m-th trial of a study of one work is the work's member m.
    """
    base = works[0]
    document = {
        "title": "The grid of make bench",
        "seed": seed,
        "data": _SECTIONS[base.data],
        "validation": {"folds": FOLDS, "stratified": False},
        "base": {
            "hidden": list(base.hidden),
            "batch_size": base.batch_size,
            "epochs": base.epochs,
            "history_every": 0,
            "optimizer": {"name": base.optimizer},
            "engine": engine,
        },
        "grid": [
            {
                "activation": list(dict.fromkeys(work.activation for work in works)),
                "loss": list(dict.fromkeys(work.loss for work in works)),
                "batchnorm": list(dict.fromkeys(work.batchnorm for work in works)),
                "optimizer.lr": list(base.lrs),
            }
        ],
    }
    return spec.check("bench", document)


def rows(work: Work, seed: int) -> Rows:
    """The rows of every fold, normalised by its training rows."""
    source = grid_study([work], seed)
    drawn = [splits.split(source.data, source.validation, source.seed, 0, fold) for fold in range(FOLDS)]
    tests = [split.test for split in drawn if split.test]
    return Rows(
        np.stack([split.train.inputs[: work.samples] for split in drawn]).astype(np.float32),
        np.stack([split.train.labels[: work.samples] for split in drawn]),
        np.stack([test.inputs for test in tests]).astype(np.float32),
        np.stack([test.labels for test in tests]),
    )


def units(work: Work, engine: str = "auto") -> list[Unit]:
    """The members in units of the engine, as the planner cuts them for one process."""
    source = grid_study([work], 0, engine)
    trials = plan.trials(source)
    return engines.plan_units(source, [trials[member] for member in work.members], jobs=1)
