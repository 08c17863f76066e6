"""Conformance suite of event logs: what a run relies on when it is killed, or its disk fills up.

Each check takes a function that opens a log and an empty directory, and raises ``AssertionError`` with a
sentence if the log breaks the contract. ``CHECKS`` holds them all::

    @pytest.mark.parametrize("check", CHECKS)
    def test_my_log_keeps_the_contract(check, tmp_path):
        check(MyLog, tmp_path)
"""

import multiprocessing
import os
import resource
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from multiprocessing.connection import Connection
from pathlib import Path
from typing import get_args

import numpy as np

from testbudget.rewards.errors import InfrastructureError, UserError
from testbudget.scheduler.core.events import Event
from testbudget.scheduler.event_log import LOG_FILE, Entry, EventLog, Note
from testbudget.scheduler.log_records import Record
from testbudget.testing.log_entries import differences, draw_appends, every_kind, payload_bytes

OpenLog = Callable[[Path], EventLog]
"""Type of a function that opens the log at a path, or creates it."""

_SEED = 12
_KILLS_INSIDE = 8  # kills before the append returns
_MOST_KILLS = 100


def check_every_kind_is_read_as_it_was_written(open_log: OpenLog, directory: Path) -> None:
    """Entries of every kind come back in order and with equal content, before and after reopening."""
    written = every_kind()
    _require_all("events", Event, {type(entry.event) for entry in written})
    _require_all("records", Record, {type(record) for entry in written for record in entry.records})
    path = directory / LOG_FILE
    with open_log(path) as log:
        _require(log.last_seq == 0, "a new log must have no entry")
        log.append([])
        log.append(written[:5], issued=3)
        for entry in written[5:]:
            log.append([entry])
        _require_content(log, written)
    with open_log(path) as log:
        _require_content(log, written)
        issued = [entry.issued for entry in log.events()]
        _require(issued == [3] + [None] * (len(written) - 1), f"issued must be kept but got {issued}")
        kinds = {"Executed", "pools"}
        chosen = [entry for entry in written if _kind(entry) in kinds]
        _require_equal(list(log.entries(kinds)), chosen, "entries of some kinds")


def check_a_second_writer_is_refused(open_log: OpenLog, directory: Path) -> None:
    """A log that is open cannot be opened again; once closed, it can."""
    path = directory / LOG_FILE
    with open_log(path):
        try:
            open_log(path).close()
        except UserError:
            pass
        else:
            raise AssertionError("a log that is open must not be opened by a second writer")
    open_log(path).close()


def check_a_torn_log_opens_with_whole_appends(open_log: OpenLog, directory: Path) -> None:
    """A log whose end is cut off, or is zeros, holds the first appends whole and goes on from there."""
    appends = draw_appends(np.random.default_rng(_SEED), 6, kilobytes=2)
    path = _new(directory, "whole")
    with open_log(path) as log:
        log.append(appends[0])
        before = _sizes(path.parent)
        for entries in appends[1:]:
            log.append(entries)
        after = _sizes(path.parent)
        torn = max(after, key=lambda name: after[name] - before.get(name, 0))
        copies = {name: (path.parent / name).read_bytes() for name in after}
    content, shortest = copies[torn], len(appends)
    ends = sorted(
        {0, 1, 40, *range(before.get(torn, 0), len(content), 1999), len(content) - 1, len(content)}
    )
    for number, end in enumerate(ends):
        filled = number % 2
        copy = _new(directory, f"torn{number}")
        for name, whole in copies.items():
            (copy.parent / name).write_bytes(whole)
        rest = bytes(len(content) - end) if filled else b""
        (copy.parent / torn).write_bytes(content[:end] + rest)
        with open_log(copy) as log:
            kept = _require_whole_appends(log, appends, f"a log torn at byte {end} of {len(content)}")
            shortest = min(shortest, kept)
            log.append(appends[-1])
        with open_log(copy) as log:
            whole_again = [*_flat(appends[:kept]), *appends[-1]]
            _require_equal(list(log.entries()), whole_again, f"a log that goes on after byte {end}")
        shutil.rmtree(copy.parent)
    _require(
        shortest < len(appends) - 1, "cutting off the end of a log must lose appends, or nothing is torn"
    )


def check_a_full_disk_changes_nothing(open_log: OpenLog, directory: Path) -> None:
    """An append that finds no space raises one sentence and leaves no trace; a later one is whole."""
    rng = np.random.default_rng(_SEED)
    small, *large = draw_appends(rng, 4, kilobytes=40)
    failed = 0
    for number, space in enumerate([*range(0, 20_000, 1777), *range(20_000, 200_000, 19_777)]):
        path = _new(directory, f"full{number}")
        with open_log(path) as log:
            log.append(small)
            written = list(small)
            with _file_size_limit(max(_sizes(path.parent).values()) + space):
                for entries in large:
                    try:
                        log.append(entries)
                    except InfrastructureError as error:
                        failed += 1
                        _require(
                            "resume" in str(error) and "\n" not in str(error), f"one sentence: {error}"
                        )
                        _require_content(log, written)
                    else:
                        written += entries
            log.append(large[0])
            written += large[0]
            _require_content(log, written)
        with open_log(path) as log:
            _require_content(log, written)
        shutil.rmtree(path.parent)
    _require(failed > 0, "appends of more than the limit must fail")


