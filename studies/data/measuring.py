"""The value of a measure, from what is true of rows and what a model says of them."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from studies.data.types import Floats, Labels

PROBABILITIES = ("log_loss", "auc", "brier")  # measures of probabilities; the others are of decisions


def value(name: str, truth: Labels, predicted: Labels, probabilities: Floats) -> float | None:
    """The value of a measure of classification on rows; None where it has none there.

    Args:
        name: A measure of `spec.measures`.
        truth: Classes, `(rows,)`.
        predicted: Classes that the model decides on, `(rows,)`; a number that is no class is wrong.
        probabilities: Of each class, `(rows, classes)`.
    """
    if not np.isfinite(probabilities).all() or (name == "auc" and len(np.unique(truth)) < probabilities.shape[1]):
        return None
    return _FUNCTIONS[name](truth, predicted, probabilities)


def of_numbers(name: str, truth: Floats, said: Floats) -> float | None:
    """The value of a measure of regression for targets `(rows,)` and outputs `(rows,)`, both in the target's unit."""
    if not np.isfinite(said).all():
        return None
    away = said - truth
    if name == "mae":
        return float(np.abs(away).mean())
    if name == "rmse":
        return float(np.sqrt((away**2).mean()))
    spread = ((truth - truth.mean()) ** 2).sum()
    return float(1 - (away**2).sum() / spread) if spread else None


def to_probabilities(outputs: Floats, loss: str) -> Floats:
    """Probabilities `(rows, classes)` of outputs `(rows, outputs)`; of a single output those of two classes.

    The softmax where the loss takes logits or scores; else outputs are taken for probabilities: cut off at 0 and 1, and divided
    by their sum.
    """
    if loss in ("cross_entropy", "hinge"):
        powers = np.exp(outputs - outputs.max(1, keepdims=True))
        return np.asarray(powers / powers.sum(1, keepdims=True))
    if outputs.shape[1] == 1:
        outputs = np.hstack([1 - outputs, outputs])
    cut = np.clip(outputs, 0, 1)
    total = cut.sum(1, keepdims=True)
    return np.where(total > 0, cut / np.where(total > 0, total, 1), 1 / outputs.shape[1])


def of_a_guess(name: str, labels: Labels) -> float:
    """The value of a guess that looks at no input: the most frequent of these labels, or, as probabilities, their shares."""
    shares = np.bincount(labels) / len(labels)
    if name == "error":
        return float(100 * (1 - shares.max()))
    guessed = np.full(len(labels), shares.argmax())
    found = value(name, labels, guessed, np.tile(shares, (len(labels), 1)))
    assert found is not None, name
    return found


def _balanced_error(truth: Labels, predicted: Labels, _: Floats) -> float:
    from sklearn.metrics import recall_score

    classes = np.unique(truth)
    return float(100 * (1 - recall_score(truth, predicted, labels=classes, average="macro", zero_division=0.0)))


def _log_loss(truth: Labels, _: Labels, probabilities: Floats) -> float:
    from sklearn.metrics import log_loss

    return float(log_loss(truth, np.clip(probabilities, 1e-15, 1), labels=np.arange(probabilities.shape[1])))


def _auc(truth: Labels, _: Labels, probabilities: Floats) -> float:
    from sklearn.metrics import roc_auc_score

    scores: NDArray[np.float64] = probabilities[:, 1] if probabilities.shape[1] == 2 else probabilities
    return float(roc_auc_score(truth, scores, multi_class="ovr"))


def _f1(truth: Labels, predicted: Labels, probabilities: Floats) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(truth, predicted, labels=np.arange(probabilities.shape[1]), average="macro", zero_division=0.0))


def _brier(truth: Labels, _: Labels, probabilities: Floats) -> float:
    """The mean squared distance of the probabilities from the class of the row (Brier 1950), from 0 to 2."""
    return float(((probabilities - np.eye(probabilities.shape[1])[truth]) ** 2).sum(1).mean())


_FUNCTIONS: Mapping[str, Callable[[Labels, Labels, Floats], float]] = {
    "balanced_error": _balanced_error,
    "log_loss": _log_loss,
    "auc": _auc,
    "f1": _f1,
    "brier": _brier,
}
