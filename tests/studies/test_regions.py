import math
import os
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib import pyplot
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

import framework as fw
import studies.show
from studies import cli
from studies.data import generators, splits
from studies.errors import UserError
from studies.plan import plan
from studies.seeds import seed_for
from studies.show import regions
from studies.spec import spec
from studies.train import engines, runner

EVERY_OTHER = ("history_every = 1", "history_every = 2")


def longer(settings=""):
    return ("epochs = 3", f"epochs = 4\n{settings}")


def watched(study, key=None, **options):
    """The history of a trial that trains under the eyes of a picture, and its crosses by epoch."""
    shown = regions.scene(study, key, **options)
    picture, crosses = regions.Regions(Figure(), shown), {}

    def observe(epoch, model):
        picture.update(epoch, model)
        (crosses[epoch],) = {len(line.get_xdata()) for line in picture.wrong}

    return regions.train_scene(shown, observe)["history"], crosses


def recorded(study):
    """The records of all trials by key, as a run has them."""
    records = [record for stack in engines.plan_units(study, plan.trials(study), jobs=1) for record in runner.train_unit(stack)]
    return {record["trial"]: record for record in records}


KINDS = {
    "argmax": [longer()],
    "threshold": [longer('loss = "mse"\noutputs = "single"')],
    "round": [longer('loss = "mse"\noutputs = "single"\noutput = "linear"\ndecision = "round"')],
    "batch norm and dropout": [longer('batchnorm = "affine"\ndropout = 0.2')],
    "diverged": [longer('loss = "mse"\noutput = "linear"'), ("lr = 0.1", "lr = 1e30")],
    "raw inputs": [longer(), ("test_samples", 'normalize = "none"\ntest_samples')],
}


@pytest.mark.parametrize("changes", KINDS.values(), ids=KINDS)
def test_a_watched_trial_has_the_bits_of_the_recorded_one_and_a_cross_for_each_of_its_errors(tiny, changes):
    study = spec.load(str(tiny(EVERY_OTHER, *changes)))
    records = recorded(study)
    for key in list(records)[::5]:
        record = records[key]["history"]
        for name, short in (("validation", "val"), ("test", "test"), ("train", "train")):
            history, crosses = watched(study, key, on=name)
            assert list(crosses) == history["epoch"] == [0, 1, 2, 3, 4]
            assert np.array_equal(history[f"{short}_loss"][::2], record[f"{short}_loss"], equal_nan=True)
            assert [crosses[epoch] for epoch in record["epoch"]] == record[f"{short}_errors"]


def test_fewer_epochs_are_the_first_of_the_training(tiny):
    study = spec.load(str(tiny(longer())))
    whole, _ = watched(study)
    short, _ = watched(study, epochs=2)
    assert short["epoch"] == [0, 1, 2]
    for name, values in short.items():
        assert values == whole[name][:3]


@pytest.mark.parametrize(("epochs", "frames"), [(3, 4), (60, 61), (200, 51)])
def test_there_are_about_sixty_frames(tiny, epochs, frames):
    settings = regions.scene(spec.load(str(tiny(("epochs = 3", f"epochs = {epochs}"))))).trial.configuration.settings
    assert 1 + math.ceil(epochs / settings["history_every"]) == frames


def test_the_first_trial_of_the_primary_reading_and_its_validation_set_are_the_default(tiny):
    readings = ("[[grid]]", "[reading.other]\n[reading.chosen]\nprimary = true\nbase = { hidden = [5] }\n[[grid]]")
    study = spec.load(str(tiny(readings)))
    shown = regions.scene(study)
    assert shown.trial.key == plan.trials(study)[0].key
    assert (shown.trial.reading, shown.on) == ("chosen", "validation")
    other = plan.trials(study)[-1]
    assert regions.scene(study, other.key[:8]).trial.reading == "other"


def test_a_border_lies_at_its_raw_coordinate(tiny):
    """A model that says 1 where the normalised first input is above 1, so one sd above the mean of the training rows."""
    study = spec.load(str(tiny()))
    shown = regions.scene(study)
    figure = Figure()
    model = fw.Sequential(fw.Linear(2, 2))
    model.layers[0].weight[0, 1, 0], model.layers[0].bias[0, 1] = 1.0, -1.0
    regions.Regions(figure, shown).update(0, model)
    pool = generators.disk(60, np.random.default_rng(seed_for(0, "data", 0)))
    kept, _ = splits.folds(pool, study.validation, 0, 0)[0]
    first = pool.inputs[kept, 0]
    borders = [drawn for drawn in figure.axes[0].collections if not drawn.filled]
    assert len(borders) == 2  # of either class
    for border in borders:
        x = np.concatenate([path.vertices for path in border.get_paths()])[:, 0]
        assert np.allclose(x, first.mean() + first.std(), atol=1e-6)
    points = np.concatenate([line.get_xydata() for line in figure.axes[0].lines])
    assert {tuple(point) for point in points} == {tuple(row) for row in np.delete(pool.inputs, kept, 0)}


