"""Sentences to remember, from studies whose answer is planted; and tables that read back as they were."""

import re

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from studies.analysis.tables import compute_tables
from studies.plan import plan
from studies.show import console, tables
from studies.show.sentences import sentences
from studies.spec import spec
from studies.store.rows import Rows, to_csv


def trained(study, error, failing=(), sd=1.0, missing=()):
    """Rows of a study as if it had been trained: `error` gives the mean error in percent of a configuration's levels.

    Trials of the levels `failing` get stuck, those of `missing` fail.
    """
    rng = np.random.default_rng(0)
    noise = rng.normal(0, sd, size=(study.validation.repeats, max(study.validation.folds, 1)))
    judged = study.sampling.judged
    rows = []
    for trial in plan.trials(study):
        levels = trial.configuration.levels
        wrong = error(levels) + noise[trial.repeat, trial.fold] + rng.normal(0, sd / 4)
        errors = None if tuple(levels.values()) in missing else int(10 * wrong)
        rows.append(
            {
                "study": study.name,
                "reading": None,
                "trial": trial.key,
                "config": trial.configuration.id,
                "label": trial.configuration.label,
                **trial.configuration.columns,
                **{"repeat": trial.repeat, "fold": trial.fold, "seed": 0, "n_train": 1000, "n_val": 0, "n_test": 0},
                "train_errors": errors,
                f"n_{judged}": 1000,
                f"{judged}_errors": errors,
                "diverged": False,
                "stuck": tuple(levels.values()) in failing,
                "status": "failed" if errors is None else "ok",
            }
        )
    return Rows(pd.DataFrame(rows), pd.DataFrame(), pd.DataFrame())


def said(study, *arguments, **options):
    """The sentences about a study as if it had been trained."""
    return sentences(study, compute_tables(study, trained(study, *arguments, **options)))


SIX = ("folds = 3", "folds = 6")
MANY_ROWS = ("test_samples = 40", "test_samples = 1000")
LEFT_OUT = ("test_samples = 40", "test_samples = 0")
ONE_EACH = ("folds = 3", "folds = 0")
ADAM = ("[data]", "baseline = { optimizer = 'adam lr=0.01' }\n[data]")
NO_ACTIVATION = ('activation = ["relu", "tanh"]\n', "")
NO_OPTIMIZER = ('optimizer = [{ name = "sgd", lr = 0.1 }, { name = "adam", lr = 0.01 }]\n', "")


@pytest.fixture
def study(tiny):
    return spec.load(str(tiny(SIX, MANY_ROWS, ADAM)))


def planted(levels):
    """Tanh errs 20 points more than ReLU, and SGD one more than Adam."""
    return 10 + 20 * (levels["activation"] == "tanh") + (levels["optimizer"] == "sgd lr=0.1")


def test_what_matters_what_is_best_what_fails_and_for_whom(study):
    matters, best, fails, whom = said(study, planted, failing=[("tanh", "sgd lr=0.1")])
    assert matters.startswith("What matters most: activation, with 99.7% [99.")
    assert "; then optimizer, 0.3% [0." in matters
    assert matters.endswith("; 1 other effect of 3 is not shown.")
    assert "not sure" not in matters
    assert "The lowest mean test error of 4 configurations is that of relu | adam lr=0.01, 9.83% [9." in best
    assert "optimistic: selected on the same values; all 3 other configurations are shown to be worse; none is shown" in best
    assert "none is shown to be within 0.5 points of the best" in best
    assert "that of the baseline, tanh | adam lr=0.01, is 20.17 points higher [" in best
    assert "6 of 24 trials, 25.0% (6 stuck), in 1 of 4 configurations" in fails
    # as often in every fold: no interval
    assert fails.endswith("most often with activation = tanh and with optimizer = sgd lr=0.1, 50.0%.")
    assert whom == (
        "All of this holds for this training pool, new rows to judge and new seeds, by 6 folds; intervals are those of 95%."
    )


def test_chance_is_called_chance(study):
    matters, best, fails, _ = said(study, lambda _: 20, sd=4.0)
    assert matters == "What matters most: no factor and no pair of factors is shown to change the mean test error."
    assert "of the 3 other configurations, " in best
    assert "(a difference shows from " in best
    assert best.endswith(", which may be chance.")
    assert fails == "What fails: none of 24 trials diverged, got stuck or failed."


