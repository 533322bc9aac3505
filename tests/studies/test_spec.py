import pytest

from studies.data import datasets
from studies.data.types import Data
from studies.errors import UserError
from studies.plan import plan
from studies.spec import spec
from studies.spec.settings import resolve, to_columns

SGD_MOMENTUM = {"name": "sgd", "lr": 0.1, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0}


@pytest.mark.parametrize("name", spec.names())
def test_declared_studies_are_valid(name):
    study = spec.load(name)
    assert study.trials == len(study.grid.configurations) * max(study.validation.folds, 1) * study.validation.repeats


def test_the_ablation_study_is_the_grid_of_the_issue():
    study = spec.load("ablation")
    assert {factor: len(levels) for factor, levels in study.grid.levels.items()} == {
        "activation": 6,
        "loss": 4,
        "init": 3,
        "batchnorm": 3,
        "optimizer": 4,
    }
    assert len(study.grid.configurations) == 864
    assert study.trials == 8640
    assert study.grid.levels["optimizer"] == ["sgd lr=0.1", "sgd lr=0.05 momentum=0.9", "adadelta lr=1", "adam lr=0.005"]


def test_settings_are_resolved_completely(tiny):
    configuration = spec.load(str(tiny())).grid.configurations[0]
    assert configuration.levels == {"activation": "relu", "optimizer": "sgd lr=0.1"}
    assert configuration.settings["activation"] == ["relu"]
    assert configuration.settings["optimizer"] == SGD_MOMENTUM
    assert configuration.settings["output"] == "linear"
    assert configuration.settings["decision"] == "argmax"
    assert configuration.settings["output_init"] == configuration.settings["init"] == {"name": "xavier"}
    assert configuration.columns["optimizer"] == "sgd lr=0.1"
    assert configuration.columns["optimizer.lr"] == 0.1


def test_output_auto_follows_the_loss_and_is_no_factor(tiny):
    study = spec.load(str(tiny(('activation = ["relu", "tanh"]', 'loss = ["mse", "bce", "cross_entropy"]'))))
    assert list(study.grid.levels) == ["loss", "optimizer"]
    outputs = {each.levels["loss"]: each.settings["output"] for each in study.grid.configurations}
    assert outputs == {"mse": "sigmoid", "bce": "sigmoid", "cross_entropy": "linear"}


@pytest.mark.parametrize(
    ("level", "label"),
    [
        ('{ name = "sgd", lr = 0.05, momentum = 0.9 }', "sgd lr=0.05 momentum=0.9"),
        ('{ label = "fast", name = "sgd", lr = 0.5 }', "fast lr=0.5"),
        ('{ label = "SGD at 0.5", name = "sgd", lr = 0.5 }', "SGD at 0.5"),
        ('"adam"', "adam lr=0.001"),
        ('{ name = "adadelta" }', "adadelta lr=1"),
    ],
    ids=["table", "label without rate", "label with rate", "name", "default rate"],
)
def test_an_optimizer_is_always_named_with_its_learning_rate(tiny, level, label):
    study = spec.load(str(tiny(('[{ name = "sgd", lr = 0.1 }, { name = "adam", lr = 0.01 }]', f"[{level}]"))))
    assert study.grid.levels["optimizer"] == [label]


def test_dotted_factors_reach_into_tables_whatever_their_order(tiny):
    study = spec.load(str(tiny(('activation = ["relu", "tanh"]', '"optimizer.lr" = [0.3, 0.7]'))))
    found = [(each.settings["optimizer"]["name"], each.settings["optimizer"]["lr"]) for each in study.grid.configurations]
    assert found == [("sgd", 0.3), ("adam", 0.3), ("sgd", 0.7), ("adam", 0.7)]


def test_a_factor_of_ones_own_sets_several_keys(tiny):
    model = 'model = [{ label = "A", activation = "relu", init = "he" }, { label = "B", activation = "tanh" }]'
    study = spec.load(str(tiny(('activation = ["relu", "tanh"]', model))))
    assert study.grid.levels["model"] == ["A", "B"]
    first = study.grid.configurations[0]
    assert (first.settings["activation"], first.settings["init"]["name"], first.label) == (["relu"], "he", "A | sgd lr=0.1")


def test_a_study_is_the_union_of_its_grids_without_duplicates(tiny):
    path = tiny()
    path.write_text(path.read_text() + '[[grid]]\nactivation = ["relu", "elu"]\noptimizer = [{ name = "sgd", lr = 0.1 }]\n')
    grid = spec.load(str(path)).grid
    assert len(grid.configurations) == 5
    assert grid.duplicates == 1
    assert grid.levels["activation"] == ["relu", "tanh", "elu"]