MARGINS = {
    "argmax": ([[1, 2, 5, np.nan, np.inf], [3, 2, 1, 0, 0], [2, 2, 5, 0, np.inf]], [1, 0, 0, 0, 0]),
    "threshold": ([[0.4, 0.5, 0.6, np.nan, np.inf]], [0, 0, 1, 0, 0]),
    "round": ([[0.4, 0.5, 0.6, 1.5, -0.6, np.nan]], [0, 0, 1, 2, -1, 0]),
}


@pytest.mark.parametrize("decision", MARGINS)
def test_a_margin_is_positive_for_the_decided_class_only(decision):
    output, labels = map(np.array, MARGINS[decision])
    margins = regions._margins(output, labels, decision)
    assert np.isfinite(margins).all()
    assert np.array_equal(margins > 0, labels == np.arange(max(len(output), 2))[:, None])


def test_three_classes_of_a_file_have_three_regions(tiny, tmp_path):
    corners = {(0, 0): "a", (10, 0): "b", (0, 2000): "c"}
    rows = [(x + i % 5, y + 100 * (i % 7), kind) for (x, y), kind in corners.items() for i in range(40)]
    (tmp_path / "corners.csv").write_text("\n".join(["x,y,kind", *(",".join(map(str, row)) for row in rows)]))
    path = tiny(
        ('"disk"', '"csv"\npath = "corners.csv"\ntarget = "kind"'), ("epochs = 3", "epochs = 40"), ("lr = 0.1", "lr = 1")
    )
    shown = regions.scene(spec.load(str(path)))
    figure = Figure()
    regions.train_scene(shown, regions.Regions(figure, shown).update)
    assert figure.axes[0].get_title(loc="left").startswith("epoch 40: 0 of ")
    assert sum(drawn.filled for drawn in figure.axes[0].collections) == 3


WRONG = {
    "unknown trial": ([], {"key": "xyz"}, r"a trial is given as its key in trials.csv.*'xyz' fits none"),
    "ambiguous trial": ([], {"key": ""}, "'' fits 12, [0-9a-f]{16} and [0-9a-f]{16} among them"),
    "four features": ([("disk", "iris")], {}, "iris has 4 features; choose data of two"),
    "no validation set": ([("folds = 3", "folds = 0")], {"on": "validation"}, "test or train: 'validation' was given"),
    "no test set": ([("test_samples = 40", "test_samples = 0")], {"on": "test"}, "validation or train: 'test' was given"),
    "too many epochs": ([], {"epochs": 4}, "up to its last epoch, 3: 4 was given"),
    "cosine": ([("[[grid]]", 'schedule = "cosine"\n[[grid]]')], {"epochs": 2}, "depends on the number of epochs, 3: 2 were"),
    "judged by the batch": (
        [("[[grid]]", 'batchnorm = { evaluate = "batch" }\n[[grid]]')],
        {},
        "judge each point alone: batchnorm.evaluate = 'batch' is given",
    ),
}


@pytest.mark.parametrize(("changes", "options", "message"), WRONG.values(), ids=WRONG)
def test_wrong_input_says_what_is_allowed(tiny, changes, options, message):
    study = spec.load(str(tiny(*changes)))
    with pytest.raises(UserError, match=message):
        regions.scene(study, **options)


def test_a_window_follows_the_training_and_may_be_closed(tiny, monkeypatch):
    """With a canvas that only claims to be a window."""
    study = spec.load(str(tiny(longer())))
    titles = []

    def pause(seconds):
        titles.append((pyplot.gcf().axes[0].get_title(loc="left").partition(":")[0], seconds))
        if close_after == len(titles):
            pyplot.close()

    pyplot.switch_backend("agg")
    monkeypatch.setattr(FigureCanvasAgg, "required_interactive_framework", "pretended", raising=False)
    monkeypatch.setattr(pyplot, "pause", pause)
    close_after = None
    assert regions.live(study)
    assert [title for title, _ in titles] == [f"epoch {epoch}" for epoch in range(5)]
    assert [seconds > 1 for _, seconds in titles] == [False, False, False, False, True]
    titles.clear()
    close_after = 2
    assert regions.live(study)
    assert len(titles) == 2
    assert pyplot.get_fignums() == []


