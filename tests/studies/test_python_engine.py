"""A user's own function or estimator: read without being executed, called in a process that can be killed."""

import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import studies
from studies import api
from studies.data.types import Split, Table
from studies.errors import UserError
from studies.plan import plan
from studies.runs import run_all
from studies.show import trial as one
from studies.spec import spec
from studies.train import engines, returned
from studies.train.engines.python import PythonEngine

EXAMPLES = Path(__file__).parents[2] / "examples"
SPEC = """
[data]
name = "disk"
samples = 60
test_samples = 40
[validation]
folds = 3
[engine]
path = "my_model.py"
[[grid]]
width = [2, 4]
"""
MODEL = """
import numpy as np

def train(split, *, seed, width=32, lr=0.1, optimizer="sgd", deep=False, most=None):
    right = np.eye(2)[split.test.targets]
    wrong = np.random.default_rng(seed).random(len(right)) < 1 / width
    return {"test": np.where(wrong[:, None], 1 - right, right), "train": np.eye(2)[split.train.targets]}
"""
SIMULATION = """
import random

def train(split, *, seed, drift=0.0):
    assert split.train is None and split.test is None
    return {"perplexity": 10 + drift + random.Random(seed).random()}
"""
NO_DATA = """
measure = { name = "perplexity", better = "lower" }
[validation]
repeats = 4
[engine]
path = "my_model.py"
[[grid]]
drift = [0, 1]
"""


@pytest.fixture
def write(tmp_path):
    """Writes a file and a spec, after replacing text of the spec, and returns the path of that."""

    def write(model=MODEL, *replacements, content=SPEC):
        (tmp_path / "my_model.py").write_text(model)
        for old, new in replacements:
            assert old in content, old
            content = content.replace(old, new)
        path = tmp_path / "mine.toml"
        path.write_text(content)
        return path

    return write


def train(path, tmp_path, **options):
    return studies.run(path, results=tmp_path / "results", **{"jobs": 1, **options})


def test_a_function_trains_and_the_suite_computes_every_measure(write, tmp_path):
    path = write(MODEL, ("[data]", 'measures = ["auc", "f1", "brier", "log_loss", "balanced_error"]\n[data]'))
    rows = train(path, tmp_path)
    assert (rows["status"] == "ok").all(), rows["reason"].dropna().unique()
    assert list(rows.columns[5:11]) == ["engine", "width", "lr", "optimizer", "deep", "most"]
    assert set(rows["width"]) == {"2", "4"}  # levels are texts, as of other factors
    assert rows["train_errors"].eq(0).all()
    assert not rows["stuck"].any()
    assert rows.groupby("width")["test_errors"].mean()["2"] > rows.groupby("width")["test_errors"].mean()["4"] > 0
    assert rows[["test_auc", "test_f1", "test_brier", "test_log_loss", "test_balanced_error"]].notna().all(axis=None)
    assert rows["seconds"].gt(0).all()
    again = train(path, tmp_path / "again", jobs=2)
    numbers = ["test_errors", "train_errors", "test_loss", "test_auc", "wrong"]
    pd.testing.assert_frame_equal(rows[numbers], again[numbers])


def test_a_simulation_has_no_data_and_a_measure_of_its_own(write, tmp_path):
    path = write(SIMULATION, content=NO_DATA)
    rows = train(path, tmp_path)
    assert rows["n_train"].eq(0).all()
    assert rows.groupby("drift")["test_perplexity"].mean().diff().iloc[-1] == pytest.approx(1)
    tables = api.tables_of(spec.load(str(path)), tmp_path / "results")
    assert tables["summary"]["test_mean"].between(10, 12).all()
    assert api.verify(spec.load(str(path)), tmp_path / "results", 3)[1].empty
    api.write_report(spec.load(str(path)), tmp_path / "results", tmp_path / "figures")
    assert "new runs of the function" in (tmp_path / "results" / "mine" / "report.html").read_text()


