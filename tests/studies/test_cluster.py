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

import joblib._dask
import pandas as pd
import pytest

import studies

ROOT = Path(__file__).parents[2]
PATIENCE = 120  # seconds for what takes one or two on a quiet machine
WORKER = """
import os, signal
from studies import runner
def dask_setup(worker):
    fit = runner.fit
    def told(stack, observe=None):
        with open(os.environ["FITS"], "a") as fits:
            fits.write(f"{os.environ['NAME']} {os.getpid()}\\n")
        if any(trial.fold == 2 and "elu" in trial.configuration.settings["activation"] for trial in stack.trials):
            os.kill(os.getpid(), signal.SIGKILL)
        return fit(stack, observe)
    runner.fit = told
"""


def wait_for(condition):
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, inspect.getsource(condition)
        time.sleep(0.05)
    return found


class Cluster:
    """A scheduler and its workers, each a process group of its own, which all end with this."""

    def __init__(self, folder):
        self.folder, self.fits, self.processes = folder, folder / "fits", {}
        self.fits.touch()
        (folder / "preload.py").write_text(WORKER)
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
        }
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--host", "127.0.0.1", "--no-dashboard"]
        with (self.folder / f"{name}.log").open("w") as log:
            self.processes[name] = subprocess.Popen(
                [*command, *map(str, options)], cwd=self.folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    def worker(self, name, *options, path=ROOT, threads=1):
        preload = ["--preload", self.folder / "preload.py"] if path == ROOT else []
        options = ["--nthreads", threads, "--local-directory", self.folder, *preload, *options]
        self.start(name, "worker", self.address, *options, path=path)
        wait_for(lambda: "Registered to" in (self.folder / f"{name}.log").read_text())

    def kill(self, name):
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def trained(self, name):
        """The process of each stack that a worker began."""
        return [int(line.split()[1]) for line in self.fits.read_text().splitlines() if line.split()[0] == name]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    started = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        started.worker("one")
        started.worker("two")
        yield started
    finally:
        for name in list(started.processes):
            started.kill(name)


@pytest.fixture
def lonely(tmp_path):
    """A cluster of one worker, and so of one core."""
    (tmp_path / "lonely").mkdir()
    started = Cluster(tmp_path / "lonely")
    try:
        started.worker("only")
        yield started
    finally:
        for name in list(started.processes):
            started.kill(name)


def begin(*arguments, cwd, code="from studies.cli import main; main()"):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "COLUMNS": "200", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def call(*arguments, cwd, **options):
    process = begin(*arguments, cwd=cwd, **options)
    output, errors = process.communicate(timeout=2 * PATIENCE)
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def ended(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def outcomes(folder, study="tiny"):
    return pd.read_csv(folder / study / "trials.csv").drop(columns="seconds")


LONG = (
    ("epochs = 3", "epochs = 150"),
    ("folds = 3", "folds = 3\nrepeats = 3"),
    ('title = "Tiny"', 'title = "Tiny"\nstack = 2'),
)


def test_rows_are_those_of_a_local_run_although_a_worker_is_killed(tiny, cluster, tmp_path):
    path = tiny(*LONG)
    process = begin("run", path, "--backend", "dask", "--scheduler", cluster.address, cwd=tmp_path)
    (victim, *_) = wait_for(lambda: cluster.trained("one"))
    os.kill(victim, signal.SIGKILL)
    _, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (0, "")
    studies.run(path, backend="sequential", results=tmp_path / "local")
    pd.testing.assert_frame_equal(outcomes(tmp_path / "results"), outcomes(tmp_path / "local"), check_exact=True)
    assert cluster.trained("two")


def test_a_trial_that_kills_its_workers_has_failed_and_the_others_are_trained(tiny, cluster, tmp_path):
    path = tiny(('["relu", "tanh"]', '["relu", "elu"]'), (', { name = "adam", lr = 0.01 }', ""))
    run = call("run", path, "--backend", "dask", "--scheduler", cluster.address, cwd=tmp_path)
    assert run.returncode == 1, run.stderr
    assert run.stderr == "1 trials failed: 2 workers died while they trained it: 3 tries\n"
    table = outcomes(tmp_path / "results").set_index(["activation", "fold"])["status"]
    assert table.value_counts().to_dict() == {"ok": 5, "failed": 1}
    assert table["elu", 2] == "failed"


def other_numerics(folder):
    for package in ("framework", "studies"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    module = folder / "studies" / "plan.py"
    module.write_text(module.read_text() + "\nNUMERICS = 999\n")


def no_package(folder):
    (folder / "studies").mkdir(parents=True)
    (folder / "studies" / "__init__.py").write_text("raise ImportError\n")


UNLIKE = {
    "no package": (no_package, 1, "ablation-suite is missing"),
    "another version": (other_numerics, 1, "numerics 999 there"),
    "two threads": (None, 2, "has 2; start it with --nthreads 1"),
}


@pytest.mark.parametrize(("made", "threads", "message"), UNLIKE.values(), ids=UNLIKE)
def test_a_worker_that_is_not_like_this_process_is_refused_in_one_line(tiny, cluster, tmp_path, made, threads, message):
    path = ROOT
    if made:
        path = tmp_path / "there"
        made(path)
    cluster.worker("unlike", path=path, threads=threads)
    try:
        run = call("run", tiny(), "--backend", "dask", "--scheduler", cluster.address, cwd=tmp_path)
    finally:
        cluster.kill("unlike")
    assert run.returncode == 2
    assert run.stderr.startswith("ablation: ")
    assert run.stderr.count("\n") == 1
    assert message in run.stderr
    assert "tcp://127.0.0.1" in run.stderr
    assert not (tmp_path / "results").exists()


WITH_RESOURCES = """
import sys
from studies import cluster, plan, spec
study = spec.load(sys.argv[1])
with cluster.opened(sys.argv[2], 1) as client:
    records = []
    cluster.run(plan.stacks(study, plan.trials(study), 1), client, records.extend, {"GPU": 1})
    assert len(records) == 12 and {record["status"] for record in records} == {"ok"}
    try:
        cluster.run(plan.stacks(study, plan.trials(study), 1), client, records.extend, {"GPU": 2})
    except cluster.UserError as error:
        print(error)
"""


def test_units_that_need_a_resource_go_where_it_is(tiny, cluster, tmp_path):
    before = len(cluster.trained("one") + cluster.trained("two"))
    cluster.worker("three", "--resources", "GPU=1")
    try:
        called = call(tiny(), cluster.address, cwd=tmp_path, code=WITH_RESOURCES)
    finally:
        cluster.kill("three")
    assert called.returncode == 0, called.stderr
    assert called.stdout.startswith("no worker has GPU=2: ")
    assert len(cluster.trained("three")) == 2
    assert len(cluster.trained("one") + cluster.trained("two")) == before


SHORT_SILENCE = "from studies import cluster; cluster.SILENCE = 2.0; from studies.cli import main; main()"


def test_silence_and_a_lost_scheduler_are_one_clear_error_and_the_next_run_goes_on(tiny, lonely, tmp_path):
    path = tiny(*LONG, ("epochs = 150", "epochs = 500"))
    command = ("run", path, "--backend", "dask", "--scheduler", lonely.address)
    shards = tmp_path / "results" / "tiny" / "shards"

    def rows():
        return sum(shard.read_text().count('"trial": "') for shard in shards.glob("*.jsonl"))

    process = begin(*command, cwd=tmp_path, code=SHORT_SILENCE)
    wait_for(lambda: rows() > 2)
    lonely.kill("only")
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert errors.startswith("ablation: nothing was heard of the cluster for ")
    assert errors.count("\n") == 1
    assert lonely.trained("only")  # the one core was the worker's, not this process's

    safe = rows()
    lonely.worker("another")
    process = begin(*command, cwd=tmp_path)
    wait_for(lambda: rows() > safe + 2)
    lonely.kill("scheduler")
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert errors.startswith("ablation: the scheduler is gone: start the cluster again; ")
    assert errors.count("\n") == 1

    safe = rows()
    refused = call(*command, cwd=tmp_path)
    assert refused.returncode == 2
    assert "no scheduler answers at" in refused.stderr
    trained = []
    table = studies.run(path, backend="sequential", results=tmp_path / "results", received=trained.extend)
    assert (len(table), len(trained)) == (36, 36 - safe)


def test_without_a_scheduler_a_cluster_of_this_machine_trains_and_ends(tiny, tmp_path):
    process = begin("run", tiny(), "--backend", "dask", "-j", "1", cwd=tmp_path)
    _, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (0, "")
    wait_for(lambda: ended(process.pid))
    studies.run(tiny(), backend="sequential", results=tmp_path / "local")
    pd.testing.assert_frame_equal(outcomes(tmp_path / "results"), outcomes(tmp_path / "local"), check_exact=True)


@pytest.mark.parametrize(
    "options", [("--scheduler", "tcp://127.0.0.1:1"), ("--backend", "dask", "--scheduler", "tcp://127.0.0.1:1", "-j", "2")]
)
def test_a_scheduler_goes_with_dask_and_without_jobs(tiny, tmp_path, options):
    called = call("run", tiny(), *options, cwd=tmp_path)
    assert called.returncode == 2
    assert "a scheduler goes with backend dask, and without jobs" in called.stderr


def test_the_parts_of_joblib_that_are_replaced_are_as_they_were():
    """Where this fails, compare `studies.cluster.Backend` with the new joblib; it may be needed no more."""
    source = inspect.getsource(joblib._dask.DaskDistributedBackend)
    for line in (
        "self.client.loop.add_callback(self._collect)",
        "self.waiting_futures.add(dask_future)",
        "self._callbacks[dask_future] = callback",
        "self._results[dask_future] = cf_future",
        "cf_future.set_exception(exc)\n                else:",
        "return _retrieve_traceback_capturing_wrapped_call(out)",
    ):
        assert line in source, line
