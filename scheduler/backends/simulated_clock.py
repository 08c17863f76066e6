"""Simulated clock: workers with slots that do pieces of work for a known time, first come first served.

Only numbers are looked at, so that a simulation of any size uses the same clock as a run on recorded
results.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

Admit = Callable[[int, Any], bool]
"""Type of a function of a worker and the tag of a piece: True if the worker can begin with it now."""


class FinishedPiece(NamedTuple):
    """A piece of work that was done, with times in seconds on the clock.

    Attributes:
        tag: as it was submitted.
        worker: number of the worker.
        submitted, started, finished: times; ``started`` is when it got its slot.
    """

    tag: Any
    worker: int
    submitted: float
    started: float
    finished: float


class SimulatedPool:
    """Workers of one kind. A piece takes the slot that has been free longest; made by a `SimulatedClock`.

    Args:
        clock: the clock.
        workers: numbers of the workers.
        slots: pieces that one worker does at once.
        admit: asked before a worker begins with a piece. A worker that may not begin waits for `resume`,
            and the piece goes to another or stays the first in the queue. None for workers that always may.
    """

    def __init__(
        self, clock: "SimulatedClock", workers: Iterable[int], slots: int, admit: Admit | None
    ) -> None:
        self._clock = clock
        self._free = deque(tuple(workers) * slots)
        self._admit = admit
        self._queue: deque[tuple[Any, float, float]] = deque()  # tag, duration, time of submission
        self._held: dict[int, int] = {}  # free slots of the workers that wait for ``resume``
        self._slots = len(self._free)

    @property
    def busy(self) -> int:
        """Number of pieces in progress."""
        return self._slots - len(self._free) - sum(self._held.values())

    @property
    def queued(self) -> int:
        """Number of pieces that wait."""
        return len(self._queue)

    def submit(self, tag: Any, seconds: float) -> None:
        """Queue one piece that takes so many seconds."""
        self._queue.append((tag, seconds, self._clock.now))
        self._begin()

    def submit_all(self, tags: Iterable[Any], seconds: Iterable[float]) -> None:
        """Queue pieces by columns, in their order."""
        self._queue.extend(zip(tags, seconds, itertools.repeat(self._clock.now)))
        self._begin()

    def drop(self, unwanted: Callable[[Any], bool]) -> None:
        """Drop pieces that wait, by their tags."""
        self._queue = deque(piece for piece in self._queue if not unwanted(piece[0]))
        self._begin()

    def resume(self, worker: int) -> None:
        """Let a worker that could not begin try again."""
        self._free.extendleft([worker] * self._held.pop(worker, 0))
        self._begin()

    def _begin(self) -> None:
        """Give waiting pieces to free slots."""
        queue, free, admit, clock = self._queue, self._free, self._admit, self._clock
        now, numbers, heap = clock.now, clock.numbers, clock.heap
        while queue and free:
            worker = free.popleft()
            if admit is not None and not admit(worker, queue[0][0]):
                self._held[worker] = self._held.get(worker, 0) + 1
                continue
            tag, seconds, submitted = queue.popleft()
            heapq.heappush(heap, (now + seconds, next(numbers), self, worker, tag, submitted, now))

    def _end(self, worker: int) -> None:
        self._free.append(worker)


class SimulatedClock:
    """Seconds that pass when nothing but waiting is left to do.

    Attributes:
        now: seconds since the start.
        heap: pieces in progress by the time when they finish, for `SimulatedPool`.
        numbers: numbers of the pieces, for `SimulatedPool`: of equal ends the first begun is first.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.heap: list[tuple[float, int, SimulatedPool, int, Any, float, float]] = []
        self.numbers = itertools.count()

    def pool(self, workers: Iterable[int], slots: int = 1, admit: Admit | None = None) -> SimulatedPool:
        """New workers on this clock.

        Args:
            workers, slots, admit: as for `SimulatedPool`.
        """
        return SimulatedPool(self, workers, slots, admit)

    def step(self) -> list[FinishedPiece]:
        """Move to the next end of a piece, and return all that end then; none if none is in progress."""
        heap, finished = self.heap, []
        if not heap:
            return []
        self.now = now = heap[0][0]
        pools: dict[SimulatedPool, None] = {}
        while heap and heap[0][0] == now:
            _, _, pool, worker, tag, submitted, started = heapq.heappop(heap)
            pool._end(worker)
            pools[pool] = None
            finished.append(FinishedPiece(tag, worker, submitted, started, now))
        for pool in pools:
            pool._begin()
        return finished
