"""Status of a folder: its rows, the runs that write to it, and why a trial is or is not trained again."""

import json
import os
import resource
import time

import pandas as pd
import pytest
from test_plan import CHANGES

import studies
from studies import api, files
from studies.errors import UserError
from studies.plan import plan
from studies.plan.units import NUMERICS
from studies.spec import spec
from studies.store import shards, status
from studies.store.store import Store
from studies.train import engines, runner


@pytest.fixture
def trained(tiny, tmp_path):
    """The tiny study, trained, and its folder."""
    studies.run(tiny(), results=tmp_path / "results", jobs=1)
    return spec.load(str(tiny())), tmp_path / "results" / "tiny"


def rewrite(path, change):
    table = pd.read_csv(path)
    change(table).to_csv(path, index=False)


def records(study):
    return [record for stack in engines.plan_units(study, plan.trials(study), jobs=1) for record in runner.train_unit(stack)]


def explained(study, folder, trial=0):
    return "\n".join(status.explain_trial(study, folder.parent, plan.trials(study)[trial].key))


def test_two_runs_that_finish_at_once_lose_no_row_and_no_run(tiny, tmp_path, monkeypatch):
    study = spec.load(str(tiny()))
    trials, rows = plan.trials(study), records(study)
    one, other = Store(tmp_path, study), Store(tmp_path, study)
    one.begin()
    other.begin()
    one.append(rows[:7])
    one.note({"seconds": 1})
    write = files.write

    def meanwhile(path, content):  # between what the first reads and what it writes
        monkeypatch.setattr(files, "write", write)
        other.append(rows[5:])
        other.note({"seconds": 2})
        other.compact()
        write(path, content)

    monkeypatch.setattr(files, "write", meanwhile)
    one.compact()
    written = pd.read_csv(tmp_path / "tiny" / "trials.csv")
    assert written["trial"].tolist() == [trial.key for trial in trials]
    runs = json.loads((tmp_path / "tiny" / "manifest.json").read_text())["runs"]
    assert sorted(run["seconds"] for run in runs) == [1, 2]
    assert len(list((tmp_path / "tiny" / "shards").iterdir())) == 2  # either may be about to be needed by the other
    one.end()
    other.end()
    Store(tmp_path, study).compact()
    assert list((tmp_path / "tiny" / "shards").iterdir()) == []
    assert pd.read_csv(tmp_path / "tiny" / "trials.csv").equals(written)


def test_files_that_are_no_shards_are_left_alone(trained):
    study, folder = trained
    notes = folder / "shards" / "notes.jsonl"
    notes.write_text("{}\n")
    (folder / "shards" / "20200101T000000-vm-1-abcd.jsonl").write_text(
        '{"run": 5}\n{"trial": "x", "status": "ok", "numerics": 1}\n'
    )
    assert len(studies.run(study, results=folder.parent, jobs=1)) == 12
    assert notes.exists()


def test_a_temporary_file_goes_once_nobody_can_be_writing_it(trained):
    study, folder = trained
    young, old = folder / ".summary.csv.1-ab.tmp", folder / ".summary.csv.2-cd.tmp"
    for path in (young, old):
        path.write_text("half")
    os.utime(old, (0, 0))
    Store(folder.parent, study).compact()
    assert young.exists()
    assert not old.exists()


def test_a_shard_of_another_host_stays_as_long_as_it_is_touched(trained):
    study, folder = trained
    shard = folder / "shards" / "20260101T000000-elsewhere-0123456789ab-1-abcd.jsonl"
    shard.write_text(json.dumps(records(study)[0]) + "\n")
    Store(folder.parent, study).compact()
    assert shard.exists()
    assert "at work        process 1 on elsewhere" in status.describe_status(study, folder.parent)
    os.utime(shard, (0, time.time() - 2 * shards.SILENT))
    Store(folder.parent, study).compact()
    assert not shard.exists()


