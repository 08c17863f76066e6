"""Default selection rule: tests weighed by a likelihood ratio that is calibrated on the batch."""

from collections.abc import Sequence
from dataclasses import dataclass
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

_BARRED = -60.0  # with votes alone, of a candidate that passes nothing where others pass a test
_POWER, _USUAL_TESTS, _MAX_TESTS = 0.3, 5.0, 40  # growth of the weight of tests with their number
_TELLING = 0.8  # share of tests passed from which right groups pass nearly all
_LEAST_LOG, _STRONG_LEAST_LOG = -30.0, -6.0  # of agreement, in weak and in strong pools


@dataclass(frozen=True, slots=True)
class ScoreWeights:
    """Weights of the terms of the score; see :func:`score_terms`.

    Attributes:
        weak: of ln n, ln a, w L(s), w (L(s) - L(s')) and -u [s = 0] in weak pools. Fitted by conditional
            logit on CodeGen-16B's samples of HumanEval and on the two recordings, and rounded.
        by_votes: of ln n and w L(s) in weak pools of which only votes are known. Fitted on the same with
            the outputs forgotten.
        strong: of ln n, ln a, w L(s), ln(1 + M1) w L(s) and t w L(s) in strong pools. Fitted on programs of
            stronger models on HumanEval and on MBPP, and rounded; the last one chosen on the former with
            their right tests alone.
    """

    weak: tuple[float, ...] = (3 / 4, 1 / 2, 2 / 3, 2 / 3, 0.6)
    by_votes: tuple[float, ...] = (1 / 2, 1.0)
    strong: tuple[float, ...] = (5 / 4, 1.0, -0.7, 1.0, 2.0)


class Calibrated(ScoringRule):
    """Score ``(1 - h) weak + h strong``, with h the strength of the batch's pool of candidates.

    L is the log likelihood ratio of the tests passed, the mean over the two models that are calibrated on
    the batch (``rewards.calibration``), and ``w = (min(m, 40) / 5)^0.3``.

    * ``weak = 3/4 ln n + 1/2 ln a + 2/3 w (2 L(s) - L(s')) - 0.6 u [s = 0]``, with s' the mean tests passed
      by similar candidates (``PrefixStatistics.soft_tests_passed``) and u the tests that any candidate
      passes. Tests tell similar candidates apart better than different ones.
    * ``weak = 1/2 ln n + w L(s)`` if only votes are known. Once any candidate passes a test, those that
      pass nothing lose to all others.
    * ``strong = 5/4 ln n + ln a + (ln(1 + M1) - 0.7 + 2 t) w L(s)``, with the models whose totals are
      fitted too. If right groups pass all tests of some problems and few of others, M1 is small, and tests
      count less. If right groups pass nearly all tests, M1 says nothing, and a failure tells more than any
      agreement: ``t = max(0, mu1 - 0.8) / 0.2``, with mu1 among all tests.

    Other symbols as in ``selection/agreement.py``. Without a batch, the models are those of the prior, and
    the strength is that of the problem's own candidates.

    Args:
        weights: weights of the terms.
    """

    name: ClassVar[str] = "calibrated"
    uses_outputs: ClassVar[bool] = True
    merges_equal: ClassVar[bool] = True
    uses_batch: ClassVar[bool] = True

    def __init__(self, weights: ScoreWeights | None = None) -> None:
        self._weights = weights or ScoreWeights()

    def scores(self, statistics: PrefixStatistics) -> NDArray[np.float64]:
        """See :meth:`ScoringRule.scores`."""
        calibrations = calibrations_of(statistics)
        strength = np.array([[one.strength] for one in calibrations])
        scores = np.zeros(statistics.tests_passed.shape)
        if (strength < 1).any():
            weak = self._weights.weak if statistics.has_outputs else self._weights.by_votes
            of_weak = score_terms(statistics, calibrations, strong=False) @ np.asarray(weak)
            if not statistics.has_outputs:
                of_weak += _BARRED * _passed_nothing(statistics)
            scores += (1 - strength) * of_weak
        if (strength > 0).any():
            strong = np.asarray(self._weights.strong)
            scores += strength * (score_terms(statistics, calibrations, strong=True) @ strong)
        return scores


def score_terms(
    statistics: PrefixStatistics, calibrations: Sequence[Calibration], *, strong: bool
) -> NDArray[np.float64]:
    """Terms of the score, float64 (counts, candidates, terms), in the order of :class:`ScoreWeights`.

    Args:
        statistics: statistics of a problem.
        calibrations: calibration after each of its counts.
        strong: True for the terms of strong pools.
    """
    models = [one.strong if strong else one.weak for one in calibrations]
    log_sizes = np.log(statistics.output_group_sizes)
    growth = (np.minimum(statistics.tests, _MAX_TESTS) / _USUAL_TESTS) ** _POWER
    ratio = growth * _log_ratio(statistics, models, statistics.tests_passed)
    if not strong and not statistics.has_outputs:
        return np.stack([log_sizes, ratio], axis=-1)
    least = _STRONG_LEAST_LOG if strong else _LEAST_LOG
    log_agreement = np.maximum(floored_log(statistics.agreement), least)
    if strong:
        evenness = np.array([[np.log1p(one[Counted.SEEN].right_total)] for one in models])
        passed = np.array([[one[Counted.ALL].right_mean] for one in models])
        telling = np.maximum(passed - _TELLING, 0) / (1 - _TELLING)
        return np.stack([log_sizes, log_agreement, ratio, evenness * ratio, telling * ratio], axis=-1)
    of_similar = growth * _log_ratio(statistics, models, statistics.soft_tests_passed)
    nothing = -statistics.tests_seen * _passed_nothing(statistics)
    return np.stack([log_sizes, log_agreement, ratio, ratio - of_similar, nothing], axis=-1)


def calibrations_of(statistics: PrefixStatistics) -> list[Calibration]:
    """Calibration of the batch after each count; without a batch, the prior's."""
    if statistics.batch is not None:
        calibration = statistics.batch.calibration
        return [calibration.at(min(count, calibration.tests)) for count in statistics.counts.tolist()]
    return [
        Calibration(strength, PRIOR_MODELS, PRIOR_FREE_MODELS)
        for strength in _own_strength(statistics).tolist()
    ]


def _passed_nothing(statistics: PrefixStatistics) -> NDArray[np.bool_]:
    """True for candidates that pass nothing where others pass a test."""
    return np.asarray((statistics.tests_passed == 0) & (statistics.tests_seen > 0))


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
    models: Sequence[tuple[PassModel, PassModel]],
    passed: NDArray[np.int64] | Floats,
) -> Floats:
    """L after each count, mean over the two models; linear between whole numbers of tests passed."""
    most = max(1, len(statistics.passed))
    rows = np.arange(len(statistics.counts))[:, np.newaxis]
    whole = np.issubdtype(passed.dtype, np.integer)
    below = np.floor(passed).astype(np.intp)
    ratio = np.zeros(passed.shape)
    for counted, tests in ((Counted.ALL, statistics.tests), (Counted.SEEN, statistics.tests_seen)):
        passes, failures, every = np.stack([one[counted].log_ratio(most) for one in models], axis=1)
        lower = np.minimum(below, tests)
        value = passes[rows, lower] + failures[rows, tests - lower]
        if not whole:
            upper = np.minimum(lower + 1, tests)
            value += (passed - lower) * (passes[rows, upper] + failures[rows, tests - upper] - value)
        ratio += (value - every[rows, tests]) / len(Counted)
    return ratio
