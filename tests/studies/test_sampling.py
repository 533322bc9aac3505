"""Populations and populations' words by design."""

import pandas as pd
import pytest

from studies.spec import spec
from studies.spec.sampling import Population, Sampling

NEW_DATA, NEW_ROWS, NEW_SEEDS = Population.NEW_DATA, Population.NEW_ROWS, Population.NEW_SEEDS
AGAIN = "for new data sets: data.resample = true with validation.repeats of 10 or more"
LEAVE = "else validation.folds without test_samples"
# population, overlap, count, words, beginnings of what makes it wider
DESIGNS = {
    "resampled repeats": (
        Sampling.of(0, 20, True, "test", 1000),
        (NEW_DATA, 0, 20, f"95% intervals over 20 repeats, for {NEW_DATA}", []),
    ),
    "resampled repeats with folds": (
        Sampling.of(5, 10, True, "val", 40),
        (NEW_DATA, 0, 10, f"95% intervals over 10 repeats, for {NEW_DATA}", []),
    ),
    "folds left out": (
        Sampling.of(10, 1, False, "val", 100),
        (NEW_DATA, 1 / 9, 10, f"95% intervals over 10 folds, for {NEW_DATA}", []),
    ),
    "folds left out, few rows": (
        Sampling.of(5, 2, False, "val", 12),
        (NEW_DATA, 1 / 4, 10, f"95% intervals over 5 folds x 2 repeats, for {NEW_DATA}", []),
    ),
    "one resampled repeat is one data set": (
        Sampling.of(10, 1, True, "val", 100),
        (NEW_DATA, 1 / 9, 10, f"95% intervals over 10 folds, for {NEW_DATA}", []),
    ),
    "folds with test rows": (
        Sampling.of(10, 2, False, "test", 1000),
        (NEW_ROWS, 0, 20, f"95% intervals over 10 folds x 2 repeats and 1,000 rows, for {NEW_ROWS}", [AGAIN, LEAVE]),
    ),
    "folds with few test rows": (
        Sampling.of(10, 1, False, "test", 99),
        (
            NEW_SEEDS,
            0,
            10,
            f"95% intervals over 10 folds, for {NEW_SEEDS}",
            ["for new rows: 100 or more test rows", AGAIN, LEAVE],
        ),
    ),
    "repeats, many rows": (
        Sampling.of(0, 20, False, "test", 100),
        (NEW_ROWS, 0, 20, f"95% intervals over 20 repeats and 100 rows, for {NEW_ROWS}", [AGAIN, LEAVE]),
    ),
    "repeats, few rows": (
        Sampling.of(0, 20, False, "test", 40),
        (
            NEW_SEEDS,
            0,
            20,
            f"95% intervals over 20 repeats, for {NEW_SEEDS}",
            ["for new rows: 100 or more test rows", AGAIN, LEAVE],
        ),
    ),
    "repeats, validation rows": (
        Sampling.of(0, 20, False, "val", 300),
        (NEW_ROWS, 0, 20, f"95% intervals over 20 repeats and 300 rows, for {NEW_ROWS}", [AGAIN, LEAVE]),
    ),
    "repeats, training rows": (
        Sampling.of(0, 20, False, "train", 1000),
        (
            NEW_SEEDS,
            0,
            20,
            f"95% intervals over 20 repeats, for {NEW_SEEDS}",
            ["for new rows: data.test_samples", AGAIN, LEAVE],
        ),
    ),
    "alone": (Sampling.of(0, 1, True, "test", 1000), (NEW_ROWS, 0, 1, "one value of each: no interval", [AGAIN, LEAVE])),
}


@pytest.mark.parametrize(("sampling", "expected"), DESIGNS.values(), ids=DESIGNS)
def test_what_a_design_speaks_of(sampling, expected):
    population, overlap, count, words, wider = expected
    assert (sampling.population, sampling.overlap, sampling.count, sampling.words) == (population, overlap, count, words)
    assert sampling.alone == (count == 1)
    parts = sampling.widen.split("; ") if sampling.widen else []
    assert len(parts) == len(wider)
    assert all(part.startswith(start) for part, start in zip(parts, wider, strict=True))


SPECS = {
    "folds with test rows": ((), Sampling(3, 1, False, "test", 40)),
    "folds left out": ((("test_samples = 40", "test_samples = 0"),), Sampling(3, 1, False, "val", 20)),
    "validation rows": (
        (("test_samples = 40", "test_samples = 0\nvalidation_samples = 30"), ("folds = 3", "folds = 0\nrepeats = 4")),
        Sampling(0, 4, False, "val", 30),
    ),
    "training rows": (
        (("test_samples = 40", "test_samples = 0"), ("folds = 3", "folds = 0\nrepeats = 4")),
        Sampling(0, 4, False, "train", 60),
    ),
    "resampled": (
        (("test_samples = 40", "test_samples = 40\nresample = true"), ("folds = 3", "folds = 0\nrepeats = 4")),
        Sampling(0, 4, True, "test", 40),
    ),
    "resampled once": ((("test_samples = 40", "test_samples = 40\nresample = true"),), Sampling(3, 1, False, "test", 40)),
}


@pytest.mark.parametrize(("changes", "expected"), SPECS.values(), ids=SPECS)
def test_the_sampling_of_a_study(tiny, changes, expected):
    assert spec.load(str(tiny(*changes))).sampling == expected


def frame(values, *sizes):
    index = pd.MultiIndex.from_product([range(size) for size in sizes], names=["config", "repeat", "fold"])
    return pd.Series(values, index, dtype=float)


@pytest.mark.parametrize(
    ("sampling", "values"),
    [
        (Sampling(2, 2), [1, 2, 3, None]),
        (Sampling(2, 2, fresh=True), [1.5, 3]),
        (Sampling(0, 2), [1.5, 3]),
    ],
    ids=["folds of one data set", "fresh data", "no folds"],
)
def test_what_counts_as_one_value(sampling, values):
    found = sampling.samples(frame([1, 2, 3, None], 1, 2, 2))
    assert found.tolist() == pytest.approx(pd.Series(values, dtype=float).tolist(), nan_ok=True)


def test_a_repeat_that_lacks_a_fold_may_count_as_none():
    found = Sampling(2, 2, fresh=True).samples(frame([1, 2, 3, None], 1, 2, 2), skipna=False)
    assert found.tolist() == pytest.approx([1.5, float("nan")], nan_ok=True)
