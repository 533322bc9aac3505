"""The harness of `make bench` at its tiniest, most engines in this process. No test asserts a time."""

import contextlib
import importlib
import importlib.util
import json
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from benchmarks import before, checks, cuda, data, machine, measure, report, scale, tables, targets
from benchmarks.__main__ import main
from benchmarks.engines.__main__ import answer
from benchmarks.host import Missing, hosts
from benchmarks.work import FOLDS, UnavailableError, Work, first_weights, operations, products, widths

ROOT = Path(__file__).parents[1]
ENGINES = ("ours", "stack", "sklearn_mlp", "floor", "large")
COLUMNS = {
    "steps": ["engine", "round", "models", "steps", "seconds", "us_per_model_step", "compile_seconds", "reason"],
    "learned": ["stage", "engine", "models", "error_pct", "ours_pct", "difference", "standard_error", "verdict"],
    "grid": ["run", "round", "models", "scaled_by", "start_seconds", "compile_seconds", "seconds"],
    "growth": ["axis", "value", "widths", "all_models", "engine", "round", "us_per_model_step", "gigaflops"],
    "processes": ["round", "alone_seconds", "both_seconds", "times"],
    "commands": ["command", "engine", "seconds", "date", "processor_name"],
    "memory": ["stage", "engine", "imports_mb", "peak_mb"],
}
LOCK = threading.Lock()


class Local:
    """An engine in this process."""

    peak_mb = 1.0

    def __init__(self, engine):
        self.module, self.prepared = importlib.import_module(f"benchmarks.engines.{engine}"), []

    def call(self, function, *arguments):
        with LOCK:  # numbers of threads are the process's
            return answer(self.module, self.prepared, function, arguments) if function != "start" else None


