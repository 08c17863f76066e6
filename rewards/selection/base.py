"""Contract of a selection rule."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.outputs import Evidence
from testbudget.rewards.prefix_statistics import PrefixStatistics
from testbudget.rewards.votes import Votes


class SelectionRule(ABC):
    """Rule that picks among the candidates of one problem by the evidence.

    A rule keeps no state: equal evidence gives equal winners. Winners are tied. The pick is drawn evenly
    among them, and their expected accuracy is reported.
    """

    name: ClassVar[str]
    """Name in job files."""

    uses_outputs: ClassVar[bool] = False
    """True if the rule uses recorded outputs. Without outputs, candidates that passed the same tests count
    as an output group."""

    uses_batch: ClassVar[bool] = False
    """True if the rule uses the batch. Without a batch, it uses the problem's own tests."""

    @abstractmethod
    def winners(self, evidence: Evidence) -> NDArray[np.intp]:
        """Ascending positions of the candidates that are tied after all tie-breaks of the rule, intp.

        Never empty; all candidates before the first test and known input.
        """

    def winners_after(self, evidence: Evidence, counts: Sequence[int]) -> NDArray[np.bool_]:
        """The winners after the first m tests, for several m.

        This default calls :meth:`winners` for each m. Computing them at once is much faster.

        Args:
            evidence: evidence of all tests.
            counts: ascending numbers of tests.

        Returns:
            bool (counts, candidates).
        """
        won = np.zeros((len(counts), evidence.votes.candidates), np.bool_)
        for row, tests in zip(won, counts, strict=True):
            row[self.winners(evidence.first(tests))] = True
        return won


class ScoringRule(SelectionRule):
    """Selection rule by which the candidates with the highest score win.

    A candidate that was not run on every test that all top scorers were run on cannot win and counts in no
    group: with fewer tests it is equal to more candidates.
    """

    @abstractmethod
    def scores(self, statistics: PrefixStatistics) -> NDArray[np.float64] | NDArray[np.int64]:
        """Scores, shape (counts, candidates); the highest in each row win."""

    def winners(self, evidence: Evidence) -> NDArray[np.intp]:
        """See :meth:`SelectionRule.winners`."""
        return np.flatnonzero(self.winners_after(evidence, [evidence.votes.tests])[0])

    def winners_after(self, evidence: Evidence, counts: Sequence[int]) -> NDArray[np.bool_]:
        """See :meth:`SelectionRule.winners_after`."""
        running = _still_running(evidence.votes, counts)
        won = np.zeros_like(running)
        rows_of: dict[bytes, list[int]] = {}
        for row, taking_part in enumerate(running):
            rows_of.setdefault(taking_part.tobytes(), []).append(row)
        for rows in rows_of.values():
            members = np.flatnonzero(running[rows[0]])
            known = evidence if len(members) == running.shape[1] else evidence.of_candidates(members)
            # Sums of the same terms in another order must be equal.
            scores = np.round(self.scores(PrefixStatistics(known, [counts[row] for row in rows])), 9)
            won[np.ix_(np.asarray(rows), members)] = scores == scores.max(axis=1, keepdims=True)
        return won


def _still_running(votes: Votes, counts: Sequence[int]) -> NDArray[np.bool_]:
    """Candidates that ran every test that all top scorers ran, bool (counts, candidates)."""
    passed, run = votes.passed(), votes.run()
    running = np.ones((len(counts), votes.candidates), np.bool_)
    if not run.all():
        for row, count in zip(running, counts, strict=True):
            scores = passed[:count].sum(axis=0)
            needed = run[:count, scores == scores.max()].all(axis=1)
            row[:] = run[:count][needed].all(axis=0)
    return running
