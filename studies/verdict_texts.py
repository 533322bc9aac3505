"""The verdicts on the five reports, for a reader."""

import pandas as pd

from studies import tables
from studies.verdicts import Outcome

TEXTS = ("source", "id", "claim", "study", "reading", "role", "measure", "verdict", "reason")  # columns of verdicts.csv
_PREFACE = """# The five reports, reproduced

Written by `ablation verdict --markdown docs/reports.md` from the rows that `make reports` trains. Published numbers and
statements are data in `studies/published/`, the studies that answer them in `studies/specs/`.

Numbers: *ours* is our mean ± sd, with the sd over as many values as were published, and the 95% interval of the mean.

* REPRODUCED: the published mean and ours differ by no more than chance, and by no more than the declared tolerance.
* CONSISTENT: they differ by no more than chance; the few rounds of the report cannot say more. A single run is at best
  CONSISTENT.
* DIFFERS WITHIN TOLERANCE, NOT REPRODUCED: they differ by more than chance; within, or beyond, the tolerance.

Statements: SUPPORTED or CONTRADICTED by more than chance, EQUIVALENT where the difference is inside the declared margin,
UNDECIDED, and UNCLEAR where no experiment can mean the statement. All parts of a statement must hold. *Ours* is the difference,
or the share of rounds, with its interval.

p-values are adjusted by Holm's rule, over a table of numbers, or over the statements of a report. Where a source can be read
in several ways, one reading was declared primary before anything was trained, and carries the verdict; the others are
exploration."""


def texts(verdicts: pd.DataFrame) -> pd.DataFrame:
    """The table of verdicts as texts: source, claim, what was published and what is ours, verdict and reason."""
    shown = pd.DataFrame({"source": verdicts["source"].str.extract(r"\((.*)\)")[0], "claim": verdicts["claim"]})
    shown["claim"] = [f"{identity}: {claim}" for identity, claim in zip(verdicts["id"], verdicts["claim"], strict=True)]
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


def in_markdown(verdicts: pd.DataFrame) -> str:
    """The table of verdicts in Markdown, report by report, with what the words mean and how many there are of each."""
    parts = [_PREFACE, counts(verdicts)]
    for source, part in verdicts.groupby("source", sort=False):
        parts += [f"## {source}", tables.markdown(texts(part).drop(columns="source"))]
    return "\n\n".join(parts) + "\n"


def counts(verdicts: pd.DataFrame) -> str:
    """How many verdicts there are of each kind, by source, in Markdown: of primary readings only."""
    primary = verdicts[verdicts["role"] == "primary"]
    table = pd.crosstab(primary["source"], primary["verdict"])
    table = table[[outcome for outcome in Outcome if outcome in table]]
    table.loc["all"] = table.sum()
    return tables.markdown(table.astype(str).rename(columns=str.lower).reset_index())
