"""What tests are worth to a problem: the accuracy of its pick by number of tests."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rewards.accuracy import expected_accuracy
from rewards.evidence import Evidence
from rewards.selection.base import SelectionRule
from rewards.votes import Votes


def accuracy_curve(
    votes: Votes,
    written: int,
    correct: NDArray[np.bool_],
    rule: SelectionRule,
    counts: Sequence[int],
    *,
    orders: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Accuracy of the pick after so many written tests, over random choices of tests.

    A test that was written and could not be used has no vote, but counts as written, as it does in a
    budget. Means over orders estimate the chance that the pick after m tests drawn without replacement is
    right.

    Args:
        votes: of the usable tests.
        written: tests that were written for the problem, usable or not.
        correct: shape (candidates,), the ground truth.
        rule: picks.
        counts: ascending numbers of tests; 0 is a random candidate.
        orders: how many random orders of the written tests to average over.
        rng: draws them.

    Returns:
        One accuracy for each of ``counts``; NaN beyond ``written``.

    Raises:
        ValueError: fewer written tests than votes, or less than one order.
    """
    if written < votes.tests or orders < 1:
        raise ValueError(f"{votes.tests} votes of {written} written tests in {orders} orders are no curve")
    passed, run = votes.passed(), votes.run()
    total = np.zeros(len(counts))
    for _ in range(orders):
        places = rng.permutation(written)[: votes.tests]  # where in the order each usable test stands
        for position, count in enumerate(counts):
            chosen = places < count
            drawn = Votes.from_matrix(passed[chosen], run[chosen])
            total[position] += expected_accuracy(rule.winners(Evidence(drawn)), correct)
    return np.where(np.asarray(counts) <= written, total / orders, np.nan)
