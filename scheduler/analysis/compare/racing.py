"""What racing would have saved: the recorded tests again, run only where something is to be learned."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rewards.evidence import UNKNOWN, Evidence
from rewards.likeness import followed
from rewards.racing import heat, still_racing
from rewards.selection import SelectionRule
from rewards.votes import Votes
from scheduler.analysis.compare.simulation import Recording


@dataclass(frozen=True, slots=True, eq=False)
class Raced:
    """A problem's tests in one order, as a race.

    Attributes:
        evidence: what the tests show of those that they were run on.
        pairs: int64 (tests + 1,), of candidates and tests that were run, by number of written tests.
        executions: int64 (tests + 1,), of distinct programs that were in the race.
    """

    evidence: Evidence
    pairs: NDArray[np.int64]
    executions: NDArray[np.int64]


def race(
    recording: Recording, order: NDArray[np.intp], evidence: Evidence, rule: SelectionRule, z: float | None
) -> Raced:
    """Drops candidates as a run does that is granted all tests of the problem at once.

    A run that is granted them in parts also looks at the start of each part, and so drops some earlier.

    Args:
        recording: of the problem.
        order: of its tests, the first ones.
        evidence: what at least these show in that order.
        rule: says who leads.
        z: see ``rewards.racing.still_racing``.
    """
    voted = np.concatenate([[0], np.cumsum(recording.rows[order] >= 0)])
    evidence = evidence.first(voted[-1])
    could_run = evidence.votes.run()
    left_out = np.zeros_like(could_run)
    racing = np.ones(could_run.shape[1], np.bool_)
    heats = [heat(test) for test in range(len(order))]
    starts = np.flatnonzero(np.diff(heats)) + 1
    for known in np.unique(voted[starts]):  # heats without a vote show nothing new
        seen = followed(_without(evidence.first(known), left_out[:known]))
        racing = still_racing(seen, racing, rule, z)
        left_out[known:, ~racing] = True
    _, programs = np.unique(recording.programs, return_index=True)
    run = (could_run & ~left_out)[:, programs]
    executions = np.concatenate([[0], np.cumsum(run.sum(axis=1))])
    return Raced(followed(_without(evidence, left_out)), voted * len(racing), executions[voted])


def _without(evidence: Evidence, left_out: NDArray[np.bool_]) -> Evidence:
    """The evidence without that of some pairs, shape (tests, candidates)."""
    votes = Votes.from_matrix(evidence.votes.passed() & ~left_out, evidence.votes.run() & ~left_out)
    outputs = evidence.outputs
    if outputs is not None:
        # An input is known from its first test on, or from the start.
        came = np.searchsorted(outputs.known, np.arange(len(outputs.results)), side="right")
        unseen = np.concatenate([np.zeros((1, left_out.shape[1]), np.bool_), left_out])[came]
        outputs = replace(
            outputs,
            results=np.where(unseen, np.int32(UNKNOWN), outputs.results),
            returned=outputs.returned & ~unseen,
        )
    return replace(evidence, votes=votes, outputs=outputs)
