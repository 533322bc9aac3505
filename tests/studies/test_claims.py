from dataclasses import replace

import numpy as np
import pytest

import studies
from studies import claims, spec, suite
from studies.claims import Number, Part, Report, Statement
from studies.errors import UserError
from studies.store import Store

SPEC = """
title = "Claims"
[data]
samples = 40
test_samples = 40
resample = true
[validation]
folds = 2
repeats = 30
[base]
hidden = [3]
batch_size = 10
epochs = 2
[reading.literal]
primary = true
[[reading.literal.grid]]
activation = ["relu", "tanh"]
loss = ["mse", "cross_entropy"]
[reading.other]
base = { init = "normal" }
[[reading.other.grid]]
activation = ["relu"]
loss = ["mse"]
"""
RELU, TANH = {"activation": "relu"}, {"activation": "tanh"}
RELU_MSE = {"activation": "relu", "loss": "mse"}


@pytest.fixture(scope="module")
def find(tmp_path_factory):
    folder = tmp_path_factory.mktemp("claims")
    path = folder / "claimed.toml"
    path.write_text(SPEC)
    studies.run(path, results=folder, backend="sequential")
    study = spec.load(str(path))
    rows = Store(folder, study).load()

    def find(name):
        if name != "claimed":
            raise UserError(f"{name} was not run")
        return study, rows

    return find


def errors_of(find, levels, reading="literal"):
    """Test errors in percent by repeat and fold."""
    trials = find("claimed")[1].trials
    chosen = trials[trials["reading"] == reading]
    for factor, level in levels.items():
        chosen = chosen[chosen[factor] == level]
    table = (100 * chosen["test_errors"] / chosen["n_test"]).astype(float)
    return table.groupby([chosen["repeat"], chosen["fold"]]).mean().to_numpy().reshape(30, 2)


def number(**changes):
    given = {
        "id": "N",
        "table": "T",
        "claim": "a number",
        "study": "claimed",
        "where": RELU_MSE,
        "measure": "test_pct",
        "resolution": 0.1,
        "floor": 20.0,
    }
    return Number(**{**given, **changes})


def judged(find, numbers=(), statements=()):
    return claims.judge(Report("r", "A report", numbers, statements), find)


@pytest.mark.parametrize("unit", ["repeat", "fold"])
def test_a_number_is_judged_by_the_primary_reading_and_explored_by_the_others(find, unit):
    errors = errors_of(find, RELU_MSE)
    rounds = errors if unit == "fold" else errors.mean(1, keepdims=True)
    mean, sd = float(errors.mean()), float(rounds.std(ddof=0 if unit == "fold" else 1))
    table = judged(find, [number(mean=mean, sd=sd, units=2 if unit == "fold" else 5, unit=unit, ddof=unit == "repeat")])
    assert table["role"].tolist() == ["primary", "exploration"]
    assert table["reading"].tolist() == ["literal", "other"]
    assert table["verdict"][0] in ("REPRODUCED", "CONSISTENT")
    assert table["mean"][0] == pytest.approx(mean)
    assert table["rounds"].tolist() == [30, 30]
    assert table["mean"][1] == pytest.approx(errors_of(find, RELU_MSE, "other").mean())


def test_published_values_are_their_mean_and_population_sd():
    published = number(values=[1, 2, 6]).published
    assert (published.mean, published.units, published.ddof) == (3, 3, 0)
    assert published.sd == pytest.approx(np.sqrt(14 / 3))
    assert published.tolerance == 20
    assert number(values=[100, 300]).published.tolerance == 50  # a quarter of the mean


def test_a_number_far_off_is_not_reproduced(find):
    table = judged(find, [number(mean=0.5, sd=0.1, units=5, floor=1.0)])
    assert table["verdict"][0] == "NOT REPRODUCED"


def test_a_study_that_was_not_run_leaves_its_claims_undecided(find):
    part = Part("test_pct", a=RELU, b=TANH, direction="lower", margin=1.0)
    table = judged(find, [number(study="absent")], [Statement("S", "a statement", "absent", parts=[part])])
    assert table["verdict"].tolist() == ["UNDECIDED", "UNDECIDED"]
    assert table["reason"].tolist() == ["absent was not run"] * 2


