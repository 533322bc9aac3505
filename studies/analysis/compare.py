"""Two results of one study, trial by trial: the changes that another commit, machine or version of torch makes.

Within one build of torch and numpy, rows are equal to the bit. Another build sums in another order, training amplifies the last
bit, and single trials err a little more or less. An upgrade can be trusted where these changes have no direction.

Both results have equal rows and equal splits. Given these, the differences of two folds are independent, so a change is judged
by a paired t test over (repeat, fold), without a term for the overlap of training sets. The statement is about new seeds on
these rows, not about new data.

Three questions are asked: has the mean error over all configurations become worse, the number of failures, that of any one
configuration? The mean may raise a false alarm in 2.5% of comparisons, which makes its interval the usual 95% interval. The two
others share 2%. The last 0.5% are for errors that are whole numbers of rows: of these, t tests of small levels reject up to 1.2
times too often. So "worse" is found by chance in at most 5% of comparisons, and "better" too.

In 20,000 simulated comparisons of each of 16 designs (1 to 100 configurations, 3 to 40 folds), "worse" is found in 1.5 to 4.6%
where nothing changed. With 10 folds, 4 configurations and a standard deviation over seeds of 2 points, it is found in 4.2%, and
in 21, 56 and 98% where every error is 0.5, 1 and 2 points higher. McNemar's test of failures, which takes trials for
independent, would reject in up to 61% where failures cluster by fold.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from studies.analysis import distributions, outcomes
from studies.analysis.estimates import ALPHA, from_moments, resolvable
from studies.columns import OUTCOMES
from studies.data.measures import Measure
from studies.data.types import OF_RUNS
from studies.spec.identity import differing
from studies.spec.measures import MEASURES

KEYS = ("reading", "config", "repeat", "fold")
UNITS = ("repeat", "fold")  # whose differences are independent, given the rows
QUESTIONS = {"mean": "the mean", "failures": "failures", "configuration": "configurations"}  # and in words
_MUST_AGREE = ("seed", "data", "validation")  # else the trials of one configuration are about other rows
_OTHERS = 2.5 / 2  # of false alarms the mean may raise 2.5%, the other questions 2%
SIDES = ("in A", "in B")  # of a comparison, in words
_NO_SPREAD = 1e-9  # points: standard deviations below are of rounding


def readings(identity: Mapping[str, Any]) -> dict[str, Any]:
    """The resolved spec of each reading, from the `identity` of a manifest; a single reading is called ""."""
    return {"": dict(identity)} if "seed" in identity else dict(identity)


def obstacle(a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
    """The reason that two results cannot be compared, from the identities in their manifests; empty where they can.

    Grids and numbers of repeats may differ: the trials that both have are compared.
    """
    theirs, ours = readings(a), readings(b)
    common = [name for name in theirs if name in ours]
    if not common:
        named = [", ".join(name or "the only one" for name in each) for each in (theirs, ours)]
        return f"they have no reading in common: {named[0]} in A, {named[1]} in B"
    one, other = ({name: _rows(each[name]) for name in common} for each in (theirs, ours))
    found = differing(one, other, SIDES)
    return found and f"they are about other rows: {found}"


def _rows(reading: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a spec that decides on which rows a fold trains; a CSV file counts by its content."""
    found = {key: dict(reading[key]) if isinstance(reading[key], Mapping) else reading[key] for key in _MUST_AGREE}
    found["validation"].pop("repeats")
    found["data"].pop("path", None)  # rows of numerics 9 and less say it
    if found["data"].get("task") == OF_RUNS:  # its content are results, and no rows that anything trained on
        found["data"] = {}
    return found


