"""Two results of one study, trial by trial: what another commit, machine or torch version changed, and whether it is chance.

Within one build of torch and numpy rows are equal to the bit. Another build sums in another order, training amplifies the last
bit, and single trials err a little more or less: an upgrade is to be trusted where none of this has a direction. Three
questions are asked: has the mean error over all configurations changed, that of any one, or the number of failures? Each has a
family of tests, adjusted by Holm within it and by Bonferroni for there being three: where nothing changed, at most one
comparison in 40 finds something worse (3 of 600, simulated).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.typing import DataFrameGroupBy
from scipy import stats

from studies import analysis, texts
from studies.columns import MADE_BY, OUTCOMES
from studies.estimates import ALPHA, holm
from studies.sampling import Sampling
from studies.store import differing

SHOWN = 10  # configurations at most in the table, those that changed the most beyond chance
NOTHING, WORSE, UNTOLD = 0, 1, 3  # exit status
KEYS = ("reading", "config", "repeat", "fold")
QUESTIONS = {"mean": "the mean error", "failures": "failures", "configuration": "configurations"}  # and in words
_MUST_AGREE = ("seed", "data", "validation")  # else the trials of one configuration are about other rows


def readings(identity: Mapping[str, Any]) -> dict[str, Any]:
    """What each reading of a study is, from the `identity` of its manifest; a study with one only calls it ""."""
    return {"": dict(identity)} if "seed" in identity else dict(identity)


def obstacle(a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
    """Why two results cannot be compared, from the identities in their manifests; empty where they can.

    Grids and numbers of repeats may differ: the trials that both have are compared.
    """
    theirs, ours = readings(a), readings(b)
    common = [name for name in theirs if name in ours]
    if not common:
        named = [", ".join(name or "the only one" for name in each) for each in (theirs, ours)]
        return f"they have no reading in common: {named[0]} there, {named[1]} here"
    found = differing(*({name: _rows(each[name]) for name in common} for each in (theirs, ours)))
    return found and f"they are about other rows: {found}"


def samplings(identity: Mapping[str, Any]) -> dict[str, Sampling]:
    """What the intervals of each reading are over."""
    return {
        name: Sampling.of(each["validation"]["folds"], each["validation"]["repeats"], each["data"]["resample"])
        for name, each in readings(identity).items()
    }


def _rows(reading: Mapping[str, Any]) -> dict[str, Any]:
    """What decides which rows a trial trains on, by repeat and fold; a CSV file counts by its content."""
    found = {key: dict(reading[key]) if isinstance(reading[key], Mapping) else reading[key] for key in _MUST_AGREE}
    found["validation"].pop("repeats")
    found["data"].pop("path")
    return found


def matched(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    """The trials that both have, one row each, with `_a` and `_b` after the names of what each side has of its own.

    `equal` says whether every number is the same to the bit, `difference` is the error of B less that of A in points, on the
    rows that the reading is judged on. A trial is known by configuration, repeat and fold: its key changes with numerics.
    """
    sides = [_judged(trials) for trials in (a, b)]
    both = sides[0].merge(sides[1], on=list(KEYS), suffixes=("_a", "_b"), validate="one_to_one")
    pairs = [(both[f"{name}_a"], both[f"{name}_b"]) for name in ("status", *OUTCOMES)]
    equal = np.logical_and.reduce([(one == other).fillna(False) | (one.isna() & other.isna()) for one, other in pairs])
    return both.assign(equal=equal.astype(bool), difference=both["pct_b"] - both["pct_a"])


def _judged(trials: pd.DataFrame) -> pd.DataFrame:
    """The columns that a comparison needs, with `pct`, the error that counts, and flags that are never missing."""
    trials = trials.assign(reading=trials["reading"].fillna(""))
    parts = [analysis.in_percent(part) for _, part in trials.groupby("reading", sort=False)]
    table = pd.concat([part.assign(pct=part[f"{analysis.judged_on(part)}_pct"]) for part in parts])
    flags = {flag: table[flag].fillna(False).astype(bool) for flag in analysis.COUNTED}
    return table.assign(**flags)[list(dict.fromkeys([*KEYS, "label", "pct", "status", *OUTCOMES, "failed", "seconds"]))]


def changes(both: pd.DataFrame, sampling: Mapping[str, Sampling]) -> pd.DataFrame:
    """What changed between `matched` trials: one row for each mean, kind of failure and configuration, in this order.

    * `question`: one of `QUESTIONS`; `what`: the kind of failure or the configuration's label.
    * `a`, `b`, `difference`, `ci_low`, `ci_high`: errors in percent and points, paired, by the `sampling` of each reading; of
      failures the numbers of trials, tested by the exact sign test over those that fail on one side only (McNemar).
    * `p_adjusted`: of the three questions together; `worse`, `better`: where it is below 5%.

    Without two values of a configuration there is no interval and no p.
    """
    values = both.dropna(subset="difference")
    parts = []
    for reading, part in values.groupby("reading", sort=False):
        by = part.assign(what="mean over all configurations").groupby(["reading", "what", "repeat", "fold"], sort=False)
        parts.append(_errors("mean", by, sampling[str(reading)]))
    parts.append(_failures(both))
    for reading, part in values.groupby("reading", sort=False):
        by = part.assign(what=part["label_b"]).groupby(["reading", "config", "what", "repeat", "fold"], sort=False)
        parts.append(_errors("configuration", by, sampling[str(reading)]))
    table = pd.concat(parts, ignore_index=True)
    table["p_adjusted"] = (len(QUESTIONS) * table.groupby("question")["p"].transform(holm)).clip(upper=1)
    beyond = table["p_adjusted"] < ALPHA
    return table.assign(worse=beyond & (table["difference"] > 0), better=beyond & (table["difference"] < 0))


def _errors(question: str, by: DataFrameGroupBy, sampling: Sampling) -> pd.DataFrame:
    """The change of error of each group of trials, from one value for each repeat and fold."""
    samples = by[["pct_a", "pct_b", "difference"]].mean()
    groups = [name for name in samples.index.names if name not in ("repeat", "fold")]
    found = sampling.estimates(samples["difference"])
    means = samples.groupby(groups, sort=False).mean()
    trials = by.size().groupby(groups, sort=False).sum()
    equal = by["equal"].sum().groupby(groups, sort=False).sum()
    table = means.rename(columns={"pct_a": "a", "pct_b": "b"}).assign(
        ci_low=found.ci_low, ci_high=found.ci_high, p=found.p, trials=trials, equal=equal, question=question
    )
    return table.reset_index().drop(columns="config", errors="ignore")


def _failures(both: pd.DataFrame) -> pd.DataFrame:
    """How many trials fail on each side, by kind."""
    rows = []
    for flag in analysis.COUNTED:
        theirs, ours = both[f"{flag}_a"], both[f"{flag}_b"]
        new, gone = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
        p = stats.binomtest(new, new + gone).pvalue if new + gone else 1.0
        counts = {"a": theirs.sum(), "b": ours.sum(), "difference": new - gone, "p": p}
        rows.append({"question": "failures", "what": flag, **counts, "trials": len(both)})
    return pd.DataFrame(rows)


def order(found: pd.DataFrame) -> float:
    """Spearman's rank correlation of the configurations' mean errors on both sides; NaN where one side has no order."""
    means = found.loc[found["question"] == "configuration", ["a", "b"]].rank()
    return float(means["a"].corr(means["b"])) if means.std().gt(0).all() else np.nan


def made_by(a: Mapping[str, Any], b: Mapping[str, Any], trials_a: pd.DataFrame, trials_b: pd.DataFrame) -> list[str]:
    """What the two were made with, where that differs: "torch: 2.13.0+cpu in A, 2.14.0+cpu in B"."""
    sides = []
    for manifest, trials in ((a, trials_a), (b, trials_b)):
        runs: dict[str, list[Any]] = {}
        for run in manifest["runs"]:
            for key in ("commit", "python", "system", "processor"):
                runs.setdefault(key, []).append(run.get(key))
        made = {column: trials[column].dropna().tolist() for column in MADE_BY if column in trials}
        sides.append({key: ", ".join(map(str, dict.fromkeys(values))) for key, values in {**made, **runs}.items()})
    return [
        f"{key}: {sides[0].get(key) or 'unknown'} in A, {sides[1].get(key) or 'unknown'} in B"
        for key in dict.fromkeys([*sides[0], *sides[1]])
        if sides[0].get(key) != sides[1].get(key)
    ]


def conclude(both: pd.DataFrame, found: pd.DataFrame) -> tuple[int, list[str]]:
    """The exit status that the changes mean, and what they say in sentences."""
    seconds = both[["seconds_a", "seconds_b"]].mean()
    times = f"{seconds.iloc[0]:.3g} s a trial in A, {seconds.iloc[1]:.3g} s in B: times judge machines too, and are not judged"
    if both["equal"].all():
        return NOTHING, [f"nothing changed: all {len(both):,} trials are equal to the bit", times]
    lines = [f"{both['equal'].sum():,} of {len(both):,} trials are equal to the bit"]
    for row in found[found["question"] == "mean"].to_dict("records"):
        if np.isfinite(row["ci_high"]):
            of = f" of reading {row['reading']}" if row["reading"] else ""
            lines.append(f"the mean error{of} changes by {row['ci_low']:+.3f} to {row['ci_high']:+.3f} points (95% interval)")
    if np.isfinite(order(found)):
        lines.append(f"the order of the configurations: rank correlation {order(found):.3f} (Spearman)")
    lines.append(times)
    counts = {way: found.loc[found[way], "question"].value_counts() for way in ("worse", "better")}
    told = {
        way: ", ".join(f"{QUESTIONS[question]} ({count})" for question, count in each.items()) for way, each in counts.items()
    }
    lines += [f"{way} beyond chance: {words}" for way, words in told.items() if words]
    if told["worse"]:
        return WORSE, lines
    if found.loc[found["question"] != "failures", "p"].isna().all():
        lines.append("one value of each configuration tells no change from chance: compare runs with folds or repeats")
        return UNTOLD, lines
    return NOTHING, [*lines, "nothing is worse beyond chance"]


def shown(found: pd.DataFrame) -> pd.DataFrame:
    """The means, the failures, and the configurations that changed the most beyond chance, as texts for a table."""
    single = found["question"] == "configuration"
    changed = found[single & (found["difference"] != 0)]
    order = changed.assign(size=-changed["difference"].abs()).sort_values(["p_adjusted", "size"], kind="stable").index
    rows = []
    for row in found.loc[[*found.index[~single], *order[:SHOWN]]].to_dict("records"):
        count = row["question"] == "failures"
        what = f"{row['what']} (trials)" if count else f"{row['what']} (%)"
        reading = row.get("reading")
        digits = 0 if count else 2
        rows.append(
            {
                "what": f"{reading}: {what}" if isinstance(reading, str) and reading else what,
                "A": texts.number(row["a"], digits),
                "B": texts.number(row["b"], digits),
                "B - A": texts.signed(row["difference"], digits),
                "95% interval": texts.interval(row["ci_low"], row["ci_high"]),
                "p": texts.probability(row["p"]),
                "adjusted p": texts.probability(row["p_adjusted"]),
                "equal to the bit": "" if count else f"{row['equal']:,.0f} of {row['trials']:,.0f}",
                "beyond chance": "worse" if row["worse"] else "better" if row["better"] else "",
            }
        )
    return pd.DataFrame(rows)
