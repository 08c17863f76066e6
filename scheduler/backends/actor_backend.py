"""Back end of a job on actors: the calls of each kind of work, and the kinds that share a machine in turn."""

import functools
import math
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from testbudget.executors.actors import (
    ExtractedBatch,
    ExtractorActor,
    GeneratorActor,
    HiddenStateReader,
    RunnerActor,
)
from testbudget.executors.execution.runner import BlockVerdicts
from testbudget.executors.generation.base import Completion, GeneratorSettings, Sampling
from testbudget.executors.generation.prompts import prompt_template
from testbudget.executors.generation.registry import create_generator
from testbudget.executors.metering import Usage
from testbudget.rewards.problem import Candidate, Problem
from testbudget.scheduler.backends.base import (
    Backend,
    ExecuteWork,
    ExecutionDone,
    ExtractionDone,
    ExtractWork,
    GenerateWork,
    GenerationDone,
    PoolUse,
    Report,
    Work,
    WorkLost,
)
from testbudget.scheduler.backends.pooled import Call, PoolPlan, Pools, Transport
from testbudget.scheduler.backends.recorded_generator import RecordedGenerator
from testbudget.scheduler.backends.recordings import RecordedTests
from testbudget.scheduler.core.events import WorkerKind
from testbudget.scheduler.job import HiddenStatesSection, Job, ModelSection
from testbudget.traces.records import Piece
from testbudget.traces.trace import Trace

_BLOCKS_PER_RUNNER = 2  # one runs and one waits, so that no core idles
_BATCHES_PER_EXTRACTOR = 2
_MAX_CHARACTERS = 1 << 28  # of programs that are kept shared; the least recently used go first
_WAITS_FOR = {
    WorkerKind.POLICY_MODEL: (),
    WorkerKind.EXTRACTOR: (WorkerKind.POLICY_MODEL,),
    WorkerKind.REWARD_MODEL: (WorkerKind.POLICY_MODEL, WorkerKind.EXTRACTOR),
    WorkerKind.RUNNER: (WorkerKind.POLICY_MODEL, WorkerKind.EXTRACTOR),
}
"""Kinds that hold the machine until they are retired."""


