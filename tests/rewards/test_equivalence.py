from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from testbudget.rewards.equivalence import equivalence_groups, impute_followers, stable_groups
from testbudget.rewards.outputs import UNKNOWN, Evidence, OutputMatrix
from testbudget.rewards.votes import Votes


def evidence_of(results, passed=None) -> Evidence:
    """One input a test; results and verdicts are (tests, candidates), and None says that all passed."""
    results = np.asarray(results, np.int32)
    passed = np.ones(results.shape, np.bool_) if passed is None else np.asarray(passed, np.bool_)
    outputs = OutputMatrix(results, results != UNKNOWN, np.arange(len(results) + 1))
    return Evidence(Votes.from_matrix(passed), outputs)


def without(evidence: Evidence, left: dict[int, int]) -> Evidence:
    """Some candidates, by position, were run on so many of the first tests alone."""
    passed, run = evidence.votes.passed(), evidence.votes.run()
    results = evidence.outputs.results.copy()
    for candidate, tests in left.items():
        run[tests:, candidate] = passed[tests:, candidate] = False
        results[tests:, candidate] = UNKNOWN
    outputs = replace(evidence.outputs, results=results, returned=results != UNKNOWN)
    return Evidence(Votes.from_matrix(passed, run), outputs)


def assert_equal(found: Evidence, expected: Evidence) -> None:
    np.testing.assert_array_equal(found.votes.passed(), expected.votes.passed())
    np.testing.assert_array_equal(found.votes.run(), expected.votes.run())
    np.testing.assert_array_equal(found.outputs.results, expected.outputs.results)
    np.testing.assert_array_equal(found.outputs.returned, expected.outputs.returned)


SHAPES = st.tuples(st.integers(1, 8), st.integers(1, 8))
EVIDENCE = SHAPES.flatmap(
    lambda shape: st.tuples(arrays(np.int32, shape, elements=st.integers(0, 1)), arrays(np.bool_, shape))
).map(lambda pair: evidence_of(*pair))


def test_a_group_agrees_on_outputs_and_on_verdicts():
    by_outputs = evidence_of([[0, 0, 1], [0, 0, 0]])
    assert equivalence_groups(by_outputs).tolist() == [0, 0, 1]
    by_verdicts = evidence_of([[0, 0, 0]], [[True, False, True]])
    assert (
        equivalence_groups(by_verdicts)[0]
        == equivalence_groups(by_verdicts)[2]
        != equivalence_groups(by_verdicts)[1]
    )
    assert len(set(equivalence_groups(without(by_outputs, {1: 1})))) == 3  # what is not known is not alike


def test_before_the_first_test_all_are_alike():
    assert equivalence_groups(Evidence(Votes(3))).tolist() == [0, 0, 0]


def test_a_group_is_parted_as_a_whole_when_one_of_it_goes_its_own_way():
    evidence = evidence_of([[0, 0, 0, 1, 1], [0, 0, 1, 0, 0]])
    assert stable_groups(evidence, 1).tolist() == [False, False, False, True, True]
    assert stable_groups(evidence, 2).all()


@given(EVIDENCE, st.data())
def test_whoever_is_alike_to_the_end_can_be_left_out_at_any_time_and_nothing_is_lost(whole, data):
    tests = whole.votes.tests
    left, first = {}, {}
    for candidate, kind in enumerate(equivalence_groups(whole).tolist()):
        if first.setdefault(kind, candidate) != candidate:
            left[candidate] = data.draw(st.integers(1, tests))
    # Left out as soon as it is alike with nobody else any more, so that it is clear whom it follows.
    for candidate, at in left.items():
        of_kind = equivalence_groups(whole)[candidate]
        same = equivalence_groups(whole.first(at)) == equivalence_groups(whole.first(at))[candidate]
        if (equivalence_groups(whole)[same] != of_kind).any():
            left[candidate] = tests
    assert_equal(impute_followers(without(whole, left)), whole)


@given(EVIDENCE, st.data())
def test_what_was_run_is_never_changed(whole, data):
    count = whole.votes.candidates
    left = {one: data.draw(st.integers(0, whole.votes.tests)) for one in range(count)}
    known = without(whole, left)
    run, found = known.votes.run(), impute_followers(known)
    assert (found.votes.run() >= run).all()
    assert (found.votes.passed()[run] == known.votes.passed()[run]).all()
    assert (found.outputs.results[run] == known.outputs.results[run]).all()


def test_who_follows_one_that_follows_another_does_as_the_last():
    whole = evidence_of([[0, 0, 0], [1, 1, 1], [2, 2, 2]], [[True] * 3, [False] * 3, [True] * 3])
    assert_equal(impute_followers(without(whole, {1: 2, 2: 1})), whole)


def test_who_was_alike_with_nobody_that_went_on_stays_unknown():
    left = without(evidence_of([[0, 1], [0, 0]]), {1: 1})
    assert_equal(impute_followers(left), left)
    never_run = without(evidence_of([[0, 0], [0, 0]]), {1: 0})
    assert_equal(impute_followers(never_run), never_run)


def test_a_test_left_out_in_between_stays_left_out():
    evidence = evidence_of([[0, 0], [0, 0], [0, 0]])
    run = np.array([[True, True], [True, False], [True, True]])
    gap = replace(evidence, votes=Votes.from_matrix(run, run))
    assert impute_followers(gap) is gap


def test_verdicts_alone_let_nobody_follow():
    evidence = Evidence(without(evidence_of([[0, 0], [0, 0]]), {1: 1}).votes)
    assert impute_followers(evidence) is evidence


@pytest.mark.parametrize("tests", [1, 2])
def test_an_input_belongs_to_the_test_that_it_came_with(tests):
    """Inputs come two with the first test and one before any."""
    outputs = OutputMatrix(np.zeros((3, 2), np.int32), np.ones((3, 2), np.bool_), np.array([1, 3, 3]))
    run = np.ones((2, 2), np.bool_)
    run[tests:, 1] = False
    evidence = Evidence(Votes.from_matrix(run, run), outputs)
    found = impute_followers(evidence)
    assert found.votes.run().all()
    np.testing.assert_array_equal(found.outputs.results, outputs.results)
