"""Real runs that are killed: the faults of the soak, one after the other."""

import time
from functools import partial

import pandas as pd
from chaos import BAD, PROCESSES, Soak, round_of, tail_torn, workers_killed

import studies


def test_a_killed_parent_killed_workers_and_a_torn_line_cost_no_row(commands, tmp_path, monkeypatch):
    soak = Soak(tmp_path, seed=0, commands=commands)
    studies.run(soak.spec, backend="sequential", results=tmp_path / "undisturbed")
    expected = pd.read_csv(tmp_path / "undisturbed" / "chaos" / "trials.csv")
    soak.faults = iter([partial(tail_torn, options=PROCESSES), workers_killed])

    def rows():
        return sum(shard.read_text().count('"trial"') for shard in (tmp_path / "round").glob("chaos/shards/*.jsonl"))

    def one_row_more(run, _):
        before = rows()
        while run.poll() is None and rows() <= before:
            time.sleep(0.02)
        return run.poll() is None

    monkeypatch.setattr(soak, "some_time", one_row_more)
    round_of(soak, tmp_path / "round", expected, tmp_path / "undisturbed")
    assert soak.counts["parents killed"] == 1
    assert soak.counts["tails torn"] == 1
    assert soak.counts["workers killed"] > 0
    assert {what: soak.counts[what] for what in BAD} == dict.fromkeys(BAD, 0)
