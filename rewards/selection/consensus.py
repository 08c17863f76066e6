"""CodeT's consensus score."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.prefix_statistics import PrefixStatistics
from testbudget.rewards.selection.base import ScoringRule


class Consensus(ScoringRule):
    """Score ``sqrt(g) s``, with s tests passed and g candidates that passed the same tests.

    This is the score of CodeT (arXiv 2207.10397), whose consensus sets are these groups. Wrong tests
    mislead it less than a majority vote, since the size of the group counts too.
    """

    name: ClassVar[str] = "consensus"
    merges_equal: ClassVar[bool] = True

    def scores(self, statistics: PrefixStatistics) -> NDArray[np.int64]:
        """``g s^2``: the square of the score has the same order, and its ties are exact."""
        return statistics.pass_set_sizes * statistics.tests_passed**2
