"""Runs that end after some entry of their log, as if the process had been killed there."""

import shutil
import sqlite3
from pathlib import Path

from testbudget.scheduler.event_log import LOG_FILE


def last_seq(directory: Path) -> int:
    """Number of the last entry in the log of a run."""
    with sqlite3.connect(directory / LOG_FILE) as database:
        (last,) = database.execute("SELECT MAX(seq) FROM events").fetchone()
    return int(last)


def cut_run(directory: Path, last: int, copy: Path, *, issued: int = 0) -> Path:
    """Copy what a run directory held when the entry ``last`` had just been written to its log.

    Args:
        directory: run directory.
        last: number of the last entry that is kept.
        copy: the new run directory.
        issued: added to the numbers of tasks in the log, as if another version had written it.
    """
    copy.mkdir()
    for name in ("job.yaml", "run.json"):
        shutil.copy(directory / name, copy / name)
    with sqlite3.connect(directory / LOG_FILE) as whole, sqlite3.connect(copy / LOG_FILE) as part:
        whole.backup(part)
        part.execute("DELETE FROM events WHERE seq > ?", (last,))
        part.execute("DELETE FROM records WHERE seq > ?", (last,))
        part.execute("UPDATE events SET issued = issued + ?", (issued,))
    return copy
