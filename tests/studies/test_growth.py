"""Studies that grow, shrink and change: what is there is used, what is missing is trained, nothing is lost."""

import json
import threading

import pandas as pd
import pytest

import studies
from studies import api
from studies.errors import UserError
from studies.plan import plan
from studies.runs import run_all
from studies.spec import grid, identity, rules, settings, spec
from studies.store import status
from studies.store.store import Store

TRAINED = ["stack", "seconds"]  # columns that tell how a row was trained, which may differ
THIRD = ('"tanh"]', '"tanh", "elu"]')
REPEATS = ("folds = 3", "folds = 3\nrepeats = 2")


@pytest.fixture
def train(tmp_path):
    """Runs a study, given as its file, in one folder; returns how many trials were trained and the rows that are left."""

    def run(path, folder="results"):
        counted = []
        rows = studies.run(path, results=tmp_path / folder, jobs=1, received=counted.extend)
        return len(counted), rows

    return run


def tables(folder, name):
    return pd.read_csv(folder / "tiny" / f"{name}.csv")


def test_a_study_that_grows_shrinks_and_grows_again_trains_each_trial_once(tiny, train, tmp_path):
    assert train(tiny())[0] == 12
    assert train(tiny(THIRD))[0] == 6
    assert train(tiny(THIRD, REPEATS))[0] == 18
    trained, shrunk = train(tiny())
    assert trained == 0
    assert len(shrunk) == 12
    assert "elu" not in set(tables(tmp_path / "results", "levels")["level"])
    assert len(pd.read_csv(tmp_path / "results" / "tiny" / "kept" / "trials.csv")) == 24
    trained, grown = train(tiny(THIRD, REPEATS))
    assert trained == 0
    _, undisturbed = train(tiny(THIRD, REPEATS), folder="undisturbed")
    pd.testing.assert_frame_equal(grown.drop(columns=TRAINED), undisturbed.drop(columns=TRAINED), check_exact=True)
    one, other = (tables(tmp_path / folder, "history") for folder in ("results", "undisturbed"))
    pd.testing.assert_frame_equal(one, other, check_exact=True)


