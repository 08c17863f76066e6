from math import erfc, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.signals import SIGNALS, signals
from rewards.votes import Votes

MATRICES = st.tuples(st.integers(0, 6), st.integers(1, 6)).flatmap(
    lambda shape: st.lists(
        st.lists(st.booleans(), min_size=shape[1], max_size=shape[1]), min_size=shape[0], max_size=shape[0]
    ).map(lambda rows: np.array(rows, bool).reshape(shape))
)


def of(rows):
    (found,) = signals([Votes.from_matrix(np.array(rows, bool))])
    return dict(zip(SIGNALS, found, strict=True))


def normal_tail(deviations):
    return erfc(deviations / sqrt(2)) / 2


@given(st.lists(MATRICES, max_size=6))
def test_problems_are_judged_together_as_each_is_alone(matrices):
    together = signals([Votes.from_matrix(matrix) for matrix in matrices])
    assert together.shape == (len(matrices), len(SIGNALS))
    assert ((together >= 0) & (together <= 1)).all()
    for found, matrix in zip(together, matrices, strict=True):
        np.testing.assert_array_equal(found, signals([Votes.from_matrix(matrix)])[0])


@given(MATRICES)
def test_the_flip_is_that_of_the_nearest_rival(matrix):
    scores = matrix.sum(axis=0)
    leader = scores.argmax()
    nearest = scores[leader] / sqrt(scores[leader] + 1)
    if (matrix != matrix[:, [leader]]).any():
        apart = (matrix != matrix[:, [leader]]).sum(axis=0)
        nearest = min(
            (scores[leader] - score) / sqrt(far + 1)
            for score, far in zip(scores, apart, strict=True)
            if far
        )
    assert of(matrix)["flip"] == pytest.approx(normal_tail(nearest), abs=3e-4)


def test_nothing_is_known_before_the_first_test_nor_while_nobody_passes_any():
    assert of(np.zeros((0, 4))) == {"flip": 0.5, "barren": 1.0}
    assert of(np.zeros((3, 4))) == {"flip": 0.5, "barren": 1.0}


def test_a_tie_between_candidates_that_differ_may_flip_and_one_between_equals_does_not():
    assert of([[1, 0], [0, 1]])["flip"] == 0.5
    assert of([[1, 1], [1, 1]])["flip"] < 0.2


def test_the_chance_of_a_flip_falls_with_the_lead():
    flips = [of(np.repeat([[1, 0]], tests, axis=0))["flip"] for tests in range(1, 9)]
    assert (np.diff(flips) < 0).all()


def test_barren_candidates_are_those_that_passed_nothing():
    assert of([[1, 0, 0, 0], [1, 1, 0, 0]])["barren"] == 0.5


def test_a_candidate_out_of_the_race_is_no_near_rival():
    passed = np.array([[1, 1, 0], [1, 1, 0], [1, 0, 0], [1, 0, 0]], bool)
    run = np.array([[1, 1, 1], [1, 1, 1], [1, 1, 0], [1, 1, 0]], bool)
    everything = signals([Votes.from_matrix(passed)])
    np.testing.assert_array_equal(signals([Votes.from_matrix(passed, run)]), everything)
