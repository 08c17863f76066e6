from itertools import permutations

import numpy as np
import pytest

from testbudget.rewards.outputs import Evidence
from testbudget.rewards.quality import accuracy_curve, expected_accuracy
from testbudget.rewards.selection.majority import Majority
from testbudget.rewards.votes import Votes

PASSED = np.array([[True, False, True], [False, True, True], [True, True, False]])
CORRECT = np.array([True, False, False])


def curve(votes, written, correct, counts, orders=1):
    rng = np.random.default_rng(0)
    return accuracy_curve(votes, written, correct, Majority(), counts, orders=orders, rng=rng)


def test_it_starts_at_a_random_candidate_and_ends_at_all_tests():
    votes = Votes.from_matrix(PASSED)
    start, end = curve(votes, 3, CORRECT, [0, 3])
    assert start == pytest.approx(1 / 3)
    assert end == expected_accuracy(Majority().winners(Evidence(votes)), CORRECT)


def test_it_is_the_mean_over_choices_of_written_tests_usable_or_not():
    def accuracy(rows):
        chosen = [row for row in rows if row < len(PASSED)]
        votes = Votes.from_matrix(PASSED[chosen].reshape(-1, 3))
        return expected_accuracy(Majority().winners(Evidence(votes)), CORRECT)

    exact = [np.mean([accuracy(order[:m]) for order in permutations(range(4))]) for m in (1, 2, 3)]
    estimate = curve(Votes.from_matrix(PASSED), 4, CORRECT, [1, 2, 3], orders=4000)
    assert estimate == pytest.approx(exact, abs=0.02)


def test_it_is_unknown_beyond_what_was_written():
    assert np.isnan(curve(Votes.from_matrix(PASSED), 3, CORRECT, [2, 4])).tolist() == [False, True]


def test_more_votes_than_tests_written_are_refused():
    with pytest.raises(ValueError, match="3 votes of 2 written"):
        curve(Votes.from_matrix(PASSED), 2, CORRECT, [1])
