"""A transport whose workers do what a test says."""

import itertools
from dataclasses import dataclass, field

from testbudget.executors.calls import CallAnswer, CallFailedError, WorkerDiedError
from testbudget.executors.metering import LeaseEndedError, Reading, Usage
from testbudget.scheduler.backends.base import GenerateWork, GenerationDone
from testbudget.scheduler.backends.pool import Pool
from testbudget.scheduler.backends.pool_plan import PoolPlan
from testbudget.scheduler.backends.transport import Places, Transport
from testbudget.scheduler.core.events import WorkerKind

SLICE = Usage(100.0)


@dataclass(eq=False)
class ScriptedWorker:
    """A worker. ``used`` is what it reports; a deaf one is not reached by its work."""

    number: int
    place: str = "here"
    used: float = 0.0
    deaf: bool = False
    progress: int | None = None
    leases: list = field(default_factory=list)
    ended: bool = False


@dataclass(eq=False)
class ScriptedCall:
    worker: ScriptedWorker
    method: str
    arguments: tuple
    answer: CallAnswer | WorkerDiedError | None = None


class ScriptedTransport(Transport):
    """Starts, leases and reports are answered at once, work when a test says so.

    Args:
        start: function from the number of a start, from 0, to its error, or None.

    Attributes:
        slots, leaving, waiting: places, as tests set them; no slots: one place with room for all.
        unsound: places that are gone, although nothing says so.
        freed: places that were given up.
        mute: True if reports are not answered.
    """

    def __init__(self, start=lambda number: None):
        self.workers, self.work, self.freed = [], [], []
        self.slots, self.leaving, self.waiting, self.unsound = None, {}, "", set()
        self.mute = False
        self._start = start

    def places(self, kind, wanted):
        self.wanted = wanted
        slots = {"here": 1000} if self.slots is None else dict(self.slots)
        return Places(slots, dict(self.leaving), self.waiting)

    def free(self, kind, place=None):
        self.freed.append(place)

    def is_sound(self, place):
        return place not in self.unsound

    def start(self, kind, place, name):
        self.workers.append(ScriptedWorker(len(self.workers), place))
        return self.workers[-1]

    def call(self, worker, method, *arguments):
        call = ScriptedCall(worker, method, arguments)
        if method == "work":
            self.work.append(call)
            return call
        if method == "lease":
            worker.leases += arguments
        if method == "report" and self.mute:
            return call
        error = self._start(worker.number) if method in ("start", "probe") else None
        call.answer = error if isinstance(error, WorkerDiedError) else self._answer(worker, None, error)
        return call

    def wait(self, calls, timeout):
        return [call for call in calls if call.answer is not None]

    def result(self, call):
        if isinstance(call.answer, WorkerDiedError):
            raise call.answer
        return call.answer

    def share(self, value):
        return value

    def end(self, worker):
        worker.ended = True

    # ---- for tests ----

    @property
    def open(self):
        """Work in progress, as (worker, keys)."""
        return [(call.worker.number, *call.arguments) for call in self.work if not self._gone(call)]

    def finish(self, key, used=0.0):
        """Let the work with a key end."""
        call = self._find(key)
        call.worker.used += used
        call.answer = self._answer(call.worker, [f"done {one}" for one in call.arguments], None)

    def fail(self, key):
        call = self._find(key)
        call.answer = self._answer(call.worker, None, CallFailedError("the sandbox failed"))

    def refuse(self, key, error):
        call = self._find(key)
        call.answer = self._answer(call.worker, None, error)

    def end_lease(self, key, until):
        call = self._find(key)
        call.worker.used = until.tokens
        call.answer = self._answer(call.worker, None, LeaseEndedError(until))

    def kill(self, key, *, blameless=False):
        """Let the worker that does some work die: all its calls end."""
        worker = self._find(key).worker
        for call in self.work:
            if call.worker is worker and not self._gone(call):
                call.answer = WorkerDiedError("killed", blameless=blameless)

    def _gone(self, call):
        return call.answer is not None or call.worker.ended

    def _find(self, key):
        return next(call for call in self.work if key in call.arguments and not self._gone(call))

    def _answer(self, worker, value, error):
        working = any(call.worker is worker and not self._gone(call) for call in self.work)
        reading = Reading(Usage(worker.used), SLICE)
        return CallAnswer(value, error, reading, 0.0, working and not worker.deaf, worker.progress)


class DrivenPool:
    """A pool on a scripted transport, and all that it has reported.

    Attributes:
        now: the clock, moved by tests.
    """

    def __init__(
        self,
        *,
        count=1,
        capacity=2,
        batch=1,
        metered=False,
        kind=WorkerKind.RUNNER,
        opened=True,
        shape=None,
        **options,
    ):
        self.now = 0.0
        self.transport = ScriptedTransport(**options)
        plan = PoolPlan(
            count,
            capacity,
            "start",
            "work",
            lambda works: tuple(work.key for work in works),
            lambda works, value, pieces: [
                GenerationDone(*one) for one in zip(works, value, pieces, strict=True)
            ],
            load=lambda work: len(work.requests) or 1,
            batch=batch,
            **(shape or {}),
        )
        self.pool = Pool(kind, plan, self.transport, lambda: self.now, itertools.count(), metered=metered)
        if opened:
            self.pool.open()
        self.reports = []

    def submit(self, *keys, load=1, problem="p"):
        for key in keys:
            self.pool.submit(GenerateWork(key, WorkerKind.RUNNER, problem, (None,) * load))
        self.step()

    def step(self):
        """Collect all answers, until nothing changes; return the names of the new reports."""
        before = len(self.reports)
        self.pool.keep_up()
        while ready := self.transport.wait(self.pool.calls, 0.0):
            for call in ready:
                self.pool.collect(call)
            self.reports += self.pool.take_reports()
            self.pool.keep_up()
        self.reports += self.pool.take_reports()
        return [type(report).__name__ for report in self.reports[before:]]

    @property
    def done(self):
        return [report.work.key for report in self.reports if isinstance(report, GenerationDone)]
