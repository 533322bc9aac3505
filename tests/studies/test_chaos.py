"""Real runs that are killed: the faults of the soak, one after the other."""

import pandas as pd
from chaos import BAD, Soak, round_of, tail_torn, workers_killed


def test_a_killed_parent_killed_workers_and_a_torn_line_cost_no_row(tmp_path, monkeypatch):
    soak = Soak(tmp_path, seed=0)
    soak.start(tmp_path / "undisturbed").wait()
    expected = pd.read_csv(tmp_path / "undisturbed" / "chaos" / "trials.csv")
    faults = iter([tail_torn, workers_killed])
    monkeypatch.setattr(soak.random, "randint", lambda _, high: min(2, high))
    monkeypatch.setattr(soak.random, "choice", lambda _: next(faults))
    round_of(soak, tmp_path / "round", expected, tmp_path / "undisturbed")
    assert soak.counts["runs"] == 4
    assert soak.counts["parents killed"] + soak.counts["workers killed"] > 0
    assert {what: soak.counts[what] for what in BAD} == dict.fromkeys(BAD, 0)
