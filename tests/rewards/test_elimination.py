import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from testbudget.rewards.elimination import (
    dominated,
    dominated_by_any,
    end_of_rung,
    has_representative,
    rung_of,
    survivors,
)
from testbudget.rewards.outputs import UNKNOWN, Evidence, OutputMatrix
from testbudget.rewards.selection.majority import Majority
from testbudget.rewards.selection.registry import selection_rule
from testbudget.rewards.votes import Votes

SHAPES = st.tuples(st.integers(0, 12), st.integers(1, 8))
MATRICES = SHAPES.flatmap(lambda shape: st.tuples(arrays(np.bool_, shape), arrays(np.bool_, shape))).map(
    lambda pair: (pair[0] & pair[1], pair[1])
)
Z = st.floats(0, 4)


@given(MATRICES, Z, st.data())
def test_no_candidate_is_dominated_by_itself(matrices, z, data):
    votes = Votes.from_matrix(*matrices)
    leader = data.draw(st.integers(0, votes.candidates - 1))
    assert not dominated(votes, leader, z)[leader]


@given(MATRICES, Z)
def test_dominated_candidates_are_those_of_the_formula_pair_by_pair(matrices, z):
    passed, run = matrices
    leader = int(passed.sum(axis=0).argmax())
    for candidate, out in enumerate(dominated(Votes.from_matrix(passed, run), leader, z)):
        both = run[:, leader] & run[:, candidate]
        losses = int((passed[both, leader] & ~passed[both, candidate]).sum())
        wins = int((~passed[both, leader] & passed[both, candidate]).sum())
        assert out == (losses - wins > z * (losses + wins) ** 0.5)


@given(MATRICES, Z)
def test_a_candidate_is_dominated_by_any_if_it_is_by_one(matrices, z):
    votes = Votes.from_matrix(*matrices)
    by_each = [dominated(votes, leader, z) for leader in range(votes.candidates)]
    assert (dominated_by_any(votes, z) == np.any(by_each, axis=0)).all()


@given(MATRICES)
def test_a_larger_threshold_eliminates_no_candidate_that_a_smaller_one_keeps(matrices):
    votes = Votes.from_matrix(*matrices)
    assert (dominated(votes, 0, 1.0) >= dominated(votes, 0, 2.0)).all()


@pytest.mark.parametrize(("losses", "out"), [(4, False), (5, True)])
def test_at_two_deviations_five_clear_losses_are_too_many(losses, out):
    passed = np.stack([np.ones(losses, np.bool_), np.zeros(losses, np.bool_)], axis=1)
    assert dominated(Votes.from_matrix(passed), 0, 2.0).tolist() == [False, out]


def test_tests_that_only_one_of_the_two_ran_do_not_count():
    passed = np.array([[True, False]] * 9)
    run = np.array([[True, False]] * 9)
    assert not dominated(Votes.from_matrix(passed, run), 0, 2.0).any()


def test_before_the_first_test_no_candidate_is_dominated():
    assert not dominated(Votes(3), 0, 2.0).any()


def all_running(evidence: Evidence) -> np.ndarray:
    return np.ones(evidence.votes.candidates, np.bool_)


@given(MATRICES, Z)
def test_no_winner_of_the_majority_vote_is_eliminated(matrices, z):
    evidence = Evidence(Votes.from_matrix(matrices[0]))
    assert survivors(evidence, all_running(evidence), Majority(), z)[Majority().winners(evidence)].all()


def test_eliminated_candidates_stay_eliminated_and_all_survive_without_a_running_leader():
    evidence = Evidence(Votes.from_matrix(np.array([[True, False, False]] * 5)))
    without_leader = np.array([False, True, True])
    assert survivors(evidence, without_leader, Majority(), 2.0).tolist() == [False, True, True]
    assert survivors(evidence, ~without_leader, Majority(), 2.0).tolist() == [True, False, False]


def lone_leader_against_three_equal() -> Evidence:
    """Evidence: the first candidate alone passes five tests and the next three have equal outputs."""
    results = np.tile(np.array([0, 1, 1, 1, 2], np.int32), (5, 1))
    outputs = OutputMatrix(results, np.ones_like(results, np.bool_), np.arange(6))
    return Evidence(Votes.from_matrix(np.array([[True] + [False] * 4] * 5)), outputs)


