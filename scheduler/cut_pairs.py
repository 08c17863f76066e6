"""Pairs that were cut off early, and whether anything may rest on them."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from testbudget.executors.execution.runner import BlockVerdicts
from testbudget.rewards.elimination import has_representative, survivors
from testbudget.rewards.outputs import Evidence
from testbudget.rewards.problem import NOT_RUN, Verdict
from testbudget.rewards.selection.base import SelectionRule
from testbudget.rewards.votes import Votes


def open_pairs(block: BlockVerdicts) -> NDArray[np.bool_]:
    """Pairs that were cut off early, and those of the same candidates that were not run after that.

    Returns:
        bool (candidates, tests).
    """
    cut = block.cut_at > 0
    return np.asarray((cut | (block.verdicts == NOT_RUN)) & cut.any(axis=1, keepdims=True))


def not_run_for_cuts(before: BlockVerdicts, after: BlockVerdicts) -> NDArray[np.bool_]:
    """Pairs that were not run after timeouts, one of which was a cut that turned out to be none.

    Args:
        before: the block with cut pairs.
        after: the same after cut pairs were executed to their full limit.

    Returns:
        bool (candidates, tests).
    """
    settled = (before.cut_at > 0) & (after.cut_at == 0)
    in_time = settled & ~np.isin(after.verdicts, (Verdict.TIMED_OUT, NOT_RUN))
    return np.asarray((after.verdicts == NOT_RUN) & in_time.any(axis=1, keepdims=True))


def eliminated_anyway(
    evidence: Evidence,
    own: NDArray[np.intp],
    open_tests: NDArray[np.intp],
    running: NDArray[np.bool_],
    rule: SelectionRule,
    z: float | None,
) -> bool:
    """Return whether a program is eliminated whatever some of its pairs give.

    The best that they can give is assumed: that it passed them, with the outputs of the candidate that
    passed most tests. What its outputs would change for others is left out.

    Args:
        evidence: evidence on the problem, with these pairs as not passed.
        own: intp (candidates,), the candidates with this program.
        open_tests: positions of its open pairs among the tests of the evidence.
        running: bool (candidates,), candidates that the last tests were run on.
        rule, z: as for ``rewards.elimination.survivors``.
    """
    passed, run, outputs = evidence.votes.passed(), evidence.votes.run(), evidence.outputs
    leader = int(evidence.votes.scores().argmax())
    cells = np.ix_(open_tests, own)
    passed[cells] = run[cells] = True
    if outputs is not None:
        results, returned = outputs.results.copy(), outputs.returned.copy()
        inputs = [np.arange(outputs.known[test], outputs.known[test + 1]) for test in open_tests]
        for rows in inputs:
            results[np.ix_(rows, own)] = results[rows, leader][:, np.newaxis]
            returned[np.ix_(rows, own)] = returned[rows, leader][:, np.newaxis]
        outputs = replace(outputs, results=results, returned=returned)
    best = replace(evidence, votes=Votes.from_matrix(passed, run), outputs=outputs)
    still = survivors(best, running, rule, z)
    if still[own].any():
        return False
    still[own] = True  # a program that is left out because another one represents it can still win
    return not has_representative(best, still)[own].any()
