import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from testbudget.rewards.votes import Votes

SHAPES = st.tuples(st.integers(0, 20), st.integers(1, 20))
MATRICES = SHAPES.flatmap(
    lambda shape: st.tuples(arrays(np.bool_, shape), arrays(np.bool_, shape)).map(
        lambda pair: (pair[0] & pair[1], pair[1])
    )
)


def added_one_by_one(passed, run):
    votes = Votes(passed.shape[1])
    for test_passed, test_run in zip(passed, run, strict=True):
        votes.add(test_passed, test_run)
    return votes


@given(MATRICES)
def test_votes_added_at_once_or_one_by_one_are_read_back(matrices):
    passed, run = matrices
    for votes in (Votes.from_matrix(passed, run), added_one_by_one(passed, run)):
        assert (votes.tests, votes.candidates) == passed.shape
        np.testing.assert_array_equal(votes.passed(), passed)
        np.testing.assert_array_equal(votes.run(), run)
        np.testing.assert_array_equal(votes.scores(), passed.sum(axis=0))
        assert votes.passed().dtype == votes.run().dtype == np.bool_
        assert votes.scores().dtype == np.int32


@given(MATRICES, MATRICES)
def test_a_matrix_can_be_continued_test_by_test(first, second):
    votes = Votes.from_matrix(*first)
    later = np.resize(second[0], (len(second[0]), votes.candidates))
    for test in later:
        votes.add(test)
    np.testing.assert_array_equal(votes.passed(), np.concatenate([first[0], later]))
    np.testing.assert_array_equal(votes.run(), np.concatenate([first[1], np.ones_like(later)]))


@given(MATRICES)
def test_pass_sets_are_equal_exactly_for_the_same_passed_tests(matrices):
    passed, run = matrices
    groups = Votes.from_matrix(passed, run).pass_sets()
    sets = [tuple(np.flatnonzero(column)) for column in passed.T]
    for mine, my_set in zip(groups, sets, strict=True):
        for other, other_set in zip(groups, sets, strict=True):
            assert (mine == other) == (my_set == other_set)
    assert groups.dtype == np.intp
    assert set(groups) == set(range(len(set(sets))))


def test_every_pair_counts_as_run_by_default():
    votes = Votes(3)
    votes.add(np.array([True, False, False]))
    assert votes.run().all()


def test_a_pair_that_was_not_run_is_never_passed():
    votes = Votes(2)
    with pytest.raises(ValueError, match="not run cannot be passed"):
        votes.add(np.array([True, False]), np.array([False, True]))
    assert votes.tests == 0


@pytest.mark.parametrize(
    "passed",
    [
        np.array([True]),
        np.array([[True, False]]),
        np.array([1, 2]),  # verdict numbers are not votes: 2 stands for an error
    ],
)
def test_votes_of_another_shape_or_type_are_refused(passed):
    with pytest.raises(ValueError, match="one bool for each of 2 candidates"):
        Votes(2).add(passed)


def test_a_run_mask_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="'run' must hold one bool"):
        Votes(2).add(np.array([True, False]), np.array([True]))


def test_a_matrix_must_have_two_dimensions():
    with pytest.raises(ValueError, match="tests x candidates"):
        Votes.from_matrix(np.array([True, False]))


def test_votes_need_a_candidate():
    with pytest.raises(ValueError, match="at least 1 candidate"):
        Votes(0)


def test_changes_to_returned_arrays_do_not_change_the_votes():
    votes = Votes.from_matrix(np.array([[True, False]]))
    votes.scores()[:] = 9
    votes.passed()[:] = True
    np.testing.assert_array_equal(votes.scores(), [1, 0])
    np.testing.assert_array_equal(votes.passed(), [[True, False]])


def test_a_thousand_by_a_thousand_votes_take_about_a_quarter_of_a_megabyte():
    votes = Votes(1000)
    for _ in range(1000):
        votes.add(np.ones(1000, np.bool_))
    assert votes.nbytes < 300_000
    assert Votes.from_matrix(np.ones((1000, 1000), np.bool_)).nbytes < 260_000
