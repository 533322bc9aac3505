"""Pictures of odd studies: many factors and levels, long and foreign names, errors of 0, a user's own matplotlib."""

import os
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

import studies
from studies import api
from studies.show import figures
from studies.show.figures import effects, labels, style
from studies.show.figures.style import LARGEST
from studies.spec import spec

LONG = "He init with batch norm after the activation, dropout 0.1, cosine schedule and a weight decay of 1e-4 on all layers"
ACTIVATIONS = '["relu", "tanh"]'
MANY = "\n".join(
    f"factor{index} = ["
    + ", ".join(f'{{ label = "level {level}", clip = {9 * index + level + 1}.0 }}' for level in range(3))
    + "]"
    for index in range(12)
)
SIXTY = [f"{10 ** (-5 + index / 12):.4g}" for index in range(60)]
OPTIMIZERS = 'optimizer = [{ name = "sgd", lr = 0.1 }, { name = "adam", lr = 0.01 }]'
ODD = {
    "twelve factors": [
        ('title = "Tiny"', 'title = "Tiny"\ndesign = "one_at_a_time"'),
        ("history_every = 1", "history_every = 0"),
        (f"activation = {ACTIVATIONS}", MANY),
        (OPTIMIZERS, ""),
    ],
    "sixty levels": [
        (OPTIMIZERS, f'"optimizer.lr" = [{", ".join(SIXTY)}]'),
        ("epochs = 3", "epochs = 1\ngradient_norms = true"),
    ],
    "long names": [
        (
            f"activation = {ACTIVATIONS}",
            f'"{LONG}" = [{{ label = "{LONG} x", init = "he" }}, {{ label = "{LONG} y", init = "xavier" }}]',
        )
    ],
    "markup and other alphabets": [
        ("Tiny", "$5 & <b>6</b> 中"),
        ("activation = ", '"激活 $x^2$ \\\\alpha `*a*`|" = [{ label = "双曲 $_1$", init = "he" }]\nactivation = '),
    ],
    "a factor named like a pair": [
        (f"activation = {ACTIVATIONS}", '"a x b" = [{ label = "p x q", init = "he" }, { label = "r", init = "xavier" }]')
    ],
}


@pytest.mark.parametrize("changes", ODD.values(), ids=ODD)
def test_odd_studies_have_pictures_of_a_size_or_reasons(tiny, tmp_path, changes):
    path = tiny(*changes)
    study = spec.load(str(path))
    studies.run(study, results=tmp_path / "r", jobs=1)
    outcome = figures.draw_study(study, api.tables_of(study, tmp_path / "r"), tmp_path / "f")  # a warning is an error
    for name, drawn in outcome.items():
        if isinstance(drawn, str):
            assert drawn.startswith("not drawn: ") or name == "fonts"
        else:
            with Image.open(drawn) as image:
                assert max(image.size) <= 130 * LARGEST


@pytest.fixture
def plain(tiny, tmp_path):
    """A study of two factors, and its tables."""
    study = spec.load(str(tiny((OPTIMIZERS, 'init = ["he", "xavier", "lecun"]'))))
    studies.run(study, results=tmp_path, jobs=1)
    return study, dict(api.tables_of(study, tmp_path))


RC = {"text.usetex": True, "font.size": 30, "axes.facecolor": "red", "savefig.dpi": 7, "figure.dpi": 20, "lines.linewidth": 9}


def test_a_matplotlibrc_changes_no_picture(plain, tmp_path):
    figures.draw_study(*plain, tmp_path / "as it comes")
    with mpl.rc_context(RC):
        figures.draw_study(*plain, tmp_path / "with a matplotlibrc")
        assert mpl.rcParams["font.size"] == 30
    drawn = {path.name: path.read_bytes() for path in (tmp_path / "as it comes").iterdir()}
    assert len(drawn) > 5
    assert drawn == {path.name: path.read_bytes() for path in (tmp_path / "with a matplotlibrc").iterdir()}


def test_a_backend_that_is_not_installed_is_none_that_is_needed():
    # Two of these are not names of backends in this environment, the third is.
    for backend, kept in {"module://matplotlib_inline.backend_inline": "None", "nonsense": "None", "svg": "svg"}.items():
        code = "import os, studies, matplotlib.pyplot as plt; print(os.environ.get('MPLBACKEND'), plt.rcParams['backend'])"
        environment = {**os.environ, "MPLBACKEND": backend}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
        assert (done.stderr, done.stdout.split()[:1]) == ("", [kept])


def test_all_failed_is_said(plain, tmp_path):
    study, found = plain
    failed = {**found, "summary": found["summary"].assign(test_mean=np.nan)}
    outcome = figures.draw_study(study, failed, tmp_path)
    assert {outcome[name] for name in ("grid", "levels", "models")} == {"not drawn: every trial failed"}


