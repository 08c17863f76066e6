"""Greedy allocation on predicted pass rates, as published for unit tests."""

from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from testbudget.policies.base import Floats, Ints
from testbudget.policies.pass_rate_index import PassRateIndexPolicy


def coverage_gain(pass_rate: ArrayLike, tests: ArrayLike) -> Floats:
    """Increase of ``1 - (1 - p)^m`` by one more test, ``p (1 - p)^m``.

    A problem with pass rate p counts as covered after m tests with probability ``1 - (1 - p)^m`` (Damani et
    al., arXiv 2410.04707; applied to unit tests by CodeRM, arXiv 2501.01054). The increase is largest at
    ``p = 1 / (m + 1)`` and zero at p = 0.

    Args:
        pass_rate: p in [0, 1].
        tests: m >= 0, broadcast with ``pass_rate``.
    """
    rate = np.asarray(pass_rate, np.float64)
    return np.asarray(rate * np.power(1.0 - rate, tests))


class Greedy(PassRateIndexPolicy):
    """Each next test goes to the problem with the largest increase of coverage: value ``p (1 - p)^m``.

    p is the predicted pass rate; m counts the problem's tests, its minimum included. This is the allocation
    of CodeRM (arXiv 2501.01054, after Damani et al., arXiv 2410.04707) with bounds. Static.

    Args:
        pass_rates: float64 (problems,), predicted p in [0, 1]; NaN where not predicted.
    """

    name: ClassVar[str] = "greedy"

    @staticmethod
    def _value(pass_rates: Floats, granted: Ints) -> Floats:
        return coverage_gain(pass_rates, granted)
