"""Rows of trials and scores as if models had been trained, for tests of what is computed from them."""

import numpy as np
import pandas as pd

from studies.analysis.scores import Scores
from studies.data.wrong import pack_rows
from studies.spec.sampling import Sampling


def trials(errors, factors="", rows=100, judged="test", **columns):
    """A row for each configuration, repeat and fold, of `rows` judged rows.

    `errors` has the numbers of wrong rows `(folds,)` or `(repeats, folds)` by configuration, None for a failed trial. Names of
    configurations are their levels of `factors`, with a blank between.
    """
    tables = []
    for name, numbers in errors.items():
        counts = np.atleast_2d(np.array(numbers, dtype=float))
        wrong = pd.Series(counts.ravel()).astype("Int64")
        place = np.indices(counts.shape).reshape(2, -1)
        table = {
            "trial": [f"{name} {repeat} {fold}" for repeat, fold in place.T],
            "config": name,
            "label": name,
            **dict(zip(factors, name.split(), strict=bool(factors))),
            **{"repeat": place[0], "fold": place[1], "seed": 0},
            **{"n_train": 3 * rows, "n_val": 0, "n_test": 0, f"n_{judged}": rows},
            **{"train_errors": wrong, "val_errors": pd.NA, "test_errors": pd.NA, f"{judged}_errors": wrong},
            **{"diverged": False, "stuck": False},
            "status": np.where(wrong.isna(), "failed", "ok"),
        }
        tables.append(pd.DataFrame(table))
    return pd.concat(tables, ignore_index=True).assign(**columns)


def trials_of_bits(wrong, factors="", **columns):
    """The same from the wrong rows themselves, `(repeats, folds, rows)` by configuration, which the trials then have too."""
    counts = {name: bits.sum(2) for name, bits in wrong.items()}
    texts = [pack_rows(row) for bits in wrong.values() for row in bits.reshape(-1, bits.shape[2])]
    rows = next(iter(wrong.values())).shape[2]
    return trials(counts, factors, rows).assign(wrong=pd.Series(texts, dtype=object), **columns)


def scores_of(errors, sampling=None, wrong=None):
    """Scores of errors in percent `(configurations, places)`, or of wrong rows `(configurations, places, rows)`."""
    if wrong is not None:
        errors = 100 * np.asarray(wrong).mean(2)
    errors = np.asarray(errors, dtype=float)
    count, places = errors.shape
    rows = 1000 if wrong is None else np.shape(wrong)[2]
    sampling = sampling or Sampling(0, places, rows=rows)
    repeats = np.arange(places) // (places // sampling.repeats)
    bits = None if wrong is None else np.packbits(np.asarray(wrong, dtype=bool), axis=2)
    return Scores(
        pd.Index([f"c{index}" for index in range(count)]), errors, repeats, bits, sampling, np.zeros(count, dtype=bool)
    )


def random_bits(rng, configurations, places, rows, spread=1.0):
    """Wrong rows `(configurations, places, rows)` of equally good configurations: some rows and some places are harder."""
    hard = rng.normal(-1.5, spread, rows) + rng.normal(0, 0.3 * spread, (places, 1))
    own = rng.normal(0, 0.3 * spread, (configurations, 1, rows)) + rng.normal(0, 0.1 * spread, (configurations, places, 1))
    return rng.random((configurations, places, rows)) < 1 / (1 + np.exp(-hard - own))
