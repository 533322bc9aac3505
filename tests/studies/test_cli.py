"""The command line through real processes."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pytest
from commands import PATIENCE

import studies
from studies.cli import options
from studies.columns import OUTCOMES


def test_a_study_end_to_end(call, tiny, tmp_path):
    path = tiny()
    planned = call("plan", path, cwd=tmp_path)
    assert planned.returncode == 0
    assert "4 configurations x 3 folds = 12 models" in planned.stdout
    run = call("run", path, "-j", "2", "--report", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    assert run.stdout.endswith("results/tiny/report.html\n")
    assert (tmp_path / "results" / "tiny" / "report.html").read_text().count("<img") >= 13
    assert "12 trials, of which this run trained 12" in run.stdout
    assert "trials per second" in run.stdout
    assert "sgd lr=0.1" in run.stdout
    assert (tmp_path / "results" / "tiny" / "trials.csv").is_file()
    pictures = {file.name for file in (tmp_path / "figures" / "tiny").iterdir()} - {"interactions.png"}  # if any matters
    assert sorted(pictures) == [
        "activations.png",
        "budget.png",
        "compared.png",
        "curves.png",
        "data.png",
        "effects.png",
        "grid.png",
        "ladder.png",
        "learning.png",
        "levels.png",
        "matrix.png",
        "models.png",
        "seeds.png",
    ]
    assert "12 trials, of which this run trained 0" in call("run", path, cwd=tmp_path).stdout
    shown = call("tables", path, cwd=tmp_path)
    assert shown.returncode == 0
    assert "Configurations by test error" in shown.stdout
    assert "Single changes around the baseline" in shown.stdout
    assert "* What matters most: " in shown.stdout
    compared = call("tables", path, "--against", "relu | sgd lr=0.1", cwd=tmp_path)
    assert compared.returncode == 0
    assert "Error in points less that of relu | sgd lr=0.1" in compared.stdout
    assert sum(f"{other} " in compared.stdout for other in ("relu | adam", "tanh | sgd", "tanh | adam")) == 3


def test_one_factor_at_a_time(call, tiny, tmp_path):
    path = tiny(('title = "Tiny"', 'title = "Tiny"\ndesign = "one_at_a_time"'))
    planned = call("plan", path, cwd=tmp_path)
    assert "3 configurations x 3 folds = 9 models" in planned.stdout
    assert "separates      every factor and 0 of 1 pairs" in planned.stdout
    run = call("run", path, "-j", "1", cwd=tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    assert "Each level, all else as in the base" in run.stdout
    levels = pd.read_csv(tmp_path / "results" / "tiny" / "levels.csv").set_index(["factor", "level"])
    summary = pd.read_csv(tmp_path / "results" / "tiny" / "summary.csv").set_index(["activation", "optimizer"])
    assert levels["trials"].tolist() == [3] * 4
    effects = pd.read_csv(tmp_path / "results" / "tiny" / "effects.csv").set_index("effect")
    assert effects["method"].tolist() == ["model fit", "model fit", "confounded", "confounded"]
    assert effects.loc["activation x optimizer", ["share_pct", "log_share_pct"]].isna().all()
    errors = {level: levels.loc[level, "test_mean"] for level in levels.index}
    base = summary.loc[("tanh", "sgd lr=0.1"), "test_mean"]
    assert errors["activation", "tanh"] == errors["optimizer", "sgd lr=0.1"] == base
    assert errors["activation", "relu"] == summary.loc[("relu", "sgd lr=0.1"), "test_mean"]
    assert call("figures", path, cwd=tmp_path).returncode == 0


def test_compare_ends_with_its_status(call, tiny, tmp_path):
    for folder in ("a", "b"):
        studies.run(tiny(), jobs=1, results=tmp_path / folder)
    path = tmp_path / "b" / "tiny" / "trials.csv"
    rows = pd.read_csv(path)
    rows.assign(test_errors=rows["test_errors"] + 20 + rows["fold"] % 2).to_csv(path, index=False)
    assert call("compare", "a/tiny", "b/tiny", cwd=tmp_path).returncode == 1
    assert call("compare", "b/tiny", "a/tiny", cwd=tmp_path).returncode == 0
    kept = call("compare", "b/tiny", "a/tiny", "--margin", "1", cwd=tmp_path)
    assert (kept.returncode, kept.stderr) == (0, "")
    assert "shown: the mean error is worse by less than 1 points, if at all" in kept.stdout
    broken = call("compare", "a/tiny", "b/tiny", "--margin", "1", cwd=tmp_path)
    assert broken.returncode == 1
    assert "not shown: the mean error is worse by less than 1 points" in broken.stdout
    studies.run(tiny(("samples = 60", "samples = 61")), jobs=1, results=tmp_path / "c")
    other = call("compare", "a/tiny", "c/tiny", cwd=tmp_path)
    assert other.returncode == 3
    assert other.stderr.count("\n") == 1


def test_nothing_is_neither_verified_nor_compared(call, tiny, tmp_path):
    path = tiny()
    studies.run(path, jobs=1, results=tmp_path / "results")
    rows = pd.read_csv(tmp_path / "results" / "tiny" / "trials.csv")
    numbers = [column for column in OUTCOMES if column in rows] + ["seconds"]
    failed = rows.assign(status="failed", reason="ValueError: no", **dict.fromkeys(numbers))
    failed.to_csv(tmp_path / "results" / "tiny" / "trials.csv", index=False)
    verified = call("verify", path, cwd=tmp_path)
    assert verified.returncode == 2
    assert f"has nothing to verify: all 12 trials failed; see why: ablation status {path}" in verified.stderr
    compared = call("compare", "results/tiny", "results/tiny", cwd=tmp_path)
    assert compared.returncode == 3
    assert "nothing can be compared: all 12 trials failed on both sides" in compared.stdout
    assert "nan" not in compared.stdout + verified.stderr
    failed[:0].to_csv(tmp_path / "results" / "tiny" / "trials.csv", index=False)
    empty = call("compare", "results/tiny", "results/tiny", cwd=tmp_path)
    assert empty.returncode == 3
    assert empty.stderr.endswith("cannot be compared: no trial is in both: 0 in A, 0 in B\n")


def test_a_single_configuration_is_compared_with_none(call, tiny, tmp_path):
    path = tiny(('["relu", "tanh"]', '["relu"]'), (', { name = "adam", lr = 0.01 }', ""))
    called = call("tables", path, "--against", "relu | sgd lr=0.1", cwd=tmp_path)
    assert called.returncode == 2
    assert "tiny has one configuration, relu | sgd lr=0.1: none to compare it with" in called.stderr


def test_list_names_the_declared_studies(tmp_path):
    # The one process here that is not forked from another: all that it needs is imported.
    command = [sys.executable, "-m", "studies", "list"]
    listed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "ablation                   8,640 trials" in listed.stdout


def test_init_writes_a_spec_that_runs_and_overwrites_none(call, tmp_path):
    assert call("init", "mine", cwd=tmp_path).returncode == 0
    run = call("run", "mine", "--set", "base.epochs=2", "-j", "1", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert "20 trials" in run.stdout
    before = (tmp_path / "mine.toml").read_text()
    second = call("init", "mine", cwd=tmp_path)
    assert second.returncode == 2
    assert (tmp_path / "mine.toml").read_text() == before


WRONG = {
    "unknown study": (["run", "ablatoin"], "there is no study 'ablatoin'; did you mean 'ablation'?"),
    "missing file": (["plan", "nowhere.toml"], "there is no file 'nowhere.toml'"),
    "bad override": (["run", "demo", "--set", "base.epochz=3"], "there is no key 'epochz'; did you mean 'epochs'?"),
    "no tables": (["tables", "demo"], "has neither rows nor tables"),
    "nothing to compare": (
        ["tables", "demo", "--against", "relu | mse | sgd lr=0.1"],
        "has no rows of relu | mse",
    ),
    "unknown configuration": (["tables", "demo", "--against", "relu"], "there is no configuration 'relu'"),
    "no page": (["report", "demo"], "has neither rows nor tables"),
    "no figures": (["figures"], "no declared study has tables in results"),
    "name of a declared study": (["init", "demo"], "'demo' is a declared study; give another name"),
    "a report where one study is meant": (["plan", "linear_and_xor"], "is a report, and this command is about one study: give"),
    "unknown report": (["verdict", "linear"], "there is no report 'linear'; did you mean 'linear_and_xor'?"),
    "no name of a study": (["init", ".mine"], "the name of a study is a name of letters"),
    "unknown command": (["trian"], "ablation: there is no command 'trian'; did you mean 'run'? allowed: init, list,"),
    "results in a file": (["run", "demo", "-j", "1", "--results", "/dev/null"], "cannot be written to: Not a directory"),
    "sd that is no number": (["plan", "demo", "--sd", "nan"], "--sd is a number above 0: nan was given"),
    "difference without end": (["plan", "demo", "--difference", "inf"], "--difference is a number above 0: inf was given"),
    "margin below 0": (["compare", "a", "b", "--margin", "-1"], "a margin is a number above 0: -1 was given"),
    "margin that is no number": (["compare", "a", "b", "--margin", "nan"], "a margin is a number above 0: nan was given"),
    "negative seed of a sample": (
        ["verify", "demo", "--seed", "-1"],
        "ablation: invalid value for '--seed': -1 is not in the range x>=0; see: ablation verify --help",
    ),
    "unknown option": (
        ["tables", "demo", "--measur", "f1"],
        "no such option '--measur'. Did you mean '--measure'? see: ablation",
    ),
    "unknown option before a command": (["--nope"], "ablation: no such option '--nope'; see: ablation --help"),
    "missing argument": (["explain", "demo"], "ablation: missing argument 'TRIAL'; see: ablation explain --help"),
    "missing value": (["plan", "demo", "--set"], "ablation: option '--set' requires an argument; see: ablation"),
    "one argument too many": (["tables", "a", "b"], "ablation: got unexpected extra argument (b); see: ablation tables --help"),
    "unknown measure": (
        ["tables", "demo", "--measure", "accuracy"],
        "there is no measure 'accuracy'; did you mean 'auc'? allowed: error, balanced_error, log_loss, auc, f1, brier, loss, "
        "seconds; rows of demo record error, loss, seconds",
    ),
    "bad jobs": (
        ["run", "demo", "-j", "0"],
        "ablation: invalid value for '-j' / '--jobs': 0 is not in the range x>=1; see: ablation run --help",
    ),
    "unknown backend": (
        ["run", "demo", "--backend", "magic"],
        "backend is one of auto, loky, sequential, dask: 'magic' was given",
    ),
    "unknown device": (["run", "demo", "--device", "tpu"], "there is no device 'tpu'; did you mean 'cpu'? allowed: cpu, cuda"),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG)
def test_wrong_input_ends_with_status_2_and_leaves_nothing(call, tmp_path, arguments, message):
    called = call(*arguments, cwd=tmp_path)
    assert called.returncode == 2
    assert message in called.stderr
    assert called.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_wrong_input_is_one_line(call, tiny, tmp_path):
    called = call("run", tiny(("lr = 0.01", "lr = -1")), cwd=tmp_path)
    assert called.returncode == 2
    assert called.stderr == (
        "ablation: tiny.toml: grid 1.optimizer, level 'adam lr=-1': optimizer.lr is a number above 0: -1 was given\n"
    )
    assert not (tmp_path / "results").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_under_the_output_is_one_line():
    command = [sys.executable, "-m", "studies", "list"]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr == "ablation: [Errno 28] No space left on device\n"


def test_two_specs_of_one_name_at_once_lose_nothing(commands, tiny, tmp_path):
    specs = []
    for folder, change in (("a", ("epochs = 3", "epochs = 4")), ("b", ("epochs = 3", "epochs = 5"))):
        path = tmp_path / folder / "tiny.toml"
        path.parent.mkdir()
        path.write_text(tiny(change).read_text())
        specs.append(path)
    runs = [commands.begin("run", path, "-j", "1", cwd=tmp_path) for path in specs]
    assert [run.finish().returncode for run in runs] == [0, 0]
    for path in specs:
        assert "12 trials, of which this run trained 0" in commands.call("run", path, "-j", "1", cwd=tmp_path).stdout


def test_a_study_that_changes_trains_what_is_missing_and_keeps_the_rest(call, tiny, tmp_path):
    assert call("run", tiny(), "-j", "1", cwd=tmp_path).returncode == 0
    changed = call("run", tiny(("epochs = 3", "epochs = 4")), "-j", "1", cwd=tmp_path)
    assert "12 trials, of which this run trained 12" in changed.stdout
    back = call("run", tiny(), "-j", "1", cwd=tmp_path)
    assert "12 trials, of which this run trained 0" in back.stdout


ADVICE = {
    "tables": (["tables", "mine.toml"], "ablation run mine.toml"),
    "verify, by name": (["verify", "mine"], "ablation run mine"),
    "results": (["report", "mine", "--results", "my results"], "ablation run mine --results 'my results'"),
    "options": (["tables", "mine", "--quick", "--set", "seed=3"], "ablation run mine --set seed=3 --quick"),
    "figures": (["figures", "--results", "elsewhere"], "ablation run demo --results elsewhere"),
    "init": (["init", "my own"], "ablation plan 'my own.toml'"),
}


@pytest.mark.parametrize(("arguments", "advice"), ADVICE.values(), ids=ADVICE)
def test_advice_can_be_pasted(call, tiny, tmp_path, arguments, advice):
    tiny(name="mine")
    called = call(*arguments, cwd=tmp_path)
    assert advice in called.stdout + called.stderr
    _, *pasted = shlex.split(advice)
    dry = ["--dry-run"] if pasted[0] == "run" else []
    assert call(*pasted, *dry, cwd=tmp_path).returncode == 0


def test_what_failed_is_told_with_the_command_that_trains_it_again(call, tiny, tmp_path):
    path = tiny(name="mine")
    studies.run(path, jobs=1, results=tmp_path / "results")
    trials = tmp_path / "results" / "mine" / "trials.csv"
    rows = pd.read_csv(trials).astype({"reason": object})
    rows.loc[:1, ["status", "reason"]] = "failed", "OSError: full"
    rows.to_csv(trials, index=False)
    told = call("status", "mine", cwd=tmp_path).stdout
    assert "failed         2: OSError: full\n" in told
    assert "again          ablation run mine trains the 2 failed trials again\n" in told
    assert "this run trained 2 in" in call("run", "mine", "-j", "1", cwd=tmp_path).stdout
    assert "failed trials" not in call("status", "mine", cwd=tmp_path).stdout


def test_a_run_of_which_trials_failed_ends_with_the_command_that_trains_them_again(call, tiny, tmp_path):
    data, _, _ = tiny(name="mine").read_text().partition("[base]")
    (tmp_path / "mine.toml").write_text(data + '[engine]\npath = "own.py"\n[[grid]]\nwidth = [1, 2]\n')
    (tmp_path / "own.py").write_text("def train(split, *, seed, width=3):\n    raise ValueError('no luck')\n")
    ran = call("run", "mine", "-j", "1", "--results", "my results", cwd=tmp_path)
    assert ran.returncode == 1
    assert ran.stderr.endswith("to train them again: ablation run mine --results 'my results'\n")


def test_a_dry_run_says_what_is_missing_and_writes_nothing(call, tiny, tmp_path):
    path = tiny()
    called = call("run", path, "--dry-run", "-j", "2", cwd=tmp_path)
    assert (called.returncode, called.stderr) == (0, "")
    assert called.stdout.startswith("tiny: 12 of 12 trials would be trained, in about ")
    assert "\n  3 of relu | sgd lr=0.1\n" in called.stdout
    assert not (tmp_path / "results").exists()
    studies.run(tiny(('["relu", "tanh"]', '["tanh"]')), jobs=1, results=tmp_path / "results")
    assert call("run", path, "--dry-run", cwd=tmp_path).stdout.startswith("tiny: 0 of 6 trials would be trained")


def test_a_quiet_run_prints_nothing(call, tiny, tmp_path):
    called = call("run", tiny(), "-q", "-j", "1", "--report", cwd=tmp_path)
    assert (called.returncode, called.stdout, called.stderr) == (0, "", "")
    assert (tmp_path / "results" / "tiny" / "report.html").is_file()


def test_the_version_is_printed(call, tmp_path):
    assert call("--version", cwd=tmp_path).stdout == f"ablation, version {version('ablation-suite')}\n"


def test_the_name_of_a_report_means_its_studies():
    assert options.with_reports(["xor", "linear_and_xor"]) == ["xor", "linear", "vanishing", "noise"]
    assert options.with_reports(["eight_models", "mine.toml"]) == ["eight_models", "mine.toml"]  # the study, not the report


def test_the_verdicts_of_one_report_leave_the_table_of_all(call, tmp_path):
    called = call("verdict", "sgd_vs_adam", "--quick", cwd=tmp_path)
    assert called.returncode == 0
    assert "numbers stay UNDECIDED, since they take 30 rounds" in called.stdout
    assert "sgd_vs_adam" in called.stdout
    assert "eight_models" not in called.stdout
    assert not (tmp_path / "results").exists()


CLOSED = "read, write = os.pipe(); os.close(read); os.dup2(write, 1); os.dup2(write, 2)"
LATIN = "import io; sys.stdout = sys.__stdout__ = io.TextIOWrapper(sys.stdout.buffer, 'latin-1')"


def test_a_closed_pipe_stops_no_command(call, tiny, tmp_path):
    assert call("list", cwd=tmp_path, first=CLOSED).returncode == 0
    assert call("run", "demo", "--dry-run", cwd=tmp_path, first=CLOSED).returncode == 0
    assert call("run", "ablatoin", cwd=tmp_path, first=CLOSED).returncode == 2
    paths = [tiny(), tiny(name="other")]
    assert call("run", *paths, "-j", "1", cwd=tmp_path, first=CLOSED).returncode == 0
    assert all((tmp_path / "results" / name / "tables.md").is_file() for name in ("tiny", "other"))


def test_a_character_that_the_terminal_lacks_is_a_question_mark(call, tiny, tmp_path):
    models = 'model = [{ label = "ReLU \u2013 plain", activation = "relu" }, { label = "tanh", activation = "tanh" }]'
    path = tiny(('activation = ["relu", "tanh"]', models))
    called = call("run", path, "-j", "1", cwd=tmp_path, first=LATIN)
    assert (called.returncode, called.stderr) == (0, "")
    assert "ReLU ? plain" in called.stdout


def test_output_that_is_no_terminal_gets_lines_of_progress(call, tiny, tmp_path):
    called = call("run", tiny(), "-j", "1", cwd=tmp_path, first="from studies.show import progress; progress.EVERY = 0.001")
    assert re.search(r"^\d+ of 12 trials, \d+\.\d trials/s, time left: \S+$", called.stdout, re.MULTILINE)
    assert "\x1b" not in called.stdout


SIGNALS = {"interrupt": (signal.SIGINT, 130), "termination": (signal.SIGTERM, 143)}


@pytest.mark.parametrize(("number", "status"), SIGNALS.values(), ids=SIGNALS)
def test_a_run_that_a_signal_ends_can_be_resumed(commands, tiny, tmp_path, number, status):
    changes = (
        ('title = "Tiny"', 'title = "Tiny"\nstack = 4'),
        ("folds = 3", "folds = 3\nrepeats = 4"),
        ("epochs = 3", "epochs = 100"),
    )
    path = tiny(*changes)
    process = commands.begin("run", path, "-j", "2", cwd=tmp_path)
    shards = tmp_path / "results" / "tiny" / "shards"
    deadline = time.monotonic() + PATIENCE
    while (
        not any('"trial"' in shard.read_text() for shard in shards.glob("*.jsonl"))
        and process.poll() is None
        and time.monotonic() < deadline
    ):
        time.sleep(0.02)
    os.killpg(process.pid, number)  # as a terminal's Ctrl-C: parent and workers
    interrupted = process.finish()
    assert interrupted.returncode == status, interrupted.stderr
    assert "the same command goes on from there" in interrupted.stderr
    assert "Traceback" not in interrupted.stderr
    done = sum(shard.read_text().count('"trial"') for shard in shards.glob("*.jsonl"))
    assert 0 < done < 48
    resumed = commands.call("run", path, "-j", "1", cwd=tmp_path)
    assert f"48 trials, of which this run trained {48 - done}" in resumed.stdout
    assert len(pd.read_csv(tmp_path / "results" / "tiny" / "trials.csv")) == 48
