"""Policies on accuracy curves known beforehand: greedy on the slopes of their concave envelopes."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from testbudget.policies.base import Floats, Ints, Policy
from testbudget.policies.gain_model import GainModelAssignment
from testbudget.rewards.errors import UserError


def envelope_slopes(curves: NDArray[np.floating]) -> Floats:
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
    """Each next test goes to the problem with the largest value, the envelope's slope after m tests.

    Problems may share a curve. The value is 0 where the curve has ended. Slopes are rounded to single
    precision, so that a rounding error does not part a segment with constant slope. Static.

    Args:
        curves: float (curves, tests + 1), accuracy after m tests; NaN after the end of a shorter curve.
        curve_of: int (problems,), the curve of each problem.

    Raises:
        ValueError: curves of another shape, or NaN at the start of a curve.
    """

    static: ClassVar[bool] = True

    def __init__(self, curves: NDArray[np.floating], curve_of: NDArray[np.integer]) -> None:
        slopes = envelope_slopes(curves)
        # One more slope of 0, for tests after the end of the curve.
        self._slopes = np.concatenate([slopes, np.zeros((len(slopes), 1))], axis=1).astype(np.float32)
        self._curve_of = curve_of.astype(np.int32)

    def values(self, problems: Ints, granted: Ints) -> Floats:
        """See :meth:`Policy.values`."""
        end = self._slopes.shape[1] - 1
        return np.asarray(self._slopes[self._curve_of[problems], np.minimum(granted, end)], np.float64)


class Binned(CurvePolicy):
    """All problems of a bin of predicted pass rates get the same budget, by the bin's mean accuracy curve.

    The 'offline' variant of Damani et al. (arXiv 2410.04707): averaging over a bin removes much of the
    error of single predictions. The value is the slope of the envelope of the bin's curve, the mean
    accuracy of the training problems in the bin; 0 where no pass rate is predicted. When the cap cuts a
    segment of the bin's curve, some problems get it whole and the others get none of it. Static.

    Args:
        pass_rates: float64 (problems,), predicted pass rates in [0, 1]; NaN where not predicted.
        gain_models: fitted with predicted pass rates.

    Raises:
        UserError: a gain model without bins.
    """

    name: ClassVar[str] = "binned"
    needs: ClassVar[frozenset[str]] = frozenset({"pass_rates", "gain_models"})

    def __init__(self, pass_rates: Floats, gain_models: GainModelAssignment) -> None:
        bins = [gain_model.bins for gain_model in gain_models.gain_models if gain_model.bins is not None]
        if len(bins) < len(gain_models.gain_models):
            raise UserError(
                "the policy 'binned' needs gain models with predicted pass rates but got some without"
            )
        longest = max(one.accuracy.shape[1] for one in bins)
        # The first curve is flat, for problems without a predicted pass rate.
        curves = np.full((1 + sum(len(one.accuracy) for one in bins), longest), np.nan)
        curves[0, 0], first = 0.0, 1
        curve_of = np.zeros(len(pass_rates), np.int32)
        predicted = ~np.isnan(pass_rates)
        for number, one in enumerate(bins):
            curves[first : first + len(one.accuracy), : one.accuracy.shape[1]] = one.accuracy
            own = predicted & (gain_models.gain_model_of == number)
            curve_of[own] = first + one.bin_of(pass_rates[own])
            first += len(one.accuracy)
        super().__init__(curves, curve_of)
        self._pass_rates = pass_rates

    def terms(self, problems: Ints, granted: Ints) -> dict[str, Floats]:  # noqa: ARG002 - p is constant
        """See :meth:`Policy.terms`: the predicted pass rate."""
        return {"pass_rate": self._pass_rates[problems]}


class OracleCurves(CurvePolicy):
    """Budgets by each problem's true accuracy curve: value is the slope of the curve's envelope.

    It is an upper bound for comparisons, since the curves need the ground truth. The curves are means over
    random permutations of the tests, so the policy does not know which tests will come. No test is granted
    where a curve does not rise. Static. (The oracle of pass rates alone is
    :class:`~testbudget.policies.greedy.Greedy` with measured pass rates.)

    Args:
        curves: float (problems, tests + 1), accuracy of the pick after m tests; NaN after a problem's last
            recorded test.

    Raises:
        ValueError: curves of another shape, or NaN at the start of a curve.
    """

    name: ClassVar[str] = "oracle-curves"
    needs: ClassVar[frozenset[str]] = frozenset({"curves"})

    def __init__(self, curves: NDArray[np.floating]) -> None:
        super().__init__(curves, np.arange(len(curves)))
