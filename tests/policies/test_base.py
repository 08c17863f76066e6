import numpy as np
import pytest

from testbudget.policies.base import NEEDS, UNBOUNDED, Policy, PolicyContext
from testbudget.policies.gain_model import GainModelAssignment


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"max_tests": np.array([1, 2])}, "max_tests must have one entry for each of 3 problems"),
        ({"pass_rates": np.array([0.5])}, "pass_rates must have one entry for each of 3 problems"),
        ({"pass_rates": np.full((3, 1), 0.5)}, "pass_rates must have one entry"),
        ({"curves": np.zeros((2, 4))}, "curves must have one entry for each of 3 problems"),
        ({"curves": np.zeros(3)}, "curves must have one entry"),
        ({"pass_rates": np.array([0.5, -0.1, 0.5])}, "between 0 and 1"),
        ({"pass_rates": np.array([0.5, 1.1, np.nan])}, "between 0 and 1"),
    ],
)
def test_inputs_that_do_not_fit_the_problems_are_refused(inputs, message):
    with pytest.raises(ValueError, match=message):
        PolicyContext(3, **inputs)


def test_gain_models_must_be_for_these_problems(gain_model):
    with pytest.raises(ValueError, match="gain_models must have one entry for each of 3 problems"):
        PolicyContext(3, gain_models=GainModelAssignment.shared(gain_model(), 2))


def test_a_context_has_at_least_one_problem():
    with pytest.raises(ValueError, match="at least 1 problem but got 0"):
        PolicyContext(0)


def test_a_context_has_a_field_for_every_input_that_a_policy_may_need():
    assert NEEDS.keys() <= set(PolicyContext.__dataclass_fields__)


class Constant(Policy):
    name = "constant"
    static = False
    needs = frozenset({"pass_rates"})

    def __init__(self, pass_rates):
        self.pass_rates = pass_rates

    def values(self, problems, granted):
        return np.ones(len(problems))


def test_the_constructor_gets_the_needed_inputs_and_no_others():
    rates = np.array([0.1, 0.2])
    policy = Constant.from_context(PolicyContext(2, pass_rates=rates, curves=np.zeros((2, 3))))
    assert policy.pass_rates is rates


@pytest.mark.parametrize(("static", "increment"), [(False, 1), (True, UNBOUNDED)])
def test_only_a_static_policy_has_increments_without_limit(static, increment):
    policy = type("Chosen", (Constant,), {"static": static})(None)
    np.testing.assert_array_equal(policy.increments(np.array([0, 7])), [increment, increment])


def test_a_policy_observes_nothing_and_has_no_terms_by_default():
    problems = np.arange(2)
    policy = Constant(None)
    policy.observe(problems, problems, np.array([0.1, 0.9]), np.array([0.2, 0.3]))
    assert vars(policy) == {"pass_rates": None}
    assert policy.terms(problems, problems) == {}
