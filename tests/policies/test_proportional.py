import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbudget.policies.proportional import Proportional

RATES = st.lists(st.integers(0, 11).map(lambda correct: correct / 12), min_size=1, max_size=12).map(
    np.array
)


def budgets(remaining, rates, **limits):
    policy = Proportional(len(rates), np.asarray(rates), **{"max_tests": 1000, **limits})
    policy.ask(remaining)
    return policy.granted


def test_a_problem_twice_as_hard_gets_twice_the_tests():
    np.testing.assert_array_equal(budgets(70, [0.8, 0.6, 0.2]), [10, 20, 40])


@given(RATES, st.integers(0, 300))
def test_budgets_are_shares_rounded_to_the_nearest_whole_number(rates, remaining):
    granted = budgets(remaining, rates)
    assert granted.sum() == remaining
    difficulty = 1 - rates
    # One scale rounds every share to what was granted.
    least, most = ((granted - 0.5) / difficulty).max(), ((granted + 0.5) / difficulty).min()
    assert least <= most * (1 + 1e-12)


def test_a_problem_with_pass_rate_one_gets_its_minimum_only():
    np.testing.assert_array_equal(budgets(30, [1.0, 0.5], min_tests=2), [2, 28])
    assert budgets(30, [1.0, 1.0]).sum() == 0


def test_tests_above_a_maximum_go_to_the_others_in_proportion():
    granted = budgets(60, [0.9, 0.6, 0.2], max_tests=np.array([1000, 1000, 10]))
    np.testing.assert_array_equal(granted, [10, 40, 10])


@pytest.mark.parametrize("rates", [[0.5, -0.1], [0.5, 1.1], [0.5, np.nan]])
def test_pass_rates_outside_zero_to_one_are_refused(rates):
    with pytest.raises(ValueError, match="between 0 and 1"):
        budgets(1, rates)
