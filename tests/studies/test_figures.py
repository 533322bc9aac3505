"""Pictures: which are drawn, and what is in them."""

import io
import re
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import studies
from studies import api
from studies.analysis.tables import _rounded, of_reading
from studies.errors import UserError
from studies.show import figures, tables
from studies.show.figures import functions, grid, style
from studies.show.figures.page import fit
from studies.show.figures.style import drawing
from studies.spec import spec
from studies.spec.components import ACTIVATIONS

ALL = {"models", "seeds", "curves", "learning", "activations", "data"}
FACTORIAL = {"grid", "levels", "effects", "interactions"}
COMPARING = {*FACTORIAL, "ladder", "matrix", "budget", "compared"}
ONE_OPTIMIZER = ('optimizer = [{ name = "sgd", lr = 0.1 }, { name = "adam", lr = 0.01 }]', "")
NO_GRID = (
    '[[grid]]\nactivation = ["relu", "tanh"]\noptimizer = [{ name = "sgd", lr = 0.1 }, { name = "adam", lr = 0.01 }]',
    "",
)
HOLES = ("[[grid]]", '[[exclude]]\nactivation = "tanh"\noptimizer = "adam lr=0.01"\n[[grid]]\ninit = ["he", "xavier"]')
SEVEN = ('["relu", "tanh"]', '["relu", "tanh", "elu", "selu", "sigmoid", "leaky_relu", "prelu"]')
NO_BASELINE = ("[[grid]]", '[[exclude]]\nactivation = "tanh"\noptimizer = "sgd lr=0.1"\n[[grid]]')
NO_TEST = ("test_samples = 40", "test_samples = 0")
NO_FOLDS = ("folds = 3", "folds = 0")
SHAPES = {
    "one factor, no folds": ([ONE_OPTIMIZER, NO_FOLDS], (ALL | COMPARING) - FACTORIAL),
    "no factor, no test set": ([NO_GRID, NO_TEST], ALL - {"activations"}),
    "many, with holes": ([SEVEN, HOLES], (ALL | COMPARING) - {"learning", "compared"}),
}

# Studies by what makes a picture of theirs mean something, with that picture, or nothing, so that it does not.
MEANINGS = {
    "grid": ([], [ONE_OPTIMIZER]),
    "levels": ([], [ONE_OPTIMIZER]),
    "effects": ([], [ONE_OPTIMIZER]),
    "interactions": ([], [ONE_OPTIMIZER]),
    "ladder": ([], [NO_BASELINE]),
    "matrix": ([], [NO_GRID]),
    "budget": ([], [NO_GRID]),
    "curves": ([], [("history_every = 1", "history_every = 0")]),
    "compared": ([], [NO_GRID]),
    "learning": ([], [SEVEN]),
    "gradients": ([("epochs = 3", "epochs = 3\ngradient_norms = true")], []),
    "activations": ([], [('["relu", "tanh"]', '["relu"]')]),
    "schedules": ([("epochs = 3", 'epochs = 3\nschedule = "cosine"')], []),
    "data": ([], [('"disk"', '"iris"'), ("samples = 60\n", "")]),
    "points": ([("epochs = 3", "epochs = 3\nkeep_predictions = true")], []),
}

RICH = """
title = "Rich"
[data]
name = "disk"
samples = 60
test_samples = 40
[validation]
folds = 0
repeats = 2
[base]
hidden = [4, 4]
batch_size = 16
epochs = 4
history_every = 1
gradient_norms = true
keep_predictions = true
[[grid]]
activation = ["relu", "tanh"]
model = [
  { label = "MSE", loss = "mse", outputs = "single", output = "linear", decision = "round" },
  { label = "BCE", loss = "bce", outputs = "single" },
  { label = "CE", optimizer = { name = "sgd", lr = 1e9 } },
]
schedule = ["constant", { name = "step", every = 2 }]
[reading.tested]
primary = true
[reading.folded]
data = { test_samples = 0, resample = true }
validation = { folds = 3 }
[reading.held_out]
data = { test_samples = 0, validation_samples = 30 }
[reading.pool]
data = { test_samples = 0, noise = 0.2 }
"""


