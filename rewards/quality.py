"""Accuracy of picks and quality of unit tests, measured against labels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.outputs import Evidence
from testbudget.rewards.selection.base import SelectionRule
from testbudget.rewards.votes import Votes


def accuracy_of_winners(winners: NDArray[np.intp], correct: NDArray[np.bool_]) -> float:
    """Probability that a pick drawn evenly from the tied winners is correct.

    Args:
        winners: positions of the tied candidates, at least one.
        correct: bool (candidates,), the labels.

    Raises:
        ValueError: there are no winners.
    """
    if len(winners) == 0:
        raise ValueError("the accuracy of a pick needs at least 1 winner but got none")
    return float(np.mean(correct[winners]))


@dataclass(frozen=True, slots=True)
class TestQuality:
    """Confusion counts of a detector of correct candidates: single tests, or all tests together.

    The standard rates divide by all wrong and by all correct candidates. CodeRM's FAR and FRR (arXiv
    2501.01054) have the same numerators and divide by all accepted and by all rejected candidates.

    With p_correct instead of labels, counts are expected counts, and rates are those of the expected
    counts.

    Attributes:
        false_positives: wrong candidates that were accepted.
        wrong: all wrong candidates.
        false_negatives: correct candidates that were rejected.
        correct: all correct candidates.
    """

    __test__: ClassVar[bool] = False  # pytest would collect it by its name

    false_positives: float
    wrong: float
    false_negatives: float
    correct: float

    def __add__(self, other: "TestQuality") -> "TestQuality":
        """Sums of the counts."""
        return TestQuality(
            self.false_positives + other.false_positives,
            self.wrong + other.wrong,
            self.false_negatives + other.false_negatives,
            self.correct + other.correct,
        )

    @property
    def false_positive_rate(self) -> float:
        """``FP / (FP + TN)``, the share of wrong candidates accepted; NaN without wrong ones."""
        return _share(self.false_positives, self.wrong)

    @property
    def false_negative_rate(self) -> float:
        """``FN / (FN + TP)``, the share of correct candidates rejected; NaN without correct ones."""
        return _share(self.false_negatives, self.correct)

    @property
    def false_acceptance_rate(self) -> float:
        """CodeRM's FAR, ``FP / (FP + TP)``; NaN if nothing is accepted."""
        return _share(self.false_positives, self.false_positives + self.true_positives)

    @property
    def false_rejection_rate(self) -> float:
        """CodeRM's FRR, ``FN / (FN + TN)``; NaN if nothing is rejected."""
        return _share(self.false_negatives, self.false_negatives + self.true_negatives)

    @property
    def accuracy(self) -> float:
        """``(TP + TN) / (TP + TN + FP + FN)``; NaN without candidates."""
        return _share(self.true_positives + self.true_negatives, self.correct + self.wrong)

    @property
    def f1(self) -> float:
        """``2 TP / (2 TP + FP + FN)``, the harmonic mean of precision and recall; NaN if all are 0."""
        return _share(
            2 * self.true_positives, 2 * self.true_positives + self.false_positives + self.false_negatives
        )

    @property
    def true_positives(self) -> float:
        """Correct candidates that were accepted."""
        return self.correct - self.false_negatives

    @property
    def true_negatives(self) -> float:
        """Wrong candidates that were rejected."""
        return self.wrong - self.false_positives


def single_test_quality(votes: Votes, correct: NDArray[np.bool_] | NDArray[np.float64]) -> TestQuality:
    """Quality of single tests, over all pairs that were run.

    Args:
        votes: votes of all tests.
        correct: bool (candidates,), the labels; or float64 (candidates,), p_correct, for expected
            counts.

    Raises:
        ValueError: another number of candidates.
    """
    if correct.shape != (votes.candidates,):
        raise ValueError(f"labels must cover {votes.candidates} candidates but have shape {correct.shape}")
    return _counts(votes.scores(), votes.run().sum(axis=0), correct)


def combined_test_quality(
    winners: NDArray[np.intp], correct: NDArray[np.bool_] | NDArray[np.float64]
) -> TestQuality:
    """Quality of all tests as one detector, which accepts the winners of a selection rule.

    Args:
        winners: positions of candidates, from :meth:`SelectionRule.winners`.
        correct: as in :func:`single_test_quality`.
    """
    accepted = np.zeros(len(correct), np.int32)
    accepted[winners] = 1
    return _counts(accepted, np.ones(len(correct), np.intp), correct)


def _counts(
    accepted: NDArray[np.int32], judged: NDArray[np.intp], correct: NDArray[np.bool_] | NDArray[np.float64]
) -> TestQuality:
    """Confusion counts from the number of times that each candidate was accepted, and judged."""
    p_correct = correct.astype(np.float64)
    return TestQuality(
        false_positives=float(accepted @ (1 - p_correct)),
        wrong=float(judged @ (1 - p_correct)),
        false_negatives=float((judged - accepted) @ p_correct),
        correct=float(judged @ p_correct),
    )


def _share(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def accuracy_curve(
    votes: Votes,
    generated: int,
    correct: NDArray[np.bool_],
    rule: SelectionRule,
    counts: Sequence[int],
    *,
    permutations: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Expected accuracy of the pick after m generated tests drawn without replacement, for several m.

    Mean over random permutations of the tests. An unusable test has no vote but counts as generated, as it
    does in a budget.

    Args:
        votes: votes of the usable tests.
        generated: number of tests generated for the problem, unusable ones included.
        correct: bool (candidates,), the labels.
        rule: the selection rule.
        counts: ascending numbers of tests; 0 is a random candidate.
        permutations: number of random permutations, at least 1.
        rng: draws the permutations.

    Returns:
        float64 (counts,); NaN for counts above ``generated``.

    Raises:
        ValueError: fewer generated tests than votes, or no permutation.
    """
    if generated < votes.tests or permutations < 1:
        raise ValueError(
            "a curve needs at least as many generated tests as votes and at least 1 permutation "
            f"but got {generated} tests, {votes.tests} votes and {permutations} permutations"
        )
    passed, run = votes.passed(), votes.run()
    total = np.zeros(len(counts))
    for _ in range(permutations):
        places = rng.permutation(generated)[: votes.tests]  # of the usable tests in the permutation
        for position, count in enumerate(counts):
            chosen = places < count
            drawn = Votes.from_matrix(passed[chosen], run[chosen])
            total[position] += accuracy_of_winners(rule.winners(Evidence(drawn)), correct)
    return np.where(np.asarray(counts) <= generated, total / permutations, np.nan)
