"""What a reader should remember, from studies whose answer is planted; and tables that read back as they were."""

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from studies import plan, spec, tables
from studies.sentences import sentences
from studies.store import Rows, to_csv


def trained(study, error, failing=(), sd=1.0):
    """Rows of a study as if it had been trained: `error` gives the mean error in percent of a configuration's levels."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, sd, size=max(study.validation.folds, 1) * study.validation.repeats)
    rows = []
    for trial in plan.trials(study):
        levels = trial.configuration.levels
        wrong = error(levels) + noise[trial.fold] + rng.normal(0, sd / 4)
        stuck = tuple(levels.values()) in failing
        rows.append(
            {
                "study": study.name,
                "reading": None,
                "trial": trial.key,
                "config": trial.configuration.id,
                "label": trial.configuration.label,
                **trial.configuration.columns,
                **{"repeat": trial.repeat, "fold": trial.fold, "seed": 0, "n_train": 1000, "n_val": 0, "n_test": 1000},
                "train_errors": int(10 * wrong),
                "test_errors": int(10 * wrong),
                **{"diverged": False, "stuck": stuck, "status": "ok"},
            }
        )
    return Rows(pd.DataFrame(rows), pd.DataFrame(), pd.DataFrame())


@pytest.fixture
def study(tiny):
    return spec.load(str(tiny(("folds = 3", "folds = 6"), ("[data]", "baseline = { optimizer = 'adam lr=0.01' }\n[data]"))))


def test_what_matters_what_is_best_and_what_fails(study):
    def error(levels):
        return 10 + 20 * (levels["activation"] == "tanh") + (levels["optimizer"] == "sgd lr=0.1")

    found = tables.compute(study, trained(study, error, failing=[("tanh", "sgd lr=0.1")]))
    matters, best, fails = sentences(study, found)
    assert matters.startswith("What matters most: activation, with 99.")
    assert "not sure" not in matters
    assert "chance" not in matters
    assert "The best of 4 configurations is relu | adam lr=0.01" in best
    assert "of the 3 others, 0 cannot be told from it" in best
    assert "the baseline, tanh | adam lr=0.01, errs 20." in best
    assert "6 of 24 trials, 25.0% [12.0 to 44.9] (6 stuck), in 1 of 4 configurations" in fails
    assert "most often with activation = tanh and with optimizer = sgd lr=0.1, 50.0% [25.4 to 74.6];" in fails


def test_chance_is_called_chance(study):
    found = tables.compute(study, trained(study, lambda _: 20, sd=4.0))
    matters, best, fails = sentences(study, found)
    assert "no level and no configuration differs by more than chance" in matters
    assert "of the 3 others, 3 cannot be told from it" in best
    assert fails == "What fails: none of 24 trials diverged, got stuck or failed; so the rate is below 14%."


def test_all_errors_equal(study):
    found = tables.compute(study, trained(study, lambda _: 20, sd=0.0))
    assert "nothing that was varied" in sentences(study, found)[0]
    assert found["effects"].empty


def test_one_factor_is_told_by_its_levels(tiny):
    study = spec.load(str(tiny(('activation = ["relu", "tanh"]\n', ""))))
    found = tables.compute(study, trained(study, lambda levels: 10 + 5 * (levels["optimizer"] != "sgd lr=0.1"), sd=0.1))
    assert "of optimizer, adam lr=0.01 is furthest from the baseline sgd lr=0.1, with +5." in sentences(study, found)[0]


@pytest.mark.parametrize("folds", [0, 3], ids=["one trial", "three folds"])
def test_one_configuration_says_that_nothing_can_be_said(tiny, folds):
    lines = ['activation = ["relu", "tanh"]\n', 'optimizer = [{ name = "sgd", lr = 0.1 }, { name = "adam", lr = 0.01 }]\n']
    study = spec.load(str(tiny(*((line, "") for line in lines), ("[[grid]]", ""), ("folds = 3", f"folds = {folds}"))))
    matters, best, fails = sentences(study, tables.compute(study, trained(study, lambda _: 20)))
    assert "nothing can be said" in matters
    assert "nothing can be said" in best
    assert fails.startswith("What fails: none of")


@pytest.mark.parametrize(
    ("configurations", "said"),
    [(4, "in 4 of 4 configurations;"), (2, "most often with activation = relu, 100.0%")],
    ids=["all", "half"],
)
def test_a_factor_whose_levels_fail_alike_is_not_where_it_fails_most(study, configurations, said):
    failing = [tuple(each.levels.values()) for each in study.grid.configurations[:configurations]]
    found = tables.compute(study, trained(study, lambda _: 50, failing=failing))
    assert said in sentences(study, found)[2]


def test_one_value_each_says_nothing_of_chance(tiny):
    study = spec.load(str(tiny(("folds = 3", "folds = 0"))))
    found = tables.compute(study, trained(study, lambda levels: 10 + 5 * (levels["activation"] == "relu")))
    assert "which one value each cannot tell from chance" in sentences(study, found)[0]
    assert sentences(study, found)[1].endswith("one value each says nothing of chance.")
    assert "nan" not in " ".join(sentences(study, found))


def test_tables_read_back_as_they_were_written(study, tmp_path):
    found = tables.compute(study, trained(study, lambda levels: 10 + 5 * (levels["activation"] == "tanh")))
    tables.write(study, found, tmp_path)
    again = tables.read(study, tmp_path)
    for name in ("summary", "levels", "effects", "comparisons", "ladder"):
        assert to_csv(again[name]) == to_csv(found[name].round(6))
    text = (tmp_path / "tables.md").read_text()
    assert all(f"* {sentence}" in text for sentence in sentences(study, found))
    assert "leave one out" in text


def test_no_rows_are_empty_tables_and_no_sentences(tiny):
    study = spec.load(str(tiny()))
    found = tables.compute(study, Rows(pd.DataFrame(), pd.DataFrame(), pd.DataFrame()))
    assert all(table.empty for table in found.values())
    assert tables.remembered(study, found) == []


LABELS = pd.DataFrame({"model": ["a | b", "[bold]c[/red]"], "mean %": ["1.00", "2.00"]})


def test_a_label_with_a_bar_is_one_cell_in_markdown():
    lines = tables.markdown(LABELS).splitlines()
    assert lines[2] == r"| a \| b | 1.00 |"


def test_brackets_in_a_label_are_no_markup(capsys):
    tables.print_table("Title with [brackets]", LABELS, ["model"], Console())
    printed = capsys.readouterr().out
    assert "Title with [brackets]" in printed
    assert "[bold]c[/red]" in printed
