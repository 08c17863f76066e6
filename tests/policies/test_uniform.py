import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from testbudget.policies.uniform import Uniform


def budgets(room, problems, **limits):
    policy = Uniform(problems, **limits)
    policy.ask(room)
    return policy.granted


@given(st.integers(0, 200), st.integers(1, 20), st.integers(0, 9))
def test_budgets_differ_by_one_test_at_most(room, problems, seed):
    granted = budgets(room, problems, max_tests=200, seed=seed)
    assert granted.sum() == room
    assert granted.max() - granted.min() <= 1


def test_the_remainder_goes_to_problems_drawn_from_the_seed():
    favoured = {tuple(np.flatnonzero(budgets(53, 10, max_tests=9, seed=seed) == 6)) for seed in range(20)}
    assert len(favoured) > 10
    assert all(len(problems) == 3 for problems in favoured)


def test_what_a_problem_cannot_take_goes_to_the_others():
    np.testing.assert_array_equal(budgets(12, 4, max_tests=np.array([1, 9, 0, 3])), [1, 8, 0, 3])


@given(st.lists(st.integers(0, 8), min_size=1, max_size=8), st.integers(0, 70))
def test_nobody_has_two_tests_more_than_one_who_could_take_another(ceilings, room):
    granted = budgets(room, len(ceilings), max_tests=np.array(ceilings))
    assert granted.sum() == min(room, sum(ceilings))
    could_take = granted[granted < ceilings]
    assert could_take.size == 0 or granted.max() <= could_take.min() + 1


def test_it_claims_no_gain():
    assert {grant.expected_gain for grant in Uniform(3, max_tests=2).ask(6)} == {0.0}
