import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbudget.executors.execution.lost_pairs import (
    LOST_SENTENCE,
    SandboxCalls,
    SandboxEndedError,
    answer_in_parts,
)
from testbudget.executors.execution.output_digests import BlockCalls, outputs_on_tests
from testbudget.executors.execution.sandbox_process import COLUMNS, BlockAnswer
from testbudget.rewards.errors import SandboxError
from testbudget.rewards.problem import NOT_RUN
from testbudget.rewards.verdict_reason import VerdictReason


def answer_on(pairs):
    """Answer whose columns, reasons and calls tell the pairs apart."""
    columns = [pairs.sum(axis=1).astype(kind) for kind in COLUMNS[:-1]]
    tests, numbers = np.unique(pairs[:, 1], return_inverse=True)
    calls = [f'["f",[{test}],{{}}]' for test in tests]
    results = [f'["r",{candidate}]' for candidate in pairs[:, 0]]
    paths = [[number, place] for place, number in enumerate(numbers.tolist())]
    return BlockAnswer(
        [*columns, numbers.astype(np.int32)],
        [VerdictReason(f"test {test}") for test in tests],
        BlockCalls(calls, results, paths, list(range(len(paths)))),
    )


def sandbox_that_ends_under(culprits, seen):
    def answer(pairs):
        seen.append(len(pairs))
        if any(tuple(pair) in culprits for pair in pairs.tolist()):
            raise SandboxEndedError("no memory")
        return answer_on(pairs)

    return SandboxCalls(answer, lambda: None)


ALL_PAIRS = np.argwhere(np.ones((6, 5), np.bool_))


@given(st.sets(st.sampled_from([tuple(pair) for pair in ALL_PAIRS.tolist()])))
def test_the_pairs_that_end_the_sandbox_are_lost_and_the_others_answered_as_in_one_block(culprits):
    (columns, reasons, calls), lost = answer_in_parts(ALL_PAIRS, sandbox_that_ends_under(culprits, []))
    assert [tuple(pair) for pair in ALL_PAIRS[lost].tolist()] == sorted(culprits)
    whole = answer_on(ALL_PAIRS)
    for column, expected in zip(columns[:-1], whole.columns[:-1], strict=True):
        assert column.dtype == expected.dtype
        np.testing.assert_array_equal(column[~lost], expected[~lost])
    assert set(columns[0][lost].tolist()) <= {NOT_RUN}
    sentences = [reasons[number].sentence for number in columns[-1].tolist()]
    assert sentences == [
        LOST_SENTENCE if one else f"test {test}" for one, (_, test) in zip(lost, ALL_PAIRS, strict=True)
    ]
    outputs, expected = (
        outputs_on_tests(found, ALL_PAIRS[kept], 6, range(5))
        for found, kept in (
            (calls, slice(None)),
            (answer_on(ALL_PAIRS[~lost]).calls, ~lost),
        )
    )
    assert outputs.inputs == expected.inputs
    for candidate, column in np.argwhere(outputs.results >= 0):
        assert (
            outputs.outputs[outputs.results[candidate, column]]
            == expected.outputs[expected.results[candidate, column]]
        )


def test_one_culprit_costs_few_parts():
    seen = []
    answer_in_parts(ALL_PAIRS, sandbox_that_ends_under({(3, 3)}, seen))
    assert len(seen) <= 2 * np.ceil(np.log2(len(ALL_PAIRS))) + 2


def test_no_pair_is_blamed_for_a_sandbox_that_judges_nothing():
    def probe():
        raise SandboxError("nothing works")

    everything = {tuple(pair) for pair in ALL_PAIRS.tolist()}
    sandbox = sandbox_that_ends_under(everything, [])
    with pytest.raises(SandboxError, match="nothing works"):
        answer_in_parts(ALL_PAIRS, SandboxCalls(sandbox.answer, probe))
