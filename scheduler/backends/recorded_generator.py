"""Worker of the driver's own process that takes tests from a finished run, at their cost in that run."""

import itertools
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from testbudget.executors.metering import Usage
from testbudget.scheduler.backends.base import GenerateWork, GenerationDone, PoolUse, Report, WorkerEnded
from testbudget.scheduler.backends.recorded_worker import RecordedWorker
from testbudget.scheduler.backends.recordings import RecordedCompletions, generation_usage
from testbudget.scheduler.core.events import WorkerKind
from testbudget.traces.records import Piece


@dataclass(slots=True, eq=False)
class _Item:
    """Work that waits, and the share of its cost that is paid."""

    work: GenerateWork
    submitted: float
    paid: float = 0.0


class RecordedGenerator:
    """Recorded tests, handed out one piece of work after the other under a lease.

    Args:
        tests: tests of the finished run.
        numbers: numbers for workers.
        clock: current time, in seconds.
        metered: True to work under leases.
    """

    def __init__(
        self,
        tests: RecordedCompletions,
        numbers: "itertools.count[int]",
        clock: Callable[[], float],
        *,
        metered: bool,
    ) -> None:
        self._tests, self._numbers, self._clock, self._metered = tests, numbers, clock, metered
        self._worker: RecordedWorker | None = None
        self._queue: deque[_Item] = deque()
        self._reports: list[Report] = []

    @property
    def use(self) -> PoolUse | None:
        """Present use; None without a worker."""
        return None if self._worker is None else PoolUse(1, 0, len(self._queue))

    def submit(self, work: GenerateWork) -> None:
        """Queue work; the worker starts with its first work."""
        if self._worker is None:
            number, kind = next(self._numbers), WorkerKind.REWARD_MODEL
            self._worker = RecordedWorker(number, kind, self._tests.slice, metered=self._metered)
            self._reports.append(self._worker.start())
        self._queue.append(_Item(work, self._clock()))

    def lease(self, number: int, until: Usage) -> bool:
        """Take a lease; False if it is another worker's."""
        if self._worker is None or number != self._worker.number:
            return False
        self._worker.lease(until)
        return True

    def abort(self, keys: set[Hashable]) -> None:
        """Drop queued work."""
        self._queue = deque(item for item in self._queue if item.work.key not in keys)

    def end(self) -> None:
        """End the worker."""
        if self._worker is not None:
            self._reports += [*self._worker.report(), WorkerEnded(self._worker.number, complete=True)]
            self._worker = None
            self._queue.clear()

    def take_reports(self) -> list[Report]:
        """Take the reports since the last time: usage, then the results that it pays for."""
        reports, self._reports = self._reports, []
        if self._worker is None:
            return reports
        done: list[Report] = []
        while self._queue:
            item = self._queue[0]
            completions = self._tests.completions(item.work)
            item.paid = self._worker.pay(generation_usage(completions), item.paid)
            if item.paid < 1:
                break
            self._queue.popleft()
            now = self._clock()
            done.append(
                GenerationDone(item.work, completions, Piece(self._worker.name, item.submitted, now, now))
            )
        return [*reports, *self._worker.report(), *done]
