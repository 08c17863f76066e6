"""Work in progress by key, and the answers that the core gets for it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np

from testbudget.scheduler.backends.base import Backend, Work
from testbudget.scheduler.core import events as e
from testbudget.scheduler.event_log import Note
from testbudget.scheduler.log_records import Record


class Answer(NamedTuple):
    """An event, or a note, with its records, one for each task of the event."""

    event: e.Event | Note
    records: tuple[Record, ...] = ()


class WorkKind(StrEnum):
    """Kind of a piece of work.

    ``SETTLE`` executes pairs of a rung again that were cut off early.
    """

    SAMPLE = "sample"
    EXTRACT = "extract"
    GENERATE = "generate"
    EXECUTE = "execute"
    SETTLE = "settle"
    LABEL = "label"


class WorkKey(NamedTuple):
    """Key of a piece of work.

    Attributes:
        kind: kind of work.
        task: number of its task; of a label the position of its problem.
        part: first candidate of a piece of candidates, or number of the rung.
    """

    kind: WorkKind
    task: int
    part: int = 0


@dataclass(frozen=True, slots=True)
class OpenTask:
    """Task that a piece of work belongs to.

    Attributes:
        number: number of the task.
        position: position of its problem.
        first, tests: its tests; none for the preparation of a problem.
    """

    number: int
    position: int
    first: int = 0
    tests: int = 0

    @property
    def indices(self) -> range:
        """Indices of its tests among those of the problem."""
        return range(self.first, self.first + self.tests)


class OpenWork:
    """Work that was submitted and has not come back.

    A result whose key is not here is a late double of work that was thought lost, or belongs to a task that
    was cut off.

    Args:
        backend: carries out work.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._tasks: dict[WorkKey, OpenTask] = {}

    def __contains__(self, key: WorkKey) -> bool:
        return key in self._tasks

    def submit(self, key: WorkKey, task: OpenTask, work: Work) -> None:
        """Submit work whose key is ``key``."""
        self._tasks[key] = task
        self._backend.submit(work)

    def take(self, key: WorkKey) -> OpenTask | None:
        """The task of work that has come back; None if it was not open."""
        return self._tasks.pop(key, None)

    def abort(self, tasks: set[int]) -> None:
        """Drop the work of tasks; labels belong to none."""
        keys = [key for key in self._tasks if key.kind is not WorkKind.LABEL and key.task in tasks]
        for key in keys:
            del self._tasks[key]
        self._backend.abort(keys)


def work_key(work: Work) -> WorkKey:
    """Key of work that the dispatcher has submitted."""
    assert isinstance(work.key, WorkKey)
    return work.key


def one(number: float) -> e.Ints:
    """A column of one whole number."""
    return np.array([number], np.int64)


def ints(numbers: Sequence[int]) -> e.Ints:
    """A column of whole numbers."""
    return np.array(numbers, np.int64)


def rows(*columns: e.Ints) -> list[tuple[int, ...]]:
    """Rows of columns."""
    return list(zip(*(column.tolist() for column in columns), strict=True))


def merged(answers: Iterable[Answer]) -> list[Answer]:
    """Answers with one columnar event for all events of a type, in the order of their first events."""
    by_type: dict[type[e.Event | Note], list[Answer]] = {}
    for answer in answers:
        by_type.setdefault(type(answer.event), []).append(answer)
    return [_joined(same) for same in by_type.values()]


def _joined(same: Sequence[Answer]) -> Answer:
    if len(same) == 1:
        return same[0]
    first = same[0].event
    columns: dict[str, Any] = {
        field.name: np.concatenate([getattr(answer.event, field.name) for answer in same])
        for field in fields(first)
    }
    return Answer(replace(first, **columns), tuple(record for answer in same for record in answer.records))
