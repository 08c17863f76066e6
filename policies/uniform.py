"""Equal budgets, the static baseline."""

from typing import ClassVar

import numpy as np

from testbudget.policies.base import Floats, Ints, Policy


class Uniform(Policy):
    """The same number of tests for every problem: value ``1 / (1 + m)`` after m tests. Static.

    Tests that a problem cannot take go to the others.
    """

    name: ClassVar[str] = "uniform"
    static: ClassVar[bool] = True

    def values(self, problems: Ints, granted: Ints) -> Floats:  # noqa: ARG002 - equal for all problems
        """See :meth:`Policy.values`."""
        return np.asarray(1.0 / (1.0 + granted))
