"""Blocks joined with the pairs that were executed again, to their full limit."""

from dataclasses import replace

import numpy as np

from testbudget.executors.execution.output_digests import call_digest
from testbudget.rewards.outputs import NO_RESULT, CallEnding, CallResult, RecordedCall, RecordedOutputs
from testbudget.rewards.problem import NOT_RUN, Verdict
from testbudget.rewards.verdict_reason import GENERAL_SENTENCES
from testbudget.scheduler.work.settling import with_settled
from tests.scheduler.blocks import block_of

P, F, T = Verdict.PASSED, Verdict.FAILED, Verdict.TIMED_OUT
ENDED = CallResult(CallEnding.TIMED_OUT, 0, "")


def call(test, argument):
    return RecordedCall(test, "f", f"[[{argument}], {{}}]", call_digest("f", [[argument], {}]))


def outputs_of(inputs, outputs, results):
    return RecordedOutputs(tuple(inputs), tuple(outputs), np.array(results, np.int32))


def returned(value):
    return CallResult(CallEnding.RETURNED, value, str(value))


def test_pairs_that_were_executed_again_replace_verdicts_and_add_their_cost():
    block = block_of([[P, P, P], [P, T, NOT_RUN]])
    block.cut_at[1, 1] = 0.05
    settled = block_of([[P, F]])
    again = np.array([[False, False, False], [False, True, True]])
    joined = with_settled(block, settled, again, [0, 1, 2])
    assert joined.verdicts.tolist() == [[P, P, P], [P, P, F]]
    assert joined.cpu_seconds.tolist() == [[1, 1, 1], [1, 2, 2]]
    assert not joined.cut_at.any()
    sentences = [[joined.reasons[number].sentence for number in row] for row in joined.reason_of.tolist()]
    passed, failed = GENERAL_SENTENCES[P], GENERAL_SENTENCES[F]
    assert sentences == [[passed] * 3, [passed, passed, failed]]


def test_outputs_of_the_second_execution_count_and_those_of_a_test_stay_together():
    first = outputs_of(
        [call(4, 1), call(4, 2), call(7, 1)],
        [returned(10), ENDED],
        [[0, 0, 0], [0, 1, 0]],
    )
    block = replace(block_of([[P, P], [T, P]]), recorded_outputs=first)
    block.cut_at[1, 0] = 0.05
    second = outputs_of([call(4, 1), call(4, 2), call(4, 3)], [returned(20), returned(10)], [[1, 0, 0]])
    settled = replace(block_of([[P]]), recorded_outputs=second)
    joined = with_settled(block, settled, np.array([[False, False], [True, False]]), [4, 7])
    found = joined.recorded_outputs
    assert [item.test for item in found.inputs] == [4, 4, 4, 7]
    assert [item.arguments for item in found.inputs[:3]] == [f"[[{n}], {{}}]" for n in (1, 2, 3)]
    values = [[None if n == NO_RESULT else found.outputs[n].example for n in row] for row in found.results]
    assert values == [["10", "10", None, "10"], ["10", "20", "20", "10"]]


def test_an_input_that_a_test_repeats_stays_two_inputs():
    inputs = [call(0, 1), call(0, 1)]
    first = outputs_of(inputs, [returned(1), ENDED], [[0, 1]])
    second = outputs_of(inputs, [returned(1), returned(2)], [[0, 1]])
    block, settled = (replace(block_of([[T]]), recorded_outputs=found) for found in (first, second))
    found = with_settled(block, settled, np.array([[True]]), [0]).recorded_outputs
    assert [found.outputs[number].example for number in found.results[0]] == ["1", "2"]
