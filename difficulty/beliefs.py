"""What is believed of each problem's pass rate before its first test."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Beliefs:
    """A predicted pass rate for each problem.

    Attributes:
        pass_rate: float64 of shape (problems,): the chance that one sample of the policy model solves the
            problem.
        out_of_fold: how many of the problems were among the training problems, and so were predicted by
            a model that was fitted without them.
    """

    pass_rate: NDArray[np.float64]
    out_of_fold: int = 0
