"""Majority vote of the unit tests, with CodeRM's tie-break."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.outputs import Evidence
from testbudget.rewards.prefix_statistics import prefix_group_sizes, prefix_scores
from testbudget.rewards.selection.base import SelectionRule


class Majority(SelectionRule):
    """Most tests passed, then the largest group that passed the same set of tests.

    The rule of CodeRM (arXiv 2501.01054). Groups of one size all stay, so that what is reported is
    the expected accuracy over the ties that remain.
    """

    name: ClassVar[str] = "majority"

    def winners(self, evidence: Evidence) -> NDArray[np.intp]:
        """See :meth:`SelectionRule.winners`."""
        scores = evidence.votes.scores()
        top = np.flatnonzero(scores == scores.max())
        groups = evidence.votes.pass_sets()[top]
        sizes = np.bincount(groups)
        return np.asarray(top[sizes[groups] == sizes.max()])

    def winners_after(self, evidence: Evidence, counts: Sequence[int]) -> NDArray[np.bool_]:
        """See :meth:`SelectionRule.winners_after`."""
        passed = evidence.votes.passed()
        # One number that orders by score, then by size of the group, which has one score.
        support = prefix_scores(passed) * (passed.shape[1] + 1) + prefix_group_sizes(passed)
        support = support[np.asarray(counts, np.intp)]
        return np.asarray(support == support.max(axis=1, keepdims=True))