def test_a_factor_missing_from_a_grid_has_the_level_of_the_base(tiny):
    path = tiny()
    path.write_text(path.read_text() + '[[grid]]\ninit = ["he"]\n')
    last = spec.load(str(path)).grid.configurations[-1]
    assert last.levels == {"activation": "tanh", "optimizer": "sgd lr=0.1", "init": "he"}


def test_excluded_points_are_counted(tiny):
    path = tiny()
    path.write_text(path.read_text() + '[[exclude]]\nactivation = "tanh"\noptimizer = "adam lr=0.01"\n')
    grid = spec.load(str(path)).grid
    assert len(grid.configurations) == 3
    assert grid.excluded == [("activation=tanh optimizer=adam lr=0.01", 1)]


def test_one_factor_at_a_time(tiny):
    study = spec.load(str(tiny(('title = "Tiny"', 'title = "Tiny"\ndesign = "one_at_a_time"'))))
    # the base (tanh, SGD at 0.1), ReLU, and Adam; the levels of the base repeat it
    assert [each.label for each in study.grid.configurations] == [
        "tanh | sgd lr=0.1",
        "relu | sgd lr=0.1",
        "tanh | adam lr=0.01",
    ]
    assert study.grid.duplicates == 2


@pytest.mark.parametrize(
    ("old", "new", "baseline"),
    [
        ("", "", {"activation": "tanh", "optimizer": "sgd lr=0.1"}),
        ('"tanh"]', '"elu"]', {"activation": "relu", "optimizer": "sgd lr=0.1"}),
        ('name = "sgd"', 'label = "plain lr=0.1", name = "sgd"', {"activation": "tanh", "optimizer": "plain lr=0.1"}),
        (
            'activation = ["relu", "tanh"]',
            'model = [{ label = "m", init = "he" }, { label = "n", activation = "tanh", init = "xavier" }]',
            {"model": "n", "optimizer": "sgd lr=0.1"},
        ),
        (
            '[[grid]]\nactivation = ["relu", "tanh"]',
            'loss = "mse"\n[[grid]]\noutput = ["tanh", "sigmoid"]',
            {"output": "sigmoid", "optimizer": "sgd lr=0.1"},
        ),
        ('activation = ["relu", "tanh"]', "clip = [1.0, 0.0]", {"clip": "0", "optimizer": "sgd lr=0.1"}),
        ("[data]", "baseline = { activation = 'relu' }\n[data]", {"activation": "relu", "optimizer": "sgd lr=0.1"}),
    ],
    ids=["the base", "else the first", "another label", "a factor of one's own", "auto resolved", "a number", "declared"],
)
def test_the_baseline_is_that_of_the_base(tiny, old, new, baseline):
    grid = spec.load(str(tiny((old, new)))).grid
    assert grid.baseline == baseline
    assert grid.baseline_configuration.levels == baseline


def test_a_baseline_that_is_left_out_has_no_configuration(tiny):
    excluded = '[[exclude]]\nactivation = "tanh"\noptimizer = "sgd lr=0.1"\n[[grid]]'
    grid = spec.load(str(tiny(("[[grid]]", excluded)))).grid
    assert grid.baseline == {"activation": "tanh", "optimizer": "sgd lr=0.1"}
    assert grid.baseline_configuration is None


def test_baseline_and_margin_change_no_rows(tiny):
    plain = spec.load(str(tiny()))
    told = spec.load(str(tiny(("[data]", "margin = 1\nbaseline = { activation = 'relu' }\n[data]"))))
    assert (plain.margin, told.margin) == (0.5, 1)
    assert plain.identity() == told.identity()


def test_a_configuration_is_found_by_label_or_by_the_beginning_of_its_id(tiny):
    grid = spec.load(str(tiny())).grid
    first = grid.configurations[0]
    assert grid.find("relu | sgd lr=0.1") is first
    assert grid.find(first.id[:8]) is first
    with pytest.raises(UserError, match=r"there is no configuration 'relu [|] sgd'; did you mean"):
        grid.find("relu | sgd")
    with pytest.raises(UserError, match="there is no configuration ''"):
        grid.find("")


@pytest.mark.parametrize(
    ("override", "key", "expected"),
    [
        ("base.epochs=7", "epochs", 7),
        ("base.epochs = 7", "epochs", 7),
        ("base.loss=mse", "loss", "mse"),
        ("base.hidden=[2, 3]", "hidden", [2, 3]),
    ],
    ids=["tight", "spaced", "bare word", "list"],
)
def test_overrides(tiny, override, key, expected):
    assert spec.load(str(tiny()), [override]).grid.configurations[0].settings[key] == expected