def test_the_order_of_alike_effects_is_not_sure(study):
    def error(levels):
        return 20 + 3 * (levels["activation"] == "tanh") + 3.05 * (levels["optimizer"] == "sgd lr=0.1")

    assert ", so that the order of the two is not sure" in said(study, error)[0]


def test_what_is_first_on_another_scale_is_told(tiny):
    """Ten activations of which one is far worse, and an optimizer that doubles the error of the rest."""
    levels = '["relu", "tanh", "elu", "selu", "sigmoid", "leaky_relu", "prelu"]'
    study = spec.load(str(tiny(SIX, MANY_ROWS, ('["relu", "tanh"]', levels))))

    def error(levels):
        if levels["activation"] == "tanh":
            return 80
        return 6 * (2 if levels["optimizer"] == "sgd lr=0.1" else 1)

    matters = said(study, error, sd=0.3)[0]
    assert matters.startswith("What matters most: activation, with 9")
    assert "; among configurations that work and err less than half of a guess it is optimizer, " in matters
    assert matters.endswith("].")


@pytest.mark.parametrize("sd", [0.0, 1e-9])
def test_all_errors_equal(study, sd):
    matters, best, *_ = said(study, lambda _: 20.05, sd=sd)
    assert "nothing that was varied" in matters
    assert best.endswith("; all are equal.")
    assert compute_tables(study, trained(study, lambda _: 20.05, sd=sd))["effects"].empty


def test_equal_ones_are_shown_to_be_equal(tiny):
    study = spec.load(str(tiny(("folds = 3", "folds = 10"), LEFT_OUT, ADAM)))
    best = said(study, lambda _: 20, sd=0.4)[1]
    assert "(a difference shows from 0." in best
    assert "; all are shown to be within 0.5 points of the best; " in best


TWO = {
    "worse, many rows": ((SIX, MANY_ROWS), 5, "; the other configuration is shown to be worse; it is not shown to be within"),
    "worse, few rows": ((SIX,), 5, "; the other configuration is shown to be worse on these rows; it is not shown"),
    "alike, few rows": ((SIX,), 0.1, "; the other configuration is not shown to be worse on these rows (a difference shows"),
    "alike, left out": ((SIX, LEFT_OUT), 0.1, "; the other configuration is not shown to be worse (a difference shows"),
}


@pytest.mark.parametrize(("changes", "apart", "expected"), TWO.values(), ids=TWO)
def test_two_configurations(tiny, changes, apart, expected):
    study = spec.load(str(tiny(NO_ACTIVATION, *changes)))
    matters, best, _, whom = said(study, lambda levels: 10 + apart * (levels["optimizer"] != "sgd lr=0.1"))
    assert "of optimizer, adam lr=0.01 is furthest from the baseline sgd lr=0.1, with " in matters
    assert matters.endswith(", which may be chance.") == (apart < 1)
    assert expected in best
    assert best.endswith("; the best is the baseline.") or apart < 1
    assert str(study.sampling.population) in whom


@pytest.mark.parametrize("folds", [0, 3], ids=["one trial", "three folds"])
def test_one_configuration_says_that_nothing_can_be_said(tiny, folds):
    lines = [NO_ACTIVATION, NO_OPTIMIZER]
    study = spec.load(str(tiny(*lines, ("[[grid]]", ""), ("folds = 3", f"folds = {folds}"))))
    matters, best, fails, whom = said(study, lambda _: 20)
    assert "nothing can be said" in matters
    assert "nothing can be said" in best
    assert fails == f"What fails: none of {'3 trials' if folds else '1 trial'} diverged, got stuck or failed."
    assert ("new seeds only, on these rows" in whom) == (folds > 0)


@pytest.mark.parametrize(
    ("configurations", "expected"),
    [(4, "in 4 of 4 configurations."), (2, "most often with activation = relu, 100.0%.")],
    ids=["all", "half"],
)
def test_a_factor_whose_levels_fail_alike_is_not_where_it_fails_most(study, configurations, expected):
    failing = [tuple(each.levels.values()) for each in study.grid.configurations[:configurations]]
    assert said(study, lambda _: 50, failing=failing)[2].endswith(expected)


def test_failures_in_some_folds_have_an_interval_over_folds(study):
    rows = trained(study, planted)
    rows.trials["stuck"] = (rows.trials["fold"] < 2) & (rows.trials["activation"] == "tanh")
    fails = sentences(study, compute_tables(study, rows))[2]
    assert "4 of 24 trials, 16.7% (4 stuck), in 2 of 4 configurations, most often with activation = tanh, 33.3% [" in fails
    assert fails.endswith("], over 6 folds.")


