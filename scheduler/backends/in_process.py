"""Back end in this process: actors are plain objects, called in threads. It needs no Ray."""

import asyncio
import concurrent.futures
import inspect
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from testbudget.executors.actors import ExtractionError, RunnerActor
from testbudget.executors.metering import LeaseEndedError
from testbudget.rewards.errors import InfrastructureError, SandboxError, UserError, one_line
from testbudget.scheduler.backends.actor_backend import ActorBackend, isolation_sentence, worker_maker
from testbudget.scheduler.backends.pooled import Transport
from testbudget.scheduler.core.events import WorkerKind
from testbudget.scheduler.job import Job
from testbudget.traces.trace import Trace

_AT_ONCE = ("lease", "report")  # methods that any thread may call while another one works


@dataclass(frozen=True, slots=True, eq=False)
class _Worker:
    """An actor's object and the thread that works with it."""

    actor: Any
    thread: concurrent.futures.ThreadPoolExecutor


class ThreadTransport(Transport):
    """Actors as objects of this process, each with a thread of its own; coroutines run on one event loop.

    Args:
        job: names models and limits.
        metered: True if workers work under leases.
    """

    def __init__(self, job: Job, *, metered: bool) -> None:
        self._job, self._metered = job, metered
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, kind: WorkerKind) -> _Worker:
        """Make the actor's object; what is slow happens in its first call."""
        actor = worker_maker(self._job, kind, metered=self._metered)()
        return _Worker(
            actor, concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix=kind.name.lower())
        )

    def call(self, worker: _Worker, method: str, *arguments: Any) -> "concurrent.futures.Future[Any]":
        """Call a method in the worker's thread, or on the event loop."""
        function = getattr(worker.actor, method)
        if inspect.iscoroutinefunction(function):
            return asyncio.run_coroutine_threadsafe(function(*arguments), self._event_loop())
        if method not in _AT_ONCE:
            return worker.thread.submit(function, *arguments)
        done: concurrent.futures.Future[Any] = concurrent.futures.Future()
        done.set_result(function(*arguments))
        return done

    def wait(self, calls: Sequence[Any], timeout: float | None) -> Sequence[Any]:
        """Block until a call is done."""
        done = concurrent.futures.wait(calls, timeout, concurrent.futures.FIRST_COMPLETED).done
        return [call for call in calls if call in done]

    def result(self, call: "concurrent.futures.Future[Any]") -> Any:
        """Result of a call; there is no worker that could end by itself."""
        try:
            return call.result()
        except (UserError, SandboxError, ExtractionError, LeaseEndedError):
            raise
        except Exception as error:
            raise InfrastructureError(one_line(error)) from error

    def share(self, value: Any) -> Any:
        """The value itself."""
        return value

    def end(self, worker: _Worker) -> None:
        """End a worker; a call in progress is not waited for."""
        worker.thread.shutdown(wait=False, cancel_futures=True)
        if isinstance(worker.actor, RunnerActor):
            worker.actor.close()

    def close(self) -> None:
        """End the event loop."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._loop = None

    def _event_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, daemon=True, name="generators").start()
        return self._loop


class InProcessBackend(ActorBackend):
    """Work in this process: sandboxes in threads, models on an event loop.

    Args:
        job: names models and limits.
        recording: finished run whose tests are taken; None if a model generates tests.
        metered: True if workers work under leases.
    """

    def __init__(self, job: Job, recording: Trace | None, *, metered: bool) -> None:
        self._threads = ThreadTransport(job, metered=metered)
        super().__init__(job, recording, self._threads, metered=metered)

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

    def close(self) -> None:
        """End all sandboxes, threads and models."""
        super().close()
        self._threads.close()
