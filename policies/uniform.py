"""Equal budgets, the static baseline."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from testbudget.policies.base import Policy


class Uniform(Policy):
    """The same number of tests for every problem: index ``1 / (1 + m)`` after m tests.

    The remainder of an uneven split goes to problems in a random order drawn from the seed. Tests that a
    problem cannot take go to the others. Static.
    """

    name: ClassVar[str] = "uniform"
    static: ClassVar[bool] = True

    def _plan(self, free: NDArray[np.int32], remaining: int) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
        return self._spread(free, remaining)
