"""Equivalent candidates: one is run on further tests, and its results are imputed to the others.

Candidates with equal outputs and verdicts so far nearly always stay equal. So once a group has not been
split for long, further tests are run on one of its members.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.outputs import Evidence
from testbudget.rewards.votes import Votes


def equivalence_groups(evidence: Evidence, tests: int | None = None) -> NDArray[np.intp]:
    """Group number of each candidate, intp (candidates,), by equal verdicts and outputs, unknown ones too.

    Args:
        evidence: evidence on one problem.
        tests: number of tests, from the first, that count; None for all.
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
    """Candidates whose group after the first ``tests`` tests was not split since, bool (candidates,)."""
    before, now = equivalence_groups(evidence, tests), equivalence_groups(evidence)
    return np.asarray(np.bincount(before)[before] == np.bincount(now)[now])


def impute_followers(evidence: Evidence) -> Evidence:
    """The evidence with the results of representatives imputed to the candidates that they represent.

    A candidate that was not run on the last tests gets the results of the first candidate that was equal to
    it until then and was run on more of them. If there is none, its results stay unknown. Without outputs
    nothing is imputed.
    """
    run = evidence.votes.run()
    if evidence.outputs is None or run.all():
        return evidence
    last = len(run) - run[::-1].argmax(axis=0)  # number of tests up to the last one that was run
    last[~run.any(axis=0)] = 0
    for tests in np.unique(last[(last > 0) & (last < len(run))])[::-1]:
        group = equivalence_groups(evidence, int(tests))
        longer = np.flatnonzero(last > tests)
        known, first = np.unique(group[longer], return_index=True)
        representatives = dict(zip(known.tolist(), longer[first].tolist(), strict=True))
        followers = [one for one in np.flatnonzero(last == tests).tolist() if group[one] in representatives]
        sources = [representatives[group[one]] for one in followers]
        evidence = _with_copied_results(evidence, followers, sources, tests)
    return evidence


def _with_copied_results(
    evidence: Evidence, targets: list[int], sources: list[int], tests: int
) -> Evidence:
    """The evidence with all results after the first ``tests`` tests copied from sources to targets."""
    passed, run = evidence.votes.passed(), evidence.votes.run()
    passed[tests:, targets], run[tests:, targets] = passed[tests:, sources], run[tests:, sources]
    outputs = evidence.outputs
    if outputs is not None:
        results, returned = outputs.results.copy(), outputs.returned.copy()
        inputs = outputs.known[tests]
        results[inputs:, targets] = results[inputs:, sources]
        returned[inputs:, targets] = returned[inputs:, sources]
        outputs = replace(outputs, results=results, returned=returned)
    return replace(evidence, votes=Votes.from_matrix(passed, run), outputs=outputs)
