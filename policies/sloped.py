"""Budgets by curves that are known beforehand: greedy on the slopes of their envelopes."""

from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from policies.base import Limits, Policy
from policies.envelope import envelope_slopes
from policies.filling import most_valuable_tests


class Sloped(Policy):
    """Each next test goes where the concave envelope of a problem's curve is steepest.

    Problems may share curves. Nothing goes where a curve rises no more, nor beyond its end. Ties go to
    the lower position, so a block over which an envelope is straight is filled before the next is begun.

    Args:
        problems: number of problems.
        curves: shape (curves, tests + 1), accuracy after so many tests; NaN behind the end of one.
        curve_of: shape (problems,), the curve of each problem.
        **limits: as for :class:`Policy`.
    """

    def __init__(
        self,
        problems: int,
        curves: NDArray[np.floating],
        curve_of: NDArray[np.intp],
        **limits: Unpack[Limits],
    ) -> None:
        super().__init__(problems, **limits)
        slopes = envelope_slopes(curves)
        # One more, flat: what tests are worth beyond the end.
        self._slopes = np.concatenate([slopes, np.zeros((len(slopes), 1))], axis=1).astype(np.float32)
        self._curve_of = curve_of.astype(np.int32)

    def _plan(self, free: NDArray[np.int32], room: int) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
        return most_valuable_tests(self._slope, self._granted, free, room)

    def _slope(self, problems: NDArray[np.intp], tests: NDArray[np.int32]) -> NDArray[np.float64]:
        end = self._slopes.shape[1] - 1
        return np.asarray(self._slopes[self._curve_of[problems], np.minimum(tests, end)], np.float64)

    def _expected_gains(
        self, problems: NDArray[np.intp], granted: NDArray[np.int32], tests: NDArray[np.int32]
    ) -> NDArray[np.float64]:
        heights = np.zeros((len(self._slopes), self._slopes.shape[1] + 1))
        np.cumsum(self._slopes, axis=1, dtype=np.float64, out=heights[:, 1:])
        curves, end = self._curve_of[problems], self._slopes.shape[1] - 1
        gains = (
            heights[curves, np.minimum(granted + tests, end)] - heights[curves, np.minimum(granted, end)]
        )
        return np.asarray(gains)
