"""Budgets in proportion to predicted difficulty."""

from typing import ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from testbudget.policies.base import Policy, PolicyLimits
from testbudget.policies.water_filling import allocate_greedily


class Proportional(Policy):
    """Budgets in proportion to ``1 - p``: index ``(1 - p) / (m + 1/2)``.

    p is the predicted pass rate; m counts the problem's tests, its minimum included. The index is that
    of Webster and Sainte-Lague: it rounds shares to the nearest whole number. A larger cap never
    takes a test away from a problem (Balinski and Young 1982, 'Fair representation'), as it can with
    largest remainders, so budgets do not depend on whether the cap is granted at once or in parts. Tests
    that a problem cannot take go to the others. Ties go to the lower position. A problem with p = 1 gets
    its minimum only. Static.

    Args:
        problems: number of problems.
        pass_rates: float (problems,), predicted p in [0, 1].
        **limits: as for :class:`~testbudget.policies.base.Policy`.

    Raises:
        ValueError: a pass rate outside [0, 1].
    """

    name: ClassVar[str] = "proportional"
    static: ClassVar[bool] = True
    uses_pass_rates: ClassVar[bool] = True

    def __init__(
        self, problems: int, pass_rates: NDArray[np.floating], **limits: Unpack[PolicyLimits]
    ) -> None:
        super().__init__(problems, **limits)
        self._difficulty = 1.0 - self._rates(pass_rates)

    def _plan(self, free: NDArray[np.int32], remaining: int) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
        return allocate_greedily(self._index, self._granted, free, remaining)

    def _index(self, problems: NDArray[np.intp], tests: NDArray[np.int32]) -> NDArray[np.float64]:
        return self._difficulty[problems] / (tests + 0.5)
