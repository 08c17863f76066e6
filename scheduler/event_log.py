"""The event log of a run: an append-only SQLite file. All state of a run is a fold of it.

An event is appended before anything is done about it, so a run that is killed at any moment is resumed from
its log. WAL mode, one writer; readers may look at any time. On a network file system, where WAL's shared
memory does not work, the rollback mode takes its place, and readers and the writer wait for each other.

======================  ==================================================================================
``events``              ``seq``, ``time``, ``issued``, ``kind`` (operation code), ``numbers`` (JSON of the
                        event's columns): all that a fold of the core reads
``records``             ``number``, ``seq`` of the event, ``kind``, ``problem``, ``payload`` (texts,
                        verdicts), ``outputs`` (recorded outputs), ``reasons``; see ``record_codec``
======================  ==================================================================================

``PRAGMA user_version`` holds ``LOG_SCHEMA_VERSION``; a log of another version is refused.
"""

import fcntl
import itertools
import json
import sqlite3
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Self

import msgpack

from testbudget.rewards.errors import InfrastructureError, UserError
from testbudget.scheduler.core.events import Event
from testbudget.scheduler.event_codec import EVENTS, decode_event, encode_event
from testbudget.scheduler.log_records import Record
from testbudget.scheduler.record_codec import decode_record, encode_record
from testbudget.traces.file_systems import file_system_of, is_network, is_object_mount
from testbudget.traces.tables import check_schema_version

LOG_FILE = "log.sqlite"
"""Name of the event log in a run directory."""

LOG_SCHEMA_VERSION = 4
"""Version of the log's tables, operation codes and records."""

_TABLES = (
    "CREATE TABLE events (seq INTEGER PRIMARY KEY, time REAL NOT NULL, issued INTEGER, kind TEXT NOT NULL,"
    " numbers TEXT NOT NULL)",
    "CREATE TABLE records (number INTEGER PRIMARY KEY, seq INTEGER NOT NULL, kind TEXT NOT NULL,"
    " problem TEXT NOT NULL, payload BLOB NOT NULL, outputs BLOB,"
    " reasons BLOB)",
)
_BUSY_SECONDS = 60.0  # for which the writer waits for readers
_REMARK = (
    "{directory} lies on a network file system ({kind}): its log uses a rollback journal, which is slower; "
    "only one machine may run it"
)
_DAMAGED = (ValueError, KeyError, TypeError, zlib.error, msgpack.UnpackException)


