"""Pairs that were cut off early: those that something may rest on."""

import numpy as np
import pytest

from testbudget.rewards.outputs import Evidence, OutputMatrix
from testbudget.rewards.problem import NOT_RUN, Verdict
from testbudget.rewards.selection.registry import selection_rule
from testbudget.rewards.votes import Votes
from testbudget.scheduler.cut_pairs import eliminated_anyway, open_pairs
from tests.scheduler.blocks import block_of

P, F, T = Verdict.PASSED, Verdict.FAILED, Verdict.TIMED_OUT


def evidence_of_rows(rows, outputs=None):
    """Evidence of candidates, one row of verdicts each, and of their outputs if there are any."""
    votes = Votes.from_matrix(np.array(rows).T == P)
    if outputs is None:
        return Evidence(votes)
    results = np.array(outputs).T
    return Evidence(votes, OutputMatrix(results, results >= 0, np.arange(len(results) + 1)))


def is_out(rows, open_tests, outputs=None, rule="majority"):
    """Return whether the last candidate is eliminated whatever its open pairs give."""
    evidence, count = evidence_of_rows(rows, outputs), len(rows)
    own, running = np.array([count - 1]), np.ones(count, np.bool_)
    return eliminated_anyway(evidence, own, np.array(open_tests), running, selection_rule(rule), None)


def test_pairs_that_were_not_run_after_a_cut_are_open():
    block = block_of([[P, T, NOT_RUN], [T, NOT_RUN, F]])
    block.cut_at[:] = [[0, 0.05, 0], [0, 0, 0]]
    assert open_pairs(block).tolist() == [[False, True, True], [False, False, False]]


def test_a_candidate_that_lost_enough_without_its_open_pairs_is_out():
    assert is_out([[P] * 5, [F, F, F, T, T]], [3, 4])


def test_a_candidate_whose_open_pairs_could_save_it_is_not():
    assert not is_out([[P] * 5, [F, F, T, T, T]], [2, 3, 4])
    assert not is_out([[P] * 5, [T] * 5], range(5))


def test_with_outputs_a_candidate_that_more_agree_with_than_with_the_leader_is_not_out():
    lost = [F] * 6 + [T] * 3
    rows, leader = [[P] * 9, [F] * 9, [F] * 9, lost], [1] * 9
    alone = [leader, leader, leader, [*range(2, 8), 9, 9, 9]]
    assert is_out([[P] * 9, [P] * 9, [P] * 9, lost], [6, 7, 8], alone, "calibrated")
    with_others = [leader, [2] * 9, [2] * 9, [2] * 6 + [9] * 3]
    assert not is_out(rows, [6, 7, 8], with_others, "calibrated")


@pytest.mark.parametrize("rule", ["majority", "calibrated"])
def test_the_leader_itself_is_never_out(rule):
    assert not is_out([[F] * 5, [P, P, P, P, T]], [4], rule=rule)
