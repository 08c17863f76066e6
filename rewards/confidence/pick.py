"""Features of picks and candidates that p_correct is computed from, without ground truth."""

import math

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.calibration import agreement_of_votes
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
_NEED_EVIDENCE = (0, 1, 2, 4)  # features that need a test or an input
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
    of_each, log_sizes, of_group = _of_columns(statistics)
    won = (shares > 0) * of_group
    features = (shares[:, np.newaxis] @ of_each)[:, 0]
    features[:, 0] = (of_each[..., 0] * won).sum(axis=1) / won.sum(axis=1)
    features[:, 4] = np.exp(-(shares * log_sizes).sum(axis=1))
    return _clipped(statistics, features, pass_rate)


def features_of_each(statistics: PrefixStatistics, pass_rate: float = math.nan) -> NDArray[np.float64]:
    """Features of each candidate, as if it were the pick, float64 (counts, candidates, features).

    Args:
        statistics: statistics of a problem; with the batch, if it is one of many.
        pass_rate: predicted pass rate of the problem; NaN if there is none.
    """
    return _clipped(statistics, _of_columns(statistics)[0], pass_rate)


def _of_columns(
    statistics: PrefixStatistics,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Features of each column, logarithm of its n, and its share of its output group."""
    scores, sizes = _RULE.scores(statistics), statistics.output_group_sizes
    of_group = statistics.sizes / sizes
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    passed = statistics.tests_passed / np.maximum(statistics.tests_seen, 1)
    features = np.stack(
        [
            odds / (odds * of_group).sum(axis=1, keepdims=True),
            _agreement(statistics),
            passed,
            np.log1p(statistics.tests) + np.zeros(scores.shape),
            1 / sizes,
            np.zeros(scores.shape),
        ],
        axis=-1,
    )
    return features, np.log(sizes), of_group


def _clipped(
    statistics: PrefixStatistics, features: NDArray[np.float64], pass_rate: float
) -> NDArray[np.float64]:
    clipped = min(max(pass_rate, _PASS_RATE_MARGIN), 1 - _PASS_RATE_MARGIN)  # NaN stays NaN
    features[..., 0] = np.clip(features[..., 0], _LEAST_SHARE, _MOST_SHARE)
    features[..., 2] = np.minimum(features[..., 2], 1.0)
    features[..., 5] = math.log(clipped / (1 - clipped))
    unknown = (statistics.tests[:, 0] == 0) & (statistics.inputs[:, 0] == 0)
    for feature in _NEED_EVIDENCE:
        features[unknown, ..., feature] = np.nan
    return features


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