@pytest.mark.parametrize(
    "given", ["", 'optimizer = "adam"', 'optimizer = { name = "adam", eps = 0.1 }'], ids=["none", "name", "table"]
)
@pytest.mark.parametrize("reading", ["", "reading.one."], ids=["base", "reading"])
def test_an_override_sets_a_parameter_of_what_the_base_has(tiny, given, reading):
    path = tiny(("epochs = 3", f"epochs = 3\n{given}"))
    path.write_text(
        path.read_text().partition("[[grid]]")[0] + '[[grid]]\nactivation = ["relu"]\n[reading.one]\nprimary = true\n'
    )
    changed = spec.load(str(path), [f"{reading}base.optimizer.lr=0.3", f"{reading}base.optimizer.weight_decay=0.5"])
    optimizer, before = (each.grid.configurations[0].settings["optimizer"] for each in (changed, spec.load(str(path))))
    assert optimizer == {**before, "lr": 0.3, "weight_decay": 0.5}


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("base.optimiser.lr=0.3", "there is no key 'optimiser.lr'; did you mean 'optimizer'?"),
        ("base.optimizer.rate=0.3", "there is no key 'rate'"),
        ("base.hidden.lr=0.3", "'hidden' has no parameters"),
        ("base.loss.lr=0.3", "base.loss (cross_entropy): there is no key 'lr'"),
        ("base.init.sd=0.3", "there is no key 'sd'"),
    ],
)
def test_an_override_of_no_parameter_is_told(tiny, override, words):
    with pytest.raises(UserError) as told:
        spec.load(str(tiny()), [override])
    assert words in str(told.value)


@pytest.mark.parametrize(
    ("design", "base", "grids"),
    [
        (
            "factorial",
            'optimizer = { name = "sgd", lr = 0.1, momentum = 0.6 }',
            ('"optimizer.momentum" = [0.6]', '"optimizer.momentum" = [0.9]'),
        ),
        ("factorial", "clip = 1", ("clip = [1.0]", "clip = [2]")),
        ("factorial", 'optimizer = "adam"', ('optimizer = ["adam"]', 'optimizer = [{ name = "adam" }]')),
        ("factorial", 'init = "he"', ('model = [{ label = "base", init = { name = "he" } }]', "clip = [1, 2]")),
        (
            "one_at_a_time",
            'init = "he"',
            ('model = [{ label = "base", init = { name = "he" } }, { label = "b", init = "lecun" }]',),
        ),
    ],
    ids=["parameter", "number", "name and table", "own factor", "one at a time"],
)
def test_a_label_may_stand_for_one_level_that_is_written_twice(tiny, design, base, grids):
    path = tiny(('title = "Tiny"', f'design = "{design}"'), ("epochs = 3", f"epochs = 3\n{base}"))
    path.write_text(path.read_text().partition("[[grid]]")[0] + "".join(f"[[grid]]\n{grid}\n" for grid in grids))
    spec.load(str(path))


@pytest.mark.parametrize(
    ("design", "base", "grids"),
    [
        ("factorial", "clip = 1.0000001", ("clip = [1]", "dropout = [0.1]")),
        ("factorial", 'init = "he"', ('model = [{ label = "A", init = "he" }]', 'model = [{ label = "A", init = "lecun" }]')),
        ("one_at_a_time", 'init = "he"', ('model = [{ label = "base", init = "lecun" }]',)),
    ],
    ids=["six digits", "own factor", "one at a time"],
)
def test_a_label_that_stands_for_two_levels_is_refused(tiny, design, base, grids):
    path = tiny(('title = "Tiny"', f'design = "{design}"'), ("epochs = 3", f"epochs = 3\n{base}"))
    path.write_text(path.read_text().partition("[[grid]]")[0] + "".join(f"[[grid]]\n{grid}\n" for grid in grids))
    with pytest.raises(UserError, match=r"write (another|other labels)"):
        spec.load(str(path))


@pytest.mark.parametrize(
    "name", ["history", "predictions", "run", "trials", "epoch", "failed", "working", "level", "p", "point", "test_value", "sd"]
)
def test_a_factor_of_ones_own_is_not_called_as_a_column_of_the_tables(tiny, name):
    path = tiny(("[[grid]]", f'[[grid]]\n{name} = [{{ label = "A", init = "he" }}]'))
    with pytest.raises(UserError, match=f"'{name}' is a column of the tables already"):
        spec.load(str(path))


