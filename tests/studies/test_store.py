import json
import os
import subprocess

import numpy as np
import pandas as pd
import pytest

import studies
from studies import files
from studies.columns import is_taken
from studies.errors import UserError
from studies.spec import spec
from studies.spec.settings import DEFAULTS
from studies.store.rows import read_table, to_csv
from studies.store.store import Store, commit

FILES = {
    "trials.csv",
    "history.csv",
    "summary.csv",
    "levels.csv",
    "effects.csv",
    "comparisons.csv",
    "pairs.csv",
    "values.csv",
    "budget.csv",
    "ladder.csv",
    "curves.csv",
    "manifest.json",
    "tables.json",
    "tables.md",
    "shards",
}


@pytest.fixture
def trained(tiny, tmp_path):
    """The tiny study, trained in one process, and its folder."""
    path = tiny()
    studies.run(path, results=tmp_path / "results", jobs=1)
    return path, tmp_path / "results" / "tiny"


def numbers_trained(path, results):
    """Number of trials that a run has to train."""
    counted = []
    studies.run(path, results=results, jobs=1, received=counted.extend)
    return len(counted)


def test_a_run_leaves_its_files_and_no_shards(trained):
    _, folder = trained
    assert {file.name for file in folder.iterdir()} == FILES
    assert list((folder / "shards").iterdir()) == []


def test_the_manifest_says_what_was_run_and_by_what(trained):
    manifest = json.loads((trained[1] / "manifest.json").read_text())
    assert manifest["trials"] == 12
    assert manifest["identity"]["base"]["optimizer"] == {
        "name": "sgd",
        "lr": 0.1,
        "momentum": 0.0,
        "nesterov": False,
        "weight_decay": 0.0,
    }
    (run,) = manifest["runs"]
    assert run["trials"] == 12
    assert sum(run["trained_by"].values()) == 12
    assert run["torch"].startswith("2.")
    assert {"python", "numpy", "cores", "seconds", "trials_per_second", "jobs", "commit"} <= set(run)


def test_a_second_run_trains_nothing_and_changes_no_row(trained):
    path, folder = trained
    before = {name: (folder / name).read_bytes() for name in FILES - {"shards"}}
    assert numbers_trained(path, folder.parent) == 0
    assert {name: (folder / name).read_bytes() for name in FILES - {"shards"}} == before


def test_a_run_goes_on_after_an_interrupt_and_a_torn_line(trained, tmp_path):
    path, undisturbed = trained

    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        studies.run(path, results=tmp_path / "again", jobs=1, received=interrupt)
    (shard,) = (tmp_path / "again" / "tiny" / "shards").iterdir()
    content = shard.read_bytes()
    lines = content.splitlines(keepends=True)
    assert len(lines) == 9  # what the run begins, what it is, a stack, and that it ended
    shard.write_bytes(b"".join(lines[:-1])[:-100])
    os.utime(shard, (0, 0))  # as of a run that is long dead
    assert len(Store(tmp_path / "again", spec.load(str(path))).load().trials) == 5
    assert numbers_trained(path, tmp_path / "again") == 7
    # all columns agree with the undisturbed run but those that tell how it was trained
    first, second = (pd.read_csv(folder / "trials.csv") for folder in (undisturbed, tmp_path / "again" / "tiny"))
    told = ["seconds", "stack"]
    pd.testing.assert_frame_equal(first.drop(columns=told), second.drop(columns=told), check_exact=True)
    assert (undisturbed / "history.csv").read_bytes() == (tmp_path / "again" / "tiny" / "history.csv").read_bytes()


@pytest.mark.parametrize("last", ["history.csv", "trials.csv"])
def test_a_compaction_that_is_cut_short_loses_nothing_even_if_the_shard_is_torn_later(trained, tmp_path, monkeypatch, last):
    path, undisturbed = trained
    write = files.write

    def cut_short(target, content):
        if target.name == last:
            raise KeyboardInterrupt
        write(target, content)

    monkeypatch.setattr(files, "write", cut_short)
    with pytest.raises(KeyboardInterrupt):
        studies.run(path, results=tmp_path / "again", jobs=1)
    monkeypatch.undo()
    (shard,) = (tmp_path / "again" / "tiny" / "shards").iterdir()
    # without its end, the second note of what the run was, and half of the last record
    shard.write_bytes(b"\n".join(shard.read_bytes().splitlines()[:-2])[:-300])
    os.utime(shard, (0, 0))
    studies.run(path, results=tmp_path / "again", jobs=1)
    assert (undisturbed / "history.csv").read_bytes() == (tmp_path / "again" / "tiny" / "history.csv").read_bytes()


