"""Equal budgets: the static baseline."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from testbudget.policies.base import Policy


class Uniform(Policy):
    """The same number of tests for every problem.

    The remainder of an uneven split goes to problems in an order drawn from the seed, and what a
    problem cannot take goes to the others.
    """

    name: ClassVar[str] = "uniform"
    static: ClassVar[bool] = True

    def _plan(self, free: NDArray[np.int32], room: int) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
        return self._spread(free, room)
