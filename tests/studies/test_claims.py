from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import studies
from studies import api
from studies.claims import claims, judge
from studies.claims.claims import PublishedNumber, Report, Statement, StatementPart
from studies.errors import UserError
from studies.spec import spec
from studies.store.store import Store

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
    return PublishedNumber(**{**given, **changes})


def judged(find, numbers=(), statements=(), **more):
    return judge.judge(Report("r", "A report", numbers, statements, **more), find)


def primary(table):
    return table[table["role"] == "primary"]


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
    part = StatementPart("test_pct", a=RELU, b=TANH, direction="lower", margin=1.0)
    table = judged(find, [number(study="absent")], [Statement("S", "a statement", "absent", parts=[part])])
    assert table["verdict"].tolist() == ["UNDECIDED", "UNDECIDED"]
    assert table["reason"].tolist() == ["absent was not run"] * 2


# The training rows of a fold are counted in "n_train", so that every outcome can be had on purpose.
ALWAYS = StatementPart("n_train", a=RELU, how_often="always", above=0, failing=True)
NEVER = StatementPart("n_train", a=RELU, how_often="never", above=0, failing=True)
OPEN = StatementPart("test_pct", a=RELU, than=0, direction="higher", margin=0.1, failing=True)
SAME = StatementPart("n_train", a=RELU, b=TANH, direction="lower", margin=1.0, failing=True)
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
    assert primary(judged(find, statements=[statement]))["verdict"].tolist() == [verdict]


def test_a_difference_is_over_the_means_of_repeats_where_data_is_fresh(find):
    part = StatementPart("test_pct", a=RELU, b=TANH, direction="lower", margin=1.0, failing=True)
    row = judged(find, statements=[Statement("S", "", "claimed", parts=[part])]).iloc[0]
    assert row["rounds"] == 30
    assert row["mean"] == pytest.approx((errors_of(find, RELU) - errors_of(find, TANH)).mean())


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (StatementPart("test_pct", a={"activatoin": "relu"}, direction="lower", margin=1.0), "did you mean 'activation'"),
        (StatementPart("test_pct", a={"activation": "elu"}, direction="lower", margin=1.0), "no trials where"),
        (StatementPart("test_ptc", a=RELU, direction="lower", margin=1.0), "there is no measure 'test_ptc'"),
    ],
)
def test_a_claim_about_nothing_is_undecided_and_says_why(find, part, words):
    row = judged(find, statements=[Statement("S", "", "claimed", parts=[part])]).iloc[0]
    assert row["verdict"] == "UNDECIDED"
    assert words in row["reason"]


# Readings: in "other" weights are N(0, 1), and only ReLU with MSE is trained


@pytest.fixture
def planted(find):
    """The rows of the claimed study with measures of our choice: `(reading, activation)` by column."""

    def plant(values):
        study, rows = find("claimed")
        trials = rows.trials.copy()
        for column, of in values.items():
            noise = trials["repeat"].astype(float) % 2 / 10
            keys = zip(trials["reading"], trials["activation"], strict=True)
            trials[column] = [of[key] + more for key, more in zip(keys, noise, strict=True)]
        return lambda _: (study, rows._replace(trials=trials))

    return plant


def levels(literal_relu, literal_tanh, other_relu):
    return {("literal", "relu"): literal_relu, ("literal", "tanh"): literal_tanh, ("other", "relu"): other_relu}


LOWER = Statement(
    "S", "", "claimed", parts=[StatementPart("seconds", a=RELU, b=TANH, direction="lower", margin=0.5, failing=True)]
)


