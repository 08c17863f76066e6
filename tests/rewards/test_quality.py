import math

import numpy as np
import pytest

from testbudget.rewards.quality import TestQuality, combined_test_quality, test_quality
from testbudget.rewards.votes import Votes


def test_rates_are_over_the_pairs_that_were_run():
    passed = np.array([[True, True, False, False], [True, False, False, True]])
    run = np.array([[True, True, True, False], [True, True, True, True]])
    measured = test_quality(Votes.from_matrix(passed, run), np.array([True, False, True, False]))
    assert (measured.false_positives, measured.wrong) == (2, 3)
    assert (measured.false_negatives, measured.right) == (2, 4)
    assert measured.false_positive_rate == pytest.approx(2 / 3)
    assert measured.false_negative_rate == pytest.approx(1 / 2)


def test_rates_are_unknown_where_there_is_nothing_to_err_on():
    all_right = test_quality(Votes.from_matrix(np.ones((3, 2), np.bool_)), np.array([True, True]))
    assert math.isnan(all_right.false_positive_rate)
    assert all_right.false_negative_rate == 0
    without_tests = test_quality(Votes(2), np.array([True, False]))
    assert math.isnan(without_tests.false_positive_rate)
    assert math.isnan(without_tests.false_negative_rate)


def test_ground_truth_of_other_candidates_is_refused():
    with pytest.raises(ValueError, match="2 candidates"):
        test_quality(Votes(2), np.array([True, False, True]))


def test_the_papers_rates_are_over_what_was_accepted_and_what_was_rejected():
    measured = TestQuality(false_positives=1, wrong=10, false_negatives=2, right=5)
    assert measured.false_positive_rate == pytest.approx(1 / 10)
    assert measured.false_negative_rate == pytest.approx(2 / 5)
    assert measured.false_acceptance_rate == pytest.approx(1 / 4)
    assert measured.false_rejection_rate == pytest.approx(2 / 11)
    assert measured.accuracy == pytest.approx(12 / 15)
    assert measured.f1 == pytest.approx(6 / 9)


def test_rates_over_nothing_are_unknown():
    nothing_accepted = TestQuality(false_positives=0, wrong=3, false_negatives=1, right=1)
    assert math.isnan(nothing_accepted.false_acceptance_rate)
    assert nothing_accepted.f1 == 0
    assert math.isnan(TestQuality(2, 2, 0, 2).false_rejection_rate)
    assert math.isnan(TestQuality(0, 0, 0, 0).accuracy)
    assert math.isnan(TestQuality(0, 2, 0, 0).f1)


def test_all_tests_together_accept_the_winners():
    correct = np.array([True, False, True, False, False])
    same_process = combined_test_quality(np.array([0, 1]), correct)
    assert same_process == TestQuality(false_positives=1, wrong=3, false_negatives=1, right=2)


def test_sure_beliefs_give_the_counts_of_the_ground_truth():
    random = np.random.default_rng(0)
    run = random.random((6, 9)) < 0.8
    votes = Votes.from_matrix((random.random((6, 9)) < 0.5) & run, run)
    correct = random.random(9) < 0.5
    assert test_quality(votes, correct.astype(float)) == test_quality(votes, correct)
    winners = np.array([1, 4])
    assert combined_test_quality(winners, correct.astype(float)) == combined_test_quality(winners, correct)


def test_unsure_beliefs_give_expected_counts():
    votes = Votes.from_matrix(np.array([[True, False], [True, True]]))
    expected = test_quality(votes, np.array([0.75, 0.5]))
    assert (expected.false_positives, expected.wrong) == (0.5 + 0.5, 0.5 + 1.0)
    assert (expected.false_negatives, expected.right) == (0.5, 1.5 + 1.0)


def test_counts_of_several_problems_add_up():
    assert TestQuality(1, 2, 3, 4) + TestQuality(10, 20, 30, 40) == TestQuality(11, 22, 33, 44)
