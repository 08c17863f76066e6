"""The published rule: greedy on predicted pass rates."""

from typing import ClassVar, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from testbudget.policies.base import Policy, PolicyLimits
from testbudget.policies.water_filling import allocate_greedily

"""What unit tests are worth by the pass rate of the policy model.

A problem of pass rate λ counts as covered by b tests with chance ``1 - (1 - λ)^b``, so the next test
adds ``λ (1 - λ)^b`` (Damani et al., arXiv 2410.04707; applied to unit tests by CodeRM, arXiv
2501.01054). At b tests that is largest for λ = 1 / (b + 1): a tight budget favours easy problems, and
a hopeless one never gets a test.
"""


def coverage(pass_rate: ArrayLike, tests: ArrayLike) -> NDArray[np.float64]:
    """Chance that a problem is covered: ``1 - (1 - pass_rate)^tests``.

    Args:
        pass_rate: λ, between 0 and 1.
        tests: b, at least 0; broadcasts with ``pass_rate``.
    """
    rate, count = np.broadcast_arrays(np.asarray(pass_rate, np.float64), np.asarray(tests, np.float64))
    log_missed = np.zeros(rate.shape)
    with np.errstate(divide="ignore"):  # log of 0 at λ = 1: one test covers the problem
        np.multiply(count, np.log1p(-rate), out=log_missed, where=count > 0)
    return np.asarray(-np.expm1(log_missed))


def coverage_gain(pass_rate: ArrayLike, tests: ArrayLike) -> NDArray[np.float64]:
    """What one more test adds to :func:`coverage`: ``pass_rate (1 - pass_rate)^tests``.

    Args:
        pass_rate: λ, between 0 and 1.
        tests: b, the tests that the problem has already; broadcasts with ``pass_rate``.
    """
    rate = np.asarray(pass_rate, np.float64)
    return np.asarray(rate * np.power(1.0 - rate, tests))


def block_gain(pass_rate: ArrayLike, tests: ArrayLike, block: ArrayLike) -> NDArray[np.float64]:
    """What ``block`` more tests together add to :func:`coverage` of a problem that has ``tests``.

    The sum of :func:`coverage_gain` over the block, without the loss of digits that a difference of
    two coverages near 1 would bring.
    """
    missed = np.power(1.0 - np.asarray(pass_rate, np.float64), tests)
    return np.asarray(missed * coverage(pass_rate, block))


class Greedy(Policy):
    """Each next test goes where it adds most coverage, ``λ (1 - λ)^b`` after b tests.

    The allocation of CodeRM (arXiv 2501.01054, after Damani et al., arXiv 2410.04707), with bounds:
    a problem's minimum counts among its b. Ties go to the lower position, and nothing goes where the
    gain is zero. As published, prices do not enter.

    Args:
        problems: number of problems.
        pass_rates: shape (problems,), predicted λ: share of right ones among the policy model's
            candidates.
        **limits: as for :class:`Policy`.

    Raises:
        ValueError: for a pass rate outside [0, 1].
    """

    name: ClassVar[str] = "greedy"
    static: ClassVar[bool] = True
    uses_pass_rates: ClassVar[bool] = True

    def __init__(
        self, problems: int, pass_rates: NDArray[np.floating], **limits: Unpack[PolicyLimits]
    ) -> None:
        super().__init__(problems, **limits)
        self._pass_rates = self._rates(pass_rates)

    def _plan(self, free: NDArray[np.int32], room: int) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
        return allocate_greedily(self._next_gain, self._granted, free, room)

    def _next_gain(self, problems: NDArray[np.intp], tests: NDArray[np.int32]) -> NDArray[np.float64]:
        return coverage_gain(self._pass_rates[problems], tests)

    def _expected_gains(
        self, problems: NDArray[np.intp], granted: NDArray[np.int32], tests: NDArray[np.int32]
    ) -> NDArray[np.float64]:
        return block_gain(self._pass_rates[problems], granted, tests)
