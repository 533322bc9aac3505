"""The verdicts on the five reports, for a reader."""

from pathlib import Path

import pandas as pd

from studies.claims import claims
from studies.claims.verdicts import MIN_ROUNDS, Outcome
from studies.show import tables
from studies.spec import study

TEXTS = ("source", "id", "claim", "study", "reading", "role", "measure", "verdict", "reason")  # columns of verdicts.csv
RATES = Path(__file__).parents[1] / "claims" / "published" / "error_rates.csv"  # written by benchmarks.verdict_rates
BEFORE = RATES.with_name("before.csv")  # verdicts by the first rules; why a claim is defined otherwise now
QUICK = (
    f"A quick look has {study.QUICK} rounds and the primary readings: numbers stay UNDECIDED, since they take {MIN_ROUNDS} "
    "rounds; statements are judged, and those of small effects stay UNDECIDED; none is found UNDERSPECIFIED."
)
_PREFACE = """# The five reports, reproduced

Written by `ablation verdict --markdown docs/reports.md` from the rows that `make reports` trains. Published numbers and
statements are data in `studies/claims/published/`, the studies that answer them in `studies/spec/specs/`, the rules in
`studies/claims/verdicts.py` (numbers) and `studies/claims/statements.py`.

## The rules

Population: every round draws new data, weights and batches, so intervals are for new data sets from the same source. The 21
points of XOR are fixed: there they are for new seeds only, on these rows.

Numbers: *ours* is our mean ± sd, with the sd over as many values as were published, and the 95% interval of the mean.

* REPRODUCED: the difference from the published mean may be chance, and its 90% interval is inside the declared tolerance.
* CONSISTENT: the difference may be chance, and the report has too few rounds to say more. The number is not refuted; it is not
  confirmed either. A single run is at best CONSISTENT.
* DIFFERS: the difference is more than chance, but may be within the tolerance.
* NOT REPRODUCED: the difference is more than chance, and its interval is wholly beyond the tolerance.

Statements: each part claims a difference, or a share of the rounds. A difference has a declared margin, within which it would
not matter. All parts of a statement must hold. *Ours* is the difference, or the share, with its interval.

* SUPPORTED: every part is beyond its margin as claimed, or every share is over its threshold.
* SUPPORTED, NEGLIGIBLE: every part has the sign that is claimed, and is too small to matter.
* CONTRADICTED: a part is beyond its margin on the other side, or a share is not over its threshold.
* EQUIVALENT: every difference is within its margin (two one-sided tests).
* UNDERSPECIFIED: the statement is SUPPORTED in one reading of what the source leaves open, and CONTRADICTED or EQUIVALENT in
  another.
* UNDECIDED: none of these is shown; or fewer than half of the trials of a compared model learn, and the statement is not about
  failing.
* UNCLEAR: no experiment of ours can mean the statement, for the reason given.

Readings: where a source can be read in several ways, one reading was declared primary before anything was trained, and carries
the verdict. The others are exploration, and can only make a statement UNDERSPECIFIED.

p-values are adjusted by Holm's rule. Families are: the means of a table of numbers, these means against their tolerances, its
sds; the statements of a report in their primary readings, differences and shares alike; its statements in other readings. A
statement enters its family once, by the smallest p-value of its possible verdicts, of which only one is right: that all parts
hold (the largest p of the parts), that one is contradicted (the smallest, times their number), that all are within their
margins (the largest)."""
_RATES = """## Error rates of the rules

Simulated with known truth by `python -m benchmarks.verdict_rates`: how often a verdict is given. The rounds of ours are 100 for
numbers; a difference has an sd of 2 margins. *At most* is the bound that a wrong verdict should keep; lines without one show
what the rules can see, or a limit of theirs."""
_CHANGED = """## What changed, and why

Verdicts by the first rules, and by those above: of claims that are judged otherwise, or by something else."""
_WHY = {  # where the claim is defined as before, and only the rules are new
    Outcome.DIFFERS: "NOT REPRODUCED needs an interval that is wholly beyond the tolerance.",
    Outcome.NEGLIGIBLE: "A difference within the margin does not matter, however certain it is.",
    Outcome.EQUIVALENT: "Equality is shown by two one-sided tests; a difference within the margin is not against the claim.",
    Outcome.UNDECIDED: "SUPPORTED and CONTRADICTED need an effect beyond the margin, models that learn, and a p-value adjusted "
    "over differences and shares together.",
    Outcome.UNDERSPECIFIED: "Statements are judged in every reading, and these disagree.",
}


