from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from testbudget.rewards.equivalence import (
    equivalence_groups,
    impute_followers,
    merge_equal,
    stable_groups,
)
from testbudget.rewards.outputs import UNKNOWN, Evidence, OutputMatrix
from testbudget.rewards.votes import Votes


def evidence_of(results, passed=None) -> Evidence:
    """Evidence with one input per test; results and verdicts are (tests, candidates); None: all passed."""
    results = np.asarray(results, np.int32)
    passed = np.ones(results.shape, np.bool_) if passed is None else np.asarray(passed, np.bool_)
    outputs = OutputMatrix(results, results != UNKNOWN, np.arange(len(results) + 1))
    return Evidence(Votes.from_matrix(passed), outputs)


def without(evidence: Evidence, left: dict[int, int]) -> Evidence:
    """Evidence in which some candidates, by position, were run on that many first tests only."""
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
    assert (
        len(set(equivalence_groups(without(by_outputs, {1: 1})))) == 3
    )  # an unknown output differs from a known one


def test_before_the_first_test_all_candidates_are_equivalent():
    assert equivalence_groups(Evidence(Votes(3))).tolist() == [0, 0, 0]


def test_no_member_of_a_group_is_stable_after_one_of_them_differs():
    evidence = evidence_of([[0, 0, 0, 1, 1], [0, 0, 1, 0, 0]])
    assert stable_groups(evidence, 1).tolist() == [False, False, False, True, True]
    assert stable_groups(evidence, 2).all()


@given(EVIDENCE, st.data())
def test_results_of_candidates_that_stay_equivalent_are_imputed_exactly(whole, data):
    tests = whole.votes.tests
    left, first = {}, {}
    for candidate, kind in enumerate(equivalence_groups(whole).tolist()):
        if first.setdefault(kind, candidate) != candidate:
            left[candidate] = data.draw(st.integers(1, tests))
    # A candidate is left out only after its group has its final members, so its representative is unique.
    for candidate, at in left.items():
        of_kind = equivalence_groups(whole)[candidate]
        same = equivalence_groups(whole.first(at)) == equivalence_groups(whole.first(at))[candidate]
        if (equivalence_groups(whole)[same] != of_kind).any():
            left[candidate] = tests
    assert_equal(impute_followers(without(whole, left)), whole)


@given(EVIDENCE, st.data())
def test_results_that_were_run_are_never_changed(whole, data):
    count = whole.votes.candidates
    left = {one: data.draw(st.integers(0, whole.votes.tests)) for one in range(count)}
    known = without(whole, left)
    run, found = known.votes.run(), impute_followers(known)
    assert (found.votes.run() >= run).all()
    assert (found.votes.passed()[run] == known.votes.passed()[run]).all()
    assert (found.outputs.results[run] == known.outputs.results[run]).all()


def test_imputed_results_are_imputed_again_along_a_chain():
    whole = evidence_of([[0, 0, 0], [1, 1, 1], [2, 2, 2]], [[True] * 3, [False] * 3, [True] * 3])
    assert_equal(impute_followers(without(whole, {1: 2, 2: 1})), whole)


def test_without_an_equivalent_candidate_that_ran_on_results_stay_unknown():
    left = without(evidence_of([[0, 1], [0, 0]]), {1: 1})
    assert_equal(impute_followers(left), left)
    never_run = without(evidence_of([[0, 0], [0, 0]]), {1: 0})
    assert_equal(impute_followers(never_run), never_run)


def test_a_gap_before_a_later_test_is_not_imputed():
    evidence = evidence_of([[0, 0], [0, 0], [0, 0]])
    run = np.array([[True, True], [True, False], [True, True]])
    gap = replace(evidence, votes=Votes.from_matrix(run, run))
    assert impute_followers(gap) is gap


def test_without_outputs_nothing_is_imputed():
    evidence = Evidence(without(evidence_of([[0, 0], [0, 0]]), {1: 1}).votes)
    assert impute_followers(evidence) is evidence


@pytest.mark.parametrize("tests", [1, 2])
def test_an_input_belongs_to_the_test_that_it_came_with(tests):
    """The first test has two inputs; one input was run before it."""
    outputs = OutputMatrix(np.zeros((3, 2), np.int32), np.ones((3, 2), np.bool_), np.array([1, 3, 3]))
    run = np.ones((2, 2), np.bool_)
    run[tests:, 1] = False
    evidence = Evidence(Votes.from_matrix(run, run), outputs)
    found = impute_followers(evidence)
    assert found.votes.run().all()
    np.testing.assert_array_equal(found.outputs.results, outputs.results)


@given(EVIDENCE)
def test_merged_evidence_has_one_column_for_each_group_and_counts_its_candidates(evidence):
    merged, column = merge_equal(evidence)
    np.testing.assert_array_equal(merged.votes.passed()[:, column], evidence.votes.passed())
    np.testing.assert_array_equal(merged.outputs.results[:, column], evidence.outputs.results)
    np.testing.assert_array_equal(merged.column_sizes, np.bincount(column))
    assert len(np.unique(equivalence_groups(merged))) == merged.votes.candidates
    first = np.unique(column, return_index=True)[1]
    np.testing.assert_array_equal(first, np.sort(first))


def test_columns_that_stand_for_several_candidates_are_merged_with_all_of_them():
    merged, _ = merge_equal(evidence_of([[0, 0, 1], [1, 1, 2], [3, 4, 5]]))
    again, column = merge_equal(merged.first(2))
    assert column.tolist() == [0, 0, 1]
    assert again.sizes.tolist() == [2, 1]
    assert merge_equal(again)[0].sizes.tolist() == [2, 1]
