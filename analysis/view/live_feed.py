"""Messages about a run that goes on, for any number of readers: a snapshot, then what changed."""

import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

from testbudget.analysis.view.live_log import LiveLog
from testbudget.rewards.errors import UserError
from testbudget.traces.live_status import FINISHED, LiveStatus, read_live_status, status_fields
from testbudget.traces.run_place import run_place

INTERVAL = 0.25
"""Seconds between two readings of the log, and so between two messages at least."""

_KEPT = 400  # messages that a reader who comes back may have missed


class LiveFeed:
    """The log and the status of a run, read by one thread until the run ends or the feed is closed.

    Args:
        directory: run directory, on this machine.

    Raises:
        UserError: the directory holds no event log.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._log = LiveLog.of_run(directory)
        self._changed = threading.Condition()
        self._messages: deque[tuple[int, dict[str, Any]]] = deque(maxlen=_KEPT)
        self._last = 0
        self._closed = threading.Event()
        self._status: LiveStatus | None = None
        self._error = ""
        self._thread = threading.Thread(target=self._read, name="live-feed", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop reading, and let all readers go."""
        self._closed.set()
        self._thread.join()
        with self._changed:
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """True once the feed was closed."""
        return self._closed.is_set()

    @property
    def finished(self) -> bool:
        """True once the run has ended and its tables can be read."""
        state = self._status and self._status.state
        tables = (self.directory / "candidates.parquet").exists()
        return tables and state in (None, FINISHED)

    def after(self, place: str, wait: float) -> list[tuple[str, dict[str, Any]]]:
        """Messages after a place, each with its own; a snapshot if the place is unknown or too old.

        Args:
            place: ``EPOCH.NUMBER`` of the last message that the reader has; empty for none.
            wait: seconds to wait for a message if there is none yet.
        """
        epoch, _, text = place.partition(".")
        with self._changed:
            if not text.isdigit() or epoch != str(self._log.epoch) or not self._reaches(int(text)):
                return [(f"{self._log.epoch}.{self._last}", self._snapshot())]
            seen = int(text)
            self._changed.wait_for(lambda: self._last > seen or self._closed.is_set(), wait)
            return [
                (f"{self._log.epoch}.{number}", message)
                for number, message in self._messages
                if number > seen
            ]

    def _reaches(self, seen: int) -> bool:
        first = self._messages[0][0] if self._messages else self._last + 1
        return first - 1 <= seen <= self._last

    def _read(self) -> None:
        last_written = 0.0
        while not self._closed.is_set():
            epoch = self._log.epoch
            try:
                with self._changed:
                    grown = self._log.read()
                    self._error = ""
                status = read_live_status(run_place(self.directory))
            except UserError as error:  # such as a log that is being replaced; it is read again
                grown, status, self._error = False, self._status, str(error)
            written = status.written if status else 0.0
            if grown or written != last_written:
                last_written = written
                with self._changed:
                    self._status = status
                    self._last += 1
                    if self._log.epoch != epoch:
                        self._messages.clear()
                    self._messages.append((self._last, self._message(self._log.take_changed())))
                    self._changed.notify_all()
            if self.finished and not grown:
                return
            self._closed.wait(INTERVAL)

    def _message(self, rows: list[list[Any]]) -> dict[str, Any]:
        return {
            "status": status_fields(self._status) if self._status else None,
            "expected": self._log.expected,
            "rows": rows,
            "point": self._log.curve[-1] if self._log.curve else None,
            "right": self._log.right(),
            "happenings": list(self._log.happenings),
            "finished": self.finished,
            "now": time.time(),
            "error": self._error,
        }

    def _snapshot(self) -> dict[str, Any]:
        return {**self._message(self._log.rows()), "whole": True, "curve": self._log.curve}
