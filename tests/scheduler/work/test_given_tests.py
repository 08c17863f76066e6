"""Tests of a file: granted in their order, as they are, and the same when a run goes on."""

import json

import pytest

from testbudget.executors.generation.base import Completion
from testbudget.executors.generation.unit_tests import UnitTestGenerator
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import Problem, TestKind
from testbudget.scheduler.core.events import Paused
from testbudget.scheduler.event_log import Entry, EventLog
from testbudget.scheduler.evidence_store import EvidenceStore
from testbudget.scheduler.log_records import GeneratedRecord
from testbudget.scheduler.work.given_tests import given_tests, kept_tests
from testbudget.traces.records import CandidateRecord, ProblemCandidates, TestRecord, TestStatus
from testbudget.traces.tables import read_trace

ADD = Problem("add", "def add(a, b):\n", "add")
ECHO = Problem("echo", "Print the input.", None)
ROWS = [
    {"problem": "add", "code": "assert add(1, 2) == 3", "id": "first", "author": "me"},
    {"problem": "echo", "stdin": "1\n", "expected_stdout": "1\n"},
    {"problem": "add", "code": "assert add(1,  2) == 3  # again"},
    {"problem": "add", "code": "def test_it():\n    assert add(2, 2) == 4", "kind": "pytest"},
    {"problem": "other", "code": "assert other()"},
]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "tests.jsonl"
    path.write_text("\n".join(map(json.dumps, ROWS)))
    return path


@pytest.fixture
def store(tmp_path):
    with EventLog(tmp_path / "log.sqlite") as log:
        yield EvidenceStore(log)


def test_tests_keep_their_order_kind_and_metadata_and_cost_no_tokens(path, store):
    trace = given_tests(path, [ADD, ECHO], store)
    add = trace.problem(ADD).tests
    assert [add[index].kind for index in range(3)] == [TestKind.ASSERT, TestKind.ASSERT, TestKind.PYTEST]
    assert json.loads(add[0].metadata) == {"id": "first", "author": "me"}
    assert add[1].metadata == ""
    assert {(test.tokens, test.gpu_seconds) for test in add.values()} == {(0, 0)}
    assert trace.problem(ECHO).tests[0].kind is TestKind.STDIN


def test_tests_that_no_candidate_can_pass_are_counted_and_refused_if_there_are_no_others(
    tmp_path, path, store, caplog
):
    useless = [
        {"problem": "add", "code": code} for code in ("add(1, 2)", "assert add(1", "assert 1 + 2 == 3")
    ]
    path.write_text("\n".join(map(json.dumps, [*useless, *ROWS])))
    given_tests(path, [ADD, ECHO], store)
    told = (
        f"{path} has 3 of 7 tests that no candidate can pass, which count against all: that of {path}:1 "
        "asserts nothing"
    )
    assert any(told in message for message in caplog.messages)
    path.write_text("\n".join(map(json.dumps, useless[1:])))
    with pytest.raises(
        UserError, match=r"tests that a candidate can pass but has none: .*:1 does not parse"
    ):
        given_tests(path, [ADD], store)


def test_code_is_taken_as_it_is_and_the_same_test_again_is_a_duplicate(path, store):
    given = kept_tests(given_tests(path, [ADD, ECHO], store), with_verdicts=False)
    generator = UnitTestGenerator(None, seed=7, given=given)
    candidates = ProblemCandidates.of(ADD, [CandidateRecord("def add(a, b): return a + b", False, 0, 0.0)])
    requests = generator.requests(candidates, range(3))
    answers = [Completion("", 0, 0.0, "recorded")] * 3
    records = generator.records(candidates, requests, answers, [])
    assert [record.status for record in records] == [
        TestStatus.USABLE,
        TestStatus.DUPLICATE,
        TestStatus.USABLE,
    ]
    test = generator.unit_test(candidates, 2, records[2])
    assert (test.code, test.kind, test.index) == (ROWS[3]["code"], TestKind.PYTEST, 2)
    later = generator.records(candidates, requests[1:2], answers[:1], records[:1])
    assert later[0].status is TestStatus.DUPLICATE


def test_a_test_that_does_not_parse_is_taken_and_fails_when_it_is_judged(tmp_path, store):
    path = tmp_path / "tests.jsonl"
    broken = {"problem": "add", "code": "assert add(1, 2 == 3", "kind": "assert"}
    path.write_text("\n".join(map(json.dumps, [broken, ROWS[0]])))
    generator = UnitTestGenerator(
        None, 0, given=kept_tests(given_tests(path, [ADD], store), with_verdicts=False)
    )
    candidates = ProblemCandidates.of(ADD, [CandidateRecord("", False, 0, 0.0)])
    (record,) = generator.records(
        candidates, generator.requests(candidates, [0]), [Completion("", 0, 0.0, "recorded")], []
    )
    assert record.status is TestStatus.USABLE


def test_rows_and_problems_that_go_without_are_told(path, store, caplog):
    given_tests(path, [ADD, ECHO, Problem("lonely", "p", "f")], store)
    told = "\n".join(record.getMessage() for record in caplog.records)
    assert "other" in told
    assert "has no test of 1 problems, such as lonely" in told


def test_a_file_that_has_changed_does_not_continue_a_run(path, store):
    test = TestRecord(TestStatus.USABLE, "assert add(1, 2) == 4", 0, 0.0, 0.0)
    store.apply(Entry(Paused(), 0.0, (GeneratedRecord("add", 0, (test,)),)))
    with pytest.raises(UserError, match="must be as the run began with it but test 0 of add differs"):
        given_tests(path, [ADD, ECHO], store)


def test_a_recording_without_given_tests_gives_none(recorded):
    recording = read_trace(recorded.directory)
    assert kept_tests(recording, with_verdicts=False) == {}
    kept = kept_tests(recording, with_verdicts=True)
    assert kept == {
        problem: dict(trace.tests) for problem, trace in recording.problems.items() if trace.tests
    }
    assert kept_tests(None, with_verdicts=True) == {}
