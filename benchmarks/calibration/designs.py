"""The designs that are calibrated: which models train on which data, and what of them a study would see."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from studies.spec import spec
from studies.spec.sampling import Sampling
from studies.spec.study import Study

SOURCES = ("disk", "moons", "circles")
POOL, TRUTH = 250, 4000  # training rows, and rows beyond the largest test set by which the truth is known
LARGEST = 3000  # test rows of the largest test set
SEED = 1000  # of the first data set
LEARNERS: dict[str, Sequence[Any]] = {  # logistic regression is stable; a small ReLU network under Adam is not
    "activation": ["identity", "relu"],
    "optimizer": [{"name": "sgd", "lr": 0.1}, {"name": "adam", "lr": 0.02}],
}


@dataclass(frozen=True)
class View:
    """A part of the trials, as a study sees it: judged on so many of the test rows, or (0) on the folds that are left out."""

    name: str
    rows: int


@dataclass(frozen=True)
class Design:
    """Trials of one data set: `repeats` of a study, and `more` of them on the same rows, which tell the truth.

    As many of these as the study has are also a second study that differs from it in nothing but seeds.
    """

    name: str
    folds: int
    repeats: int
    more: int
    views: Sequence[View]
    fresh: bool = False

    def study(self, source: str, index: int) -> Study:
        """The study of one data set, with the repeats that tell the truth."""
        document = {
            "seed": SEED + index,
            "data": {"name": source, "samples": POOL, "test_samples": LARGEST + TRUTH, "resample": self.fresh},
            "validation": {"folds": self.folds, "repeats": self.repeats + self.more},
            "base": {"hidden": [8], "batch_size": 25, "epochs": 25, "activation": "tanh"},
            "grid": [LEARNERS],
        }
        return spec.check("calibration", document)

    def sampling(self, view: View) -> Sampling:
        """The sampling that a study with this view would have."""
        judged, rows = ("test", view.rows) if view.rows else ("val", POOL // self.folds)
        return Sampling.of(self.folds, self.repeats, self.fresh, judged, rows)

    def population(self, view: View) -> str:
        """The population that such a study speaks of."""
        return self.sampling(view).population


_COMMON = (View("200 test rows", 200), View("1,000 test rows", 1000), View("3,000 test rows", LARGEST))
_LEFT_OUT = View("left-out folds", 0)

DESIGNS = (
    Design("10 folds", 10, 1, 5, (*_COMMON, _LEFT_OUT)),
    Design("5 folds x 4 repeats", 5, 4, 6, (*_COMMON[1:], _LEFT_OUT)),
    Design("20 repeats on one data set", 0, 20, 40, (View("50 test rows", 50), *_COMMON)),
    Design("20 resampled repeats", 0, 20, 0, (_COMMON[1],), fresh=True),
)