@pytest.mark.parametrize(
    ("seconds", "open_readings", "verdicts"),
    [
        (levels(1, 9, 2), ["other"], ["SUPPORTED", "SUPPORTED"]),
        (levels(1, 9, 20), ["other"], ["UNDERSPECIFIED", "CONTRADICTED"]),
        (levels(1, 9, 9), ["other"], ["UNDERSPECIFIED", "EQUIVALENT"]),
        (levels(20, 9, 1), ["other"], ["UNDERSPECIFIED", "SUPPORTED"]),
        (levels(1, 9, 20), [], ["SUPPORTED", "CONTRADICTED"]),
    ],
    ids=["agree", "opposite", "equal", "opposite of the primary", "not open"],
)
def test_a_statement_is_judged_in_every_reading(planted, seconds, open_readings, verdicts):
    """Tanh, which the other reading lacks, is that of the primary one."""
    table = judged(planted({"seconds": seconds}), statements=[LOWER], open={"claimed": open_readings})
    assert table["role"].tolist() == ["primary", "exploration"]
    assert table["reading"].tolist() == ["literal", "other"]
    assert table["verdict"].tolist() == verdicts
    assert table["mean"].tolist() == pytest.approx([seconds["literal", "relu"] - 9, seconds["other", "relu"] - 9])
    if verdicts[0] == "UNDERSPECIFIED":
        assert "literal" in table["reason"][0]
        assert f"{verdicts[1]} in other" in table["reason"][0]


def test_a_configuration_that_a_reading_trains_is_never_taken_from_another(planted):
    study, rows = planted({"seconds": levels(1, 9, 2)})("claimed")
    equal = replace(LOWER, parts=[replace(LOWER.parts[0], b=RELU_MSE)])
    table = judged(lambda _: (study, rows), statements=[equal])
    assert table["mean"].tolist() == pytest.approx([0, 0])  # 1 - 1 in one reading, 2 - 2 in the other
    left = rows._replace(trials=rows.trials[rows.trials["reading"] == "literal"])
    assert judged(lambda _: (study, left), statements=[equal])["role"].tolist() == ["primary"]


def test_a_statement_that_names_its_reading_has_no_other(find):
    part = replace(OPEN, reading="other", a=RELU_MSE)
    assert judged(find, statements=[Statement("S", "", "claimed", parts=[part])])["role"].tolist() == ["primary"]
    part = replace(part, reading="absent")
    row = judged(find, statements=[Statement("S", "", "claimed", parts=[part])]).iloc[0]
    assert (row["verdict"], row["reason"]) == ("UNDECIDED", "claimed: the reading absent was not run")


@pytest.mark.parametrize("flag", ["diverged", "stuck"])
@pytest.mark.parametrize("side", ["relu", "tanh"])
def test_models_that_do_not_learn_leave_a_statement_undecided(planted, flag, side):
    found = planted({"seconds": levels(1, 9, 1)})
    study, rows = found("claimed")
    fails = (rows.trials["activation"] == side) & (rows.trials["reading"] == "literal")
    trials = rows.trials.assign(**{"diverged": False, "stuck": False} | {flag: fails})
    learning = replace(LOWER, parts=[replace(LOWER.parts[0], failing=False)])
    table = judged(lambda _: (study, rows._replace(trials=trials)), statements=[learning], open={"claimed": ["other"]})
    words = f"Models that do not learn say nothing: of {side}, 0 of 120 trials learned."
    assert (table["verdict"][0], table["reason"][0]) == ("UNDECIDED", words)
    # the other reading takes its Tanh from the primary one
    assert table["verdict"][1] == ("SUPPORTED" if side == "relu" else "UNDECIDED")
    assert judged(lambda _: (study, rows._replace(trials=trials)), statements=[LOWER])["verdict"][0] == "SUPPORTED"


@pytest.mark.parametrize(("failed", "verdict"), [(60, "SUPPORTED"), (61, "UNDECIDED")])
def test_half_of_the_trials_must_learn(planted, failed, verdict):
    study, rows = planted({"seconds": levels(1, 9, 1)})("claimed")
    place = (rows.trials["activation"] == "relu") & (rows.trials["reading"] == "literal")
    trials = rows.trials.assign(diverged=False, stuck=place & (place.cumsum() <= failed))
    learning = replace(LOWER, parts=[replace(LOWER.parts[0], failing=False)])
    assert judged(lambda _: (study, rows._replace(trials=trials)), statements=[learning])["verdict"][0] == verdict


