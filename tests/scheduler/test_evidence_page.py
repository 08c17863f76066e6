"""The page of a problem: the first of two records of the same work counts, also for outputs."""

import numpy as np

from testbudget.rewards.outputs import (
    CallEnding,
    CallResult,
    Evidence,
    RecordedCall,
    RecordedOutputs,
    join_outputs,
)
from testbudget.rewards.votes import Votes
from testbudget.scheduler.evidence_page import EvidencePage
from testbudget.scheduler.log_records import ExecutedRecord, GeneratedRecord, LabelledRecord
from testbudget.traces.records import TestRecord, TestStatus, VerdictRecord


def verdict(passed):
    return VerdictRecord(np.array([passed, 0], np.uint8), np.zeros(2, np.float32), np.zeros(2, np.bool_))


def outputs(test, digest):
    calls = (RecordedCall(test, "f", "[1]", 1),)
    return RecordedOutputs(
        calls, (CallResult(CallEnding.RETURNED, digest, ""),), np.zeros((2, 1), np.int32)
    )


def test_the_first_record_of_the_same_work_counts():
    page = EvidencePage()
    for text in ("one", "two"):
        page.add(1, GeneratedRecord("p", 0, (TestRecord(TestStatus.USABLE, text, 0, 1.0, 0.0),)))
    page.add(3, ExecutedRecord("p", (0,), (verdict(1),), outputs(0, 7)))
    page.add(4, ExecutedRecord("p", (0, 1), (verdict(0), verdict(1)), outputs(1, 8)))
    for value in (True, False):
        page.add(5, LabelledRecord("p", np.full(2, value)))
    assert page.tests[0].text == "one"
    assert page.verdicts[0].verdicts[0] == 1
    assert page.executed_in == {0: 3, 1: 4}
    assert page.rung_ends == [1, 2]
    assert [call.test for call in page.outputs_of([0, 1]).inputs] == [0, 1]
    assert page.labels.all()


def test_outputs_of_more_and_of_other_tests_are_as_if_they_were_asked_for_at_once():
    page = EvidencePage()
    both = join_outputs([outputs(2, 9), outputs(3, 7)])
    page.add(3, ExecutedRecord("p", (0,), (verdict(1),), outputs(0, 7)))
    page.add(4, ExecutedRecord("p", (1,), (verdict(1),), None))
    page.outputs[4] = None
    page.add(5, ExecutedRecord("p", (2, 3), (verdict(1), verdict(0)), both))

    def digests(*tests):
        found = page.outputs_of(tests)
        return [found.outputs[column[0]].digest for column in found.results.T]

    assert page.outputs_of([1]) is None
    assert digests(0) == digests(0, 1) == [7]
    assert digests(0, 1, 2) == [7, 9]
    assert digests(0, 1, 2, 3) == [7, 9, 7]
    assert digests(1, 3) == [7]
    assert digests(0, 1, 2, 3) == [7, 9, 7]


def test_a_page_without_records_is_empty():
    page = EvidencePage()
    assert (page.candidates, page.tests, page.verdicts, page.labels, page.states) == (
        (),
        {},
        {},
        None,
        None,
    )


def test_evidence_is_forgotten_with_each_record():
    page = EvidencePage(evidence=((0,), Evidence(Votes(2))))
    page.add(3, ExecutedRecord("p", (0,), (verdict(1),), outputs(0, 7)))
    assert page.evidence is None