@pytest.mark.parametrize(("changes", "expected"), SHAPES.values(), ids=SHAPES)
def test_every_shape_of_study_has_its_pictures(tiny, tmp_path, changes, expected):
    path = tiny(*changes)
    studies.run(path, results=tmp_path / "r", jobs=1)
    study = spec.load(str(path))
    outcome = figures.draw_study(study, api.tables_of(study, tmp_path / "r"), tmp_path / "f")
    assert set(outcome) == expected
    for name in {name for name in expected if isinstance(outcome[name], Path)}:
        pixels = matplotlib.image.imread(tmp_path / "f" / f"{name}.png")
        assert min(pixels.shape[:2]) > 150
        assert pixels[..., :3].std() > 0.01


@pytest.mark.parametrize(("name", "changes"), MEANINGS.items(), ids=MEANINGS)
def test_a_picture_is_drawn_only_where_it_means_something(tiny, name, changes):
    applies = figures.PICTURES[name].applies
    assert [applies(spec.load(str(tiny(*each)))) for each in changes] == [True, False]


def test_committed_tables_are_enough_and_what_is_missing_is_said(tiny, tmp_path):
    path = tiny(("epochs = 3", "epochs = 3\nkeep_predictions = true"))
    studies.run(path, results=tmp_path / "r", jobs=1)
    for name in ("trials", "history", "predictions"):
        (tmp_path / "r" / "tiny" / f"{name}.csv").unlink()
    study = spec.load(str(path))
    predictions = api.rows_of(study, tmp_path / "r").predictions
    without = dict.fromkeys(("curves", "pairs", "values", "budget"), pd.DataFrame())
    outcome = figures.draw_study(study, {**api.tables_of(study, tmp_path / "r"), **without}, tmp_path / "f", predictions)
    assert outcome["curves"] == "not drawn: curves.csv is not there, as before a run of the study, or says nothing of it"
    assert outcome["points"] == "not drawn: predictions.csv is not there, as before a run of the study, or says nothing of it"
    assert outcome["matrix"] == "not drawn: pairs.csv is not there, as before a run of the study, or says nothing of it"
    drawn = {name for name, path in outcome.items() if path == tmp_path / "f" / f"{name}.png"}
    assert drawn - {"interactions"} == {"grid", "levels", "models", "effects", "ladder", "activations", "data"}


def test_the_heat_map_of_the_ablation_is_wide_with_optimizers_along_rows():
    rows, columns = grid.layout(spec.load("ablation").grid.levels)
    assert rows[-1] == "optimizer"
    assert set(rows) | set(columns) == {"activation", "loss", "init", "batchnorm", "optimizer"}


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    """A study of four readings with all there is to draw: the study, its results folder, and its rows."""
    folder = tmp_path_factory.mktemp("rich")
    (folder / "rich.toml").write_text(RICH)
    study = spec.load(str(folder / "rich.toml"))
    return study, folder, studies.run(study, results=folder, jobs=1)


@pytest.fixture(scope="module")
def draw(rich):
    """Draws one picture of one reading of the rich study, and returns the figure."""
    study, folder, _ = rich
    found = {**api.tables_of(study, folder), "predictions": api.rows_of(study, folder).predictions}

    def picture(name, reading="tested", **changed):
        (own,) = (each for each in study.readings if each.reading == reading)
        return figures.PICTURES[name].figure(own, {**of_reading(found, own), **changed})

    return picture


def test_readings_have_folders_of_their_own(tiny, tmp_path):
    path = tiny(NO_GRID, ("folds = 3", "folds = 3\n[reading.one]\nprimary = true\n[reading.two]\ndata = { test_samples = 0 }"))
    studies.run(path, results=tmp_path / "r", jobs=1)
    study = spec.load(str(path))
    outcome = figures.draw_study(study, api.tables_of(study, tmp_path / "r"), tmp_path / "f")
    assert outcome["models"] == tmp_path / "f" / "models.png"
    assert outcome["two/models"] == tmp_path / "f" / "two" / "models.png"
    assert set(outcome) == {*(ALL - {"activations"}), "two/models", "two/learning"}


def test_a_reading_without_test_rows_is_judged_on_its_own(draw):
    labels = [text.get_text() for text in draw("models", "folded").axes[0].get_legend().get_texts()]
    assert labels == ["training error", "validation error"]
    assert "reading: folded" in draw("models", "folded").get_suptitle()


