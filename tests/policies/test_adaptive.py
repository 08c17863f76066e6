import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbudget.policies.adaptive import Adaptive
from testbudget.policies.gain_model import GainModelAssignment
from testbudget.policies.uniform import Uniform
from tests.policies import tiny
from tests.policies.one_at_a_time import allocate

LOW, HIGH = 0.1, 0.9  # p_wrong; the mean is 0.5
EVERYONE = np.arange(4)


def adaptive(gain_model, problems=4, **arguments):
    return Adaptive(GainModelAssignment.shared(gain_model(**arguments), problems))


def observed(gain_model, p_wrong, **arguments):
    policy = adaptive(gain_model, **arguments)
    policy.observe(EVERYONE, np.ones_like(EVERYONE), np.array(p_wrong))
    return policy


def multipliers(policy):
    return policy.terms(EVERYONE, EVERYONE)["multiplier"]


@given(st.integers(0, 120), st.lists(st.integers(0, 40), min_size=4, max_size=4).map(np.array))
def test_budgets_are_equal_if_gain_did_not_depend_on_p_wrong(gain_model, cap, max_tests):
    policy = observed(gain_model, [LOW, HIGH, LOW, HIGH])
    np.testing.assert_array_equal(
        allocate(policy, 4, cap, max_tests=max_tests), allocate(Uniform(), 4, cap, max_tests=max_tests)
    )


def test_values_are_equal_before_anything_is_observed(gain_model):
    np.testing.assert_array_equal(
        adaptive(gain_model, weight=1.0).values(EVERYONE, EVERYONE * 0), [1.0] * 4
    )


def test_the_value_is_the_multiplier_of_the_gain_model_over_tests_and_one(gain_model):
    policy = observed(gain_model, [0.25, 0.5, 0.75, 1.0], weight=1.0)
    np.testing.assert_array_equal(multipliers(policy), [0.5, 1.0, 1.5, 2.0])
    np.testing.assert_allclose(policy.values(EVERYONE, EVERYONE), [0.5, 1 / 2, 1.5 / 3, 2 / 4])


def test_problems_with_a_high_p_wrong_get_more_if_gain_rose_with_it(gain_model):
    granted = allocate(observed(gain_model, [LOW, HIGH, LOW, HIGH], weight=1.0), 4, 40)
    assert granted.sum() == 40
    assert granted[[1, 3]].min() > 2 * granted[[0, 2]].max()


def test_multipliers_are_clipped(gain_model):
    np.testing.assert_allclose(
        multipliers(observed(gain_model, [LOW, 0.5, HIGH, 1.0], weight=50.0)), [0.1, 1, 5, 5]
    )


def test_budgets_differ_by_a_factor_of_fifty_at_most(gain_model):
    granted = allocate(observed(gain_model, [LOW, HIGH, HIGH, HIGH], weight=50.0), 4, 400)
    # f lies within [0.1, 5], so tests and one differ by a factor of 50 at most, or by one test.
    assert granted[0] + 2 > (granted[1:].max() + 1) / 50
    assert granted[0] >= 2


def test_a_grant_ends_with_a_step(gain_model):
    ends = [1, 2, 3, 5, 8, 12, 20, 30, 45, 70, 100]
    granted = np.arange(100)
    reached = granted + adaptive(gain_model).increments(granted)
    np.testing.assert_array_equal(reached, [min(end for end in ends if end > tests) for tests in granted])


def test_later_steps_are_half_as_many_tests_again(gain_model):
    granted = np.array([100, 150, 225, 10**9])
    np.testing.assert_array_equal(adaptive(gain_model).increments(granted), [50, 75, 112, 5 * 10**8])


@pytest.mark.parametrize("best_budget", [1, 5])
def test_tests_from_the_best_budget_on_have_no_value(gain_model, best_budget):
    policy = observed(gain_model, [LOW, HIGH, LOW, HIGH], weight=1.0, best_budget=best_budget)
    np.testing.assert_array_equal(allocate(policy, 4, 100), [best_budget] * 4)


def test_each_problem_is_valued_by_its_own_gain_model(gain_model):
    models = (gain_model(best_budget=2), gain_model(weight=1.0))
    policy = Adaptive(GainModelAssignment(models, np.array([0, 1, 1])))
    policy.observe(np.arange(3), np.ones(3, np.int64), np.array([HIGH, LOW, HIGH]))
    granted = allocate(policy, 3, 32)
    assert granted[0] == 2
    assert granted[1] < granted[2]


def test_the_last_p_wrong_observed_counts(gain_model):
    policy = observed(gain_model, [HIGH, LOW, HIGH, HIGH], weight=1.0)
    policy.observe(np.array([2, 1]), np.array([2, 2]), np.array([LOW, HIGH]))
    np.testing.assert_allclose(multipliers(policy), [1.8, 1.8, 0.2, 1.8], rtol=1e-6)


def test_the_multiplier_is_that_after_the_tests_of_the_pick(gain_model):
    fitted = gain_model(counts=[1, 3], mean_p_wrong=[0.5, 0.5], weights=[0.0, 1.0])
    policy = Adaptive(GainModelAssignment.shared(fitted, 4))
    policy.observe(EVERYONE, np.array([1, 2, 3, 9]), np.full(4, 1.0))
    np.testing.assert_array_equal(multipliers(policy), [1.0, 1.5, 2.0, 2.0])


@given(tiny.RATES, tiny.CAPS, tiny.MAXIMA)
def test_no_budgets_leave_less_gain_than_those_of_adaptive(gain_model, p_wrong, cap, max_tests):
    # With multipliers f the gain after m tests is f (1 + 1/2 + ... + 1/m).
    policy = adaptive(gain_model, tiny.PROBLEMS, weight=1.0)
    everyone = np.arange(tiny.PROBLEMS)
    policy.observe(everyone, np.ones_like(everyone), p_wrong)
    f = np.clip(p_wrong / 0.5, 0.1, 5)
    gain = f[:, np.newaxis] * np.concatenate([[0], np.cumsum(1 / np.arange(1, tiny.TESTS + 1))])
    budgets = allocate(policy, tiny.PROBLEMS, cap, max_tests=max_tests)
    best = tiny.total(gain, tiny.all_budgets(cap, max_tests, spend=False)).max()
    assert tiny.total(gain, budgets) == pytest.approx(best, abs=1e-6)
