"""A ``testbudget`` command that is killed with SIGKILL when its event log reaches a position.

python benchmarks/killed_run.py POSITION MOMENT NOTE COMMAND...

POSITION is a number of entries. The append that reaches it kills this process at the MOMENT: ``open``, when
its rows are inserted and not committed; ``commit``, while it is committed, as soon as the write-ahead log
has changed; ``durable``, when it has been committed and nothing else was done. The file NOTE says whether
the append had returned.
"""

import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from testbudget.cli.main import main
from testbudget.scheduler import run
from testbudget.scheduler.event_log import LOG_FILE, Entry, EventLog

MOMENTS = ("open", "commit", "durable")
INSIDE, AFTER = "inside", "after"
"""Contents of the note."""


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class KilledLog(EventLog):
    """The event log of a run, whose process is killed."""

    position: int
    moment: str
    note: Path

    def append(self, entries: Sequence[Entry], *, issued: int | None = None) -> None:
        """Add entries; be killed if they reach the position."""
        reaches = self.last_seq + len(entries) >= self.position
        if reaches:
            self._database.set_trace_callback(self._watch)
        super().append(entries, issued=issued)
        if reaches:
            self.note.write_text(AFTER)
            _kill()

    def _watch(self, statement: str) -> None:
        if statement != "COMMIT" or self.moment == "durable":
            return
        self.note.write_text(INSIDE)
        if self.moment == "open":
            _kill()
        log = self._path.with_name(f"{LOG_FILE}-wal")
        threading.Thread(target=_kill_at_change, args=(log, _state(log)), daemon=True).start()


def _state(log: Path) -> tuple[int, int]:
    status = log.stat()
    return status.st_size, status.st_mtime_ns


def _kill_at_change(log: Path, before: tuple[int, int]) -> None:
    while _state(log) == before:
        pass
    _kill()


if __name__ == "__main__":
    position, KilledLog.moment, note, *command = sys.argv[1:]
    KilledLog.position, KilledLog.note = int(position), Path(note)
    run.EventLog = KilledLog  # type: ignore[misc]
    sys.exit(main(command))
