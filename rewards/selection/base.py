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