def test_a_run_that_was_taken_for_dead_goes_on_and_loses_nothing(tiny, tmp_path):
    study = spec.load(str(tiny()))
    rows, store, other = records(study), Store(tmp_path, study), Store(tmp_path, study)
    store.begin()
    store.append(rows[:5])
    (shard,) = (tmp_path / "tiny" / "shards").iterdir()
    os.utime(shard, (0, time.time() - 2 * shards.SILENT))
    other.compact()
    assert not shard.exists()
    store.append(rows[5:])
    assert len(store.compact().trials) == 12
    store.end()


def test_what_follows_a_line_cut_short_is_not_lost_with_it(tiny, tmp_path):
    study = spec.load(str(tiny()))
    store, rows = Store(tmp_path, study), records(study)
    store.begin()
    store.append(rows[:1])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(json.dumps(rows[0])) + 100, hard))
    try:
        with pytest.raises(OSError, match="is the disk full"):
            store.append(rows[1:3])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    store.append(rows[3:5])
    assert set(store.load().trials["trial"]) == {rows[place]["trial"] for place in (0, 3, 4)}


def test_a_table_that_does_not_fit_the_disk_leaves_the_old_one_and_no_other_file(trained):
    study, folder = trained
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            studies.run(study, results=folder.parent, jobs=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_a_folder_removed_during_a_run_is_told_and_not_made_again(tiny, tmp_path):
    def remove(_):
        (tmp_path / "results" / "tiny").rename(tmp_path / "elsewhere")

    with pytest.raises(FileNotFoundError, match="was removed or moved aside"):
        studies.run(tiny(), results=tmp_path / "results", jobs=1, received=remove)
    assert not (tmp_path / "results" / "tiny").exists()


def test_rows_of_older_numerics_are_kept_and_not_used(trained):
    study, folder = trained
    older = {"trial": lambda table: table["trial"].str[::-1]}
    rewrite(folder / "trials.csv", lambda table: table.assign(**older, numerics=1).drop(columns="numpy"))  # it came later
    rewrite(folder / "history.csv", lambda table: table.assign(**older))
    assert f"numerics is 1 there, {NUMERICS} here" in explained(study, folder)
    assert len(studies.run(study, results=folder.parent, jobs=1)) == 12
    for name, rows in (("trials", 12), ("history", 48)):
        assert len(pd.read_csv(folder / f"{name}.csv")) == len(pd.read_csv(folder / "kept" / f"{name}.csv")) == rows
    told = status.describe_status(study, folder.parent)
    assert told[-2].startswith("kept           12 rows of other trials in ")
    assert told[-1].strip() == f"numerics is 1 (12), not {NUMERICS}"
    assert "reused" in explained(study, folder)


def test_two_devices_are_not_mixed_and_two_builds_are_told(trained):
    study, folder = trained
    rewrite(folder / "trials.csv", lambda table: table.assign(torch=["1.0"] + ["2.0"] * 11))
    assert any("rows of several torch: 2.0 (11), 1.0 (1)" in line for line in status.describe_status(study, folder.parent))
    rewrite(folder / "trials.csv", lambda table: table.assign(device="cuda")[1:])
    before = (folder / "trials.csv").read_bytes()
    with pytest.raises(UserError, match=r"never mixed: .* has rows of cuda, this run trains on cpu"):
        studies.run(study, results=folder.parent, jobs=1)
    assert (folder / "trials.csv").read_bytes() == before


DAMAGED = {
    "a manifest of another format": ("manifest.json", '{"format": 0}', "is of format 0, this version reads 1: its results"),
    "no manifest": ("manifest.json", "{", "is of format unknown"),
    "no table": ("trials.csv", "\x00\n1,2", "is not a table of this suite"),
    "a manifest without runs": ("manifest.json", '{"format": 1}', "manifest.json is of format unknown, this version reads 1"),
    "another table": ("trials.csv", "a,b\n1,2\n", "it has no column config, device, diverged"),
    "no number": ("trials.csv", "trial,status,numerics\na,ok,two\n", "is not a table of this suite"),
    "an empty file": ("history.csv", "", "is not a table of this suite"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "content", "message"), DAMAGED.values(), ids=DAMAGED)
def test_what_cannot_be_read_is_told_and_left_as_it_is(trained, name, content, message):
    study, folder = trained
    (folder / name).write_text(content)
    for call in (
        lambda: studies.run(study, results=folder.parent, jobs=1),
        lambda: status.describe_status(study, folder.parent),
    ):
        with pytest.raises(UserError) as told:
            call()
        assert message in str(told.value)
    assert (folder / name).read_text() == content


def test_status_counts_what_is_done_missing_and_failed_and_why(trained):
    study, folder = trained

    def damage(table):
        table.loc[0, ["status", "reason"]] = "failed", "ValueError: x"
        return table.assign(reason=table["reason"].astype(str).where(table["status"] == "failed"), stuck=True)[:-2]

    rewrite(folder / "trials.csv", lambda table: damage(table.astype({"reason": object})))
    first, second, again, third, *_ = status.describe_status(study, folder.parent)
    assert first == "tiny           12 trials: 9 done, 2 missing, 1 failed; of those done, 0 diverged, 9 stuck"
    assert second == "failed         1: ValueError: x"
    assert again == f"again          {study.command('run', folder.parent)} trains the 1 failed trials again"
    assert third.startswith("made by        trained_by fused (10), device cpu (10), cpu ")
    assert "its row in" in explained(study, folder)
    assert "failed: ValueError: x" in explained(study, folder)
    missing = explained(study, folder, 11)
    assert "has no row of it" in missing
    assert "activation is relu there, tanh here" in missing or "optimizer" in missing


UNCHANGED = {
    "jobs": ({"jobs": 2}, []),
    "backend": ({"jobs": 1, "backend": "sequential"}, []),
    "title and question": ({"jobs": 1}, [('"Tiny"', '"Other"\nquestion = "?"')]),
    "size of stacks": ({"jobs": 1}, [('"Tiny"', '"Tiny"\nstack = 2')]),
}


@pytest.mark.parametrize(("options", "changes"), UNCHANGED.values(), ids=UNCHANGED)
def test_what_numbers_do_not_depend_on_never_trains_again(trained, tiny, options, changes):
    _, folder = trained
    path, counted = tiny(*changes), []
    study = spec.load(str(path))
    assert all("reused" in explained(study, folder, place) for place in range(12))
    studies.run(path, results=folder.parent, received=counted.extend, **options)
    assert counted == []


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_numbers_depend_on_always_trains_again_and_is_named(trained, tiny, change):
    _, folder = trained
    study = spec.load(str(tiny(change)))
    told = explained(study, folder)
    assert "to be trained" in told
    assert " there, " in told.partition("since the last run: ")[2]


def test_what_differs_from_the_nearest_row_is_named(trained, tiny):
    _, folder = trained
    assert "epochs is 3 there, 4 here" in explained(spec.load(str(tiny(("epochs = 3", "epochs = 4")))), folder)


def test_status_tells_committed_tables_from_rows(trained):
    study, folder = trained
    for file in folder.glob("*.csv"):
        if file.stem in ("trials", "history"):
            file.unlink()
    lines = status.describe_status(study, folder.parent)
    assert lines[1] == (
        f"tables         committed in {folder}, without the rows that they were computed from: "
        f"ablation run {folder.parents[1] / 'tiny.toml'} --results {folder.parent} trains these"
    )


@pytest.mark.parametrize("given", ["tanh | adam lr=0.01", "id", "key", "best", "worst"])
def test_a_trial_is_found_by_key_label_best_and_worst(trained, given):
    study, folder = trained
    summary = pd.read_csv(folder / "summary.csv").sort_values("test_mean", kind="stable")
    expected = next(trial for trial in plan.trials(study) if trial.configuration.label == "tanh | adam lr=0.01")
    if given in ("best", "worst"):
        config = summary["config"].iloc[0 if given == "best" else -1]
        expected = next(trial for trial in plan.trials(study) if trial.configuration.id == config)
    words = {"id": expected.configuration.id, "key": expected.key[:10]}
    assert api.find_trial(study, folder.parent, words.get(given, given)) == expected


def test_without_rows_no_trial_is_the_best(tiny, tmp_path):
    with pytest.raises(UserError, match=r"has neither rows nor tables; train the study first: ablation run"):
        api.find_trial(spec.load(str(tiny())), tmp_path, "best")
