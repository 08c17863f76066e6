"""Which candidates are still in the race: the others need no further tests."""

from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.equivalence import equivalence_groups, stable_groups
from testbudget.rewards.outputs import UNKNOWN, Evidence
from testbudget.rewards.prefix_statistics import PrefixStatistics
from testbudget.rewards.selection.base import SelectionRule
from testbudget.rewards.votes import Votes

# Further looks would leave out more and cost more than that saves: at each, programs are read anew.
_HEATS_END = [int(5 * 1.8**number) for number in range(30)]

# Where agreement may elect a candidate, lost tests say less against it: five clear losses, not three.
_SURE_BY_VOTES, _SURE_BY_OUTPUTS = 1.65, 2.0
_PATIENCE = 8  # a group that somebody parted from at a test is believed in at eight times as many


def rung_of(test: int) -> int:
    """Number of the heat that a test belongs to, by its index; heats end at 5, 9, 16, 29, 52, ... tests.

    Nobody leaves the race during a heat. Each is four fifths as long as all before it, so whoever falls out
    late has run less than twice the tests that he had to, and a thousand tests are eleven heats.
    """
    return bisect_right(_HEATS_END, test)


def end_of_rung(test: int) -> int:
    """How many tests there are up to the end of the heat that a test belongs to, by its index."""
    return _HEATS_END[rung_of(test)]


def survivors(
    evidence: Evidence, racing: NDArray[np.bool_], rule: SelectionRule, z: float | None
) -> NDArray[np.bool_]:
    """On which of those in the race further tests are to be run, shape (candidates,).

    Out is who lost to the leader by votes (:func:`dominated`); but if the rule goes by outputs, only who is
    not better supported by other candidates than the leader either (:attr:`PrefixStatistics.support`, among those in
    the race). Right candidates lose to wrong tests, and what they do is then all that speaks for them.

    Of the others whoever does as another one goes on without being run (:func:`has_representative`).

    Args:
        evidence: of this problem alone: what a batch says depends on what else has been run by now. With
            what those are taken to have done who are represented (:func:`rewards.likeness.followed`).
        racing: on whom tests were run, shape (candidates,).
        rule: says who leads. While it is no one in the race, all stay.
        z: see :func:`dominated`; None for what is usual.
    """
    kind = equivalence_groups(evidence)
    can_win = np.isin(kind, kind[racing])
    seen = evidence if rule.uses_outputs else Evidence(evidence.votes)
    leaders = [leader for leader in rule.winners(seen) if can_win[leader]]
    if not leaders:
        return racing
    if z is None:
        z = _SURE_BY_VOTES if seen.outputs is None else _SURE_BY_OUTPUTS
    out = dominated(evidence.votes, int(leaders[0]), z)
    if seen.outputs is not None:
        members = np.flatnonzero(can_win)
        support = np.zeros(len(racing))
        support[members] = PrefixStatistics(evidence.of(members), [evidence.votes.tests]).support[0]
        out &= support <= support[leaders[0]] + 1e-9  # equal but for the order of a sum
    racing = racing & ~out
    return np.asarray(racing & ~has_representative(evidence, racing))


def has_representative(evidence: Evidence, racing: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Who of those in the race does as an earlier one of them, so that one is enough: (candidates,).

    That is believed of a group once nobody parted from it, by outputs or verdicts, in the last seven
    eighths of the tests; so not before the eighth, nor of candidates of whose outputs less is known than
    one for every other test. By verdicts alone right and wrong candidates look alike for too long.
    """
    tests = evidence.votes.tests
    if evidence.outputs is None or tests < _PATIENCE:
        return np.zeros_like(racing)
    kind = equivalence_groups(evidence)
    known = (evidence.outputs.results != UNKNOWN).sum(axis=0) >= tests / 2
    sure = np.flatnonzero(racing & known & stable_groups(evidence, tests // _PATIENCE))
    repeated = np.zeros_like(racing)
    repeated[sure] = True
    repeated[sure[np.unique(kind[sure], return_index=True)[1]]] = False
    return repeated


def dominated(votes: Votes, leader: int, z: float) -> NDArray[np.bool_]:
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
