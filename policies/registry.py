"""Who gets the next test: allocation policies behind one ask/tell interface. Pure NumPy."""

from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from testbudget.policies.adaptive import Adaptive
from testbudget.policies.base import Policy, PolicyLimits
from testbudget.policies.curves import Binned, OracleCurves
from testbudget.policies.gain_model import GainModels
from testbudget.policies.greedy import Greedy
from testbudget.policies.proportional import Proportional
from testbudget.policies.uniform import Uniform
from testbudget.rewards.errors import UserError

_CLASSES: dict[str, type[Policy]] = {
    policy.name: policy for policy in (Uniform, Proportional, Greedy, Binned, Adaptive, OracleCurves)
}

POLICY_NAMES: tuple[str, ...] = tuple(_CLASSES)
"""Names that :func:`create_policy` knows."""


def policy_class(name: str) -> type[Policy]:
    """The class of that name, which says what such a policy needs (``uses_pass_rates`` and so on).

    Raises:
        UserError: for an unknown name.
    """
    if name not in _CLASSES:
        raise UserError(f"policy must be one of {', '.join(POLICY_NAMES)} but got '{name}'")
    return _CLASSES[name]


def create_policy(
    name: str,
    problems: int,
    *,
    pass_rates: NDArray[np.floating] | None = None,
    gain_models: GainModels | None = None,
    curves: NDArray[np.floating] | None = None,
    **limits: Unpack[PolicyLimits],
) -> Policy:
    """The policy of that name. What it does not need may be given, and is not looked at.

    Args:
        name: one of :data:`POLICY_NAMES`.
        problems: number of problems.
        pass_rates: shape (problems,), predicted pass rates.
        lessons: what finished runs taught, for each problem without that problem.
        curves: shape (problems, tests + 1), the true accuracy after so many tests.
        **limits: as for :class:`Policy`.

    Raises:
        UserError: for an unknown name, something missing that the policy needs, or limits that contradict
            each other.
    """
    kind = policy_class(name)
    needed: dict[str, Any] = {}
    if kind.uses_pass_rates:
        needed["pass_rates"] = (pass_rates, "predicted pass rates")
    if kind.uses_gain_models:
        needed["lessons"] = (gain_models, "lessons from finished runs")
    if kind.uses_curves:
        needed["curves"] = (curves, "each problem's own accuracy curve, which takes the ground truth,")
    for value, meaning in needed.values():
        if value is None:
            raise UserError(f"the policy '{name}' needs {meaning} but got none")
    return kind(problems, **{what: value for what, (value, _) in needed.items()}, **limits)