def test_a_failed_row_gives_way_to_one_that_is_not_and_doubles_are_dropped(trained):
    path, folder = trained
    study = spec.load(str(path))
    store = Store(folder.parent, study)
    store.begin()
    rows = store.load().trials
    (record,) = rows.iloc[[0]].dropna(axis=1).astype(object).to_dict("records")
    store.append([{**record, "status": "failed", "reason": "x"}])
    store.append([record])
    again = store.load().trials
    assert len(again) == 12
    assert (again["status"] == "ok").all()
    store.append([{**record, "train_loss": float(np.nextafter(record["train_loss"], 0))}])
    with pytest.raises(UserError, match=f"{record['trial']} was trained twice, with different ones"):
        store.load()
    store.end()


def test_titles_do_not_make_another_study(tiny, trained):
    path, folder = trained
    tiny(('"Tiny"', '"Another title"'))
    assert numbers_trained(path, folder.parent) == 0


def test_levels_called_none_and_numbers_survive_the_file(tmp_path):
    table = pd.DataFrame(
        {"batchnorm": ["none", "NA", "null"], "value": [0.1 + 0.2, 1e-300, None], "level": ["0.10", "1", "1e5"]}
    )
    (tmp_path / "t.csv").write_text(to_csv(table))
    read = read_table(tmp_path / "t.csv", texts=["level", "batchnorm"])
    assert read["batchnorm"].tolist() == ["none", "NA", "null"]
    assert read["level"].tolist() == ["0.10", "1", "1e5"]
    assert read["value"].tolist()[:2] == [0.1 + 0.2, 1e-300]
    assert read["value"].isna().tolist() == [False, False, True]


@pytest.mark.parametrize("options", [{"jobs": 0}, {"backend": "magic"}], ids=["jobs", "backend"])
def test_options_are_checked(tiny, options):
    with pytest.raises(UserError):
        studies.run(tiny(), **options)


def test_every_column_is_a_setting_or_no_name_for_a_factor(tiny, tmp_path):
    told = ("epochs = 3", "epochs = 3\nkeep_predictions = true\ngradient_norms = true")
    path = tiny(told, ("[data]", 'tune = ["optimizer"]\n[data]'))
    studies.run(path, results=tmp_path, jobs=1)
    tables = list((tmp_path / "tiny").glob("*.csv"))
    columns = {column for table in tables for column in pd.read_csv(table)}
    assert len(tables) == 15
    assert [column for column in columns if column.partition(".")[0] not in DEFAULTS and not is_taken(column)] == []


def repository(folder, *added):
    """A git repository with one commit of some files; returns how the commit's name begins."""
    git = ["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    for words in (["init", "-q"], ["add", *added] if added else ["status"], ["commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run([*git, *words], check=True, capture_output=True, env=environment)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True, env=environment)
    return head.stdout[:12]


@pytest.fixture
def project(tmp_path):
    """A project with one file, inside another folder."""
    file = tmp_path / "around" / "project" / "studies" / "store" / "store.py"
    file.parent.mkdir(parents=True)
    file.touch()
    return file.parents[2]


REPOSITORIES = {
    "none": (None, (), False),
    "around an installed package": ("..", (), False),
    "around a vendored copy": ("..", ("project",), False),
    "of the project": (".", ("studies",), True),
    "where the package is not tracked": (".", (), False),
}


@pytest.mark.parametrize(("place", "added", "known"), REPOSITORIES.values(), ids=REPOSITORIES)
def test_the_commit_is_the_projects_own_or_unknown(project, place, added, known):
    head = repository(project / place, *added) if place else None
    assert commit(project / "studies" / "store" / "store.py") == (head if known else None)


def test_a_git_hook_of_another_repository_does_not_matter(project, monkeypatch):
    head = repository(project, "studies")
    repository(project.parent)
    monkeypatch.setenv("GIT_DIR", str(project.parent / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(project.parent / "index"))
    assert commit(project / "studies" / "store" / "store.py") == head


def test_without_git_the_commit_is_unknown(project, monkeypatch):
    repository(project, "studies")
    monkeypatch.setenv("PATH", str(project))
    assert commit(project / "studies" / "store" / "store.py") is None
