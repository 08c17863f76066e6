"""Allocation policies by name."""

from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from testbudget.policies.adaptive import Adaptive
from testbudget.policies.base import Policy, PolicyLimits
from testbudget.policies.curves import Binned, OracleCurves
from testbudget.policies.gain_model import GainModelAssignment
from testbudget.policies.greedy import Greedy
from testbudget.policies.names import POLICY_NAMES
from testbudget.policies.proportional import Proportional
from testbudget.policies.uniform import Uniform
from testbudget.rewards.errors import UserError

_CLASSES: dict[str, type[Policy]] = {
    policy.name: policy for policy in (Uniform, Proportional, Greedy, Binned, Adaptive, OracleCurves)
}


def policy_class(name: str) -> type[Policy]:
    """Class of a policy. Its ``uses_...`` attributes name the inputs that it needs.

    Raises:
        UserError: unknown name.
    """
    if name not in _CLASSES:
        raise UserError(f"policy must be one of {', '.join(POLICY_NAMES)} but got '{name}'")
    return _CLASSES[name]


def create_policy(
    name: str,
    problems: int,
    *,
    pass_rates: NDArray[np.floating] | None = None,
    gain_models: GainModelAssignment | None = None,
    curves: NDArray[np.floating] | None = None,
    **limits: Unpack[PolicyLimits],
) -> Policy:
    """A new policy by name. Arguments that it does not need are ignored.

    Args:
        name: one of ``names.POLICY_NAMES``.
        problems: number of problems.
        pass_rates: float (problems,), predicted pass rates in [0, 1].
        gain_models: the gain model of each problem, fitted without that problem.
        curves: float (problems, tests + 1), true accuracy of the pick after m tests; NaN where m exceeds
            a problem's recorded tests.
        **limits: as for :class:`~testbudget.policies.base.Policy`.

    Raises:
        UserError: unknown name, an argument that the policy needs is missing, or contradictory limits.
    """
    kind = policy_class(name)
    needed: dict[str, Any] = {}
    if kind.uses_pass_rates:
        needed["pass_rates"] = (pass_rates, "predicted pass rates")
    if kind.uses_gain_models:
        needed["gain_models"] = (gain_models, "a gain model from a finished run")
    if kind.uses_curves:
        needed["curves"] = (curves, "each problem's own accuracy curve, which takes the ground truth,")
    for value, meaning in needed.values():
        if value is None:
            raise UserError(f"the policy '{name}' needs {meaning} but got none")
    return kind(problems, **{argument: value for argument, (value, _) in needed.items()}, **limits)
