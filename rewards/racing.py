"""Which candidates are still in the race: the others need no further tests."""

import numpy as np
from numpy.typing import NDArray

from rewards.votes import Votes

_FIRST_HEAT = 8  # at two standard deviations nobody falls out before the fifth test


def heat(test: int) -> int:
    """Number of the heat that a test belongs to, by its index.

    Nobody leaves the race during a heat. Each is as long as all before it: whoever falls out late
    has run at most twice the tests that he had to, and a thousand tests are eight heats.
    """
    return (test // _FIRST_HEAT).bit_length()


def in_race(votes: Votes, leader: int, z: float) -> NDArray[np.bool_]:
    """Which candidates can still win, shape (candidates,).

    A candidate is out once ``losses - wins > z * sqrt(losses + wins)``: over the tests that both it and the
    leader ran, losses are those that only the leader passed and wins those that only the candidate passed.
    If both passed equally often, losses less wins would spread around 0 with the standard deviation
    ``sqrt(losses + wins)``, so z says how sure it must be that the leader is better. The leader is in.

    Args:
        votes: what was run so far.
        leader: the candidate that would be picked now.
        z: standard deviations, not negative.
    """
    passed, run = votes.passed(), votes.run()
    only_leader = passed[:, [leader]] & ~passed & run
    only_other = passed & ~passed[:, [leader]] & run[:, [leader]]
    losses, wins = only_leader.sum(axis=0), only_other.sum(axis=0)
    return np.asarray(losses - wins <= z * np.sqrt(losses + wins))
