"""What a grid separates and resolves, by hand and against what the report itself promises."""

import math

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from studies import cli, design, inference, plan, spec
from studies.inference import Sampling

FULL = [(a, b, c) for a in "012" for b in "01" for c in "01"]
ABC, ALL_PAIRS = ("a", "b", "c"), {("a", "b"), ("a", "c"), ("b", "c")}
POINTS = {
    "full factorial": (FULL, {}),
    # a has 2, b and c have 1 degree of freedom each
    "one cell excluded": ([each for each in FULL if each[:2] != ("2", "1")], {("a", "b"): 1}),
    "one point excluded": (FULL[1:], {}),
    "one at a time": (["000", "100", "200", "010", "001"], dict.fromkeys(ALL_PAIRS, 0)),
    "half fraction": (
        ["000", "011", "101", "110"],
        {**dict.fromkeys([("a",), ("b",), ("c",)], 0), **dict.fromkeys(ALL_PAIRS, 0)},
    ),
    "two factors as one": (["000", "001", "110", "111"], {("a",): 0, ("b",): 0, ("a", "b"): 0, ("a", "c"): 0, ("b", "c"): 0}),
    "a factor of one level": ([each for each in FULL if each[2] == "0"], {}),
    "two grids, side by side": (["000", "010", "100", "001"], dict.fromkeys(ALL_PAIRS, 0) | {("a", "b"): 0}),
}


@pytest.mark.parametrize(("points", "open_"), POINTS.values(), ids=POINTS)
def test_what_a_design_leaves_open(points, open_):
    table = pd.DataFrame([list(point) for point in points], columns=list(ABC))
    assert design.unseparated(table) == open_
    assert design.unseparated(table.sample(frac=1, random_state=0)) == open_


def test_what_is_separated_is_estimated():
    """Where an effect is called separable, planting another does not move its least-squares estimate."""
    table = pd.DataFrame([list(point) for point in POINTS["one cell excluded"][0]], columns=list(ABC))
    columns = pd.get_dummies(table.agg(lambda row: row["b"] + row["c"], axis=1), drop_first=True)
    model = np.column_stack([np.ones(len(table)), pd.get_dummies(table["a"], drop_first=True), columns]).astype(float)
    planted = 3.0 * (table["c"] == "1") + 7.0 * (table["a"] == "1")
    found = np.linalg.lstsq(model, planted, rcond=None)[0]
    assert found[1:3] == pytest.approx([7, 0])


LINES = {
    "full": ((), ["separates      every factor and every pair of factors"]),
    "one at a time": (
        (('title = "Tiny"', 'title = "Tiny"\ndesign = "one_at_a_time"'),),
        ["separates      every factor and 0 of 1 pairs", "does not       activation x optimizer (1 of 4 cells empty)"],
    ),
    "one factor": ((('activation = ["relu", "tanh"]\n', ""),), []),
}


@pytest.mark.parametrize(("changes", "lines"), LINES.values(), ids=LINES)
def test_the_lines_of_a_plan(tiny, changes, lines):
    assert design.separation(spec.load(str(tiny(*changes)))) == lines


def test_factors_that_change_together_are_named(tiny):
    grids = '[[grid]]\nactivation = ["relu"]\nloss = ["mse"]\n[[grid]]\nactivation = ["elu"]\nloss = ["mae"]'
    path = tiny(
        ('[[grid]]\nactivation = ["relu", "tanh"]', grids),
        ('optimizer = [{ name = "sgd", lr = 0.1 }, { name = "adam", lr = 0.01 }]', ""),
    )
    assert design.separation(spec.load(str(path))) == [
        "separates      0 of 2 factors and 0 of 1 pairs",
        "does not       activation (changes together with loss); loss (changes together with activation); "
        "activation x loss (2 of 4 cells empty)",
    ]


@pytest.mark.parametrize(("sd", "difference", "overlap"), [(1, 1, 0), (1.2, 0.5, 0), (1, 3, 1), (2, 2.9, 1 / 4), (1, 10, 0)])
def test_enough_values_resolve_the_difference_and_one_less_does_not(sd, difference, overlap):
    values = inference.enough(sd, difference, overlap)
    assert inference.resolvable(sd, values, overlap) <= difference
    assert values == 2 or inference.resolvable(sd, values - 1, overlap) > difference


def test_the_spread_is_that_of_differences_to_the_best():
    errors = {"best": [1, 2, 3], "other": [2, 4, 6], "worst": [9, 10, 11]}
    rows = [
        {
            "config": config,
            "repeat": 0,
            "fold": fold,
            "test_errors": each,
            "n_test": 100,
            "n_train": 1,
            "n_val": 0,
            "status": "ok",
            "diverged": False,
            "stuck": False,
        }
        for config, values in errors.items()
        for fold, each in enumerate(values)
    ]
    trials = pd.DataFrame(rows).assign(train_errors=0, val_errors=math.nan, diverged=False, stuck=False)
    # differences 1, 2, 3 of sd 1, and 8, 8, 8 of none
    assert design.spread(trials, Sampling(3, fresh=False)) == 0.5


def call(*arguments):
    return CliRunner().invoke(cli.main, ["plan", *map(str, arguments)])


def test_power_in_sd_in_points_and_by_the_rows_there_are(tiny, tmp_path):
    path, results = tiny(), tmp_path / "results"
    planned = call(path, "--results", results, "--difference", 9)
    # three folds: (t(0.975, 2) + t(0.8, 2)) sqrt(1/3 + 1/2) = (4.302653 + 1.060660) 0.912871
    assert (
        "resolves       4.9 sd of their paired differences between two configurations, four times in five\n" in planned.output
    )
    assert "needs          repeats = 1 to show 9 sd" in planned.output
    given = call(path, "--results", results, "--sd", 2, "--difference", 3)
    assert "resolves       9.8 points" in given.output
    assert "(sd of paired differences: 2, given)" in given.output
    assert "no repeats on one data set show 3 points" in given.output
    assert CliRunner().invoke(cli.main, ["run", str(path), "-j", "1", "--results", str(results)]).exit_code == 0
    measured = call(path, "--results", results)
    assert f"by the rows in {results / 'tiny'}" in measured.output
    assert "sd of their" in call(path, "--results", results, "--set", "base.epochs=4").output


def test_one_value_resolves_nothing(tiny):
    study = spec.load(str(tiny(("folds = 3", "folds = 0"))))
    assert any("resolves       nothing" in line for line in plan.describe(study, 1))


@pytest.mark.parametrize("option", ["--sd", "--difference"])
def test_a_power_of_nothing_is_refused(tiny, option):
    assert call(tiny(), option, 0).exit_code == 2