def check_a_killed_writer_leaves_whole_appends(open_log: OpenLog, directory: Path) -> None:
    """A writer killed inside an append leaves the earlier ones, and that one as a whole or not at all."""
    rng = np.random.default_rng(_SEED)
    inside = 0
    for number in range(_MOST_KILLS):
        appends = draw_appends(rng, 3, kilobytes=400)
        path = _new(directory, f"killed{number}")
        victim = number % len(appends)
        acknowledged = _killed_writer(open_log, path, appends, victim, 0.6 * rng.random())
        inside += acknowledged == victim
        with open_log(path) as log:
            kept = _require_whole_appends(log, appends, f"a log killed in append {victim}")
            _require(kept >= acknowledged, f"{acknowledged} appends returned but only {kept} are left")
            log.append(appends[0])
        shutil.rmtree(path.parent)
        if inside == _KILLS_INSIDE:
            return
    raise AssertionError(f"only {inside} of {_MOST_KILLS} writers were killed inside an append")


CHECKS: Sequence[Callable[[OpenLog, Path], None]] = (
    check_every_kind_is_read_as_it_was_written,
    check_a_second_writer_is_refused,
    check_a_torn_log_opens_with_whole_appends,
    check_a_full_disk_changes_nothing,
    check_a_killed_writer_leaves_whole_appends,
)
"""All checks of this suite."""


def _killed_writer(
    open_log: OpenLog, path: Path, appends: Sequence[Sequence[Entry]], victim: int, share: float
) -> int:
    """Number of appends that had returned when their process was killed.

    It is killed in the append ``victim``, as soon as the files have grown by a share of its size.
    """
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(
        target=_write, args=(open_log, path, appends, theirs)
    )
    process.start()
    try:
        for _ in range(victim):
            ours.send(True)
            ours.recv()
        size = sum(_sizes(path.parent).values()) if victim else 0
        growth = share * payload_bytes(appends[victim])
        ours.send(True)
        while sum(_sizes(path.parent).values()) < size + growth and not ours.poll():
            pass
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        return victim + ours.poll()
    finally:
        process.kill()
        process.join()
        ours.close()
        theirs.close()


def _write(
    open_log: OpenLog, path: Path, appends: Sequence[Sequence[Entry]], connection: Connection
) -> None:
    with open_log(path) as log:
        for entries in appends:
            connection.recv()
            log.append(entries)
            connection.send(True)
        connection.recv()  # stays open until it is killed


def _new(directory: Path, name: str) -> Path:
    """Path of a log in a new folder."""
    folder = directory / name
    folder.mkdir()
    return folder / LOG_FILE


def _sizes(folder: Path) -> dict[str, int]:
    """Sizes of the files in a folder in which another process may be at work, in bytes."""
    with os.scandir(folder) as found:
        return {entry.name: size for entry in found if (size := _size(entry)) is not None}


def _size(entry: os.DirEntry[str]) -> int | None:
    try:
        return entry.stat().st_size
    except FileNotFoundError:
        return None


@contextmanager
def _file_size_limit(limit: int) -> Iterator[None]:
    """Context in which no file of this process can grow beyond a limit in bytes."""
    before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))  # Python ignores SIGXFSZ: writes fail
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))


def _flat(appends: Sequence[Sequence[Entry]]) -> list[Entry]:
    return [entry for entries in appends for entry in entries]


def _kind(entry: Entry) -> str:
    return entry.event.kind if isinstance(entry.event, Note) else type(entry.event).__name__


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise AssertionError(sentence)


def _require_all(what: str, union: object, found: set[type]) -> None:
    missing = [kind.__name__ for kind in get_args(union) if kind not in found]
    _require(not missing, f"this suite must know all {what} but lacks {', '.join(missing)}")


def _require_equal(found: Sequence[Entry], expected: Sequence[Entry], what: str) -> None:
    difference = differences(found, expected)
    _require(difference is None, f"{what}: {difference}")


def _require_content(log: EventLog, expected: Sequence[Entry]) -> None:
    """Require that a log holds exactly these entries."""
    _require(log.last_seq == len(expected), f"last_seq must be {len(expected)} but got {log.last_seq}")
    records = sum(len(entry.records) for entry in expected)
    _require(log.last_record == records, f"last_record must be {records} but got {log.last_record}")
    _require_equal(list(log.entries()), expected, "entries")
    light = [Entry(entry.event, entry.time) for entry in expected]
    _require_equal(list(log.events()), light, "entries without records")


def _require_whole_appends(log: EventLog, appends: Sequence[Sequence[Entry]], what: str) -> int:
    """Require that a log holds the first appends whole and nothing else; their number."""
    ends = [0, *accumulate(map(len, appends))]
    _require(log.last_seq in ends, f"{what} must hold whole appends but has {log.last_seq} of {ends}")
    kept = ends.index(log.last_seq)
    _require_equal(list(log.entries()), _flat(appends[:kept]), what)
    return kept
