"""What a selection rule is."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rewards.votes import Votes


class SelectionRule(ABC):
    """Picks candidates of one problem by their votes.

    A rule keeps no state: the same votes give the same winners. Ties that it cannot break it leaves:
    the one who picks draws among the winners, and their expected accuracy is what is reported.
    """

    name: ClassVar[str]
    """What job files call the rule."""

    @abstractmethod
    def winners(self, votes: Votes) -> NDArray[np.intp]:
        """Ascending indices of the candidates still tied after all of the rule's tie-breaks.

        Never empty; all candidates while there are no tests.
        """

    def growing_winners(self, votes: Votes) -> NDArray[np.bool_]:
        """Who would win after the first 0, 1, ..., all tests, as :meth:`winners` says of each.

        Here the rule is asked for each count; one that can answer for all of them at once is much faster.

        Returns:
            Shape (tests + 1, candidates).
        """
        passed, run = votes.passed(), votes.run()
        won = np.zeros((votes.tests + 1, votes.candidates), np.bool_)
        for tests, row in enumerate(won):
            row[self.winners(Votes.from_matrix(passed[:tests], run[:tests]))] = True
        return won
