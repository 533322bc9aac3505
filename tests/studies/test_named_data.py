"""The names of a user's file, from the file to all that a user sees; and commands that need no file."""

import json

import pandas as pd
import pytest
from click.testing import CliRunner

from studies import api, cli
from studies.data import datasets
from studies.show import figures
from studies.show.figures import points
from studies.spec import spec

GRADES = """
title = "Three heaps"
[data]
name = "csv"
path = "grades.csv"
target = "grade"
test_samples = 15
[validation]
folds = 2
[base]
hidden = [6]
epochs = 20
batch_size = 10
keep_predictions = true
[[grid]]
activation = ["relu", "tanh"]
"""


@pytest.fixture
def folder(tmp_path):
    """A study of a CSV file in which 1, 2 and 10 are classes that lie apart."""
    places = {"10": (0, 3), "2": (3, 0), "1": (0, 0)}
    rows = [
        f"{x + (step * 7 % 11) / 40:.3f},{y + (step * 5 % 13) / 40:.3f},{name}"
        for step in range(20)
        for name, (x, y) in places.items()
    ]
    (tmp_path / "grades.csv").write_text("\n".join(["width,height,grade", *rows]) + "\n")
    (tmp_path / "s.toml").write_text(GRADES)
    return tmp_path


def call(folder, command, *arguments):
    folders = ["--results", str(folder / "r"), *(["--figures", str(folder / "f")] if command in ("figures", "report") else [])]
    called = CliRunner().invoke(cli.main, [command, str(folder / "s.toml"), *arguments, *folders])
    assert called.exit_code == 0, called.output
    return called.output


def test_the_names_of_a_file_are_what_a_user_sees(folder):
    call(folder, "run", "-j", "1")
    study = spec.load(str(folder / "s.toml"))
    said = api.rows_of(study, folder / "r").predictions
    file = pd.read_csv(folder / "grades.csv", dtype={"grade": str})
    assert file["grade"].iloc[said["row"] - 1].tolist() == said["truth"].tolist()
    assert (said["truth"] == said["predicted"]).mean() > 0.8
    assert said.columns[-3:].tolist() == ["output_1", "output_2", "output_10"]
    line = "grades.csv; 2 features: width, height; 3 classes of grade: 1 (20), 2 (20), 10 (20)"
    assert f"* Data: {line}." in (folder / "r" / "s" / "tables.md").read_text()
    assert line in (call(folder, "report") and (folder / "r" / "s" / "report.html").read_text())
    (described,) = json.loads((folder / "r" / "s" / "manifest.json").read_text())["data"]
    assert (described["classes"], described["counts"]) == (["1", "2", "10"], [20, 20, 20])
    for figure in (points.data(study, {}), points.draw_points(study, {"predictions": said, "summary": pd.DataFrame()})):
        axes = figure.axes[0]
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("width", "height")
        assert axes.get_legend_handles_labels()[1] == ["grade 1", "grade 2", "grade 10"]


def test_a_plan_tells_features_classes_and_doubts(folder):
    lines = call(folder, "plan").splitlines()
    assert "data           grades.csv: 45 training, 15 test rows" in lines
    assert "               2 features: width, height" in lines
    assert "               3 classes of grade: 1 (20), 2 (20), 10 (20)" in lines
    assert not any(line.startswith("doubtful") for line in lines)
    text = (folder / "grades.csv").read_text()
    (folder / "grades.csv").write_text(text + text.splitlines()[1] + "\n")
    (told,) = [line for line in call(folder, "plan").splitlines() if line.startswith("doubtful")]
    assert told == "doubtful       rows with the features of an earlier row: 1 of 61; copies may lie on both sides of a split"


@pytest.mark.parametrize("moved", [False, True], ids=["as it was", "gone"])
def test_what_needs_rows_alone_reads_no_file(folder, monkeypatch, moved):
    call(folder, "run", "-j", "1")
    before = {path: path.read_text() for path in (folder / "r" / "s").glob("*.*")}
    key = pd.read_csv(folder / "r" / "s" / "trials.csv")["trial"][0]
    if moved:
        (folder / "grades.csv").rename(folder / "moved.csv")
    datasets._pools.cache_clear()
    monkeypatch.setattr(datasets, "_read_once", None)
    assert "4 trials: 4 done, 0 missing, 0 failed" in call(folder, "status")
    assert "reused" in call(folder, "explain", key)
    call(folder, "tables")
    assert {path: path.read_text() for path in before} == before


def test_a_picture_of_rows_that_are_gone_says_so_and_all_others_are_drawn(folder):
    call(folder, "run", "-j", "1")
    (folder / "grades.csv").rename(folder / "moved.csv")
    datasets._pools.cache_clear()
    lines = call(folder, "figures").splitlines()
    gone = [line for line in lines if "there is no file" in line]
    assert [line.split()[1] for line in gone] == ["data", "points"]
    assert (folder / "f" / "s" / "models.png").exists()
    call(folder, "report")
    (folder / "elsewhere").mkdir()
    (folder / "moved.csv").rename(folder / "elsewhere" / "grades.csv")
    (folder / "s.toml").write_text(GRADES.replace("grades.csv", "elsewhere/grades.csv"))
    assert not [line for line in call(folder, "figures").splitlines() if "there is no file" in line]
    assert "4 done" in call(folder, "status")


@pytest.mark.parametrize("command", ["plan", "run"])
def test_what_needs_the_rows_themselves_says_that_they_are_gone(folder, command):
    call(folder, "run", "-j", "1")
    (folder / "grades.csv").rename(folder / "moved.csv")
    datasets._pools.cache_clear()
    called = CliRunner().invoke(cli.main, [command, str(folder / "s.toml"), "--results", str(folder / "r")])
    assert called.exit_code == 2
    assert "there is no file" in called.output


def test_names_too_long_for_a_picture_are_shortened(folder):
    text = (folder / "grades.csv").read_text().replace("width", "w" * 300).replace(",10\n", "," + "z" * 300 + "\n")
    (folder / "grades.csv").write_text(text)
    figure = points.data(spec.load(str(folder / "s.toml")), {})
    assert len(figure.axes[0].get_xlabel()) <= 40
    assert max(map(len, figure.axes[0].get_legend_handles_labels()[1])) <= 30
    assert figures.png(figure)