FAILURES = {  # body of the function, what the reason says, what the traceback says
    "raises": ('raise ValueError("no luck")', "ValueError: no luck", "in train"),
    "prints": ('print("x" * 10_000_000); print("the end"); 1 / 0', "ZeroDivisionError", "the end"),
    "raises a long text": ('raise ValueError("x" * 10_000_000)', "ValueError: xxx", "xxx"),
    "exits": ("raise SystemExit(3)", "SystemExit: 3", "SystemExit"),
    "dies": ('import os; print("last words"); os._exit(7)', "ended with exit status 7", "last words"),
    "is killed": ("import os; os.kill(os.getpid(), 9)", "ended by signal SIGKILL", "SIGKILL"),
    "is killed by a signal without a name": ("import os; os.kill(os.getpid(), 40)", "ended by signal 40", "signal 40"),
    "never returns": ("while True: pass", "no result after 3 seconds", "no result"),
    "returns a NaN": ('return {"test_error": float("nan")}', "test_error is a finite number: nan was returned", "diverged"),
    "returns nothing": ("return None", "TypeError: a function that trains returns outputs by set", "NoneType"),
    "returns another shape": ('return {"test": [[1.0, 0.0]]}', "scores (40, 2), labels (40,), or one column", "shape (1, 2)"),
    "returns texts": ('return {"test_error": "low"}', "test_error is a number: str 'low' was returned", "low"),
    "returns another measure": ('return {"test_score": 1}', "about error, and neither it nor outputs of test rows", "error"),
    "returns a set that is not there": ('return {"tst": [1] * 40}', "tst is a number", "list"),
    "returns objects": ('return {"test": [object()] * 40}', "TypeError: outputs are numbers: list", "object"),
    "returns labels of no class": (
        "return {'test': [2] * 40}",
        "train: labels are classes from 0 to 1: 2 was returned",
        "labels",
    ),
    "closes its files and does not return": (
        "import os, time; os.closerange(3, 256); time.sleep(60)",
        "closed the files of its process",
        "stopped",
    ),
    "returns counts": ('return {"test_errors": 3}', "test_errors is a column that the suite fills", "outputs"),
}


@pytest.mark.parametrize(("body", "reason", "details"), FAILURES.values(), ids=FAILURES)
def test_a_function_that_fails_is_a_row_that_says_why_and_the_others_go_on(body, reason, details, write, tmp_path):
    good = 'return {"test": split.test.targets}'
    model = f"def train(split, *, seed, width=1):\n    if width == 4:\n        {body}\n    {good}\n"
    rows = train(write(model, ("[engine]", "[engine]\nlimit = 3"), ("folds = 3", "folds = 2")), tmp_path)
    failed = rows[rows["status"] == "failed"]
    assert list(failed["width"]) == ["4", "4"]
    assert failed["reason"].str.contains(reason, regex=False).all(), failed["reason"].iloc[0]
    assert rows[rows["width"] == "2"]["test_errors"].eq(0).all()
    (place,) = {text.partition("(see ")[2].rstrip(")") for text in failed["reason"].iloc[:1]}
    told = (tmp_path / "results" / "mine" / place).read_text()
    assert details in told
    assert len(told) < 30_000


def test_a_function_may_close_its_output(write, tmp_path):
    path = write(MODEL.replace("    return", "    import sys; sys.stdout.close()\n    return"))
    rows = train(path, tmp_path)
    assert (rows["status"] == "ok").all(), rows["reason"].dropna().unique()


def test_outputs_that_are_not_finite_are_of_a_diverged_model(write, tmp_path):
    model = "import numpy as np\ndef train(split, *, seed, width=1):\n    return {'test': np.full((40, 2), np.nan)}\n"
    rows = train(write(model), tmp_path)
    assert rows["status"].eq("ok").all()
    assert rows["diverged"].all()
    assert rows["test_errors"].eq(40).all()
    assert rows["test_loss"].isna().all()


TABLE = Table(np.zeros((4, 1)), np.array([0, 1, 0, 1]), np.arange(4))
OUTPUTS = {  # outputs of rows of the classes 0, 1, 0, 1; the errors, and the loss
    "probabilities": ([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.5, 0.5]], 2, -np.log([0.9, 0.8, 0.4, 0.5]).mean()),
    "scores": ([[2.0, 0.0], [0.0, 2.0], [2.0, 0.0], [0.0, 2.0]], 0, np.log1p(np.exp(-2))),
    "labels": ([0, 1, 1, 1], 1, None),
    "a column of probabilities": ([0.1, 0.8, 0.6, 0.7], 1, -np.log([0.9, 0.8, 0.4, 0.7]).mean()),
    "a column of logits": ([[-3.0], [3.0], [-3.0], [3.0]], 0, np.log1p(np.exp(-3))),
}