@contextlib.contextmanager
def local_hosts(engines, one_core=True):  # noqa: ARG001 - as the real ones
    yield {name: Missing("no such commit") if engine == "before" else Local(engine) for name, engine in engines.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folder with the files of one run."""
    folder = tmp_path_factory.mktemp("bench")
    engines = [argument for engine in (*ENGINES, "before") for argument in ("--engine", engine)]
    stages = [argument for stage in ("steps", "grid", "growth", "processes", "commands") for argument in ("--stage", stage)]
    places = ["--results", str(folder / "results"), "--figures", str(folder / "figures")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "hosts", local_hosts)
        patch.setattr(machine, "hosts", local_hosts)
        patch.setattr(measure, "run_command", lambda root, arguments, folder: 2.0 if root == ROOT else 4.0)  # noqa: ARG005
        patch.setattr(before, "checkout", lambda folder: folder)
        ended = CliRunner().invoke(main, ["run", "--size", "tiny", *engines, *stages, *places], catch_exceptions=False)
    assert ended.exit_code == 0
    return folder


@pytest.mark.parametrize("name", COLUMNS)
def test_a_run_writes_flat_rows(folder, name):
    table = tables.read(folder / "results")[name]
    assert not table.empty
    assert set(COLUMNS[name]) <= set(table)


def test_a_run_writes_machine_report_and_pictures(folder):
    about = json.loads((folder / "results/machine.json").read_text())
    assert {"date", "size", "processor_name", "cores", "core", "torch", "gigaflops_before", "gigaflops_after"} <= set(about)
    assert "not to be quoted" in (folder / "results/tables.md").read_text()
    assert {path.name for path in (folder / "figures").iterdir()} == {"steps.png", "growth.png"}


@pytest.mark.parametrize("engine", ENGINES)
def test_every_round_of_an_engine_is_a_row(folder, engine):
    steps = tables.read(folder / "results")["steps"]
    rows = steps[steps["engine"] == engine]
    assert rows["round"].tolist() == ([0] if engine in scale.SLOW else [0, 1])
    assert (rows["us_per_model_step"] > 0).all()


def test_an_engine_that_is_not_there_is_a_reason(folder):
    steps = tables.read(folder / "results")["steps"].set_index("engine")
    assert steps.loc["before", "reason"] == "no such commit"
    assert "| no such commit |" in (folder / "results/tables.md").read_text()


@pytest.mark.parametrize("engine", ["stack", "sklearn_mlp"])
def test_a_peer_is_compared_on_the_models_that_both_trained(folder, engine):
    learned = tables.read(folder / "results")["learned"].query("stage == 'steps'").set_index("engine").loc[engine]
    assert learned["models"] == (
        scale.TINY.slow_rounds * 2 if engine in scale.ONE_BY_ONE else scale.TINY.rounds * scale.TINY.models
    )
    assert 0 <= learned["error_pct"] <= 100


def test_the_report_begins_with_the_targets(folder):
    text = (folder / "results/tables.md").read_text()
    assert text.split("\n## ")[1].startswith("Targets\n\n| figure | target | measured |")
    assert "| `make ablation`: this suite / code before | under 0.5 | 0.50 (0.50 to 0.50) |" in text


def test_a_page_gets_the_first_tables_between_its_marks(folder):
    page = f"above\n{report.BEGIN}\nold\n{report.END}\nbelow\n"
    written = report.with_part(page, folder / "results")
    assert written.startswith(f"above\n{report.BEGIN}\n\n## Side by side")
    assert written.endswith(f"{report.END}\nbelow\n")
    assert "old" not in written
    assert report.with_part(written, folder / "results") == written


def test_the_page_of_measurements_has_the_measured_figures():
    page = (ROOT / "docs/measurements.md").read_text(encoding="utf-8")
    written = report.with_part(page, ROOT / "results/bench")
    assert written == page, "stale: run `python -m benchmarks report --page docs/measurements.md`"


@pytest.mark.parametrize("engine", ["jax_rows", "jax_columns"])
def test_jax_trains_or_is_missing(engine):
    work = scale.work(scale.TINY, "relu", "adam", "affine")
    rows = data.rows(work, 0)
    with hosts({engine: engine}) as running:
        if not importlib.util.find_spec("jax"):
            with pytest.raises(UnavailableError, match="jax is not installed"):
                running[engine].call("prepare", work, rows)
            return
        assert running[engine].call("prepare", work, rows) > 0
        assert set(running[engine].call("train", rows, 0).error_pct) == set(work.members)


def test_an_engine_says_what_it_cannot_do():
    work = replace(scale.work(scale.TINY, "tanh", "sgd", "none"), batchnorm="affine")
    with hosts({"sklearn_mlp": "sklearn_mlp"}) as running, pytest.raises(UnavailableError, match="no batch norm"):
        running["sklearn_mlp"].call("prepare", work, data.rows(work, 0))


def test_the_code_before_trains_the_same_work(tmp_path):
    try:
        before.checkout(tmp_path)
    except UnavailableError as reason:
        pytest.skip(str(reason))
    assert not (tmp_path / "studies/train/engines/fused").exists()
    work = scale.smallest(2, 1)
    with hosts({"before": "before"}) as running:
        running["before"].call("prepare", work, data.rows(work, 0))
        assert set(running["before"].call("train", data.rows(work, 0), 0).error_pct) == {0, 1}


def test_without_the_commit_the_code_before_is_a_reason(tmp_path):
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    with pytest.raises(UnavailableError, match="commit 2b157fa is not in this clone"):
        before.checkout(tmp_path / "out", repository=tmp_path)


def test_without_git_the_code_before_is_a_reason(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="no git"):
        before.checkout(tmp_path / "out")


def test_a_command_runs_the_code_of_its_root(tmp_path):
    package = tmp_path / "root/studies"
    package.mkdir(parents=True)
    (package / "__main__.py").write_text("import sys, pathlib; pathlib.Path(sys.argv[3]).write_text(' '.join(sys.argv[1:]))")
    assert measure.run_command(tmp_path / "root", ["run"], tmp_path / "out") > 0
    assert (tmp_path / "out").read_text() == f"run --results {tmp_path}/out --figures {tmp_path}/out/figures"


def test_every_member_is_planned_once_with_its_fold_and_rate():
    work = scale.FULL.growth["models", "1000"]
    trials = [trial for unit in data.units(work) for trial in unit.trials]
    planned = {(trial.configuration.settings["optimizer"]["lr"], trial.fold) for trial in trials}
    assert len(trials) == 1000
    assert planned == set(zip(work.rates, work.folds, strict=True))


def test_models_trained_one_by_one_differ_in_fold_and_rate():
    work = scale.work(scale.FULL, "tanh", "sgd", "none")
    few = replace(work, members=work.members[:: FOLDS + 1])
    assert len(set(few.folds)) == len(set(few.rates)) == len(few.members) == 6


def test_the_smallest_work_has_its_samples_in_one_batch():
    work = scale.smallest(1, 7)
    rows = data.rows(work, 0)
    assert rows.train_inputs.shape == (FOLDS, 21, 2)
    assert (widths(work, rows), work.batch_size) == ([2, 3, 3, 2], 21)


@pytest.mark.parametrize(("engine", "rounds"), [("torch_loop", 20), ("jax_columns", 4), ("ours", 1)])
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


TWO_ROUNDS = {  # by engine or value: microseconds in two rounds
    "steps": {"ours": (10.0, 20.0), "jax_columns": (20.0, 60.0), "large": (5.0, 5.0)},
    "growth": {"1": (12.0, 13.0), "60": (10.0, 10.0)},
}


def test_targets_are_ratios_within_a_round():
    """JAX takes 2 and 3 times, the products a half and a quarter; one model alone 1.2 and 1.3 times one of sixty."""
    case = dict(zip(tables.CASE, scale.CASES[5], strict=True))
    found = {name: pd.DataFrame() for name in tables.NAMES}
    found["steps"] = pd.DataFrame(
        [
            {**case, "engine": engine, "round": turn, "us_per_model_step": us}
            for engine, rounds in TWO_ROUNDS["steps"].items()
            for turn, us in enumerate(rounds)
        ]
    )
    found["growth"] = pd.DataFrame(
        [
            {"axis": "models", "value": value, "engine": "ours", "round": turn, "us_per_model_step": us}
            for value, rounds in TWO_ROUNDS["growth"].items()
            for turn, us in enumerate(rounds)
        ]
    )
    measured = {figure.figure: figure.ratio for figure in targets.figures(found) if figure.ratio}
    assert measured == {
        "step: JAX / this suite; relu, sgd, affine batch norm": (2.5, 2.0, 3.0),
        "step: this suite / products at the speed of a large one; relu, sgd, affine batch norm": (3.0, 2.0, 4.0),
        "step: a model alone / one of sixty": (1.25, 1.2, 1.3),
    }


def test_a_figure_that_was_not_measured_says_so():
    table = targets.table({name: pd.DataFrame() for name in tables.NAMES})
    assert set(table["measured"]) == {targets.NOT_MEASURED}
    assert table["figure"].is_unique


def test_a_stage_measured_again_replaces_its_rows_only(tmp_path):
    for stage, value in (("steps", 1), ("grid", 2), ("steps", 3)):
        tables.keep(tmp_path, stage, {"memory": [{"stage": stage, "engine": "ours", "peak_mb": value}], stage: []})
    assert tables.read(tmp_path)["memory"]["peak_mb"].tolist() == [2, 3]


def test_steps_on_a_device_are_measured_against_its_floor(monkeypatch):
    monkeypatch.setattr(cuda, "EPOCHS", (1, 2))
    monkeypatch.setattr(cuda, "ROUNDS", 1)
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
    ended = CliRunner().invoke(main, ["cuda"])
    assert ended.exit_code == 2
    assert "torch finds none here" in ended.output
