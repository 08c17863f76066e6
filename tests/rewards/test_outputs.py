import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from testbudget.rewards.outputs import (
    NO_RESULT,
    UNKNOWN,
    CallEnding,
    CallResult,
    Evidence,
    OutputMatrix,
    RecordedCall,
    RecordedOutputs,
    join_outputs,
    output_groups,
    outputs_by_test,
    select_outputs,
    spread_over_candidates,
)
from testbudget.rewards.votes import Votes

OUTPUTS = (
    CallResult(CallEnding.RETURNED, 11, "1"),
    CallResult(CallEnding.RETURNED, 12, "'a'"),
    CallResult(CallEnding.RAISED, 13, "ValueError"),
    CallResult(CallEnding.TIMED_OUT, 0, ""),
    CallResult(CallEnding.OPAQUE, 0, "<object>"),
)
OPAQUE = 4


def recorded_outputs_of(results, digests=None, test=0) -> RecordedOutputs:
    results = np.asarray(results, np.int32)
    digests = range(results.shape[1]) if digests is None else digests
    return RecordedOutputs(tuple(RecordedCall(test, "f", f"[{d}]", d) for d in digests), OUTPUTS, results)


RESULTS = st.tuples(st.integers(1, 8), st.integers(1, 6)).flatmap(
    lambda shape: arrays(np.int32, shape, elements=st.integers(NO_RESULT, OPAQUE))
)


def meanings(recorded_outputs: RecordedOutputs):
    """Ending and digest of each result, without the numbering."""
    return [
        [
            None
            if entry == NO_RESULT
            else (recorded_outputs.outputs[entry].ending, recorded_outputs.outputs[entry].digest)
            for entry in row
        ]
        for row in recorded_outputs.results
    ]


@given(RESULTS)
def test_split_and_joined_columns_hold_the_same_outputs(results):
    whole = recorded_outputs_of(results)
    again = join_outputs([select_outputs(whole, inputs=[column]) for column in range(results.shape[1])])
    assert again.inputs == whole.inputs
    assert meanings(again) == meanings(whole)
    assert again.results.dtype == np.int32


@given(RESULTS, st.data())
def test_a_selection_has_the_chosen_rows_and_columns_and_just_their_outputs(results, data):
    rows = data.draw(st.permutations(range(len(results))))[: data.draw(st.integers(1, len(results)))]
    columns = data.draw(st.lists(st.integers(0, results.shape[1] - 1), max_size=4))
    part = select_outputs(recorded_outputs_of(results), rows, columns)
    full = meanings(recorded_outputs_of(results))
    assert meanings(part) == [[full[row][column] for column in columns] for row in rows]
    assert set(part.results.ravel()) - {NO_RESULT} == set(range(len(part.outputs)))


@given(RESULTS, st.data())
def test_outputs_by_test_hold_the_calls_of_each_test_and_no_others(results, data):
    count = results.shape[1]
    tests = data.draw(st.lists(st.sampled_from([None, 0, 3]), min_size=count, max_size=count))
    inputs = tuple(RecordedCall(test, "f", "[]", position) for position, test in enumerate(tests))
    whole = RecordedOutputs(inputs, OUTPUTS, results)
    parts = outputs_by_test(whole)
    assert set(parts) == set(tests) - {None}
    for test, part in parts.items():
        columns = [position for position, other in enumerate(tests) if other == test]
        assert meanings(part) == [[row[column] for column in columns] for row in meanings(whole)]


def test_spread_results_are_those_of_some_of_more_candidates():
    whole = spread_over_candidates(recorded_outputs_of([[0, 1], [2, NO_RESULT]]), [3, 1], 4)
    assert whole.results.tolist() == [[NO_RESULT] * 2, [2, NO_RESULT], [NO_RESULT] * 2, [0, 1]]


def test_joined_outputs_that_are_equal_become_one_with_the_first_example():
    other = RecordedOutputs(
        (RecordedCall(1, "f", "[9]", 9),),
        (CallResult(CallEnding.RETURNED, 11, "1.0"),),
        np.array([[0]], np.int32),
    )
    joined = join_outputs([recorded_outputs_of([[0]]), other])
    assert [output.example for output in joined.outputs if output.digest == 11] == ["1"]
    assert joined.results.tolist() == [[0, 0]]


def test_outputs_of_other_candidates_cannot_be_joined():
    with pytest.raises(ValueError, match="match"):
        join_outputs([recorded_outputs_of([[0]]), recorded_outputs_of([[0], [0]])])


@given(arrays(np.int32, st.tuples(st.integers(1, 8), st.integers(1, 4)), elements=st.integers(0, 3)))
def test_with_all_outputs_known_groups_are_equal_rows(results):
    numbers = output_groups(recorded_outputs_of(results))
    for mine, row in zip(numbers, results, strict=True):
        for other, other_row in zip(numbers, results, strict=True):
            assert (mine == other) == (row == other_row).all()