def test_a_number_is_a_number_with_and_without_a_point(tiny):
    plain = tiny(("epochs = 3", "epochs = 3\ndropout = 0\nclip = 1"), ("lr = 0.1", "lr = 1"), name="plain")
    dotted = tiny(("epochs = 3", "epochs = 3\ndropout = 0.0\nclip = 1.0"), ("lr = 0.1", "lr = 1.0"), name="dotted")
    one, other = (spec.load(str(path)) for path in (plain, dotted))
    assert [each.id for each in one.grid.configurations] == [each.id for each in other.grid.configurations]
    assert [trial.key for trial in plan.trials(one)] == [trial.key for trial in plan.trials(other)]


def test_a_model_without_hidden_layers_has_a_label(tiny):
    grid = spec.load(str(tiny(('activation = ["relu", "tanh"]', "hidden = [[], [4]]")))).grid
    assert grid.levels["hidden"] == ["none", "4"]
    assert grid.configurations[0].columns["hidden"] == "none"


@pytest.mark.parametrize("value", [1000 * "[", 5000 * "9", "'\ud800'"], ids=["brackets", "digits", "surrogate"])
def test_overrides_that_no_toml_is_are_told(tiny, value):
    with pytest.raises(UserError):
        spec.load(str(tiny()), [f"title={value}" if "ud800" in ascii(value) else f"base.hidden={value}"])


@pytest.mark.parametrize("seed", range(8))
def test_generated_rows_of_one_class_are_told(tiny, seed):
    path = tiny(("samples = 60", "samples = 4"), ("folds = 3", "folds = 0"), ("[data]", f"seed = {seed}\n[data]"), ("16", "2"))
    rows = datasets.pools(Data("disk", 4, 40, 0, "feature", 0.0, False), seed, 0).train
    if len(set(rows.labels)) == 2:
        spec.load(str(path))
    else:
        with pytest.raises(UserError, match=f"data.samples: 4 rows of disk hold one class only, from seed {seed}"):
            spec.load(str(path))


@pytest.mark.parametrize("samples", [2, 149])
def test_sets_too_small_for_the_classes_are_told(tiny, samples):
    path = tiny(('"disk"\nsamples = 60\ntest_samples = 40', f'"iris"\nsamples = {samples}'))
    with pytest.raises(UserError, match=r"of 150 rows cannot have the classes in proportion|do not fit"):
        spec.load(str(path))


def test_single_output_tells_two_classes_apart(tiny):
    path = tiny(
        ('"disk"\nsamples = 60\ntest_samples = 40', '"iris"'), ("epochs = 3", 'epochs = 3\nloss = "mse"\noutputs = "single"')
    )
    with pytest.raises(UserError, match="iris has 3"):
        spec.load(str(path))


@pytest.mark.parametrize("name", ["ablatoin", "nowhere/x.toml"])
def test_missing_specs(name):
    with pytest.raises(UserError, match="there is no"):
        spec.load(name)


READINGS = """
[reading.one]
data = { normalize = "none" }
base = { hidden = [8] }
[reading.two]
primary = true
[[reading.two.grid]]
loss = ["mse"]
"""


def test_a_reading_overlays_tables_key_by_key_and_replaces_grids(tiny):
    path = tiny()
    path.write_text(path.read_text() + READINGS)
    study = spec.load(str(path))
    assert [reading.reading for reading in study.readings] == ["two", "one"]
    two, one = study.readings
    assert (one.data.normalize, one.data.samples, two.data.normalize) == ("none", 60, "feature")
    assert {each.settings["hidden"][0] for each in one.grid.configurations} == {8}
    assert {each.settings["epochs"] for each in one.grid.configurations} == {3}
    assert list(two.grid.levels) == ["loss"]
    assert study.factors == ["loss", "activation", "optimizer"]
    assert set(study.identity()) == {"one", "two"}


@pytest.mark.parametrize(
    ("readings", "words"),
    [
        ("[reading.a]\n[reading.b]", "exactly one reading is declared primary = true: 0 were"),
        ("[reading.a]\nprimary = true\n[reading.b]\nprimary = true", "2 were (a, b)"),
        ("[reading.a]\nprimary = 1", "reading.a.primary is true or false: 1 was given"),
        ("[reading.a]\nprimary = true\nbaes = {}", "did you mean 'base'"),
        ("[reading.a]\nprimary = true\nbase = { epochs = 0 }", "reading a: base.epochs is a whole number from 1"),
    ],
    ids=["none", "two", "flag", "key", "value"],
)
def test_wrong_readings_are_told_in_one_line(tiny, readings, words):
    path = tiny()
    path.write_text(path.read_text() + readings + "\n")
    with pytest.raises(UserError) as told:
        spec.load(str(path))
    assert words in str(told.value)


