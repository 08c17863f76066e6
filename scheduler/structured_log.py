"""Structured log of a driver: ``driver.jsonl`` in the run directory, one JSON object per line.

Every line has ``time`` (ISO 8601 in UTC), ``level``, ``run``, ``message`` and, where they apply,
``problem``, ``worker``, ``task`` and ``reason``. It is for people and for collectors of logs; nothing is
read back from it.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from testbudget.scheduler.backends.pools import WAITING_LOGGER
from testbudget.scheduler.core import events as e
from testbudget.scheduler.event_log import Entry, Note
from testbudget.scheduler.log_records import FailedRecord

LOG_LINES_FILE = "driver.jsonl"
"""Name of the file in a run directory."""

_LOG = logging.getLogger(__name__)
_FIELDS = ("problem", "worker", "task", "reason", "kind", "limits")


class JsonLines(logging.Formatter):
    """Format of a record as one JSON object.

    Args:
        run: id of the run.
    """

    def __init__(self, run: str) -> None:
        super().__init__()
        self._run = run

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "run": self._run,
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in _FIELDS if hasattr(record, name)}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


@contextmanager
def logging_to(directory: Path, run: str) -> Iterator[None]:
    """Have what testbudget logs in this process written to the run directory.

    Nothing of it is printed but what the run waits for, to standard error.

    Args:
        directory: run directory.
        run: id of the run.

    Raises:
        OSError: the file cannot be opened.
    """
    logger = logging.getLogger("testbudget")
    handler = logging.FileHandler(directory / LOG_LINES_FILE, encoding="utf-8")
    handler.setFormatter(JsonLines(run))
    said = logging.StreamHandler()
    said.addFilter(logging.Filter(WAITING_LOGGER))
    level, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.addHandler(said)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.removeHandler(said)
        logger.setLevel(level)
        logger.propagate = propagate
        handler.close()


def log_entries(entries: Sequence[Entry], workers: dict[int, str]) -> None:
    """Log what happened to workers, what failed, and how the run was steered.

    Args:
        entries: entries of the event log, in order.
        workers: names of the workers by number; those that come are added, those that go removed.
    """
    for entry in entries:
        match entry.event:
            case Note("worker", values):
                workers[values["number"]] = values["name"]
                _LOG.info("a worker is ready", extra={"worker": values["name"]})
            case e.WorkerLost(number):
                _LOG.warning("a worker is lost", extra={"worker": workers.pop(number, str(number))})
            case e.WorkerLeft(number):
                _LOG.info("an idle worker was let go", extra={"worker": workers.pop(number, str(number))})
            case e.DriverRestarted():
                _LOG.info("another driver continues the run")
            case e.Paused():
                _LOG.info("the run is paused")
            case e.Continued():
                _LOG.info("the run goes on")
            case e.CapChanged(cap):
                _LOG.info("the cap is another", extra={"limits": dict(cap.limits)})
        for record in entry.records:
            if isinstance(record, FailedRecord):
                known = {"problem": record.problem, "reason": record.reason}
                _LOG.warning("the infrastructure lost work", extra=known)
