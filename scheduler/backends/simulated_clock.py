"""Simulated clock: workers with slots that do pieces of work for a known time, first come first served.

Only numbers are looked at, so that a simulation of any size uses the same clock as a run on recorded
results.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from testbudget.executors.metering import Usage
from testbudget.scheduler.core.events import WorkerKind

_TOLERANCE = 1e-9


class Finished(NamedTuple):
    """A piece of work that was done, with times in seconds on the clock.

    Attributes:
        item: as it was submitted.
        worker: number of the worker.
        submitted, started, finished: times; ``started`` is when it got its slot.
    """

    item: Any
    worker: int
    submitted: float
    started: float
    finished: float


@dataclass(slots=True, eq=False)
class SimulatedWorker:
    """A worker.

    Attributes:
        number: its number.
        kind: kind of its work.
        free: slots without a piece.
        until: usage at which its lease ends.
        used: usage of all pieces that it has begun.
        asked: True if it has asked for another lease than this one.
    """

    number: int
    kind: WorkerKind
    free: int
    until: Usage
    used: Usage = Usage()
    asked: bool = False

    def charge(self, usage: Usage) -> bool:
        """Charge a piece that is begun; False if the lease leaves too little."""
        tokens, gpu_seconds, cpu_seconds = self.used
        total = Usage(tokens + usage[0], gpu_seconds + usage[1], cpu_seconds + usage[2])
        until = self.until
        if (
            total[0] > until[0] + _TOLERANCE
            or total[1] > until[1] + _TOLERANCE
            or total[2] > until[2] + _TOLERANCE
        ):
            return False
        self.used = total
        return True


class SimulatedClock:
    """Seconds that pass when nothing but waiting is left to do.

    Attributes:
        now: seconds since the start.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._numbers = itertools.count()  # of equal ends the first begun is first
        self._heap: list[tuple[float, int, SimulatedWorkers, SimulatedWorker, Any, float, float]] = []

    def __len__(self) -> int:
        return len(self._heap)

    def begin(
        self, pool: "SimulatedWorkers", worker: SimulatedWorker, item: Any, seconds: float, submitted: float
    ) -> None:
        """Let a piece that takes so many seconds begin now."""
        now = self.now
        heapq.heappush(self._heap, (now + seconds, next(self._numbers), pool, worker, item, submitted, now))

    def advance(self) -> Finished:
        """Move to the next end of a piece. There must be one in progress."""
        self.now, _, pool, worker, item, submitted, started = heapq.heappop(self._heap)
        pool.end(worker)
        return Finished(item, worker.number, submitted, started, self.now)


class SimulatedWorkers:
    """Workers of one kind. A piece takes the slot that has been free longest.

    Args:
        clock: the clock.
        kind: kind of their work.
        numbers: their numbers.
        slots: pieces that one worker does at once.
        until: their first lease.

    Attributes:
        workers: the workers.
        queue: pieces that wait, each with its item first.
    """

    def __init__(
        self, clock: SimulatedClock, kind: WorkerKind, numbers: Iterable[int], slots: int, until: Usage
    ) -> None:
        self._clock = clock
        self.workers = [SimulatedWorker(number, kind, slots, until) for number in numbers]
        self.queue: deque[tuple[Any, float, Usage, float]] = deque()
        self._slots = deque(self.workers * slots)  # free ones, the longest free first
        self._all = len(self._slots)

    @property
    def busy(self) -> int:
        """Number of pieces in progress."""
        return self._all - len(self._slots)

    def submit(self, item: Any, seconds: float, usage: Usage) -> None:
        """Queue a piece that takes so many seconds and uses so much."""
        self.queue.append((item, seconds, usage, self._clock.now))

    def start(self) -> list[SimulatedWorker]:
        """Begin what waits on free slots; return the workers whose lease leaves too little for it."""
        queue, slots, short = self.queue, self._slots, deque[SimulatedWorker]()
        while queue and slots:
            worker = slots.popleft()
            item, seconds, usage, submitted = queue[0]
            if not worker.charge(usage):
                short.append(worker)
                continue
            queue.popleft()
            worker.free -= 1
            self._clock.begin(self, worker, item, seconds, submitted)
        slots.extendleft(reversed(short))
        return list(dict.fromkeys(short))

    def end(self, worker: SimulatedWorker) -> None:
        """Take note that a piece of a worker has ended."""
        worker.free += 1
        self._slots.append(worker)
