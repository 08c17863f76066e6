"""Workers on a simulated clock: each serves pieces in its slots, first come first served, under a lease."""

import heapq
import itertools
from collections import deque
from dataclasses import dataclass
from typing import Any

from testbudget.executors.metering import Usage
from testbudget.scheduler.core.events import WorkerKind

_NOTHING = Usage()
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Finished:
    """End of a piece.

    Attributes:
        item: the piece, as submitted.
        worker: number of the worker.
        submitted, started, finished: seconds on the clock.
    """

    item: Any
    worker: int
    submitted: float
    started: float
    finished: float


@dataclass(slots=True, eq=False)
class SimulatedWorker:
    """State of a worker.

    Attributes:
        number: its number.
        kind: kind of its work.
        free: slots that are free.
        used: usage since it started, that of pieces in progress included.
        until: its lease.
        asked: True if it has told its usage since the lease, and found it too short for the next piece.
    """

    number: int
    kind: WorkerKind
    free: int
    used: Usage = _NOTHING
    until: Usage = _NOTHING
    asked: bool = False

    def fits(self, usage: Usage) -> bool:
        """True if the lease leaves as much."""
        return all(
            used + more <= until + _ROUNDING
            for used, more, until in zip(self.used, usage, self.until, strict=True)
        )


class SimulatedWorkers:
    """Workers of one kind and their queue, on a clock that they share with other kinds.

    Args:
        clock: the clock.
        kind: kind of work.
        numbers: number of each worker.
        slots: pieces that each serves at once.
        until: first lease of each.
    """

    def __init__(
        self, clock: "SimulatedClock", kind: WorkerKind, numbers: list[int], slots: int, until: Usage
    ) -> None:
        self.workers = [SimulatedWorker(number, kind, slots, until=until) for number in numbers]
        self.queue: deque[tuple[Any, float, Usage, float]] = deque()  # item, seconds, usage, submitted
        self._clock, self._slots = clock, slots

    @property
    def busy(self) -> int:
        """Pieces in progress."""
        return sum(self._slots - worker.free for worker in self.workers)

    def submit(self, item: Any, seconds: float, usage: Usage) -> None:
        """Queue a piece that takes so long and uses so much."""
        self.queue.append((item, seconds, usage, self._clock.now))

    def start(self) -> list[SimulatedWorker]:
        """Start queued pieces on free slots; return workers whose lease is too short for the next one."""
        while self.queue:
            item, seconds, usage, submitted = self.queue[0]
            free = [worker for worker in self.workers if worker.free]
            able = [worker for worker in free if worker.fits(usage)]
            if not able:
                return free
            worker = max(able, key=lambda one: one.free)
            self.queue.popleft()
            worker.free -= 1
            worker.used = Usage(*map(sum, zip(worker.used, usage, strict=True)))
            self._clock.add(seconds, worker, item, submitted)
        return []


class SimulatedClock:
    """Seconds that pass from one end of a piece to the next.

    Attributes:
        now: seconds since the start.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._order = itertools.count()
        self._ends: list[tuple[float, int, float, float, SimulatedWorker, Any]] = []

    def __len__(self) -> int:
        """Pieces in progress."""
        return len(self._ends)

    def add(self, seconds: float, worker: SimulatedWorker, item: Any, submitted: float) -> None:
        """Begin a piece that ends in so many seconds."""
        heapq.heappush(
            self._ends, (self.now + seconds, next(self._order), self.now, submitted, worker, item)
        )

    def advance(self) -> Finished:
        """Move the clock to the next end of a piece."""
        self.now, _, started, submitted, worker, item = heapq.heappop(self._ends)
        worker.free += 1
        return Finished(item, worker.number, submitted, started, self.now)
