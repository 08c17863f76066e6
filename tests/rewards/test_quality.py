import itertools
import math

import numpy as np
import pytest

from testbudget.rewards.outputs import Evidence
from testbudget.rewards.quality import (
    TestQuality,
    accuracy_curve,
    accuracy_of_winners,
    combined_test_quality,
    single_test_quality,
)
from testbudget.rewards.selection.majority import Majority
from testbudget.rewards.votes import Votes


def test_rates_are_over_the_pairs_that_were_run():
    passed = np.array([[True, True, False, False], [True, False, False, True]])
    run = np.array([[True, True, True, False], [True, True, True, True]])
    measured = single_test_quality(Votes.from_matrix(passed, run), np.array([True, False, True, False]))
    assert (measured.false_positives, measured.wrong) == (2, 3)
    assert (measured.false_negatives, measured.correct) == (2, 4)
    assert measured.false_positive_rate == pytest.approx(2 / 3)
    assert measured.false_negative_rate == pytest.approx(1 / 2)


def test_a_rate_without_candidates_to_divide_by_is_nan():
    all_correct = single_test_quality(Votes.from_matrix(np.ones((3, 2), np.bool_)), np.array([True, True]))
    assert math.isnan(all_correct.false_positive_rate)
    assert all_correct.false_negative_rate == 0
    without_tests = single_test_quality(Votes(2), np.array([True, False]))
    assert math.isnan(without_tests.false_positive_rate)
    assert math.isnan(without_tests.false_negative_rate)


def test_labels_of_another_number_of_candidates_are_refused():
    with pytest.raises(ValueError, match="2 candidates"):
        single_test_quality(Votes(2), np.array([True, False, True]))


def test_coderm_rates_divide_by_accepted_and_by_rejected_candidates():
    measured = TestQuality(false_positives=1, wrong=10, false_negatives=2, correct=5)
    assert measured.false_positive_rate == pytest.approx(1 / 10)
    assert measured.false_negative_rate == pytest.approx(2 / 5)
    assert measured.false_acceptance_rate == pytest.approx(1 / 4)
    assert measured.false_rejection_rate == pytest.approx(2 / 11)
    assert measured.accuracy == pytest.approx(12 / 15)
    assert measured.f1 == pytest.approx(6 / 9)


def test_rates_with_denominator_zero_are_nan():
    nothing_accepted = TestQuality(false_positives=0, wrong=3, false_negatives=1, correct=1)
    assert math.isnan(nothing_accepted.false_acceptance_rate)
    assert nothing_accepted.f1 == 0
    assert math.isnan(TestQuality(2, 2, 0, 2).false_rejection_rate)
    assert math.isnan(TestQuality(0, 0, 0, 0).accuracy)
    assert math.isnan(TestQuality(0, 2, 0, 0).f1)


def test_all_tests_together_accept_the_winners():
    correct = np.array([True, False, True, False, False])
    together = combined_test_quality(np.array([0, 1]), correct)
    assert together == TestQuality(false_positives=1, wrong=3, false_negatives=1, correct=2)


def test_p_correct_of_zero_or_one_gives_the_counts_of_the_labels():
    random = np.random.default_rng(0)
    run = random.random((6, 9)) < 0.8
    votes = Votes.from_matrix((random.random((6, 9)) < 0.5) & run, run)
    correct = random.random(9) < 0.5
    assert single_test_quality(votes, correct.astype(float)) == single_test_quality(votes, correct)
    winners = np.array([1, 4])
    assert combined_test_quality(winners, correct.astype(float)) == combined_test_quality(winners, correct)


def test_p_correct_between_zero_and_one_gives_expected_counts():
    votes = Votes.from_matrix(np.array([[True, False], [True, True]]))
    expected = single_test_quality(votes, np.array([0.75, 0.5]))
    assert (expected.false_positives, expected.wrong) == (0.5 + 0.5, 0.5 + 1.0)
    assert (expected.false_negatives, expected.correct) == (0.5, 1.5 + 1.0)


def test_counts_of_several_problems_add_up():
    assert TestQuality(1, 2, 3, 4) + TestQuality(10, 20, 30, 40) == TestQuality(11, 22, 33, 44)


def test_expected_accuracy_is_the_share_of_correct_candidates_among_the_winners():
    correct = np.array([True, False, True, False])
    assert accuracy_of_winners(np.array([0, 1, 3]), correct) == pytest.approx(1 / 3)
    assert accuracy_of_winners(np.array([2]), correct) == 1.0


def test_accuracy_without_winners_is_refused():
    with pytest.raises(ValueError, match="at least 1 winner"):
        accuracy_of_winners(np.array([], np.intp), np.array([True]))


PASSED = np.array([[True, False, True], [False, True, True], [True, True, False]])
CORRECT = np.array([True, False, False])


def curve(votes, generated, correct, counts, permutations=1):
    rng = np.random.default_rng(0)
    return accuracy_curve(votes, generated, correct, Majority(), counts, permutations=permutations, rng=rng)


def test_a_curve_starts_at_a_random_candidate_and_ends_at_all_tests():
    votes = Votes.from_matrix(PASSED)
    start, end = curve(votes, 3, CORRECT, [0, 3])
    assert start == pytest.approx(1 / 3)
    assert end == accuracy_of_winners(Majority().winners(Evidence(votes)), CORRECT)


def test_a_curve_is_the_mean_over_permutations_of_all_generated_tests():
    def accuracy(rows):
        chosen = [row for row in rows if row < len(PASSED)]
        votes = Votes.from_matrix(PASSED[chosen].reshape(-1, 3))
        return accuracy_of_winners(Majority().winners(Evidence(votes)), CORRECT)

    exact = [
        np.mean([accuracy(order[:m]) for order in itertools.permutations(range(4))]) for m in (1, 2, 3)
    ]
    estimate = curve(Votes.from_matrix(PASSED), 4, CORRECT, [1, 2, 3], permutations=4000)
    assert estimate == pytest.approx(exact, abs=0.02)


def test_a_curve_is_nan_beyond_the_generated_tests():
    assert np.isnan(curve(Votes.from_matrix(PASSED), 3, CORRECT, [2, 4])).tolist() == [False, True]


def test_more_votes_than_generated_tests_are_refused():
    with pytest.raises(ValueError, match="got 2 tests, 3 votes and 1 permutations"):
        curve(Votes.from_matrix(PASSED), 2, CORRECT, [1])
