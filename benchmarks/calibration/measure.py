"""One data set of a design: its models are trained, judged as a study would judge them, and as many more rows and seeds do."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.calibration.designs import LARGEST, LEARNERS, TRUTH, Design, View
from studies.analysis import compare, comparisons, effects, scores, summaries
from studies.analysis.estimates import Estimate, Numbers, within
from studies.analysis.scores import Scores
from studies.data.wrong import pack_rows, unpack
from studies.plan import plan
from studies.spec.sampling import Population, Sampling
from studies.train import engines, runner

Line = dict[str, Any]


def measure(design: Design, source: str, index: int) -> list[Line]:
    """The lines of one data set: for each view and statement the estimate, its interval, the truth and the error of that."""
    study = design.study(source, index)
    records = [record for stack in engines.plan_units(study, plan.trials(study), jobs=1) for record in runner.train_unit(stack)]
    trials = pd.DataFrame([{key: value for key, value in record.items() if key != "history"} for record in records])
    bits = np.stack([np.unpackbits(unpack(text), count=LARGEST + TRUTH) for text in trials["wrong"]])
    own = (trials["repeat"] < design.repeats).to_numpy()
    other = ((trials["repeat"] >= design.repeats) & (trials["repeat"] < 2 * design.repeats)).to_numpy()
    lines: list[Line] = []
    for view in design.views:
        sampling = design.sampling(view)
        seen = _seen(trials[own], bits[own], view)
        again = _seen(trials[other], bits[other], view)
        again = again.assign(repeat=again["repeat"] - design.repeats)
        rest = bits[:, LARGEST:] if sampling.population is not Population.NEW_SEEDS else bits[:, : view.rows]
        true = own if design.fresh else ~own
        truth = _scores_of_truth(trials[true], rest[true], design)
        about = {
            "design": design.name,
            "view": view.name,
            "source": source,
            "set": index,
            "population": str(sampling.population),
        }
        lines += [{**about, **line} for line in (*_statements(seen, sampling, truth), *_nothing(seen, again, sampling))]
    return lines


def _seen(trials: pd.DataFrame, bits: Numbers, view: View) -> pd.DataFrame:
    """The rows of the trials as a study of this view would have them."""
    if not view.rows:
        return trials.assign(n_test=0, test_errors=np.nan, test_loss=np.nan)
    part = bits[:, : view.rows]
    return trials.assign(n_test=view.rows, test_errors=part.sum(1), wrong=[pack_rows(row) for row in part])


def _scores_of_truth(trials: pd.DataFrame, bits: Numbers, design: Design) -> Scores:
    """The scores of the trials that tell the truth, on the rows that do."""
    rows = bits.shape[1]
    table = trials.assign(n_test=rows, test_errors=bits.sum(1), wrong=[pack_rows(row) for row in bits])
    if not design.fresh and rows < TRUTH:  # the truth on these rows: they are no sample
        return scores.of(table, Sampling(design.folds, int(trials["repeat"].nunique()), judged="train", rows=rows))
    repeats = int(trials["repeat"].nunique())
    return scores.of(table, Sampling(design.folds, repeats, design.fresh, "test", rows))


def _statements(seen: pd.DataFrame, sampling: Sampling, truth: Scores) -> Iterator[Line]:
    """The statements of a study on these trials, each with its truth."""
    found = scores.of(seen, sampling)
    truth = truth.take(truth.configs.get_indexer(found.configs))
    labels = seen.drop_duplicates("config").set_index("config")["label"]
    yield from _lines("means", labels[found.configs], within(found.estimate_each()), truth.estimate_each())

    one, other = np.triu_indices(len(found.configs), 1)
    names = [f"{labels[found.configs[a]]} - {labels[found.configs[b]]}" for a, b in zip(one, other, strict=True)]
    contrasts, true = found.pairs(one, other), truth.pairs(one, other).estimate()
    yield from _lines("pairs, each", names, contrasts.estimate(), true)
    yield from _lines("pairs, together", names, found.estimate_pairs(one, other)[0], true)

    best = found.configs.get_loc(comparisons.best_of(found))
    rest = np.delete(np.arange(len(found.configs)), best)
    ends = rest, np.full(len(rest), best)
    true = truth.pairs(*ends).estimate()
    yield from _lines("with the best", labels[found.configs[rest]], found.estimate_pairs(*ends)[0], true)

    factors = list(LEARNERS)
    baseline = {factor: str(seen[factor].iloc[0]) for factor in factors}
    levels, weights = summaries.level_weights(seen, factors, found, baseline)
    contrasts, true = found.contrast(weights), truth.contrast(weights).estimate()
    yield from _lines("levels", [" = ".join(level) for level in levels], contrasts.estimate(contrasts.family), true)

    codes = effects.codes_of(seen.drop_duplicates("config").set_index("config").loc[found.configs, factors])
    shares, whole = effects.shares(found, codes), effects.shares(truth, codes)
    for place, effect in enumerate(effects.effects_of(len(factors))):
        uncertain = (whole.ci_high[place] - whole.ci_low[place]) / 2
        between = (shares.share[place], shares.ci_low[place], shares.ci_high[place])
        yield _entry("shares", " x ".join(factors[index] for index in effect), *between, whole.share[place], uncertain)


def _nothing(seen: pd.DataFrame, again: pd.DataFrame, sampling: Sampling) -> Iterator[Line]:
    """The tests between a study and itself with other seeds, where there is nothing to find."""
    if again.empty:
        return
    both = pd.concat(
        [part.assign(version=name, config=part["config"] + name) for name, part in (("a", seen), ("b", again))],
        ignore_index=True,
    )
    factors = [*LEARNERS, "version"]
    found = scores.of(both, sampling)
    codes = effects.codes_of(both.drop_duplicates("config").set_index("config").loc[found.configs, factors])
    shares = effects.shares(found, codes)
    null = [place for place, effect in enumerate(effects.effects_of(len(factors))) if len(factors) - 1 in effect]
    yield {"kind": "effects of nothing", "name": "any", "p": float(np.nan_to_num(shares.p[null], nan=1.0).min())}
    if not sampling.fresh:
        judged = compare.find_changes(compare.matched(seen, again))
        yield {"kind": "versions", "name": "worse", "p": 0.0 if judged["worse"].any() else 1.0}


def _lines(kind: str, names: Iterable[str], found: Estimate, truth: Estimate) -> Iterator[Line]:
    """The entries of estimates; the truth's error counts as much as the width of the interval in standard errors."""
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = (np.asarray(found.ci_high) - found.ci_low) / 2 / found.error
    for place, name in enumerate(names):
        between = (found.mean[place], found.ci_low[place], found.ci_high[place])
        yield _entry(kind, name, *between, truth.mean[place], scale[place] * truth.error[place], scale[place])


def _entry(kind: str, name: str, mean: float, low: float, high: float, truth: float, error: float, scale: float = 2.5) -> Line:
    """One statement: its interval, and the truth with the half width that it has for its own."""
    numbers = {"mean": mean, "low": low, "high": high, "truth": truth, "error": error, "scale": scale}
    return {"kind": kind, "name": name, **{key: round(float(value), 6) for key, value in numbers.items()}}
