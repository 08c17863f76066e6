"""Counts of the reasons of unconfirmed and errored pairs."""

import numpy as np

from testbudget.analysis.verdict_reasons import count_cut_pairs, count_reasons
from testbudget.rewards.problem import NOT_RUN, Verdict
from testbudget.rewards.verdict_reason import GENERAL_SENTENCES, VerdictReason
from testbudget.traces.pair_reasons import NO_REASON, PairReasons
from testbudget.traces.records import VerdictRecord

P, E, U = Verdict.PASSED, Verdict.ERRORED, Verdict.UNCONFIRMED


def record(*verdicts):
    zeros = np.zeros(len(verdicts))
    return VerdictRecord(np.array(verdicts, np.uint8), zeros.astype(np.float32), zeros > 0)


VERDICTS = {0: record(P, E, U, NOT_RUN), 4: record(E, E, U, U)}
RECORDED = PairReasons(
    (4,),
    (VerdictReason("It raised."), VerdictReason("It agreed.")),
    np.array([[0], [0], [1]], np.int32),
    np.array([[0], [0.05], [0]], np.float32),
)


def test_reasons_are_counted_and_pairs_without_one_under_the_general_sentence():
    assert count_reasons(VERDICTS, RECORDED) == {
        (E, "It raised."): 2,
        (E, GENERAL_SENTENCES[E]): 1,
        (U, "It agreed."): 1,
        (U, GENERAL_SENTENCES[U]): 2,
    }
    assert count_reasons(VERDICTS, None) == {(E, GENERAL_SENTENCES[E]): 3, (U, GENERAL_SENTENCES[U]): 3}


def test_a_number_of_no_reason_counts_under_the_general_sentence():
    unknown = PairReasons((4,), (), np.full((4, 1), NO_REASON, np.int32), np.zeros((4, 1), np.float32))
    assert count_reasons(VERDICTS, unknown) == count_reasons(VERDICTS, None)


def test_cut_pairs_are_counted():
    assert count_cut_pairs(RECORDED) == 1
    assert count_cut_pairs(None) == 0
