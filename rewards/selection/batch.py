"""Statistics of a batch: the tests of all its problems, pooled by number of tests."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.outputs import BatchStatistics, Evidence
from testbudget.rewards.prefix_statistics import (
    USUAL_MINORITY_RATIO,
    PrefixStatistics,
    floored_log,
)

AGREEMENT_WEIGHTS = np.array([0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 5.0])
"""Weights of agreement that ``trusted_weight`` chooses from, ascending."""

_NEARLY_BEST = 0.985  # share of the best score from which on a weight is as good as the best


BatchContribution = NDArray[np.float64]
"""Summands of one problem, float64 (19, tests + 1), one column for each number of tests."""


def batch_contribution(problem: Evidence) -> BatchContribution:
    """Summands of one problem, for :func:`combine_batch`. They take longer than combining."""
    return contribution_by(PrefixStatistics(problem, range(problem.votes.tests + 1)))


def contribution_by(statistics: PrefixStatistics) -> BatchContribution:
    """Summands of one problem by its statistics after 0, 1, ..., all tests."""
    return np.concatenate([_pass_shares(statistics), _later_pass_shares(statistics)])


def batch_statistics(problems: Iterable[Evidence]) -> BatchStatistics:
    """Statistics of a batch.

    Args:
        problems: at least one; each counts up to its own number of tests.
    """
    return combine_batch([batch_contribution(problem) for problem in problems])


def add_contributions(parts: Sequence[BatchContribution]) -> BatchContribution:
    """Sum of the contributions of several problems, added in their order."""
    sums = np.zeros((len(parts[0]), max(part.shape[1] for part in parts)))
    for part in parts:
        sums[:, : part.shape[1]] += part
    return sums


def combine_batch(parts: Sequence[BatchContribution]) -> BatchStatistics:
    """Statistics of a batch from the ``batch_contribution`` of each problem, or from sums of them."""
    count, best, passed_by_any, majority, minority, *later = add_contributions(parts)
    # The prior is one problem whose majority passes all tests.
    minority_ratio = (minority + USUAL_MINORITY_RATIO) / (majority + 1)
    consistency = np.divide(best, passed_by_any, out=np.ones_like(best), where=passed_by_any > 0)
    return BatchStatistics(best / count, minority_ratio, consistency, _trusted_weight(np.asarray(later)))


def _pass_shares(statistics: PrefixStatistics) -> NDArray[np.float64]:
    """Five rows of one problem, float64 (5, tests + 1).

    They are 1, and the share of the tests passed by the best candidate, by any candidate, by the majority
    and by the minority (means). The majority are the candidates with the highest agreement. If they are
    all candidates, the rows of majority and minority are 0.
    """
    tests = np.maximum(statistics.tests, 1)
    passed = statistics.tests_passed / tests
    best = passed.max(axis=1)
    passed_by_any = np.concatenate([[0], np.cumsum(statistics.passed.any(axis=1))]) / tests[:, 0]
    best[0] = passed_by_any[0] = 0.5
    agreement = np.round(statistics.agreement, 9)
    in_majority = agreement == agreement.max(axis=1, keepdims=True)
    majority_size = in_majority @ statistics.sizes
    minority_size = statistics.candidates - majority_size
    majority = (passed * in_majority) @ statistics.sizes / majority_size * (minority_size > 0)
    minority = (passed * ~in_majority) @ statistics.sizes / np.maximum(minority_size, 1)
    return np.stack([np.ones(len(best)), best, passed_by_any, majority, minority])


def _later_pass_shares(statistics: PrefixStatistics) -> NDArray[np.float64]:
    """Share of the second half of the tests that picks by the first half pass, (weights, tests + 1).

    One row for each of ``AGREEMENT_WEIGHTS``; 0 without tests.
    """
    tests = len(statistics.passed)
    halves = np.arange(tests + 1) // 2
    passed = statistics.tests_passed
    first = slice(0, tests // 2 + 1)
    support = AGREEMENT_WEIGHTS[:, np.newaxis, np.newaxis] * statistics.support[first]
    scores = np.round(floored_log(passed[first]) + support, 9)
    won = (scores == scores.max(axis=2, keepdims=True)) * statistics.sizes
    won = (won / won.sum(axis=2, keepdims=True))[:, halves]
    later = (passed - passed[halves]) / np.maximum(np.arange(tests + 1) - halves, 1)[:, np.newaxis]
    return np.asarray(np.einsum("wmc,mc->wm", won, later))


def _trusted_weight(later: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest weight that is nearly as good as the best, float64 (tests + 1,)."""
    good = later >= _NEARLY_BEST * later.max(axis=0)
    trusted = AGREEMENT_WEIGHTS[len(AGREEMENT_WEIGHTS) - 1 - good[::-1].argmax(axis=0)]
    trusted[:2] = np.inf
    return np.asarray(trusted)
