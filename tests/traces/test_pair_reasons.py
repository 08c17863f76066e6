"""Reasons of pairs: selected, joined and numbered."""

import numpy as np

from testbudget.rewards.verdict_reason import DetailName, VerdictReason
from testbudget.traces.pair_reasons import NO_REASON, PairReasons, distinct_reasons, join_reasons

PASSED, FAILED = VerdictReason("The test passed."), VerdictReason("It failed.", {DetailName.LINE: "3"})
ELSEWHERE = VerdictReason("It failed.", {DetailName.LINE: "4"})
FIRST = PairReasons(
    (0, 2),
    (PASSED, FAILED),
    np.array([[0, 1], [1, NO_REASON]], np.int32),
    np.array([[0, 0.05], [0, 0]], np.float32),
)
SECOND = PairReasons(
    (5,), (ELSEWHERE, FAILED), np.array([[1], [0]], np.int32), np.zeros((2, 1), np.float32)
)


def test_reasons_are_distinct_by_sentence_and_details():
    reasons, numbers = distinct_reasons([PASSED, FAILED, VerdictReason("It failed."), PASSED, ELSEWHERE])
    assert len(reasons) == 4
    assert numbers.tolist() == [0, 1, 2, 0, 3, NO_REASON]


def test_reasons_of_several_sets_of_tests_are_joined():
    joined = join_reasons([FIRST, SECOND])
    assert joined.tests == (0, 2, 5)
    assert joined.reasons == (PASSED, FAILED, ELSEWHERE)
    assert joined.numbers.tolist() == [[0, 1, 1], [1, NO_REASON, 2]]
    assert joined.cut_at[0].tolist() == [0, np.float32(0.05), 0]
    assert joined.of_test(5) == [FAILED, ELSEWHERE]
    assert joined.of_test(2) == [FAILED, None]
    assert joined.of_test(7) == [None, None]


def test_reasons_of_some_tests_and_programs_keep_only_what_they_use():
    kept = FIRST.of_tests([2])
    assert kept.reasons == (FAILED,)
    assert kept.numbers.tolist() == [[0], [NO_REASON]]
    assert FIRST.of_tests([7, 0]).numbers.tolist() == [[NO_REASON, 0], [NO_REASON, 1]]
    wider = kept.of_programs(np.array([4, 0]))
    assert wider.numbers.tolist() == [[NO_REASON], [0]]
    assert wider.cut_at.tolist() == [[0], [np.float32(0.05)]]
