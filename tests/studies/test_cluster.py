"""A scheduler and workers as real processes on this machine."""

import inspect
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from commands import PATIENCE
from distributed import CancelledError, KilledWorker
from distributed.comm import CommClosedError

import studies
from studies.errors import UserError
from studies.plan import plan, units
from studies.spec import spec
from studies.train import cluster as dask
from studies.train import engines, worker

ROOT = Path(__file__).parents[2]
WORKER = """
import os, signal, time
from studies.train import runner
def dask_setup(worker):
    train = runner.train_unit
    def told(unit):
        with open(os.environ["FITS"], "a") as fits:
            fits.write(f"{os.environ['NAME']} {os.getpid()}\\n")
        if any(trial.fold == 2 and "elu" in trial.configuration.settings["activation"] for trial in unit.trials):
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.2)  # long enough to be killed in
        return train(unit)
    runner.train_unit = told
"""
NANNY = """  # a worker that is started again is forked from a process that has imported everything
import multiprocessing
from distributed.utils import get_mp_context
get_mp_context()
multiprocessing.set_forkserver_preload(["distributed", "studies.train.cluster"])
"""


def wait_for(condition):
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, inspect.getsource(condition)
        time.sleep(0.02)
    return found


class Cluster:
    """A scheduler and its workers, each a process group of its own, which all end with this."""

    def __init__(self, folder):
        self.folder, self.fits, self.processes = folder, folder / "fits", {}
        self.fits.touch()
        (folder / "preload.py").write_text(WORKER)
        (folder / "preload_nanny.py").write_text(NANNY)
        place = folder / "scheduler.json"
        self.start("scheduler", "scheduler", "--port", "0", "--scheduler-file", place)
        self.address = wait_for(lambda: place.exists() and place.read_text() and json.loads(place.read_text())["address"])

    def start(self, name, kind, *options, path=ROOT):
        environment = {
            **os.environ,
            "PYTHONPATH": str(path),
            "FITS": str(self.fits),
            "NAME": name,
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
            "DASK_DISTRIBUTED__WORKER__MULTIPROCESSING_METHOD": "forkserver",
        }
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--host", "127.0.0.1", "--no-dashboard"]
        with (self.folder / f"{name}.log").open("w") as log:
            self.processes[name] = subprocess.Popen(
                [*command, *map(str, options)], cwd=self.folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    def workers(self, like=True, **options):
        """Start workers with their options; what is not like this process is not kept alive, and imports nothing."""
        preload = ("--preload", self.folder / "preload.py", "--preload-nanny", self.folder / "preload_nanny.py")
        for name, own in options.items():
            own = ("--local-directory", self.folder, *(preload if like else ("--no-nanny",)), *own)
            self.start(name, "worker", self.address, *own, path=ROOT if like else self.folder / name)
        for name in options:
            wait_for(lambda log=self.folder / f"{name}.log": "Registered to" in log.read_text())

    def kill(self, name):
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def trained(self, name):
        """The process of each stack that a worker began."""
        return [int(line.split()[1]) for line in self.fits.read_text().splitlines() if line.split()[0] == name]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two workers, of which the second has a resource."""
    started = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        started.workers(one=("--nthreads", 1), two=("--nthreads", 1, "--resources", "GPU=1"))
        yield started
    finally:
        for name in list(started.processes):
            started.kill(name)


def processes(group):
    """True where a process group has processes."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def outcomes(folder, study="tiny"):
    return pd.read_csv(folder / study / "trials.csv").drop(columns="seconds")


PAIRS = ('title = "Tiny"', 'title = "Tiny"\nstack = 2')


def test_rows_are_those_of_a_local_run_although_a_worker_is_killed(commands, tiny, cluster, tmp_path):
    path = tiny(PAIRS)
    run = commands.begin("run", path, "--backend", "dask", "--scheduler", cluster.address, cwd=tmp_path)
    (victim, *_) = wait_for(lambda: cluster.trained("one"))
    os.kill(victim, signal.SIGKILL)
    ended = run.finish()
    assert (ended.returncode, ended.stderr) == (0, "")
    studies.run(path, backend="sequential", results=tmp_path / "local")
    pd.testing.assert_frame_equal(outcomes(tmp_path / "results"), outcomes(tmp_path / "local"), check_exact=True)
    assert cluster.trained("two")


def test_a_trial_that_kills_its_workers_has_failed_and_the_others_are_trained(call, tiny, cluster, tmp_path):
    path = tiny(('["relu", "tanh"]', '["relu", "elu"]'), (', { name = "adam", lr = 0.01 }', ""))
    run = call("run", path, "--backend", "dask", "--scheduler", cluster.address, cwd=tmp_path)
    assert run.returncode == 1, run.stderr
    reason, advice = run.stderr.splitlines()
    assert reason == "1 trials failed: 2 workers died while they trained it: 3 tries"
    assert advice.startswith("to train them again: ablation run ")
    table = outcomes(tmp_path / "results").set_index(["activation", "fold"])["status"]
    assert table.value_counts().to_dict() == {"ok": 5, "failed": 1}
    assert table["elu", 2] == "failed"


UNLIKE = {
    "no package": ({"studies/__init__.py": "raise ImportError"}, 1, "ablation-suite is missing"),
    "another version": (
        {"framework/__init__.py": "", "studies/__init__.py": "", "studies/plan/units.py": "NUMERICS = 999"},
        1,
        "numerics 999 there",
    ),
    "two threads": ({}, 2, "has 2; start it with --nthreads 1"),
}


@pytest.mark.parametrize(("modules", "threads", "message"), UNLIKE.values(), ids=UNLIKE)
def test_a_worker_that_is_not_like_this_process_is_refused_in_one_line(
    call, tiny, cluster, tmp_path, modules, threads, message
):
    for name, content in modules.items():
        module = cluster.folder / "unlike" / name
        module.parent.mkdir(parents=True, exist_ok=True)
        module.write_text(content)
    cluster.workers(like=False, unlike=("--nthreads", threads))
    try:
        run = call("run", tiny(), "--backend", "dask", "--scheduler", cluster.address, cwd=tmp_path)
    finally:
        cluster.kill("unlike")
        shutil.rmtree(cluster.folder / "unlike", ignore_errors=True)
    assert run.returncode == 2
    assert run.stderr.startswith("ablation: ")
    assert run.stderr.count("\n") == 1
    assert message in run.stderr
    assert "tcp://127.0.0.1" in run.stderr
    assert not (tmp_path / "results").exists()


def test_units_that_need_a_resource_go_where_it_is(tiny, cluster):
    study = spec.load(str(tiny()))
    stacks = engines.plan_units(study, plan.trials(study), 1)
    before = {name: len(cluster.trained(name)) for name in ("one", "two")}
    records = []
    with dask.connect(cluster.address, 1) as client:
        dask.run_on_cluster(stacks, client, records.extend, {"GPU": 1})
        with pytest.raises(UserError, match=r"no worker has GPU=2: "):
            dask.run_on_cluster(stacks, client, records.extend, {"GPU": 2})
    assert len(records) == 12
    assert {record["status"] for record in records} == {"ok"}
    assert {name: len(cluster.trained(name)) - before[name] for name in before} == {"one": 0, "two": len(stacks)}


def test_without_a_scheduler_a_cluster_of_this_machine_trains_and_ends(commands, tiny, tmp_path):
    run = commands.begin("run", tiny(), "--backend", "dask", "-j", "1", cwd=tmp_path)
    ended = run.finish()
    assert (ended.returncode, ended.stderr) == (0, "")
    wait_for(lambda: not processes(run.pid))
    studies.run(tiny(), backend="sequential", results=tmp_path / "local")
    pd.testing.assert_frame_equal(outcomes(tmp_path / "results"), outcomes(tmp_path / "local"), check_exact=True)


@pytest.mark.parametrize(
    "options", [("--scheduler", "tcp://127.0.0.1:1"), ("--backend", "dask", "--scheduler", "tcp://127.0.0.1:1", "-j", "2")]
)
def test_a_scheduler_goes_with_dask_and_without_jobs(call, tiny, tmp_path, options):
    called = call("run", tiny(), *options, cwd=tmp_path)
    assert called.returncode == 2
    assert "a scheduler goes with backend dask, and without jobs" in called.stderr


def test_silence_and_a_lost_scheduler_are_one_clear_error_and_the_next_run_goes_on(commands, tiny, cluster, tmp_path):
    """The last that needs the cluster: it ends it, piece by piece."""
    path = tiny(PAIRS, ("folds = 3", "folds = 3\nrepeats = 3"))
    command = ("run", path, "--backend", "dask", "--scheduler", cluster.address)
    shards = tmp_path / "results" / "tiny" / "shards"

    def rows():
        return sum(shard.read_text().count('"trial": "') for shard in shards.glob("*.jsonl"))

    run = commands.begin(*command, cwd=tmp_path, first="cluster.SILENCE = 2.0")
    wait_for(lambda: rows() > 2)
    cluster.kill("one")
    cluster.kill("two")
    ended = run.finish()
    assert ended.returncode == 1
    assert ended.stderr.startswith("ablation: nothing was heard of the cluster for ")
    assert ended.stderr.count("\n") == 1

    safe = rows()
    cluster.workers(only=("--nthreads", 1))
    run = commands.begin(*command, cwd=tmp_path)
    wait_for(lambda: rows() > safe + 2)
    cluster.kill("scheduler")
    ended = run.finish()
    assert ended.returncode == 1
    assert ended.stderr.startswith("ablation: the scheduler is gone: start the cluster again; ")
    assert ended.stderr.count("\n") == 1
    assert cluster.trained("only")  # the one core was the worker's, not this process's

    safe = rows()
    refused = commands.call(*command, cwd=tmp_path)
    assert refused.returncode == 2
    assert "no scheduler answers at" in refused.stderr
    trained = []
    table = studies.run(path, backend="sequential", results=tmp_path / "results", received=trained.extend)
    assert (len(table), len(trained)) == (36, 36 - safe)


class Result:
    """The future of a unit that has ended, and what a client makes of it."""

    def __init__(self, given):
        self._given = given

    def add_done_callback(self, call):
        call(self)

    def result(self, timeout):
        assert timeout > dask.SILENCE
        if isinstance(self._given, BaseException):
            raise self._given
        return self._given


class Workers:
    """A client of a cluster that a worker joins between two results."""

    def __init__(self, *results):
        self._results, self.looks = iter(results), 0

    def nthreads(self, workers=()):
        if workers:
            return dict.fromkeys(workers, 2)
        self.looks += 1
        return dict.fromkeys(["one", "two"][: self.looks], 1)

    def submit(self, function, unit, *, pure, resources):  # noqa: ARG002
        assert (function, pure, resources) == (worker.attempt, False, None)
        return Result(next(self._results))


@pytest.fixture
def two_units(tiny, monkeypatch):
    monkeypatch.setattr(dask.costs, "unit_seconds", lambda: 1e-9)
    study = spec.load(str(tiny(PAIRS)))
    return engines.plan_units(study, plan.trials(study), 1)[:2]


def test_a_worker_that_joins_later_is_checked_once(two_units, monkeypatch):
    checked = []
    monkeypatch.setattr(dask, "check_workers", lambda _, workers: checked.append(workers))
    assert [outcome for _, outcome in dask._outcomes(two_units, Workers([1], [2]), {})] == [[1], [2]]
    assert checked == [{"two"}]
    monkeypatch.undo()
    with pytest.raises(UserError, match="a worker trains on one thread: two has 2"):
        list(dask._outcomes(two_units[:1], Workers([1]), {}))


FAILURES = {
    "a unit that kills its workers": (KilledWorker("key", None, 3), None),
    "silence": (TimeoutError(), (TimeoutError, "nothing was heard of the cluster for 600 seconds")),
    "a lost scheduler": (CancelledError("key"), (ConnectionError, "the scheduler is gone")),
    "a lost connection": (CommClosedError(), (ConnectionError, "the scheduler is gone")),
    "an error of its own": (ZeroDivisionError("mine"), (ZeroDivisionError, "mine")),
}


@pytest.mark.parametrize(("error", "expected"), FAILURES.values(), ids=FAILURES)
def test_each_future_has_its_own_end(two_units, monkeypatch, error, expected):
    monkeypatch.setattr(dask, "check_workers", lambda *_: None)
    outcomes = dask._outcomes(two_units, Workers([1], error), {})
    assert next(outcomes) == (two_units[0], [1])
    if expected is None:
        assert next(outcomes) == (two_units[1], worker.Lost("4 workers died while they trained it"))
    else:
        with pytest.raises(expected[0], match=expected[1]):
            next(outcomes)


def test_the_version_of_the_code_is_that_of_all_its_files(tmp_path, monkeypatch):
    def changed(*place):
        path = tmp_path.joinpath(*place)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{path} {time.monotonic_ns()}")
        return dask.versions()["ablation-suite"]

    modules = {name: SimpleNamespace(__file__=str(tmp_path / name / "__init__.py")) for name in ("framework", "studies")}
    modules["studies.plan.units"] = units
    monkeypatch.setattr(dask, "import_module", modules.get)
    places = [("studies", "a.py"), ("studies", "train", "b.py"), ("studies", "train", "engines", "c.py"), ("framework", "d.py")]
    assert len({changed(*place) for place in (*places, *places)}) == 8
    assert changed("studies", "specs", "e.toml") == dask.versions()["ablation-suite"]
