"""Features of candidates and picks that p_correct is computed from, without ground truth."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.outputs import Evidence
from testbudget.rewards.prefix_statistics import PrefixStatistics, output_groups_or_pass_sets
from testbudget.rewards.selection.base import SelectionRule

FEATURES = (
    "agreement with all candidates",
    "size of its output group",
    "share of the tests passed",
    "lead in tests passed",
    "number of tests",
    "candidates that passed as many tests",
    "minority ratio of the batch",
    "share passed times minority ratio",
    "predicted pass rate",
)
"""Names of the features, in their order."""

_PASS_RATE_MARGIN = 0.01  # smallest distance of a predicted pass rate from 0 and 1
_SPLITS = 4
_SPLIT_SEED = 0  # equal evidence is always split alike


def candidate_features(
    evidence: Evidence, counts: Sequence[int], pass_rate: float = math.nan
) -> NDArray[np.float64]:
    """Features of every candidate after the first m tests, for several m.

    With n candidates, m tests and s the tests that a candidate passed, in the order of ``FEATURES``:

    1. ``ln (a + 0.02)``, with a ``PrefixStatistics.agreement``; NaN if no input is known.
    2. ``ln (g / n)``, with g the size of its output group or, without outputs, the number of candidates
       that passed the same tests; NaN before the first test and input.
    3. ``(s + 1) / (m + 2)``.
    4. ``tanh(lead / sqrt m)``. The lead of a candidate with the best s is s minus the next lower s; of
       another, s minus the best s.
    5. ``ln (1 + m)``.
    6. ``ln (share of candidates that passed at least s tests)``.
    7. ``BatchStatistics.minority_ratio``; NaN without outputs, without a batch and before the first test.
    8. Feature 7 times feature 3.
    9. Log-odds of the predicted pass rate, clipped to [0.01, 0.99]; NaN if there is none.

    An eliminated candidate counts with the tests that it passed before its elimination.

    Args:
        evidence: evidence on one problem.
        counts: ascending numbers of tests.
        pass_rate: predicted pass rate of the problem; NaN if there is none.

    Returns:
        float64 (counts, candidates, features).
    """
    return features_by(PrefixStatistics(evidence, counts), pass_rate)


def features_by(statistics: PrefixStatistics, pass_rate: float = math.nan) -> NDArray[np.float64]:
    """Features by statistics that are computed already; see :func:`candidate_features`."""
    passed, tests = statistics.tests_passed.astype(np.float64), statistics.tests
    candidates = statistics.candidates
    unknown = np.full(passed.shape, np.nan)
    seen = (tests > 0) | (statistics.inputs > 0)
    minority_ratio = unknown
    if statistics.has_outputs and statistics.batch is not None:
        minority_ratio = np.where(tests > 0, statistics.batch_minority_ratio, np.nan) + np.zeros(
            passed.shape
        )
    share = (passed + 1) / (tests + 2)
    lower = _passed_fewer(statistics)
    clipped = min(max(pass_rate, _PASS_RATE_MARGIN), 1 - _PASS_RATE_MARGIN)  # NaN stays NaN
    return np.stack(
        [
            np.where(statistics.inputs > 0, np.log(statistics.agreement + 0.02), np.nan),
            np.where(seen, np.log(statistics.output_group_sizes / candidates), np.nan),
            share,
            np.tanh(_lead(passed) / np.sqrt(np.maximum(tests, 1))),
            np.log1p(tests) + np.zeros(passed.shape),
            np.log((candidates - lower) / candidates),
            minority_ratio,
            minority_ratio * share,
            unknown if math.isnan(pass_rate) else np.full(passed.shape, math.log(clipped / (1 - clipped))),
        ],
        axis=-1,
    )


def mean_over_winners(
    features: NDArray[np.float64], winners: NDArray[np.bool_] | NDArray[np.int64]
) -> NDArray[np.float64]:
    """Mean features of the tied winners, float64 (counts, features).

    Args:
        features: float64 (counts, candidates, features); a feature is NaN for all candidates or for none.
        winners: bool (counts, candidates); or int64, number of winners that each column stands for.
    """
    shares = winners / winners.sum(axis=1, keepdims=True)
    return np.asarray((shares[:, np.newaxis] @ features)[:, 0])


def pick_features(
    evidence: Evidence, winners: NDArray[np.intp], pass_rate: float = math.nan
) -> NDArray[np.float64]:
    """Features of a pick after all tests: the mean over the tied winners, float64 (features,).

    Args:
        evidence: evidence on one problem.
        winners: positions of the tied winners, intp.
        pass_rate: predicted pass rate of the problem; NaN if there is none.
    """
    won = np.zeros((1, evidence.votes.candidates), np.bool_)
    won[0, winners] = True
    return np.asarray(
        mean_over_winners(candidate_features(evidence, [evidence.votes.tests], pass_rate), won)[0]
    )


def split_half_agreement(
    evidence: Evidence, rule: SelectionRule, winners: NDArray[np.intp]
) -> tuple[float, float]:
    """Split-half agreement: share of draws in which random halves of the tests pick equal outputs.

    Without recorded outputs, candidates that passed the same tests count as equal. Ties are drawn evenly.

    Args:
        evidence: evidence on one problem.
        rule: the selection rule.
        winners: intp, its winners by all tests.

    Returns:
        Share of draws in which the picks of two halves are equal, and share in which the pick of a half
        equals the pick of all tests; both NaN for fewer than two tests.
    """
    tests = evidence.votes.tests
    if tests < 2:
        return np.nan, np.nan
    groups = output_groups_or_pass_sets(evidence)
    whole = _group_shares(groups, winners)
    random = np.random.default_rng(_SPLIT_SEED)
    between_halves = with_whole = 0.0
    for _ in range(_SPLITS):
        order = random.permutation(tests)
        one, other = (
            _group_shares(groups, rule.winners(evidence.of_tests(np.sort(half))))
            for half in (order[: tests // 2], order[tests // 2 :])
        )
        between_halves += float(one @ other) / _SPLITS
        with_whole += float((one + other) @ whole) / (2 * _SPLITS)
    return between_halves, with_whole


def _passed_fewer(statistics: PrefixStatistics) -> NDArray[np.int64]:
    """Number of candidates that passed fewer tests, int64 (counts, candidates)."""
    passed = statistics.tests_passed
    scores = int(passed.max(initial=0)) + 1
    keys = np.arange(len(passed))[:, np.newaxis] * scores + passed
    sizes = np.broadcast_to(statistics.sizes, passed.shape)
    with_score = np.bincount(keys.ravel(), sizes.ravel(), minlength=len(passed) * scores)
    up_to = np.cumsum(with_score.reshape(-1, scores), axis=1).ravel()
    return np.asarray(up_to[keys] - with_score[keys], np.int64)


def _lead(passed: NDArray[np.float64]) -> NDArray[np.float64]:
    best = passed.max(axis=1, keepdims=True)
    next_lower = np.where(passed < best, passed, 0.0).max(axis=1, keepdims=True)
    return np.asarray(np.where(passed == best, best - next_lower, passed - best))


def _group_shares(groups: NDArray[np.intp], winners: NDArray[np.intp]) -> NDArray[np.float64]:
    """Share of the winners in each group, float64 (groups,)."""
    return np.bincount(groups[winners], minlength=groups.max() + 1) / len(winners)
