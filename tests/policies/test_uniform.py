import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from testbudget.policies.uniform import Uniform


def budgets(remaining, problems, **limits):
    policy = Uniform(problems, **limits)
    policy.ask(remaining)
    return policy.granted


@given(st.integers(0, 200), st.integers(1, 20), st.integers(0, 9))
def test_budgets_differ_by_one_test_at_most(remaining, problems, seed):
    granted = budgets(remaining, problems, max_tests=200, seed=seed)
    assert granted.sum() == remaining
    assert granted.max() - granted.min() <= 1


def test_the_remainder_goes_to_problems_drawn_from_the_seed():
    favoured = {tuple(np.flatnonzero(budgets(53, 10, max_tests=9, seed=seed) == 6)) for seed in range(20)}
    assert len(favoured) > 10
    assert all(len(problems) == 3 for problems in favoured)


def test_tests_above_a_maximum_go_to_the_others():
    np.testing.assert_array_equal(budgets(12, 4, max_tests=np.array([1, 9, 0, 3])), [1, 8, 0, 3])


@given(st.lists(st.integers(0, 8), min_size=1, max_size=8), st.integers(0, 70))
def test_no_problem_has_two_tests_more_than_one_that_could_take_another(ceilings, remaining):
    granted = budgets(remaining, len(ceilings), max_tests=np.array(ceilings))
    assert granted.sum() == min(remaining, sum(ceilings))
    could_take = granted[granted < ceilings]
    assert could_take.size == 0 or granted.max() <= could_take.min() + 1
