"""Majority vote of the unit tests, with CodeRM's tie-break."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.outputs import Evidence
from testbudget.rewards.prefix_statistics import PrefixStatistics
from testbudget.rewards.selection.base import SelectionRule


class Majority(SelectionRule):
    """Majority vote: most tests passed, s, then most candidates that passed the same tests, g.

    This is the rule of CodeRM (arXiv 2501.01054). Groups of equal size all win, so that the accuracy
    reported is the expected accuracy over the ties.
    """

    name: ClassVar[str] = "majority"
    merges_equal: ClassVar[bool] = True

    def winners(self, evidence: Evidence) -> NDArray[np.intp]:
        """See :meth:`SelectionRule.winners`."""
        scores = evidence.votes.scores()
        top = np.flatnonzero(scores == scores.max())
        groups = evidence.votes.pass_sets()[top]
        sizes = np.bincount(groups, None if evidence.sizes is None else evidence.sizes[top])
        return np.asarray(top[sizes[groups] == sizes.max()])

    def winners_after(self, evidence: Evidence, counts: Sequence[int]) -> NDArray[np.bool_]:
        """See :meth:`SelectionRule.winners_after`."""
        return self.winners_by(PrefixStatistics(evidence, counts))

    def winners_by(self, statistics: PrefixStatistics) -> NDArray[np.bool_]:
        """See :meth:`SelectionRule.winners_by`."""
        # s (candidates + 1) + g has the order of (s, g), since g <= candidates.
        order = statistics.tests_passed * (statistics.candidates + 1) + statistics.pass_set_sizes
        return np.asarray(order == order.max(axis=1, keepdims=True))
