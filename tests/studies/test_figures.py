import matplotlib.image
import pytest

import studies
from studies import figures, spec, suite

SHAPES = {
    "two factors": [],
    "one factor": [('optimizer = [{ name = "sgd", lr = 0.1 }, { name = "adam", lr = 0.01 }]', "")],
    "no factor": [
        ('[[grid]]\nactivation = ["relu", "tanh"]\noptimizer = [{ name = "sgd", lr = 0.1 }, { name = "adam", lr = 0.01 }]', "")
    ],
    "holes": [("[[grid]]", '[[exclude]]\nactivation = "tanh"\noptimizer = "adam lr=0.01"\n[[grid]]')],
    "no test set": [("test_samples = 40", "test_samples = 0")],
    "no folds": [("folds = 3", "folds = 0")],
    "many": [('["relu", "tanh"]', '["relu", "tanh", "elu", "selu", "sigmoid", "leaky_relu", "prelu"]'),
             ("[[grid]]", '[[grid]]\ninit = ["he", "xavier"]')],
}  # fmt: skip


@pytest.mark.parametrize("changes", SHAPES.values(), ids=SHAPES)
def test_every_shape_of_study_has_its_pictures(tiny, tmp_path, changes):
    path = tiny(*changes)
    studies.run(path, results=tmp_path / "r", jobs=1)
    study = spec.load(str(path))
    outcome = figures.draw(study, suite.tables_of(study, tmp_path / "r"), tmp_path / "f")
    expected = (
        {"grid", "levels", "models", "curves", "activations"} if study.grid.levels else {"models", "curves", "activations"}
    )
    assert set(outcome) == expected
    for name in expected:
        pixels = matplotlib.image.imread(tmp_path / "f" / f"{name}.png")
        assert min(pixels.shape[:2]) > 150
        assert pixels[..., :3].std() > 0.01


def test_committed_tables_are_enough_and_what_is_missing_is_said(tiny, tmp_path):
    path = tiny()
    studies.run(path, results=tmp_path / "r", jobs=1)
    folder = tmp_path / "r" / "tiny"
    (folder / "trials.csv").unlink()
    (folder / "history.csv").unlink()
    study = spec.load(str(path))
    complete = figures.draw(study, suite.tables_of(study, tmp_path / "r"), tmp_path / "f")
    assert all(text.endswith(".png") for text in complete.values())
    (folder / "curves.csv").unlink()
    outcome = figures.draw(study, suite.tables_of(study, tmp_path / "r"), tmp_path / "g")
    assert outcome["curves"] == "not drawn: it needs curves.csv; run the study first"
    assert outcome["grid"].endswith("grid.png")


def test_the_heat_map_of_the_ablation_is_wide_with_optimizers_along_rows():
    rows, columns = figures._layout(spec.load("ablation").grid.levels)
    assert rows[-1] == "optimizer"
    assert set(rows) | set(columns) == {"activation", "loss", "init", "batchnorm", "optimizer"}
