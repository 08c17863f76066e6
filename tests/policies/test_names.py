import subprocess
import sys

from testbudget.policies import names
from testbudget.policies.registry import _CLASSES


def test_names_are_those_of_the_registry_in_its_order():
    assert tuple(_CLASSES) == names.POLICY_NAMES


def test_what_a_policy_needs_is_what_its_class_says():
    needs = {
        "uses_pass_rates": names.PASS_RATE_POLICIES,
        "uses_gain_models": names.GAIN_MODEL_POLICIES,
        "uses_curves": names.CURVE_POLICIES,
    }
    for need, listed in needs.items():
        assert listed == {name for name, policy in _CLASSES.items() if getattr(policy, need)}


def test_a_job_may_name_every_policy_that_does_not_need_the_truth():
    assert set(names.JOB_POLICIES) == set(names.POLICY_NAMES) - names.CURVE_POLICIES


def test_names_are_importable_without_numpy():
    program = "import sys, testbudget.policies.names; assert 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