def test_animate_as_a_command_and_the_same_bytes_again(call, tiny, tmp_path):
    path = tiny()
    study = spec.load(str(path))
    trial = plan.trials(study)[7].key
    called = call("animate", path, trial[:9], "--epochs", 2, "--on", "train", "--figures", "f", cwd=tmp_path)
    assert (called.returncode, called.stderr) == (0, "")
    first, second = called.stdout.splitlines()
    assert first == "f/tiny/regions-train-2.gif: 3 frames, epochs 0 to 2"
    assert second.startswith("f/tiny/regions-train-2.png: epoch 2: ")
    written = tmp_path / "f" / "tiny"
    assert sorted(file.name for file in written.iterdir()) == ["regions-train-2.gif", "regions-train-2.png"]
    with Image.open(written / "regions-train-2.gif") as animation:
        assert animation.n_frames == 3
        animation.seek(2)
        assert animation.info["duration"] > 1500
    with Image.open(written / "regions-train-2.png") as still:
        assert min(still.size) > 1500
        assert not still.text
    for file in regions.animate(regions.scene(study, trial, epochs=2, on="train"), tmp_path / "again"):
        assert file.read_bytes() == (written / file.name).read_bytes()


def test_without_a_display_a_live_run_says_so_and_goes_on(tiny, tmp_path):
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    command = [sys.executable, "-m", "studies", "run", str(tiny()), "--live", "-j", "1"]
    called = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert called.returncode == 0
    assert called.stderr == (
        "--live is left out: no window can be opened here; `ablation animate` makes a file of the same picture\n"
    )
    assert "12 trials, of which this run trained 12" in called.stdout


def test_a_run_that_nobody_watches_needs_nothing_to_draw_with(tiny, tmp_path, monkeypatch):
    monkeypatch.delattr(studies.show, "regions")
    for module in ("studies.show.regions", "matplotlib", "PIL"):
        monkeypatch.setitem(sys.modules, module, None)
    called = CliRunner().invoke(cli.main, ["run", str(tiny()), "-j", "1", "--results", str(tmp_path / "r")])
    assert called.exit_code == 0, called.output
    assert CliRunner().invoke(cli.main, ["run", str(tiny()), "--live"]).exit_code != 0  # what was missing would be needed


WRONG_COMMANDS = {
    "unknown trial": (["animate", "xyz"], [], "'xyz' fits none"),
    "unknown set": (["animate", "--on", "tset"], [], "invalid value for '--on'"),
    "no epochs": (["animate", "--epochs", "0"], [], "invalid value for '--epochs'"),
    "four features, live": (["run", "--live"], [("disk", "iris")], "iris has 4 features"),
}


@pytest.mark.parametrize(("command", "changes", "message"), WRONG_COMMANDS.values(), ids=WRONG_COMMANDS)
def test_a_wrong_command_ends_with_status_2_before_anything_is_written(tiny, tmp_path, monkeypatch, command, changes, message):
    path = tiny(*changes)
    monkeypatch.chdir(tmp_path)
    name, *options = command
    called = CliRunner().invoke(cli.main, [name, str(path), *options])
    assert called.exit_code == 2
    assert message in called.stderr
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("classes", "named"), [(7, 0), (8, 8)])
def test_many_classes_are_named_where_their_points_are(tmp_path, classes, named):
    lines = [f"{index % 4}.{repeat},{index // 4}.{repeat},{index}" for index in range(classes) for repeat in range(4)]
    (tmp_path / "many.csv").write_text("\n".join(["u,v,k", *lines]))
    (tmp_path / "many.toml").write_text(
        'title = "Many"\n[data]\nname = "csv"\npath = "many.csv"\ntarget = "k"\n[validation]\nfolds = 2\n[base]\nhidden = [4]\n'
        "batch_size = 4\nepochs = 1\n"
    )
    figure = Figure()
    regions.Regions(figure, regions.scene(spec.load(str(tmp_path / "many.toml"))))
    assert len(figure.axes[0].texts) == named
    assert len(figure.legends[0].get_texts()) == 1 + classes - named
