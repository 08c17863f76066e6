"""Back end on a Ray cluster: engines, extractors and sandboxes in Ray actors."""

import logging
import math
import os
import secrets
import signal
import sys
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import ActorDiedError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from testbudget.executors.calls import AT_ONCE, CallAnswer, Callee, WorkerDiedError
from testbudget.executors.code_version import code_version, made_with
from testbudget.rewards.errors import UserError, one_line
from testbudget.scheduler.backends.actor_backend import (
    ActorBackend,
    isolation_sentence,
    model_of,
    worker_maker,
)
from testbudget.scheduler.backends.core_requests import CoreRequests
from testbudget.scheduler.backends.engine_claims import ClaimedPlace, EngineClaims, EngineShape
from testbudget.scheduler.backends.node_probe import probe_nodes
from testbudget.scheduler.backends.node_watch import NodeWatch
from testbudget.scheduler.backends.placement import (
    engines_sentence,
    runner_slots,
    runners_sentence,
)
from testbudget.scheduler.backends.pool_plan import spoken
from testbudget.scheduler.backends.transport import Places, Transport
from testbudget.scheduler.core.events import WorkerKind
from testbudget.scheduler.job import Job
from testbudget.scheduler.ray_job import enclosing_cluster, require_listener
from testbudget.traces.trace import Trace

_LOG = logging.getLogger(__name__)
_NODE_DIED = "its node has died"  # in the message of an ActorDiedError
_CONTROL = "control"  # concurrency group of the calls that are answered while work is in progress
_SPARE_CALLS = 8  # of an asynchronous actor, beside its requests
_FETCH_SECONDS = 30.0  # of a result from another node
_ANYWHERE = "any node"  # place of an engine that needs neither a core nor a GPU


class _Actor:
    """An object made in the actor's process, whose methods are called by name.

    Args:
        make: makes the object.
        code: the driver's version of the code. A process with another one answers every call by refusing.
    """

    def __init__(self, make: Callable[[], Any], code: str) -> None:
        self._callee = Callee(made_with(code, make))

    def work(self, method: str, *arguments: Any) -> CallAnswer:
        """Call a method that works."""
        return self._callee.answer(method, arguments)

    @ray.method(concurrency_group=_CONTROL)  # type: ignore[untyped-decorator]
    def control(self, method: str, *arguments: Any) -> CallAnswer:
        """Call a method that answers while another one works."""
        return self._callee.answer(method, arguments)


