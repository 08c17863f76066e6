from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbudget.policies.proportional import Proportional
from tests.policies import tiny
from tests.policies.one_at_a_time import UNLIMITED, allocate

# Sixteenths are exact in binary, so that equal shares are equal floats.
RATES = st.lists(st.integers(0, 16).map(lambda part: part / 16), min_size=1, max_size=8).map(np.array)


def budgets(cap, rates, **bounds):
    return allocate(Proportional(np.asarray(rates)), len(rates), cap, **bounds)


def sainte_lague(weights, seats):
    """Seats by the largest quotients of exact weights and 1, 3, 5, ...; ties to the lower position."""
    quotients = [
        (-weight / (2 * seat + 1), party)
        for party, weight in enumerate(weights)
        for seat in range(seats)
        if weight
    ]
    winners = [party for _, party in sorted(quotients)[:seats]]
    return [winners.count(party) for party in range(len(weights))]


@given(RATES, st.integers(0, 40))
def test_budgets_are_those_of_sainte_lague(rates, cap):
    weights = [1 - Fraction(rate) for rate in rates]
    np.testing.assert_array_equal(budgets(cap, rates), sainte_lague(weights, cap))


@given(RATES.filter(lambda rates: (rates < 1).all()), st.integers(0, 200))
def test_budgets_are_shares_rounded_to_the_nearest_whole_number(rates, cap):
    granted = budgets(cap, rates)
    assert granted.sum() == cap
    difficulty = 1 - rates
    # One scale rounds every share to what was granted.
    least, most = ((granted - 0.5) / difficulty).max(), ((granted + 0.5) / difficulty).min()
    assert least <= most * (1 + 1e-12)


def test_a_problem_twice_as_hard_gets_twice_the_tests():
    np.testing.assert_array_equal(budgets(70, [0.8, 0.6, 0.2]), [10, 20, 40])


def test_a_problem_with_pass_rate_one_gets_its_minimum_only():
    np.testing.assert_array_equal(budgets(26, [1.0, 0.5], granted=np.array([2, 2])), [2, 28])
    assert budgets(30, [1.0, 1.0]).sum() == 0


def test_a_problem_without_a_predicted_pass_rate_gets_no_test():
    np.testing.assert_array_equal(budgets(30, [np.nan, 0.5]), [0, 30])


def test_tests_above_a_maximum_go_to_the_others_in_proportion():
    granted = budgets(60, [0.9, 0.6, 0.2], max_tests=np.array([UNLIMITED, UNLIMITED, 10]))
    np.testing.assert_array_equal(granted, [10, 40, 10])


def test_the_term_is_the_predicted_pass_rate():
    policy = Proportional(np.array([0.25, 0.75]))
    terms = policy.terms(np.array([1, 0, 1]), np.array([0, 3, 9]))
    np.testing.assert_array_equal(terms["pass_rate"], [0.75, 0.25, 0.75])


@given(tiny.RATES.filter(lambda rates: (rates < 1).all()), tiny.CAPS, tiny.MAXIMA)
def test_no_budgets_are_nearer_to_the_shares_than_those_of_proportional(rates, cap, max_tests):
    # Sainte-Lague minimises sum (m - q)^2 / w, q being the shares of weights w. At a fixed total that is
    # sum m^2 / w and a constant.
    cost = np.arange(tiny.TESTS + 1) ** 2 / (1 - rates[:, np.newaxis])
    budgets = allocate(Proportional(rates), tiny.PROBLEMS, cap, max_tests=max_tests)
    best = tiny.total(cost, tiny.all_budgets(cap, max_tests, spend=True)).min()
    assert tiny.total(cost, budgets) == pytest.approx(best, abs=1e-9)
