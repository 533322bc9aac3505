"""Tables for papers: their digits, marks and notes, and that LaTeX takes them."""

import shutil
import subprocess

import pytest

import studies
from studies import api
from studies.show import latex
from studies.spec import spec


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A study with awkward names and its tables."""
    folder = tmp_path_factory.mktemp("latex")
    path = folder / "paper.toml"
    path.write_text(
        """title = "50% of A_B & C"
[data]
name = "disk"
samples = 60
test_samples = 40
[validation]
folds = 4
[base]
hidden = [4]
batch_size = 16
epochs = 20
[[grid]]
activation = ["tanh", "relu"]
optimizer = [{ name = "sgd", lr = 0.1 }, { label = "slow_1 ~ $2", name = "sgd", lr = 1e-6 }]
"""
    )
    study = spec.load(str(path))
    studies.run(study, results=folder, jobs=1)
    return study, api.tables_of(study, folder)


@pytest.mark.parametrize("spread", latex.SPREADS)
def test_a_table_has_a_line_for_each_configuration_and_says_what_it_is(made, spread):
    study, tables = made
    text = latex.of_study(study, tables, spread)
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    lines = [line.strip() for line in body.splitlines()[1:] if line.strip()]
    assert len(lines) == 4
    assert all(line.count(" & ") == 4 and line.endswith(r"\\") for line in lines)
    assert text.count(r"\mathbf") == 1
    assert lines[0].count(r"\mathbf") == 1
    assert sum("baseline" in line for line in lines) == 1
    assert (r"\pm" in text) == (spread == "sd")
    assert r"\caption{50\% of A\_B \& C}" in text
    assert r"slow\_1 \textasciitilde{} \$2" in text
    assert "Dagger: not shown to be worse than it at 5\\%" in text
    assert "new seeds" in text


def test_a_dagger_is_for_those_not_shown_to_be_worse(made):
    study, tables = made
    against = tables["comparisons"].query("against == 'best'")
    assert latex.of_study(study, tables).count(r"^{\dagger}") == (against["p_adjusted"] >= 0.05).sum() > 0


DIGITS = {
    "of 0.0123": (93.4567, 0.0123, r"93.457 \pm 0.012"),
    "of 1.8": (93.4567, 1.8, r"93.5 \pm 1.8"),
    "of 25": (93.4, 25.3, r"93 \pm 25"),
}


@pytest.mark.parametrize(("mean", "sd", "expected"), DIGITS.values(), ids=DIGITS)
def test_a_mean_has_the_digits_that_its_spread_bears(mean, sd, expected):
    row = {"test_mean": mean, "test_sd": sd, "test_ci_low": 0.0, "test_ci_high": 1.0}
    assert latex._value(row, "test", "sd") == expected


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles_it(made, tmp_path):
    document = "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n%s\\end{document}\n"
    (tmp_path / "table.tex").write_text(document % latex.of_study(*made))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "table.tex"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout
