"""The published rule: greedy on predicted pass rates."""

from typing import ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from policies.base import Limits, Policy
from policies.filling import most_valuable_tests
from policies.gain import block_gain, coverage_gain


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

    def __init__(self, problems: int, pass_rates: NDArray[np.floating], **limits: Unpack[Limits]) -> None:
        super().__init__(problems, **limits)
        self._pass_rates = self._rates(pass_rates)

    def _plan(self, free: NDArray[np.int32], room: int) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
        return most_valuable_tests(self._next_gain, self._granted, free, room)

    def _next_gain(self, problems: NDArray[np.intp], tests: NDArray[np.int32]) -> NDArray[np.float64]:
        return coverage_gain(self._pass_rates[problems], tests)

    def _expected_gains(
        self, problems: NDArray[np.intp], granted: NDArray[np.int32], tests: NDArray[np.int32]
    ) -> NDArray[np.float64]:
        return block_gain(self._pass_rates[problems], granted, tests)
