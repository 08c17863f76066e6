import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbudget.policies.adaptive import _STEP_ENDS, Adaptive
from testbudget.policies.gain_model import GainModelAssignment
from testbudget.policies.uniform import Uniform

LOW, HIGH = 0.1, 0.9  # p_wrong; the mean is 0.5


def adaptive(gain_model, problems=4, *, seed=0, max_tests=99, **arguments):
    shared = GainModelAssignment.shared(gain_model(**arguments), problems)
    return Adaptive(problems, shared, seed=seed, max_tests=max_tests)


def spend(policy, cap, p_wrong):
    """Spend a cap as the scheduler does, with a constant p_wrong of each problem."""
    rounds = 0
    while grants := policy.ask(cap):
        rounds += 1
        cap -= sum(grant.tests for grant in grants)
        for grant in grants:
            policy.tell(grant.problem, p_wrong[grant.problem])
    return policy.granted, rounds


@given(st.integers(0, 120), st.integers(0, 5), st.lists(st.integers(0, 40), min_size=4, max_size=4))
def test_budgets_are_equal_if_gain_did_not_depend_on_p_wrong(gain_model, remaining, seed, max_tests):
    equal = Uniform(4, seed=seed, max_tests=np.array(max_tests))
    equal.ask(remaining)
    policy = adaptive(gain_model, seed=seed, max_tests=np.array(max_tests))
    granted, _ = spend(policy, remaining, [LOW, HIGH, LOW, HIGH])
    np.testing.assert_array_equal(granted, equal.granted)


def test_problems_with_a_high_p_wrong_get_more_if_gain_rose_with_it(gain_model):
    granted, _ = spend(adaptive(gain_model, weight=1.0), 40, [LOW, HIGH, LOW, HIGH])
    assert granted.sum() == 40
    assert granted[[1, 3]].min() > 2 * granted[[0, 2]].max()


def test_budgets_differ_by_a_factor_of_fifty_at_most(gain_model):
    granted, _ = spend(adaptive(gain_model, weight=50.0), 400, [LOW, HIGH, HIGH, HIGH])
    # f lies within [0.1, 5], so tests and one differ by a factor of 50 at most, or by one test.
    assert granted[0] + 2 > (granted[1:].max() + 1) / 50
    assert granted[0] >= 2


def test_p_wrong_is_updated_before_most_is_spent(gain_model):
    policy = adaptive(gain_model, weight=1.0)
    shares = []
    while grants := policy.ask(200 - int(policy.granted.sum())):
        shares.append(sum(grant.tests for grant in grants) / 200)
        for grant in grants:
            before = policy.granted[grant.problem] - grant.tests
            assert grant.tests <= np.min(_STEP_ENDS[before < _STEP_ENDS]) - before
    assert max(shares) < 0.5
    assert len(shares) <= 12


def test_rounds_grow_slowly_after_the_last_fixed_step(gain_model):
    _, rounds = spend(adaptive(gain_model, max_tests=10_000), 40_000, [LOW] * 4)
    assert rounds <= 30


def test_no_problem_gets_more_than_the_best_budget(gain_model):
    granted, _ = spend(adaptive(gain_model, best_budget=5), 100, [LOW, HIGH, LOW, HIGH])
    np.testing.assert_array_equal(granted, [5, 5, 5, 5])


def test_each_problem_is_allocated_by_its_own_gain_model(gain_model):
    models = (gain_model(best_budget=2), gain_model(weight=1.0))
    gain_models = GainModelAssignment(models, np.array([0, 1, 1]))
    granted, _ = spend(Adaptive(3, gain_models, max_tests=99), 32, [HIGH, LOW, HIGH])
    assert granted[0] == 2
    assert granted[1] < granted[2]


def test_the_order_in_which_problems_are_told_does_not_matter(gain_model):
    forth, back = (adaptive(gain_model, weight=1.0) for _ in range(2))
    told = list(zip(range(4), [LOW, HIGH, HIGH, LOW], strict=True))
    for policy, order in ((forth, told), (back, told[::-1])):
        policy.ask(4)
        for problem, p_wrong in order:
            policy.tell(problem, p_wrong)
    assert forth.ask(30) == back.ask(30)


def test_the_last_p_wrong_told_counts(gain_model):
    once, twice = (adaptive(gain_model, weight=1.0) for _ in range(2))
    for policy in (once, twice):
        policy.ask(4)
    twice.tell(2, LOW)
    for policy in (once, twice):
        policy.tell(2, HIGH)
    assert once.ask(30) == twice.ask(30)


def test_gain_models_must_be_for_these_problems(gain_model):
    with pytest.raises(ValueError, match="one number for each of 3 problems"):
        Adaptive(3, GainModelAssignment.shared(gain_model(), 2), max_tests=9)
