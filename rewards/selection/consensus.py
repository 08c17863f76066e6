"""CodeT's consensus score: candidates that agree support one another."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rewards.selection.base import SelectionRule
from rewards.votes import Votes


class Consensus(SelectionRule):
    """Best group of candidates that passed the same tests, by sqrt(group size) x tests passed.

    The score of CodeT (arXiv 2207.10397), whose consensus sets are these groups. It trusts agreeing
    candidates as well as tests, so wrong tests mislead it less than a majority vote.
    """

    name: ClassVar[str] = "consensus"

    def winners(self, votes: Votes) -> NDArray[np.intp]:
        """See :meth:`SelectionRule.winners`."""
        groups = votes.pass_sets()
        sizes = np.bincount(groups)[groups]
        # The square of the score orders alike, and in whole numbers ties are exact.
        squared = sizes * votes.scores().astype(np.int64) ** 2
        return np.flatnonzero(squared == squared.max())
