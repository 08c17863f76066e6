"""The event log: reopening, transactions, and files that are refused."""

import sqlite3

import numpy as np
import pytest

from testbudget.rewards.errors import UserError
from testbudget.rewards.outputs import (
    NO_RESULT,
    CallEnding,
    CallResult,
    RecordedCall,
    RecordedOutputs,
    join_outputs,
)
from testbudget.scheduler.event_log import EventLog
from testbudget.traces.hidden_states import Provenance
from testbudget.traces.records import (
    CandidateRecord,
    HarmCheckRecord,
    HiddenStatesRecord,
    TaskRecord,
    TestRecord,
    TestStatus,
    VerdictRecord,
)

PROVENANCE = Provenance("model", "ab" * 32, 24, "vllm", "bfloat16")


def fill(event_log: EventLog) -> None:
    """Log a record of every kind."""
    with event_log.transaction():
        event_log.add_candidate("p", 1, CandidateRecord("    return 2\n", True, 3, 0.5))
        event_log.add_candidate("p", 0, CandidateRecord("    return 1\n", True, 3, float("nan")))
        event_log.add_labels("p", np.array([True, False]))
        event_log.add_task(TaskRecord("p", 0, 2))
        event_log.add_harm_check("p", HarmCheckRecord(5, stops=False))
        event_log.add_harm_check("p", HarmCheckRecord(8, stops=True))
        event_log.add_test("p", 0, TestRecord(TestStatus.USABLE, "text é", 7, 9, 0.25))
        verdicts, seconds = np.array([1, 0], np.uint8), np.array([0.5, 0.25], np.float32)
        event_log.add_verdicts("p", 0, VerdictRecord(verdicts, seconds, np.array([True, False]), 5))
        event_log.add_extraction((12, 24), PROVENANCE)
        states = np.arange(6, dtype=np.float16).reshape(2, 3)
        event_log.add_states("p", HiddenStatesRecord(states, True, 0.5, 0.0))
        event_log.add_states("q", HiddenStatesRecord(states + 6, None, float("nan"), 0.25))


def test_all_records_are_read_again_after_reopening(tmp_path):
    with EventLog(tmp_path / "log.sqlite") as event_log:
        fill(event_log)
    with EventLog(tmp_path / "log.sqlite") as event_log:
        first, second = event_log.candidates_of("p")
        assert (first.text, second.text) == ("    return 1\n", "    return 2\n")
        assert np.isnan(first.gpu_seconds)
        assert second.gpu_seconds == 0.5
        assert event_log.labels["p"].tolist() == [True, False]
        assert event_log.tasks["p"] == [TaskRecord("p", 0, 2)]
        assert event_log.granted("p") == 2
        assert event_log.harm_checks == {"p": HarmCheckRecord(8, stops=True)}
        assert event_log.tests["p"] == {0: TestRecord(TestStatus.USABLE, "text é", 7, 9, 0.25)}
        assert event_log.verdicts["p"][0].verdicts.tolist() == [1, 0]
        assert event_log.verdicts["p"][0].cpu_seconds.tolist() == [0.5, 0.25]
        assert event_log.verdicts["p"][0].same_process.tolist() == [True, False]
        assert event_log.verdicts["p"][0].input_mutations == 5
        assert (event_log.layers, event_log.provenance) == ((12, 24), PROVENANCE)
        first, second = event_log.states["p"], event_log.states["q"]
        assert second.states.tolist() == [[6, 7, 8], [9, 10, 11]]
        assert (first.truncated, first.cpu_seconds, first.gpu_seconds) == (True, 0.5, 0.0)
        assert (second.truncated, second.gpu_seconds) == (None, 0.25)
        assert np.isnan(second.cpu_seconds)


def test_a_transaction_that_fails_leaves_nothing(tmp_path):
    with EventLog(tmp_path / "log.sqlite") as event_log:
        fill(event_log)
        with pytest.raises(sqlite3.IntegrityError), event_log.transaction():
            for first in (2, 0):
                event_log.add_task(TaskRecord("p", first, 2))
    with EventLog(tmp_path / "log.sqlite") as event_log:
        assert event_log.granted("p") == 2


def test_a_test_verdict_or_task_is_logged_once(tmp_path):
    with EventLog(tmp_path / "log.sqlite") as event_log:
        fill(event_log)
        with pytest.raises(sqlite3.IntegrityError):
            event_log.add_verdicts("p", 0, event_log.verdicts["p"][0])
        with pytest.raises(sqlite3.IntegrityError):
            event_log.add_test("p", 0, event_log.tests["p"][0])
        with pytest.raises(sqlite3.IntegrityError):
            event_log.add_task(TaskRecord("p", 0, 1))


def test_two_writers_at_once_are_refused(tmp_path):
    with (
        EventLog(tmp_path / "log.sqlite"),
        pytest.raises(UserError, match="another process is running it"),
    ):
        EventLog(tmp_path / "log.sqlite")


def test_a_file_that_is_no_event_log_is_refused(tmp_path):
    (tmp_path / "log.sqlite").write_bytes(b"not a database, but long enough to be looked at" * 20)
    with pytest.raises(UserError, match="must be the event log of a run"):
        EventLog(tmp_path / "log.sqlite")


def test_recorded_outputs_of_all_tests_are_joined_in_their_order(tmp_path):
    parts = {
        test: RecordedOutputs(
            (RecordedCall(test, "f", "[[1], {}]", test),),
            (
                CallResult(CallEnding.RETURNED, test, "1"),
                CallResult(CallEnding.RAISED, 2**64 - 1, "ValueError"),
            ),
            np.array([[0], [1], [NO_RESULT]], np.int32),
        )
        for test in (10, 2)
    }
    with EventLog(tmp_path / "log.sqlite") as event_log, event_log.transaction():
        for test, recorded_outputs in parts.items():
            event_log.add_recorded_outputs("p", test, recorded_outputs)
    expected = join_outputs([parts[2], parts[10]])
    with EventLog(tmp_path / "log.sqlite") as event_log:
        found = event_log.recorded_outputs_of("p")
        assert (found.inputs, found.outputs) == (expected.inputs, expected.outputs)
        np.testing.assert_array_equal(found.results, expected.results)
        assert event_log.recorded_outputs_of("other") is None


def test_a_log_of_another_schema_version_is_refused_with_the_command_to_run_the_job_again(tmp_path):
    path = tmp_path / "log.sqlite"
    with EventLog(path) as event_log:
        fill(event_log)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 0")
    with pytest.raises(UserError, match=r"has schema 0 .* testbudget run .*job\.yaml --out DIR"):
        EventLog(path)
