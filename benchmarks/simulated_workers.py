"""Engines and runners on a simulated clock that obey their leases as the real ones do.

A worker uses one GPU-second or CPU-second in each second in which it has work. At the end of its lease it
drops what it does, reports, and begins anew once the lease is renewed. It reports every half second and
before each result. Reports and results arrive a little later than they are sent.
"""

import heapq
import itertools
import math
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from testbudget.executors.metering import SLICE_SECONDS, Usage
from testbudget.scheduler.core.events import WorkerJoined, WorkerKind, WorkerMetered

_REPORT_SECONDS = 0.5
_DELAY_SECONDS = 0.02  # from a worker to the driver
_INSTANT = 1e-9  # rest of a lease that is too short to work in


@dataclass(frozen=True, slots=True)
class TaskDone:
    """A task of which the workers of a kind have done all pieces."""

    kind: WorkerKind
    task: int


class _Alarm(Enum):
    """Moment at which a worker does something by itself."""

    REPORT = "report"
    LEASE = "the lease may end"


@dataclass(slots=True, eq=False)
class _Piece:
    """Piece of work: a test to generate, or a block to execute.

    Attributes:
        task: number of its task.
        seconds: time that it takes.
        started: when it was begun last; NaN before.
        dropped: seconds for which it was in progress before it was dropped.
    """

    task: int
    seconds: float
    started: float = math.nan
    dropped: float = 0.0


@dataclass(slots=True, eq=False)
class _Worker:
    """A worker.

    Attributes:
        number: its number.
        capacity: pieces that it does at once.
        until: usage at which its lease ends.
        used: GPU-seconds or CPU-seconds used up to ``since``.
        pieces: those in progress.
        watched: True if an alarm for the end of its lease is set.
    """

    number: int
    capacity: int
    until: float
    used: float = 0.0
    since: float = 0.0
    pieces: dict[_Piece, None] = field(default_factory=dict)
    watched: bool = False

    @property
    def free(self) -> int:
        """Pieces that it can begin now."""
        return self.capacity - len(self.pieces) if self.until - self.used > _INSTANT else 0

    def update(self, now: float) -> None:
        """Count the usage up to now."""
        if self.pieces:
            self.used = min(self.used + now - self.since, self.until)
        self.since = now


class WorkerPool:
    """Workers of one kind, and the pieces that wait for them.

    Args:
        kind: ``REWARD_MODEL`` or ``RUNNER``.
        numbers: numbers of the workers.
        capacity: pieces that one worker does at once.
        metered: True if a worker begins with a lease of nothing; otherwise leases have no end.

    Attributes:
        workers: the workers.
        waiting: pieces that wait, the next one first.
        busy: seconds for which pieces were in progress, summed, without those that were done again.
        redone: seconds of pieces that were done again.
        last: when the last piece ended.
        profile: ``(time, seconds in progress until then)`` at the end of each piece, those of pieces that
            were done again included.
    """

    def __init__(self, kind: WorkerKind, numbers: Iterable[int], capacity: int, *, metered: bool) -> None:
        self.kind, self.metered = kind, metered
        self.workers = [_Worker(number, capacity, 0.0 if metered else math.inf) for number in numbers]
        self.waiting: deque[_Piece] = deque()
        self.busy = self.redone = self.last = 0.0
        self.profile: list[tuple[float, float]] = [(0.0, 0.0)]
        self._left: dict[int, int] = {}  # pieces of each task
        self._in_progress, self._summed, self._summed_until = 0, 0.0, 0.0

    @property
    def used(self) -> float:
        """GPU-seconds or CPU-seconds that the workers have really used. It never falls."""
        return sum(worker.used for worker in self.workers)

    @property
    def slots(self) -> int:
        """Pieces that all workers do at once."""
        return sum(worker.capacity for worker in self.workers)

    def usage(self, amount: float) -> Usage:
        """An amount of what these workers use."""
        return Usage(cpu_seconds=amount) if self.kind == WorkerKind.RUNNER else Usage(gpu_seconds=amount)

    def amount(self, usage: Usage) -> float:
        """The amount of what these workers use."""
        return usage.cpu_seconds if self.kind == WorkerKind.RUNNER else usage.gpu_seconds

    def report(self, worker: _Worker) -> WorkerMetered:
        """Report of a worker."""
        return WorkerMetered(worker.number, self.usage(worker.used), self.usage(SLICE_SECONDS))

    def add(self, task: int, seconds: Sequence[float]) -> None:
        """Queue the pieces of a task."""
        self._left[task] = len(seconds)
        self.waiting.extend(_Piece(task, one) for one in seconds)

    def begin(self, worker: _Worker, piece: _Piece, now: float) -> None:
        """Begin a piece, perhaps anew."""
        self._sum(now)
        self._in_progress += 1
        self.busy -= piece.dropped
        self.redone += piece.dropped
        piece.started, piece.dropped = now, 0.0
        worker.pieces[piece] = None

    def end(self, worker: _Worker, piece: _Piece, now: float) -> None:
        """Take a piece off its worker, done or not."""
        self._sum(now)
        self._in_progress -= 1
        del worker.pieces[piece]
        self.busy += now - piece.started
        self.last = now
        self.profile.append((now, self._summed))

    def completes(self, piece: _Piece) -> bool:
        """Count a piece as done; True if it was the last one of its task."""
        self._left[piece.task] -= 1
        return not self._left[piece.task]

    def _sum(self, now: float) -> None:
        self._summed += self._in_progress * (now - self._summed_until)
        self._summed_until = now


