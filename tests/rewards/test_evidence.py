import numpy as np

from testbudget.rewards.outputs import (
    NO_RESULT,
    UNKNOWN,
    CallEnding,
    CallResult,
    Evidence,
    OutputMatrix,
    RecordedCall,
    RecordedOutputs,
)
from testbudget.rewards.votes import Votes

# Two programs. Test 7 calls with inputs 1 and 2, test 3 with 2 and 3, and input 4 was run alone.
BEHAVIOUR = RecordedOutputs(
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
    outputs = OutputMatrix.of(BEHAVIOUR, PROGRAMS, [3, 7])
    np.testing.assert_array_equal(outputs.known, [1, 3, 4])
    np.testing.assert_array_equal(outputs.results[:, 0], [0, 0, 1, 0])  # inputs 4, 2, 3, 1


def test_candidates_that_are_the_same_program_all_have_its_outputs():
    outputs = OutputMatrix.of(BEHAVIOUR, PROGRAMS, [3, 7])
    np.testing.assert_array_equal(outputs.results[:, 2], outputs.results[:, 0])


def test_calls_that_were_not_made_and_opaque_values_are_not_known():
    outputs = OutputMatrix.of(BEHAVIOUR, PROGRAMS, [7, 3])
    np.testing.assert_array_equal(outputs.results[:, 1], [0, 1, UNKNOWN, UNKNOWN])  # inputs 4, 1, 2, 3
    np.testing.assert_array_equal(outputs.returned[:, 1], [True, False, False, False])


def test_tests_that_do_not_vote_bring_no_inputs():
    outputs = OutputMatrix.of(BEHAVIOUR, PROGRAMS, [7])
    np.testing.assert_array_equal(outputs.known, [1, 3])
    assert len(outputs.results) == 3


def test_evidence_after_some_tests_is_that_of_these_tests_alone():
    passed = np.array([[True, False, True], [False, False, True]])
    evidence = Evidence(Votes.from_matrix(passed), OutputMatrix.of(BEHAVIOUR, PROGRAMS, [3, 7]))
    first, alone = evidence.first(1), OutputMatrix.of(BEHAVIOUR, PROGRAMS, [3])
    np.testing.assert_array_equal(first.votes.passed(), passed[:1])
    np.testing.assert_array_equal(first.outputs.results, alone.results)
    np.testing.assert_array_equal(first.outputs.known, alone.known)


def test_evidence_of_some_candidates_leaves_the_others_out():
    passed = np.array([[True, False, True]])
    evidence = Evidence(Votes.from_matrix(passed), OutputMatrix.of(BEHAVIOUR, PROGRAMS, [7]))
    some = evidence.of(np.array([1, 2]))
    np.testing.assert_array_equal(some.votes.passed(), passed[:, 1:])
    np.testing.assert_array_equal(some.outputs.results, evidence.outputs.results[:, 1:])
    np.testing.assert_array_equal(some.outputs.known, evidence.outputs.known)