@pytest.mark.parametrize(("rule", "left"), [("majority", [0]), ("calibrated", [0, 1, 2, 3])])
def test_a_candidate_that_can_win_by_agreement_is_not_eliminated(rule, left):
    evidence = lone_leader_against_three_equal()
    still = survivors(evidence, all_running(evidence), selection_rule(rule), 2.0)
    assert np.flatnonzero(still).tolist() == left


def test_without_outputs_a_rule_that_uses_them_eliminates_by_votes():
    evidence = Evidence(lone_leader_against_three_equal().votes)
    still = survivors(evidence, all_running(evidence), selection_rule("calibrated"), 2.0)
    assert np.flatnonzero(still).tolist() == [0]


def passing_all(results) -> Evidence:
    """Evidence of candidates that pass all tests; results have shape (tests, candidates)."""
    results = np.asarray(results, np.int32)
    outputs = OutputMatrix(results, results != UNKNOWN, np.arange(len(results) + 1))
    return Evidence(Votes.from_matrix(np.ones(results.shape, np.bool_)), outputs)


def test_one_of_several_equivalent_candidates_is_run():
    evidence = passing_all([[0, 1, 0, 0, 1]] * 8)
    assert has_representative(evidence, all_running(evidence)).tolist() == [False, False, True, True, True]
    later = np.array([False, False, False, True, True])
    assert not has_representative(evidence, later).any()
    assert (
        survivors(evidence, all_running(evidence), Majority(), 2.0).tolist() == [True, True] + [False] * 3
    )


@pytest.mark.parametrize(("split_at", "represented"), [(0, True), (1, True), (2, False), (15, False)])
def test_a_group_that_was_split_in_the_last_seven_eighths_of_the_tests_has_no_representative(
    split_at, represented
):
    results = np.zeros((16, 5), np.int32)
    results[:, 3:] = 1
    results[split_at, 2] = 2
    evidence = passing_all(results)
    assert has_representative(evidence, all_running(evidence)).tolist() == [
        False,
        represented,
        False,
        False,
        True,
    ]


def test_there_is_no_representative_before_the_eighth_test():
    evidence = passing_all([[0, 0]] * 7)
    assert not has_representative(evidence, all_running(evidence)).any()


def test_a_candidate_with_few_known_outputs_has_no_representative():
    evidence = passing_all([[UNKNOWN, UNKNOWN, 0, 0]] * 5 + [[0, 0, 0, 0]] * 3)
    assert has_representative(evidence, all_running(evidence)).tolist() == [False, False, False, True]
    by_votes = Evidence(evidence.votes)
    assert not has_representative(by_votes, all_running(by_votes)).any()


def test_a_group_is_eliminated_with_its_representative():
    """The second represents the third, whose equal outputs would give it support if it still ran."""
    passed = np.array([[True, False, False]] * 9)
    results = np.tile(np.array([0, 1, 1], np.int32), (9, 1))
    evidence = Evidence(Votes.from_matrix(passed), OutputMatrix(results, results >= 0, np.arange(10)))
    running = np.array([True, True, False])
    assert survivors(evidence, running, selection_rule("calibrated"), 2.0).tolist() == [True, True, False]
    assert survivors(evidence, running, Majority(), 2.0).tolist() == [True, False, False]


@pytest.mark.parametrize(("rule", "losses"), [("majority", 3), ("calibrated", 5)])
def test_by_default_rules_that_use_outputs_need_more_losses(rule, losses):
    def survives(tests) -> bool:
        evidence = passing_all([[0, 1]] * tests)
        passed = np.array([[True, False]] * tests)
        evidence = Evidence(Votes.from_matrix(passed), evidence.outputs)
        return bool(survivors(evidence, all_running(evidence), selection_rule(rule), None)[1])

    assert survives(losses - 1)
    assert not survives(losses)


@pytest.mark.parametrize("test", [0, 4, 5, 8, 9, 28, 29, 1000])
def test_a_rung_ends_where_the_next_begins(test):
    assert rung_of(end_of_rung(test) - 1) == rung_of(test) == rung_of(end_of_rung(test)) - 1


def test_no_candidate_is_eliminated_before_the_fifth_test_and_rungs_never_double_the_tests():
    starts = [test for test in range(1, 2000) if rung_of(test) != rung_of(test - 1)]
    assert starts[:6] == [5, 9, 16, 29, 52, 94]
    assert all(after < 2 * before for before, after in itertools.pairwise(starts))
