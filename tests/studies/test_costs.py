"""The rough time of training: its parts, and the sentence about it. No test measures a time."""

import pytest

from studies.plan import plan
from studies.show.plan import rough_time
from studies.spec import spec
from studies.train import costs, engines


def cost(tiny, *changes):
    study = spec.load(str(tiny(*changes)))
    return sum(engines.engine_of(unit).cost(unit) for unit in engines.plan_units(study, plan.trials(study), jobs=1))


LONGER = {  # a change of the tiny study, and between which factors it makes training longer
    "one row to a step": ("batch_size = 16", "batch_size = 1", 6, 16),
    "more epochs": ("epochs = 30", "epochs = 300", 5, 10),
    "one model at a time": ("engine = 'stack'", "engine = 'torch_nn'", 4, 40),
    "wide layers": ("hidden = [4]", "hidden = [1000, 1000]", 20, 1000),
    "deep networks": ("hidden = [4]", f"hidden = {[4] * 20}", 1.5, 10),
    "batch norm": ("epochs = 30", "epochs = 30\nbatchnorm = 'affine'", 1.2, 3),
    "dropout": ("epochs = 30", "epochs = 30\ndropout = 0.5", 1.2, 3),
    "a history": ("history_every = 0", "history_every = 1", 2, 6),
}


@pytest.mark.parametrize(("old", "new", "low", "high"), LONGER.values(), ids=LONGER)
def test_the_cost_follows_steps_calls_and_arithmetic(tiny, old, new, low, high):
    # Else there is less of training.
    start = (("epochs = 3", "epochs = 30\nengine = 'stack'"), ("history_every = 1", "history_every = 0"))
    assert low < cost(tiny, *start, (old, new)) / cost(tiny, *start) < high


TIMES = {
    "seconds": (40.0, 1, "about 40 seconds in 1 process,"),
    "minutes": (600.0, 1, "about 10 minutes in 1 process,"),
    "hours": (7200.0, 1, "about 2.0 hours in 1 process,"),
    "two processes share the work": (7200.0, 2, "about 60 minutes in 2 processes,"),
    "but not that of one stack": (7200.0, 10_000, "about 20 minutes in 10,000 processes,"),
}


@pytest.mark.parametrize(("seconds", "jobs", "told"), TIMES.values(), ids=TIMES)
def test_the_time_in_words(tiny, monkeypatch, seconds, jobs, told):
    study = spec.load(str(tiny()))
    unit = engines.plan_units(study, plan.trials(study), jobs=1)[0]
    monkeypatch.setattr(costs, "unit_seconds", lambda: seconds / 6 / engines.engine_of(unit).cost(unit))
    monkeypatch.setattr(costs, "START", 0.0)
    monkeypatch.setattr(costs, "END", 0.0)
    assert rough_time([unit] * 6, jobs).startswith(told)


def test_the_unit_is_measured():
    assert 0 < costs.unit_seconds() < 10
