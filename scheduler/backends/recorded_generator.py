"""Worker of the driver's own process that takes tests from a finished run, at the cost recorded there."""

import itertools
from collections import deque
from collections.abc import Callable, Hashable

from testbudget.executors.metering import Usage
from testbudget.scheduler.backends.base import (
    GenerateWork,
    GenerationDone,
    Report,
    WorkerEnded,
    WorkerReport,
    WorkerStarted,
)
from testbudget.scheduler.backends.recordings import RecordedTests, generation_usage
from testbudget.scheduler.core.events import WorkerKind
from testbudget.traces.records import Piece

_NAME = "recording"


class RecordedGenerator:
    """Recorded tests, handed out one by one under a lease, as an engine would generate them.

    Args:
        tests: tests of the finished run.
        numbers: numbers for workers.
        clock: seconds on the back end's clock.
        metered: True to work under leases.
    """

    def __init__(
        self,
        tests: RecordedTests,
        numbers: "itertools.count[int]",
        clock: Callable[[], float],
        *,
        metered: bool,
    ) -> None:
        self._tests, self._numbers, self._clock = tests, numbers, clock
        self._number: int | None = None
        self._used = Usage()
        self._until = Usage() if metered else Usage(*[float("inf")] * 3)
        self._asked = False  # its usage was reported since the lease, and the lease is too short
        self._queue: deque[tuple[GenerateWork, float]] = deque()
        self._taken = 0  # tests of the first piece of work that are charged
        self._ended: list[Report] = []

    def submit(self, work: GenerateWork) -> None:
        """Queue work."""
        self._queue.append((work, self._clock()))

    def lease(self, worker: int, until: Usage) -> bool:
        """Take a lease; False if it is another worker's."""
        if worker != self._number:
            return False
        self._until, self._asked = Usage(*map(max, self._until, until)), False
        return True

    def abort(self, keys: set[Hashable]) -> None:
        """Drop queued work."""
        if self._queue and self._queue[0][0].key in keys:
            self._taken = 0
        self._queue = deque(entry for entry in self._queue if entry[0].key not in keys)

    def end(self) -> None:
        """End the worker."""
        if self._number is not None:
            self._ended.append(WorkerEnded(self._number))
            self._number = None

    def reports(self) -> list[Report]:
        """All that can be said at once: usage before the results that it belongs to."""
        reports, self._ended = self._ended, []
        if self._queue and self._number is None:
            self._number = next(self._numbers)
            reports.append(WorkerStarted(self._number, _NAME, WorkerKind.REWARD_MODEL, self._tests.slice))
        done: list[Report] = []
        while self._queue:
            work, submitted = self._queue[0]
            completions = self._tests.completions(work)
            while self._taken < len(completions):
                usage = generation_usage(completions[self._taken : self._taken + 1])
                if not self._charge(usage):
                    return [*reports, *self._report(ask=True), *done]
                self._taken += 1
            self._queue.popleft()
            self._taken = 0
            now = self._clock()
            done.append(GenerationDone(work, completions, Piece(_NAME, submitted, now, now)))
        return [*reports, *self._report(ask=False), *done] if done else reports

    def _charge(self, usage: Usage) -> bool:
        total = Usage(*map(sum, zip(self._used, usage, strict=True)))
        if any(more > until + 1e-9 for more, until in zip(total, self._until, strict=True)):
            return False
        self._used = total
        return True

    def _report(self, *, ask: bool) -> list[Report]:
        if self._number is None:
            return []
        if ask and self._asked:
            # The lease was not renewed: what it leaves is too little for a test, and is used up.
            rest = Usage(
                *(
                    max(used, until) if until < float("inf") else used
                    for used, until in zip(self._used, self._until, strict=True)
                )
            )
            if rest == self._used:
                return []
            self._used = rest
        self._asked = ask
        return [WorkerReport(self._number, self._used, self._tests.slice)]