CHANGES = {
    "an epoch": ("epochs = 3", "epochs = 4"),
    "another seed": ('title = "Tiny"', 'title = "Tiny"\nseed = 1'),
    "more data": ("samples = 60", "samples = 61"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_study_that_changes_and_changes_back_has_lost_nothing(tiny, train, change):
    _, before = train(tiny())
    trained, rows = train(tiny(change))
    assert trained == 12
    assert not set(rows["trial"]) & set(before["trial"])
    trained, after = train(tiny())
    assert trained == 0
    assert after.equals(before)


RECORDING = {
    "a history of fewer epochs": ([], [("history_every = 1", "history_every = 3")], 0),
    "no history": ([], [("history_every = 1", "history_every = 0")], 0),
    "a history of more epochs": ([("history_every = 1", "history_every = 3")], [], 12),
    "a history after none": ([("history_every = 1", "history_every = 0")], [], 12),
    "another history": ([("history_every = 1", "history_every = 3")], [("history_every = 1", "history_every = 2")], 12),
    "gradient norms": ([], [("epochs = 3", "epochs = 3\ngradient_norms = true")], 12),
    "predictions": ([], [("epochs = 3", "epochs = 3\nkeep_predictions = true")], 12),
    "no gradient norms": ([("epochs = 3", "epochs = 3\ngradient_norms = true")], [], 0),
    "no predictions": ([("epochs = 3", "epochs = 3\nkeep_predictions = true")], [], 0),
}


@pytest.mark.parametrize(("before", "after", "expected"), RECORDING.values(), ids=RECORDING)
def test_a_row_that_records_more_is_used_and_looks_as_if_it_recorded_what_is_asked(
    tiny, train, tmp_path, before, after, expected
):
    train(tiny(*before))
    trained, rows = train(tiny(*after))
    assert trained == expected
    _, undisturbed = train(tiny(*after), folder="undisturbed")
    pd.testing.assert_frame_equal(rows.drop(columns=TRAINED), undisturbed.drop(columns=TRAINED), check_exact=True)
    study = spec.load(str(tiny(*after)))
    for name in ("history", "predictions"):
        one, other = (getattr(api.rows_of(study, tmp_path / folder), name) for folder in ("results", "undisturbed"))
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert train(tiny(*before))[0] == 0  # nothing that was recorded is lost


LACKING = {  # before, after, and what a row of before lacks
    "a history": ("history_every = 1", "history_every = 0", "history_every"),
    "predictions": ("epochs = 3", "epochs = 3\nkeep_predictions = true", "keep_predictions"),
    "gradient norms": ("epochs = 3", "epochs = 3\ngradient_norms = true", "gradient_norms"),
    "a measure": ('title = "Tiny"', 'title = "Tiny"\nmeasures = ["auc"]', "auc"),
}


@pytest.mark.parametrize(("one", "other", "name"), LACKING.values(), ids=LACKING)
def test_rows_that_lack_what_the_study_records_now_are_no_rows_of_other_trials(tiny, train, tmp_path, one, other, name):
    before, after = ((one, other), (one, one)) if name == "history_every" else ((one, one), (one, other))
    train(tiny(before))
    study, folder = spec.load(str(tiny(after))), tmp_path / "results"
    line = f"incomplete     12 rows lack what the study records now, {name} (12): a run trains their trials again"
    told = status.describe_status(study, folder)
    assert line in told
    assert line in status.missing(study, folder)[1]
    assert not any("other trials" in each for each in told)
    said, counted = [], []
    run_all([study], jobs=1, results=folder, said=said.append, received=counted.extend)
    assert said == [line]
    assert len(counted) == 12
    assert not any("lack" in each or "other trials" in each for each in status.describe_status(study, folder))


def test_rows_that_record_what_newer_ones_do_not_are_told_apart(tiny, train, tmp_path):
    train(tiny(("history_every = 1", "history_every = 3")))
    path = tiny(("history_every = 1", "history_every = 2"))
    train(path)
    told = status.describe_status(spec.load(str(path)), tmp_path / "results")
    assert "kept           12 rows of trials that were trained again since: they record what the new rows do not" in told


def test_tables_are_made_of_rows_that_lack_what_the_study_records_now(tiny, train, tmp_path):
    train(tiny(("history_every = 1", "history_every = 0")))
    study = spec.load(str(tiny(("epochs = 3", "epochs = 3\nkeep_predictions = true"))))
    tables = api.tables_of(study, tmp_path / "results")
    assert tables["summary"]["trials"].tolist() == [3, 3, 3, 3]
    assert len(status.missing(study, tmp_path / "results")[0]) == 12  # a run trains them again, with their history


def test_a_quick_look_is_a_part_of_the_study(tiny, train, tmp_path):
    path = tiny(("folds = 3", "folds = 0\nrepeats = 12"))
    quick = spec.load(str(path), quick=True)
    assert len(studies.run(quick, results=tmp_path / "results", jobs=1)) == 40
    assert train(path)[0] == 8


def test_names_and_labels_are_those_of_the_study_today(tiny, train):
    train(tiny())
    trained, rows = train(tiny(('{ name = "sgd", lr = 0.1 }', '{ label = "plain", name = "sgd", lr = 0.1 }')))
    assert trained == 0
    assert set(rows["label"]) == {"relu | plain lr=0.1", "relu | adam lr=0.01", "tanh | plain lr=0.1", "tanh | adam lr=0.01"}


def test_a_new_setting_that_means_as_before_changes_no_key(tiny, monkeypatch):
    before = [trial.key for trial in plan.trials(spec.load(str(tiny())))]
    monkeypatch.setitem(settings.DEFAULTS, "smoothing", 0.0)
    monkeypatch.setitem(settings._SIMPLE, "smoothing", rules.number(0, 1))
    assert [trial.key for trial in plan.trials(spec.load(str(tiny())))] != before  # a test that can fail
    monkeypatch.setattr(identity, "ADDED", {**identity.ADDED, "base.smoothing": 0.0})
    assert [trial.key for trial in plan.trials(spec.load(str(tiny())))] == before
    assert [trial.key for trial in plan.trials(spec.load(str(tiny(("epochs = 3", "epochs = 3\nsmoothing = 0.1")))))] != before


def test_a_renamed_setting_and_another_order_of_keys_change_no_key(monkeypatch):
    values = {"lr": 0.1, "table": {"name": "adam", "eps": 1e-8}}
    before = identity.identity("base", values)
    assert before == identity.identity("base", dict(reversed(values.items())))
    monkeypatch.setattr(identity, "RENAMED", {"base.rate": "base.lr"})
    assert identity.identity("base", {"rate": 0.1, "table": values["table"]}) == before


def test_keys_stay_as_they_are(tiny, monkeypatch):
    monkeypatch.setattr(plan, "NUMERICS", 9)
    path = tiny(("epochs = 3", 'epochs = 3\nengine = "stack"'))  # the default then
    keys = [trial.key for trial in plan.trials(spec.load(str(path)))]
    assert keys[:2] == ["dfa79afe69ffaade", "6b4989d35ec24834"]  # with others, no row of any user would be used again


def test_plan_and_status_say_what_is_there_and_what_does_not_fit(tiny, train, call, tmp_path):
    train(tiny(("epochs = 3", "epochs = 4")))
    train(tiny())
    path = tiny(THIRD)
    told = call("plan", path, cwd=tmp_path).stdout
    assert "rows           12 of 18 trials have one, 6 are missing" in told
    assert "12 rows of other trials in" in told
    assert "epochs is 4 (12), not 3" in told
    assert "12 done, 6 missing" in call("status", path, cwd=tmp_path).stdout


def test_rows_of_other_code_are_told_with_what_to_do(tiny, train, tmp_path):
    path = tiny()
    train(path)
    trials = tmp_path / "results" / "tiny" / "trials.csv"
    pd.read_csv(trials).assign(code="0" * 12).to_csv(trials, index=False)
    study = spec.load(str(path))
    told = [line for line in status.describe_status(study, tmp_path / "results") if line.startswith("other code")]
    assert told == [
        f"other code     made 12 of 12 rows; if `{study.command('verify', tmp_path / 'results')}` finds that numbers differ, "
        "raise NUMERICS in studies/plan/units.py, and run again"
    ]
    said = []
    run_all([study], jobs=1, results=tmp_path / "results", said=said.append)
    assert said == told
    assert api.verify(study, tmp_path / "results", sample=1)[1].empty


def test_a_second_run_takes_what_the_first_has_not_begun_and_waits_for_the_rest(tiny, tmp_path):
    path = tiny(('title = "Tiny"', 'title = "Tiny"\nstack = 2'))
    study, counted, said, second = spec.load(str(path)), [], [], []

    def meanwhile(_):  # the first has begun one stack, and its rows are on disk
        if not second:
            second.append(threading.Thread(target=other))
            second[0].start()
            second[0].join(0.5)

    def other():
        run_all([study], jobs=1, results=tmp_path, received=counted.extend, said=said.append)

    first = []
    run_all([study], jobs=1, results=tmp_path, received=lambda records: (first.extend(records), meanwhile(records)))
    second[0].join()
    keys = [record["trial"] for record in (*first, *counted)]
    assert sorted(keys) == sorted(trial.key for trial in plan.trials(study))
    assert len(said) == 1
    assert said[0].startswith("at work        process ")
    assert len(studies.run(study, results=tmp_path, jobs=1)) == 12  # shards of runs that end at once are left to the next one
    assert list((tmp_path / "tiny" / "shards").iterdir()) == []


def test_two_specs_of_one_name_at_once_lose_no_row(tiny, tmp_path):
    one, other = spec.load(str(tiny())), spec.load(str(tiny(("epochs = 3", "epochs = 4"))))
    threads = [
        threading.Thread(target=run_all, args=([study],), kwargs={"jobs": 1, "results": tmp_path}) for study in (one, other)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for study in (one, other):
        assert len(Store(tmp_path, study).load().trials) == 12


def test_derived_files_follow_the_rows(tiny, train, tmp_path):
    path = tiny()
    train(path)
    folder = tmp_path / "results" / "tiny"
    before = (folder / "summary.csv").read_bytes()
    (folder / "summary.csv").write_bytes(before[:100])
    (folder / "pairs.csv").unlink()
    assert not api.tables_of(spec.load(str(path)), tmp_path / "results")["pairs"].empty
    assert (folder / "summary.csv").read_bytes() == before
    one = tiny(('activation = ["relu", "tanh"]', 'activation = ["relu"]'), (', { name = "adam", lr = 0.01 }', ""))
    api.tables_of(spec.load(str(one)), tmp_path / "results")
    assert not (folder / "pairs.csv").exists()  # of one configuration there is none


def test_tables_without_rows_are_read_as_they_are_and_refused_for_another_study(tiny, train, tmp_path):
    path = tiny()
    train(path)
    folder = tmp_path / "results" / "tiny"
    computed = api.tables_of(spec.load(str(path)), tmp_path / "results")
    for name in ("trials", "history"):
        (folder / f"{name}.csv").unlink()
    read = api.tables_of(spec.load(str(path)), tmp_path / "results")
    assert read["summary"]["label"].tolist() == computed["summary"]["label"].tolist()
    for change, message in (
        (["margin=5"], "margin is 0.5 there, 5.0 here"),
        (["baseline.activation=relu"], 'baseline.activation is "tanh" there, "relu" here'),
        (["base.epochs=4"], "base.epochs is 3 there, 4 here"),
    ):
        with pytest.raises(UserError, match="are of another study, and there are no rows") as told:
            api.tables_of(spec.load(str(path), change), tmp_path / "results")
        assert message in str(told.value)
    (folder / "levels.csv").write_text("")
    with pytest.raises(UserError, match="were changed or are missing, and there are no rows"):
        api.tables_of(spec.load(str(path)), tmp_path / "results")


def test_new_words_never_stand_beside_old_numbers(tiny, train, tmp_path):
    path = tiny()
    train(path)
    api.tables_of(spec.load(str(path), ["margin=50"]), tmp_path / "results")
    folder = tmp_path / "results" / "tiny"
    assert json.loads((folder / "tables.json").read_text())["study"]["margin"] == 50
    assert "50 points" in (folder / "tables.md").read_text()


def test_results_that_cannot_be_written_to_are_read_and_written_elsewhere(tiny, train, tmp_path, monkeypatch):
    path = tiny()
    train(path)
    study, results = spec.load(str(path), ["margin=5"]), tmp_path / "results"
    write = api.tables.files.write

    def read_only(target, content):
        if results in target.parents:
            raise OSError(30, "Read-only file system", str(target))
        write(target, content)

    monkeypatch.setattr(api.tables.files, "write", read_only)
    assert len(api.tables_of(study, results)["summary"]) == 4
    api.tables_of(study, results, tmp_path / "out")
    assert (tmp_path / "out" / "tiny" / "summary.csv").exists()


def test_levels_that_only_record_differently_are_one_configuration(tiny):
    study = spec.load(str(tiny(('activation = ["relu", "tanh"]', "history_every = [1, 2]"))))
    assert isinstance(study.grid, grid.Grid)
    assert len(study.grid.configurations) == 2
    assert study.grid.duplicates == 2
