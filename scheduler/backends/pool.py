"""Workers of one kind and their queue: work is sent in order, and repeated when a worker dies.

Work that dies with its worker is sent again, to ever less busy workers, so that what kills workers is
found; after its third death it is lost. Work that fails is sent to another worker once. Work that a lease
has ended waits for another lease, in front of all that came later. Workers that die are replaced.
"""

import heapq
import itertools
import logging
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from testbudget.executors.calls import CallAnswer, WorkerDiedError
from testbudget.executors.metering import LeaseEndedError, Reading, Usage
from testbudget.rewards.errors import InfrastructureError, UserError
from testbudget.scheduler.backends.base import (
    ExecuteWork,
    PoolUse,
    Report,
    Work,
    WorkerEnded,
    WorkerReport,
    WorkerStarted,
    WorkLost,
)
from testbudget.scheduler.backends.pool_plan import PoolPlan, spoken, worker_name
from testbudget.scheduler.backends.transport import Transport
from testbudget.scheduler.core.events import WorkerKind
from testbudget.traces.records import Piece

REPORT_SECONDS = 0.5
"""Seconds between two reports of a metered worker that works."""

_REVIEW_SECONDS = 5.0  # between two reports of one that is not metered
_IDLE_SECONDS = 15.0  # of a worker with work to do, after which the work has not reached it

_LOG = logging.getLogger(__name__)
_MAX_DEATHS = 3  # of a piece of work
_MAX_FAILED_STARTS = 4  # in a row
_BACK_OFF_SECONDS, _LONGEST_BACK_OFF_SECONDS = 0.25, 30.0
_SUSPICION = 16  # each death of a call divides the load that it may share a worker with
_NOTHING = Usage()
_UNREAD = Reading(_NOTHING, _NOTHING)


@dataclass(slots=True, eq=False)
class _Item:
    """Piece of work that is not done."""

    number: int
    work: Work
    submitted: float
    deaths: int = 0
    failed_on: int | None = None  # worker that it failed on
    dropped: bool = False

    @property
    def suspect(self) -> bool:
        return self.deaths > 0 or self.failed_on is not None


class _Purpose(Enum):
    START = auto()
    LEASE = auto()
    REPORT = auto()
    WORK = auto()


@dataclass(slots=True, eq=False)
class _Worker:
    number: int
    name: str
    handle: Any
    ready: bool = False
    served: bool = False  # it has done work
    load: int = 0
    items: dict[_Item, None] = field(default_factory=dict)
    asked: bool = False  # for a report
    heard: float = 0.0  # time of the last report
    idle_since: float | None = None  # although it has work to do
    told: Reading = _UNREAD
    until: Usage = _NOTHING  # its lease
    ended: Usage | None = None  # the present lease, if it has ended


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    worker: _Worker
    purpose: _Purpose
    items: tuple[_Item, ...] = ()
    load: int = 0
    sent: float = 0.0


