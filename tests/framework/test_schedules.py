import math

import pytest

from framework import constant, cosine, exponential, step_decay, triangular, warmup

HALF = math.sqrt(0.5)
TABLES = {
    "constant": (constant, {0: 1.0, 1: 1.0, 999: 1.0}),
    "step_decay": (step_decay(), {0: 1.0, 9: 1.0, 10: 0.5, 19: 0.5, 20: 0.25, 35: 0.125}),
    "step_decay_tenth_every_3": (step_decay(0.1, 3), {0: 1.0, 2: 1.0, 3: 0.1, 5: 0.1, 6: 0.01, 9: 0.001}),
    "step_decay_every_epoch": (step_decay(0.9, 1), {0: 1.0, 1: 0.9, 2: 0.81, 3: 0.729}),
    "exponential": (exponential(), {0: 1.0, 1: 0.95, 2: 0.9025}),
    "exponential_half": (exponential(0.5), {0: 1.0, 1: 0.5, 4: 0.0625}),
    "warmup": (warmup(), {0: 0.2, 1: 0.4, 3: 0.8, 4: 1.0, 5: 1.0, 99: 1.0}),
    "warmup_of_none": (warmup(1), {0: 1.0, 1: 1.0}),
    "triangular": (triangular(), {0: 0.1, 5: 0.55, 10: 1.0, 15: 0.55, 20: 0.1, 25: 0.55, 30: 1.0}),
    "triangular_from_0": (triangular(0.0, 4), {0: 0.0, 1: 0.5, 2: 1.0, 3: 0.5, 4: 0.0, 6: 1.0}),
    "triangular_odd": (triangular(0.4, 3), {0: 0.4, 1: 0.8, 2: 0.8, 3: 0.4}),
    "cosine": (cosine(4), {0: 1.0, 1: (1 + HALF) / 2, 2: 0.5, 3: (1 - HALF) / 2, 4: 0.0}),
    "cosine_to_a_fifth": (cosine(6, 0.2), {0: 1.0, 2: 0.8, 3: 0.6, 4: 0.4, 6: 0.2}),
}


@pytest.mark.parametrize("name", TABLES)
def test_schedules_are_the_tables_computed_by_hand(name):
    schedule, table = TABLES[name]
    assert {epoch: schedule(epoch) for epoch in table} == pytest.approx(table, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "make"), [("every", step_decay), ("period", triangular), ("epochs", cosine), ("length", warmup)]
)
def test_schedules_refuse_to_repeat_every_no_epochs(name, make):
    with pytest.raises(ValueError, match=f"{name} is a number of epochs above 0: 0 was given"):
        make(**{name: 0})


@pytest.mark.parametrize("factor", [0.0, 1.1])
def test_an_exponential_decay_refuses_a_factor_out_of_range(factor):
    with pytest.raises(ValueError, match=f"factor is a number above 0 to 1: {factor} was given"):
        exponential(factor)
