"""The README tells the truth: its example prints what it says, its spec is valid, its commands exist."""

import contextlib
import io
import re
from pathlib import Path

import pandas as pd
import pytest

from studies.cli import main
from studies.show import verdict_texts
from studies.spec import spec

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def block(language, after):
    """The first fenced block in that language after a heading."""
    found = re.search(rf"```{language}\n(.*?)```", README[README.index(after) :], re.DOTALL)
    return found.group(1)


def test_the_framework_example_prints_what_the_readme_says():
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(block("python", "## The framework"), {})
    assert printed.getvalue() == block("text", "## The framework")


def test_the_example_study_is_valid(tmp_path):
    rows = "".join(f"{i % 7},{i % 5},{'ab'[i % 2]}\n" for i in range(300))
    (tmp_path / "my.csv").write_text("x,y,class\n" + rows)
    path = tmp_path / "mine.toml"
    path.write_text(block("toml", "## A study of your own"))
    study = spec.load(str(path))
    assert list(study.grid.levels) == ["activation", "optimizer.lr", "model"]
    assert len(study.grid.configurations) == 9
    assert study.grid.excluded == [("model=plain optimizer.lr=0.1", 3)]


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`ablation (\w+)", README))))
def test_every_command_of_the_readme_exists(command):
    assert command in main.commands


@pytest.mark.parametrize("target", sorted(set(re.findall(r"[`$] ?make (\w+)", README))))
def test_every_target_of_the_readme_exists(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(([\w/.-]+)\)", README))))
def test_every_file_of_the_readme_is_there(path):
    assert (ROOT / path).exists()


def test_the_verdicts_are_those_of_the_committed_table():
    verdicts = pd.read_csv(ROOT / "results" / "verdicts.csv")
    assert verdict_texts.counts(verdicts) in README
    assert verdict_texts.in_markdown(verdicts) == (ROOT / "docs" / "reports.md").read_text()
