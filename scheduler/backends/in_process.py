"""Back end on this machine without Ray: sandboxes in threads, models in processes.

A model has its process because only the end of a process frees its memory, and ends a computation whose
lease or time limit has ended. It also meters the CPU time of the model alone.
"""

import concurrent.futures
import math
import os
import sys
from collections.abc import Hashable, Sequence

from testbudget.executors.actors import RunnerActor
from testbudget.executors.calls import AT_ONCE, CallAnswer, Callee
from testbudget.executors.process_worker import ProcessWorker
from testbudget.scheduler.backends.actor_backend import (
    ActorBackend,
    isolation_sentence,
    model_of,
    worker_maker,
)
from testbudget.scheduler.backends.transport import Places, Transport
from testbudget.scheduler.core.events import WorkerKind
from testbudget.scheduler.job import Job
from testbudget.traces.trace import Trace

_HERE = "this machine"

_Future = concurrent.futures.Future[CallAnswer]


class _ThreadWorker:
    """A runner's object and the thread that works with it."""

    def __init__(self, actor: RunnerActor) -> None:
        self._actor, self._callee = actor, Callee(actor)
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "runner")

    def call(self, method: str, *arguments: object) -> _Future:
        if method not in AT_ONCE:
            return self._thread.submit(self._callee.answer, method, arguments)
        answered = _Future()
        answered.set_result(self._callee.answer(method, arguments))
        return answered

    def end(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._actor.interrupt()
        self._thread.shutdown()
        self._actor.close()


class LocalTransport(Transport):
    """Runners as objects of this process, each with a thread; engines and extractors in child processes.

    Args:
        job: names models and limits.
        metered: True if workers work under leases.
    """

    def __init__(self, job: Job, *, metered: bool) -> None:
        self._job, self._metered = job, metered

    def places(self, kind: WorkerKind, wanted: int) -> Places:
        """One place with room for all."""
        del kind, wanted
        return Places({_HERE: sys.maxsize})

    def start(self, kind: WorkerKind, place: Hashable, name: str) -> _ThreadWorker | ProcessWorker:
        """Make the worker; what is slow happens in its first call."""
        del place, name
        make = worker_maker(self._job, kind, metered=self._metered)
        if kind is WorkerKind.RUNNER:
            return _ThreadWorker(make())
        if kind is WorkerKind.EXTRACTOR:
            return ProcessWorker(make)
        threads = max(1, math.ceil(model_of(self._job, kind).cpus))
        return ProcessWorker(make, {"OMP_NUM_THREADS": str(threads)})

    def call(self, worker: _ThreadWorker | ProcessWorker, method: str, *arguments: object) -> _Future:
        """Call a method in the worker's thread or process."""
        return worker.call(method, *arguments)

    def wait(self, calls: Sequence[_Future], timeout: float) -> Sequence[_Future]:
        """Block until a call is answered."""
        done = concurrent.futures.wait(calls, timeout, concurrent.futures.FIRST_COMPLETED).done
        return [call for call in calls if call in done]

    def result(self, call: _Future) -> CallAnswer:
        """Answer to a call."""
        return call.result()

    def share(self, value: object) -> object:
        """The value itself: it does not leave this process."""
        return value

    def end(self, worker: _ThreadWorker | ProcessWorker) -> None:
        """End a worker: its sandboxes and its thread, or its process."""
        worker.end()


class InProcessBackend(ActorBackend):
    """Work on this machine without Ray.

    Args:
        job: names models, limits and workers.
        recording: finished run whose tests are taken; None if a model generates tests.
        metered: True if workers work under leases.
    """

    def __init__(self, job: Job, recording: Trace | None, *, metered: bool) -> None:
        super().__init__(job, recording, LocalTransport(job, metered=metered), metered=metered)

    def runner_count(self) -> int:
        """As the job asks for; else one for each core."""
        return self.job.execution.runners or len(os.sched_getaffinity(0))

    def isolation(self, language: str) -> str:
        """Sentence about the layers of one sandbox."""
        runner = RunnerActor(self.job.execution.limits, tuple(self.job.sandbox.require))
        try:
            return isolation_sentence(*runner.layers(language))
        finally:
            runner.close()
