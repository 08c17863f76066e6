"""What a selection rule is."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rewards.evidence import Evidence
from rewards.selection.growth import Growth
from rewards.votes import Votes


class SelectionRule(ABC):
    """Picks candidates of one problem by what is known of them.

    A rule keeps no state: the same evidence gives the same winners. Ties that it cannot break it leaves:
    the one who picks draws among the winners, and their expected accuracy is what is reported.
    """

    name: ClassVar[str]
    """What job files call the rule."""

    uses_outputs: ClassVar[bool] = False
    """Whether the rule looks at outputs; without any it takes candidates that passed the same tests for
    candidates that behave alike."""

    uses_batch: ClassVar[bool] = False
    """Whether the rule looks at the batch; without one it goes by the problem's own tests."""

    @abstractmethod
    def winners(self, evidence: Evidence) -> NDArray[np.intp]:
        """Ascending indices of the candidates still tied after all of the rule's tie-breaks.

        Never empty; all candidates while nothing is known.
        """

    def growing_winners(self, evidence: Evidence) -> NDArray[np.bool_]:
        """Who would win after the first 0, 1, ..., all tests, as :meth:`winners` says of each.

        Here the rule is asked for each count; one that can answer for all of them at once is much faster.

        Returns:
            Shape (tests + 1, candidates).
        """
        won = np.zeros((evidence.votes.tests + 1, evidence.votes.candidates), np.bool_)
        for tests, row in enumerate(won):
            row[self.winners(evidence.first(tests))] = True
        return won


class ScoringRule(SelectionRule):
    """Picks the best by a score of each candidate.

    A candidate wins, and counts for those that are like it, only if it ran all the tests that the top
    scorers
    ran: one that fell out of the race looks alike with more candidates than it would if it had gone on.
    """

    @abstractmethod
    def scores(self, growth: Growth) -> NDArray[np.float64] | NDArray[np.int64]:
        """Scores, shape (counts, candidates); the highest in each row win."""

    def winners(self, evidence: Evidence) -> NDArray[np.intp]:
        """See :meth:`SelectionRule.winners`."""
        running = still_running(evidence.votes)
        if len(running) < evidence.votes.candidates:
            evidence = evidence.of(running)
        best = _best(self.scores(Growth(evidence, [evidence.votes.tests])))[0]
        return np.asarray(running[best])

    def growing_winners(self, evidence: Evidence) -> NDArray[np.bool_]:
        """See :meth:`SelectionRule.growing_winners`."""
        if not evidence.votes.run().all():  # who is running changes from count to count
            return super().growing_winners(evidence)
        return _best(self.scores(Growth(evidence, range(evidence.votes.tests + 1))))


def still_running(votes: Votes) -> NDArray[np.intp]:
    """Ascending indices of the candidates that ran all the tests that the top scorers ran."""
    scores, run = votes.scores(), votes.run()
    needed = run[:, scores == scores.max()].all(axis=1)
    return np.flatnonzero(run[needed].all(axis=0))


def _best(scores: NDArray[np.float64] | NDArray[np.int64]) -> NDArray[np.bool_]:
    """The highest of each row; sums of the same terms in another order are equal."""
    rounded = np.round(scores, 9)
    return np.asarray(rounded == rounded.max(axis=1, keepdims=True))