class _AsyncActor:
    """The same for an object whose methods are coroutines."""

    def __init__(self, make: Callable[[], Any], code: str) -> None:
        self._callee = Callee(made_with(code, make, later=True))

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
    """Ray actors: engines in placement groups that are made before any runner, runners tied to nodes.

    Args:
        job: names models, limits and resources.
        metered: True if workers work under leases.
        run_id: id of the run, for the names of its actors.
    """

    def __init__(self, job: Job, *, metered: bool, run_id: str = "") -> None:
        self._job, self._metered = job, metered
        # Actors of an earlier driver of the run may still be there.
        self._prefix = f"testbudget-{run_id or 'run'}-{secrets.token_hex(2)}"
        self._watch: NodeWatch | None = None
        self._claims = EngineClaims()
        self._requests = CoreRequests()
        self._shapes = engine_shapes(job)
        self._ended: set[WorkerKind] = set()

    def connected(self) -> None:
        """Take note that this process is connected to a cluster; claim the room of the first engines."""
        self._watch = NodeWatch()
        self._claim_next()

    def places(self, kind: WorkerKind, wanted: int) -> Places:
        """Nodes for runners; claims for engines, each a place as soon as Ray has placed it."""
        if kind is WorkerKind.RUNNER:
            return self._places_of_runners(wanted)
        self._ended.discard(kind)
        shape = self._shapes[kind]
        if not shape.cpus and not shape.gpus:
            return Places({_ANYWHERE: sys.maxsize})
        self._claims.make(kind, shape, wanted)
        nodes = {node.id: node for node in self._nodes()}
        slots: dict[Hashable, int] = {}
        leaving: dict[Hashable, float] = {}
        claims = self._claims.placed()
        for place, claim in claims.items():
            if place.kind is kind and (node := nodes.get(claim.node or "")) is not None:
                if node.leaves_in is None:
                    slots[place] = 1
                else:
                    leaving[place] = node.leaves_in
        own = [claim for place, claim in claims.items() if place.kind is kind]
        others = [claim for place, claim in claims.items() if place.kind is not kind]
        return Places(slots, leaving, engines_sentence(spoken(kind), list(nodes.values()), own, others))

    def free(self, kind: WorkerKind, place: Hashable | None = None) -> None:
        """Give claims up; runners need none."""
        if not self.has_head:
            return
        if kind is WorkerKind.RUNNER:
            if place is None:
                self._requests.end()
            return
        self._claims.drop(kind, place)
        if place is None:
            self._ended.add(kind)

    def is_sound(self, place: Hashable) -> bool:
        """True if the node of a place lives and is not drained."""
        node = place
        if isinstance(place, ClaimedPlace):
            claim = self._claims.placed().get(place)
            node = claim.node if claim else None
        if node == _ANYWHERE:
            return True
        return isinstance(node, str) and self._watch is not None and self._watch.answers(node)

    def start(self, kind: WorkerKind, place: Hashable, name: str) -> Any:
        """Ask Ray for an actor at a place, with the resources of its kind."""
        make = self.make(kind)
        called: dict[str, Any] = {"name": f"{self._prefix}-{name}", "namespace": "testbudget"}
        if kind is WorkerKind.RUNNER:
            tied = NodeAffinitySchedulingStrategy(place, soft=False)
            return _BLOCKING.options(num_cpus=1, scheduling_strategy=tied, **called).remote(
                make, code_version()
            )
        shape = self._shapes[kind]
        options: dict[str, Any] = {"num_cpus": shape.cpus, "num_gpus": shape.gpus, **called}
        if isinstance(place, ClaimedPlace):
            options["scheduling_strategy"] = self._claims.strategy(place)
        if kind is WorkerKind.EXTRACTOR:
            return _BLOCKING.options(**options).remote(make, code_version())
        calls = model_of(self._job, kind).in_flight + _SPARE_CALLS
        return _ASYNCHRONOUS.options(max_concurrency=calls, **options).remote(make, code_version())

    def make(self, kind: WorkerKind) -> Callable[[], Any]:
        """Function that makes a worker's object in its actor."""
        return worker_maker(self._job, kind, metered=self._metered)

    def call(self, worker: Any, method: str, *arguments: Any) -> Any:
        """Call a method; reports and leases are answered while work is in progress."""
        called = worker.control if method in AT_ONCE else worker.work
        return called.remote(method, *arguments)

    def wait(self, calls: Sequence[Any], timeout: float) -> Sequence[Any]:
        """Block until a call is answered."""
        ready, _ = ray.wait(list(calls), num_returns=1, timeout=timeout, fetch_local=False)
        if ready:
            ready, _ = ray.wait(list(calls), num_returns=len(calls), timeout=0, fetch_local=False)
        return list(ready)

    def result(self, call: Any) -> CallAnswer:
        """Answer to a call. Nothing but the death of a reachable actor counts against the call."""
        try:
            answered: CallAnswer = ray.get(call, timeout=_FETCH_SECONDS)
        except RayError as error:
            blameless = not isinstance(error, ActorDiedError) or _NODE_DIED in str(error)
            raise WorkerDiedError(one_line(error), blameless=blameless) from error
        return answered

    def share(self, value: Any) -> Any:
        """A reference to the value in the object store, which sends it to each node once."""
        return ray.put(value)

    def end(self, worker: Any) -> None:
        """Kill the actor; without a head nobody can."""
        if self.has_head:
            ray.kill(worker)

    def close(self) -> None:
        """Give everything up that was claimed or asked for."""
        if self.has_head:
            for kind in self._shapes:
                self._claims.drop(kind)
            self._requests.end()
        if self._watch is not None:
            self._watch.close()

    @property
    def has_head(self) -> bool:
        """False if the cluster's head is lost, and all that belongs to this process with it."""
        return self._watch is None or self._watch.has_head

    def nodes_of_runners(self) -> list[str]:
        """Ids of the nodes that have room for runners."""
        return [node for node, slots in self._slots().items() if slots]

    def _nodes(self) -> Sequence[Any]:
        assert self._watch is not None
        return self._watch.nodes()

    def _slots(self) -> dict[str, int]:
        cluster = self._job.cluster
        claims = list(self._claims.placed().values())
        return runner_slots(self._nodes(), claims, cluster.runner_label, cluster.reserved_cores)

    def _places_of_runners(self, wanted: int) -> Places:
        self._claim_next()
        nodes = self._nodes()
        slots = self._slots()
        leaving: dict[Hashable, float] = {
            node.id: math.inf if node.leaves_in is None else node.leaves_in
            for node in nodes
            if node.id not in slots
        }
        label = self._job.cluster.runner_label
        # The request is a floor for the whole cluster, nodes that runners do not use included.
        unused = 0 if label else sum(math.floor(node.cpus) - slots.get(node.id, 0) for node in nodes)
        self._requests.ask(wanted, label, unused)
        sentence = "" if any(slots.values()) else runners_sentence(nodes, label, taken=bool(slots))
        room: dict[Hashable, int] = {}
        room.update(slots.items())
        return Places(room, leaving, sentence)

    def _claim_next(self) -> None:
        """Claim room for the first engines that are still to come, so that no runner takes it."""
        for kind, shape in self._shapes.items():
            if kind not in self._ended:
                if shape.cpus or shape.gpus:
                    self._claims.make(kind, shape, shape.count)
                return


