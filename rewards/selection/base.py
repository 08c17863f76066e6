"""Contract of a selection rule."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.outputs import Evidence
from testbudget.rewards.prefix_statistics import PrefixStatistics


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

    merges_equal: ClassVar[bool] = False
    """True if the rule counts equal candidates by ``Evidence.sizes``, so that one column stands for them.
    An analysis is then several times faster. Others are never given such evidence."""

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

    def winners_by(self, statistics: PrefixStatistics) -> NDArray[np.bool_]:
        """The winners by statistics that are computed already, bool (counts, candidates).

        This default calls :meth:`winners_after` for their evidence.
        """
        evidence = replace(statistics.evidence, batch=statistics.batch)
        return self.winners_after(evidence, statistics.counts.tolist())


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
        return self.winners_by(PrefixStatistics(evidence, counts))

    def winners_by(self, statistics: PrefixStatistics) -> NDArray[np.bool_]:
        """See :meth:`SelectionRule.winners_by`."""
        won = np.zeros((len(statistics.counts), len(statistics.sizes)), np.bool_)
        for rows, members, part in statistics.parts:
            won[rows[:, np.newaxis], members] = self._best(part)
        return won

    def _best(self, statistics: PrefixStatistics) -> NDArray[np.bool_]:
        # Sums of the same terms in another order must be equal.
        scores = np.round(self.scores(statistics), 9)
        return np.asarray(scores == scores.max(axis=1, keepdims=True))
