"""Tables of the course of a run, made of its log."""

import numpy as np

from testbudget.rewards.problem import Problem
from testbudget.scheduler.core.events import (
    Assessed,
    DriverRestarted,
    Executed,
    Generated,
    Labelled,
    Sampled,
)
from testbudget.scheduler.core.planner import Grants
from testbudget.scheduler.core.tasks import TaskState, TaskTable
from testbudget.scheduler.event_log import LOG_FILE, Entry, EventLog, Note
from testbudget.scheduler.log_records import (
    AssessedRecord,
    ExecutedRecord,
    GeneratedRecord,
    LabelledRecord,
    SampledRecord,
)
from testbudget.scheduler.log_tables import POOLS, grant_records, write_run_tables
from testbudget.testing.log_entries import every_kind
from testbudget.traces.records import Piece
from testbudget.traces.run_tables import (
    AssessmentRecord,
    PoolRecord,
    WorkRecord,
    read_run_table,
)

TWO = np.array([4, 5])
FIRST, TESTS = np.array([0, 0, 0, 0, 0, 3]), np.array([0, 0, 0, 0, 2, 1])


def piece(worker):
    return Piece(worker, 0.5, 1.0, 2.0)


def tasks():
    """A table whose tasks 4 and 5 are grants of two tests and of one."""
    table = TaskTable()
    table.issue(np.arange(6), FIRST, TESTS, 0, TaskState.GENERATING)
    return table


def written(entries, table, folder):
    """Rows of all tables that are made of a log."""
    with EventLog(folder / LOG_FILE) as log:
        log.append(entries)
        write_run_tables(log, table, folder)
    kinds = (WorkRecord, PoolRecord, AssessmentRecord)
    return [read_run_table(kind, folder) for kind in kinds]


def test_pieces_pools_and_assessments_are_read_from_the_log(tmp_path):
    entries = [
        Entry(Sampled(TWO, TWO), 0.0, (SampledRecord("p", (), piece("a")), SampledRecord("q", ()))),
        Entry(
            Generated(TWO, TWO),
            1.0,
            (GeneratedRecord("p", 0, (), piece("b")), GeneratedRecord("q", 0, (), piece("c"))),
        ),
        Entry(Note(POOLS, {"runner": {"workers": 2, "busy": 1, "queued": 0}}), 1.5),
        Entry(
            Executed(TWO[1:], TWO[1:], TWO[1:], TWO[1:]),
            2.0,
            (ExecutedRecord("q", (), (), None, piece("d")),),
        ),
        Entry(
            Assessed(TWO, np.array([0.5, np.nan]), TWO, np.array([False, True]), np.zeros(2)),
            2.0,
            (AssessedRecord("p", 1, 0.5), AssessedRecord("q", 0, 0.25)),
        ),
        Entry(Labelled(TWO[:1]), 3.0, (LabelledRecord("p", np.array([True]), piece("e")),)),
    ]
    work, pools, assessments = written(entries, tasks(), tmp_path)
    times = (0.5, 1.0, 2.0)
    assert work == [
        WorkRecord("sample", "p", 4, "a", *times),
        WorkRecord("generate", "p", 4, "b", *times),
        WorkRecord("generate", "q", 5, "c", *times),
        WorkRecord("execute", "q", 5, "d", *times),
        WorkRecord("label", "p", None, "e", *times),
    ]
    assert pools == [PoolRecord(1.5, "runner", 2, 1, 0)]
    assert assessments[0] == AssessmentRecord("p", 2, 1, 0.5, 0.5, False, 4)
    assert (assessments[1].tests, assessments[1].p_correct, assessments[1].harmful) == (4, 0.25, True)
    assert np.isnan(assessments[1].p_wrong)


def test_the_clock_of_a_resumed_run_goes_on_where_the_log_ended(tmp_path):
    record = GeneratedRecord("p", 0, (), piece("a"))
    entries = [
        Entry(Generated(TWO[:1], TWO[:1]), 3.0, (record,)),
        Entry(Note(POOLS, {}), 4.0),
        Entry(DriverRestarted(), 4.25),
        Entry(Generated(TWO[1:], TWO[1:]), 7.0, (record,)),
    ]
    work, _, _ = written(entries, tasks(), tmp_path)
    assert [(piece.started, piece.finished) for piece in work] == [(1.0, 2.0), (5.0, 6.0)]


def test_a_log_of_every_kind_of_entry_and_one_without_records_have_tables(tmp_path):
    for name, entries in (
        ("every", every_kind()),
        ("empty", []),
        ("bare", [Entry(Sampled(TWO, TWO), 0.0)]),
    ):
        (tmp_path / name).mkdir()
        _, _, assessments = written(entries, TaskTable(), tmp_path / name)
        assert [row.tests for row in assessments] == [None] * (2 if name == "every" else 0)


def test_grants_are_rows_with_the_terms_of_their_values():
    numbers = np.array([4, 5]), np.array([1, 0]), np.array([0, 3]), np.array([2, 1])
    made = Grants(*numbers, np.array([0.5, 0.25]), {"gain": np.array([0.5, 0.125])})
    problems = [Problem("p", "", "f"), Problem("q", "", "f")]
    assert [
        (row.task, row.problem, row.first, row.tests, row.time, row.value, row.terms)
        for row in grant_records(made, problems, 7.0)
    ] == [(4, "q", 0, 2, 7.0, 0.5, {"gain": 0.5}), (5, "p", 3, 1, 7.0, 0.25, {"gain": 0.125})]