def test_far_worse_models_are_shown_apart(draw, rich):
    summary = of_reading(api.tables_of(rich[0], rich[1]), rich[0])["summary"]
    together = draw("models", summary=summary.assign(test_mean=np.arange(12) + 20.0))
    assert [ax.get_title(loc="left") for ax in together.axes] == ["All configurations"]
    means = [2.0] * 10 + [10.0, 10.1]  # five times the median, and more
    most, apart = draw("models", summary=summary.assign(test_mean=means)).axes
    assert most.get_title(loc="left") == "11 of 12 configurations"
    assert apart.get_title(loc="left") == "Shown apart: 1 of 12, whose mean is over 5 times the median"
    assert [text.get_text() for text in apart.get_yticklabels()] == [summary["label"].iloc[-1]]
    assert len(draw("models", summary=summary.assign(test_mean=[0.0] * 10 + [1.0, 2.0])).axes) == 1


def test_configurations_are_compared_loss_by_loss(draw):
    figure = draw("compared", "folded")
    losses, errors = figure.axes[:3], figure.axes[3:]
    assert [ax.get_title(loc="left") for ax in losses] == ["loss = mse", "loss = bce", "loss = cross_entropy"]
    assert [len(ax.get_lines()) for ax in [*losses, *errors]] == [4] * 6
    assert {ax.get_yscale() for ax in losses} == {"log"}
    assert errors[0].get_ylabel() == "validation error in %"
    assert [text.get_text() for text in errors[1].get_legend().get_texts()] == [
        f"{activation} | BCE | {schedule}" for activation in ("relu", "tanh") for schedule in ("constant", "step every=2")
    ]


@pytest.mark.parametrize("name", ["compared", "learning", "levels"])
def test_a_narrow_picture_has_its_legends_whole_and_beside_nothing(tiny, tmp_path, name):
    model = 'model = [{ label = "MSE", loss = "mse", outputs = "single", output = "linear", decision = "round" }, "CE"]'
    path = tiny((ONE_OPTIMIZER[0], model.replace('"CE"', '{ label = "CE", loss = "cross_entropy" }')))
    studies.run(path, results=tmp_path / "r", jobs=1)
    study = spec.load(str(path))
    with drawing(width=3.3):
        figure = figures.PICTURES[name].figure(study, api.tables_of(study, tmp_path / "r"))
        assert fit(figure, 3.3) == ""
        figure.draw_without_rendering()
        legends = [*figure.legends, *(ax.get_legend() for ax in figure.axes if ax.get_legend())]
        boxes = [legend.get_window_extent() for legend in legends]
        texts = [text.get_window_extent() for text in (figure._supxlabel, figure._suptitle) if text and text.get_text().strip()]
        panels = [ax.get_window_extent() for ax in figure.axes]
        lines = figure._supxlabel.get_text().rstrip("\n").count("\n") + 1
    assert legends
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.width and box.y0 >= 0 for box in boxes)
    height = 1.4 * figure._supxlabel.get_fontsize() * figure.dpi / 72
    caption = texts[0].from_extents(texts[0].x0, texts[0].y1 - lines * height, texts[0].x1, texts[0].y1)  # without empty lines
    assert not any(box.overlaps(other) for box in boxes for other in [caption, *panels])
    assert figure.get_figheight() < 10


