import numpy as np
import pytest

from testbudget.policies.base import NEEDS, PolicyContext
from testbudget.policies.gain_model import GainModelAssignment
from testbudget.policies.names import POLICY_NAMES
from testbudget.policies.registry import create_policy, policy_class
from testbudget.rewards.errors import UserError
from testbudget.testing.policies import CHECKS

PLUGIN = """
import numpy as np
from testbudget.policies.base import Policy

class EasyFirst(Policy):
    name = "easy-first"
    static = True
    needs = frozenset({"pass_rates"})

    def __init__(self, pass_rates):
        self.pass_rates = np.nan_to_num(pass_rates)

    def values(self, problems, granted):
        return self.pass_rates[problems] / (1 + granted)
"""


@pytest.fixture
def inputs(gain_model):
    """All inputs of a policy for two problems."""
    return {
        "pass_rates": np.array([0.5, 0.5]),
        "gain_models": GainModelAssignment.shared(gain_model(), 2),
        "curves": np.array([[0.0, 1.0], [0.5, 0.6]]),
    }


@pytest.mark.parametrize("name", POLICY_NAMES)
def test_a_policy_is_created_by_name_from_the_inputs_that_it_needs(inputs, name):
    needed = {need: inputs[need] for need in policy_class(name).needs}
    assert create_policy(name, PolicyContext(2, **needed)).name == name


@pytest.mark.parametrize("name", POLICY_NAMES)
def test_a_missing_input_is_named(inputs, name):
    for need in policy_class(name).needs:
        with pytest.raises(UserError, match=f"the policy '{name}' needs {NEEDS[need]} but got none"):
            create_policy(name, PolicyContext(2, **{**inputs, need: None}))


@pytest.mark.parametrize("make", [policy_class, lambda name: create_policy(name, PolicyContext(2))])
def test_an_unknown_policy_is_refused_with_the_known_names(make):
    with pytest.raises(UserError, match=r"policy must be one of uniform, .*greedy.* but got 'best'"):
        make("best")


def test_a_policy_of_another_distribution_is_created_by_name_and_keeps_the_contract(install_plugin):
    entry_points = {"testbudget.policies": {"easy-first": "easy_first:EasyFirst"}}
    install_plugin("easy-first", entry_points, {"easy_first.py": PLUGIN})
    policy = create_policy("easy-first", PolicyContext(2, pass_rates=np.array([0.25, 0.75])))
    np.testing.assert_array_equal(policy.values(np.array([0, 1]), np.array([0, 2])), [0.25, 0.25])
    for check in CHECKS:
        check(policy_class("easy-first").from_context)


def test_a_plugin_that_is_no_policy_is_refused(install_plugin):
    entry_points = {"testbudget.policies": {"numbers": "numbers_policy:Numbers"}}
    install_plugin("numbers", entry_points, {"numbers_policy.py": "class Numbers: pass"})
    with pytest.raises(UserError, match="must be a subclass of Policy"):
        policy_class("numbers")
