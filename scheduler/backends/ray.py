"""Back end on a Ray cluster: engines, extractors and sandboxes in Ray actors."""

import math
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import ActorDiedError, RayError

from testbudget.executors.calls import AT_ONCE, CallAnswer, Callee, WorkerDiedError
from testbudget.rewards.errors import InfrastructureError, UserError, one_line
from testbudget.scheduler.backends.actor_backend import (
    ActorBackend,
    isolation_sentence,
    model_of,
    worker_maker,
)
from testbudget.scheduler.backends.transport import Transport
from testbudget.scheduler.core.events import WorkerKind
from testbudget.scheduler.job import Job
from testbudget.scheduler.ray_job import enclosing_cluster
from testbudget.traces.trace import Trace

_CONTROL = "control"  # concurrency group of the calls that are answered while work is in progress
_SPARE_CALLS = 8  # of an asynchronous actor, beside its requests


class _Actor:
    """An object made in the actor's process, whose methods are called by name.

    Args:
        make: makes the object.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._callee = Callee(make())

    def work(self, method: str, *arguments: Any) -> CallAnswer:
        """Call a method that works."""
        return self._callee.answer(method, arguments)

    @ray.method(concurrency_group=_CONTROL)  # type: ignore[untyped-decorator]
    def control(self, method: str, *arguments: Any) -> CallAnswer:
        """Call a method that answers while another one works."""
        return self._callee.answer(method, arguments)


class _AsyncActor:
    """The same for an object whose methods are coroutines."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._callee = Callee(make())

    async def work(self, method: str, *arguments: Any) -> CallAnswer:
        """Call a method that works."""
        return await self._callee.answer_later(method, arguments)

    async def control(self, method: str, *arguments: Any) -> CallAnswer:
        """Call a method that answers while another one works."""
        return await self._callee.answer_later(method, arguments)


# Ray neither restarts actors nor repeats calls: the pools do both.
_BLOCKING = ray.remote(concurrency_groups={_CONTROL: 1}, max_restarts=0, max_task_retries=0)(_Actor)
_ASYNCHRONOUS = ray.remote(max_restarts=0, max_task_retries=0)(_AsyncActor)


class RayTransport(Transport):
    """Ray actors, with the resources that the job gives to each kind.

    Args:
        job: names models, limits and resources.
        metered: True if workers work under leases.
    """

    def __init__(self, job: Job, *, metered: bool) -> None:
        self._job, self._metered = job, metered

    def start(self, kind: WorkerKind) -> Any:
        """Ask Ray for an actor with the resources of its kind."""
        make = worker_maker(self._job, kind, metered=self._metered)
        if kind is WorkerKind.RUNNER:
            return _BLOCKING.options(num_cpus=1, scheduling_strategy="SPREAD").remote(make)
        if kind is WorkerKind.EXTRACTOR:
            section = self._job.hidden_states
            assert section is not None
            return _BLOCKING.options(num_cpus=section.cpus, num_gpus=section.gpus).remote(make)
        model = model_of(self._job, kind)
        return _ASYNCHRONOUS.options(
            num_cpus=model.cpus,
            num_gpus=model.gpus,
            max_concurrency=model.in_flight + _SPARE_CALLS,
        ).remote(make)

    def call(self, worker: Any, method: str, *arguments: Any) -> Any:
        """Call a method; reports and leases are answered while work is in progress."""
        called = worker.control if method in AT_ONCE else worker.work
        return called.remote(method, *arguments)

    def wait(self, calls: Sequence[Any], timeout: float) -> Sequence[Any]:
        """Block until a call is answered."""
        ready, _ = ray.wait(list(calls), num_returns=1, timeout=timeout)
        if ready:
            ready, _ = ray.wait(list(calls), num_returns=len(calls), timeout=0)
        return list(ready)

    def result(self, call: Any) -> CallAnswer:
        """Answer to a call. Nothing but the death of a reachable actor counts against the call."""
        try:
            answered: CallAnswer = ray.get(call)
        except RayError as error:
            blameless = not isinstance(error, ActorDiedError) or "node" in str(error)
            raise WorkerDiedError(one_line(error), blameless=blameless) from error
        return answered

    def share(self, value: Any) -> Any:
        """A reference to the value in the object store, which sends it to each node once."""
        return ray.put(value)

    def end(self, worker: Any) -> None:
        """Kill the actor."""
        ray.kill(worker)


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Keep the handler of SIGTERM, in whose place Ray puts its own."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


