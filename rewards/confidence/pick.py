"""Features of a pick that p_correct is computed from, without ground truth."""

import math

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.calibration import agreement_of_votes
from testbudget.rewards.outputs import Evidence
from testbudget.rewards.prefix_statistics import PrefixStatistics
from testbudget.rewards.selection.calibrated import Calibrated

PICK_FEATURES = (
    "share of the posterior",
    "agreement with the pick",
    "share of the passable tests passed",
    "number of tests",
    "inverse size of its output group",
    "predicted pass rate",
)
"""Names of the features, in their order."""

_LEAST_SHARE, _MOST_SHARE = 0.01, 0.995
_PASS_RATE_MARGIN = 0.01  # smallest distance of a predicted pass rate from 0 and 1
_NEED_EVIDENCE = np.array([0, 1, 2, 4])  # features that need a test or an input
_RULE = Calibrated()


def pick_features_by(
    statistics: PrefixStatistics,
    winners: NDArray[np.bool_] | NDArray[np.int64],
    pass_rate: float = math.nan,
) -> NDArray[np.float64]:
    """Features of the picks of any rule, float64 (counts, features), in the order of ``PICK_FEATURES``.

    1. Share of the pick's output group in the posterior over groups, which is the exponential of the score
       of the rule `calibrated`; divided by the number of tied groups, and clipped to [0.01, 0.995].
    2. Agreement a of the pick; if only votes are known, that of the tests it passes, on the same scale.
    3. Tests that the pick passes, as a share of those that any candidate passes; 0 if there are none.
    4. ``ln (1 + m)``.
    5. ``1 / n``, with ln n the mean over tied candidates.
    6. Log-odds of the predicted pass rate, clipped to [0.01, 0.99].

    Features 1, 2, 3 and 5 are NaN before the first test and known input, feature 6 without a prediction.

    Args:
        statistics: statistics of a problem; with the batch, if it is one of many.
        winners: bool (counts, candidates); or int64, number of winners that each column stands for.
        pass_rate: predicted pass rate of the problem; NaN if there is none.
    """
    shares = winners * (statistics.sizes if winners.dtype == np.bool_ else 1)
    shares = shares / shares.sum(axis=1, keepdims=True)
    tests, seen = statistics.tests, statistics.tests_seen
    sizes = statistics.output_group_sizes
    scores = _RULE.scores(statistics)
    of_group = statistics.sizes / sizes
    odds = np.exp(scores - scores.max(axis=1, keepdims=True)) * of_group
    won = shares > 0
    posterior = (odds * won).sum(axis=1) / odds.sum(axis=1) / (of_group * won).sum(axis=1)
    clipped = min(max(pass_rate, _PASS_RATE_MARGIN), 1 - _PASS_RATE_MARGIN)  # NaN stays NaN
    passed = (shares * statistics.tests_passed).sum(axis=1) / np.maximum(seen[:, 0], 1)
    known = (tests[:, 0] > 0) | (statistics.inputs[:, 0] > 0)
    features = np.stack(
        [
            np.clip(posterior, _LEAST_SHARE, _MOST_SHARE),
            (shares * _agreement(statistics)).sum(axis=1),
            np.minimum(passed, 1.0),
            np.log1p(tests[:, 0]),
            np.exp(-(shares * np.log(sizes)).sum(axis=1)),
            np.full(len(tests), math.log(clipped / (1 - clipped))),
        ],
        axis=1,
    )
    features[np.ix_(np.flatnonzero(~known), _NEED_EVIDENCE)] = np.nan
    return features


def features_of_pick(
    evidence: Evidence, winners: NDArray[np.intp], pass_rate: float = math.nan
) -> NDArray[np.float64]:
    """Features of a pick after all tests, float64 (features,).

    Args:
        evidence: evidence on one problem.
        winners: positions of the tied winners, intp.
        pass_rate: predicted pass rate of the problem; NaN if there is none.
    """
    won = np.zeros((1, evidence.votes.candidates), np.bool_)
    won[0, winners] = True
    statistics = PrefixStatistics(evidence, [evidence.votes.tests])
    return np.asarray(pick_features_by(statistics, won, pass_rate)[0])


def _agreement(statistics: PrefixStatistics) -> NDArray[np.float64]:
    if statistics.has_outputs:
        agreement: NDArray[np.float64] = statistics.agreement
        return agreement
    p_pass = statistics.passed @ statistics.sizes / statistics.candidates
    sums = np.zeros((len(p_pass) + 1, len(statistics.sizes)))
    np.cumsum(statistics.passed * p_pass[:, np.newaxis], axis=0, out=sums[1:])
    passed = statistics.tests_passed
    mean = sums[statistics.counts] / np.maximum(passed, 1)
    of_votes = np.clip(agreement_of_votes(np.ones_like(mean), mean), 0, 1)
    return np.asarray(np.where(passed > 0, of_votes, 0.0))
