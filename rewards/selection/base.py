"""What a selection rule is."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.outputs import Evidence
from testbudget.rewards.prefix_statistics import PrefixStatistics
from testbudget.rewards.votes import Votes


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

    def winners_after(self, evidence: Evidence, counts: Sequence[int]) -> NDArray[np.bool_]:
        """Who would win after so many of the tests, as :meth:`winners` says of each.

        Here the rule is asked for each count; one that can answer for all of them at once is much faster.

        Args:
            evidence: of all the tests.
            counts: ascending numbers of tests.

        Returns:
            Shape (counts, candidates).
        """
        won = np.zeros((len(counts), evidence.votes.candidates), np.bool_)
        for row, tests in zip(won, counts, strict=True):
            row[self.winners(evidence.first(tests))] = True
        return won


class ScoringRule(SelectionRule):
    """Picks the best by a score of each candidate.

    A candidate wins, and counts for those that are like it, only if it ran all the tests that the top
    scorers
    ran: one that fell out of the race looks alike with more candidates than it would if it had gone on.
    """

    @abstractmethod
    def scores(self, growth: PrefixStatistics) -> NDArray[np.float64] | NDArray[np.int64]:
        """Scores, shape (counts, candidates); the highest in each row win."""

    def winners(self, evidence: Evidence) -> NDArray[np.intp]:
        """See :meth:`SelectionRule.winners`."""
        return np.flatnonzero(self.winners_after(evidence, [evidence.votes.tests])[0])

    def winners_after(self, evidence: Evidence, counts: Sequence[int]) -> NDArray[np.bool_]:
        """See :meth:`SelectionRule.winners_after`."""
        running = _still_running(evidence.votes, counts)
        won = np.zeros_like(running)
        rows_of: dict[bytes, list[int]] = {}
        for row, party in enumerate(running):
            rows_of.setdefault(party.tobytes(), []).append(row)
        for rows in rows_of.values():
            members = np.flatnonzero(running[rows[0]])
            known = evidence if len(members) == running.shape[1] else evidence.of(members)
            # Sums of the same terms in another order are to be equal.
            scores = np.round(self.scores(PrefixStatistics(known, [counts[row] for row in rows])), 9)
            won[np.ix_(np.asarray(rows), members)] = scores == scores.max(axis=1, keepdims=True)
        return won


def _still_running(votes: Votes, counts: Sequence[int]) -> NDArray[np.bool_]:
    """Who ran all the tests that the top scorers ran, after so many tests, shape (counts, candidates)."""
    passed, run = votes.passed(), votes.run()
    running = np.ones((len(counts), votes.candidates), np.bool_)
    if not run.all():
        for row, count in zip(running, counts, strict=True):
            scores = passed[:count].sum(axis=0)
            needed = run[:count, scores == scores.max()].all(axis=1)
            row[:] = run[:count][needed].all(axis=0)
    return running
