"""Studies of which some rows are missing, as while a run is at work, or after a level was added."""

import io

import pandas as pd
import pytest
from rich.console import Console

import studies
from studies import api
from studies.errors import UserError
from studies.show.console import print_tables
from studies.show.tables import list_shown, markdown
from studies.spec import spec
from studies.store import status

HEAD = """title = "Partial"
{top}
[data]
name = "moons"
samples = 40
test_samples = 20
[validation]
folds = 2
repeats = 2
[base]
hidden = [4]
epochs = 2
batch_size = 10
history_every = 1
{base}
"""
GRID = '[[grid]]\nactivation = ["relu", "tanh", "elu"]\ninit = ["he", "xavier"]\n'
SPECS = {
    "grid": HEAD.format(top="", base=GRID),
    "one at a time": HEAD.format(top='design = "one_at_a_time"', base=GRID),
    "tuned": HEAD.format(
        top='tune = ["optimizer.lr"]', base='[[grid]]\nactivation = ["relu", "tanh"]\n"optimizer.lr" = [0.1, 0.01]\n'
    ),
    "readings": HEAD.format(
        top="", base='[[grid]]\nactivation = ["relu", "tanh"]\n[reading.a]\nprimary = true\n[reading.b]\nbase.epochs = 3\n'
    ),
    "all recorded": HEAD.format(
        top="", base='gradient_norms = true\nkeep_predictions = true\n[[grid]]\nactivation = ["relu", "tanh"]\n'
    ),
}


def parts(rows):
    """Rows that a study may have at one time, by name."""
    yield "half", rows.sample(frac=0.5, random_state=0)
    yield "the first row", rows.iloc[:1]
    for config, group in list(rows.groupby("config"))[:2]:
        yield f"only {config}", group
        yield f"without {config}", rows.drop(group.index)
    if rows["reading"].any():
        for reading, group in rows.groupby("reading"):
            yield f"reading {reading}", group


@pytest.mark.parametrize(
    ("text", "pictures"),  # which take seconds
    [(text, name in ("one at a time", "readings")) for name, text in SPECS.items()],
    ids=SPECS,
)
def test_everything_is_made_of_the_rows_there_are(text, pictures, tmp_path):
    path = tmp_path / "partial.toml"
    path.write_text(text)
    study = spec.load(str(path))
    studies.run(study, results=tmp_path / "whole", jobs=1)
    folder = tmp_path / "whole" / "partial"
    rows = pd.read_csv(folder / "trials.csv", dtype=str, keep_default_na=False)
    for place, (name, part) in enumerate(parts(rows)):
        own = tmp_path / str(place) / "partial"
        own.mkdir(parents=True)
        for kept in ("manifest.json", "history.csv", "predictions.csv"):
            if (folder / kept).exists():
                (own / kept).write_bytes((folder / kept).read_bytes())
        part.to_csv(own / "trials.csv", index=False)
        results = own.parent
        try:
            tables = api.tables_of(study, results)
            for each in list_shown(study, tables):
                markdown(each.table)
            print_tables(study, tables, Console(file=io.StringIO()))
            status.describe_status(study, results)
            api.spreads(study, results)
            if name == "half" and pictures:
                api.write_report(study, results, tmp_path / "figures")
        except UserError:
            raise
        except Exception as error:
            raise AssertionError(name) from error
