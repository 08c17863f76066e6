"""Bound on the probability that a pick loses its lead, against its definition and on random tests."""

import math

import numpy as np
import pytest
from scipy.integrate import quad

from testbudget.rewards.outputs import Evidence, OutputMatrix
from testbudget.rewards.overtaking import log_evidence, overtaking_bound
from testbudget.rewards.votes import Votes


def evidence_of(passed, run=None, outputs=None) -> Evidence:
    votes = Votes.from_matrix(np.array(passed, np.bool_), None if run is None else np.array(run, np.bool_))
    if outputs is None:
        return Evidence(votes)
    results = np.array(outputs, np.int32)
    return Evidence(votes, OutputMatrix(results, results >= 0, np.arange(len(results) + 1)))


@pytest.mark.parametrize(("won", "lost"), [(0, 0), (3, 0), (0, 3), (6, 2), (40, 5)])
def test_evidence_is_the_mean_likelihood_ratio(won, lost):
    mean, _ = quad(lambda t: 2 * (2 * t) ** won * (2 * (1 - t)) ** lost, 0.5, 1)
    assert math.exp(log_evidence(np.array(won), np.array(lost))) == pytest.approx(mean)


def test_the_strongest_challenger_counts_and_the_group_of_the_pick():
    passed = np.zeros((8, 4), bool)
    passed[:, :2] = True  # two candidates pass everything
    passed[:3, 2] = True  # the strongest challenger loses five tests
    evidence = math.exp(log_evidence(np.array(5), np.array(0)))
    assert overtaking_bound(evidence_of(passed), 0) == pytest.approx(4 / 2 / evidence)
    assert overtaking_bound(evidence_of(passed), 2) == 1


def test_equal_candidates_may_share_a_column():
    passed = np.repeat([[True, True, False, False]], 9, axis=0)
    merged = Evidence(Votes.from_matrix(passed[:, [0, 2]]), sizes=np.array([2, 2]))
    assert overtaking_bound(merged, 0) == overtaking_bound(evidence_of(passed), 0) < 0.1


def test_nothing_is_said_where_nothing_was_told_apart():
    assert overtaking_bound(evidence_of(np.zeros((0, 3), bool)), 0) == 1
    assert overtaking_bound(evidence_of(np.ones((9, 3), bool)), 0) == 1
    outputs = np.repeat([[0, 0, 1]], 9, axis=0)  # the third returns something else and passes all the same
    assert overtaking_bound(evidence_of(np.ones((9, 3), bool), outputs=outputs), 0) == 1


def test_an_eliminated_candidate_counts_with_the_tests_that_it_was_run_on():
    passed = np.tile([True, False], (12, 1))
    run = np.ones((12, 2), bool)
    run[7:, 1] = False
    assert overtaking_bound(evidence_of(passed, run), 0) == overtaking_bound(evidence_of(passed[:7]), 0)


def test_a_pick_that_is_overtaken_seldom_has_a_low_bound_at_any_time():
    """Candidates that all pass half of the tests, of which the leader is looked at after every test."""
    random, delta, alarms, runs, tests = np.random.default_rng(0), 0.2, 0, 200, 40
    for _ in range(runs):
        votes = Votes.from_matrix(random.random((tests, 6)) < 0.5)
        lowest = min(
            overtaking_bound(Evidence(first), int(first.scores().argmax()))
            for first in map(votes.first, range(4, tests, 2))
        )
        alarms += lowest <= delta
    assert alarms / runs <= delta