def test_a_quick_look_is_at_ten_repeats_of_the_primary_reading(tiny):
    path = tiny(("folds = 3", "folds = 3\nrepeats = 12"))
    path.write_text(path.read_text() + READINGS)
    study = spec.load(str(path), quick=True)
    assert (study.reading, study.others, study.validation.repeats) == ("two", (), 10)


PARAMETERS = {  # activation and hidden layers, what it resolves to, its columns
    "a default": ({"name": "leaky_relu", "slope": 0.01}, ["leaky_relu"] * 2, {"activation": "leaky_relu"}),
    "a slope": (
        {"name": "leaky_relu", "slope": 0.2},
        [{"name": "leaky_relu", "slope": 0.2}] * 2,
        {"activation": "leaky_relu", "activation.slope": 0.2},
    ),
    "one for each layer": (
        [{"name": "elu", "alpha": 2}, "tanh"],
        [{"name": "elu", "alpha": 2.0}, "tanh"],
        {"activation": "elu+tanh", "activation.alpha": "2.0+"},
    ),
    "two slopes": (
        ["leaky_relu", {"name": "leaky_relu", "slope": 0.2}],
        ["leaky_relu", {"name": "leaky_relu", "slope": 0.2}],
        {"activation": "leaky_relu", "activation.slope": "0.01+0.2"},
    ),
}


@pytest.mark.parametrize(("given", "resolved", "columns"), PARAMETERS.values(), ids=PARAMETERS)
def test_an_activation_has_parameters_of_its_own(given, resolved, columns):
    settings = resolve({"hidden": [5, 4], "activation": given}, "base")
    assert settings["activation"] == resolved
    assert {key: value for key, value in to_columns(settings).items() if key.startswith("activation")} == columns


def test_a_slope_is_a_factor_like_any_other(tiny):
    grid = 'activation = ["leaky_relu", "prelu"]\n"activation.slope" = [0.01, 0.2]'
    study = spec.load(str(tiny(('activation = ["relu", "tanh"]', grid))))
    found = {(each.levels["activation"], each.levels["activation.slope"]): each for each in study.grid.configurations}
    assert {key[:2] for key in found} == {(name, slope) for name in ("leaky_relu", "prelu") for slope in ("0.01", "0.2")}
    assert found["leaky_relu", "0.01"].settings["activation"] == ["leaky_relu"]
    assert found["leaky_relu", "0.2"].settings["activation"] == [{"name": "leaky_relu", "slope": 0.2}]
    assert found["prelu", "0.2"].columns["activation.slope"] == "0.2"
    plain = spec.load(str(tiny(('activation = ["relu", "tanh"]', 'activation = ["leaky_relu"]'))))
    ids = {each.id for each in plain.grid.configurations}
    assert ids <= {each.id for each in study.grid.configurations}


def test_a_slope_alone_has_the_level_of_the_base_as_its_baseline(tiny):
    path = tiny(
        ("epochs = 3", 'epochs = 3\nactivation = "leaky_relu"'),
        ('activation = ["relu", "tanh"]', '"activation.slope" = [0.2, 0.01]'),
    )
    assert spec.load(str(path)).grid.baseline["activation.slope"] == "0.01"
    lists = spec.load(str(path), ["base.hidden=[4,3]", 'base.activation=["leaky_relu","prelu"]'])
    assert lists.grid.configurations[0].settings["activation"][1] == {"name": "prelu", "slope": 0.2}


def test_a_loss_with_a_parameter_is_a_table_and_others_are_names(tiny):
    changes = ('activation = ["relu", "tanh"]', 'loss = ["mse", "huber", { name = "huber", delta = 2 }]')
    study = spec.load(str(tiny(changes)))
    columns = {each.levels["loss"]: each.columns.get("loss.delta") for each in study.grid.configurations}
    assert columns == {"mse": None, "huber": 1.0, "huber delta=2": 2.0}
    assert {each.settings["output"] for each in study.grid.configurations} == {"sigmoid"}
    deltas = spec.load(str(tiny(("epochs = 3", 'epochs = 3\nloss = "huber"'), (changes[0], '"loss.delta" = [0.5, 1]'))))
    assert [each.settings["loss"]["delta"] for each in deltas.grid.configurations] == [0.5, 0.5, 1.0, 1.0]
    assert deltas.grid.baseline["loss.delta"] == "1"
