"""Error rates of the rules, by a small simulation, and the page that shows the committed one."""

import math

import pandas as pd
import pytest

from benchmarks import verdict_rates
from studies.claims import claims
from studies.show import verdict_texts

SIMULATED = 60


@pytest.fixture(scope="module")
def simulated():
    return verdict_rates.rates(SIMULATED, seed=3)


def test_no_wrong_verdict_is_given_more_often_than_its_bound(simulated):
    bounded = simulated.dropna(subset="bound")
    noise = 4 * (bounded["bound"] * (1 - bounded["bound"]) / SIMULATED) ** 0.5
    broken = bounded[bounded["rate"] > bounded["bound"] + noise]
    assert broken.empty, broken.to_string()


def test_right_verdicts_are_given_where_they_can_be(simulated):
    power = simulated[simulated["bound"].isna() & ~simulated["truth"].str.startswith("a limit")]
    assert (power["rate"] > 0.6).all(), power.to_string()


def test_the_committed_rates_are_of_these_lines():
    table = pd.read_csv(verdict_texts.RATES)
    assert table["truth"].tolist() == [line.truth for line in verdict_rates.LINES]
    noise = 4 * (table["bound"] * (1 - table["bound"]) / table["simulated"]) ** 0.5
    assert not (table["rate"] > table["bound"] + noise).any()


def test_a_rate_is_the_share_of_simulations_with_a_wrong_verdict(monkeypatch):
    def judge(rng):
        return [verdict_rates.Outcome.SUPPORTED if rng.random() < 0.5 else verdict_rates.Outcome.UNDECIDED] * 2

    line = verdict_rates.Line("a coin", (verdict_rates.Outcome.SUPPORTED,), 0.5, judge)
    monkeypatch.setattr(verdict_rates, "LINES", (line,))
    table = verdict_rates.rates(1000)
    assert table["rate"].item() == pytest.approx(0.5, abs=4 * math.sqrt(0.25 / 1000))
    assert table[["truth", "verdict", "bound", "simulated"]].to_numpy().tolist() == [["a coin", "SUPPORTED", 0.5, 1000]]


def test_the_page_shows_the_rates():
    text = verdict_texts.error_rates()
    for line in verdict_rates.LINES:
        assert f"| {line.truth} | {' or '.join(line.wrong)} |" in text


def test_every_claim_has_its_verdict_before():
    before = pd.read_csv(verdict_texts.BEFORE, keep_default_na=False)
    reports = [claims.load_report(name) for name in claims.report_names()]
    declared = [(claim.id, claim.claim) for report in reports for claim in (*report.numbers, *report.statements)]
    assert list(before[["id", "claim"]].itertuples(index=False, name=None)) == declared


def verdict(identity, now, **changes):
    before = pd.read_csv(verdict_texts.BEFORE, keep_default_na=False).set_index("id")
    return {"id": identity, "claim": before.loc[identity, "claim"], "role": "primary", "verdict": now} | changes


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (verdict("H1", "SUPPORTED"), "| CONTRADICTED | SUPPORTED | The report says that some initial conditions block"),
        (verdict("A10", "UNDERSPECIFIED"), "| CONTRADICTED | UNDERSPECIFIED | Statements are judged in every reading"),
        (verdict("A10", "SUPPORTED"), "| CONTRADICTED | SUPPORTED | The rules above are new. |"),
        (verdict("L5", "SUPPORTED"), "| SUPPORTED | SUPPORTED | 'Always' was asked"),
        (verdict("A10", "CONTRADICTED"), ""),
        (verdict("A10", "SUPPORTED", role="exploration"), ""),
    ],
    ids=["its own reason", "a reason of the rules", "no reason", "another measure", "unchanged", "exploration"],
)
def test_what_changed_is_listed_with_its_reason(row, words):
    text = verdict_texts.changed_verdicts(pd.DataFrame([row]))
    assert (words in text) if words else text == ""
