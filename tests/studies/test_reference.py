"""The reference pages are current, and describe every key and every column."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

import studies
from studies.columns import FILES
from studies.show import reference, tables
from studies.spec.settings import DEFAULTS, MEANINGS, PARAMETERS, describe, describe_parameters
from studies.store.store import MANIFEST

DOCS = Path(__file__).parents[2] / "docs"
SPEC = """
tune = ["optimizer"]
[data]
name = "disk"
samples = 60
test_samples = 40
[validation]
folds = 3
[base]
hidden = [4]
batch_size = 16
epochs = 2
history_every = 1
keep_predictions = true
gradient_norms = true
"""
MEASURES = 'measures = ["auc"]\n'
GRID = """
[[grid]]
activation = ["relu", "tanh"]
optimizer = ["sgd", "adam"]
"""
OTHER = """
outputs = "single"
loss = "mse"
[reading.code]
primary = true
[reading.text]
base = { epochs = 3 }
"""
OWN = 'start = [{ label = "one", init = "he" }, { label = "other", init = "xavier" }]'


PAGES = reference.pages(DOCS)


@pytest.mark.parametrize("name", ["spec.md", "files.md", "architecture.md"])
def test_a_page_is_current(name):
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name], "run `make docs`"


@pytest.mark.parametrize("package", ["framework", "studies"])
def test_every_module_has_a_line(package):
    files = {str(path.relative_to(DOCS.parent)) for path in (DOCS.parent / package).rglob("*.py")}
    lines = dict(re.findall(r"^\| `(.*?)` \| (.*) \|$", PAGES["architecture.md"], re.MULTILINE))
    assert {file for file in files if not lines.get(file)} == set()


def test_every_key_and_parameter_has_a_meaning():
    assert list(MEANINGS) == list(DEFAULTS) == list(describe())
    used = {name for where, parameters in describe_parameters().items() for name in parameters for _ in [where]}
    assert used <= {name.partition(".")[2] for name in PARAMETERS}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Folders of two studies: with one output for each class, and with readings, a single output and a factor of its own."""
    folder = tmp_path_factory.mktemp("reference")
    for name, content in (("one", MEASURES + SPEC + GRID), ("other", SPEC + OTHER + GRID + OWN)):
        (folder / f"{name}.toml").write_text(content)
        studies.run(folder / f"{name}.toml", results=folder, backend="sequential")
    return [folder / "one", folder / "other"]


def pattern(name, factors):
    """The names of columns that a described name stands for."""
    parts = {
        "<set>": "(train|val|test)",
        "<judged>": "(train|val|test)",
        "<measure>": "[a-z0-9_]+",
        "<layer>": r"\\d+",
        "<class>": ".+",
        "<factor>": f"({'|'.join(map(re.escape, factors))})",
        "<setting>": f"({'|'.join(DEFAULTS)})",
        "<parameter>": r"\\w+",
    }
    return re.sub("<.*?>", lambda found: parts[found.group()].replace("\\\\", "\\"), name.replace(".", r"\."))


def test_every_column_is_described_and_every_described_column_is_written(written):
    used = set()
    for folder in written:
        factors = ["activation", "optimizer", "start"]
        for path in folder.glob("*.csv"):
            described = FILES[path.stem][1]
            for column in pd.read_csv(path):
                names = {name for name in described if re.fullmatch(pattern(name, factors), column)}
                assert names, f"{path.name}: {column}"
                used |= {(path.stem, name) for name in names}
    assert {(file, name) for file, (_, columns) in FILES.items() for name in columns} - used == set()


@pytest.mark.parametrize(("name", "keys"), [("manifest.json", MANIFEST), ("tables.json", tables.NOTE)])
def test_every_key_of_a_file_is_described(written, name, keys):
    assert list(json.loads((written[0] / name).read_text())) == list(keys)