@dataclass(frozen=True, slots=True, eq=False)
class Note:
    """A happening that is no event of the core, such as the use of the workers or a restart.

    Attributes:
        kind: operation code in lower case.
        values: plain values that JSON can hold.
    """

    kind: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One entry of the log.

    Attributes:
        event: an event of the core or a note.
        time: seconds on the clock of the run.
        records: content of the event, one record for each of its tasks in their order, or none.
        issued: tasks that the core had issued before the append of which this entry was the first; None
            for the others of an append. A fold that has issued another number then decides differently.
    """

    event: Event | Note
    time: float
    records: tuple[Record, ...] = ()
    issued: int | None = None


class EventLog:
    """Events of one run in a file. A context manager that closes it.

    Nothing is kept in memory but the open file.

    Args:
        path: the file; it is created if it does not exist.
        durable: True flushes each append to the disk (fsync) before it returns. False leaves that to the
            operating system: a kill loses nothing, a power failure may lose the last appends.
        file_system: type of the file system that the path lies on; None has it looked up.

    Attributes:
        remark: sentence about the file system; empty if there is nothing to say.

    Raises:
        UserError: another process has the log open, the file is no event log, is damaged, has another
            schema version, or cannot be written; or it lies on an object store that is mounted.
    """

    def __init__(self, path: Path, *, durable: bool = True, file_system: str | None = None) -> None:
        self._path = path
        kind = file_system_of(path) if file_system is None else file_system
        if is_object_mount(kind):
            raise UserError(
                f"{path.parent} must not be an object store that is mounted ({kind}), where a log cannot "
                "grow: give its URL instead, such as --out s3://bucket/runs/a"
            )
        self.remark = _REMARK.format(directory=path.parent, kind=kind) if is_network(kind) else ""
        self._lock = _locked(path)
        try:
            self._database = _opened(path, durable, "TRUNCATE" if self.remark else "WAL")
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and release its lock."""
        self._database.close()
        self._lock.close()

    @property
    def last_seq(self) -> int:
        """Number of the last entry, from 1; 0 if there is none."""
        return self._largest("seq", "events")

    @property
    def last_record(self) -> int:
        """Number of the last record, from 1 in the order of the log; 0 if there is none."""
        return self._largest("number", "records")

    def append(self, entries: Sequence[Entry], *, issued: int | None = None) -> None:
        """Add entries in one transaction: all of them or none.

        Args:
            entries: in order; their own ``issued`` is not used.
            issued: tasks that the core has issued so far, kept with the first entry.

        Raises:
            InfrastructureError: the file cannot be written, for example because the disk is full. It is
                as before, and a later append works when it can be written.
        """
        rows = [_encoded(entry) for entry in entries]
        with self._transaction():
            for row, records in rows:
                seq = self._database.execute(
                    "INSERT INTO events (time, issued, kind, numbers) VALUES (?, ?, ?, ?)",
                    (row[0], issued, *row[1:]),
                ).lastrowid
                issued = None
                self._database.executemany(
                    "INSERT INTO records (seq, kind, problem, payload, outputs, reasons)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    ((seq, *record) for record in records),
                )

    def events(self) -> Iterator[Entry]:
        """All entries in order, without their records.

        Raises:
            UserError: the file is damaged.
        """
        with self._reading():
            for _, *row in self._database.execute("SELECT * FROM events ORDER BY seq"):
                yield _decoded(row, ())

    def entries(self, kinds: Collection[str] | None = None, *, outputs: bool = True) -> Iterator[Entry]:
        """Entries in order, with their records.

        Args:
            kinds: operation codes of the entries: class names of events, kinds of notes; None for all.
            outputs: False leaves recorded outputs and reasons on the disk; ``ExecutedRecord.outputs`` and
                ``ExecutedRecord.reasons`` are None then.

        Raises:
            UserError: the file is damaged.
        """
        wanted = json.dumps(sorted(kinds)) if kinds is not None else None
        chosen = "" if wanted is None else "WHERE kind IN (SELECT value FROM json_each(:kinds))"
        select = f"SELECT * FROM events {chosen} ORDER BY seq"
        columns = "outputs, reasons" if outputs else "NULL, NULL"
        select_records = (
            f"SELECT seq, kind, problem, payload, {columns} FROM records "
            f"WHERE seq IN (SELECT seq FROM events {chosen}) ORDER BY number"
        )
        with self._reading():
            records = self._database.execute(select_records, {"kinds": wanted})
            groups = itertools.groupby(records, key=lambda record: record[0])
            group = next(groups, None)
            for seq, *row in self._database.execute(select, {"kinds": wanted}):
                found: tuple[Record, ...] = ()
                if group is not None and group[0] == seq:
                    found = tuple(decode_record(*record[1:]) for record in group[1])
                    group = next(groups, None)
                yield _decoded(row, found)

    def heads(self) -> Iterator[tuple[int, str, str]]:
        """Number, name of the class and problem of each record, in order. No payload is read.

        Raises:
            UserError: the file is damaged.
        """
        with self._reading():
            yield from self._database.execute("SELECT number, kind, problem FROM records ORDER BY number")

    def light_entries(self) -> Iterator[tuple[Entry, list[str]]]:
        """Entries in order without their records, each with the problems of these.

        Raises:
            UserError: the file is damaged.
        """
        with self._reading():
            records = self._database.execute("SELECT seq, problem FROM records ORDER BY number")
            head = next(records, None)
            for seq, *row in self._database.execute("SELECT * FROM events ORDER BY seq"):
                problems = []
                while head is not None and head[0] == seq:
                    problems.append(head[1])
                    head = next(records, None)
                yield _decoded(row, ()), problems

    def records(self, numbers: Sequence[int], *, outputs: bool = True) -> Iterator[tuple[int, Record]]:
        """Some records with their numbers, in the order of the log.

        Args:
            numbers: numbers of records, from 1 to ``last_record``.
            outputs: False leaves recorded outputs and reasons on the disk, as for :meth:`entries`.

        Raises:
            UserError: the file is damaged.
        """
        columns = "outputs, reasons" if outputs else "NULL, NULL"
        select = f"SELECT kind, problem, payload, {columns} FROM records WHERE number = ?"
        with self._reading():
            for number in sorted(numbers):
                row = self._database.execute(select, (number,)).fetchone()
                yield number, decode_record(*row)

    def _largest(self, column: str, table: str) -> int:
        with self._reading():
            (largest,) = self._database.execute(f"SELECT MAX({column}) FROM {table}").fetchone()
        return largest or 0

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._database.execute("BEGIN IMMEDIATE")
            yield
            self._database.execute("COMMIT")
        except BaseException as error:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            if not isinstance(error, sqlite3.OperationalError):
                raise
            raise InfrastructureError(
                f"{self._path} cannot be written: {error}. Nothing before it is lost: continue with "
                f"testbudget run --resume {self._path.parent}"
            ) from error

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.DatabaseError, *_DAMAGED) as error:
            raise _unreadable(self._path, error) from error


