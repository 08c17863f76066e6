"""Plan of a pool: its shape, its calls, and the names of its workers."""

import math
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
        count: most workers; None for as many as have work and a place.
        capacity: load that one worker takes at once.
        start: method that makes a worker ready.
        method: method that does the work.
        arguments: function from pieces of work to the arguments of the method.
        done: function from pieces of work, result and times to reports.
        load: function from a piece of work to its load.
        batch: pieces of work in one call at most.
        serial: True if a worker does its calls one after the other, so that one call is in progress.
        probe: method and arguments by which the first worker at a place is made ready instead; it finds out
            whether workers can work there. A place that it refuses by a UserError is not used.
        idle_seconds: time after which a worker without work is let go.
        stall_seconds: time without progress after which a worker that counts its progress is replaced.
        wait_seconds: time without any worker, although there is work, after which the run ends.
        max_lone_deaths: number of workers that died of a piece of work alone, after which it is lost.
        affine: True to send work on one problem to one worker as far as it has room.
    """

    count: int | None
    capacity: int
    start: str
    method: str
    arguments: Callable[[Sequence[Any]], tuple[Any, ...]]
    done: Callable[[Sequence[Any], Any, Sequence[Piece]], Sequence[Report]]
    load: Callable[[Any], int] = lambda _: 1
    batch: int = 1
    serial: bool = False
    probe: tuple[Any, ...] | None = None
    idle_seconds: float = math.inf
    stall_seconds: float = math.inf
    wait_seconds: float = math.inf
    max_lone_deaths: int = 3
    affine: bool = False


def worker_name(kind: WorkerKind, number: int) -> str:
    """Name of a worker."""
    return f"{spoken(kind).replace(' ', '-')}-{number}"


def spoken(kind: WorkerKind) -> str:
    """Name of a kind of workers in a sentence."""
    return kind.name.lower().replace("_", " ")
