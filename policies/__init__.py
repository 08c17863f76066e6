"""Who gets the next test: allocation policies behind one ask/tell interface. Pure NumPy."""

from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from policies.base import Grant, Limits, Policy
from policies.greedy import Greedy
from policies.uniform import Uniform
from rewards.errors import UserError

__all__ = ["POLICY_NAMES", "Grant", "Greedy", "Limits", "Policy", "Uniform", "create_policy"]

POLICY_NAMES: tuple[str, ...] = (Uniform.name, Greedy.name)
"""Names that :func:`create_policy` knows."""


def create_policy(
    name: str,
    problems: int,
    *,
    pass_rates: NDArray[np.floating] | None = None,
    **limits: Unpack[Limits],
) -> Policy:
    """The policy of that name.

    Args:
        name: one of :data:`POLICY_NAMES`.
        problems: number of problems.
        pass_rates: shape (problems,), predicted pass rates, for a policy that needs them.
        **limits: as for :class:`Policy`.

    Raises:
        UserError: for an unknown name, missing pass rates, or limits that contradict each other.
    """
    if name == Uniform.name:
        return Uniform(problems, **limits)
    if name == Greedy.name:
        if pass_rates is None:
            raise UserError("the policy 'greedy' needs predicted pass rates but got none")
        return Greedy(problems, pass_rates, **limits)
    raise UserError(f"policy must be one of {', '.join(POLICY_NAMES)} but got '{name}'")