@pytest.mark.parametrize(("given", "errors", "loss"), OUTPUTS.values(), ids=OUTPUTS)
def test_outputs_of_all_forms_are_judged(given, errors, loss):
    found = returned.outcome({"test": np.asarray(given)}, {}, Split(TABLE, None, TABLE), ("a", "b"), [], "error")
    assert found["test_errors"] == errors
    assert found.get("test_loss") == (None if loss is None else pytest.approx(loss))


def test_a_diverged_run_may_lack_numbers():
    found = returned.outcome({}, {"perplexity": float("inf"), "diverged": True}, None, (), ["perplexity"], "perplexity")
    assert found["diverged"]
    assert found["test_perplexity"] is None


def test_reading_planning_and_reporting_execute_nothing(write, tmp_path):
    path = write()
    train(path, tmp_path)
    guarded = f"open({str(tmp_path / 'executed')!r}, 'w').close()\n" + MODEL
    (tmp_path / "my_model.py").write_text(guarded)
    train(path, tmp_path, jobs=1)
    (tmp_path / "executed").unlink()
    for command in ("list", "plan", "status", "tables", "figures", "report"):
        arguments = [] if command == "list" else [str(path)]
        subprocess.run([sys.executable, "-m", "studies", command, *arguments], cwd=tmp_path, check=True, capture_output=True)
        assert not (tmp_path / "executed").exists(), command
    assert spec.load(str(path)).function.defaults["width"] == 32
    assert not (tmp_path / "executed").exists()


def test_the_content_of_the_file_enters_every_key(write):
    study = spec.load(str(write()))
    keys = {trial.key for trial in plan.trials(study)}
    assert keys == {trial.key for trial in plan.trials(spec.load(str(write())))}
    assert not keys & {trial.key for trial in plan.trials(spec.load(str(write(MODEL + "\n# another\n"))))}
    assert keys == {trial.key for trial in plan.trials(spec.load(str(write(MODEL, ("[engine]", "[engine]\nlimit = 9")))))}


WRONG = {  # the file, replacements of the spec, the message
    "no file": (None, (), "engine.path: "),
    "no python": ("def f(:\n", (), "my_model.py:1: not valid Python"),
    "no such function": (
        "def trian(split): ...\n",
        (),
        "engine.train: there is no function or class 'train'; did you mean 'trian'?",
    ),
    "no rows": ("def train(*, seed): ...\n", (), "my_model.py:1: train takes no rows"),
    "no default": ("def train(split, width): ...\n", (), "my_model.py:1: train takes `width` without a default: every setting"),
    "a list": ("def train(split, width=[1]): ...\n", (), "the default of `width` of train is a finite number"),
    "a taken name": (
        "def train(split, width=1, fold=1): ...\n",
        (),
        "engine: 'fold' is an argument of train of my_model.py and a",
    ),
    "a name of a measure": ("def train(split, test_size=1, width=1): ...\n", (), "engine: 'test_size' is an argument of train"),
    "no fit": ("class train:\n    def predict(self, x): ...\n", (), "my_model.py:1: train has no fit"),
    "a wrong key": (MODEL, (("[engine]", "[engine]\nlimt = 3"),), "engine: there is no key 'limt'; did you mean 'limit'?"),
    "a wrong factor": (MODEL, (("width =", "widht ="),), "there is no factor 'widht'; did you mean 'width'?"),
    "a wrong setting": (
        MODEL,
        (("[[grid]]", "[base]\nrl = 1\n[[grid]]"),),
        "base: there is no setting 'rl'; did you mean 'lr'?",
    ),
    "a wrong type": (MODEL, (("[2, 4]", '["a"]'),), "width is a number: 'a' was given"),
    "a setting of networks": (
        MODEL,
        (("[[grid]]", "[base]\nepochs = 1\n[[grid]]"),),
        "base: epochs is a setting of the suite's own",
    ),
    "a part of a setting": (MODEL, (("width =", '"width.x" ='),), "there is no factor 'width.x'"),
    "components too": (
        MODEL,
        (("[engine]", '[components]\npath = "my_model.py"\n[engine]'),),
        "my_model.py defines no component",
    ),
    "folds without rows": (
        MODEL,
        (('[data]\nname = "disk"\nsamples = 60\ntest_samples = 40\n', ""),),
        "validation.folds divides",
    ),
}


