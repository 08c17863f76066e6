"""Budgets in proportion to predicted difficulty."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from testbudget.policies.pass_rate_index import PassRateIndexPolicy


class Proportional(PassRateIndexPolicy):
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

    def _index(self, problems: NDArray[np.intp], tests: NDArray[np.int32]) -> NDArray[np.float64]:
        return (1.0 - self._pass_rates[problems]) / (tests + 0.5)
