"""Default selection rule: tests weighed by a likelihood ratio that is calibrated on the batch."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.calibration import (
    PRIOR_FREE_MODELS,
    PRIOR_MODELS,
    Calibration,
    Counted,
    Floats,
    PassModel,
    agreement_of_votes,
    shrunk_agreement,
    strength_of,
)
from testbudget.rewards.prefix_statistics import PrefixStatistics, floored_log
from testbudget.rewards.selection.base import ScoringRule

# Fitted to weak pools, by conditional logit on one half of the problems of CodeGen-16B and the recordings.
_WEAK_SIZE, _WEAK_AGREEMENT, _WEAK_TESTS = 0.75, 0.5, 2 / 3
_NOTHING_PASSED = 0.6  # cost of passing none of the tests seen, for each; level from 0.4 to 0.6
_VOTES_SIZE, _VOTES_TESTS = 0.5, 1.0  # weak pools of which only votes are known
_BARRED = -60.0
# Fitted to strong pools and rounded, on programs of stronger models on HumanEval and on MBPP.
_STRONG_SIZE, _STRONG_AGREEMENT, _STRONG_LEAST = 1.25, 1.0, -6.0
_EVENNESS = 0.7  # ln (1 + M1) at which tests count nothing
_POWER, _USUAL_TESTS, _MAX_TESTS = 0.3, 5.0, 40  # growth of the weight of tests with their number
_LEAST_LOG = -30.0  # of agreement


class Calibrated(ScoringRule):
    """Score ``(1 - h) weak + h strong``, with h the strength of the batch's pool of candidates.

    L is the log likelihood ratio of the tests passed, the mean over the two models that are calibrated on
    the batch (``rewards.calibration``), and ``w = (min(m, 40) / 5)^0.3``.

    * ``weak = 3/4 ln n + 1/2 ln a + 2/3 w (2 L(s) - L(s')) - 0.6 u [s = 0]``, with s' the mean tests passed
      by similar candidates (``PrefixStatistics.soft_tests_passed``) and u the tests that any candidate
      passes. Tests tell similar candidates apart better than different ones.
    * ``weak = 1/2 ln n + w L(s)`` if only votes are known. Once any candidate passes a test, those that
      pass nothing lose to all others.
    * ``strong = 5/4 ln n + ln a + (ln(1 + M1) - 0.7) w L(s)``, with the models whose totals are fitted too.
      If right groups pass all tests of some problems and few of others, M1 is small, and tests count less.

    Other symbols as in ``selection/agreement.py``. Without a batch, the models are those of the prior, and
    the strength is that of the problem's own candidates.
    """

    name: ClassVar[str] = "calibrated"
    uses_outputs: ClassVar[bool] = True
    merges_equal: ClassVar[bool] = True
    uses_batch: ClassVar[bool] = True

    def scores(self, statistics: PrefixStatistics) -> NDArray[np.float64]:
        """See :meth:`ScoringRule.scores`."""
        calibrations = _calibrations(statistics)
        strength = np.array([[one.strength] for one in calibrations])
        scores = np.zeros(statistics.tests_passed.shape)
        if (strength < 1).any():
            scores += (1 - strength) * _weak(statistics, calibrations)
        if (strength > 0).any():
            scores += strength * _strong(statistics, calibrations)
        return scores


def _weak(statistics: PrefixStatistics, calibrations: list[Calibration]) -> Floats:
    models = [one.weak for one in calibrations]
    passed, seen = statistics.tests_passed, statistics.tests_seen
    log_sizes = np.log(statistics.output_group_sizes)
    ratio = _log_ratio(statistics, models, passed)
    nothing = (passed == 0) & (seen > 0)
    if not statistics.has_outputs:
        return np.asarray(
            _VOTES_SIZE * log_sizes + _VOTES_TESTS * _growth(statistics) * ratio + _BARRED * nothing
        )
    of_similar = _log_ratio(statistics, models, statistics.soft_tests_passed)
    return np.asarray(
        _WEAK_SIZE * log_sizes
        + _WEAK_AGREEMENT * np.maximum(floored_log(statistics.agreement), _LEAST_LOG)
        + _WEAK_TESTS * _growth(statistics) * (2 * ratio - of_similar)
        - _NOTHING_PASSED * seen * nothing
    )


def _strong(statistics: PrefixStatistics, calibrations: list[Calibration]) -> Floats:
    models = [one.strong for one in calibrations]
    evenness = np.array([[np.log1p(one[Counted.SEEN].right_total) - _EVENNESS] for one in models])
    return np.asarray(
        _STRONG_SIZE * np.log(statistics.output_group_sizes)
        + _STRONG_AGREEMENT * np.maximum(floored_log(statistics.agreement), _STRONG_LEAST)
        + evenness * _growth(statistics) * _log_ratio(statistics, models, statistics.tests_passed)
    )


def _growth(statistics: PrefixStatistics) -> Floats:
    """w, float64 (counts, 1)."""
    return np.asarray((np.minimum(statistics.tests, _MAX_TESTS) / _USUAL_TESTS) ** _POWER)


def _calibrations(statistics: PrefixStatistics) -> list[Calibration]:
    """Calibration of the batch for each count; without a batch, the prior's."""
    counts = statistics.counts.tolist()
    if statistics.batch is not None:
        calibration = statistics.batch.calibration
        return [calibration.at(min(count, calibration.tests)) for count in counts]
    return [
        Calibration(strength, PRIOR_MODELS, PRIOR_FREE_MODELS)
        for strength in _own_strength(statistics).tolist()
    ]


def _own_strength(statistics: PrefixStatistics) -> Floats:
    """Strength of the pool of candidates of a problem without a batch, float64 (counts,)."""
    if statistics.has_outputs:
        known = statistics.inputs[:, 0] > 0
        agreement = statistics.agreement @ statistics.sizes / statistics.candidates
    else:
        p_pass = statistics.passed @ statistics.sizes / statistics.candidates
        sums = np.zeros((len(p_pass) + 1, 2))
        np.cumsum(np.stack([p_pass, p_pass**2], axis=1), axis=0, out=sums[1:])
        mean, mean_square = sums[statistics.counts].T
        known = mean > 0
        agreement = agreement_of_votes(np.where(known, mean, 1.0), mean_square)
    return strength_of(shrunk_agreement(np.where(known, agreement, 0.0), known.astype(np.float64)))


def _log_ratio(
    statistics: PrefixStatistics,
    models: list[tuple[PassModel, PassModel]],
    passed: NDArray[np.int64] | Floats,
) -> Floats:
    """L after each count, mean over the two models; linear between whole numbers of tests passed."""
    most = max(1, len(statistics.passed))
    rows = np.arange(len(statistics.counts))[:, np.newaxis]
    below = np.floor(passed).astype(np.intp)
    ratio = np.zeros(passed.shape)
    for counted, tests in ((Counted.ALL, statistics.tests), (Counted.SEEN, statistics.tests_seen)):
        passes, failures, every = np.stack([one[counted].log_ratio(most) for one in models], axis=1)
        lower = np.minimum(below, tests)
        upper = np.minimum(lower + 1, tests)
        at_lower = passes[rows, lower] + failures[rows, tests - lower]
        if np.issubdtype(passed.dtype, np.integer):
            value = at_lower
        else:
            at_upper = passes[rows, upper] + failures[rows, tests - upper]
            value = at_lower + (passed - lower) * (at_upper - at_lower)
        ratio += (value - every[rows, tests]) / len(Counted)
    return ratio