def test_pictures_of_a_reading_that_became_another_are_removed(tiny, tmp_path, call):
    readings = "folds = 3\n[reading.one]\nprimary = true\n[reading.two]\ndata = { test_samples = 0 }"
    path = tiny(NO_GRID, ("folds = 3", readings))
    studies.run(path, results=tmp_path / "r", jobs=1)
    folder = tmp_path / "f" / "tiny" / "two"
    folder.mkdir(parents=True)
    (folder / "seeds.png").write_bytes(b"of when it was the primary reading")
    (folder / "mine.png").write_bytes(b"a user's")
    done = call("figures", path, "--results", tmp_path / "r", "--figures", tmp_path / "f", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert {each.name for each in folder.iterdir()} == {"models.png", "learning.png", "mine.png"}


def test_learning_is_by_set_with_a_mark_at_the_smallest_validation_loss(tiny, tmp_path):
    path = tiny(ONE_OPTIMIZER)
    studies.run(path, results=tmp_path / "r", jobs=1)
    study = spec.load(str(path))
    found = api.tables_of(study, tmp_path / "r")
    curves = found["curves"].query("factor == 'label'")
    curves.loc[(curves["level"] == "tanh") & (curves["epoch"] == 2), "val_loss_q50"] = 0.001
    figure = figures.PICTURES["learning"].figure(study, {**found, "curves": curves})
    assert [ax.get_title() for ax in figure.axes[:2]] == ["relu", "tanh"]
    assert figure.axes[0].get_yscale() == "log"
    *lines, mark = figure.axes[1].get_lines()
    assert [line.get_label() for line in lines] == ["training set", "validation set", "test set"]
    assert mark.get_xdata() == [2, 2]
    own = curves[curves["level"] == "tanh"]
    np.testing.assert_array_equal(lines[2].get_ydata(), own["test_loss_q50"])
    np.testing.assert_array_equal(figure.axes[3].get_lines()[0].get_ydata(), own["train_error_q50"])


def test_gradients_are_by_layer_before_and_after_training(draw, rich):
    figure = draw("gradients")
    assert len(figure.axes) == 2 * 6  # moments, and models x schedules; lines are activations
    norms = api.tables_of(rich[0], rich[1])["gradients"].query("reading == 'tested' and label == 'tanh | BCE | constant'")
    title = "model\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}BCE, schedule\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}constant"
    (before,) = (ax for ax in figure.axes if ax.get_title() == title)
    np.testing.assert_array_equal(before.get_lines()[1].get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(before.get_lines()[1].get_ydata(), norms[norms["epoch"] == 0]["norm_q50"])
    after = figure.axes[figure.axes.index(before) + 2]
    np.testing.assert_array_equal(after.get_lines()[1].get_ydata(), norms[norms["epoch"] == 4]["norm_q50"])


def test_a_gradient_of_0_is_on_the_axis(draw, rich):
    table = api.tables_of(rich[0], rich[1])["gradients"].query("reading == 'tested'").fillna(1.0)
    columns = ["norm_q25", "norm_q50", "norm_q75"]
    assert draw("gradients", gradients=table.assign(**dict.fromkeys(columns, 3e-5))).axes[0].get_yscale() == "log"
    table = table.assign(**dict.fromkeys(columns, 3e-5))
    table.loc[table["layer"] == 1, columns] = 0.0
    ax = draw("gradients", gradients=table).axes[0]
    assert ax.get_yscale() == "symlog"
    assert ax.get_ylim()[0] == 0


def test_small_losses_and_norms_survive_the_tables(rich, tmp_path):
    study, folder, _ = rich
    found = api.tables_of(study, folder)
    gradients = found["gradients"].assign(norm_q50=1.23456789e-9)
    rounded = {**found, "gradients": _rounded("gradients", gradients)}
    tables.write_tables(study, rounded, tmp_path, api.rows_of(study, folder))
    assert (tables.read_tables(study, tmp_path)["gradients"]["norm_q50"] == 1.23457e-9).all()


def test_schedules_are_the_framework_s(draw):
    (ax,) = draw("schedules").axes
    rates = {line.get_label(): line.get_ydata() for line in ax.get_lines()}
    assert list(rates["lr=0.1, step factor=0.5 every=2"]) == [0.1, 0.1, 0.05, 0.05]
    assert list(rates["lr=1e+09, constant"]) == [1e9] * 4
    assert len(rates) == 4
    assert ax.get_yscale() == "log"


def test_data_are_the_rows_by_class(draw):
    training, test = draw("data").axes
    assert training.get_title() == "training pool: 60 points"
    assert sum(len(line.get_xdata()) for line in test.get_lines()) == 40
    assert len(draw("data", "held_out").axes) == 2
    _no_class_crosses_the_circle(test)


@pytest.mark.parametrize(("reading", "judged"), [("tested", "test"), ("folded", "val"), ("held_out", "val"), ("pool", "train")])
def test_crosses_are_the_errors_of_the_first_model_of_each_configuration(draw, rich, reading, judged):
    truth, *others = draw("points", reading).axes
    assert len(others) == 4  # of twelve
    first = rich[2].query(f"reading == '{reading}' and repeat == 0 and fold == 0").set_index("label")
    for ax in others:
        *title, _ = ax.get_title().replace("\N{NO-BREAK SPACE}", " ").split("\n")
        (crosses,) = (line for line in ax.get_lines() if line.get_marker() == "x")
        row = first.loc[" ".join(title)]
        assert len(crosses.get_xdata()) == row[f"{judged}_errors"]
        assert sum(len(line.get_xdata()) for line in ax.get_lines()) - len(crosses.get_xdata()) == row[f"n_{judged}"]
    if reading != "pool":  # whose labels are noisy
        _no_class_crosses_the_circle(truth)


def _no_class_crosses_the_circle(ax):
    inside, outside = (
        np.hypot(*(np.stack(line.get_data()) - 0.5)) < ax.patches[0].radius
        for label in ("class 1", "class 0")
        for line in ax.get_lines()
        if line.get_label() == label
    )
    assert inside.all()
    assert not outside.any()


def test_labels_break_between_levels():
    assert style.in_lines("one two | three four", 12).split("\n") == [
        "one\N{NO-BREAK SPACE}two\N{NO-BREAK SPACE}|",
        "three\N{NO-BREAK SPACE}four",
    ]
    assert style.in_lines("a level longer than a line", 12) == "a level\nlonger than\na line"


@pytest.fixture(scope="module")
def effects():
    """Effects of the rich study as if they had been found: one pair that surely matters, one that may, one that is small."""
    pairs = {"model": (60.0, 50.0, 70.0), "activation x model": (20.0, 15.0, 25.0), "model x schedule": (9.0, 0.5, 15.0)}
    pairs |= {"activation x schedule": (0.4, 0.2, 0.6)}
    table = pd.DataFrame.from_dict(pairs, orient="index", columns=["share_pct", "share_ci_low_pct", "share_ci_high_pct"])
    table["share_p"] = [0.001, 0.01, 0.2, 0.01]
    for kind in ("log_share", "working_share"):
        table = table.assign(**{f"{kind}_{end}": table[f"share_{end}"] / 2 for end in ("pct", "ci_low_pct", "ci_high_pct")})
        table[f"{kind}_p"] = table["share_p"]
    table.loc[["model", "activation x model"], "working_share_pct"] = np.nan
    told = {"interval": "95% t interval over repeats", "method": "exact", "working_method": "model fit"}
    table = table.rename_axis("effect").reset_index().assign(**told)
    table.loc[table["effect"] == "model", "working_method"] = "one level"
    return table


def test_effects_are_sorted_with_what_cannot_be_told_said(draw, effects):
    figure = draw("effects", effects=effects[::-1])
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == list(effects["effect"])
    # filled where p is below 5%, then hollow
    np.testing.assert_allclose(_shown(figure.axes[0]), [60, 20, 0.4, 9])
    np.testing.assert_allclose(_shown(figure.axes[1]), [30, 10, 0.2, 4.5])
    filled, hollow = (line for line in figure.axes[0].get_lines() if line.get_marker() == "o")
    assert (len(filled.get_xdata()), list(hollow.get_xdata())) == (3, [9])
    assert filled.get_markerfacecolor() != hollow.get_markerfacecolor() == "w"
    assert [text.get_text() for text in figure.axes[2].texts] == ["one level", "all equal"]


def test_interactions_are_of_pairs_that_surely_matter(draw, effects, rich):
    figure = draw("interactions", effects=effects)
    (ax,) = figure.axes
    assert ax.get_title(loc="left") == "model x activation: 20.0% of the variance [15.0, 25.0]"
    summary = of_reading(api.tables_of(rich[0], rich[1]), rich[0])["summary"]
    lines = {line.get_label(): line.get_ydata() for line in ax.get_lines()}
    expected = [summary.query("activation == 'tanh' and model == @model")["test_mean"].mean() for model in ("MSE", "BCE", "CE")]
    np.testing.assert_allclose(lines["tanh"], expected)
    assert len(lines) == 2
    without = draw("interactions", effects=effects.assign(share_ci_low_pct=np.nan, share_ci_high_pct=np.nan))
    assert without.axes[0].get_title(loc="left") == "model x activation: 20.0% of the variance"
    reason = draw("interactions", effects=effects[effects["effect"] != "activation x model"])
    assert reason == "not drawn: no pair of factors is shown to explain 1% of the variance or more"


def test_the_ladder_marks_what_is_more_than_chance(draw):
    rows = [
        ("baseline", None, None, "start", 5.0, None, None),
        ("one at a time", "activation", "tanh", "x", 3.0, -2.0, 0.01),
        ("one at a time", "model", "CE", "y", 5.5, 0.5, 0.8),
        ("best", None, None, "x", 3.0, -2.0, 0.01),
        ("leave one out", "activation", "relu", "start", 5.0, 2.0, 0.01),
    ]
    table = pd.DataFrame(rows, columns=["kind", "factor", "level", "label", "test_mean", "change", "p_adjusted"])
    table = table.assign(change_ci_low=table["change"] - 1, change_ci_high=table["change"] + 1)
    changed, left_out = draw("ladder", ladder=table).axes
    assert [text.get_text() for text in changed.get_yticklabels()] == ["activation = tanh", "model = CE"]
    assert "5.00%" in changed.get_title(loc="left")
    filled, hollow = (line for line in changed.get_lines() if line.get_marker() == "o")
    assert (list(filled.get_xdata()), list(hollow.get_xdata())) == ([-2], [0.5])
    assert filled.get_markerfacecolor() != hollow.get_markerfacecolor() == "w"
    assert _shown(left_out) == [2]
    reason = draw("ladder", ladder=table[table["kind"].isin(["baseline", "best"])])
    assert reason == "not drawn: the grid has no configuration that is one change away from the baseline or the best"


def test_the_matrix_is_each_row_less_each_column(draw, rich):
    summary = of_reading(api.tables_of(rich[0], rich[1]), rich[0])["summary"]
    one, two, three = summary["config"][:3]
    pairs = pd.DataFrame(
        [(two, one, 0.25, 0.5), (three, one, 2.0, 0.001), (three, two, np.nan, np.nan)],
        columns=["config", "other", "difference", "p_adjusted"],
    )
    ax = draw("matrix", pairs=pairs).axes[0]
    cells = {text.get_position(): (text.get_text(), text.get_weight()) for text in ax.texts}
    assert cells == {(0.5, 1.5): ("0.25", "normal"), (0.5, 2.5): ("2.00*", "bold")}
    assert [label.get_text().partition("  ")[0] for label in ax.get_yticklabels()][1:] == list(summary["label"][1:3])


def test_every_value_lies_under_its_mean(draw, rich):
    found = of_reading(api.tables_of(rich[0], rich[1]), rich[0])
    (ax,) = draw("seeds").axes
    order = found["summary"].sort_values("test_mean", kind="stable")
    assert [text.get_text() for text in ax.get_yticklabels()] == list(order["label"])
    points = [line.get_xdata() for line in ax.get_lines() if line.get_marker() == "."]
    np.testing.assert_allclose([each.mean() for each in points], order["test_mean"])
    assert [len(each) for each in points] == [2] * 12
    levels = draw("seeds", values=found["values"][found["values"]["factor"] != "label"])
    assert [ax.get_title(loc="left") for ax in levels.axes] == ["activation", "model", "schedule"]


def test_a_budget_starts_with_the_first_epoch(draw, rich):
    table = of_reading(api.tables_of(rich[0], rich[1]), rich[0])["budget"]
    activation, model, schedule = draw("budget").axes[:3]
    assert [ax.get_title(loc="left") for ax in (activation, model, schedule)] == ["activation", "model", "schedule"]
    line = next(line for line in model.get_lines() if line.get_label() == "BCE")
    own = table.query("factor == 'model' and level == 'BCE' and epoch > 0")
    np.testing.assert_array_equal(line.get_xdata(), own["epoch"])
    np.testing.assert_array_equal(line.get_ydata(), own["test_value"])


def _shown(ax):
    """The values of a dot plot, from the top."""
    return [value for line in ax.get_lines() if line.get_marker() in "osD" for value in line.get_xdata() if np.isfinite(value)]


def test_the_picture_of_activations_has_a_panel_for_each_of_the_table(tiny):
    names = [name for name in ACTIVATIONS if name != "softmax"]
    levels = ", ".join([*map(repr, names), '{ name = "leaky_relu", slope = 0.3 }'])
    study = spec.load(str(tiny(('["relu", "tanh"]', f"[{levels}]"))))
    figure = functions.activations(study, None)
    panels = {ax.get_title(): ax.get_lines() for ax in figure.axes if ax.get_lines()}
    assert list(panels) == [*names, "leaky_relu slope=0.3"]
    for value, slope in panels.values():
        x, y = value.get_data()
        inside = abs(np.diff(y, 2)) < 1e-2  # off the corners
        middle = (slope.get_ydata()[1:-1])[inside]
        assert middle == pytest.approx(((y[2:] - y[:-2]) / (x[2:] - x[:-2]))[inside], abs=0.02)


def test_an_activation_that_raises_has_a_panel_that_says_so_and_a_page(tiny, tmp_path, monkeypatch):
    def refuse(*_):
        raise ValueError("no slope")

    studies.run(tiny(), results=tmp_path, jobs=1)
    monkeypatch.setattr(functions, "make", refuse)
    study = spec.load(str(tiny()))
    figure = functions.activations(study, None)
    assert all("ValueError" in ax.texts[0].get_text() for ax in figure.axes)
    assert api.write_report(study, tmp_path, tmp_path / "figures").read_text().count("<img") >= 10


@pytest.mark.parametrize("kind", ["png", "pdf", "svg"])
def test_pictures_for_a_page_are_no_wider_than_it_and_the_same_bytes_again(tiny, tmp_path, kind):
    path = tiny(("history_every = 1", "history_every = 0"), ONE_OPTIMIZER, NO_FOLDS)  # few pictures
    studies.run(path, results=tmp_path, jobs=1)
    study = spec.load(str(path))
    drawn = [api.draw(study, tmp_path, tmp_path / place, kind, 3.3) for place in ("one", "other")]
    assert drawn[0].keys() >= {"models", "seeds", "activations"}
    for name, picture in drawn[0].items():
        if isinstance(picture, Path):
            content = picture.read_bytes()
            assert picture.suffix == f".{kind}"
            assert content == drawn[1][name].read_bytes()
            assert _inches_across(content, kind) <= 3.31, name


def _inches_across(content, kind):
    if kind == "png":
        with Image.open(io.BytesIO(content)) as picture:
            return picture.width / 300
    pattern = rb"/MediaBox \[ 0 0 ([\d.]+)" if kind == "pdf" else rb'width="([\d.]+)pt"'
    return float(re.search(pattern, content)[1]) / 72


@pytest.mark.parametrize(("kind", "width"), [("gif", 3.3), ("png", 0.5), ("png", float("nan"))], ids=["gif", "small", "nan"])
def test_pictures_of_other_forms_are_refused(tiny, tmp_path, kind, width):
    with pytest.raises(UserError, match="pictures are png, pdf, svg, of a width from 1 inch"):
        api.draw(spec.load(str(tiny())), tmp_path, tmp_path, kind, width)


def test_a_picture_carries_what_it_was_made_from(tiny, tmp_path):
    notes = []
    for epochs in ("epochs = 3", "epochs = 2"):
        path = tiny(("epochs = 3", epochs), ("history_every = 1", "history_every = 0"), ONE_OPTIMIZER, NO_FOLDS)
        studies.run(path, results=tmp_path, jobs=1)
        drawn = api.draw(spec.load(str(path)), tmp_path, tmp_path / "figures")
        with Image.open(drawn["models"]) as picture:
            notes.append(picture.text["Source"])
    assert all(re.fullmatch(r"tiny, error; spec \w{16}; tables \w{16}", note) for note in notes)
    assert notes[0] != notes[1]


def test_a_legend_beside_the_panels_is_clear_of_a_title_as_wide_as_the_picture():
    figure = style.new_figure(5, 4)
    (line,) = figure.subplots().plot([0, 1])
    style.titled(figure, "A title that goes on until the end of a line, and further")
    style.legend_beside(figure, [line], ["a label of some length"])
    figure.canvas.draw()
    (legend,) = figure.legends
    assert not legend.get_window_extent().overlaps(figure._suptitle.get_window_extent())
