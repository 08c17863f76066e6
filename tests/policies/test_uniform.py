import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from testbudget.policies.uniform import Uniform
from tests.policies import tiny
from tests.policies.one_at_a_time import allocate


@given(st.lists(st.integers(0, 8), min_size=1, max_size=8).map(np.array), st.integers(0, 70))
def test_budgets_are_one_level_or_one_more_cut_at_the_maxima(max_tests, cap):
    budgets = allocate(Uniform(), len(max_tests), cap, max_tests=max_tests)
    assert budgets.sum() == min(cap, max_tests.sum())
    level = max(tests for tests in range(10) if np.minimum(max_tests, tests).sum() <= cap)
    more = budgets - np.minimum(max_tests, level)
    assert ((more == 0) | (more == 1)).all()
    assert more.sum() < max(1, (max_tests > level).sum())


def test_tests_above_a_maximum_go_to_the_others():
    budgets = allocate(Uniform(), 4, 12, max_tests=np.array([1, 9, 0, 3]))
    np.testing.assert_array_equal(budgets, [1, 8, 0, 3])


@given(tiny.CAPS, tiny.MAXIMA)
def test_no_budgets_are_more_even_than_those_of_uniform(cap, max_tests):
    squares = np.tile(np.arange(tiny.TESTS + 1) ** 2, (tiny.PROBLEMS, 1))
    budgets = allocate(Uniform(), tiny.PROBLEMS, cap, max_tests=max_tests)
    assert (
        tiny.total(squares, budgets)
        == tiny.total(squares, tiny.all_budgets(cap, max_tests, spend=True)).min()
    )
