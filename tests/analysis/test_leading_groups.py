"""The largest output groups, and the input that tells them apart."""

import numpy as np

from testbudget.analysis.leading_groups import OutputGroup, leading_groups
from testbudget.executors.execution.stdin_calls import STDIN_CALL
from testbudget.rewards.outputs import NO_RESULT, CallEnding, CallResult, RecordedCall, RecordedOutputs
from testbudget.traces.records import DistinctPrograms

OUTPUTS = (
    CallResult(CallEnding.RETURNED, 1, "1"),
    CallResult(CallEnding.RETURNED, 2, "'two'"),
    CallResult(CallEnding.RAISED, 3, "ValueError"),
    CallResult(CallEnding.TIMED_OUT, 0, ""),
)


def test_the_largest_groups_are_shown_on_the_shortest_input_that_tells_most_of_them_apart():
    inputs = (
        RecordedCall(0, "f", '[[1],{"dict":[]}]', 1),
        RecordedCall(0, "f", '[["a long one"],{"dict":[["k",[1,2]]]}]', 2),
        RecordedCall(1, "f", '[["b"],{"dict":[["k",[1,2]]]}]', 3),
    )
    results = [[0, 0, 0], [0, 2, 2], [0, 3, 3], [0, 1, NO_RESULT]]
    # Programs 1 and 2 were written twice, and three times.
    distinct = DistinctPrograms(np.arange(4), np.array([0, 1, 1, 2, 2, 2, 3]))
    seen = leading_groups(RecordedOutputs(inputs, OUTPUTS, np.array(results, np.int32)), distinct, pick=2)
    assert seen.count == 4
    assert seen.call == "f('b', k=[1, 2])"
    assert seen.groups == (
        OutputGroup(3, False, "timed out"),
        OutputGroup(2, True, "ValueError"),
        OutputGroup(1, False, "1"),
    )


def test_a_single_group_is_shown_on_any_input():
    recorded_outputs = RecordedOutputs(
        (RecordedCall(0, "f", '[[],{"dict":[]}]', 1),), OUTPUTS, np.zeros((2, 1), np.int32)
    )
    seen = leading_groups(recorded_outputs, DistinctPrograms(np.arange(2), np.arange(2)), pick=0)
    assert (seen.count, seen.call, seen.groups) == (1, "f()", (OutputGroup(2, True, "1"),))


def test_an_input_of_a_program_is_shown_as_its_text():
    inputs = (RecordedCall(None, STDIN_CALL, '[["2\\n-1 1\\n"],{"dict":[]}]', 1),)
    recorded_outputs = RecordedOutputs(inputs, OUTPUTS, np.array([[0], [1]], np.int32))
    seen = leading_groups(recorded_outputs, DistinctPrograms(np.arange(2), np.arange(2)), pick=0)
    assert seen.call == r"standard input '2\n-1 1\n'"
