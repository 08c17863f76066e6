"""Budgets in proportion to predicted difficulty."""

from typing import ClassVar

import numpy as np

from testbudget.policies.base import Floats, Ints
from testbudget.policies.pass_rate_index import PassRateIndexPolicy


class Proportional(PassRateIndexPolicy):
    """Budgets in proportion to ``1 - p``: value ``(1 - p) / (m + 1/2)``.

    p is the predicted pass rate; m counts the problem's tests, its minimum included. The value is that
    of Webster and Sainte-Lague: it rounds shares to the nearest whole number. A larger cap never
    takes a test away from a problem (Balinski and Young 1982, 'Fair representation'), as it can with
    largest remainders, so budgets do not depend on whether the cap is granted at once or in parts. Tests
    that a problem cannot take go to the others. A problem with p = 1 gets its minimum only. Static.

    Args:
        pass_rates: float64 (problems,), predicted p in [0, 1]; NaN where not predicted.
    """

    name: ClassVar[str] = "proportional"

    @staticmethod
    def _value(pass_rates: Floats, granted: Ints) -> Floats:
        return np.asarray((1.0 - pass_rates) / (granted + 0.5))
