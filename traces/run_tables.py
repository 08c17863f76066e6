"""Tables of the course of a run: grants, pieces of work, use of the workers, assessments of picks.

================  ================================  =======================================================
table             one row for each                  columns
================  ================================  =======================================================
``grants``        grant, in order                   ``order`` and those of ``GrantRecord``
``work``          piece of work, in order of the    those of ``WorkRecord``
                  results
``pools``         kind of worker and moment         those of ``PoolRecord``
``assessments``   assessment, in order              ``order`` and those of ``AssessmentRecord``
================  ================================  =======================================================

Times are seconds on the clock of the run, which goes on after a resume. In columns of floats null stands
for NaN. A run that was imported, or made before there were these tables, has none of them.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import numpy as np
import pyarrow as pa

from testbudget.traces.tables import read_table, table_writer


@dataclass(frozen=True, slots=True)
class GrantRecord:
    """A grant: tests ``first`` to ``first + tests - 1`` of a problem.

    Attributes:
        task: number of the task.
        problem: id of the problem.
        first, tests: its tests.
        time: moment of the decision.
        value: worth of its first test to the policy; NaN for the minimum that each problem gets.
        terms: numbers that the value is made of, by name.
    """

    task: int
    problem: str
    first: int
    tests: int
    time: float
    value: float
    terms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WorkRecord:
    """A piece of work.

    Attributes:
        kind: sample, extract, generate, execute or label.
        problem: id of the problem.
        task: number of the task; None for labels.
        worker: name of the worker.
        submitted, started, finished: times.
    """

    kind: str
    problem: str
    task: int | None
    worker: str
    submitted: float
    started: float
    finished: float


@dataclass(frozen=True, slots=True)
class PoolRecord:
    """Use of the workers of one kind at a moment.

    Attributes:
        time: the moment.
        kind: kind of work, in lower case.
        workers: number of workers.
        busy: pieces of work in progress.
        queued: pieces that wait.
    """

    time: float
    kind: str
    workers: int
    busy: int
    queued: int


@dataclass(frozen=True, slots=True)
class AssessmentRecord:
    """Assessment of a problem's pick.

    Attributes:
        problem: id of the problem.
        tests: its tests so far; None if unknown.
        pick: index of the candidate that would be picked.
        p_correct: probability that the pick is correct; NaN if not computed.
        p_wrong: probability that it is wrong, as given to the policy; NaN if not computed.
        harmful: True if more tests would harm the pick.
        task: number of the task whose tests were told; None if unknown.
    """

    problem: str
    tests: int | None
    pick: int
    p_correct: float
    p_wrong: float
    harmful: bool
    task: int | None = None


_ROWS_PER_GROUP = 1 << 16
_ORDER = ("order", pa.int64())
_TABLES: Mapping[type, tuple[str, pa.Schema]] = {
    GrantRecord: (
        "grants",
        pa.schema(
            [
                _ORDER,
                ("task", pa.int64()),
                ("problem", pa.string()),
                ("first", pa.int32()),
                ("tests", pa.int32()),
                ("time", pa.float64()),
                ("value", pa.float64()),
                ("terms", pa.map_(pa.string(), pa.float64())),
            ]
        ),
    ),
    WorkRecord: (
        "work",
        pa.schema(
            [
                ("kind", pa.string()),
                ("problem", pa.string()),
                ("task", pa.int64()),
                ("worker", pa.string()),
                ("submitted", pa.float64()),
                ("started", pa.float64()),
                ("finished", pa.float64()),
            ]
        ),
    ),
    PoolRecord: (
        "pools",
        pa.schema(
            [
                ("time", pa.float64()),
                ("kind", pa.string()),
                ("workers", pa.int32()),
                ("busy", pa.int32()),
                ("queued", pa.int32()),
            ]
        ),
    ),
    AssessmentRecord: (
        "assessments",
        pa.schema(
            [
                _ORDER,
                ("problem", pa.string()),
                ("tests", pa.int32()),
                ("pick", pa.int32()),
                ("p_correct", pa.float64()),
                ("p_wrong", pa.float64()),
                ("harmful", pa.bool_()),
                ("task", pa.int64()),
            ]
        ),
    ),
}

_Row = TypeVar("_Row", GrantRecord, WorkRecord, PoolRecord, AssessmentRecord)


class RunTableWriter(Generic[_Row]):
    """One of the tables, written in row groups; as a context manager like ``TableWriter``.

    Args:
        kind: class of the rows.
        directory: the run directory.
    """

    def __init__(self, kind: type[_Row], directory: Path) -> None:
        name, self._schema = _TABLES[kind]
        self._columns = _fields(kind)
        self._writer = table_writer(directory / f"{name}.parquet")
        self._rows: list[_Row] = []
        self._written = 0

    def __enter__(self) -> Self:
        self._writer.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and (self._rows or not self._written):
            self._write()
        self._writer.__exit__(kind, error, trace)

    def __len__(self) -> int:
        return self._written + len(self._rows)

    def add(self, row: _Row) -> None:
        """Add a row.

        Raises:
            OSError: the file cannot be written.
        """
        self._rows.append(row)
        if len(self._rows) >= _ROWS_PER_GROUP:
            self._write()

    def add_all(self, rows: Iterable[_Row]) -> None:
        """Add rows; see :meth:`add`."""
        for row in rows:
            self.add(row)

    def _write(self) -> None:
        columns = {name: [_value(getattr(row, name)) for row in self._rows] for name in self._columns}
        if "order" in self._schema.names:
            columns["order"] = list(range(self._written, len(self)))
        self._writer.add(pa.table(columns, schema=self._schema))
        self._written += len(self._rows)
        self._rows.clear()


def write_run_table(kind: type[_Row], rows: Iterable[_Row], directory: Path) -> None:
    """Write one of the tables atomically.

    Args:
        kind: class of the rows.
        rows: in order; they may be none.
        directory: the run directory.

    Raises:
        OSError: the file cannot be written.
    """
    with RunTableWriter(kind, directory) as writer:
        writer.add_all(rows)


def read_run_table(kind: type[_Row], directory: Path) -> list[_Row]:
    """Read one of the tables, in order; empty if the run lacks it.

    Raises:
        UserError: the table is damaged, lacks a column, or has another schema version.
    """
    name, schema = _TABLES[kind]
    if not (directory / f"{name}.parquet").exists():
        return []
    table = read_table(directory, name, schema).select(_fields(kind))
    floats = {
        column for column in table.column_names if pa.types.is_floating(table.schema.field(column).type)
    }
    return [
        kind(**{column: _read(value, column in floats) for column, value in row.items()})
        for row in table.to_pylist()
    ]


def _fields(kind: type) -> list[str]:
    return [entry.name for entry in dataclasses.fields(kind)]


def _value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return list(value.items())
    return None if isinstance(value, float) and np.isnan(value) else value


def _read(value: Any, is_float: bool) -> Any:
    if isinstance(value, list):  # of a map
        return {name: _read(number, True) for name, number in value}
    return float("nan") if value is None and is_float else value