def test_the_primary_readings_of_a_report_are_one_family(planted):
    noise = {"seconds": levels(1, 9, 1)}
    share = Statement("A", "", "claimed", parts=[ALWAYS])
    other = Statement("B", "", "claimed", parts=[replace(ALWAYS, a=TANH)])
    assert primary(judged(planted(noise), statements=[share]))["verdict"].tolist() == ["SUPPORTED"]
    # 30 of 30: p = 0.9^30 = 0.042, and twice that beside another statement
    table = primary(judged(planted(noise), statements=[share, other]))
    assert table["verdict"].tolist() == ["UNDECIDED", "UNDECIDED"]
    assert "Holm p = 0.085" in table["reason"].iloc[0]
    assert table["rounds"].tolist() == [30, 30]


@pytest.mark.parametrize(
    ("table", "rule"),
    [
        ({"negated": True, "parts": [ALWAYS, NEVER]}, "a negated statement has one part"),
        ({"parts": [ALWAYS, replace(OPEN, reading="other")]}, "all parts name their reading, or none does"),
    ],
    ids=["negated", "reading"],
)
def test_statements_that_cannot_be(table, rule):
    with pytest.raises(UserError, match=rule):
        Statement("S", "", "claimed", **table)


@pytest.mark.parametrize("name", claims.report_names())
def test_what_a_report_leaves_open_are_readings(name):
    for study_name, readings in claims.load_report(name).open.items():
        assert set(readings) <= {each.reading for each in spec.load(study_name).others}


@pytest.mark.parametrize("name", claims.report_names())
def test_a_claim_about_failing_says_so(name):
    failing = {"learned", "stuck", "diverged", "solved", "first_gradient", "first_over_last", "gradient_growth"}
    for statement in claims.load_report(name).statements:
        assert all(part.failing for part in statement.parts if part.measure in failing), statement.id


def test_no_measurement_has_two_verdicts():
    report = claims.load_report("history_and_boundary")
    assert not [statement for statement in report.statements if any(part.measure == "turn_epoch" for part in statement.parts)]


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        ("activations_optimizers_schedulers", "A13 (longer)"),
        ("activations_optimizers_schedulers", "A13 (stability)"),
        ("history_and_boundary", "H5"),
        ("eight_models", "E10"),
    ],
)
def test_what_only_the_authors_code_or_no_model_of_theirs_could_show_is_unclear(name, identity):
    (statement,) = [statement for statement in claims.load_report(name).statements if statement.id == identity]
    assert statement.unclear
    assert not statement.parts


def test_the_other_models_of_e6_are_all_but_the_three_of_relu_and_mse():
    (statement,) = [statement for statement in claims.load_report("eight_models").statements if statement.id == "E6"]
    models, losses = spec.load("eight_models").grid.levels["model"], ("mse", "cross_entropy")
    others = {(model, loss) for model in models for loss in losses if loss == "cross_entropy" or model == "Tanh"}
    compared = [part.b for part in statement.parts if isinstance(part.b, list)]
    assert len(compared) == 4
    for where in compared:
        found = set()
        for one in where:
            named = [one["model"]] if isinstance(one["model"], str) else one["model"]
            found |= {(model, loss) for model in named for loss in losses if one.get("loss", loss) == loss}
        assert found == others


@pytest.mark.parametrize("name", claims.report_names())
def test_gradients_are_compared_between_layers_with_sigmoid_alone(name):
    for statement in claims.load_report(name).statements:
        for part in statement.parts:
            assert part.measure != "first_over_last" or part.a["activation"] == "sigmoid"


@pytest.mark.parametrize("name", claims.report_names())
def test_every_declared_claim_names_levels_that_its_study_has(name):
    report = claims.load_report(name)
    parts = [(statement.study, part) for statement in report.statements for part in statement.parts]
    wheres = [(number.study, "", number.where) for number in report.numbers]
    wheres += [(study, part.reading, part.a) for study, part in parts]
    wheres += [(study, part.reading, part.b) for study, part in parts if part.b is not None]
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
        claims.load_report("bad")
    (tmp_path / "bad.toml").write_text('source = "x"\n[defaults]\n[[number]]\nid = "N"\n')
    with pytest.raises(UserError, match=r"bad, N: .*missing"):
        claims.load_report("bad")


