"""Tables of the course of a run, made of its log when the run ends."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from testbudget.rewards.problem import Problem
from testbudget.scheduler.core.events import (
    Assessed,
    DriverRestarted,
    Executed,
    Extracted,
    Generated,
    Sampled,
)
from testbudget.scheduler.core.planner import Grants
from testbudget.scheduler.core.tasks import TaskTable
from testbudget.scheduler.event_log import EventLog, Note
from testbudget.scheduler.log_records import (
    AssessedRecord,
    ExecutedRecord,
    ExtractedRecord,
    GeneratedRecord,
    LabelledRecord,
    SampledRecord,
)
from testbudget.traces.run_tables import (
    AssessmentRecord,
    GrantRecord,
    PoolRecord,
    WorkRecord,
    write_run_table,
)

POOLS = "pools"
"""Kind of a note about the use of workers: ``workers``, ``busy`` and ``queued`` by kind of work."""

_WORK = {
    SampledRecord: "sample",
    ExtractedRecord: "extract",
    GeneratedRecord: "generate",
    ExecutedRecord: "execute",
    LabelledRecord: "label",
}
_PIECES = SampledRecord | ExtractedRecord | GeneratedRecord | ExecutedRecord | LabelledRecord


def write_run_tables(log: EventLog, tasks: TaskTable, directory: Path) -> None:
    """Write the tables ``work``, ``pools`` and ``assessments``, each atomically.

    Args:
        log: log of the run.
        tasks: its tasks.
        directory: the run directory.

    Raises:
        OSError: a file cannot be written.
        UserError: the log is damaged.
    """
    write_run_table(WorkRecord, _work(log), directory)
    write_run_table(PoolRecord, _pools(log), directory)
    write_run_table(AssessmentRecord, _assessments(log, tasks), directory)


def grant_records(made: Grants, problems: Sequence[Problem], time: float) -> Iterator[GrantRecord]:
    """Rows of the table ``grants`` of one decision.

    Args:
        made: the grants.
        problems: problems of the run.
        time: moment of the decision.
    """
    columns = (made.tasks, made.problems, made.first, made.tests, made.values)
    for row, (task, position, first, tests, value) in enumerate(
        zip(*map(np.ndarray.tolist, columns), strict=True)
    ):
        terms = {name: float(of_grants[row]) for name, of_grants in made.terms.items()}
        yield GrantRecord(task, problems[position].id, first, tests, time, value, terms)


def _work(log: EventLog) -> Iterator[WorkRecord]:
    before = last = 0.0  # a new driver's clock goes on at the last entry of the one before
    for entry in log.entries(outputs=False):
        if isinstance(entry.event, DriverRestarted):
            before = last
        last = entry.time
        tasks: list[int | None] = [None] * len(entry.records)
        if isinstance(entry.event, Sampled | Extracted | Generated | Executed) and entry.records:
            tasks = entry.event.tasks.tolist()
        for task, record in zip(tasks, entry.records, strict=True):
            if isinstance(record, _PIECES) and (piece := record.piece) is not None:
                times = (before + time for time in (piece.submitted, piece.started, piece.finished))
                yield WorkRecord(_WORK[type(record)], record.problem, task, piece.worker, *times)


def _pools(log: EventLog) -> Iterator[PoolRecord]:
    for entry in log.entries([POOLS]):
        if isinstance(entry.event, Note):
            for kind, use in entry.event.values.items():
                yield PoolRecord(entry.time, kind, use["workers"], use["busy"], use["queued"])


def _assessments(log: EventLog, table: TaskTable) -> Iterator[AssessmentRecord]:
    for entry in log.entries(["Assessed"]):
        event = entry.event
        if isinstance(event, Assessed) and entry.records:
            tasks = event.tasks
            tests = [_told_tests(table, task) for task in tasks.tolist()]
            columns = (tasks.tolist(), tests, event.p_wrong.tolist(), event.harmful.tolist())
            for record, task, told, p_wrong, harmful in zip(entry.records, *columns, strict=True):
                if isinstance(record, AssessedRecord):
                    yield AssessmentRecord(
                        record.problem, told, record.pick, record.p_correct, p_wrong, harmful, task
                    )


def _told_tests(table: TaskTable, task: int) -> int | None:
    """Tests of a problem up to the end of a task; None for an unknown task."""
    return int(table.first[task] + table.tests[task]) if task < len(table) else None
