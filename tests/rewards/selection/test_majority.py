import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from testbudget.rewards.outputs import Evidence
from testbudget.rewards.selection.majority import Majority
from testbudget.rewards.votes import Votes

MATRICES = st.tuples(st.integers(0, 6), st.integers(1, 12)).flatmap(lambda shape: arrays(np.bool_, shape))


def winners(*tests):
    """Winners of votes written one string a test, 'x' where a candidate passes."""
    votes = Votes.from_matrix(np.array([[c == "x" for c in test] for test in tests]))
    return list(Majority().winners(Evidence(votes)))


def test_most_tests_passed_wins():
    assert winners("xx..", "x.x.", "x...") == [0]


def test_among_top_scorers_the_largest_group_with_the_same_passed_tests_wins():
    assert winners("xx.x", "..x.") == [0, 1, 3]


def test_a_larger_group_with_a_lower_score_does_not_win():
    assert winners("xxxx", "x...") == [0]


def test_groups_of_equal_size_all_win():
    assert winners("xx...", "..xx.") == [0, 1, 2, 3]


@given(MATRICES)
def test_winners_are_those_of_the_rule_spelled_out(matrix):
    sets = [frozenset(np.flatnonzero(column)) for column in matrix.T]
    most = max(len(passed) for passed in sets)
    top = [candidate for candidate, passed in enumerate(sets) if len(passed) == most]
    largest = max(sets.count(sets[candidate]) for candidate in top)
    expected = [candidate for candidate in top if sets.count(sets[candidate]) == largest]
    np.testing.assert_array_equal(Majority().winners(Evidence(Votes.from_matrix(matrix))), expected)
