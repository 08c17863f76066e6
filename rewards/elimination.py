"""Elimination: candidates that can no longer win are not run on further tests."""

from bisect import bisect_right
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.equivalence import equivalence_groups, stable_groups
from testbudget.rewards.outputs import UNKNOWN, Evidence
from testbudget.rewards.prefix_statistics import PrefixStatistics
from testbudget.rewards.selection.base import SelectionRule
from testbudget.rewards.votes import Votes

# More rungs would eliminate earlier and cost more than that saves: each starts the candidates anew.
_RUNG_ENDS = [int(5 * 1.8**number) for number in range(30)]

# By outputs a candidate can win in spite of lost tests, so more are needed: five clear losses, not three.
_Z_BY_VOTES, _Z_BY_OUTPUTS = 1.65, 2.0
_STABLE_FACTOR = 8  # a group is stable after 8 times as many tests as it was last split at


def rung_of(test: int) -> int:
    """Number of the rung of a test, by its position from 0. Rungs end at 5, 9, 16, 29, 52, ... tests.

    No candidate is eliminated within a rung. Each rung is 0.8 times as long as all rungs before it, so
    a candidate runs less than twice the tests that it needs. 1,000 tests are eleven rungs.
    """
    return bisect_right(_RUNG_ENDS, test)


def end_of_rung(test: int) -> int:
    """Number of tests at the end of a test's rung.

    Args:
        test: position of the test, from 0.
    """
    return _RUNG_ENDS[rung_of(test)]


def survivors(
    evidence: Evidence, running: NDArray[np.bool_], rule: SelectionRule, z: float | None
) -> NDArray[np.bool_]:
    """The candidates that further tests are run on, bool (candidates,).

    A candidate is eliminated if it is dominated by the leader (:func:`dominated`). If the rule uses
    outputs, its :attr:`PrefixStatistics.support` among the running candidates must also be at most the
    leader's: wrong tests fail correct candidates, and then only agreement of outputs can make them win.

    A candidate with a running representative is not run either (:func:`has_representative`).

    Args:
        evidence: evidence on this problem, completed by ``impute_followers``. It has no batch: statistics
            of a batch depend on the order in which other problems finish.
        running: bool (candidates,), candidates that the last tests were run on.
        rule: decides the leader. If none of its winners is running, all stay.
        z: see :func:`dominated`; None for the default, 1.65, or 2 if the rule uses outputs.
    """
    group = equivalence_groups(evidence)
    by_outputs = rule.uses_outputs and evidence.outputs is not None
    if z is None:
        z = _Z_BY_OUTPUTS if by_outputs else _Z_BY_VOTES
    # Most tests change nothing, whoever leads, and then the rule need not be asked.
    lost = dominated_by_any(evidence.votes, z)
    if not (lost & running).any() and not _has_representative(evidence, running, group).any():
        return running
    in_the_running = np.zeros(len(running), np.bool_)
    in_the_running[group[running]] = True
    can_win = in_the_running[group]
    if rule.uses_outputs:
        statistics = PrefixStatistics(evidence, [evidence.votes.tests])
        winners = np.flatnonzero(rule.winners_by(statistics)[0])
    else:
        winners = rule.winners(replace(evidence, outputs=None))
    leaders = winners[can_win[winners]]
    if not len(leaders):
        return running
    out = running & dominated(evidence.votes, int(leaders[0]), z)
    if by_outputs and out.any():
        members = np.flatnonzero(can_win)
        if len(members) < len(running):
            statistics = PrefixStatistics(evidence.of_candidates(members), [evidence.votes.tests])
        support = np.zeros(len(running))
        support[members] = statistics.support[0]
        out &= support <= support[leaders[0]] + 1e-9  # equal but for the order of a sum
    running = running & ~out
    return np.asarray(running & ~_has_representative(evidence, running, group))


def has_representative(evidence: Evidence, running: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Running candidates that are equivalent to a running one of lower position, bool (candidates,).

    The groups must be stable: no member differed from the others, in outputs or verdicts, in the last 7/8
    of the tests. So there is no representative before the eighth test. Each member must have known outputs
    on at least half as many inputs as there are tests. Without outputs no candidate has a representative:
    correct and wrong candidates have equal verdicts for too long.
    """
    return _has_representative(evidence, running, equivalence_groups(evidence))


def _has_representative(
    evidence: Evidence, running: NDArray[np.bool_], group: NDArray[np.intp]
) -> NDArray[np.bool_]:
    tests = evidence.votes.tests
    if evidence.outputs is None or tests < _STABLE_FACTOR:
        return np.zeros_like(running)
    known = (evidence.outputs.results != UNKNOWN).sum(axis=0) >= tests / 2
    stable = np.flatnonzero(running & known & stable_groups(evidence, tests // _STABLE_FACTOR, group))
    represented = np.zeros_like(running)
    represented[stable] = True
    represented[stable[np.unique(group[stable], return_index=True)[1]]] = False
    return represented


def dominated(votes: Votes, leader: int, z: float) -> NDArray[np.bool_]:
    """Candidates that lost to the leader by votes, bool (candidates,).

    ``losses - wins > z * sqrt(losses + wins)``, over the tests that both ran: losses are tests that only
    the leader passed, wins tests that only the candidate passed. If both passed equally often,
    ``losses - wins`` would have mean 0 and standard deviation ``sqrt(losses + wins)`` (McNemar 1947).

    Args:
        votes: votes of the tests so far.
        leader: the candidate that would be picked now.
        z: standard deviations, at least 0.
    """
    passed, run = votes.passed(), votes.run()
    only_leader = passed[:, [leader]] & ~passed & run
    only_other = passed & ~passed[:, [leader]] & run[:, [leader]]
    losses, wins = only_leader.sum(axis=0), only_other.sum(axis=0)
    return np.asarray(losses - wins > z * np.sqrt(losses + wins))


def dominated_by_any(votes: Votes, z: float) -> NDArray[np.bool_]:
    """Candidates that would be :func:`dominated` under some leader, bool (candidates,)."""
    passed = votes.passed()
    # Where the first passed and the second ran and did not, by pair.
    losses = passed.T.astype(np.float64) @ (votes.run() & ~passed).astype(np.float64)
    wins = losses.T
    return np.asarray((losses - wins > z * np.sqrt(losses + wins)).any(axis=0))