@pytest.mark.parametrize(("model", "replacements", "message"), WRONG.values(), ids=WRONG)
def test_what_cannot_train_is_refused_in_one_line(model, replacements, message, write, tmp_path):
    path = write(model or MODEL, *replacements)
    if model is None:
        (tmp_path / "my_model.py").unlink()
    with pytest.raises(UserError) as told:
        spec.load(str(path))
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def of_python(split, *, seed, width=4):  # noqa: ARG001
    """A function that is given in Python."""
    return {"test": np.where(np.arange(len(split.test.targets)) % width == 0, 1 - split.test.targets, split.test.targets)}


DICTIONARY = {
    "name": "mine",
    "data": {"name": "disk", "samples": 60, "test_samples": 40},
    "validation": {"folds": 2},
    "grid": [{"width": [2, 4]}],
}


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_function_and_a_dictionary_of_python_are_a_study(jobs, tmp_path):
    records = []
    rows = train(DICTIONARY, tmp_path, train=of_python, jobs=jobs, received=records.extend)
    assert rows.groupby("width")["test_errors"].first().to_dict() == {"2": 20, "4": 10}
    assert {record["trial"] for record in records} == set(rows["trial"])
    assert train(DICTIONARY, tmp_path, train=of_python, received=records.append)["trial"].equals(rows["trial"])
    assert len(records) == 4  # nothing trained again


def test_a_function_of_a_notebook_is_sent_by_its_content(tmp_path):
    names = {"np": np, "__name__": "__main__"}
    exec("def typed(split, *, seed, width=4):\n    return {'test': np.zeros(40, dtype=int)}", names)
    rows = train(DICTIONARY, tmp_path, train=names["typed"])
    assert rows["status"].eq("ok").all(), rows["reason"].unique()


def test_an_estimator_is_a_study_as_it_is(tmp_path):
    document = {**DICTIONARY, "grid": [{"C": [0.01, 1.0], "fit_intercept": [True, False]}], "measures": ["auc"]}
    rows = train(document, tmp_path, train=LogisticRegression)
    assert rows["status"].eq("ok").all(), rows["reason"].unique()
    assert rows["val_auc"].notna().all()


def test_a_class_of_a_file_is_an_estimator(write, tmp_path):
    model = """
from sklearn.tree import DecisionTreeClassifier

class Base(DecisionTreeClassifier):
    def __init__(self, max_depth=3, random_state=None):
        super().__init__(max_depth=max_depth, random_state=random_state)

class Tree(Base): ...
"""
    path = write(model, ("[engine]", '[engine]\ntrain = "Tree"'), ("width", "max_depth"))
    rows = train(path, tmp_path)
    assert rows["status"].eq("ok").all(), rows["reason"].unique()
    assert rows.groupby("max_depth")["train_errors"].mean().is_monotonic_decreasing


WRONG_IN_PYTHON = {
    "no name": ({"grid": []}, of_python, "a study that is no file has a name"),
    "two functions": ({**DICTIONARY, "engine": {"path": "x.py"}}, of_python, "give one of both"),
    "an estimator": (DICTIONARY, LogisticRegression(), "train is a function, or a class with fit and predict"),
    "no function": (DICTIONARY, 3, "train is a function, or a class with fit and predict: 3 was given"),
    "no default": (DICTIONARY, lambda split, width: (split, width), "takes `width` without a default"),
    "a wrong factor": ({**DICTIONARY, "grid": [{"widht": [1]}]}, of_python, "did you mean 'width'?"),
}


@pytest.mark.parametrize(("document", "function", "message"), WRONG_IN_PYTHON.values(), ids=WRONG_IN_PYTHON)
def test_what_is_wrong_in_python_is_refused(document, function, message, tmp_path):
    with pytest.raises(UserError) as told:
        train(document, tmp_path, train=function)
    assert message in str(told.value)


def test_verify_says_what_differs_where_a_function_ignores_its_seed(write, tmp_path):
    model = "import random\ndef train(split, *, seed, width=1):\n    return {'test_error': random.random()}\n"
    path = write(model)
    train(path, tmp_path)
    count, differences = api.verify(spec.load(str(path)), tmp_path / "results", 2)
    assert count == 2
    assert set(differences["column"]) == {"test_error"}


def test_threads_and_devices_are_those_that_were_asked_for(write, tmp_path):
    model = """
import os

def train(split, *, seed, width=1):
    return {"test_error": float(os.environ["OMP_NUM_THREADS"]), "devices": len(os.environ["CUDA_VISIBLE_DEVICES"])}
"""
    rows = train(write(model, ("[engine]", "[engine]\nthreads = 2")), tmp_path)
    assert rows["test_error"].eq(2).all()
    assert rows["threads"].eq(2).all()
    assert rows["test_devices"].eq(0).all()