def test_all_trials_failed(study):
    levels = [tuple(each.levels.values()) for each in study.grid.configurations]
    found = said(study, lambda _: 20, missing=levels)
    assert [sentence.partition(":")[0] for sentence in found[:2]] == ["What matters most", "The best configuration"]
    assert all("nothing can be said" in sentence for sentence in found[:2])
    assert "24 of 24 trials, 100.0% (24 failed), in 4 of 4 configurations" in found[2]


def test_a_configuration_that_failed_is_left_out_by_name(study):
    best = said(study, planted, missing=[("tanh", "adam lr=0.01")])[1]
    assert "of 3 configurations (without 1 that lacks an error of a failed trial) is that of relu | adam lr=0.01" in best
    assert "both other configurations are shown to be worse" in best
    assert best.endswith("; the baseline, tanh | adam lr=0.01, lacks an error of a failed trial.")


def test_one_value_each_says_nothing_of_chance(tiny):
    study = spec.load(str(tiny(ONE_EACH)))
    found = said(study, lambda levels: 10 + 5 * (levels["activation"] == "relu"))
    assert found[0] == "What matters most: one value each cannot tell effects on the mean test error from chance."
    assert found[1].endswith("one value each says nothing of chance.")
    assert found[3].startswith("All of this is about these models only")


def test_confounded_factors_have_no_share(tiny):
    grids = '[[grid]]\nactivation = ["relu"]\nloss = ["mse"]\n[[grid]]\nactivation = ["elu"]\nloss = ["mae"]'
    study = spec.load(str(tiny(('[[grid]]\nactivation = ["relu", "tanh"]', grids), NO_OPTIMIZER)))
    found = said(study, lambda levels: 10 + 5 * (levels["activation"] == "relu"))
    assert found[0] == "What matters most: this grid confounds its factors, and no share can be given to any."


@pytest.mark.parametrize("changes", [(), (SIX,), (MANY_ROWS,), (LEFT_OUT,), (ONE_EACH,), (NO_ACTIVATION,)], ids=str)
@pytest.mark.parametrize("apart", [0, 0.2, 3])
def test_no_sentence_has_an_empty_number_or_a_false_plural(tiny, changes, apart):
    study = spec.load(str(tiny(*changes)))
    text = " ".join(said(study, lambda levels: 20 + apart * (levels["optimizer"] == "sgd lr=0.1")))
    for fault in (
        r"\bnan\b",
        r"\b1 (others|are|configurations|trials|effects)\b",
        r"\bnone is not\b",
        r"\[\]",
        "  ",
        r"\bNone\b",
    ):
        assert not re.search(fault, text), text


def test_tables_read_back_as_they_were_written(study, tmp_path):
    rows = trained(study, lambda levels: 10 + 5 * (levels["activation"] == "tanh"))
    found = compute_tables(study, rows)
    tables.write_tables(study, found, tmp_path, rows)
    again = tables.read_tables(study, tmp_path)
    for name in ("summary", "levels", "effects", "comparisons", "ladder"):
        assert to_csv(again[name]) == to_csv(found[name].round(6))
    text = (tmp_path / "tables.md").read_text()
    assert all(f"* {sentence}" in text for sentence in sentences(study, found))
    assert "leave one out" in text


def test_no_rows_are_empty_tables_and_no_sentences(tiny):
    study = spec.load(str(tiny()))
    found = compute_tables(study, Rows(pd.DataFrame(), pd.DataFrame(), pd.DataFrame()))
    assert all(table.empty for table in found.values())
    assert tables.remembered(study, found) == []


LABELS = pd.DataFrame({"model": ["a | b", "[bold]c[/red]"], "mean %": ["1.00", "2.00"]})


def test_a_label_with_a_bar_is_one_cell_in_markdown():
    lines = tables.markdown(LABELS).splitlines()
    assert lines[2] == r"| a \| b | 1.00 |"


def test_brackets_in_a_label_are_no_markup(capsys):
    console.print_table("Title with [brackets]", LABELS, ["model"], Console())
    printed = capsys.readouterr().out
    assert "Title with [brackets]" in printed
    assert "[bold]c[/red]" in printed
