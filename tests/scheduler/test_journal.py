import sqlite3

import numpy as np
import pytest

from difficulty.hidden_states import Provenance
from rewards.errors import UserError
from scheduler.journal import Journal
from scheduler.records import (
    CandidateRecord,
    GrantRecord,
    LookRecord,
    StatesRecord,
    TestRecord,
    TestStatus,
    VerdictRecord,
)

PROVENANCE = Provenance("model", "ab" * 32, 24, "vllm", "bfloat16")


def fill(journal: Journal) -> None:
    with journal.transaction():
        journal.add_candidate("p", 1, CandidateRecord("    return 2\n", True, 3, 0.5))
        journal.add_candidate("p", 0, CandidateRecord("    return 1\n", True, 3, float("nan")))
        journal.add_labels("p", np.array([True, False]))
        journal.add_grant(GrantRecord("p", 0, 2))
        journal.add_look("p", LookRecord(5, stops=False))
        journal.add_look("p", LookRecord(8, stops=True))
        journal.add_test("p", 0, TestRecord(TestStatus.USABLE, "text é", 7, 9, 0.25))
        verdicts, seconds = np.array([1, 0], np.uint8), np.array([0.5, 0.25], np.float32)
        journal.add_verdicts("p", 0, VerdictRecord(verdicts, seconds, np.array([True, False]), 5))
        journal.add_extraction((12, 24), PROVENANCE)
        states = np.arange(6, dtype=np.float16).reshape(2, 3)
        journal.add_states("p", StatesRecord(states, True, 0.5, 0.0))
        journal.add_states("q", StatesRecord(states + 6, None, float("nan"), 0.25))


def test_what_was_added_is_there_after_opening_again(tmp_path):
    with Journal(tmp_path / "journal.sqlite") as journal:
        fill(journal)
    with Journal(tmp_path / "journal.sqlite") as journal:
        first, second = journal.candidates_of("p")
        assert (first.text, second.text) == ("    return 1\n", "    return 2\n")
        assert np.isnan(first.gpu_seconds)
        assert second.gpu_seconds == 0.5
        assert journal.labels["p"].tolist() == [True, False]
        assert journal.grants["p"] == [GrantRecord("p", 0, 2)]
        assert journal.granted("p") == 2
        assert journal.looks == {"p": LookRecord(8, stops=True)}
        assert journal.tests["p"] == {0: TestRecord(TestStatus.USABLE, "text é", 7, 9, 0.25)}
        assert journal.verdicts["p"][0].verdicts.tolist() == [1, 0]
        assert journal.verdicts["p"][0].cpu_seconds.tolist() == [0.5, 0.25]
        assert journal.verdicts["p"][0].together.tolist() == [True, False]
        assert journal.verdicts["p"][0].variations == 5
        assert (journal.layers, journal.provenance) == ((12, 24), PROVENANCE)
        first, second = journal.states["p"], journal.states["q"]
        assert second.states.tolist() == [[6, 7, 8], [9, 10, 11]]
        assert (first.truncated, first.cpu_seconds, first.gpu_seconds) == (True, 0.5, 0.0)
        assert (second.truncated, second.gpu_seconds) == (None, 0.25)
        assert np.isnan(second.cpu_seconds)


def test_a_transaction_that_fails_leaves_nothing(tmp_path):
    with Journal(tmp_path / "journal.sqlite") as journal:
        fill(journal)
        with pytest.raises(sqlite3.IntegrityError), journal.transaction():
            for first in (2, 0):
                journal.add_grant(GrantRecord("p", first, 2))
    with Journal(tmp_path / "journal.sqlite") as journal:
        assert journal.granted("p") == 2


def test_a_test_or_verdict_is_kept_once(tmp_path):
    with Journal(tmp_path / "journal.sqlite") as journal:
        fill(journal)
        with pytest.raises(sqlite3.IntegrityError):
            journal.add_verdicts("p", 0, journal.verdicts["p"][0])
        with pytest.raises(sqlite3.IntegrityError):
            journal.add_test("p", 0, journal.tests["p"][0])
        with pytest.raises(sqlite3.IntegrityError):
            journal.add_grant(GrantRecord("p", 0, 1))


def test_two_writers_at_once_are_refused(tmp_path):
    with (
        Journal(tmp_path / "journal.sqlite"),
        pytest.raises(UserError, match="another process is running it"),
    ):
        Journal(tmp_path / "journal.sqlite")


def test_a_file_that_is_no_journal_is_refused(tmp_path):
    (tmp_path / "journal.sqlite").write_bytes(b"not a database, but long enough to be looked at" * 20)
    with pytest.raises(UserError, match="must be the journal of a run"):
        Journal(tmp_path / "journal.sqlite")
