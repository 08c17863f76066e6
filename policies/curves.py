"""Concave envelopes of accuracy curves: what makes the greedy exact where a curve is not concave."""

from typing import ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from testbudget.policies.base import Policy, PolicyLimits
from testbudget.policies.gain_model import GainModels
from testbudget.policies.water_filling import allocate_greedily
from testbudget.rewards.errors import UserError


def envelope_slopes(curves: NDArray[np.floating]) -> NDArray[np.float64]:
    """Slopes of the least concave curve above each curve, and 0 from its highest point on.

    One test often changes nothing while five do: what counts is the mean gain over the best block, which
    is the slope of the envelope. Greedy on these slopes spends a budget best, up to the block that it
    breaks off last (Fox 1966, 'Discrete optimization via marginal analysis').

    Args:
        curves: shape (curves, tests + 1), accuracy after 0, 1, ..., tests; NaN behind the last test of a
            shorter one.

    Returns:
        Shape (curves, tests), what the next test is worth after 0, 1, ..., tests - 1; never negative, and
        never rising.

    Raises:
        ValueError: for another shape, or a curve without a start.
    """
    if curves.ndim != 2 or curves.shape[1] < 1 or np.isnan(curves[:, 0]).any():
        raise ValueError(
            f"curves must be (curves, tests + 1) and start with a number but are {curves.shape}"
        )
    # Behind its end a curve lies low, so that no chord that goes there is the steepest.
    ended = np.where(np.isnan(curves), np.nanmin(curves, axis=1, keepdims=True), curves)
    tests = curves.shape[1] - 1
    slopes = np.full((len(curves), tests), np.inf)
    # Slope of the envelope at m: the least, over starts up to m, of the steepest chord that ends behind m.
    for start in range(tests):
        chords = (ended[:, start + 1 :] - ended[:, [start]]) / np.arange(1, tests - start + 1)
        steepest = np.maximum.accumulate(chords[:, ::-1], axis=1)[:, ::-1]
        np.minimum(slopes[:, start:], steepest, out=slopes[:, start:])
    return np.maximum(slopes, 0.0)


# ~ """Budgets by curves that are known beforehand: greedy on the slopes of their envelopes."""


class CurvePolicy(Policy):
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
        **limits: Unpack[PolicyLimits],
    ) -> None:
        super().__init__(problems, **limits)
        slopes = envelope_slopes(curves)
        # One more, flat: what tests are worth beyond the end.
        self._slopes = np.concatenate([slopes, np.zeros((len(slopes), 1))], axis=1).astype(np.float32)
        self._curve_of = curve_of.astype(np.int32)

    def _plan(self, free: NDArray[np.int32], room: int) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
        return allocate_greedily(self._slope, self._granted, free, room)

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


# ~ """Budgets by difficulty bin, learned offline."""


class Binned(CurvePolicy):
    """All problems of a bin of predicted pass rates get the same budget, by what tests did for its like.

    The 'offline' variant of Damani et al. (arXiv 2410.04707): bins hide much of the error of single
    predictions. A bin's curve is the mean accuracy of the training problems in it; budgets are those that
    bring most at the cap at hand. Nothing goes where a bin's accuracy rises no more. As published, prices
    do not enter. The problem that a bin's last block is broken off at is the first, by position.

    Args:
        problems: number of problems.
        pass_rates: shape (problems,), predicted λ.
        lessons: learned with predicted pass rates.
        **limits: as for :class:`Policy`.

    Raises:
        UserError: for lessons without bins.
        ValueError: for a pass rate outside [0, 1], or lessons of another number of problems.
    """

    name: ClassVar[str] = "binned"
    static: ClassVar[bool] = True
    uses_pass_rates: ClassVar[bool] = True
    uses_gain_models: ClassVar[bool] = True

    def __init__(
        self,
        problems: int,
        pass_rates: NDArray[np.floating],
        gain_models: GainModels,
        **limits: Unpack[PolicyLimits],
    ) -> None:
        bins = [gain_model.bins for gain_model in gain_models.gain_models if gain_model.bins is not None]
        if len(bins) < len(gain_models.gain_models):
            raise UserError(
                "the policy 'binned' needs lessons with predicted pass rates but got some without"
            )
        longest = max(one.accuracy.shape[1] for one in bins)
        curves = np.full((sum(len(one.accuracy) for one in bins), longest), np.nan)
        curve_of, first = np.zeros(problems, np.intp), 0
        gain_model_of = np.asarray(gain_models.gain_model_of)
        if gain_model_of.shape != (problems,) or np.shape(pass_rates) != (problems,):
            raise ValueError(f"lessons and pass_rates must hold one number for each of {problems} problems")
        for number, one in enumerate(bins):
            curves[first : first + len(one.accuracy), : one.accuracy.shape[1]] = one.accuracy
            own = gain_model_of == number
            curve_of[own] = first + one.of(pass_rates[own])
            first += len(one.accuracy)
        super().__init__(problems, curves, curve_of, **limits)
        self._rates(pass_rates)


# ~ """What an allocator could reach that knew beforehand what tests will do for each problem."""


class OracleCurves(CurvePolicy):
    """Knows each problem's own accuracy after every number of tests; stops where that rises no more.

    A ceiling for comparisons: the curves take the ground truth. It knows means over random tests, not
    which tests will come. (An oracle of pass rates alone is :class:`policies.Greedy` with the truth.)

    Args:
        problems: number of problems.
        curves: shape (problems, tests + 1), accuracy of the pick after so many tests; NaN behind the last
            test of a problem that has fewer.
        **limits: as for :class:`Policy`.

    Raises:
        ValueError: for curves of another shape.
    """

    name: ClassVar[str] = "oracle-curves"
    static: ClassVar[bool] = True
    uses_curves: ClassVar[bool] = True

    def __init__(self, problems: int, curves: NDArray[np.floating], **limits: Unpack[PolicyLimits]) -> None:
        if len(curves) != problems:
            raise ValueError(
                f"there must be one curve for each of {problems} problems but got {len(curves)}"
            )
        super().__init__(problems, curves, np.arange(problems), **limits)
