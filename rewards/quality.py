"""Accuracy of picks and quality of unit tests, measured against labels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.outputs import Evidence
from testbudget.rewards.selection.base import SelectionRule
from testbudget.rewards.votes import Votes

def expected_accuracy(winners: NDArray[np.intp], correct: NDArray[np.bool_]) -> float:
    """Chance that a pick drawn evenly from the tied winners is right.

    Args:
        winners: indices of the tied candidates, at least one.
        correct: shape (candidates,), the ground truth.

    Raises:
        ValueError: without winners.
    """
    if len(winners) == 0:
        raise ValueError("the accuracy of a pick needs at least 1 winner but got none")
    return float(np.mean(correct[winners]))


@dataclass(frozen=True, slots=True)
class TestQuality:
    """How often a detector of right candidates errs: single tests, over the pairs run, or all together.

    Two kinds of rates have the same numerators. The standard ones are over all that is wrong and all that
    is right; CodeRM's FAR and FRR (arXiv 2501.01054) are over all that was accepted and all that was
    rejected.

    Without ground truth the counts are expected ones, and the rates those of the expected counts.

    Attributes:
        false_positives: wrong ones that were accepted.
        wrong: all wrong ones.
        false_negatives: right ones that were rejected.
        right: all right ones.
    """

    false_positives: float
    wrong: float
    false_negatives: float
    right: float

    def __add__(self, other: "TestQuality") -> "TestQuality":
        """Of the candidates of both."""
        return TestQuality(
            self.false_positives + other.false_positives,
            self.wrong + other.wrong,
            self.false_negatives + other.false_negatives,
            self.right + other.right,
        )

    @property
    def false_positive_rate(self) -> float:
        """Chance that a wrong candidate is accepted, FP/(FP + TN); NaN without wrong candidates."""
        return _share(self.false_positives, self.wrong)

    @property
    def false_negative_rate(self) -> float:
        """Chance that a right candidate is rejected, FN/(FN + TP); NaN without right candidates."""
        return _share(self.false_negatives, self.right)

    @property
    def false_acceptance_rate(self) -> float:
        """CodeRM's FAR, FP/(FP + TP): the wrong share of what is accepted; NaN where nothing is."""
        return _share(self.false_positives, self.false_positives + self.true_positives)

    @property
    def false_rejection_rate(self) -> float:
        """CodeRM's FRR, FN/(FN + TN): the right share of what is rejected; NaN where nothing is."""
        return _share(self.false_negatives, self.false_negatives + self.true_negatives)

    @property
    def accuracy(self) -> float:
        """Share of all that is accepted or rejected as it should be; NaN where there is nothing."""
        return _share(self.true_positives + self.true_negatives, self.right + self.wrong)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 2 TP/(2 TP + FP + FN); NaN where all of these are 0."""
        return _share(
            2 * self.true_positives, 2 * self.true_positives + self.false_positives + self.false_negatives
        )

    @property
    def true_positives(self) -> float:
        """Right ones that were accepted."""
        return self.right - self.false_negatives

    @property
    def true_negatives(self) -> float:
        """Wrong ones that were rejected."""
        return self.wrong - self.false_positives


def single_test_quality(votes: Votes, correct: NDArray[np.bool_] | NDArray[np.float64]) -> TestQuality:
    """Quality of the tests that voted on a problem's candidates.

    Args:
        votes: of all tests.
        correct: shape (candidates,), the ground truth; or the chance that each is right, and the counts
            are expected ones.

    Raises:
        ValueError: for another number of candidates.
    """
    if correct.shape != (votes.candidates,):
        raise ValueError(f"ground truth must cover {votes.candidates} candidates but has {correct.shape}")
    return _counts(votes.scores(), votes.run().sum(axis=0), correct)


def combined_test_quality(
    winners: NDArray[np.intp], correct: NDArray[np.bool_] | NDArray[np.float64]
) -> TestQuality:
    """Quality of all tests as one, which accepts the candidates that a selection rule leaves as winners.

    Args:
        winners: indices of candidates, as :meth:`SelectionRule.winners` gives them.
        correct: shape (candidates,), as in :func:`single_test_quality`.
    """
    accepted = np.zeros(len(correct), np.int32)
    accepted[winners] = 1
    return _counts(accepted, np.ones(len(correct), np.intp), correct)


def _counts(
    accepted: NDArray[np.int32], judged: NDArray[np.intp], correct: NDArray[np.bool_] | NDArray[np.float64]
) -> TestQuality:
    """Of candidates that were judged so many times, and accepted so many times of these."""
    right = correct.astype(np.float64)
    return TestQuality(
        false_positives=float(accepted @ (1 - right)),
        wrong=float(judged @ (1 - right)),
        false_negatives=float((judged - accepted) @ right),
        right=float(judged @ right),
    )


def _share(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


# ~ """What tests are worth to a problem: the accuracy of its pick by number of tests."""


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
