import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from testbudget.policies.greedy import Greedy, coverage_gain
from tests.policies import tiny
from tests.policies.one_at_a_time import allocate

RATES = st.lists(st.floats(0.02, 0.98), min_size=1, max_size=8).map(np.array)


def budgets(cap, rates, **bounds):
    return allocate(Greedy(np.asarray(rates)), len(rates), cap, **bounds)


@given(RATES, st.integers(1, 60))
def test_budgets_end_where_the_gain_falls_below_one_level(rates, cap):
    granted = budgets(cap, rates)
    lowest = coverage_gain(rates, granted - 1)[granted > 0].min()  # of all that were granted
    highest = coverage_gain(rates, granted).max()  # of all that were not
    assume(lowest > highest * (1 + 1e-9))
    level = np.sqrt(lowest * highest)
    # p (1 - p)^m > level for m < log(level / p) / log(1 - p).
    closed_form = np.ceil(np.log(level / rates) / np.log1p(-rates))
    np.testing.assert_array_equal(granted, np.maximum(closed_form, 0))


def test_a_tight_cap_favours_easy_problems():
    rates = [0.05, 0.9, 0.4]
    by_cap = np.array([budgets(cap, rates) for cap in range(6)])
    assert np.diff(by_cap, axis=0).argmax(axis=1).tolist() == [1, 2, 2, 2, 1]


def test_no_test_is_granted_with_value_zero():
    np.testing.assert_array_equal(budgets(20, [0.0, 1.0, 0.5]), [0, 1, 19])
    np.testing.assert_array_equal(budgets(5, [0.0, 0.0]), [0, 0])


def test_a_problem_without_a_predicted_pass_rate_gets_no_test():
    np.testing.assert_array_equal(budgets(9, [np.nan, 0.5]), [0, 9])


def test_tests_of_the_minimum_count():
    np.testing.assert_array_equal(budgets(3, [0.0, 0.5, 1.0], granted=np.array([2, 2, 2])), [2, 5, 2])


@given(st.floats(0, 1), st.integers(0, 200))
def test_the_value_is_what_one_more_test_adds_to_coverage(rate, tests):
    added = (1 - (1 - rate) ** (tests + 1)) - (1 - (1 - rate) ** tests)
    assert float(coverage_gain(rate, tests)) == pytest.approx(added, abs=1e-12)


@pytest.mark.parametrize("tests", [0, 1, 4, 9])
def test_the_value_is_largest_at_a_pass_rate_of_one_in_tests_plus_one(tests):
    rates = np.linspace(0, 1, 1001)
    assert rates[np.argmax(coverage_gain(rates, tests))] == pytest.approx(1 / (tests + 1), abs=1e-3)


def test_the_value_is_zero_at_pass_rate_zero_and_for_covered_problems():
    np.testing.assert_array_equal(coverage_gain([0.0, 1.0, 1.0], [0, 0, 1]), [0, 1, 0])


def test_pass_rates_and_tests_broadcast():
    assert coverage_gain(np.full((3, 1), 0.5), np.arange(4)).shape == (3, 4)


@given(tiny.RATES, tiny.CAPS, tiny.MAXIMA)
def test_no_budgets_cover_more_than_those_of_greedy(rates, cap, max_tests):
    coverage = 1 - (1 - rates[:, np.newaxis]) ** np.arange(tiny.TESTS + 1)
    budgets = allocate(Greedy(rates), tiny.PROBLEMS, cap, max_tests=max_tests)
    best = tiny.total(coverage, tiny.all_budgets(cap, max_tests, spend=False)).max()
    assert tiny.total(coverage, budgets) == pytest.approx(best, abs=1e-12)
