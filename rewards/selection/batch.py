"""What the problems of a batch say of their tests together."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.outputs import BatchStatistics, Evidence
from testbudget.rewards.prefix_statistics import (
    USUAL_MINORITY_RATIO,
    PrefixStatistics,
    floored_log,
    prefix_scores,
)

AGREEMENT_WEIGHTS = np.array([0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 5.0])
"""Of agreement beside tests passed, from next to none to nearly all that counts."""

_NEARLY = 0.985


BatchContribution = NDArray[np.float64]
"""What one problem adds to a batch: a column for each number of its tests from 0 on."""


def batch_contribution(problem: Evidence) -> BatchContribution:
    """What a problem adds to its batch; costs more than putting the parts together."""
    return np.concatenate([_shares(problem), _foreseen(problem)])


def batch_statistics(problems: Iterable[Evidence]) -> BatchStatistics:
    """Statistics of a batch, by number of tests.

    Args:
        problems: at least one; each counts up to as many tests as it has.
    """
    return combine_batch([batch_contribution(problem) for problem in problems])


def combine_batch(parts: Sequence[BatchContribution]) -> BatchStatistics:
    """The same from what :func:`batch_contribution` has made of each problem."""
    sums = np.zeros((len(parts[0]), max(part.shape[1] for part in parts)))
    for part in parts:
        sums[:, : part.shape[1]] += part
    count, best, anyone, leading, others, *foreseen = sums
    # As if another problem had been seen whose leaders pass all tests.
    minority_ratio = (others + USUAL_MINORITY_RATIO) / (leading + 1)
    consistency = np.divide(best, anyone, out=np.ones_like(best), where=anyone > 0)
    return BatchStatistics(best / count, minority_ratio, consistency, _trusted(np.asarray(foreseen)))


def _shares(evidence: Evidence) -> NDArray[np.float64]:
    """One, and shares of the tests passed by the best, anyone, the leading, the others: (5, tests + 1).

    Those lead whose outputs most candidates agree with. Where that is all of them there are no others, and
    the problem says nothing of either.
    """
    growth = PrefixStatistics(evidence, range(evidence.votes.tests + 1))
    tests = np.maximum(growth.tests, 1)
    passed = growth.passed / tests
    best = passed.max(axis=1)
    anyone = np.concatenate([[0], np.cumsum(growth.verdicts.any(axis=1))]) / tests[:, 0]
    best[0] = anyone[0] = 0.5
    agreement = np.round(growth.agreement, 9)
    leads = agreement == agreement.max(axis=1, keepdims=True)
    ahead = leads.sum(axis=1)
    behind = leads.shape[1] - ahead
    leading = (passed * leads).sum(axis=1) / ahead * (behind > 0)
    others = (passed * ~leads).sum(axis=1) / np.maximum(behind, 1)
    return np.stack([np.ones(len(best)), best, anyone, leading, others])


def _foreseen(evidence: Evidence) -> NDArray[np.float64]:
    """How picks by the first half of the tests do in the others, shape (``AGREEMENT_WEIGHTS``, tests + 1).

    The share of the others that the picks pass, for each weight of agreement; 0 where there is no test.
    """
    tests = evidence.votes.tests
    halves = np.arange(tests + 1) // 2
    first = PrefixStatistics(evidence, range(tests // 2 + 1))
    scores = floored_log(first.passed) + AGREEMENT_WEIGHTS[:, np.newaxis, np.newaxis] * first.support
    scores = np.round(scores, 9)
    won = scores == scores.max(axis=2, keepdims=True)
    won = (won / won.sum(axis=2, keepdims=True))[:, halves]
    passed = prefix_scores(first.verdicts)
    later = (passed - passed[halves]) / np.maximum(np.arange(tests + 1) - halves, 1)[:, np.newaxis]
    return np.asarray((won * later).sum(axis=2))


def _trusted(foreseen: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest weight that does nearly as well as the best, shape (tests + 1,)."""
    well = foreseen >= _NEARLY * foreseen.max(axis=0)
    trusted = AGREEMENT_WEIGHTS[len(AGREEMENT_WEIGHTS) - 1 - well[::-1].argmax(axis=0)]
    trusted[:2] = np.inf
    return np.asarray(trusted)
