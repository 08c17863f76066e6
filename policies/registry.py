"""Allocation policies by name: built-ins and plug-ins."""

from testbudget.policies.adaptive import Adaptive
from testbudget.policies.base import Policy, PolicyContext
from testbudget.policies.curves import Binned, OracleCurves
from testbudget.policies.greedy import Greedy
from testbudget.policies.names import POLICY_NAMES
from testbudget.policies.proportional import Proportional
from testbudget.policies.uniform import Uniform
from testbudget.rewards.plugins import PluginGroup, check_name, plugin

_CLASSES: dict[str, type[Policy]] = {
    policy.name: policy for policy in (Uniform, Proportional, Greedy, Binned, Adaptive, OracleCurves)
}


def policy_class(name: str) -> type[Policy]:
    """Class of a policy. Its ``needs`` name the inputs that it needs.

    Raises:
        UserError: unknown name, or a plug-in that cannot be used.
    """
    check_name("policy", name, PluginGroup.POLICIES, POLICY_NAMES)
    if name in _CLASSES:
        return _CLASSES[name]
    kind: type[Policy] = plugin(PluginGroup.POLICIES, name, Policy)
    return kind


def create_policy(name: str, context: PolicyContext) -> Policy:
    """A new policy by name. Inputs that it does not need are ignored.

    Raises:
        UserError: unknown name, unusable plug-in, or an input that the policy needs is missing.
    """
    return policy_class(name).from_context(context)