def engine_shapes(job: Job) -> dict[WorkerKind, EngineShape]:
    """Engines and extractors that a job asks for, in the order in which they work."""
    found = {}
    states = job.hidden_states
    if (model := job.candidates.model) is not None:
        found[WorkerKind.POLICY_MODEL] = EngineShape(model.actors, model.cpus, model.gpus)
    if states is not None and states.base_model is not None:
        found[WorkerKind.EXTRACTOR] = EngineShape(states.actors, states.cpus, states.gpus)
    if (model := job.tests.model) is not None:
        found[WorkerKind.REWARD_MODEL] = EngineShape(model.actors, model.cpus, model.gpus)
    return found


def _note_what_ray_says(data: Mapping[str, Any], *_: object, **__: object) -> None:
    """Take what Ray would print about its processes."""
    _LOG.debug("%s", " ".join(map(str, data.get("lines", ()))))


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
        run_id: id of the run, for the names of its actors.

    Raises:
        UserError: the cluster cannot be reached, or has too few cores or GPUs for the job.
    """

    def __init__(self, job: Job, recording: Trace | None, *, metered: bool, run_id: str = "") -> None:
        self._transport = RayTransport(job, metered=metered, run_id=run_id)
        self._languages: list[str] = []
        super().__init__(job, recording, self._transport, metered=metered)
        self._connect()
        self._transport.connected()

    def runner_count(self) -> int | None:
        """As the job asks for; else one for each core that the engines leave."""
        return self.job.execution.runners

    def probe(self, kind: WorkerKind) -> tuple[Any, ...] | None:
        """The first runner on a node starts a sandbox of each language of the run."""
        return ("probe", *self._languages) if kind is WorkerKind.RUNNER and self._languages else None

    def isolation(self, language: str) -> str:
        """Sentence about one sandbox on one node; the first runner of each node tries its own."""
        self._languages.append(language)
        nodes = self._transport.nodes_of_runners()
        if not nodes:
            return "sandboxes are tried on each node that joins"
        (found,) = probe_nodes(
            worker_maker(self.job, WorkerKind.RUNNER, metered=False), nodes[:1], language
        )
        if found.error is not None:
            return f"sandboxes are tried on each node; on {found.name} {found.error}"
        return f"{isolation_sentence(found.layers, found.missing)}, on {found.name}"

    def close(self) -> None:
        """End the actors and disconnect; end the cluster too if it was started here."""
        super().close()
        self._transport.close()
        if self._transport.has_head:  # else this would block, and the process ends anyway
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
        where = "cluster.address" if cluster.address else "RAY_ADDRESS"
        if address is not None:
            require_listener(address, where)
        try:
            with _signals_kept():
                # Losses are said in sentences of ours; Ray's pages about each go to the log.
                ray._private.worker.print_to_stdstream = _note_what_ray_says
                ray.init(address=address or "local", **options)
        except (ConnectionError, ValueError) as error:
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
