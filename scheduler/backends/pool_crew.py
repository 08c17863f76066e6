"""Crew of a pool: which workers there are, where, and why others are missing."""

import itertools
import logging
from collections import Counter
from collections.abc import Hashable
from dataclasses import replace

from testbudget.rewards.errors import InfrastructureError, UserError
from testbudget.scheduler.backends.pool_members import PlaceHealth, PoolWorker
from testbudget.scheduler.backends.pool_plan import PoolPlan, spoken, worker_name
from testbudget.scheduler.backends.transport import Places, Transport
from testbudget.scheduler.core.events import WorkerKind

_LOG = logging.getLogger(__name__)
_REVIEW_SECONDS = 0.5  # between two looks at the places
_MAX_FAILED_STARTS = 6  # in a row, if none has ever succeeded
_WEIGHT_OF_ANSWER = 3  # of a start that fails with an error; one that is ended may be the place's fault
_MARGIN_SECONDS = 1.0  # before a place ends at which its workers are ended


class PoolCrew:
    """Workers of one pool: started where there are places, let go where there is no work.

    Args:
        kind: kind of the workers.
        plan: plan of the pool.
        transport: starts and ends workers.
        numbers: numbers for new workers.

    Attributes:
        workers: workers by number, those that start included.
        started: number of workers that were ever ready.
        lost: number of workers that were lost, those that did not start included.
        winding_down: True if no new work will come.
    """

    def __init__(
        self, kind: WorkerKind, plan: PoolPlan, transport: Transport, numbers: "itertools.count[int]"
    ) -> None:
        self._kind, self._plan, self._transport, self._numbers = kind, plan, transport, numbers
        self.workers: dict[int, PoolWorker] = {}
        self.started = self.lost = 0
        self.winding_down = False
        self._places = Places({})
        self._health: dict[Hashable, PlaceHealth] = {}
        self._next_review = 0.0
        self._failed_starts = 0  # in a row
        self._reason = ""  # of the last failed start
        self._lacking_since: float | None = None  # there is work and no worker

    @property
    def waiting(self) -> str:
        """Sentence about workers that are missing; empty if none is."""
        parts = [self._places.waiting]
        if not any(worker.ready for worker in self.workers.values()):
            parts += sorted({str(health.refusal) for health in self._health.values() if health.refusal})[:1]
        if self._failed_starts and self._reason:
            parts.append(f"the last {spoken(self._kind)} did not start: {self._reason}")
        return "; ".join(filter(None, parts))

    def review(self, demand: int, now: float) -> list[tuple[PoolWorker, str]]:
        """Look at the places.

        Args:
            demand: number of workers that there is work for.
            now: current time, in seconds.

        Returns:
            The workers whose places are lost, with the reason.

        Raises:
            UserError: every place refuses the work.
            InfrastructureError: no worker has come within the time that the plan gives.
        """
        if now < self._next_review:
            return []
        self._next_review = now + _REVIEW_SECONDS
        self._places = self._transport.places(self._kind, self._wanted(demand))
        slots, leaving = self._places.slots, self._places.leaving
        self._check_waiting(demand, now)
        lost = []
        there: Counter[Hashable] = Counter()
        for worker in sorted(self.workers.values(), key=lambda worker: (not worker.items, worker.number)):
            place = worker.place
            if place not in slots and place not in leaving:
                lost.append((worker, "its node is lost"))
            elif place in leaving:
                worker.leaving = True
                if leaving[place] <= _MARGIN_SECONDS:
                    lost.append((worker, "its node ends"))
            else:
                there[place] += 1
                worker.leaving = there[place] > slots[place]
        known = slots.keys() | leaving.keys()
        self._health = {place: health for place, health in self._health.items() if place in known}
        return lost

    def idle(self, queued: int, now: float) -> list[PoolWorker]:
        """Workers to let go: without work, and not needed for the pieces of work that wait."""
        found = []
        spare = sum(not worker.items for worker in self.workers.values()) - queued
        for worker in self.workers.values():
            if worker.items:
                worker.free_since = None
                continue
            worker.free_since = now if worker.free_since is None else worker.free_since
            too_long = worker.ready and now - worker.free_since >= self._plan.idle_seconds
            if worker.leaving or (spare > 0 and (self.winding_down or too_long)):
                found.append(worker)
                spare -= 1
        return found

    def fill(self, demand: int, now: float) -> list[PoolWorker]:
        """Start the workers that there is work and a place for."""
        missing = self._wanted(demand) - sum(not worker.leaving for worker in self.workers.values())
        if missing <= 0:
            return []
        there = Counter(worker.place for worker in self.workers.values())
        started = []
        free = {
            place: slots - there[place]
            for place, slots in self._places.slots.items()
            if there[place] < slots and self._may_start(place, now)
        }
        while missing > 0 and free:
            place = max(free, key=lambda place: free[place])
            started.append(self._start(place))
            free[place] -= 1
            if not free[place] or self._probing(place):
                del free[place]
            missing -= 1
        return started

    def ready(self, worker: PoolWorker) -> None:
        """Take note of a worker that has started."""
        worker.ready = True
        self.started += 1
        self._failed_starts = 0
        self._of(worker.place).probed = True

    def refused(self, worker: PoolWorker, error: UserError) -> None:
        """Use a place no more that the worker's probe refuses.

        Raises:
            UserError: it is no probe, or every place refuses.
        """
        if not worker.probes:
            if self.started:
                return
            raise error
        _LOG.warning("%s gets no work: %s", worker.place, error)
        self._of(worker.place).refusal = error

    def remove(
        self, worker: PoolWorker, now: float, *, lost: bool, reason: str = "", answered: bool = False
    ) -> None:
        """End a worker.

        Args:
            worker: the worker.
            now: current time, in seconds.
            lost: False if it was let go.
            reason: reason of the loss.
            answered: True if it has answered that it cannot start.

        Raises:
            InfrastructureError: no worker of the kind can be started.
        """
        del self.workers[worker.number]
        self._transport.end(worker.handle)
        if not lost:
            self._transport.free(self._kind, worker.place)
            slots = {place: slots for place, slots in self._places.slots.items() if place != worker.place}
            self._places, self._next_review = replace(self._places, slots=slots), now
            return
        self.lost += 1
        health = self._of(worker.place)
        health.lost(now, served=worker.served)
        if worker.ready or health.refusal is not None:
            return
        self._reason = reason
        self._failed_starts += _WEIGHT_OF_ANSWER if answered else 1
        if not self.started and self._failed_starts >= _MAX_FAILED_STARTS:
            raise InfrastructureError(f"no {spoken(self._kind)} can be started: {reason}")

    def close(self) -> None:
        """End all workers, and give their places up."""
        for worker in self.workers.values():
            self._transport.end(worker.handle)
        self.workers.clear()
        self._transport.free(self._kind)

    def _wanted(self, demand: int) -> int:
        return demand if self._plan.count is None else min(self._plan.count, demand)

    def _may_start(self, place: Hashable, now: float) -> bool:
        health = self._of(place)
        return health.refusal is None and now >= health.next_start and not self._probing(place)

    def _probing(self, place: Hashable) -> bool:
        """True if the first worker at a place still finds out whether workers can work there."""
        if self._plan.probe is None or self._of(place).probed:
            return False
        return any(worker.place == place for worker in self.workers.values())

    def _start(self, place: Hashable) -> PoolWorker:
        number = next(self._numbers)
        name = worker_name(self._kind, number)
        probes = self._plan.probe is not None and not self._of(place).probed
        worker = PoolWorker(number, name, self._transport.start(self._kind, place, name), place, probes)
        self.workers[number] = worker
        return worker

    def _of(self, place: Hashable) -> PlaceHealth:
        return self._health.setdefault(place, PlaceHealth())

    def _check_waiting(self, demand: int, now: float) -> None:
        if not demand or any(worker.ready for worker in self.workers.values()):
            self._lacking_since = None
            return
        refusals = [self._of(place).refusal for place in self._places.slots]
        if refusals and not self._places.waiting and refusals[0] is not None and all(refusals):
            raise refusals[0]
        if self._lacking_since is None:
            self._lacking_since = now
        if now - self._lacking_since >= self._plan.wait_seconds:
            raise InfrastructureError(
                f"no {spoken(self._kind)} came within {self._plan.wait_seconds:g} s "
                f"(cluster.wait_seconds): {self.waiting or 'it is still starting'}"
            )
