"""Back end whose workers are actors: pools by kind of work, on any transport that can call them.

A call that dies with its worker is sent to another one; the third death ends it as lost. Workers that die
are replaced. A call that a lease has ended waits for the worker's next lease, in front of all others.
"""

import itertools
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from testbudget.executors.actors import ExtractionError
from testbudget.executors.metering import LeaseEndedError, Reading, Usage
from testbudget.rewards.errors import InfrastructureError, SandboxError, one_line
from testbudget.scheduler.backends.base import (
    PoolUse,
    Report,
    WorkerEnded,
    WorkerReport,
    WorkerStarted,
    WorkLost,
)
from testbudget.scheduler.core.events import WorkerKind
from testbudget.traces.records import Piece

_DEATHS = 3  # of one call, after which it is lost
_STARTS = 4  # of workers in a row that fail, after which the pool is given up
_BACK_OFF_SECONDS, _LONGEST_BACK_OFF_SECONDS = 0.2, 10.0
_REPORT_SECONDS = 0.5  # between reports of a metered worker that works
_NOTHING = Usage()
_MOVABLE = (SandboxError, ExtractionError)  # the worker may be at fault: another one tries once


class WorkerDiedError(Exception):
    """End of a worker's process or node while a call was in progress."""


class Transport(ABC):
    """Means to start workers and to call their methods without waiting."""

    @abstractmethod
    def start(self, kind: WorkerKind) -> Any:
        """Begin to start a worker, and return its handle."""

    @abstractmethod
    def call(self, worker: Any, method: str, *arguments: Any) -> Any:
        """Call a method of a worker, and return a call in progress."""

    @abstractmethod
    def wait(self, calls: Sequence[Any], timeout: float | None) -> Sequence[Any]:
        """Block until one of the calls is done, and return all that are; none after the timeout."""

    @abstractmethod
    def result(self, call: Any) -> Any:
        """Result of a call that is done.

        Raises:
            WorkerDiedError: the worker has ended.
            Exception: what the method raised.
        """

    @abstractmethod
    def share(self, value: Any) -> Any:
        """A value that can be passed in many calls and is sent once."""

    @abstractmethod
    def end(self, worker: Any) -> None:
        """End a worker and the calls in progress."""


@dataclass(slots=True, eq=False)
class Call:
    """A call that waits or is in progress.

    Attributes:
        key: key of the work.
        arguments: arguments of the method.
        done: makes the reports of the result.
        lost: makes the report of a lost call.
        load: part of the worker's capacity that it takes.
    """

    key: Hashable
    arguments: tuple[Any, ...]
    done: Callable[[Any, Piece], Sequence[Report]]
    lost: Callable[[str], Sequence[WorkLost]]
    load: int = 1
    submitted: float = 0.0
    started: float = 0.0
    deaths: int = 0
    failed_on: int | None = None  # worker that an error moved it away from


@dataclass(slots=True, eq=False)
class _Worker:
    number: int
    handle: Any
    load: int = 0
    ready: bool = False
    reporting: bool = False
    reported: float = 0.0
    until: Usage = _NOTHING  # its lease
    ended_at: Usage | None = None  # the lease that has ended and was not renewed
    finished: list[tuple[Call, Any]] = field(default_factory=list)  # results that wait for a report


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """Shape of a pool.

    Attributes:
        count: number of workers.
        capacity: load that one worker takes at once.
        method: method that does the work.
        start: method that makes a worker ready; its result is ignored.
    """

    count: int
    capacity: int
    method: str
    start: str


