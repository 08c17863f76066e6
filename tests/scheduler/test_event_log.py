"""The event log keeps the contract of logs, and refuses files that are none."""

import sqlite3
from contextlib import suppress

import pytest

from testbudget.rewards.errors import InfrastructureError, UserError
from testbudget.scheduler.core.events import Paused
from testbudget.scheduler.event_log import LOG_FILE, LOG_SCHEMA_VERSION, Entry, EventLog, Note
from testbudget.testing.log_entries import every_kind, same
from testbudget.testing.logs import (
    CHECKS,
    check_a_full_disk_changes_nothing,
    check_a_killed_writer_leaves_whole_appends,
    check_a_torn_log_opens_with_whole_appends,
    check_every_kind_is_read_as_it_was_written,
)


def relaxed(path):
    return EventLog(path, durable=False)


@pytest.mark.parametrize("open_log", [EventLog, relaxed])
@pytest.mark.parametrize("check", CHECKS)
def test_the_event_log_keeps_the_contract_of_logs(check, open_log, tmp_path):
    check(open_log, tmp_path)


class SplitAppends(EventLog):
    """A log that writes the entries of an append one by one."""

    def append(self, entries, *, issued=None):
        for entry in entries:
            super().append([entry], issued=issued)
            issued = None


class LateAppends(EventLog):
    """A log that writes when it is closed."""

    def append(self, entries, *, issued=None):
        self.late = [*getattr(self, "late", []), (entries, issued)]

    def close(self):
        for entries, issued in getattr(self, "late", []):
            super().append(entries, issued=issued)
        super().close()


class SilentFailures(EventLog):
    """A log that goes on after an append that failed."""

    def append(self, entries, *, issued=None):
        with suppress(InfrastructureError):
            super().append(entries, issued=issued)


@pytest.mark.parametrize(
    ("open_log", "check"),
    [
        (SplitAppends, check_a_torn_log_opens_with_whole_appends),
        (SplitAppends, check_a_full_disk_changes_nothing),
        (LateAppends, check_every_kind_is_read_as_it_was_written),
        (LateAppends, check_a_killed_writer_leaves_whole_appends),
        (SilentFailures, check_a_full_disk_changes_nothing),
    ],
)
def test_a_log_that_breaks_the_contract_is_found_out(open_log, check, tmp_path):
    with pytest.raises(AssertionError):
        check(open_log, tmp_path)


def filled(folder):
    """A log with entries of every kind."""
    path = folder / LOG_FILE
    with EventLog(path) as log:
        log.append(every_kind())
    return path


def test_two_writers_at_once_are_refused_in_one_sentence(tmp_path):
    path = filled(tmp_path)
    with EventLog(path), pytest.raises(UserError, match="in use: another process is running it"):
        EventLog(path)


def test_a_file_that_is_no_event_log_is_refused(tmp_path):
    (tmp_path / LOG_FILE).write_bytes(b"not a database, but long enough to be looked at" * 20)
    with pytest.raises(UserError, match="must be the event log of a run"):
        EventLog(tmp_path / LOG_FILE)


@pytest.mark.parametrize("version", [0, LOG_SCHEMA_VERSION - 1, LOG_SCHEMA_VERSION + 1])
def test_a_log_of_another_schema_version_is_refused_with_the_command_to_run_the_job_again(
    tmp_path, version
):
    path = filled(tmp_path)
    with sqlite3.connect(path) as database:
        database.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(
        UserError, match=rf"has schema {version} but .* {LOG_SCHEMA_VERSION}.* run .*job\.yaml --out DIR"
    ):
        EventLog(path)


@pytest.mark.parametrize("name", ["missing/log.sqlite", "file/log.sqlite"])
def test_a_place_that_cannot_be_written_is_refused(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"log\.sqlite cannot be written"):
        EventLog(tmp_path / name)


def test_an_existing_log_in_a_place_without_space_is_refused_in_one_sentence_and_opens_later(tmp_path):
    path = filled(tmp_path)
    path.with_suffix(".sqlite-wal").mkdir()  # where the disk is to be written
    with pytest.raises(UserError, match=r"log\.sqlite cannot be written"):
        EventLog(path)
    path.with_suffix(".sqlite-wal").rmdir()
    with EventLog(path) as log:
        assert log.last_seq == len(every_kind())