class RayBackend(ActorBackend):
    """Work on a Ray cluster: one that runs already, or one started here and ended by ``close``.

    Args:
        job: names models, limits and cluster.
        recording: finished run whose tests are taken; None if a model generates tests.
        metered: True if workers work under leases.

    Raises:
        UserError: the cluster cannot be reached, or has too few cores or GPUs for the job.
    """

    def __init__(self, job: Job, recording: Trace | None, *, metered: bool) -> None:
        self._transport = RayTransport(job, metered=metered)
        super().__init__(job, recording, self._transport, metered=metered)
        self._connect()

    def runner_count(self) -> int:
        """As the job asks for; else one for each core that the engines leave."""
        if self.job.execution.runners:
            return self.job.execution.runners
        return max(1, int(ray.cluster_resources().get("CPU", 1) - self._cores_of_engines()))

    def isolation(self, language: str) -> str:
        """Sentence about the layers of one sandbox. All nodes are assumed to have the same layers."""
        runner = self._transport.start(WorkerKind.RUNNER)
        try:
            answered = self._transport.result(self._transport.call(runner, "layers", language))
        except WorkerDiedError as error:
            raise InfrastructureError(f"no runner can be started: {error}") from error
        finally:
            self._transport.end(runner)
        if answered.error is not None:
            raise answered.error
        return isolation_sentence(*answered.value)

    def close(self) -> None:
        """End the actors and disconnect; end the cluster too if it was started here."""
        super().close()
        ray.shutdown()

    def _connect(self) -> None:
        cluster = self.job.cluster
        address = cluster.address or enclosing_cluster()
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if address is None:
            options |= {
                "num_cpus": cluster.num_cpus or max(os.cpu_count() or 1, math.ceil(self._cores_needed())),
                "num_gpus": cluster.num_gpus,
                "include_dashboard": False,
            }
        try:
            with _signals_kept():
                ray.init(address=address or "local", **options)
        except (ConnectionError, ValueError) as error:
            where = "cluster.address" if cluster.address else "RAY_ADDRESS"
            raise UserError(
                f"{where} must be a running Ray cluster but {address} is not: {error}"
            ) from None
        if address is None:  # another cluster may grow: its actors wait
            self._check_fit(ray.cluster_resources())

    def _check_fit(self, resources: Mapping[str, float]) -> None:
        extractors = (
            self.job.hidden_states if self.job.hidden_states and self.job.hidden_states.base_model else None
        )
        sections = [self.job.candidates.model, self.job.tests.model, extractors]
        gpus = max((section.gpus * section.actors for section in sections if section), default=0)
        cores, has_gpus = self._cores_needed(), resources.get("GPU", 0)
        if gpus <= has_gpus and cores <= resources.get("CPU", 0):
            return
        self.close()
        if gpus > has_gpus:
            raise UserError(
                f"models must fit the machine but they need {gpus:g} GPUs and it has {has_gpus:g}; "
                "gpus: 0 uses vLLM's CPU build"
            )
        raise UserError(
            f"cluster.num_cpus must be at least {cores:g}, for extractors or engines and sandboxes, "
            f"but got {resources.get('CPU', 0):g}"
        )

    def _cores_needed(self) -> float:
        """CPU cores needed at once: of the extractors, or of one model's engines and the sandboxes."""
        section = self.job.hidden_states
        extracting = section.cpus * section.actors if section and section.base_model else 0
        return max(extracting, self._cores_of_engines() + (self.job.execution.runners or 1))

    def _cores_of_engines(self) -> float:
        models = (self.job.candidates.model, self.job.tests.model)
        return max((model.cpus * model.actors for model in models if model), default=0)