class Pool:
    """Workers of one kind and the work for them.

    Args:
        kind: kind of work.
        plan: shape of the pool.
        transport: starts and calls workers.
        clock: current time, in seconds.
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
        self._numbers = numbers
        self._charged = kind is not WorkerKind.POLICY_MODEL
        self._metered = metered and self._charged
        self._open = False
        self._workers: dict[int, _Worker] = {}
        self._queue: list[tuple[int, _Item]] = []  # a heap
        self._items = itertools.count()
        self._calls: dict[Any, _Call] = {}
        self._reports: list[Report] = []
        self._ever_ready = False
        self._failed_starts = 0  # in a row
        self._useless = 0  # workers in a row that died before they had done any work
        self._next_start = 0.0

    @property
    def calls(self) -> list[Any]:
        """Calls in progress."""
        return list(self._calls)

    @property
    def use(self) -> PoolUse:
        """Present use."""
        workers = self._workers.values()
        busy = sum(not item.dropped for worker in workers for item in worker.items)
        return PoolUse(sum(worker.ready for worker in workers), busy, len(self._queue))

    def open(self) -> None:
        """Let workers start. Until then work only queues."""
        self._open = True

    def submit(self, work: Work) -> None:
        """Queue a piece of work."""
        self._put(_Item(next(self._items), work, self._clock()))

    def abort(self, keys: set[Hashable]) -> None:
        """Drop work; of what is in progress no result is reported."""
        self._queue = [entry for entry in self._queue if entry[1].work.key not in keys]
        heapq.heapify(self._queue)
        for worker in self._workers.values():
            for item in worker.items:
                item.dropped = item.dropped or item.work.key in keys

    def lease(self, number: int, until: Usage) -> bool:
        """Pass a lease on; False if the worker is not of this pool."""
        if (worker := self._workers.get(number)) is None:
            return False
        extended = Usage(*map(max, worker.until, until))
        if extended != worker.until:
            worker.until, worker.ended = extended, None
            self._call(worker, _Purpose.LEASE, "lease", extended)
        return True

    def keep_up(self) -> None:
        """Start missing workers, ask for reports that are due, and send what waits."""
        if not self._open:
            return
        now = self._clock()
        while len(self._workers) < self._plan.count and now >= self._next_start:
            number = next(self._numbers)
            worker = _Worker(number, worker_name(self._kind, number), self._transport.start(self._kind))
            self._workers[number] = worker
            self._call(worker, _Purpose.START, self._plan.start)
        pause = REPORT_SECONDS if self._metered else _REVIEW_SECONDS
        for worker in self._workers.values():
            if worker.items and not worker.asked and now >= worker.heard + pause:
                worker.asked = True
                self._call(worker, _Purpose.REPORT, "report")
        self._send()

    def collect(self, call: Any) -> None:
        """Take the answer to a call.

        Raises:
            UserError: a setting cannot be used.
            InfrastructureError: no worker can be started, or what they all depend on has ended.
        """
        if (made := self._calls.get(call)) is None:
            return  # of a worker that has been lost meanwhile
        worker = made.worker
        try:
            answer = self._transport.result(call)
        except WorkerDiedError as error:
            self._lose(worker, str(error), blameless=error.blameless)
            return
        del self._calls[call]
        if isinstance(answer.error, UserError | InfrastructureError):
            raise answer.error
        if made.purpose is _Purpose.START:
            self._started(worker, answer)
        else:
            self._hear(worker, answer.reading)
        if made.purpose is _Purpose.REPORT:
            worker.asked = False
            self._watch(worker, answer)
        elif made.purpose is _Purpose.WORK:
            self._worked(worker, made, answer)

    def take_reports(self) -> list[Report]:
        """Take the reports since the last time."""
        reports, self._reports = self._reports, []
        return reports

    def close(self) -> list[Report]:
        """End all workers, and drop all work. Returns the last reports."""
        for worker in self._workers.values():
            self._transport.end(worker.handle)
            if worker.ready:
                self._reports.append(WorkerEnded(worker.number, complete=not worker.items))
        self._workers.clear()
        self._calls.clear()
        self._queue.clear()
        return self.take_reports()

    # ---- answers ----

    def _started(self, worker: _Worker, answer: CallAnswer) -> None:
        if answer.error is not None:
            self._lose(worker, str(answer.error), blameless=True)
            return
        worker.ready = self._ever_ready = True
        worker.heard, self._failed_starts = self._clock(), 0
        worker.told = Reading(_NOTHING, answer.reading.slice)
        slice_ = answer.reading.slice if self._charged else _NOTHING
        self._reports.append(WorkerStarted(worker.number, worker.name, self._kind, slice_))

    def _hear(self, worker: _Worker, reading: Reading) -> None:
        """Report what a worker has used; an older reading may arrive after a newer one."""
        worker.heard = self._clock()
        used = Usage(*map(max, worker.told.used, reading.used))
        if self._charged and (used, reading.slice) != worker.told:
            worker.told = Reading(used, reading.slice)
            self._reports.append(WorkerReport(worker.number, used, reading.slice))

    def _watch(self, worker: _Worker, answer: CallAnswer) -> None:
        """Give up a worker that says for long that it has nothing to do: Ray may have lost its work."""
        now = self._clock()
        if answer.working or not worker.items:
            worker.idle_since = None
        elif worker.idle_since is None:
            worker.idle_since = now
        elif now >= worker.idle_since + _IDLE_SECONDS:
            self._lose(worker, "its work has not reached it", blameless=True)

    def _worked(self, worker: _Worker, call: _Call, answer: CallAnswer) -> None:
        worker.idle_since = None
        worker.load -= call.load
        for item in call.items:
            del worker.items[item]
        wanted = [item for item in call.items if not item.dropped]
        if isinstance(answer.error, LeaseEndedError):
            if worker.until == answer.error.until:
                worker.ended = worker.until
            self._put(*wanted)
        elif answer.error is not None:
            self._failed(worker, wanted, str(answer.error))
        else:
            worker.served, self._useless = True, 0
            now = self._clock()
            started = max(call.sent, now - answer.seconds)
            pieces = [Piece(worker.name, item.submitted, started, now) for item in call.items]
            reports = self._plan.done([item.work for item in call.items], answer.value, pieces)
            self._reports += [
                one for item, one in zip(call.items, reports, strict=True) if not item.dropped
            ]

    def _failed(self, worker: _Worker, items: Sequence[_Item], reason: str) -> None:
        """Move work to another worker; what has failed before is lost."""
        for item in items:
            if item.failed_on is not None:
                self._reports.append(WorkLost(item.work, reason))
                continue
            _LOG.warning("%s failed on %s and is repeated: %s", item.work.key, worker.name, reason)
            item.failed_on = worker.number
            self._put(item)

    def _lose(self, worker: _Worker, reason: str, *, blameless: bool) -> None:
        """Replace a worker after a while. Its work is sent again, or lost with its third worker."""
        del self._workers[worker.number]
        self._calls = {call: made for call, made in self._calls.items() if made.worker is not worker}
        self._transport.end(worker.handle)
        if worker.ready:
            self._reports.append(WorkerEnded(worker.number))
        for item in worker.items:
            item.deaths += not blameless
            if item.dropped:
                continue
            if item.deaths >= _MAX_DEATHS:
                self._reports.append(WorkLost(item.work, f"{item.deaths} workers died of it: {reason}"))
            else:
                self._put(item)
        self._useless += not worker.served
        back_off = min(_BACK_OFF_SECONDS * 2**self._useless, _LONGEST_BACK_OFF_SECONDS)
        self._next_start = self._clock() + back_off
        if not worker.ready:
            self._failed_starts += 1
            hopeless = not self._ever_ready and not self._workers
            if hopeless or self._failed_starts >= _MAX_FAILED_STARTS:
                raise InfrastructureError(f"no {spoken(self._kind)} can be started: {reason}")

    # ---- calls ----

    def _put(self, *items: _Item) -> None:
        for item in items:
            heapq.heappush(self._queue, (item.number, item))

    def _send(self) -> None:
        """Send work in the order of submission, as far as workers have room for it."""
        while self._queue:
            first = self._queue[0][1]
            if (worker := self._free_worker(first)) is None:
                return
            items = [heapq.heappop(self._queue)[1]]
            while not first.suspect and self._queue and len(items) < self._plan.batch:
                if self._queue[0][1].suspect:
                    break
                items.append(heapq.heappop(self._queue)[1])
            works = [item.work for item in items]
            load = max(self._plan.load(work) for work in works)
            worker.load += load
            worker.items.update(dict.fromkeys(items))
            self._call(
                worker,
                _Purpose.WORK,
                self._plan.method,
                *self._plan.arguments(works),
                items=items,
                load=load,
            )

    def _free_worker(self, item: _Item) -> _Worker | None:
        """The least loaded worker with room for a piece of work, another one than it has failed on.

        Returns:
            None if the work has to wait.
        """
        ready = [worker for worker in self._workers.values() if worker.ready]
        others = [worker for worker in ready if worker.number != item.failed_on]
        able = [
            worker
            for worker in others or ready
            if self._may_work(worker, item) and self._has_room(worker, item)
        ]
        return min(able, key=lambda worker: worker.load, default=None)

    def _may_work(self, worker: _Worker, item: _Item) -> bool:
        """True if the worker's lease has not ended, or the work needs none."""
        if not self._metered or (isinstance(item.work, ExecuteWork) and not item.work.charged):
            return True
        return worker.ended is None and any(worker.until)

    def _has_room(self, worker: _Worker, item: _Item) -> bool:
        """True if the load fits. An idle worker takes any call; a suspect shares one with few or none."""
        if not worker.load:
            return True
        deaths = max(other.deaths for other in (item, *worker.items))
        most = self._plan.capacity // _SUSPICION**deaths
        return bool(worker.load + self._plan.load(item.work) <= most)

    def _call(
        self,
        worker: _Worker,
        purpose: _Purpose,
        method: str,
        *arguments: Any,
        items: Sequence[_Item] = (),
        load: int = 0,
    ) -> None:
        call = self._transport.call(worker.handle, method, *arguments)
        self._calls[call] = _Call(worker, purpose, tuple(items), load, self._clock())
