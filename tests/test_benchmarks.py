"""The harness of `make bench` at its tiniest, engines in processes of their own. What it measures is no test's business."""

import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks import checks, cuda, data, measure, scale, tables
from benchmarks.host import hosts
from benchmarks.work import FOLDS, UnavailableError, Work, first_weights, operations, products, widths

ROOT = Path(__file__).parents[1]
PEERS = ("bare", "sklearn_mlp", "jax_rows", "jax_columns")  # those of torch take too long
COLUMNS = {
    "steps": ["engine", "round", "models", "steps", "seconds", "us_per_model_step", "compile_seconds"],
    "learned": ["stage", "engine", "models", "error_pct", "ours_pct", "difference", "standard_error", "verdict"],
    "grid": ["run", "round", "models", "scaled_by", "start_seconds", "compile_seconds", "seconds"],
    "growth": ["axis", "value", "widths", "stack", "engine", "round", "us_per_model_step", "gigaflops"],
    "processes": ["round", "alone_seconds", "both_seconds", "times"],
    "memory": ["stage", "engine", "imports_mb", "peak_mb"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folder with the files of one run."""
    folder = tmp_path_factory.mktemp("bench")
    engines = [argument for engine in ("floor", *PEERS) for argument in ("--engine", engine)]
    places = ["--results", str(folder / "results"), "--figures", str(folder / "figures")]
    command = [sys.executable, "-m", "benchmarks", "run", "--size", "tiny", *engines, *places]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return folder


def require(engine):
    if engine.startswith("jax") and not importlib.util.find_spec("jax"):
        pytest.skip("jax is not installed: make bench installs it")


@pytest.mark.parametrize("name", COLUMNS)
def test_a_run_writes_flat_rows(folder, name):
    table = tables.read(folder / "results")[name]
    assert not table.empty
    assert set(COLUMNS[name]) <= set(table)


def test_a_run_writes_machine_report_and_pictures(folder):
    about = json.loads((folder / "results/machine.json").read_text())
    assert {"date", "size", "processor_name", "cores", "torch", "gigaflops_before", "gigaflops_after"} <= set(about)
    assert "not to be quoted" in (folder / "results/tables.md").read_text()
    assert {path.name for path in (folder / "figures").iterdir()} == {"steps.png", "growth.png"}


@pytest.mark.parametrize("engine", ["ours", "floor", *PEERS])
def test_every_round_of_an_engine_is_a_row(folder, engine):
    require(engine)
    steps = tables.read(folder / "results")["steps"]
    rows = steps[steps["engine"] == engine]
    assert rows["round"].tolist() == [0, 1]
    assert (rows["us_per_model_step"] > 0).all()


@pytest.mark.parametrize("engine", PEERS)
def test_a_peer_is_compared_on_the_models_that_both_trained(folder, engine):
    require(engine)
    learned = tables.read(folder / "results")["learned"].query("stage == 'steps'").set_index("engine").loc[engine]
    assert learned["models"] == scale.TINY.rounds * (2 if engine in scale.ONE_BY_ONE else scale.TINY.models)
    assert 0 <= learned["error_pct"] <= 100


def test_a_missing_peer_is_a_reason(folder):
    if importlib.util.find_spec("jax"):
        pytest.skip("jax is installed")
    steps = tables.read(folder / "results")["steps"].set_index("engine")
    assert steps.loc["jax_rows", "reason"] == "jax is not installed"
    assert "| jax is not installed |" in (folder / "results/tables.md").read_text()


def test_an_engine_says_what_it_cannot_do():
    work = replace(scale.work(scale.TINY, "tanh", "sgd", "none"), batchnorm="affine")
    with hosts({"sklearn_mlp": "sklearn_mlp"}) as running, pytest.raises(UnavailableError, match="no batch norm"):
        running["sklearn_mlp"].call("prepare", work, data.rows(work, 0))


def test_every_member_is_planned_once_with_its_fold_and_rate():
    work = scale.grown(scale.FULL, 1000)
    trials = [trial for stack in data.stacks(work) for trial in stack.trials]
    planned = {(trial.configuration.settings["optimizer"]["lr"], trial.fold) for trial in trials}
    assert len(trials) == 1000
    assert planned == set(zip(work.rates, work.folds, strict=True))


def test_models_trained_one_by_one_differ_in_fold_and_rate():
    work = scale.work(scale.FULL, "tanh", "sgd", "none")
    few = replace(work, members=work.members[:: FOLDS + 1])
    assert len(set(few.folds)) == len(set(few.rates)) == len(few.members) == 6


@pytest.mark.parametrize(("engine", "rounds"), [("torch_loop", 10), ("jax_columns", 4), ("ours", 1)])
def test_parts_of_the_grid_cover_it_in_some_rounds(engine, rounds):
    works = scale.grid(scale.FULL)
    parts = [measure.part_of_grid(engine, works, scale.FULL, turn) for turn in range(rounds)]
    trained = [(index, member) for part in parts for index, work in part.items() for member in work.members]
    assert len(trained) == len(set(trained)) == 480
    assert len({sum(len(work.members) for work in part.values()) for part in parts}) == 1


def test_operations_of_a_step_by_hand():
    assert list(products([2, 3, 4], 5)) == [(3, 2, 5), (3, 5, 2), (4, 3, 5), (4, 5, 3), (3, 4, 5)]
    assert operations([2, 3, 4], 5) == 2 * 5 * (2 * 6 + 3 * 12)


def test_first_weights_are_xaviers():
    work = Work("tanh", "sgd", "none", (0.1,), (0, 3), 1, hidden=(300, 200))
    rows = data.rows(work, 0)
    layers = list(first_weights(work, rows, 0))
    assert [layer.shape for layer in layers] == [(2, 300, 2), (2, 200, 300), (2, 2, 200)]
    assert widths(work, rows) == [2, 300, 200, 2]
    np.testing.assert_allclose(layers[1].std(), (2 / 500) ** 0.5, rtol=0.01)
    np.testing.assert_array_equal(next(first_weights(replace(work, members=(3,)), rows, 0))[0], layers[0][1])


def test_a_difference_is_judged_by_its_units():
    """Folds 0 and 1 in two rounds: differences (1, 3) and (2, 2), mean 2, sd 0.816, standard error 0.408."""
    ours = {0: 10.0, 10: 20.0, 1: 30.0}
    rounds = [({0: 11.0, 10: 21.0, 1: 33.0}, ours), ({0: 11.0, 10: 23.0, 1: 32.0}, ours)]
    learned = checks.compare(rounds)
    assert (learned.models, learned.difference, learned.verdict) == (6, 2.0, "differs")
    assert learned.standard_error == pytest.approx((2 / 3) ** 0.5 / 2)
    assert learned.error_pct == pytest.approx(131 / 6)
    assert checks.compare([({0: 1.0, 1: 2.0}, {0: 2.0, 1: 1.0})]).verdict == "same"
    assert checks.compare([({0: 1.0}, {0: 2.0})]).verdict == "too few"
    assert checks.compare([({}, {0: 2.0})]).models == 0


def test_ratios_are_taken_round_by_round():
    """Times 1, 2, 4 beside 3, 4, 4: ratios 3, 2, 1."""
    table = pd.DataFrame(
        {"engine": ["ours"] * 3 + ["peer"] * 3 + ["none"], "round": [0, 1, 2, 2, 1, 0, None], "us": [1, 2, 4, 4, 4, 3, None]}
    )
    found = tables.ratios(table, [], "engine", "us", "ours").set_index("engine")
    assert found.loc["peer"].tolist() == [2, 1, 3]
    assert found.loc["ours"].tolist() == [1, 1, 1]
    assert "none" not in found.index


def test_a_stage_measured_again_replaces_its_rows_only(tmp_path):
    for stage, value in (("steps", 1), ("grid", 2), ("steps", 3)):
        tables.keep(tmp_path, stage, {"memory": [{"stage": stage, "engine": "ours", "peak_mb": value}], stage: []})
    assert tables.read(tmp_path)["memory"]["peak_mb"].tolist() == [2, 3]


def test_steps_on_a_device_are_measured_against_its_floor():
    slow = cuda.About("none", torch.__version__, bandwidth=1.0, launch=0.0)
    measured = list(cuda.measure(slow, torch.device("cpu"), models=(16, 32), cases=scale.CASES[:1]))
    assert [(each["models"], each["how"]) for each in measured] == [
        (models, how)
        for models, ways in ((16, ("cpu", "recorded", "as written")), (32, ("recorded", "as written")))
        for how in ways
    ]
    few, many = (
        next(each for each in measured if each["models"] == models and each["how"] == "recorded") for models in (16, 32)
    )
    assert few["kernels"] == many["kernels"]
    assert few["megabytes"] * 1e12 == pytest.approx(few["floor_us"])
    assert 1.9 < many["megabytes"] / few["megabytes"] <= 2.0


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is present")
def test_without_a_cuda_device_there_is_nothing_to_measure():
    ended = subprocess.run([sys.executable, "-m", "benchmarks", "cuda"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "torch finds none here" in ended.stderr
