"""What the problems of a batch say of their tests together."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from rewards.evidence import Batch, Evidence
from rewards.selection.growth import USUAL_INDIFFERENCE, Growth


def batch_of(problems: Iterable[Evidence]) -> Batch:
    """Statistics of a batch, by number of tests.

    Args:
        problems: at least one; each counts up to as many tests as it has.
    """
    of_problems = [_shares(evidence) for evidence in problems]
    sums = np.zeros((4, max(shares.shape[1] for shares in of_problems)))
    for shares in of_problems:
        sums[:, : shares.shape[1]] += shares
    count, best, leading, others = sums
    # As if another problem had been seen whose leaders pass all tests.
    return Batch(best / count, (others + USUAL_INDIFFERENCE) / (leading + 1))


def _shares(evidence: Evidence) -> NDArray[np.float64]:
    """One, and shares of the tests passed, shape (4, tests + 1): by the best, the leading and the others.

    Those lead whose outputs most candidates agree with. Where that is all of them there are no others, and
    the problem says nothing of either.
    """
    growth = Growth(evidence, range(evidence.votes.tests + 1))
    passed = growth.passed / np.maximum(growth.tests, 1)
    best = passed.max(axis=1)
    best[0] = 0.5
    agreement = np.round(growth.agreement, 9)
    leads = agreement == agreement.max(axis=1, keepdims=True)
    ahead = leads.sum(axis=1)
    behind = leads.shape[1] - ahead
    leading = (passed * leads).sum(axis=1) / ahead * (behind > 0)
    others = (passed * ~leads).sum(axis=1) / np.maximum(behind, 1)
    return np.stack([np.ones(len(best)), best, leading, others])
