"""Plan of a pool: its shape, its calls, and the names of its workers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from testbudget.scheduler.backends.base import Report
from testbudget.scheduler.core.events import WorkerKind
from testbudget.traces.records import Piece


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """Shape of a pool, and its calls.

    Attributes:
        count: number of workers.
        capacity: load that one worker takes at once.
        start: method that makes a worker ready.
        method: method that does the work.
        arguments: function from pieces of work to the arguments of the method.
        done: function from pieces of work, result and times to reports.
        load: function from a piece of work to its load.
        batch: pieces of work in one call at most.
    """

    count: int
    capacity: int
    start: str
    method: str
    arguments: Callable[[Sequence[Any]], tuple[Any, ...]]
    done: Callable[[Sequence[Any], Any, Sequence[Piece]], Sequence[Report]]
    load: Callable[[Any], int] = lambda _: 1
    batch: int = 1


def worker_name(kind: WorkerKind, number: int) -> str:
    """Name of a worker."""
    return f"{spoken(kind).replace(' ', '-')}-{number}"


def spoken(kind: WorkerKind) -> str:
    """Name of a kind of workers in a sentence."""
    return kind.name.lower().replace("_", " ")
