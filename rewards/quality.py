"""How good unit tests are, measured against ground truth."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rewards.votes import Votes


@dataclass(frozen=True, slots=True)
class Quality:
    """How often the tests of one problem err, over the pairs of candidate and test that were run.

    The standard rates of a detector of right candidates. CodeRM's FAR and FRR, FP/(FP + TP) and
    FN/(FN + TN), have the same numerators over what was accepted and what was rejected.

    Attributes:
        false_positives: pairs in which a wrong candidate passed.
        wrong: pairs of a wrong candidate.
        false_negatives: pairs in which a right candidate did not pass.
        right: pairs of a right candidate.
    """

    false_positives: int
    wrong: int
    false_negatives: int
    right: int

    @property
    def false_positive_rate(self) -> float:
        """Chance that a wrong candidate passes a test; NaN without wrong candidates or without tests."""
        return self.false_positives / self.wrong if self.wrong else math.nan

    @property
    def false_negative_rate(self) -> float:
        """Chance that a right candidate fails a test; NaN without right candidates or without tests."""
        return self.false_negatives / self.right if self.right else math.nan


def quality(votes: Votes, correct: NDArray[np.bool_]) -> Quality:
    """Quality of the tests that voted on a problem's candidates.

    Args:
        votes: of all tests.
        correct: shape (candidates,), the ground truth.

    Raises:
        ValueError: for another number of candidates.
    """
    if correct.shape != (votes.candidates,):
        raise ValueError(f"ground truth must cover {votes.candidates} candidates but has {correct.shape}")
    passed, run = votes.passed(), votes.run()
    return Quality(
        false_positives=int(np.count_nonzero(passed & ~correct)),
        wrong=int(np.count_nonzero(run & ~correct)),
        false_negatives=int(np.count_nonzero(run & ~passed & correct)),
        right=int(np.count_nonzero(run & correct)),
    )