_Happening = TaskDone | WorkerMetered | _Piece | _Alarm


class SimulatedWorkers:
    """Engines and runners on one clock.

    Args:
        engines, runners: numbers of workers.
        sequences: tests that an engine generates at once.
        metered: kinds of workers that work under leases.

    Attributes:
        now: seconds on the clock.
        engines, runners: the pools.
    """

    def __init__(self, engines: int, sequences: int, runners: int, metered: Collection[WorkerKind]) -> None:
        self.now = 0.0
        self.engines, self.runners = (
            WorkerPool(kind, numbers, capacity, metered=kind in metered)
            for kind, numbers, capacity in (
                (WorkerKind.REWARD_MODEL, range(engines), sequences),
                (WorkerKind.RUNNER, range(engines, engines + runners), 1),
            )
        )
        self._clock: list[tuple[float, int, WorkerPool, _Worker, _Happening]] = []
        self._order = itertools.count()  # among simultaneous happenings
        self._workers = {
            worker.number: (pool, worker)
            for pool in (self.engines, self.runners)
            for worker in pool.workers
        }
        for pool, worker in self._workers.values():
            if pool.metered:
                self._after(_REPORT_SECONDS, pool, worker, _Alarm.REPORT)

    def joined(self) -> list[WorkerJoined]:
        """All workers, as they join."""
        return [
            WorkerJoined(number, pool.kind, pool.usage(SLICE_SECONDS))
            for number, (pool, _) in self._workers.items()
        ]

    def submit(self, pool: WorkerPool, task: int, seconds: Sequence[float]) -> None:
        """Queue the pieces of a task, by the time that each takes."""
        pool.add(task, seconds)
        self._begin(pool)

    def lease(self, number: int, until: Usage) -> None:
        """Let a worker use so much in all."""
        pool, worker = self._workers[number]
        if pool.metered:
            worker.update(self.now)
            worker.until = max(worker.until, pool.amount(until))
            self._begin(pool)

    def abort(self, tasks: Collection[int]) -> None:
        """Drop all work of tasks."""
        unwanted = set(tasks)
        for pool, worker in self._workers.values():
            worker.update(self.now)
            for piece in [piece for piece in worker.pieces if piece.task in unwanted]:
                pool.end(worker, piece, self.now)
        for pool in (self.engines, self.runners):
            pool.waiting = deque(piece for piece in pool.waiting if piece.task not in unwanted)
            self._begin(pool)

    def wait(self) -> TaskDone | WorkerMetered:
        """Move the clock to the next message that arrives. There must be one to come."""
        while True:
            self.now, _, pool, worker, what = heapq.heappop(self._clock)
            if isinstance(what, (TaskDone, WorkerMetered)):
                return what
            worker.update(self.now)
            if isinstance(what, _Piece):
                self._piece_ends(pool, worker, what)
            elif what is _Alarm.REPORT:
                self._send(pool, worker, pool.report(worker))
                self._after(_REPORT_SECONDS, pool, worker, _Alarm.REPORT)
            else:
                self._lease_may_end(pool, worker)

    def _piece_ends(self, pool: WorkerPool, worker: _Worker, piece: _Piece) -> None:
        if piece not in worker.pieces or piece.started + piece.seconds > self.now + _INSTANT:
            return  # it was dropped in the meantime
        pool.end(worker, piece, self.now)
        if pool.metered:
            self._send(pool, worker, pool.report(worker))
        if pool.completes(piece):
            self._send(pool, worker, TaskDone(pool.kind, piece.task))
        self._begin(pool)

    def _lease_may_end(self, pool: WorkerPool, worker: _Worker) -> None:
        worker.watched = False
        if not worker.pieces:
            return
        if worker.until - worker.used > _INSTANT:
            self._watch(pool, worker)
            return
        worker.used = worker.until
        dropped = list(worker.pieces)
        for piece in dropped:
            pool.end(worker, piece, self.now)
            piece.dropped += self.now - piece.started
        pool.waiting.extendleft(reversed(dropped))
        self._send(pool, worker, pool.report(worker))
        self._begin(pool)

    def _begin(self, pool: WorkerPool) -> None:
        """Give waiting pieces to the workers with the most free slots."""
        if not pool.waiting:
            return
        able = []
        for worker in pool.workers:
            worker.update(self.now)
            if worker.free:
                able.append((-worker.free, worker.number, worker))
        heapq.heapify(able)
        while pool.waiting and able:
            free, number, worker = able[0]
            piece = pool.waiting.popleft()
            pool.begin(worker, piece, self.now)
            self._after(piece.seconds, pool, worker, piece)
            if pool.metered and not worker.watched:
                self._watch(pool, worker)
            if free == -1:
                heapq.heappop(able)
            else:
                heapq.heapreplace(able, (free + 1, number, worker))

    def _watch(self, pool: WorkerPool, worker: _Worker) -> None:
        worker.watched = True
        self._after(worker.until - worker.used, pool, worker, _Alarm.LEASE)

    def _send(self, pool: WorkerPool, worker: _Worker, message: TaskDone | WorkerMetered) -> None:
        self._after(_DELAY_SECONDS, pool, worker, message)

    def _after(self, seconds: float, pool: WorkerPool, worker: _Worker, what: _Happening) -> None:
        heapq.heappush(self._clock, (self.now + seconds, next(self._order), pool, worker, what))
