"""Workers of one kind and their queue: their number follows the places there are and the work there is.

Work is sent in order. Work that dies with its worker is sent again, to ever less busy workers, until it is
alone: what kills workers alone is lost, and nothing else. Work that fails is sent to another worker once.
Work that a lease has ended waits for another lease, in front of all that came later. Workers that die are
replaced without limit, ever more slowly while they are of no use.
"""

import itertools
import logging
from collections.abc import Callable, Hashable, Sequence
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
from testbudget.scheduler.backends.pool_crew import PoolCrew
from testbudget.scheduler.backends.pool_members import (
    CallPurpose,
    PoolCall,
    PoolItem,
    PoolWorker,
)
from testbudget.scheduler.backends.pool_plan import PoolPlan
from testbudget.scheduler.backends.pool_queue import PoolQueue
from testbudget.scheduler.backends.transport import Transport
from testbudget.scheduler.core.events import WorkerKind
from testbudget.traces.records import Piece

REPORT_SECONDS = 0.5
"""Seconds between two reports of a metered worker that works."""

_UNMETERED_REPORT_SECONDS = 2.0
_REPORTS_PER_SECOND = 200.0  # of all workers of a pool, so that a large one does not occupy the driver
_REVIEW_SECONDS = 1.0
_SILENT_REVIEWS = 15  # without an answer to a report: the worker cannot be reached
_IDLE_SECONDS = 15.0  # of a worker with work to do, after which the work has not reached it

