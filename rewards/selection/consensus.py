"""CodeT's consensus score: candidates that agree support one another."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rewards.selection.base import SelectionRule
from rewards.selection.growth import growing_group_sizes, growing_scores
from rewards.votes import Votes


class Consensus(SelectionRule):
    """Best group of candidates that passed the same tests, by sqrt(group size) x tests passed.

    The score of CodeT (arXiv 2207.10397), whose consensus sets are these groups. It trusts agreeing
    candidates as well as tests, so wrong tests mislead it less than a majority vote.

    A candidate wins, and counts in its group, only if it ran all the tests that the top scorers ran: one
    that fell out of the race looks alike with more candidates than it would if it had gone on.
    """

    name: ClassVar[str] = "consensus"

    def winners(self, votes: Votes) -> NDArray[np.intp]:
        """See :meth:`SelectionRule.winners`."""
        groups, scores, run = votes.pass_sets(), votes.scores(), votes.run()
        needed = run[:, scores == scores.max()].all(axis=1)
        eligible = run[needed].all(axis=0)
        sizes = np.bincount(groups[eligible], minlength=len(groups))[groups]
        # The square of the score orders alike, and in whole numbers ties are exact.
        squared = np.where(eligible, sizes * scores.astype(np.int64) ** 2, -1)
        return np.flatnonzero(squared == squared.max())

    def growing_winners(self, votes: Votes) -> NDArray[np.bool_]:
        """See :meth:`SelectionRule.growing_winners`."""
        if not votes.run().all():  # who is eligible changes from count to count
            return super().growing_winners(votes)
        passed = votes.passed()
        squared = growing_group_sizes(passed) * growing_scores(passed) ** 2
        return np.asarray(squared == squared.max(axis=1, keepdims=True))