PART = 'measure = "test_pct", a = { activation = "relu" }, direction = "lower"'
MISSPELT = {
    "reading of a part": (
        f'[[statement]]\nid = "S"\nclaim = ""\nstudy = "noise"\nparts = [{{ {PART}, reading = "claen" }}]',
        "claen",
    ),
    "open reading": ('[open]\nnoise = ["claen"]', "claen"),
    "study of a statement": (f'[[statement]]\nid = "S"\nclaim = ""\nstudy = "nosie"\nparts = [{{ {PART} }}]', "nosie"),
    "study of open readings": ('[open]\nnosie = ["clean"]', "nosie"),
}


@pytest.mark.parametrize(("content", "name"), MISSPELT.values(), ids=MISSPELT)
def test_a_misspelt_study_or_reading_of_a_claim_is_refused(tmp_path, monkeypatch, content, name):
    monkeypatch.setattr(claims, "PUBLISHED", tmp_path)
    (tmp_path / "bad.toml").write_text(f'source = "x"\n{content}\n')
    with pytest.raises(UserError, match=f"bad: .*there is no (reading|study) '{name}'; did you mean"):
        claims.load_report("bad")


def _statement(part):
    return f'[[statement]]\nid = "S"\nclaim = ""\nstudy = "noise"\nparts = [{{ {part} }}]'


CLAIM = 'measure = "test_pct", a = { }, direction = "lower"'
WORDS = {  # a part of a claim, and what is said
    "measure": (CLAIM.replace("test_pct", "test_pctt"), "there is no measure 'test_pctt'; did you mean 'test_pct'?"),
    "measure at an epoch": (
        CLAIM.replace("test_pct", "train_los@5"),
        "there is no measure 'train_los'; did you mean 'train_loss'?",
    ),
    "direction": (CLAIM.replace("lower", "lowr"), "there is no direction 'lowr'; did you mean 'lower'?"),
    "no direction": ('measure = "test_pct", a = { }', "there is no direction ''; allowed: lower, higher"),
    "frequency": (
        CLAIM.replace('direction = "lower"', 'how_often = "allways"'),
        "there is no how_often 'allways'; did you mean 'always'?",
    ),
    "across": (f'{CLAIM}, across = "ranges"', "there is no across 'ranges'; did you mean 'range'?"),
    "factor": (CLAIM.replace("{ }", '{ colour = "x" }'), "noise: there is no factor 'colour'; "),
    "level": (CLAIM.replace("{ }", '{ FACTOR = "nothing" }'), "noise: there is no level of FACTOR 'nothing'; "),
}


@pytest.mark.parametrize(("part", "message"), WORDS.values(), ids=WORDS)
def test_a_wrong_word_of_a_claim_is_refused(tmp_path, monkeypatch, part, message):
    factor = next(iter(spec.load("noise").grid.levels))
    monkeypatch.setattr(claims, "PUBLISHED", tmp_path)
    (tmp_path / "bad.toml").write_text(f'source = "x"\n{_statement(part).replace("FACTOR", factor)}\n')
    with pytest.raises(UserError) as told:
        claims.load_report("bad")
    assert f"bad, S: {message.replace('FACTOR', factor)}" in str(told.value)


def test_nothing_is_decided_where_nothing_was_run(tmp_path):
    assert set(api.verdicts(tmp_path)["verdict"]) == {"UNDECIDED", "UNCLEAR"}


def test_trials_of_one_stack_share_one_measurement_of_time():
    places = pd.MultiIndex.from_product([range(4), [0]], names=["repeat", "fold"])
    clocks = [pd.Series([(1.0,), (1.0,), (2.0,), (2.0,)], places), pd.Series([(5.0,), (5.0,), (5.0,), (5.0,)], places)]
    difference = pd.Series([1.0, 3.0, 5.0, 6.0], places)
    assert judge._by_stack(difference, clocks).tolist() == [2.0, 5.5]
    with pytest.raises(UserError, match="one measurement for each stack"):
        judge._by_stack(difference, clocks[1:])