def test_no_error_has_a_colour_and_a_line_in_the_legend(plain):
    study, found = plain
    summary = found["summary"].assign(test_mean=[0.0, 0.0, 1.0, 2.0, 50.0, np.nan], test_sd=0.0)
    with style.drawing():
        figure = figures.PICTURES["grid"].figure(study, {**found, "summary": summary})
        figure.draw_without_rendering()
    mean, sd = figure.axes[:2]
    errors, zeros = mean.collections
    assert errors.get_array().count() == 3  # of six cells
    assert (errors.norm.vmin, errors.norm.vmax) == (1.0, 50.0)
    assert zeros.get_array().count() == 2
    assert zeros.get_facecolor()[0, :3].min() > errors.get_facecolor()[:, :3].min()
    assert sorted(text.get_text() for text in mean.texts) == ["1.0", "2.0", "50.0"]
    assert sd.collections[1].get_array().count() == 6
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["exactly 0", "no value"]


def test_a_loss_of_0_is_on_the_axis(plain):
    study, found = plain
    table = found["curves"].copy()
    table.loc[table["level"] == "tanh", "train_loss_q50"] = 0.0
    with style.drawing():
        for name in ("curves", "compared", "learning"):
            ax = (
                figures.PICTURES[name]
                .figure(study, {**found, "curves": table if name == "curves" else found["curves"]})
                .axes[0]
            )
            assert ax.get_yscale() == ("symlog" if name == "curves" else "log")


def test_points_of_interactions_are_over_the_same_cells():
    summary = pd.DataFrame(
        [
            *[("p", "x", "1", 10.0), ("p", "y", "1", 20.0), ("q", "x", "1", 30.0), ("q", "y", "1", 40.0)],
            *[("p", "x", "2", 90.0), ("p", "y", "2", 90.0), ("q", "x", "2", 90.0)],  # without q, y, 2
        ],
        columns=["a", "b", "c", "test_mean"],
    )
    pair = effects._Pair("a", "b", 1.0, 0.0, 2.0)
    means, same = effects._means(summary, pair, ["a", "b", "c"], "test_mean")
    assert same
    assert means.to_dict("index") == {"p": {"x": 10.0, "y": 20.0}, "q": {"x": 30.0, "y": 40.0}}
    means, same = effects._means(summary[1:], pair, ["a", "b", "c"], "test_mean")
    assert not same
    assert means.loc["p", "x"] == 90.0


SHORT = {
    "short": (["a", "b"], 10, ["a", "b"]),
    "one": (["a level of many words"], 10, ["a level o…"]),
    "same beginning": (["a level of one", "a level of two"], 10, ["a leve…one", "a leve…two"]),
    "same ends": ([f"the first words {index} and the last words" for index in (1, 2)], 16, ["the firs…[1]", "the firs…[2]"]),
    "wide": (["双曲正切双曲正切"], 10, ["双曲正切…"]),
}


@pytest.mark.parametrize(("names", "most", "expected"), SHORT.values(), ids=SHORT)
def test_names_are_cut_and_still_differ(names, most, expected):
    assert [name.replace(" [", "[") for name in labels.shorten(names, most).values()] == expected


def test_configurations_of_long_names_are_called_by_their_changes(tiny):
    study = spec.load(str(tiny(*ODD["twelve factors"])))
    short, _ = labels.shorten_labels(study, {})
    names = [each.label for each in short.grid.configurations]
    assert names[:3] == ["baseline", "baseline with factor0 = level 0", "baseline with factor0 = level 1"]
    assert [each.id for each in short.grid.configurations] == [each.id for each in study.grid.configurations]
    assert short.grid.baseline_configuration.label == "baseline"


def test_a_picture_is_no_larger_than_is_said():
    assert max(style.new_figure(LARGEST, 1).get_size_inches()) == LARGEST
    with pytest.raises(style.TooLargeError, match="it would be 31 x 1 inches, and 30 x 30 is the most"):
        style.new_figure(31, 1)


def test_letters_that_no_font_has_are_named_once():
    figure = Figure()
    figure.text(0, 0, "\U00013000 \U00013001")  # hieroglyphs
    assert style.choose_fonts(figure) == "\U00013000\U00013001"
    assert style.without_font("\U00013000") == (
        "no font of this machine has \U00013000: boxes stand in their place; install one that has, and draw again"
    )


def test_another_font_writes_what_the_usual_one_lacks(monkeypatch):
    known = {"DejaVuSans.ttf": "ab", "cmr10.ttf": "bc", "STIXGeneral.ttf": "d"}
    monkeypatch.setattr(style, "_letters_of", lambda path: frozenset(known.get(path.rpartition("/")[2], "")))
    monkeypatch.setattr(style, "_families", style._families.__wrapped__)
    figure = Figure()
    text = figure.text(0, 0, "abce")
    assert style.choose_fonts(figure) == "e"
    assert text.get_fontfamily() == ["DejaVu Sans", "cmr10"]