def test_one_process_calls_all_trials_and_another_follows_after_a_death(write):
    model = "import os\ndef train(split, *, seed, width=1):\n    return {'test_error': os.getpid()}\n"
    study = spec.load(str(write(model)))
    engine = PythonEngine()
    units = engines.plan_units(study, plan.trials(study), jobs=1)
    found = [engine.train(unit)[0].outcome["test_error"] for unit in units[:3]]
    engine._end()
    found.append(engine.train(units[3])[0].outcome["test_error"])
    engine._end()
    assert len(set(found[:3])) == 1
    assert found[3] != found[0]


def test_readings_are_of_one_function(write, tmp_path):
    readings = "[reading.one]\nprimary = true\n[reading.other.base]\nlr = 0.5\n[engine]"
    rows = train(write(MODEL, ("[engine]", readings), ("folds = 3", "folds = 2")), tmp_path)
    assert rows.groupby("reading")["lr"].unique().map(list).to_dict() == {"one": [0.1], "other": [0.5]}
    assert rows["status"].eq("ok").all()


def test_numbers_of_a_function_grow_with_the_measures_that_are_asked_for(write, tmp_path):
    train(write(), tmp_path)
    rows = train(write(MODEL, ("[data]", 'measures = ["f1"]\n[data]')), tmp_path)
    assert rows["test_f1"].notna().all()


def test_a_factor_may_be_tuned(write, tmp_path):
    path = write(
        MODEL.replace('{"test"', '{"validation": split.validation.targets, "test"'), ("[data]", 'tune = ["width"]\n[data]')
    )
    train(path, tmp_path)
    assert len(api.tables_of(spec.load(str(path)), tmp_path / "results")["tuned"]) == 1


def test_a_trial_is_shown_by_its_numbers(write, tmp_path):
    path = write()
    study = spec.load(str(path))
    train(path, tmp_path)
    lines = one.describe_call(study, plan.trials(study)[0].key)
    assert any(line.split() == ["width", "2"] for line in lines)
    assert any(line.startswith("test_errors") for line in lines)


@pytest.mark.parametrize("name", ["convolution", "estimators", "simulation"])
def test_an_example_runs(name, tmp_path):
    for ending in ("py", "toml"):
        shutil.copy(EXAMPLES / f"{name}.{ending}", tmp_path)
    fewer = ["validation.folds=2"] if name != "simulation" else []
    study = spec.load(str(tmp_path / f"{name}.toml"), fewer)
    run_all([study], jobs=2, results=tmp_path / "results")
    rows = api.rows_of(study, tmp_path / "results").trials
    assert rows["status"].eq("ok").all(), rows["reason"].unique()
    assert len(rows) == study.trials
    assert "<img" in api.write_report(study, tmp_path / "results", tmp_path / "figures").read_text()
    assert tomllib.loads((EXAMPLES / f"{name}.toml").read_text())["question"]
    if name == "convolution":
        assert (100 * rows["val_errors"] / rows["n_val"]).mean() < 10


def test_the_convolutional_example_is_of_six_configurations_and_five_folds():
    study = spec.load(str(EXAMPLES / "convolution.toml"))
    assert (len(study.grid.configurations), study.validation.folds) == (6, 5)


def test_after_kill_9_no_finished_trial_is_called_again(commands, tmp_path):
    (tmp_path / "calls.py").write_text(
        "import time\n\n"
        "def train(split, *, seed, width=1):\n"
        "    time.sleep(0.3)\n"
        "    return {'test_error': 10.0 * width + seed % 7}\n"
    )
    path = tmp_path / "killed.toml"
    path.write_text('[engine]\npath = "calls.py"\n[validation]\nrepeats = 10\n[[grid]]\nwidth = [1, 2]\n')
    run = commands.begin("run", path, "-j", "1", cwd=tmp_path)
    shards = tmp_path / "results" / "killed" / "shards"

    def done():
        return sum(shard.read_text().count('"status": "ok"') for shard in shards.glob("*.jsonl"))

    while done() < 3 and run.poll() is None:
        time.sleep(0.05)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    finished = done()
    assert 3 <= finished < 20
    resumed = commands.call("run", path, "-j", "1", cwd=tmp_path)
    assert f"20 trials, of which this run trained {20 - finished}" in resumed.stdout
