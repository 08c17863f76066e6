import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rewards.evidence import Evidence
from rewards.racing import in_race
from rewards.selection import Majority
from rewards.votes import Votes

SHAPES = st.tuples(st.integers(0, 12), st.integers(1, 8))
MATRICES = SHAPES.flatmap(lambda shape: st.tuples(arrays(np.bool_, shape), arrays(np.bool_, shape))).map(
    lambda pair: (pair[0] & pair[1], pair[1])
)
Z = st.floats(0, 4)


@given(MATRICES, Z, st.data())
def test_the_leader_is_always_in(matrices, z, data):
    votes = Votes.from_matrix(*matrices)
    leader = data.draw(st.integers(0, votes.candidates - 1))
    assert in_race(votes, leader, z)[leader]


@given(MATRICES, Z)
def test_it_is_the_rule_pair_by_pair(matrices, z):
    passed, run = matrices
    leader = int(passed.sum(axis=0).argmax())
    for candidate, still in enumerate(in_race(Votes.from_matrix(passed, run), leader, z)):
        both = run[:, leader] & run[:, candidate]
        losses = int((passed[both, leader] & ~passed[both, candidate]).sum())
        wins = int((~passed[both, leader] & passed[both, candidate]).sum())
        assert still == (losses - wins <= z * (losses + wins) ** 0.5)


@given(MATRICES)
def test_a_surer_race_drops_no_one_whom_a_less_sure_one_keeps(matrices):
    votes = Votes.from_matrix(*matrices)
    assert (in_race(votes, 0, 1.0) <= in_race(votes, 0, 2.0)).all()


@given(MATRICES, Z)
def test_no_one_who_would_be_picked_by_majority_is_out(matrices, z):
    votes = Votes.from_matrix(matrices[0])
    winners = Majority().winners(Evidence(votes))
    assert in_race(votes, int(winners[0]), z)[winners].all()


@pytest.mark.parametrize(("losses", "still"), [(4, True), (5, False)])
def test_at_two_deviations_five_clear_losses_are_too_many(losses, still):
    passed = np.stack([np.ones(losses, np.bool_), np.zeros(losses, np.bool_)], axis=1)
    assert in_race(Votes.from_matrix(passed), 0, 2.0).tolist() == [True, still]


def test_tests_that_only_one_of_the_two_ran_do_not_count():
    passed = np.array([[True, False]] * 9)
    run = np.array([[True, False]] * 9)
    assert in_race(Votes.from_matrix(passed, run), 0, 2.0).all()


def test_before_the_first_test_everyone_is_in():
    assert in_race(Votes(3), 0, 2.0).all()