class ActorBackend(Backend):
    """Work of a job on actors. A kind of work starts when those before it are retired.

    Args:
        job: names models, limits and workers.
        recording: finished run whose tests are taken; None if a model generates tests.
        transport: starts and calls actors.
        metered: True if workers work under leases.
    """

    def __init__(self, job: Job, recording: Trace | None, transport: Transport, *, metered: bool) -> None:
        self.job, self.transport = job, transport
        self._pools = Pools(transport, self._plan, metered=metered)
        self._models = {
            WorkerKind.POLICY_MODEL: job.candidates.model,
            WorkerKind.REWARD_MODEL: job.tests.model,
        }
        self._holding = {kind for kind, model in self._models.items() if model}
        if job.hidden_states and job.hidden_states.base_model:
            self._holding.add(WorkerKind.EXTRACTOR)
        self._waiting: deque[Work] = deque()  # for kinds that hold the machine
        self._recorded = RecordedTests(recording) if recording else None
        self._generator = (
            RecordedGenerator(self._recorded, self._pools.numbers, lambda: self.seconds, metered=metered)
            if self._recorded
            else None
        )
        self._programs = SharedPrograms(transport)
        self._prompts: list[ExtractWork] = []

    @abstractmethod
    def runner_count(self) -> int:
        """Number of runners."""

    def submit(self, work: Work) -> None:
        """Queue the work for the least loaded actor of its kind, or until its kind may start."""
        if isinstance(work, GenerateWork) and self._models[work.model] is None:
            assert self._generator is not None
            self._generator.submit(work)
        elif self._holding.isdisjoint(_WAITS_FOR[_kind(work)]):
            self._send(work)
        else:
            self._waiting.append(work)

    def wait(self, timeout: float | None = None) -> Sequence[Report]:
        """Block until an actor has something to report."""
        self._send_batches()
        reports = self._generator.reports() if self._generator else []
        return reports or self._pools.wait(timeout)

    def lease(self, worker: int, until: Usage) -> None:
        """Pass the lease on to the actor, without waiting for it."""
        if self._generator is None or not self._generator.lease(worker, until):
            self._pools.lease(worker, until)

    def abort(self, keys: Sequence[Hashable]) -> None:
        """Drop what is queued."""
        dropped = set(keys)
        self._waiting = deque(work for work in self._waiting if work.key not in dropped)
        self._prompts = [work for work in self._prompts if work.key not in dropped]
        if self._generator:
            self._generator.abort(dropped)
        self._pools.abort(keys)

    def retire(self, kind: WorkerKind) -> None:
        """End the actors of a kind, so that the next kind can use what they held."""
        self._pools.retire(kind)
        if self._generator and kind is WorkerKind.REWARD_MODEL:
            self._generator.end()
        self._holding.discard(kind)
        waiting, self._waiting = self._waiting, deque()
        for work in waiting:
            self.submit(work)

    def tests_available(self, problem: Problem) -> int | None:
        """Number of recorded tests; None with a model, which has no limit."""
        return self._recorded.available(problem) if self._recorded else None

    def pools(self) -> Mapping[WorkerKind, PoolUse]:
        """Present use of the actors."""
        return self._pools.use()

    @property
    def seconds(self) -> float:
        """Wall-clock seconds."""
        return self._pools.seconds

    def close(self) -> None:
        """End all actors."""
        self._pools.close()

    # ---- inside ----

    def _plan(self, kind: WorkerKind) -> PoolPlan:
        if kind is WorkerKind.RUNNER:
            return PoolPlan(self.runner_count(), _BLOCKS_PER_RUNNER, "run", "report")
        if kind is WorkerKind.EXTRACTOR:
            section = self.job.hidden_states
            assert section is not None
            return PoolPlan(section.actors, _BATCHES_PER_EXTRACTOR, "extract", "depth")
        model = self._models[kind]
        assert model is not None
        return PoolPlan(model.actors, model.in_flight, "generate", "start")

    def _send(self, work: Work) -> None:
        match work:
            case GenerateWork():
                model = self._models[work.model]
                assert model is not None
                self._pools.pool(work.model).submit(
                    Call(
                        work.key,
                        (work.requests, _sampling(model)),
                        functools.partial(_generated, work),
                        functools.partial(_lost, (work,)),
                        load=len(work.requests),
                    )
                )
            case ExecuteWork():
                programs, positions = self._programs.of(work)
                arguments = (
                    work.problem.language,
                    programs,
                    positions,
                    work.tests,
                    work.problem.entry_point,
                    work.record_outputs,
                    work.input_mutations,
                    work.charged,
                )
                self._pools.pool(WorkerKind.RUNNER).submit(
                    Call(
                        work.key,
                        arguments,
                        functools.partial(_executed, work),
                        functools.partial(_lost, (work,)),
                    )
                )
            case ExtractWork():
                self._prompts.append(work)

    def _send_batches(self) -> None:
        """Send prompts in batches, the longest first: those of similar length need little padding."""
        section = self.job.hidden_states
        if not self._prompts or section is None:
            return
        self._prompts.sort(key=lambda work: -len(work.prompt))
        layers = tuple(section.layers) if section.layers else None
        for start in range(0, len(self._prompts), section.batch_size):
            batch = tuple(self._prompts[start : start + section.batch_size])
            self._pools.pool(WorkerKind.EXTRACTOR).submit(
                Call(
                    batch[0].key,
                    (tuple(work.prompt for work in batch), layers),
                    functools.partial(_extracted, batch),
                    functools.partial(_lost, batch),
                )
            )
        self._prompts.clear()


