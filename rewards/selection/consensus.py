"""CodeT's consensus score: candidates that agree support one another."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.prefix_statistics import PrefixStatistics
from testbudget.rewards.selection.base import ScoringRule


class Consensus(ScoringRule):
    """Best group of candidates that passed the same tests, by sqrt(group size) x tests passed.

    The score of CodeT (arXiv 2207.10397), whose consensus sets are these groups. It trusts agreeing
    candidates as well as tests, so wrong tests mislead it less than a majority vote.
    """

    name: ClassVar[str] = "consensus"

    def scores(self, growth: PrefixStatistics) -> NDArray[np.int64]:
        """See :meth:`ScoringRule.scores`."""
        # The square of the score orders alike, and in whole numbers ties are exact.
        return growth.pass_set_sizes * growth.passed**2
