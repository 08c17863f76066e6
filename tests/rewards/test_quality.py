import math

import numpy as np
import pytest

from rewards.quality import quality
from rewards.votes import Votes


def test_rates_are_over_the_pairs_that_were_run():
    passed = np.array([[True, True, False, False], [True, False, False, True]])
    run = np.array([[True, True, True, False], [True, True, True, True]])
    measured = quality(Votes.from_matrix(passed, run), np.array([True, False, True, False]))
    assert (measured.false_positives, measured.wrong) == (2, 3)
    assert (measured.false_negatives, measured.right) == (2, 4)
    assert measured.false_positive_rate == pytest.approx(2 / 3)
    assert measured.false_negative_rate == pytest.approx(1 / 2)


def test_rates_are_unknown_where_there_is_nothing_to_err_on():
    all_right = quality(Votes.from_matrix(np.ones((3, 2), np.bool_)), np.array([True, True]))
    assert math.isnan(all_right.false_positive_rate)
    assert all_right.false_negative_rate == 0
    without_tests = quality(Votes(2), np.array([True, False]))
    assert math.isnan(without_tests.false_positive_rate)
    assert math.isnan(without_tests.false_negative_rate)


def test_ground_truth_of_other_candidates_is_refused():
    with pytest.raises(ValueError, match="2 candidates"):
        quality(Votes(2), np.array([True, False, True]))
