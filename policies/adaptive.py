"""Budgets by p_change and p_wrong of each problem's pick. No training run is needed."""

from typing import ClassVar, Self

import numpy as np

from testbudget.policies.base import Floats, Ints, Policy, PolicyContext

_CHANGE_EXPONENT, _WRONG_EXPONENT = 0.25, 0.5
# Chosen by accuracy at equal tests on recorded regimes, each judged with a model of p_change of the others
# (docs/allocation.md). All exponents from 0.25 to 0.75 are level; the bare probabilities are worse.
_LEAST = 0.05
_STEP_ENDS = np.array([1, 2, 3, 5, 8, 12, 20, 30, 45, 70, 100])


class Adaptive(Policy):
    """Each next test goes to the problem with the largest value ``f / (m + 1)`` after m tests.

    ``f = p_change^(1/4) p_wrong^(1/2)`` as last observed, at least 0.05, so two problems' budgets differ by
    at most a factor of 20. f is 1 before the first observation. ``p_change`` is the probability that a
    quarter more tests change the pick. Divided by m it is a change per test. The exponents temper it:
    estimates are rough, and without them problems whose tests say nothing, which change their picks for
    ever, would take most of the cap.

    One grant reaches at most to the next of 1, 2, 3, 5, 8, 12, 20, 30, 45, 70, 100 tests, then half as many
    again each time. A pick is therefore observed about a dozen times while the cap is spent. Not static.

    Args:
        problems: number of problems.
    """

    name: ClassVar[str] = "adaptive"
    static: ClassVar[bool] = False

    def __init__(self, problems: int) -> None:
        self._factors = np.ones(problems, np.float32)

    @classmethod
    def from_context(cls, context: PolicyContext) -> Self:
        """See :meth:`Policy.from_context`."""
        return cls(context.problems)

    def values(self, problems: Ints, granted: Ints) -> Floats:
        """See :meth:`Policy.values`."""
        return np.asarray(self._factors[problems] / (granted + 1.0))

    def increments(self, granted: Ints) -> Ints:
        """See :meth:`Policy.increments`: the tests up to the end of the next step."""
        beyond = granted + np.maximum(granted // 2, 1)
        following = np.searchsorted(_STEP_ENDS, granted, side="right")
        ends = np.append(_STEP_ENDS, 0)[following]
        return np.where(following < len(_STEP_ENDS), ends, beyond) - granted

    def observe(self, problems: Ints, granted: Ints, p_wrong: Floats, p_change: Floats) -> None:  # noqa: ARG002
        """See :meth:`Policy.observe`: compute the factors of these problems anew."""
        factors = p_change**_CHANGE_EXPONENT * p_wrong**_WRONG_EXPONENT
        self._factors[problems] = np.maximum(np.nan_to_num(factors, nan=1.0), _LEAST)

    def terms(self, problems: Ints, granted: Ints) -> dict[str, Floats]:  # noqa: ARG002 - f is stored
        """See :meth:`Policy.terms`: the factor f."""
        return {"factor": self._factors[problems].astype(np.float64)}
