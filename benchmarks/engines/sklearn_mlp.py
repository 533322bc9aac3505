"""scikit-learn's MLPClassifier, one model at a time.

Its weights start uniform with Xavier's variance, its biases uniform too; two classes are one logistic output.
"""

import time
import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from benchmarks.work import Prepared, Rows, Trained, UnavailableError, Work, percent_wrong


def prepare(work: Work, rows: Rows) -> Prepared:  # noqa: ARG001 - all engines are called alike
    """Nothing is compiled; raises UnavailableError where MLPClassifier does not have the case."""
    if work.batchnorm != "none":
        raise UnavailableError("no batch norm")
    if work.loss != "cross_entropy" or work.activation not in ("tanh", "relu"):
        raise UnavailableError("not its loss or activation")
    return Prepared(lambda rows, seed: _train(work, rows, seed))


def _train(work: Work, rows: Rows, seed: int) -> Trained:
    seconds, errors = 0.0, {}
    for member, fold, lr in zip(work.members, work.folds, work.rates, strict=True):
        model = MLPClassifier(
            work.hidden,
            activation=work.activation,
            solver=work.optimizer,
            alpha=0.0,
            batch_size=work.batch_size,
            learning_rate_init=lr,
            momentum=0.0,
            max_iter=work.epochs,
            tol=0.0,
            n_iter_no_change=work.epochs,
            random_state=1000 * seed + member,
        )
        begin = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is given
            model.fit(rows.train_inputs[fold], rows.train_labels[fold])
        seconds += time.perf_counter() - begin
        errors[member] = percent_wrong(model.predict(rows.test_inputs[fold]), rows.test_labels[fold])
    return Trained(seconds, errors)
