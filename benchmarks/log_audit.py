"""Audit of a run's event log: the cap at every moment, and how often each test and verdict is counted."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from testbudget.scheduler.core.budget import Budget
from testbudget.scheduler.core.events import (
    CapChanged,
    DriverRestarted,
    Executed,
    Quarantined,
    RunStarted,
    WorkerJoined,
    WorkerLeft,
    WorkerLost,
    WorkerMetered,
)
from testbudget.scheduler.event_log import EventLog
from testbudget.scheduler.log_records import ExecutedRecord, GeneratedRecord

_OF_WORKERS = (WorkerJoined, WorkerMetered, WorkerLost, WorkerLeft, DriverRestarted)


@dataclass(frozen=True, slots=True)
class LogAudit:
    """Findings about one log.

    Attributes:
        events: number of entries.
        overspend: most that any limit was ever passed by, as a share of it; 0 if none was.
        double_tests: tests that were generated and counted more than once.
        double_verdicts: tests of a problem whose verdicts were counted more than once.
        lost_workers, restarts: losses that the log tells of.
        quarantined: tasks of which workers died.
    """

    events: int
    overspend: float
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
    counted = {"tests": 0, "executions": 0}
    events, overspend, budget = 0, 0.0, None
    with EventLog(path) as log:
        for entry in log.entries(outputs=False):
            events += 1
            kinds[type(entry.event)] += 1
            if isinstance(entry.event, RunStarted):
                budget = Budget(entry.event.cap)
            elif isinstance(entry.event, CapChanged) and budget is not None:
                budget.change(entry.event.cap)
            elif isinstance(entry.event, _OF_WORKERS) and budget is not None:
                budget.handle(entry.event)
            for record in entry.records:
                if isinstance(record, GeneratedRecord):
                    counted["tests"] += len(record.tests)
                    places = range(record.first, record.first + len(record.tests))
                    written.update((record.problem, place) for place in places)
                elif isinstance(record, ExecutedRecord) and isinstance(entry.event, Executed):
                    judged.update((record.problem, test) for test in record.tests)
            if isinstance(entry.event, Executed):
                counted["executions"] += int(entry.event.executions.sum())
            if budget is not None:
                overspend = max(overspend, _overspend(budget, counted))
    return LogAudit(
        events,
        overspend,
        sum(count - 1 for count in written.values()),
        sum(count - 1 for count in judged.values()),
        kinds[WorkerLost],
        kinds[DriverRestarted],
        kinds[Quarantined],
    )


def _overspend(budget: Budget, counted: dict[str, int]) -> float:
    """Share by which the limit is passed that is passed by most."""
    books = budget.books()
    most = 0.0
    for quantity, limit in budget.cap.limits.items():
        if quantity in counted:
            amount = float(counted[quantity])
        else:
            amount = books.spent[quantity] + books.lost[quantity] + books.leased[quantity]
        most = max(most, (amount - limit) / limit)
    return most
