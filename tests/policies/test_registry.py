import numpy as np
import pytest

from testbudget.policies.gain_model import DifficultyBins, GainModel, GainModelAssignment
from testbudget.policies.names import POLICY_NAMES
from testbudget.policies.registry import create_policy, policy_class
from testbudget.rewards.errors import UserError

CURVE = np.array([0.0, 1.0])
GAIN_MODEL = GainModel(
    "majority",
    CURVE,
    None,
    np.array([1]),
    np.full((1, 2), 0.5),
    np.zeros((1, 2)),
    DifficultyBins(np.array([]), CURVE[np.newaxis]),
)
KNOWN = {
    "uses_pass_rates": ("pass_rates", np.array([0.5, 0.5]), "predicted pass rates"),
    "uses_gain_models": (
        "gain_models",
        GainModelAssignment.shared(GAIN_MODEL, 2),
        "a gain model from a finished run",
    ),
    "uses_curves": ("curves", np.array([[0.0, 1.0], [0.5, 0.6]]), "accuracy curve"),
}


@pytest.mark.parametrize("name", POLICY_NAMES)
def test_a_policy_is_created_by_name_from_the_inputs_that_it_needs(name):
    needed = {what: value for need, (what, value, _) in KNOWN.items() if getattr(policy_class(name), need)}
    assert create_policy(name, 2, **needed, max_tests=1).name == name


@pytest.mark.parametrize("name", POLICY_NAMES)
def test_a_missing_input_is_named(name):
    everything = {what: value for what, value, _ in KNOWN.values()}
    for need, (what, _, meaning) in KNOWN.items():
        if getattr(policy_class(name), need):
            with pytest.raises(UserError, match=f"the policy '{name}' needs .*{meaning}"):
                create_policy(name, 2, **{**everything, what: None}, max_tests=1)


@pytest.mark.parametrize("make", [policy_class, lambda name: create_policy(name, 2, max_tests=1)])
def test_an_unknown_policy_is_refused_with_the_known_names(make):
    with pytest.raises(UserError, match=r"policy must be one of uniform, .*greedy.* but got 'best'"):
        make("best")
