import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbudget.policies.adaptive import Adaptive
from testbudget.policies.uniform import Uniform
from tests.policies import tiny
from tests.policies.one_at_a_time import allocate

LOW, HIGH = 0.01, 0.81
EVERYONE = np.arange(4)


def observed(p_wrong, p_change):
    policy = Adaptive(4)
    policy.observe(EVERYONE, np.ones_like(EVERYONE), np.array(p_wrong), np.array(p_change))
    return policy


def factors(policy):
    return policy.terms(EVERYONE, EVERYONE)["factor"]


@given(st.integers(0, 120), st.lists(st.integers(0, 40), min_size=4, max_size=4).map(np.array))
def test_budgets_are_equal_if_all_picks_are_as_likely_to_change_and_to_be_wrong(cap, max_tests):
    policy = observed([0.5] * 4, [0.1] * 4)
    np.testing.assert_array_equal(
        allocate(policy, 4, cap, max_tests=max_tests), allocate(Uniform(), 4, cap, max_tests=max_tests)
    )


def test_values_are_equal_before_anything_is_observed():
    np.testing.assert_array_equal(Adaptive(4).values(EVERYONE, EVERYONE * 0), [1.0] * 4)


def test_the_value_is_the_tempered_chance_of_a_change_that_is_needed_over_tests_and_one():
    policy = observed([0.25, 1.0, 0.25, 1.0], [1.0, 1.0, 0.0016, 0.0016])
    np.testing.assert_allclose(factors(policy), [0.5, 1.0, 0.1, 0.2], rtol=1e-6)
    np.testing.assert_allclose(policy.values(EVERYONE, EVERYONE), [0.5, 1 / 2, 0.1 / 3, 0.2 / 4], rtol=1e-6)


@pytest.mark.parametrize(
    ("p_wrong", "p_change"), [([LOW, HIGH, LOW, HIGH], [0.1] * 4), ([0.5] * 4, [LOW, HIGH, LOW, HIGH])]
)
def test_problems_whose_pick_may_change_or_be_wrong_get_more(p_wrong, p_change):
    granted = allocate(observed(p_wrong, p_change), 4, 40)
    assert granted.sum() == 40
    assert granted[[1, 3]].min() > 2 * granted[[0, 2]].max()


def test_budgets_differ_by_a_factor_of_twenty_at_most():
    granted = allocate(observed([0.0, 1.0, 1.0, 1.0], [0.0, 1.0, 1.0, 1.0]), 4, 400)
    # f lies within [0.05, 1], so tests and one differ by a factor of 20 at most, or by one test.
    assert granted[0] + 2 > (granted[1:].max() + 1) / 20
    assert granted[0] >= 2


def test_an_estimate_that_is_not_there_counts_as_before_the_first():
    np.testing.assert_array_equal(factors(observed([np.nan] * 4, [0.5] * 4)), [1.0] * 4)


def test_a_grant_ends_with_a_step():
    ends = [1, 2, 3, 5, 8, 12, 20, 30, 45, 70, 100]
    granted = np.arange(100)
    reached = granted + Adaptive(4).increments(granted)
    np.testing.assert_array_equal(reached, [min(end for end in ends if end > tests) for tests in granted])


def test_later_steps_are_half_as_many_tests_again():
    granted = np.array([100, 150, 225, 10**9])
    np.testing.assert_array_equal(Adaptive(4).increments(granted), [50, 75, 112, 5 * 10**8])


def test_the_last_observation_counts():
    policy = observed([HIGH, LOW, HIGH, HIGH], [1.0] * 4)
    policy.observe(np.array([2, 1]), np.array([2, 2]), np.array([LOW, HIGH]), np.ones(2))
    np.testing.assert_allclose(factors(policy), [0.9, 0.9, 0.1, 0.9], rtol=1e-6)


@given(tiny.RATES, tiny.CAPS, tiny.MAXIMA)
def test_no_budgets_leave_less_value_than_those_of_adaptive(p_wrong, cap, max_tests):
    # With factors f the value of the first m tests is f (1 + 1/2 + ... + 1/m).
    policy, everyone = Adaptive(tiny.PROBLEMS), np.arange(tiny.PROBLEMS)
    policy.observe(everyone, np.ones_like(everyone), p_wrong, np.ones(tiny.PROBLEMS))
    f = np.maximum(np.sqrt(p_wrong), 0.05)
    value = f[:, np.newaxis] * np.concatenate([[0], np.cumsum(1 / np.arange(1, tiny.TESTS + 1))])
    budgets = allocate(policy, tiny.PROBLEMS, cap, max_tests=max_tests)
    best = tiny.total(value, tiny.all_budgets(cap, max_tests, spend=False)).max()
    assert tiny.total(value, budgets) == pytest.approx(best, abs=1e-6)
