import subprocess
import sys
from typing import get_args

from testbudget.policies import names
from testbudget.policies.registry import _CLASSES


def test_names_are_those_of_the_registry_in_its_order():
    assert tuple(_CLASSES) == names.POLICY_NAMES


def test_the_inputs_listed_for_a_policy_are_those_of_its_class():
    needs = {
        "pass_rates": names.PASS_RATE_POLICIES,
        "gain_models": names.GAIN_MODEL_POLICIES,
    }
    for need, listed in needs.items():
        assert listed == {name for name, policy in _CLASSES.items() if need in policy.needs}


def test_a_job_may_name_every_policy_that_does_not_need_true_accuracy_curves():
    assert set(get_args(names.JobPolicyName)) == {
        name for name, policy in _CLASSES.items() if "curves" not in policy.needs
    }


def test_names_are_importable_without_numpy():
    program = "import sys, testbudget.policies.names; assert 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