# The training rows of a fold are counted in "n_train", so that every outcome can be had on purpose.
ALWAYS = Part("n_train", a=RELU, how_often="always", above=0)
NEVER = Part("n_train", a=RELU, how_often="never", above=0)
OPEN = Part("test_pct", a=RELU, than=0, direction="higher", margin=0.1)
SAME = Part("n_train", a=RELU, b=TANH, direction="lower", margin=1.0)
STATEMENTS = {
    "supported": (Statement("S", "", "claimed", parts=[ALWAYS]), "SUPPORTED"),
    "contradicted": (Statement("S", "", "claimed", parts=[NEVER]), "CONTRADICTED"),
    "negated": (Statement("S", "", "claimed", negated=True, parts=[NEVER]), "SUPPORTED"),
    "one part contradicts": (Statement("S", "", "claimed", parts=[ALWAYS, NEVER]), "CONTRADICTED"),
    "all parts support": (Statement("S", "", "claimed", parts=[ALWAYS, OPEN]), "SUPPORTED"),
    "equal": (Statement("S", "", "claimed", parts=[SAME]), "EQUIVALENT"),
    "mixed": (Statement("S", "", "claimed", parts=[ALWAYS, SAME]), "UNDECIDED"),
    "offset": (Statement("S", "", "claimed", parts=[replace(SAME, than=5.0)]), "SUPPORTED"),
    "no parts": (Statement("S", "", unclear="It names nothing."), "UNCLEAR"),
    "range": (Statement("S", "", "claimed", parts=[replace(OPEN, across="range", a=[RELU, TANH])]), "SUPPORTED"),
    "other reading": (Statement("S", "", "claimed", parts=[replace(OPEN, reading="other", a=RELU_MSE)]), "SUPPORTED"),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_holds_where_all_its_parts_do(find, name):
    statement, verdict = STATEMENTS[name]
    assert judged(find, statements=[statement])["verdict"].tolist() == [verdict]


def test_a_difference_is_over_the_means_of_repeats_where_data_is_fresh(find):
    statement = Statement("S", "", "claimed", parts=[Part("test_pct", a=RELU, b=TANH, direction="lower", margin=1.0)])
    row = judged(find, statements=[statement]).iloc[0]
    assert row["rounds"] == 30
    assert row["mean"] == pytest.approx((errors_of(find, RELU) - errors_of(find, TANH)).mean())


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (Part("test_pct", a={"activatoin": "relu"}, direction="lower", margin=1.0), "did you mean 'activation'"),
        (Part("test_pct", a={"activation": "elu"}, direction="lower", margin=1.0), "no trials where"),
        (Part("test_ptc", a=RELU, direction="lower", margin=1.0), "there is no measure 'test_ptc'"),
    ],
)
def test_a_claim_about_nothing_is_undecided_and_says_why(find, part, words):
    row = judged(find, statements=[Statement("S", "", "claimed", parts=[part])]).iloc[0]
    assert row["verdict"] == "UNDECIDED"
    assert words in row["reason"]


@pytest.mark.parametrize("name", claims.names())
def test_every_declared_claim_names_levels_that_its_study_has(name):
    report = claims.load(name)
    parts = [(part.study or statement.study, part) for statement in report.statements for part in statement.parts]
    wheres = [(number.study, "", number.where) for number in report.numbers]
    wheres += [(study, part.reading, part.a) for study, part in parts]
    wheres += [(study, part.b_reading or part.reading, part.b) for study, part in parts if part.b is not None]
    for study_name, reading_name, where in wheres:
        study = spec.load(study_name)
        reading = next(each for each in study.readings if not reading_name or each.reading == reading_name)
        for one in [where] if isinstance(where, dict) else where:
            for factor, levels in one.items():
                wanted = {levels} if isinstance(levels, str) else set(levels)
                assert wanted & set(reading.grid.levels[factor]), (study_name, factor, levels)
                assert wanted <= {level for each in study.readings for level in each.grid.levels.get(factor, ())}
    assert all(statement.parts or statement.unclear for statement in report.statements)


def test_an_unknown_key_of_a_claim_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "PUBLISHED", tmp_path)
    (tmp_path / "bad.toml").write_text('source = "x"\n[defaults]\n[[number]]\nid = "N"\nmeen = 1.0\n')
    with pytest.raises(UserError, match="bad: there is no key 'meen'; did you mean 'mean'"):
        claims.load("bad")
    (tmp_path / "bad.toml").write_text('source = "x"\n[defaults]\n[[number]]\nid = "N"\n')
    with pytest.raises(UserError, match=r"bad, N: .*missing"):
        claims.load("bad")


def test_all_verdicts_are_written_where_nothing_was_run(tmp_path):
    table = suite.verdicts(tmp_path)
    assert set(table["verdict"]) == {"UNDECIDED", "UNCLEAR"}
    assert (tmp_path / "verdicts.csv").exists()