def _locked(path: Path) -> TextIOWrapper:
    """Lock file of a log, locked until it is closed."""
    try:
        lock = path.with_suffix(".lock").open("w")
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise UserError(f"{path.parent} is in use: another process is running it") from None
    return lock


def _opened(path: Path, durable: bool, mode: str) -> sqlite3.Connection:
    try:
        database = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_SECONDS)
    except sqlite3.OperationalError as error:
        raise UserError(f"{path} cannot be written: {error}") from None
    try:
        database.execute(f"PRAGMA journal_mode = {mode}")
        database.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        if database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]:
            (found,) = database.execute("PRAGMA user_version").fetchone()
            check_schema_version(path, found, LOG_SCHEMA_VERSION)
        else:
            database.execute("BEGIN IMMEDIATE")
            for statement in (f"PRAGMA user_version = {LOG_SCHEMA_VERSION}", *_TABLES, "COMMIT"):
                database.execute(statement)
    except sqlite3.OperationalError as error:
        database.close()
        raise UserError(f"{path} cannot be written: {error}") from None
    except sqlite3.DatabaseError as error:
        database.close()
        raise _unreadable(path, error) from None
    except BaseException:
        database.close()
        raise
    return database


def _encoded(
    entry: Entry,
) -> tuple[tuple[float, str, str], list[tuple[str, str, bytes, bytes | None, bytes | None]]]:
    """Rows of an entry and of its records, without their numbers."""
    event = entry.event
    if isinstance(event, Note):
        if event.kind in EVENTS:
            raise ValueError(f"a note must not be of the kind of an event but got {event.kind}")
        kind, numbers = event.kind, json.dumps(event.values)
    else:
        kind, numbers = type(event).__name__, encode_event(event)
    records = [(type(record).__name__, record.problem, *encode_record(record)) for record in entry.records]
    return (float(entry.time), kind, numbers), records


def _decoded(row: Sequence[Any], records: tuple[Record, ...]) -> Entry:
    time, issued, kind, numbers = row
    event = decode_event(kind, numbers) if kind in EVENTS else Note(kind, json.loads(numbers))
    return Entry(event, time, records, issued)


def _unreadable(path: Path, error: Exception) -> UserError:
    return UserError(f"{path} must be the event log of a run but it cannot be read: {error}")
