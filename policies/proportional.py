"""Budgets in proportion to predicted difficulty."""

from typing import ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from testbudget.policies.base import Policy, PolicyLimits
from testbudget.policies.water_filling import allocate_greedily


class Proportional(Policy):
    """Budgets in proportion to ``1 - λ``, λ being the predicted pass rate: the harder, the more tests.

    Whole numbers come from the method of Webster and Sainte-Laguë, ``(1 - λ) / (b + 1/2)`` deciding who
    gets the next test after b: it rounds shares to the nearest whole number. Of the methods without bias
    for large or small shares it is the one in which a larger budget never takes a test away from
    anybody (Balinski & Young 1982, 'Fair representation'), as it could with largest remainders; so it does
    not matter whether room comes at once or in pieces. A problem's minimum counts among its b, and what a
    problem cannot take goes to the others. Ties go to the lower position; where λ is 1 nothing goes.

    Args:
        problems: number of problems.
        pass_rates: shape (problems,), predicted λ.
        **limits: as for :class:`Policy`.

    Raises:
        ValueError: for a pass rate outside [0, 1].
    """

    name: ClassVar[str] = "proportional"
    static: ClassVar[bool] = True
    uses_pass_rates: ClassVar[bool] = True

    def __init__(
        self, problems: int, pass_rates: NDArray[np.floating], **limits: Unpack[PolicyLimits]
    ) -> None:
        super().__init__(problems, **limits)
        self._difficulty = 1.0 - self._rates(pass_rates)

    def _plan(self, free: NDArray[np.int32], room: int) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
        return allocate_greedily(self._claim, self._granted, free, room)

    def _claim(self, problems: NDArray[np.intp], tests: NDArray[np.int32]) -> NDArray[np.float64]:
        return self._difficulty[problems] / (tests + 0.5)
