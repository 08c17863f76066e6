"""Policies on accuracy curves known beforehand: greedy on the slopes of their concave envelopes."""

from typing import ClassVar, Unpack

import numpy as np
from numpy.typing import NDArray

from testbudget.policies.base import Policy, PolicyLimits
from testbudget.policies.gain_model import GainModelAssignment
from testbudget.policies.water_filling import allocate_greedily
from testbudget.rewards.errors import UserError


def envelope_slopes(curves: NDArray[np.floating]) -> NDArray[np.float64]:
    """Slopes of the least concave curve above each curve, and 0 from its maximum on.

    Often one test changes nothing and five do. The value of the next test is therefore the largest mean
    gain per test over the next k tests, for any k. It equals the slope of the envelope. Greedy allocation
    on these slopes is optimal except for the last segment of an envelope, which the cap may cut (Fox 1966,
    'Discrete optimization via marginal analysis').

    Args:
        curves: float (curves, tests + 1), accuracy after 0, 1, ..., tests tests; NaN after the end of a
            shorter curve.

    Returns:
        float64 (curves, tests), slope after 0, 1, ..., tests - 1 tests; >= 0 and non-increasing.

    Raises:
        ValueError: not two dimensions, no column, or NaN at the start of a curve.
    """
    if curves.ndim != 2 or curves.shape[1] < 1 or np.isnan(curves[:, 0]).any():
        raise ValueError(
            f"curves must be (curves, tests + 1) and start with a number but are {curves.shape}"
        )
    # After its end a curve is set to its minimum, so that no chord to there is the steepest.
    ended = np.where(np.isnan(curves), np.nanmin(curves, axis=1, keepdims=True), curves)
    tests = curves.shape[1] - 1
    slopes = np.full((len(curves), tests), np.inf)
    # The slope at m is the minimum, over starts <= m, of the steepest chord that ends after m.
    for start in range(tests):
        chords = (ended[:, start + 1 :] - ended[:, [start]]) / np.arange(1, tests - start + 1)
        steepest = np.maximum.accumulate(chords[:, ::-1], axis=1)[:, ::-1]
        np.minimum(slopes[:, start:], steepest, out=slopes[:, start:])
    return np.maximum(slopes, 0.0)


class CurvePolicy(Policy):
    """Each next test goes to the problem with the largest index, the envelope's slope after m tests.

    Problems may share a curve. No test is granted where the slope is zero or the curve has ended. Ties go
    to the lower position, so a segment with constant slope is finished before the next one begins.

    Args:
        problems: number of problems.
        curves: float (curves, tests + 1), accuracy after m tests; NaN after the end of a shorter curve.
        curve_of: intp (problems,), the curve of each problem.
        **limits: as for :class:`~testbudget.policies.base.Policy`.

    Raises:
        ValueError: curves of another shape, or NaN at the start of a curve.
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
        # One more slope of 0, for tests after the end of the curve.
        self._slopes = np.concatenate([slopes, np.zeros((len(slopes), 1))], axis=1).astype(np.float32)
        self._curve_of = curve_of.astype(np.int32)

    def _plan(self, free: NDArray[np.int32], remaining: int) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
        return allocate_greedily(self._slope, self._granted, free, remaining)

    def _slope(self, problems: NDArray[np.intp], tests: NDArray[np.int32]) -> NDArray[np.float64]:
        end = self._slopes.shape[1] - 1
        return np.asarray(self._slopes[self._curve_of[problems], np.minimum(tests, end)], np.float64)


class Binned(CurvePolicy):
    """All problems of a bin of predicted pass rates get the same budget, by the bin's mean accuracy curve.

    The 'offline' variant of Damani et al. (arXiv 2410.04707): averaging over a bin removes much of the
    error of single predictions. The index is the slope of the envelope of the bin's curve, the mean
    accuracy of the training problems in the bin. When the cap cuts a segment of the bin's curve,
    the problems with the lowest positions get it. Static.

    Args:
        problems: number of problems.
        pass_rates: float (problems,), predicted pass rates in [0, 1].
        gain_models: fitted with predicted pass rates.
        **limits: as for :class:`~testbudget.policies.base.Policy`.

    Raises:
        UserError: a gain model without bins.
        ValueError: a pass rate outside [0, 1], or gain models for another number of problems.
    """

    name: ClassVar[str] = "binned"
    static: ClassVar[bool] = True
    uses_pass_rates: ClassVar[bool] = True
    uses_gain_models: ClassVar[bool] = True

    def __init__(
        self,
        problems: int,
        pass_rates: NDArray[np.floating],
        gain_models: GainModelAssignment,
        **limits: Unpack[PolicyLimits],
    ) -> None:
        bins = [gain_model.bins for gain_model in gain_models.gain_models if gain_model.bins is not None]
        if len(bins) < len(gain_models.gain_models):
            raise UserError(
                "the policy 'binned' needs gain models with predicted pass rates but got some without"
            )
        longest = max(one.accuracy.shape[1] for one in bins)
        curves = np.full((sum(len(one.accuracy) for one in bins), longest), np.nan)
        curve_of, first = np.zeros(problems, np.intp), 0
        gain_model_of = np.asarray(gain_models.gain_model_of)
        if gain_model_of.shape != (problems,) or np.shape(pass_rates) != (problems,):
            raise ValueError(
                f"gain_models and pass_rates must hold one number for each of {problems} problems"
            )
        for number, one in enumerate(bins):
            curves[first : first + len(one.accuracy), : one.accuracy.shape[1]] = one.accuracy
            own = gain_model_of == number
            curve_of[own] = first + one.bin_of(pass_rates[own])
            first += len(one.accuracy)
        super().__init__(problems, curves, curve_of, **limits)
        self._rates(pass_rates)


class OracleCurves(CurvePolicy):
    """Budgets by each problem's true accuracy curve: index is the slope of the curve's envelope.

    It is an upper bound for comparisons, since the curves need the ground truth. The curves are means over
    random permutations of the tests, so the policy does not know which tests will come. No test is granted
    where a curve does not rise. Static. (The oracle of pass rates alone is
    :class:`~testbudget.policies.greedy.Greedy` with measured pass rates.)

    Args:
        problems: number of problems.
        curves: float (problems, tests + 1), accuracy of the pick after m tests; NaN after a problem's last
            recorded test.
        **limits: as for :class:`~testbudget.policies.base.Policy`.

    Raises:
        ValueError: curves of another shape.
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
