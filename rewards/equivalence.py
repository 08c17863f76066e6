"""Candidates that have done alike: one of them goes on, and the others are taken to do as it does.

Who gave the same outputs and passed the same tests so far nearly always goes on to. So where nobody has
parted from a group for long, further tests are run on one of it.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.outputs import Evidence
from testbudget.rewards.votes import Votes


def equivalence_groups(evidence: Evidence, tests: int | None = None) -> NDArray[np.intp]:
    """Group number of each candidate, shape (candidates,): those of one did alike in all that is known.

    Args:
        evidence: of one problem.
        tests: go by so many of the first ones alone; None is all of them.
    """
    votes, outputs = evidence.votes, evidence.outputs
    seen: list[NDArray[np.generic]] = [votes.passed()[:tests], votes.run()[:tests]]
    if outputs is not None:
        seen.append(outputs.results[: None if tests is None else outputs.known[tests]])
    # Several times as fast as numpy.unique over rows.
    known = [row.tobytes() for row in np.ascontiguousarray(np.concatenate(seen).T)]
    numbers = {row: number for number, row in enumerate(dict.fromkeys(known))}
    return np.asarray([numbers[row] for row in known], np.intp)


def stable_groups(evidence: Evidence, tests: int) -> NDArray[np.bool_]:
    """Whose group, as it was after so many of the tests, nobody has parted from since: (candidates,)."""
    before, now = equivalence_groups(evidence, tests), equivalence_groups(evidence)
    return np.asarray(np.bincount(before)[before] == np.bincount(now)[now])


def impute_followers(evidence: Evidence) -> Evidence:
    """The evidence with what those who left are taken to have done since.

    Who was not run on the last tests did what the first candidate did that was alike until then and was
    run on more of them; where there is none, nothing is known of it. Without outputs nobody is taken to
    have done anything.
    """
    run = evidence.votes.run()
    if evidence.outputs is None or run.all():
        return evidence
    left = len(run) - run[::-1].argmax(axis=0)  # after which of the tests, as far as any was run
    left[~run.any(axis=0)] = 0
    for tests in np.unique(left[(left > 0) & (left < len(run))])[::-1]:
        of_all = equivalence_groups(evidence, int(tests))
        longer = np.flatnonzero(left > tests)
        known, first = np.unique(of_all[longer], return_index=True)
        ahead = dict(zip(known.tolist(), longer[first].tolist(), strict=True))
        followers = [one for one in np.flatnonzero(left == tests).tolist() if of_all[one] in ahead]
        evidence = _copied(evidence, followers, [ahead[of_all[one]] for one in followers], tests)
    return evidence


def _copied(evidence: Evidence, to: list[int], of: list[int], tests: int) -> Evidence:
    """With all that came after so many tests copied from some candidates to others."""
    passed, run = evidence.votes.passed(), evidence.votes.run()
    passed[tests:, to], run[tests:, to] = passed[tests:, of], run[tests:, of]
    outputs = evidence.outputs
    if outputs is not None:
        results, returned = outputs.results.copy(), outputs.returned.copy()
        inputs = outputs.known[tests]
        results[inputs:, to], returned[inputs:, to] = results[inputs:, of], returned[inputs:, of]
        outputs = replace(outputs, results=results, returned=returned)
    return replace(evidence, votes=Votes.from_matrix(passed, run), outputs=outputs)
