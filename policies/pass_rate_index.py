"""Base of policies whose index depends on the predicted pass rate and the number of tests."""

from abc import abstractmethod
from typing import ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from testbudget.policies.base import Policy, PolicyLimits
from testbudget.policies.water_filling import allocate_greedily


class PassRateIndexPolicy(Policy):
    """Each next test goes to the problem with the largest index. Static.

    Args:
        problems: number of problems.
        pass_rates: float (problems,), predicted pass rates in [0, 1].
        **limits: as for :class:`~testbudget.policies.base.Policy`.

    Raises:
        ValueError: a pass rate outside [0, 1].
    """

    static: ClassVar[bool] = True
    uses_pass_rates: ClassVar[bool] = True

    def __init__(
        self, problems: int, pass_rates: NDArray[np.floating], **limits: Unpack[PolicyLimits]
    ) -> None:
        super().__init__(problems, **limits)
        self._pass_rates = self._rates(pass_rates)

    def _plan(self, free: NDArray[np.int32], remaining: int) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
        return allocate_greedily(self._index, self._granted, free, remaining)

    @abstractmethod
    def _index(self, problems: NDArray[np.intp], tests: NDArray[np.int32]) -> NDArray[np.float64]:
        """Index of each given problem after its number of tests, float64 (given problems,)."""
