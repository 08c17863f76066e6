"""Equivalent candidates: one is run on further tests, and its results are imputed to the others.

Candidates with equal outputs and verdicts so far nearly always stay equal. So once a group has not been
split for long, further tests are run on one of its members.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.outputs import UNKNOWN, Evidence
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
    return _groups(seen)


def _groups(seen: Sequence[NDArray[np.generic]]) -> NDArray[np.intp]:
    """Group number of each column that is equal in all arrays, by first appearance."""
    # Several times as fast as numpy.unique over rows.
    known = [row.tobytes() for row in np.ascontiguousarray(np.concatenate(seen).T)]
    numbers = {row: number for number, row in enumerate(dict.fromkeys(known))}
    return np.asarray([numbers[row] for row in known], np.intp)


def merge_equal(evidence: Evidence) -> tuple[Evidence, NDArray[np.intp]]:
    """The evidence with one column for all candidates whose votes and outputs are equal.

    Statistics of a candidate depend on its own votes and outputs, and on how many others share them. So
    they can be computed once for equal candidates, as long as these are counted by ``Evidence.sizes``.

    Returns:
        The evidence, with columns in the order of their first candidates, and the column of each
        candidate, intp (candidates,).
    """
    column = equivalence_groups(evidence)
    first = np.unique(column, return_index=True)[1]
    sizes = np.bincount(column, evidence.column_sizes).astype(np.int64)
    return replace(evidence.of_candidates(first), sizes=sizes), column


def stable_groups(
    evidence: Evidence, tests: int, groups: NDArray[np.intp] | None = None
) -> NDArray[np.bool_]:
    """Candidates whose group after the first ``tests`` tests was not split since, bool (candidates,).

    Args:
        evidence: evidence on one problem.
        tests: number of tests.
        groups: present groups, if they are known.
    """
    before = equivalence_groups(evidence, tests)
    now = equivalence_groups(evidence) if groups is None else groups
    return np.asarray(np.bincount(before)[before] == np.bincount(now)[now])


def impute_followers(evidence: Evidence, left_out: NDArray[np.bool_] | None = None) -> Evidence:
    """The evidence with the results of representatives imputed to the candidates that they represent.

    A candidate that was not run on the last tests gets the results of the first candidate that was equal to
    it until then and was run on more of them. If there is none, its results stay unknown. Without outputs
    nothing is imputed.

    Args:
        evidence: evidence on one problem.
        left_out: bool (tests, candidates), pairs to take out of the evidence first; None for none.
    """
    passed, run, outputs = evidence.votes.passed(), evidence.votes.run(), evidence.outputs
    changed = False
    if left_out is not None and left_out.any():
        changed = True
        passed &= ~left_out
        run &= ~left_out
    if outputs is None or run.all():
        return replace(evidence, votes=Votes.from_matrix(passed, run)) if changed else evidence
    results, returned, known = outputs.results.copy(), outputs.returned.copy(), outputs.known
    if changed and left_out is not None:
        unknown = np.repeat(left_out, np.diff(known), axis=0)  # all but the inputs that were run alone
        results[known[0] : known[-1]][unknown] = UNKNOWN
        returned[known[0] : known[-1]][unknown] = False
    last = len(run) - run[::-1].argmax(axis=0)  # number of tests up to the last one that was run
    last[~run.any(axis=0)] = 0
    # From the latest on, so that what is copied is complete. Groups read earlier tests, which never change.
    for tests in np.unique(last[(last > 0) & (last < len(run))])[::-1].tolist():
        inputs = known[tests]
        group = _groups([passed[:tests], run[:tests], results[:inputs]])
        longer, ended = np.flatnonzero(last > tests), np.flatnonzero(last == tests)
        representative = np.full(group.max() + 1, -1)
        representative[group[longer[::-1]]] = longer[::-1]  # the first of each group is written last
        followers = ended[representative[group[ended]] >= 0]
        if not len(followers):
            continue
        sources = representative[group[followers]]
        for rows, start in ((passed, tests), (run, tests), (results, inputs), (returned, inputs)):
            rows[start:, followers] = rows[start:, sources]
        changed = True
    if not changed:
        return evidence
    return replace(
        evidence,
        votes=Votes.from_matrix(passed, run),
        outputs=replace(outputs, results=results, returned=returned),
    )
