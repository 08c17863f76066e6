"""Which candidates are still in the race: the others need no further tests."""

from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

from rewards.evidence import Evidence
from rewards.selection.base import SelectionRule
from rewards.selection.growth import Growth
from rewards.votes import Votes

# Further looks would leave out more and cost more than that saves: at each, programs are read anew.
_HEATS_END = [int(5 * 1.8**number) for number in range(30)]


def heat(test: int) -> int:
    """Number of the heat that a test belongs to, by its index; heats end at 5, 9, 16, 29, 52, ... tests.

    Nobody leaves the race during a heat. Each is four fifths as long as all before it, so whoever falls out
    late has run less than twice the tests that he had to, and a thousand tests are eleven heats.
    """
    return bisect_right(_HEATS_END, test)


def still_racing(
    evidence: Evidence, racing: NDArray[np.bool_], rule: SelectionRule, z: float
) -> NDArray[np.bool_]:
    """Who of those in the race can still win, shape (candidates,).

    Out is who lost to the leader by votes (:func:`beaten`); but if the rule goes by outputs, only who is
    not better supported by other candidates than the leader either (:attr:`Growth.support`, among those in
    the race). Right candidates lose to wrong tests, and what they do is then all that speaks for them.

    Args:
        evidence: of this problem alone: what a batch says depends on what else has been run by now.
        racing: who was in, shape (candidates,).
        rule: says who leads. While it is no one in the race, all stay.
        z: see :func:`beaten`.
    """
    if not rule.uses_outputs:
        evidence = Evidence(evidence.votes)
    leaders = [leader for leader in rule.winners(evidence) if racing[leader]]
    if not leaders:
        return racing
    out = beaten(evidence.votes, int(leaders[0]), z)
    if evidence.outputs is not None:
        members = np.flatnonzero(racing)
        support = np.zeros(len(racing))
        support[members] = Growth(evidence.of(members), [evidence.votes.tests]).support[0]
        out &= support <= support[leaders[0]] + 1e-9  # equal but for the order of a sum
    return np.asarray(racing & ~out)


def beaten(votes: Votes, leader: int, z: float) -> NDArray[np.bool_]:
    """Who lost to the leader by votes, shape (candidates,).

    A candidate has once ``losses - wins > z * sqrt(losses + wins)``: over the tests that both it and the
    leader ran, losses are those that only the leader passed and wins those that only the candidate passed.
    If both passed equally often, losses less wins would spread around 0 with the standard deviation
    ``sqrt(losses + wins)``, so z says how sure it must be that the leader is better.

    Args:
        votes: what was run so far.
        leader: the candidate that would be picked now.
        z: standard deviations, not negative.
    """
    passed, run = votes.passed(), votes.run()
    only_leader = passed[:, [leader]] & ~passed & run
    only_other = passed & ~passed[:, [leader]] & run[:, [leader]]
    losses, wins = only_leader.sum(axis=0), only_other.sum(axis=0)
    return np.asarray(losses - wins > z * np.sqrt(losses + wins))
