"""README and docs tell the truth: examples print what they say, specs are valid, commands and files exist."""

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
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "benchmarks" / "README.md")
}
README = PAGES["README.md"]


def found(pattern):
    """The matches of a pattern in all pages, each with its page."""
    return sorted({(page, match) for page, content in PAGES.items() for match in re.findall(pattern, content)})


FENCED = r"(?s)```{}\n(.*?)```"


def block(language, page):
    """The first fenced block in that language of a page."""
    return re.search(FENCED.format(language), PAGES[page]).group(1)


def test_the_readme_is_a_front_page():
    lines = README.splitlines()
    assert len(lines) < 150
    assert [line for line in lines if len(line) > 120] == []


@pytest.mark.parametrize(("page", "count"), [("README.md", 1), ("docs/framework.md", 2)])
def test_examples_of_the_framework_print_what_the_page_says(page, count):
    programs, texts = ([match[1] for match in re.finditer(FENCED.format(kind), PAGES[page])] for kind in ("python", "text"))
    assert len(programs) >= count
    for program, text in zip(programs[:count], texts, strict=False):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(program, {})
        assert printed.getvalue() == text


def test_the_code_beside_the_derivation_is_that_of_the_framework():
    sources, excerpts = (
        ["\n".join(line.strip() for line in text.splitlines() if line.strip()) for text in texts]
        for texts in (
            [path.read_text(encoding="utf-8") for path in (ROOT / "framework").glob("*.py")],
            [match[1] for match in re.finditer(FENCED.format("py"), PAGES["docs/framework.md"])],
        )
    )
    assert len(excerpts) == 3
    assert [excerpt for excerpt in excerpts if not any(excerpt in source for source in sources)] == []


EXAMPLES = {
    "README.md": (["activation", "optimizer.lr"], 4, []),
    "docs/studies.md": (["activation", "optimizer.lr", "model"], 9, [("model=plain optimizer.lr=0.1", 3)]),
}


@pytest.mark.parametrize("page", EXAMPLES)
def test_an_example_study_is_valid(page, tmp_path):
    rows = "".join(f"{i % 7},{i % 5},{'ab'[i % 2]}\n" for i in range(300))
    (tmp_path / "my.csv").write_text("x,y,class\n" + rows)
    path = tmp_path / "mine.toml"
    path.write_text(block("toml", page))
    study = spec.load(str(path))
    levels, configurations, excluded = EXAMPLES[page]
    assert list(study.grid.levels) == levels
    assert len(study.grid.configurations) == configurations
    assert study.grid.excluded == excluded


@pytest.mark.parametrize(("page", "command"), found(r"(?:`|\$ )ablation (\w+)"))
def test_every_command_exists(page, command):
    assert command in main.commands, page


@pytest.mark.parametrize(("page", "target"), found(r"[`$] ?make (\w[\w-]*)"))
def test_every_target_exists(page, target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), page


@pytest.mark.parametrize(("page", "path"), found(r"\]\(([\w/.-]+)\)"))
def test_every_file_is_there(page, path):
    assert (ROOT / page).parent.joinpath(path).exists()


@pytest.mark.parametrize(("page", "path"), found(r"`((?:studies|framework|tests|benchmarks)/[\w/.-]+)`"))
def test_every_named_path_is_there(page, path):
    assert (ROOT / path).exists(), page


def test_every_page_of_the_docs_is_reached_from_the_readme():
    pages = {page for page in PAGES if page.startswith("docs/")}
    assert {page for page in pages if f"({page})" not in README} == set()


def test_the_verdicts_are_those_of_the_committed_table():
    verdicts = pd.read_csv(ROOT / "results" / "verdicts.csv")
    assert verdict_texts.counts(verdicts) in PAGES["docs/findings.md"]
    assert verdict_texts.in_markdown(verdicts) == PAGES["docs/reports.md"]
    counts = verdicts[verdicts["role"] == "primary"]["verdict"].value_counts()
    numbers = [counts.get(verdict, 0) for verdict in ("CONSISTENT", "DIFFERS", "NOT REPRODUCED")]
    supported = counts.get("SUPPORTED", 0) + counts.get("SUPPORTED, NEGLIGIBLE", 0)
    told = " ".join(README.split())
    assert f"{numbers[0]} are consistent with ours, {numbers[1]} differ and {numbers[2]} is not reproduced" in told
    assert (
        f"{supported} are supported, {counts['EQUIVALENT']} show equivalence, {counts['CONTRADICTED']} are contradicted" in told
    )


NAMES = {"N(0, 1)": "normal", "ReLU": "relu", "leaky ReLU": "leaky_relu", "cross-entropy": "cross_entropy"}
OPTIMIZERS = {
    "SGD": "sgd lr=0.1",
    "SGD with momentum": "sgd lr=0.05 momentum=0.9",
    "Adam": "adam lr=0.005",
    "Adadelta": "adadelta lr=1",
}
FACTORS = {
    "activation": "activation",
    "batch norm": "batchnorm",
    "optimizer": "optimizer",
    "initialization": "init",
    "loss": "loss",
}


@pytest.mark.parametrize("choice", FACTORS)
def test_the_means_of_the_grid_are_those_of_the_committed_table(choice):
    levels = pd.read_csv(ROOT / "results" / "ablation" / "levels.csv", keep_default_na=False)
    levels = levels[levels["factor"] == FACTORS[choice]].set_index("level")["test_mean"]
    cell = re.search(rf"^\| {choice} \| (.*?) \|", README, re.MULTILINE).group(1).replace(" (no gain and shift)", "")
    told = [level.rpartition(" ") for level in re.split(r", (?=[A-Za-z])", cell)]
    known = {**NAMES, **OPTIMIZERS}
    assert {known.get(name, name.lower()): float(error) for name, _, error in told} == levels.astype(float).round(1).to_dict()
