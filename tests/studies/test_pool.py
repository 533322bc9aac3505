"""Stacks whose processes die."""

import signal
import subprocess
import sys
from dataclasses import asdict, replace

import pandas as pd
import pytest

import studies
from studies.plan import plan
from studies.plan.units import Source, Unit
from studies.spec import spec
from studies.train import engines, pool, runner
from studies.train.engines.fused import builds
from studies.train.engines.stack import StackEngine
from studies.train.worker import Lost

core = pytest.mark.skipif(not builds.any_built(), reason="the core is not built: no C++ compiler was here at installation")


class Deadly(Source):
    """Kills the process that it is sent to."""

    def __reduce__(self):
        return signal.raise_signal, (signal.SIGKILL,)


def poisoned(stack):
    return replace(stack, source=Deadly(**vars(stack.source)))


@pytest.fixture
def stacks(tiny):
    path = tiny(("epochs = 3", 'epochs = 3\nengine = "stack"'))
    study = replace(spec.load(str(path)), stack=3)
    return engines.plan_units(study, plan.trials(study), jobs=2)


LOST = {
    "never": (0, [(3, 2)], 0),
    "once": (1, [(3, 2), (3, 1)], 0),
    "twice": (2, [(3, 2), (3, 1), (2, 1), (1, 1)], 0),
    "always": (3, [(3, 2), (3, 1), (2, 1), (1, 1)], 3),
}


@pytest.mark.parametrize(("times", "expected", "failures"), LOST.values(), ids=LOST)
def test_a_lost_stack_trains_again_alone_then_in_halves_then_has_failed(stacks, times, expected, failures):
    victim = {trial.key for trial in stacks[0].trials}
    tries, rounds, received = [], [], []

    def train(given, jobs):
        rounds.append(given)
        for stack in given:
            if {trial.key for trial in stack.trials} <= victim:
                tries.append((len(stack.trials), jobs))
                lost = len(rounds) <= times
                yield stack, Lost("it died") if lost else [{"trial": trial.key, "status": "ok"} for trial in stack.trials]
            else:
                yield stack, [{"trial": trial.key, "status": "ok"} for trial in stack.trials]

    pool.train_persistently(train, stacks, 2, received.extend)
    assert tries == expected
    assert sorted(record["trial"] for record in received) == sorted(trial.key for stack in stacks for trial in stack.trials)
    failed = [record for record in received if record["status"] == "failed"]
    assert len(failed) == failures
    assert {record["reason"] for record in failed} <= {"it died: 3 tries"}


def test_a_stack_that_kills_its_process_fails_and_the_others_do_not_notice(tiny, tmp_path, monkeypatch):
    planned = engines.plan_units

    def with_one_poisoned(*given):
        first, *others = planned(*given)
        return [poisoned(first), *others]

    monkeypatch.setattr(engines, "plan_units", with_one_poisoned)
    study = replace(spec.load(str(tiny())), stack=3)
    rows = studies.run(study, results=tmp_path / "r", jobs=2, backend="loky")
    assert (rows["status"] == "ok").sum() == 9
    assert set(rows["reason"].dropna()) == {"the process that trained it died (SIGKILL(-9)): 3 tries"}
    monkeypatch.undo()
    again = []
    rows = studies.run(study, results=tmp_path / "r", jobs=1, received=again.extend)
    assert len(again) == 3
    assert (rows["status"] == "ok").all()


def test_without_shared_memory_a_run_trains_in_one_process_and_says_so(tiny, tmp_path, monkeypatch):
    def none(_):
        raise OSError("Read-only file system")

    monkeypatch.setattr(pool.multiprocessing, "get_context", none)
    monkeypatch.delattr(pool, "ProcessPoolExecutor")
    with pytest.warns(
        UserWarning, match=r"shared memory, and there is none \(Read-only file system\): training in one process"
    ):
        rows = studies.run(tiny(), jobs=2, results=tmp_path)
    assert (rows["status"] == "ok").all()


@core
def test_threads_train_what_is_short_to_the_bit_that_processes_do(tiny, tmp_path, monkeypatch):
    made = {"loky": studies.run(tiny(), results=tmp_path / "loky", jobs=2, backend="loky")}
    monkeypatch.delattr(pool, "ProcessPoolExecutor")
    made["auto"] = studies.run(tiny(), results=tmp_path / "auto", jobs=2)
    one, other = (made[name].drop(columns="seconds").sort_values("trial", ignore_index=True) for name in ("loky", "auto"))
    assert set(one["trained_by"]) == {"fused"}
    pd.testing.assert_frame_equal(one, other)


@core
@pytest.mark.parametrize(
    ("engine", "epochs", "threads"),
    [("fused", 3, True), ("fused", 10_000_000, False), ("stack", 3, False)],
    ids=["short", "long", "in the interpreter"],
)
def test_processes_start_where_that_pays(tiny, engine, epochs, threads):
    study = spec.load(str(tiny(("epochs = 3", f'epochs = {epochs}\nengine = "{engine}"'))))
    assert engines.threads_suffice(engines.plan_units(study, plan.trials(study), jobs=2), 2) is threads


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes.")]
)
def test_a_stack_too_large_for_the_memory_trains_in_halves(stacks, monkeypatch, error):
    train, received = StackEngine.train, []

    def limited(engine, stack):
        if len(stack.trials) > 2:
            raise error
        return train(engine, stack)

    monkeypatch.setattr(StackEngine, "train", limited)
    pool.train_units(stacks, 1, "sequential", received.extend, planned=stacks)
    assert len(received) == 12
    assert {(record["status"], record["stack"]) for record in received} == {("ok", 2), ("ok", 1)}


def test_memory_that_never_suffices_is_a_reason(stacks, monkeypatch):
    def hungry(*_):
        raise MemoryError("no room")

    monkeypatch.setattr(StackEngine, "train", hungry)
    received = []
    pool.train_units(stacks[:1], 1, "sequential", received.extend, planned=stacks[:1])
    assert [record["reason"] for record in received] == ["out of memory: MemoryError: no room: 3 tries"] * 3


def test_halves_are_the_stack(stacks):
    one, other = stacks[0].halves()
    assert [*one.trials, *other.trials] == list(stacks[0].trials)
    assert one.work + other.work == pytest.approx(stacks[0].work)
    assert asdict(one.source) == asdict(stacks[0].source)
    assert other.halves() == [other]


def test_a_process_that_trains_imports_little_more_than_torch():
    code = "import sys, studies.train.worker; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"sklearn", "scipy", "pandas", "matplotlib"} & set(done.stdout.split())


def test_a_stack_trains_on_the_rows_that_it_brings(stacks, monkeypatch):
    def numbers(stack):
        return [{**record, "seconds": None} for record in runner.train_unit(stack)]

    drawn, loaded = numbers(stacks[0]), stacks[0].with_rows()
    monkeypatch.delattr(Unit, "with_rows")
    assert numbers(loaded) == drawn
