import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbudget.policies.greedy import block_gain, coverage, coverage_gain

RATES = st.floats(0, 1)
TESTS = st.integers(0, 200)


@given(RATES, TESTS)
def test_coverage_is_the_chance_that_one_of_the_tests_covers(rate, tests):
    assert float(coverage(rate, tests)) == pytest.approx(1 - (1 - rate) ** tests, abs=1e-12)


@given(RATES, TESTS)
def test_the_gain_is_what_one_more_test_adds_to_coverage(rate, tests):
    added = coverage(rate, tests + 1) - coverage(rate, tests)
    assert float(coverage_gain(rate, tests)) == pytest.approx(float(added), abs=1e-12)


@given(RATES, TESTS, st.integers(0, 50))
def test_the_gain_of_a_block_is_the_sum_of_its_tests(rate, tests, block):
    one_by_one = coverage_gain(rate, tests + np.arange(block)).sum()
    assert float(block_gain(rate, tests, block)) == pytest.approx(float(one_by_one), rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("tests", [0, 1, 4, 9])
def test_the_gain_peaks_at_a_pass_rate_of_one_in_tests_plus_one(tests):
    rates = np.linspace(0, 1, 1001)
    assert rates[np.argmax(coverage_gain(rates, tests))] == pytest.approx(1 / (tests + 1), abs=1e-3)


def test_hopeless_and_certain_problems_gain_nothing_beyond_the_obvious():
    np.testing.assert_array_equal(coverage([0.0, 1.0, 1.0, 1.0], [5, 0, 1, 2]), [0, 0, 1, 1])
    np.testing.assert_array_equal(coverage_gain([0.0, 1.0, 1.0], [0, 0, 1]), [0, 1, 0])


def test_tiny_pass_rates_keep_their_digits():
    assert float(coverage(1e-18, 3)) == pytest.approx(3e-18, rel=1e-12)


def test_problems_and_budgets_broadcast():
    assert coverage(np.full((3, 1), 0.5), np.arange(4)).shape == (3, 4)
    assert coverage_gain(np.full((3, 1), 0.5), np.arange(4)).shape == (3, 4)
