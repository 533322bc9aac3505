from math import inf, nan

import pytest
import torch

from framework import argmax, decided, rounded, threshold

pytestmark = pytest.mark.usefixtures("device")

# One sample a line: its outputs, the label that the decision reads from them (None: no label at all).
LABELS = {
    "first_of_two": (argmax, [2.0, 1.0], 0),
    "second_of_two": (argmax, [-2.0, -1.0], 1),
    "last_of_four": (argmax, [0.1, 0.2, 0.3, 0.4], 3),
    "two_equal": (argmax, [1.0, 1.0], 0),
    "two_equal_of_three": (argmax, [0.0, 3.0, 3.0], 1),
    "all_equal": (argmax, [0.0, 0.0, 0.0, 0.0], 0),
    "nan_before": (argmax, [nan, 5.0], 0),
    "nan_after": (argmax, [1.0, nan], 0),
    "all_nan": (argmax, [nan, nan, nan], 0),
    "infinite": (argmax, [0.0, inf], 0),
    "minus_infinite": (argmax, [-inf, 0.0], 0),
    "threshold_below": (threshold, [0.49], 0),
    "threshold_at": (threshold, [0.5], 0),
    "threshold_above": (threshold, [0.51], 1),
    "threshold_far_above": (threshold, [99.0], 1),
    "threshold_negative": (threshold, [-3.0], 0),
    "threshold_nan": (threshold, [nan], 0),
    "threshold_infinite": (threshold, [inf], 0),
    "threshold_minus_infinite": (threshold, [-inf], 0),
    "rounded_zero": (rounded, [0.0], 0),
    "rounded_down": (rounded, [0.49], 0),
    "rounded_half": (rounded, [0.5], 0),
    "rounded_up": (rounded, [0.51], 1),
    "rounded_one": (rounded, [1.49], 1),
    "rounded_from_one_and_a_half": (rounded, [1.5], None),
    "rounded_above": (rounded, [7.0], None),
    "rounded_minus_a_half": (rounded, [-0.5], 0),
    "rounded_below_minus_a_half": (rounded, [-0.51], None),
    "rounded_far_below": (rounded, [-9.0], None),
    "rounded_nan": (rounded, [nan], 0),
    "rounded_infinite": (rounded, [inf], 0),
    "rounded_minus_infinite": (rounded, [-inf], 0),
}


@pytest.mark.parametrize("name", LABELS)
def test_a_decision_reads_the_label_computed_by_hand(name):
    decide, output, label = LABELS[name]
    found = decided(torch.tensor(output)[None, :, None], decide)
    assert found.shape == (1, 1)
    right = [found.item() == each for each in range(max(2, len(output)))]
    assert right == [label == each for each in range(max(2, len(output)))]


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_argmax_is_that_of_torch_ties_included(classes):
    output = torch.randint(-2, 3, (4, classes, 300), generator=torch.Generator().manual_seed(0)).float()
    assert torch.equal(argmax(output), output.argmax(1))


def test_labels_are_decided_for_each_replica_and_sample():
    output = torch.tensor([[[1.0, 0.0, 2.0, nan], [0.0, 1.0, 1.0, 1.0]], [[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, -1.0, 1.0]]])
    assert decided(output, argmax).tolist() == [[0, 1, 0, 0], [1, 1, 0, 1]]


def test_a_replica_that_is_not_finite_always_says_class_0():
    for value in (nan, inf, -inf):
        assert not decided(torch.full((1, 3, 6), value), argmax).any()