class Pool:
    """Workers of one kind and the calls for them.

    Args:
        kind: kind of work.
        plan: shape of the pool.
        transport: starts and calls workers.
        clock: seconds on the back end's clock.
        numbers: numbers for new workers.
        metered: True if workers work under leases.
    """

    def __init__(
        self,
        kind: WorkerKind,
        plan: PoolPlan,
        transport: Transport,
        clock: Callable[[], float],
        numbers: "itertools.count[int]",
        *,
        metered: bool,
    ) -> None:
        self._kind, self._plan, self._transport, self._clock = kind, plan, transport, clock
        self._numbers, self._metered = numbers, metered
        self._workers: dict[int, _Worker] = {}
        self._queue: deque[Call] = deque()
        self._calls: dict[Any, tuple[_Worker, Call | None]] = {}  # None: of starting or reporting
        self._failed_starts = 0
        self._next_start = 0.0
        self._reason = ""

    @property
    def calls(self) -> list[Any]:
        """Calls in progress."""
        return list(self._calls)

    @property
    def use(self) -> PoolUse:
        """Present use."""
        busy = sum(call is not None for _, call in self._calls.values())
        return PoolUse(sum(worker.ready for worker in self._workers.values()), busy, len(self._queue))

    def handles(self) -> list[Any]:
        """Handles of the workers, started or not."""
        self.keep_up()
        return [worker.handle for worker in self._workers.values()]

    def submit(self, call: Call) -> None:
        """Queue a call."""
        call.submitted = self._clock()
        self._queue.append(call)
        self.keep_up()

    def keep_up(self) -> None:
        """Start workers that are missing, ask for reports that are due, and send what waits."""
        while len(self._workers) < self._plan.count and self._clock() >= self._next_start:
            worker = _Worker(next(self._numbers), self._transport.start(self._kind))
            self._workers[worker.number] = worker
            self._calls[self._transport.call(worker.handle, self._plan.start)] = (worker, None)
        if self._metered:
            for worker in self._workers.values():
                works = worker.load or worker.ended_at is not None
                if works and self._clock() >= worker.reported + _REPORT_SECONDS:
                    self._ask_for_report(worker)
        self._send()

    def collect(self, reference: Any) -> Sequence[Report]:
        """Reports that a finished call makes.

        Raises:
            UserError: a setting cannot be used.
            InfrastructureError: no worker can be started.
        """
        worker, call = self._calls.pop(reference)
        try:
            result = self._transport.result(reference)
        except WorkerDiedError as error:
            if worker.number not in self._workers:
                return []
            return self._died(worker, [call] if call else [], one_line(error))
        except LeaseEndedError as error:
            assert call is not None
            worker.load -= call.load
            self._queue.appendleft(call)
            if worker.until == error.until:
                worker.ended_at = error.until
            self._ask_for_report(worker)
            return []
        except _MOVABLE as error:
            assert call is not None
            worker.load -= call.load
            if call.failed_on is None:
                call.failed_on = worker.number
                self._queue.appendleft(call)
                self.keep_up()
                return []
            return [*call.lost(one_line(error))]
        if call is None:
            return self._of_report(worker, result)
        worker.load -= call.load
        worker.finished.append((call, result))
        self._ask_for_report(worker)
        self._send()
        return []

    def lease(self, number: int, until: Usage) -> bool:
        """Pass a lease on to a worker; False if it is not of this pool."""
        worker = self._workers.get(number)
        if worker is None:
            return False
        worker.until, worker.ended_at = until, None
        self._calls[self._transport.call(worker.handle, "lease", until)] = (worker, None)
        self._send()
        return True

    def abort(self, keys: set[Hashable]) -> None:
        """Drop queued calls."""
        self._queue = deque(call for call in self._queue if call.key not in keys)

    def close(self) -> list[WorkerEnded]:
        """End all workers."""
        ended = [WorkerEnded(worker.number) for worker in self._workers.values() if worker.ready]
        for worker in self._workers.values():
            self._transport.end(worker.handle)
        self._workers.clear()
        self._calls.clear()
        self._queue.clear()
        return ended

    def _of_report(self, worker: _Worker, result: Any) -> Sequence[Report]:
        """Reports of a worker that has started, or has told its usage; its results follow its usage."""
        if not isinstance(result, Reading):
            if not worker.ready and not worker.reporting:
                self._ask_for_report(worker)  # it is started; its first report tells its slice
            return []
        worker.reporting, worker.reported = False, self._clock()
        used, slice_ = result
        reports: list[Report] = []
        if not worker.ready:
            worker.ready, self._failed_starts = True, 0
            name = f"{self._kind.name.lower().replace('_', '-')}-{worker.number}"
            reports.append(WorkerStarted(worker.number, name, self._kind, slice_))
        else:
            reports.append(WorkerReport(worker.number, used, slice_))
        for call, answer in worker.finished:
            piece = Piece(self._name(worker), call.submitted, call.started, self._clock())
            reports += call.done(answer, piece)
        worker.finished.clear()
        self._send()
        return reports

    def _died(self, worker: _Worker, calls: list[Call], reason: str) -> Sequence[Report]:
        others = [(reference, call) for reference, (owner, call) in self._calls.items() if owner is worker]
        for reference, call in others:
            del self._calls[reference]
            if call is not None:
                calls.append(call)
        calls += [call for call, _ in worker.finished]
        del self._workers[worker.number]
        self._transport.end(worker.handle)
        reports: list[Report] = [WorkerEnded(worker.number)] if worker.ready else []
        if not worker.ready:
            self._failed_starts += 1
            if self._failed_starts >= _STARTS:
                raise InfrastructureError(
                    f"no worker for the {self._kind.name.lower()} can be started: {reason}"
                )
        back_off = min(_BACK_OFF_SECONDS * 2**self._failed_starts, _LONGEST_BACK_OFF_SECONDS)
        self._next_start = self._clock() + back_off
        for call in sorted(calls, key=lambda one: one.submitted, reverse=True):
            call.deaths += 1
            if call.deaths >= _DEATHS:
                reports += call.lost(reason)
            else:
                self._queue.appendleft(call)
        self.keep_up()
        return reports

    def _ask_for_report(self, worker: _Worker) -> None:
        if not worker.reporting:
            worker.reporting = True
            self._calls[self._transport.call(worker.handle, "report")] = (worker, None)

    def _send(self) -> None:
        while self._queue:
            worker = self._free_worker(self._queue[0])
            if worker is None:
                return
            call = self._queue.popleft()
            call.started = self._clock()
            worker.load += call.load
            reference = self._transport.call(worker.handle, self._plan.method, *call.arguments)
            self._calls[reference] = (worker, call)

    def _free_worker(self, call: Call) -> _Worker | None:
        """The least loaded worker that may take a call; one that it failed on only if there is no other."""
        able = [
            worker
            for worker in self._workers.values()
            # An idle worker takes any call, even one that exceeds its capacity alone.
            if worker.ready
            and (worker.ended_at is None)
            and (not self._metered or any(worker.until))
            and (not worker.load or worker.load + call.load <= self._plan.capacity)
        ]
        others = [worker for worker in able if worker.number != call.failed_on]
        if not others and len(self._workers) > 1:
            return None
        return min(others or able, key=lambda worker: worker.load, default=None)

    def _name(self, worker: _Worker) -> str:
        return f"{self._kind.name.lower().replace('_', '-')}-{worker.number}"


