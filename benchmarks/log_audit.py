"""Audit of a run's event log: the cap at every moment, and how often each test and verdict is counted."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from testbudget.scheduler.core.events import DriverRestarted, Executed, Quarantined, WorkerLost
from testbudget.scheduler.event_log import EventLog
from testbudget.scheduler.log_records import ExecutedRecord, GeneratedRecord


@dataclass(frozen=True, slots=True)
class LogAudit:
    """Findings about one log.

    Attributes:
        events: number of entries.
        double_tests: tests that were written and counted more than once.
        double_verdicts: tests of a problem whose verdicts were counted more than once.
        lost_workers, restarts: losses that the log tells of.
        quarantined: tasks that were quarantined.
    """

    events: int
    double_tests: int
    double_verdicts: int
    lost_workers: int
    restarts: int
    quarantined: int


def audit_log(path: Path) -> LogAudit:
    """Read a log from its first entry to its last.

    Args:
        path: the file of the log.
    """
    written: Counter[tuple[str, int]] = Counter()
    judged: Counter[tuple[str, int]] = Counter()
    kinds: Counter[type] = Counter()
    events = 0
    with EventLog(path) as log:
        for entry in log.entries():
            events += 1
            kinds[type(entry.event)] += (
                len(entry.event.tasks) if isinstance(entry.event, Quarantined) else 1
            )
            for record in entry.records:
                if isinstance(record, GeneratedRecord):
                    written.update(
                        (record.problem, record.first + place) for place in range(len(record.tests))
                    )
                elif isinstance(record, ExecutedRecord) and isinstance(entry.event, Executed):
                    judged.update((record.problem, test) for test in record.tests)
    return LogAudit(
        events,
        sum(count - 1 for count in written.values()),
        sum(count - 1 for count in judged.values()),
        kinds[WorkerLost],
        kinds[DriverRestarted],
        kinds[Quarantined],
    )