@pytest.mark.parametrize(
    ("damage", "read"),
    [
        ("UPDATE records SET payload = substr(payload, 1, 9)", EventLog.entries),
        ("UPDATE records SET payload = x'01' || payload", EventLog.entries),
        ("UPDATE records SET payload = x'00'", EventLog.entries),
        ("UPDATE records SET kind = 'Other'", EventLog.entries),
        ("UPDATE records SET outputs = x'00' WHERE outputs NOT NULL", EventLog.entries),
        ("UPDATE events SET numbers = '{' WHERE kind = 'Assessed'", EventLog.events),
        ("UPDATE events SET numbers = '{}' WHERE kind = 'Assessed'", EventLog.events),
        ("""UPDATE events SET numbers = '{"other": 1}'""", EventLog.events),
    ],
)
def test_damage_inside_a_log_is_reported_in_one_sentence(tmp_path, damage, read):
    path = filled(tmp_path)
    with sqlite3.connect(path) as database:
        database.execute(damage)
    with EventLog(path) as log, pytest.raises(UserError, match="must be the event log of a run"):
        list(read(log))


def test_the_numbers_of_events_are_read_by_the_json_functions_of_sqlite(tmp_path):
    with sqlite3.connect(filled(tmp_path)) as database:
        rows = database.execute(
            "SELECT json_extract(numbers, '$.p_wrong[0]'), json_extract(numbers, '$.p_wrong[1]') "
            "FROM events WHERE kind = 'Assessed'"
        ).fetchall()
        assert rows == [(pytest.approx(1 / 3), None)]
        (kind,) = database.execute(
            "SELECT numbers ->> 'kind' FROM events WHERE kind = 'WorkerJoined' ORDER BY seq LIMIT 1"
        ).fetchone()
        assert kind == "POLICY_MODEL"


def test_a_reader_looks_while_the_log_is_written(tmp_path):
    path = filled(tmp_path)
    with EventLog(path) as log:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as reader:
            (before,) = reader.execute("SELECT MAX(seq) FROM events").fetchone()
            log.append([Entry(Paused(), 1.0)])
            assert reader.execute("SELECT MAX(seq) FROM events").fetchone() == (before + 1,)
        reader.close()


def test_only_the_first_entry_of_an_append_holds_the_number_of_issued_tasks(tmp_path):
    with EventLog(tmp_path / LOG_FILE) as log:
        for issued in (0, 7):
            log.append([Entry(Paused(), 1.0), Entry(Note("pools", {}), 1.0)], issued=issued)
        assert [entry.issued for entry in log.events()] == [0, None, 7, None]


def test_a_note_named_like_an_event_is_an_error_of_the_caller(tmp_path):
    with EventLog(tmp_path / LOG_FILE) as log:
        with pytest.raises(ValueError, match="must not be of the kind of an event"):
            log.append([Entry(Paused(), 1.0), Entry(Note("Paused", {}), 1.0)])
        assert log.last_seq == 0


def test_recorded_outputs_are_read_alone_or_left_out(tmp_path):
    (executed,) = (entry for entry in every_kind() if type(entry.event).__name__ == "Executed")
    with EventLog(tmp_path / LOG_FILE) as log:
        log.append([executed])
        (light,) = log.entries(outputs=False)
        assert [record.outputs for record in light.records] == [None, None]
        assert all(
            same(found, executed.records[number - 1])
            for number, found in log.records(range(1, len(executed.records) + 1))
        )


def test_a_log_on_a_network_file_system_takes_another_journal_and_says_so(tmp_path):
    path = tmp_path / "log.sqlite"
    with EventLog(path, file_system="nfs4") as log:
        log.append([Entry(Paused(), 1.0)])
        assert "lies on a network file system (nfs4): its log uses a rollback journal" in log.remark
        assert not path.with_name("log.sqlite-wal").exists()
    with EventLog(path, file_system="ext4") as log:  # moved to another disk
        assert log.remark == ""
        assert log.last_seq == 1


def test_a_mounted_object_store_is_refused_with_what_to_give_instead(tmp_path):
    with pytest.raises(
        UserError, match=r"must not be an object store that is mounted \(fuse\.s3fs\).*s3://"
    ):
        EventLog(tmp_path / "log.sqlite", file_system="fuse.s3fs")
    assert list(tmp_path.iterdir()) == []