def other_engine(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """True where two identities differ in the engine that trains, and in nothing else."""
    theirs, ours = ({name: _without_engine(each) for name, each in readings(given).items()} for given in (a, b))
    return bool(differing(readings(a), readings(b))) and not differing(theirs, ours)


def _without_engine(reading: Mapping[str, Any]) -> dict[str, Any]:
    base = dict(reading.get("base", {}))
    base.pop("engine", None)
    return {**reading, "base": base}


def matched(a: pd.DataFrame, b: pd.DataFrame, measure: Measure = MEASURES["error"], *, by_label: bool = False) -> pd.DataFrame:
    """The trials that both have, one row each; columns that both sides have end in `_a` and `_b`.

    `equal` is true where every number is the same to the bit. `difference` is the measure of B less that of A, on the rows
    that the reading is judged on. Configuration, repeat and fold identify a trial: its key changes with numerics. Where another
    engine was asked for, so does the configuration's id, and its label takes that place.
    """
    sides = [_judged(trials, measure) for trials in (a, b)]
    if by_label:
        sides = [side.assign(config=side["label"]) for side in sides]
    both = sides[0].merge(sides[1], on=list(KEYS), suffixes=("_a", "_b"), validate="one_to_one")
    pairs = [(both[f"{name}_a"], both[f"{name}_b"]) for name in ("status", "value", *OUTCOMES) if f"{name}_a" in both]
    equal = np.logical_and.reduce([(one == other).fillna(False) | (one.isna() & other.isna()) for one, other in pairs])
    return both.assign(equal=equal.astype(bool), difference=both["value_b"] - both["value_a"])


def _judged(trials: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    """The columns that a comparison needs, with `value`, the measure that counts, and flags that are never missing."""
    trials = trials.assign(reading=trials["reading"].fillna(""))
    parts = [outcomes.measured(part, measure) for _, part in trials.groupby("reading", sort=False)]
    table = pd.concat([part.assign(value=part[f"{outcomes.judged_on(part)}_value"]) for part in parts])
    flags = {flag: table[flag].fillna(False).astype(bool) for flag in outcomes.COUNTED}
    kept = [*KEYS, "label", "value", "status", *(name for name in OUTCOMES if name in table), "failed", "seconds"]
    return table.assign(**flags)[list(dict.fromkeys(kept))]


def find_changes(both: pd.DataFrame, measure: Measure = MEASURES["error"]) -> pd.DataFrame:
    """The changes between `matched` trials: one row for each mean, kind of failure and configuration, in this order.

    * `question`: one of `QUESTIONS`; `what`: the kind of failure or the configuration's label.
    * `a`, `b`, `difference`: values of the measure; of failures the numbers of trials.
    * `sd`, `count`: of the differences by (repeat, fold); `p`: of their paired t test, two-sided. Where they are all the same,
      p is that of the sign test, and there is no interval. Failures cluster by fold, so trials are not counted as independent.
    * `tests`: the number that `p` is multiplied by in `p_adjusted`. Rows without any change are no tests.
    * `ci_low`, `ci_high`: the interval of level 1 - 0.05 / `tests`, which excludes 0 where `p_adjusted` is below 5%; no change
      is larger than the range of the measure.
    * `bound`: 95% upper bound of the change for the worse; for configurations the end of the interval on that side.
    * `seen`: the change that would be found four times in five.
    * `worse`, `better`: where `p_adjusted` is below 5%. Where nothing changed, any row is `worse` with probability 5% at most.

    A configuration that is alone in its reading is the mean, and has no row. With one (repeat, fold) nothing has a p, and where
    there are few for so many configurations, these have no adjusted p and no interval.
    """
    errors = both.dropna(subset="difference").assign(all="mean over all configurations")
    alone = errors.groupby("reading")["config"].transform("nunique") == 1
    table = pd.concat(
        [
            _errors("mean", errors, ["reading", "all"]),
            _failures(both),
            _errors("configuration", errors[~alone], ["reading", "config", "label_b"]),
        ],
        ignore_index=True,
    )
    return _adjusted(table, measure)


def _errors(question: str, errors: pd.DataFrame, groups: Sequence[str]) -> pd.DataFrame:
    """The change of error of each group of trials; the last of `groups` is its name."""
    samples = errors.groupby([*groups, *UNITS], sort=False)[["value_a", "value_b", "difference"]].mean().round(9)
    by_unit, by_trial = samples.groupby(list(groups), sort=False), errors.groupby(list(groups), sort=False)
    means = by_unit[["value_a", "value_b"]].mean().rename(columns={"value_a": "a", "value_b": "b"})
    moments = by_unit["difference"].agg(["mean", "std", "count"]).rename(columns={"mean": "difference", "std": "sd"})
    table = means.join(moments).assign(trials=by_trial.size(), equal=by_trial["equal"].sum(), question=question)
    return table.reset_index().rename(columns={groups[-1]: "what"}).drop(columns="config", errors="ignore")


def _failures(both: pd.DataFrame) -> pd.DataFrame:
    """The change of the number of trials that fail, by kind; a (repeat, fold) counts once, over all readings."""
    rows = []
    for flag in outcomes.COUNTED:
        theirs, ours = both[f"{flag}_a"].astype(int), both[f"{flag}_b"].astype(int)
        by_unit = (ours - theirs).groupby([both[name] for name in UNITS]).sum()
        counts = {"a": theirs.sum(), "b": ours.sum(), "difference": by_unit.sum(), "sd": by_unit.std(), "count": len(by_unit)}
        rows.append({"question": "failures", "what": flag, **counts, "trials": len(both), "equal": both["equal"].sum()})
    return pd.DataFrame(rows)


def _adjusted(table: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    """The table with tests and intervals, both at the level that a row has left after all others."""
    units = table["count"].where(table["question"] == "failures", 1)  # failures are sums over (repeat, fold), all else means
    count = table["count"].where(table["count"] >= 2)
    sd = table["sd"].where(~(table["sd"] < _NO_SPREAD), 0.0)
    found = from_moments(table["difference"] / units, sd, count, 0.0)
    tests = _tests(table["question"], (table["difference"] != 0) | (sd > 0))
    usual, half, upper = (
        (distributions.t_ppf(1 - tail, count - 1) * pd.Series(found.error, table.index)).where(sd > 0)
        for tail in (ALPHA / 2, ALPHA / 2 / tests, ALPHA)
    )
    # A model that gets stuck in half of its trials, in A as in B, changes by the same in all n folds with probability 2 / 4^n:
    # more often than a t test of n values and a still smaller level takes into account.
    few = (table["question"] == "configuration") & ~(tests * 2 * 4.0**-count < ALPHA)
    half = half.mask(few)
    upper = upper.where(table["question"] == "mean", half)
    # n equal changes bound the next one as the sign test does.
    upper = upper.where(~((sd == 0) & (2.0**-count < ALPHA)), 0.0)
    seen = np.array([resolvable(*each) for each in zip(sd, count, strict=True)]) + half - usual
    failures = table["question"] == "failures"
    largest = table["trials"].where(failures, measure.high - measure.low)  # change that there can be
    for_the_worse = table["difference"].where(failures, measure.sign * table["difference"])
    adjusted = (pd.Series(found.p, table.index) * tests).clip(upper=1).mask(few)
    return table.assign(
        p=found.p,
        tests=tests,
        p_adjusted=adjusted,
        ci_low=(table["difference"] - units * half).clip(lower=-largest),
        ci_high=(table["difference"] + units * half).clip(upper=largest),
        bound=(for_the_worse + units * upper).clip(upper=largest),
        seen=units * seen,
        worse=(adjusted < ALPHA) & (for_the_worse > 0),
        better=(adjusted < ALPHA) & (for_the_worse < 0),
    )


def _tests(question: pd.Series, changed: pd.Series) -> pd.Series:
    """The number by which the p of each row is multiplied: tests of its question, times questions with any change.

    A row where nothing changed cannot be found, whatever its sign: it is no test (Tarone 1990).
    """
    sizes = changed.groupby(question).sum().drop("mean", errors="ignore")
    shared = sizes * (sizes > 0).sum() * _OTHERS
    return question.map({**shared.to_dict(), "mean": (question == "mean").sum()}).clip(lower=1)


def order(found: pd.DataFrame) -> float:
    """Spearman's rank correlation of the configurations' mean errors on both sides; NaN where one side has no order."""
    means = found.loc[found["question"] == "configuration", ["a", "b"]].rank()
    return float(means["a"].corr(means["b"])) if means.std().gt(0).all() else np.nan
