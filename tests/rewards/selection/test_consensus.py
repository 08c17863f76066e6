from math import isclose, sqrt

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from testbudget.rewards.outputs import Evidence
from testbudget.rewards.selection.consensus import Consensus
from testbudget.rewards.votes import Votes

MATRICES = st.tuples(st.integers(0, 6), st.integers(1, 12)).flatmap(lambda shape: arrays(np.bool_, shape))


def winners(matrix):
    return list(Consensus().winners(Evidence(Votes.from_matrix(np.array(matrix, np.bool_)))))


def test_a_large_group_outweighs_a_lone_candidate_with_one_test_more():
    # sqrt(4) x 2 = 4 for the group of four against sqrt(1) x 3 = 3
    assert winners([[1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 1]]) == [0, 1, 2, 3]


def test_enough_tests_outweigh_a_group():
    # sqrt(2) x 1 against sqrt(1) x 2
    assert winners([[1, 1, 0], [0, 0, 1], [0, 0, 1]]) == [2]


def test_an_exact_tie_of_scores_keeps_both_groups():
    # sqrt(4) x 1 = sqrt(1) x 2
    assert winners([[1, 1, 1, 1, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 1]]) == [0, 1, 2, 3, 4]


@given(MATRICES)
def test_winners_have_the_best_score_of_the_formula(matrix):
    sets = [frozenset(np.flatnonzero(column)) for column in matrix.T]
    scores = [sqrt(sets.count(passed)) * len(passed) for passed in sets]
    expected = [candidate for candidate, score in enumerate(scores) if isclose(score, max(scores))]
    assert winners(matrix) == expected


def test_a_group_eliminated_early_does_not_win_by_equal_verdicts():
    # Four of six candidates are eliminated after the first test. On the second they might have differed.
    passed = np.array([[1, 1, 1, 1, 1, 1], [1, 0, 0, 0, 0, 0]], np.bool_)
    run = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 0, 0, 0, 0]], np.bool_)
    assert list(Consensus().winners(Evidence(Votes.from_matrix(passed)))) == [1, 2, 3, 4, 5]
    assert list(Consensus().winners(Evidence(Votes.from_matrix(passed, run)))) == [0]