@given(RESULTS)
def test_members_of_a_group_never_contradict_each_other_and_groups_are_numbered_by_appearance(results):
    numbers = output_groups(recorded_outputs_of(results))
    assert list(dict.fromkeys(numbers.tolist())) == list(range(numbers.max() + 1))
    known = (results != NO_RESULT) & (results != OPAQUE)
    for one in range(len(results)):
        for other in np.flatnonzero(numbers == numbers[one]):
            both = known[one] & known[other]
            assert (results[one][both] == results[other][both]).all()


def test_a_candidate_with_fewer_known_outputs_joins_a_group_that_it_agrees_with():
    assert output_groups(recorded_outputs_of([[0, NO_RESULT], [1, 1], [0, 2]])).tolist() == [0, 1, 0]


def test_opaque_outputs_and_candidates_without_a_shared_input_form_no_group():
    assert output_groups(recorded_outputs_of([[OPAQUE], [OPAQUE]])).tolist() == [0, 1]
    assert output_groups(recorded_outputs_of([[0, NO_RESULT], [NO_RESULT, 0]])).tolist() == [0, 1]


def test_one_input_in_two_tests_is_one_input():
    results = [[0, NO_RESULT], [NO_RESULT, 0], [NO_RESULT, 1]]
    assert output_groups(recorded_outputs_of(results, digests=[5, 5])).tolist() == [0, 0, 1]


def test_without_inputs_every_candidate_is_its_own_group():
    assert output_groups(RecordedOutputs((), (), np.empty((3, 0), np.int32))).tolist() == [0, 1, 2]


# Two programs. Test 7 calls with inputs 1 and 2, test 3 with 2 and 3, and input 4 was run alone.
RECORDED = RecordedOutputs(
    (
        RecordedCall(7, "f", "1", 1),
        RecordedCall(7, "f", "2", 2),
        RecordedCall(3, "f", "2", 2),
        RecordedCall(3, "f", "3", 3),
        RecordedCall(None, "f", "4", 4),
    ),
    (
        CallResult(CallEnding.RETURNED, 10, "10"),
        CallResult(CallEnding.RAISED, 20, ""),
        CallResult(CallEnding.OPAQUE, 0, ""),
    ),
    np.array([[0, 0, 0, 1, 0], [1, NO_RESULT, 0, 2, 0]], np.int32),
)
PROGRAMS = np.array([0, 1, 0])


def test_an_input_is_known_from_the_first_test_that_uses_it_and_before_any_if_it_was_run_alone():
    outputs = OutputMatrix.of(RECORDED, PROGRAMS, [3, 7])
    np.testing.assert_array_equal(outputs.known, [1, 3, 4])
    np.testing.assert_array_equal(outputs.results[:, 0], [0, 0, 1, 0])  # inputs 4, 2, 3, 1


def test_candidates_that_are_the_same_program_all_have_its_outputs():
    outputs = OutputMatrix.of(RECORDED, PROGRAMS, [3, 7])
    np.testing.assert_array_equal(outputs.results[:, 2], outputs.results[:, 0])


def test_calls_that_were_not_made_and_opaque_values_are_not_known():
    outputs = OutputMatrix.of(RECORDED, PROGRAMS, [7, 3])
    np.testing.assert_array_equal(outputs.results[:, 1], [0, 1, UNKNOWN, UNKNOWN])  # inputs 4, 1, 2, 3
    np.testing.assert_array_equal(outputs.returned[:, 1], [True, False, False, False])


def test_tests_without_a_vote_add_no_inputs():
    outputs = OutputMatrix.of(RECORDED, PROGRAMS, [7])
    np.testing.assert_array_equal(outputs.known, [1, 3])
    assert len(outputs.results) == 3


def test_evidence_after_some_tests_is_that_of_these_tests_alone():
    passed = np.array([[True, False, True], [False, False, True]])
    evidence = Evidence(Votes.from_matrix(passed), OutputMatrix.of(RECORDED, PROGRAMS, [3, 7]))
    first, alone = evidence.first(1), OutputMatrix.of(RECORDED, PROGRAMS, [3])
    np.testing.assert_array_equal(first.votes.passed(), passed[:1])
    np.testing.assert_array_equal(first.outputs.results, alone.results)
    np.testing.assert_array_equal(first.outputs.known, alone.known)


def test_evidence_of_some_candidates_leaves_the_others_out():
    passed = np.array([[True, False, True]])
    evidence = Evidence(Votes.from_matrix(passed), OutputMatrix.of(RECORDED, PROGRAMS, [7]))
    some = evidence.of_candidates(np.array([1, 2]))
    np.testing.assert_array_equal(some.votes.passed(), passed[:, 1:])
    np.testing.assert_array_equal(some.outputs.results, evidence.outputs.results[:, 1:])
    np.testing.assert_array_equal(some.outputs.known, evidence.outputs.known)