def texts(verdicts: pd.DataFrame) -> pd.DataFrame:
    """The table of verdicts as texts: source, claim, what was published and what is ours, verdict and reason."""
    shown = pd.DataFrame({"source": verdicts["source"].str.extract(r"\((.*)\)")[0], "claim": verdicts["claim"]})
    shown["claim"] = _claims(verdicts)
    shown["published"] = [
        "" if pd.isna(mean) else f"{mean:.4g}" + ("" if pd.isna(sd) else f" ± {sd:.4g}") + f" ({units:.0f})"
        for mean, sd, units in verdicts[["published_mean", "published_sd", "published_units"]].itertuples(index=False)
    ]
    shown["ours"] = [
        "" if pd.isna(mean) else f"{mean:.4g}" + ("" if pd.isna(sd) else f" ± {sd:.4g}") + f" [{low:.4g}, {high:.4g}]"
        for mean, sd, low, high in verdicts[["mean", "sd", "ci_low", "ci_high"]].itertuples(index=False)
    ]
    shown["rounds"] = ["" if pd.isna(rounds) else f"{rounds:.0f}" for rounds in verdicts["rounds"]]
    explored = verdicts["role"] == "exploration"
    shown["verdict"] = verdicts["verdict"].where(~explored, "exploration (" + verdicts["reading"] + "): " + verdicts["verdict"])
    shown["reason"] = verdicts["reason"]
    return shown


def _claims(verdicts: pd.DataFrame) -> list[str]:
    """Every claim with its id."""
    return [f"{identity}: {claim}" for identity, claim in zip(verdicts["id"], verdicts["claim"], strict=True)]


def in_markdown(verdicts: pd.DataFrame) -> str:
    """The page of the verdicts in Markdown: the rules and their error rates, counts, what changed, and report by report."""
    parts = [_PREFACE, error_rates(), "## The verdicts", _age(verdicts), counts(verdicts), changed_verdicts(verdicts)]
    for source, part in verdicts.groupby("source", sort=False):
        parts += [f"## {source}", tables.markdown(texts(part).drop(columns="source"))]
    return "\n\n".join(part for part in parts if part) + "\n"


def _age(verdicts: pd.DataFrame) -> str:
    """A warning where verdicts are not on the claims that are declared now; else empty."""
    reports = [claims.load_report(name) for name in claims.report_names()]
    declared = {(report.source, number.id) for report in reports for number in report.numbers}
    declared |= {(report.source, statement.id) for report in reports for statement in report.statements}
    if declared == set(zip(verdicts["source"], verdicts["id"], strict=True)):
        return ""
    return (
        "**These verdicts are on an earlier version of the claims, and by the rules that went with it. "
        "`make reports` computes them again.**"
    )


def counts(verdicts: pd.DataFrame) -> str:
    """Counts of verdicts by kind and source, in Markdown: of primary readings only."""
    primary = verdicts[verdicts["role"] == "primary"]
    table = pd.crosstab(primary["source"], primary["verdict"])
    table = table[[outcome for outcome in Outcome if outcome in table]]
    table.loc["all"] = table.sum()
    return tables.markdown(table.astype(str).rename(columns=str.lower).reset_index())


def error_rates() -> str:
    """Error rates of the rules, in Markdown."""
    rates = pd.read_csv(RATES)
    shown = pd.DataFrame({"truth": rates["truth"], "verdict": rates["verdict"]})
    shown["given"] = [f"{100 * rate:.1f}%" for rate in rates["rate"]]
    shown["at most"] = ["" if pd.isna(bound) else f"{100 * bound:g}%" for bound in rates["bound"]]
    return f"{_RATES}\n\n{tables.markdown(shown)}"


def changed_verdicts(verdicts: pd.DataFrame) -> str:
    """The claims whose verdict or definition is not what it was, in Markdown, each with the reason; empty for none."""
    primary = verdicts[verdicts["role"] == "primary"]
    table = primary.merge(pd.read_csv(BEFORE, keep_default_na=False), on=["id", "claim"])
    table = table[(table["verdict"] != table["before"]) | (table["why"] != "")]
    if table.empty:
        return ""
    why = [own or _WHY.get(now, "The rules above are new.") for own, now in zip(table["why"], table["verdict"], strict=True)]
    shown = pd.DataFrame({"claim": _claims(table), "before": table["before"], "now": table["verdict"], "why": why})
    return f"{_CHANGED}\n\n{tables.markdown(shown)}"