class Pools:
    """Pools of all kinds that a back end has, and the wait for any of them.

    Args:
        transport: starts and calls workers.
        plan: shape of the pool of a kind, asked for when it starts.
        metered: True if workers work under leases; of POLICY_MODEL they never do.
    """

    def __init__(
        self, transport: Transport, plan: Callable[[WorkerKind], PoolPlan], *, metered: bool
    ) -> None:
        self._transport, self._plan, self._metered = transport, plan, metered
        self._started = time.monotonic()
        self._numbers = itertools.count()
        self._pools: dict[WorkerKind, Pool] = {}
        self._ended: list[Report] = []

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    @property
    def numbers(self) -> "itertools.count[int]":
        """Numbers of workers, for those that are in no pool."""
        return self._numbers

    def pool(self, kind: WorkerKind) -> Pool:
        """The pool of a kind; it starts when it is first asked for."""
        if kind not in self._pools:
            metered = self._metered and kind is not WorkerKind.POLICY_MODEL
            self._pools[kind] = Pool(
                kind,
                self._plan(kind),
                self._transport,
                lambda: self.seconds,
                self._numbers,
                metered=metered,
            )
        return self._pools[kind]

    def wait(self, timeout: float | None) -> list[Report]:
        """Reports of all calls that are done, after at least one; none after the timeout."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            reports, self._ended = self._ended, []
            for pool in self._pools.values():
                pool.keep_up()
            owners = {call: pool for pool in self._pools.values() for call in pool.calls}
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if owners:
                most = _REPORT_SECONDS if left is None else min(left, _REPORT_SECONDS)
                for call in self._transport.wait(list(owners), 0.0 if reports else most):
                    if call in owners[call].calls:
                        reports += owners[call].collect(call)
            elif left:
                time.sleep(min(left, _REPORT_SECONDS))  # a worker is replaced after a while
            if reports or (deadline is not None and time.monotonic() >= deadline):
                return reports

    def lease(self, number: int, until: Usage) -> None:
        """Pass a lease on."""
        any(pool.lease(number, until) for pool in self._pools.values())

    def abort(self, keys: Sequence[Hashable]) -> None:
        """Drop queued calls."""
        for pool in self._pools.values():
            pool.abort(set(keys))

    def retire(self, kind: WorkerKind) -> None:
        """End the workers of a kind."""
        if pool := self._pools.pop(kind, None):
            self._ended += pool.close()

    def use(self) -> Mapping[WorkerKind, PoolUse]:
        """Present use of the pools."""
        return {kind: pool.use for kind, pool in self._pools.items()}

    def close(self) -> None:
        """End all workers."""
        for kind in list(self._pools):
            self.retire(kind)