class SharedPrograms:
    """Programs of each problem, shared with the workers once.

    Args:
        transport: shares them.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._known: dict[str, tuple[Any, Mapping[int, int], int]] = {}  # the most recently used last
        self._characters = 0

    def of(self, work: ExecuteWork) -> tuple[Any, list[int]]:
        """Shared texts of a problem's programs, and positions of the work's candidates among them."""
        problem, candidates = work.problem.id, work.candidates
        known = self._known.pop(problem, None)
        if known is None or not known[1].keys() >= {candidate.index for candidate in candidates}:
            self._characters -= known[2] if known else 0
            known = self._share(candidates)
            self._characters += known[2]
        self._known[problem] = known
        while self._characters > _MAX_CHARACTERS and len(self._known) > 1:
            self._characters -= self._known.pop(next(iter(self._known)))[2]  # queued calls keep it alive
        return known[0], [known[1][candidate.index] for candidate in candidates]

    def _share(self, candidates: Sequence[Candidate]) -> tuple[Any, Mapping[int, int], int]:
        texts = tuple(candidate.code for candidate in candidates)
        positions = {candidate.index: position for position, candidate in enumerate(candidates)}
        return self._transport.share(texts), positions, sum(map(len, texts))


def worker_maker(job: Job, kind: WorkerKind, *, metered: bool) -> Callable[[], Any]:
    """Function that makes an actor's object of a kind, in the process where it will work."""
    if kind is WorkerKind.RUNNER:
        return functools.partial(RunnerActor, job.execution.limits, tuple(job.sandbox.require), metered)
    if kind is WorkerKind.EXTRACTOR:
        section = job.hidden_states
        assert section is not None
        assert section.base_model is not None
        make = functools.partial(_extractor, section.base_model, section)
        threads = max(1, math.ceil(section.cpus))
        return functools.partial(
            ExtractorActor, make, threads, section.gpus, section.timeout_seconds, metered
        )
    model = job.candidates.model if kind is WorkerKind.POLICY_MODEL else job.tests.model
    assert model is not None
    settings = GeneratorSettings(model.name, model.gpus, model.engine)
    return functools.partial(
        GeneratorActor,
        functools.partial(create_generator, model.generator, settings),
        model.timeout_seconds,
        model.gpus,
        model.in_flight,
        metered and kind is WorkerKind.REWARD_MODEL,
    )


def _extractor(model: str, section: HiddenStatesSection) -> HiddenStateReader:
    from testbudget.difficulty.extractors.transformers import TransformersExtractor
    from testbudget.difficulty.extractors.vllm import VllmExtractor

    if section.engine == "vllm":
        return VllmExtractor(model, section.gpus, section.max_tokens, section.dtype)
    device = "cuda" if section.gpus else "cpu"
    return TransformersExtractor(model, device, section.batch_size, section.max_tokens, section.dtype)


def isolation_sentence(layers: Sequence[str], missing: Sequence[str]) -> str:
    """Sentence about the isolation layers of a sandbox."""
    return f"sandboxed by {', '.join(layers)}" + (f"; MISSING: {', '.join(missing)}" if missing else "")


def _kind(work: Work) -> WorkerKind:
    match work:
        case GenerateWork():
            return work.model
        case ExtractWork():
            return WorkerKind.EXTRACTOR
        case ExecuteWork():
            return WorkerKind.RUNNER


def _sampling(model: ModelSection) -> Sampling:
    return Sampling(
        temperature=model.temperature,
        top_p=model.top_p,
        max_tokens=model.max_tokens,
        stop=prompt_template(model.template).stop,
    )


def _generated(work: GenerateWork, completions: Sequence[Completion], piece: Piece) -> list[Report]:
    return [GenerationDone(work, completions, piece)]


def _executed(work: ExecuteWork, block: BlockVerdicts, piece: Piece) -> list[Report]:
    return [ExecutionDone(work, block, piece)]


def _extracted(works: Sequence[ExtractWork], batch: ExtractedBatch, piece: Piece) -> list[Report]:
    cpu_seconds, gpu_seconds = batch.cpu_seconds / len(works), batch.gpu_seconds / len(works)
    return [
        ExtractionDone(work, batch.states.of_problems([row]), cpu_seconds, gpu_seconds, piece)
        for row, work in enumerate(works)
    ]


def _lost(works: Sequence[Work], reason: str) -> list[WorkLost]:
    return [WorkLost(work, reason) for work in works]
