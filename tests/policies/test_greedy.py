from heapq import heapify, heappop, heappush

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbudget.policies.greedy import Greedy, coverage_gain

MOST = 40
# Measured pass rates are shares of a few candidates and tie often; predicted ones hardly ever do.
RATES = st.lists(
    st.one_of(st.integers(0, 12).map(lambda correct: correct / 12), st.floats(0, 1)),
    min_size=1,
    max_size=12,
).map(np.array)


def heap_budgets(rates, remaining, ceilings, minimum=0):
    """Budgets by the rule, one test at a time."""
    gains = coverage_gain(rates[:, np.newaxis], np.arange(MOST + 1))
    granted = np.minimum(minimum, ceilings)
    assert granted.sum() <= remaining
    heap = [(-gains[i, granted[i]], i) for i in range(len(rates)) if granted[i] < ceilings[i]]
    heapify(heap)
    while heap and granted.sum() < remaining:
        gain, i = heappop(heap)
        if gain == 0:
            break
        granted[i] += 1
        if granted[i] < ceilings[i]:
            heappush(heap, (-gains[i, granted[i]], i))
    return granted


def policy_with(rates, **limits):
    return Greedy(len(rates), np.asarray(rates), **{"max_tests": MOST, **limits})


@given(RATES, st.integers(0, 3), st.integers(0, 200), st.data())
def test_budgets_are_those_of_the_rule_one_test_at_a_time(rates, minimum, extra, data):
    size = len(rates)
    ceilings = np.array(data.draw(st.lists(st.integers(0, MOST), min_size=size, max_size=size)))
    remaining = int(np.minimum(minimum, ceilings).sum()) + extra
    policy = policy_with(rates, min_tests=minimum, max_tests=ceilings)
    policy.ask(remaining)
    np.testing.assert_array_equal(policy.granted, heap_budgets(rates, remaining, ceilings, minimum))


def test_budgets_are_those_of_the_rule_on_many_problems():
    rates = np.random.default_rng(0).beta(0.5, 1.0, 3_000)
    policy = policy_with(rates)
    policy.ask(20 * 3_000)
    np.testing.assert_array_equal(policy.granted, heap_budgets(rates, 60_000, np.full(3_000, MOST)))


def test_a_tight_cap_favours_easy_problems():
    policy = policy_with([0.05, 0.9, 0.4])
    assert [policy.ask(1)[0].problem for _ in range(5)] == [1, 2, 2, 2, 1]


def test_a_tie_goes_to_the_lower_position():
    assert [grant.problem for grant in policy_with([0.3, 0.3, 0.3]).ask(2)] == [0, 1]


def test_no_test_is_granted_with_index_zero():
    policy = policy_with([0.0, 1.0, 0.5])
    policy.ask(20)
    np.testing.assert_array_equal(policy.granted, [0, 1, 19])
    assert policy_with([0.0, 0.0]).ask(5) == []


def test_the_minimum_is_granted_at_pass_rate_zero_too_and_counts_as_tests():
    policy = policy_with([0.0, 0.5, 1.0], min_tests=2)
    policy.ask(9)
    np.testing.assert_array_equal(policy.granted, [2, 5, 2])


def test_a_revoked_test_is_granted_next():
    policy = policy_with([0.6, 0.2])
    (first,) = policy.ask(1)
    policy.revoke(first.problem, 1)
    assert policy.ask(1) == [first]


@pytest.mark.parametrize("rates", [[0.5, -0.1], [0.5, 1.1], [0.5, np.nan]])
def test_pass_rates_outside_zero_to_one_are_refused(rates):
    with pytest.raises(ValueError, match="between 0 and 1"):
        policy_with(rates)


def test_another_number_of_pass_rates_is_refused():
    with pytest.raises(ValueError, match="pass_rates must hold one number for each of 3 problems"):
        Greedy(3, np.array([0.5]), max_tests=1)


@given(st.floats(0, 1), st.integers(0, 200))
def test_the_index_is_what_one_more_test_adds_to_coverage(rate, tests):
    added = (1 - (1 - rate) ** (tests + 1)) - (1 - (1 - rate) ** tests)
    assert float(coverage_gain(rate, tests)) == pytest.approx(added, abs=1e-12)


@pytest.mark.parametrize("tests", [0, 1, 4, 9])
def test_the_index_is_largest_at_a_pass_rate_of_one_in_tests_plus_one(tests):
    rates = np.linspace(0, 1, 1001)
    assert rates[np.argmax(coverage_gain(rates, tests))] == pytest.approx(1 / (tests + 1), abs=1e-3)


def test_the_index_is_zero_at_pass_rate_zero_and_for_covered_problems():
    np.testing.assert_array_equal(coverage_gain([0.0, 1.0, 1.0], [0, 0, 1]), [0, 1, 0])


def test_pass_rates_and_tests_broadcast():
    assert coverage_gain(np.full((3, 1), 0.5), np.arange(4)).shape == (3, 4)