_LOG = logging.getLogger(__name__)
_NOTHING = Usage()


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
        self._charged = kind is not WorkerKind.POLICY_MODEL
        self._metered = metered and self._charged
        self._open = False
        self._crew = PoolCrew(kind, plan, transport, numbers)
        self._queue = PoolQueue(plan)
        self._items = itertools.count()
        self._calls: dict[Any, PoolCall] = {}
        self._reports: list[Report] = []
        self._next_review = 0.0
        self._quarantined = 0

    @property
    def calls(self) -> list[Any]:
        """Calls in progress."""
        return list(self._calls)

    @property
    def use(self) -> PoolUse:
        """Present use."""
        workers = self._crew.workers.values()
        ready = sum(worker.ready for worker in workers)
        busy = sum(not item.dropped for worker in workers for item in worker.items)
        waiting = self._crew.waiting if self._pieces else ""
        return PoolUse(
            ready,
            busy,
            len(self._queue),
            starting=len(workers) - ready,
            started=self._crew.started,
            restarted=self._crew.lost,
            quarantined=self._quarantined,
            waiting=waiting,
        )

    def open(self) -> None:
        """Let workers start. Until then work only queues."""
        self._open = True

    def submit(self, work: Work) -> None:
        """Queue a piece of work."""
        self._crew.winding_down = False
        self._queue.put(PoolItem(next(self._items), work, self._clock()))

    def abort(self, keys: set[Hashable]) -> None:
        """Drop work; of what is in progress no result is reported."""
        self._queue.drop(keys)
        for worker in self._crew.workers.values():
            for item in worker.items:
                item.dropped = item.dropped or item.work.key in keys

    def wind_down(self) -> None:
        """Let workers go as soon as there is no work for them."""
        self._crew.winding_down = True

    def lease(self, number: int, until: Usage) -> bool:
        """Pass a lease on; False if the worker is not of this pool."""
        if (worker := self._crew.workers.get(number)) is None:
            return False
        extended = Usage(*map(max, worker.until, until))
        if extended != worker.until:
            worker.until, worker.ended = extended, None
            self._call(worker, CallPurpose.LEASE, "lease", extended)
        return True

    def keep_up(self) -> None:
        """Follow the places there are, start missing workers, ask for reports, and send what waits.

        Raises:
            UserError: no place can be used.
            InfrastructureError: no worker can be started, or has come in time.
        """
        if not self._open:
            return
        now = self._clock()
        for worker, reason in self._crew.review(self._demand, now):
            self._lose(worker, reason, blameless=True)
        for worker in self._crew.idle(len(self._queue), now):
            self._let_go(worker)
        for worker in self._crew.fill(self._demand, now):
            start = self._plan.probe if worker.probes and self._plan.probe else (self._plan.start,)
            self._call(worker, CallPurpose.START, *start)
        if now >= self._next_review:
            self._next_review = now + _REVIEW_SECONDS
            self._find_silent_workers()
        self._ask_for_reports(now)
        for worker, items, load in self._queue.assign(self._crew.workers.values(), self._may_work):
            arguments = self._plan.arguments([item.work for item in items])
            self._call(worker, CallPurpose.WORK, self._plan.method, *arguments, items=items, load=load)

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
            blameless = error.blameless or not self._transport.is_sound(worker.place)
            self._lose(worker, str(error), blameless=blameless)
            return
        del self._calls[call]
        if made.purpose is CallPurpose.START:
            self._started(worker, answer)
            return
        if isinstance(answer.error, UserError | InfrastructureError):
            raise answer.error
        self._hear(worker, answer.reading)
        if made.purpose is CallPurpose.REPORT:
            worker.asked, worker.unanswered = False, 0
            self._watch(worker, answer)
        elif made.purpose is CallPurpose.WORK:
            self._worked(worker, made, answer)

    def take_reports(self) -> list[Report]:
        """Take the reports since the last time."""
        reports, self._reports = self._reports, []
        return reports

    def close(self) -> list[Report]:
        """End all workers, and drop all work. Returns the last reports."""
        for worker in self._crew.workers.values():
            if worker.ready:
                self._reports.append(WorkerEnded(worker.number, complete=not worker.items))
        self._crew.close()
        self._calls.clear()
        self._queue.clear()
        return self.take_reports()

    # ---- answers ----

    def _started(self, worker: PoolWorker, answer: CallAnswer) -> None:
        if isinstance(answer.error, UserError):
            self._crew.refused(worker, answer.error)
        if answer.error is not None:
            self._lose(worker, str(answer.error), blameless=True, answered=True)
            return
        self._crew.ready(worker)
        worker.heard = self._clock()
        worker.told = Reading(_NOTHING, answer.reading.slice)
        slice_ = answer.reading.slice if self._charged else _NOTHING
        self._reports.append(WorkerStarted(worker.number, worker.name, self._kind, slice_))

    def _hear(self, worker: PoolWorker, reading: Reading) -> None:
        """Report what a worker has used; an older reading may arrive after a newer one."""
        worker.heard = self._clock()
        used = Usage(*map(max, worker.told.used, reading.used))
        if self._charged and (used, reading.slice) != worker.told:
            worker.told = Reading(used, reading.slice)
            self._reports.append(WorkerReport(worker.number, used, reading.slice))

    def _watch(self, worker: PoolWorker, answer: CallAnswer) -> None:
        """Give up a worker that makes no progress, or that its work has not reached: Ray may lose it."""
        now = self._clock()
        count = -1 if answer.progress is None else answer.progress
        if answer.progress is None or not answer.working or count != worker.progress[0]:
            worker.progress = count, now
        elif now >= worker.progress[1] + self._plan.stall_seconds:
            self._lose(worker, f"it made no progress for {self._plan.stall_seconds:g} s", blameless=False)
            return
        if answer.working or not worker.items:
            worker.idle_since = None
        elif worker.idle_since is None:
            worker.idle_since = now
        elif now >= worker.idle_since + _IDLE_SECONDS:
            self._lose(worker, "its work has not reached it", blameless=True)

    def _worked(self, worker: PoolWorker, call: PoolCall, answer: CallAnswer) -> None:
        worker.idle_since = None
        worker.load -= call.load
        for item in call.items:
            del worker.items[item]
        wanted = [item for item in call.items if not item.dropped]
        if isinstance(answer.error, LeaseEndedError):
            if worker.until == answer.error.until:
                worker.ended = worker.until
            self._queue.put(*wanted)
        elif answer.error is not None:
            self._failed(worker, wanted, str(answer.error))
        else:
            worker.served = True
            now = self._clock()
            started = worker.started(call.sent, now - answer.seconds)
            pieces = [Piece(worker.name, item.submitted, started, now) for item in call.items]
            reports = self._plan.done([item.work for item in call.items], answer.value, pieces)
            self._reports += [
                one for item, one in zip(call.items, reports, strict=True) if not item.dropped
            ]

    def _failed(self, worker: PoolWorker, items: Sequence[PoolItem], reason: str) -> None:
        """Move work to another worker; what has failed before is lost."""
        for item in items:
            if item.failed_on is not None:
                self._reports.append(WorkLost(item.work, reason))
                continue
            _LOG.warning("%s failed on %s and is repeated: %s", item.work.key, worker.name, reason)
            item.failed_on = worker.number
            self._queue.put(item)

    def _let_go(self, worker: PoolWorker) -> None:
        """End a worker without work, and give its place up."""
        self._calls = {call: made for call, made in self._calls.items() if made.worker is not worker}
        self._crew.remove(worker, self._clock(), lost=False)
        if worker.ready:
            self._reports.append(WorkerEnded(worker.number, complete=True))

    def _lose(self, worker: PoolWorker, reason: str, *, blameless: bool, answered: bool = False) -> None:
        """Give a worker up. Its work is sent again; what several workers have died of alone is lost."""
        suspects = () if blameless else self._suspects(worker)
        self._calls = {call: made for call, made in self._calls.items() if made.worker is not worker}
        if worker.ready:
            self._reports.append(WorkerEnded(worker.number))
            _LOG.info("%s is lost: %s", worker.name, reason)
        for item in suspects:
            item.deaths += 1
            item.lone_deaths += len(suspects) == 1
        for item in worker.items:
            if item.dropped:
                continue
            if item.lone_deaths >= self._plan.max_lone_deaths:
                self._quarantined += 1
                sentence = f"{item.lone_deaths} workers died of it alone: {reason}"
                self._reports.append(WorkLost(item.work, sentence, lethal=True))
            else:
                self._queue.put(item)
        self._crew.remove(worker, self._clock(), lost=True, reason=reason, answered=answered)

    def _suspects(self, worker: PoolWorker) -> tuple[PoolItem, ...]:
        """The work that a worker may have died of: all in progress, or the first call in a serial pool."""
        if not self._plan.serial:
            return tuple(worker.items)
        made = (made for made in self._calls.values() if made.worker is worker and made.items)
        return next((call.items for call in made), ())

    # ---- calls ----

    @property
    def _pieces(self) -> int:
        """Pieces of work that wait or are in progress."""
        return len(self._queue) + sum(len(worker.items) for worker in self._crew.workers.values())

    @property
    def _demand(self) -> int:
        """Number of workers that there is work for."""
        if not self._crew.winding_down:
            return self._pieces
        return len(self._queue) + sum(bool(worker.items) for worker in self._crew.workers.values())

    def _find_silent_workers(self) -> None:
        for worker in list(self._crew.workers.values()):
            worker.unanswered += worker.asked
            if worker.unanswered > _SILENT_REVIEWS:
                self._lose(worker, f"it has not answered for {_SILENT_REVIEWS} s", blameless=True)

    def _ask_for_reports(self, now: float) -> None:
        pause = max(
            REPORT_SECONDS if self._metered else _UNMETERED_REPORT_SECONDS,
            len(self._crew.workers) / _REPORTS_PER_SECOND,
        )
        for worker in self._crew.workers.values():
            if worker.items and not worker.asked and now >= worker.heard + pause:
                worker.asked = True
                self._call(worker, CallPurpose.REPORT, "report")

    def _may_work(self, worker: PoolWorker, item: PoolItem) -> bool:
        """True if the worker's lease has not ended, or the work needs none."""
        if not self._metered or (isinstance(item.work, ExecuteWork) and not item.work.charged):
            return True
        return worker.ended is None and any(worker.until)

    def _call(
        self,
        worker: PoolWorker,
        purpose: CallPurpose,
        method: str,
        *arguments: Any,
        items: tuple[PoolItem, ...] = (),
        load: int = 0,
    ) -> None:
        call = self._transport.call(worker.handle, method, *arguments)
        self._calls[call] = PoolCall(worker, purpose, items, load, self._clock())
