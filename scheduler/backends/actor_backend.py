"""Back end of a job on actors: the plan of each kind of work, and how its calls are made."""

import functools
import math
from abc import abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from testbudget.executors.actors import GeneratorActor, RunnerActor
from testbudget.executors.execution.runner import BlockVerdicts
from testbudget.executors.extractor_actor import ExtractedBatch, ExtractorActor, HiddenStateReader
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
)
from testbudget.scheduler.backends.pool_plan import PoolPlan
from testbudget.scheduler.backends.pools import WorkerPools
from testbudget.scheduler.backends.recorded_generator import RecordedGenerator
from testbudget.scheduler.backends.recordings import RecordedCompletions
from testbudget.scheduler.backends.transport import Transport
from testbudget.scheduler.core.events import WorkerKind
from testbudget.scheduler.job import Job
from testbudget.scheduler.sections.model import ModelSection
from testbudget.scheduler.sections.predictions import HiddenStatesSection
from testbudget.traces.records import Piece
from testbudget.traces.trace import Trace

_BLOCKS_PER_RUNNER = 2  # one runs and one waits, so that no core idles
_MAX_RUNNER_DEATHS = 5  # programs are confined, so what ends runners is hardly ever their work
_BATCHES_PER_EXTRACTOR = 2
_IDLE_SECONDS = 60.0  # after which a runner without work leaves its core to others
_MAX_CHARACTERS = 1 << 28  # of programs that are kept shared; the least recently used go first


class ActorBackend(Backend):
    """Work of a job on actors.

    Args:
        job: names models, limits and workers.
        recording: finished run whose tests are taken; None if a model generates tests.
        transport: starts and calls actors.
        metered: True if workers work under leases.
    """

    def __init__(self, job: Job, recording: Trace | None, transport: Transport, *, metered: bool) -> None:
        self.job = job
        self._pools = WorkerPools(transport, self._plan, metered=metered)
        self._programs = SharedPrograms(transport)
        self._recorded = RecordedCompletions(recording) if recording else None
        self._generator = self._recorded and RecordedGenerator(
            self._recorded, self._pools.numbers, lambda: self.seconds, metered=metered
        )

    @abstractmethod
    def runner_count(self) -> int | None:
        """Most runners; None for as many as the places of the transport hold."""

    def probe(self, kind: WorkerKind) -> tuple[Any, ...] | None:
        """Call by which the first worker at a place finds out whether workers can work there."""
        del kind
        return None

    def submit(self, work: Work) -> None:
        """Queue the work. Recorded tests are taken at once, as far as a lease pays for them."""
        kind = kind_of(work)
        if kind is WorkerKind.REWARD_MODEL and self._generator:
            assert isinstance(work, GenerateWork)
            self._generator.submit(work)
        else:
            self._pools.submit(kind, work)

    def wait(self, timeout: float | None = None) -> Sequence[Report]:
        """Block until an actor has something to report."""
        first = self._generator.take_reports() if self._generator else []
        return self._pools.wait(timeout, first=first)

    def lease(self, worker: int, until: Usage) -> None:
        """Pass the lease on to the actor, without waiting for it."""
        if not (self._generator and self._generator.lease(worker, until)):
            self._pools.lease(worker, until)

    def abort(self, keys: Sequence[Hashable]) -> None:
        """Drop work; of what is in progress no result is reported."""
        if self._generator:
            self._generator.abort(set(keys))
        self._pools.abort(set(keys))

    def wind_down(self, kind: WorkerKind) -> None:
        """Let the actors of a kind go as soon as there is no work for them."""
        self._pools.wind_down(kind)

    def retire(self, kind: WorkerKind) -> None:
        """End the actors of a kind, so that the next kind can use what they held."""
        if self._generator and kind is WorkerKind.REWARD_MODEL:
            self._generator.end()
        self._pools.retire(kind)

    def tests_available(self, problem: Problem) -> int | None:
        """Number of recorded tests; None with a model, which has no limit."""
        return self._recorded.available(problem) if self._recorded else None

    def pools(self) -> Mapping[WorkerKind, PoolUse]:
        """Present use of the actors."""
        use = self._pools.use()
        if self._generator and self._generator.use:
            use[WorkerKind.REWARD_MODEL] = self._generator.use
        return use

    @property
    def seconds(self) -> float:
        """Wall-clock seconds."""
        return self._pools.seconds

    def close(self) -> None:
        """End all actors."""
        self._pools.close()

    def _plan(self, kind: WorkerKind) -> PoolPlan:
        wait_seconds = math.inf if (given := self.job.cluster.wait_seconds) is None else given
        if kind is WorkerKind.RUNNER:
            return PoolPlan(
                self.runner_count(),
                _BLOCKS_PER_RUNNER,
                "report",
                "run",
                self._execution,
                _executed,
                serial=True,
                probe=self.probe(kind),
                max_lone_deaths=_MAX_RUNNER_DEATHS,
                idle_seconds=_IDLE_SECONDS,
                wait_seconds=wait_seconds,
            )
        if kind is WorkerKind.EXTRACTOR:
            section = _states_section(self.job)
            layers = tuple(section.layers) if section.layers else None
            return PoolPlan(
                section.actors,
                _BATCHES_PER_EXTRACTOR,
                "depth",
                "extract",
                lambda works: (tuple(work.prompt for work in works), layers),
                _extracted,
                batch=section.batch_size,
                serial=True,
                wait_seconds=wait_seconds,
            )
        model = model_of(self.job, kind)
        sampling = _sampling(model)
        return PoolPlan(
            model.actors,
            model.in_flight,
            "start",
            "generate",
            lambda works: (works[0].requests, sampling),
            _generated,
            load=lambda work: len(work.requests),
            stall_seconds=model.stall_seconds,
            wait_seconds=wait_seconds,
            affine=True,
        )

    def _execution(self, works: Sequence[ExecuteWork]) -> tuple[Any, ...]:
        (work,) = works
        return (
            work.problem.language,
            *self._programs.of(work),
            work.tests,
            work.problem.entry_point,
            work.record_outputs,
            work.input_mutations,
            work.charged,
            work.standing,
            work.settle,
            work.wanted,
            work.problem.comparison,
        )


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
        return functools.partial(
            RunnerActor,
            job.execution.limits,
            tuple(job.sandbox.require),
            metered,
            job.execution.trust,
            job.execution.package_choice,
        )
    if kind is WorkerKind.EXTRACTOR:
        section = _states_section(job)
        make, threads = functools.partial(_extractor, section), max(1, math.ceil(section.cpus))
        return functools.partial(
            ExtractorActor, make, threads, section.gpus, section.timeout_seconds, metered
        )
    model = model_of(job, kind)
    settings = GeneratorSettings(model.name, model.gpus, model.engine, model.server, model.lora)
    return functools.partial(
        GeneratorActor,
        functools.partial(create_generator, model.generator, settings),
        model.timeout_seconds,
        model.gpus,
        model.in_flight,
        metered and kind is WorkerKind.REWARD_MODEL,
        model.max_tokens,
    )


def model_of(job: Job, kind: WorkerKind) -> ModelSection:
    """Section of the model that workers of a kind serve."""
    model = job.candidates.model if kind is WorkerKind.POLICY_MODEL else job.tests.model
    assert model is not None
    return model


def _states_section(job: Job) -> HiddenStatesSection:
    assert job.hidden_states is not None
    assert job.hidden_states.base_model is not None
    return job.hidden_states


def _extractor(section: HiddenStatesSection) -> HiddenStateReader:
    from testbudget.difficulty.extractors.transformers import TransformersExtractor
    from testbudget.difficulty.extractors.vllm import VllmExtractor

    assert section.base_model is not None
    if section.engine == "vllm":
        return VllmExtractor(section.base_model, section.gpus, section.max_tokens, section.dtype)
    device = "cuda" if section.gpus else "cpu"
    return TransformersExtractor(
        section.base_model, device, section.batch_size, section.max_tokens, section.dtype
    )


def isolation_sentence(layers: Sequence[str], missing: Sequence[str]) -> str:
    """Sentence about the isolation layers of a sandbox."""
    return f"sandboxed by {', '.join(layers)}" + (f"; MISSING: {', '.join(missing)}" if missing else "")


def kind_of(work: Work) -> WorkerKind:
    """Kind of the workers that do a piece of work."""
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


def _generated(
    works: Sequence[GenerateWork], completions: Sequence[Completion], pieces: Sequence[Piece]
) -> Sequence[Report]:
    return [GenerationDone(works[0], completions, pieces[0])]


def _executed(
    works: Sequence[ExecuteWork], block: BlockVerdicts, pieces: Sequence[Piece]
) -> Sequence[Report]:
    return [ExecutionDone(works[0], block, pieces[0])]


def _extracted(
    works: Sequence[ExtractWork], batch: ExtractedBatch, pieces: Sequence[Piece]
) -> Sequence[Report]:
    cpu_seconds, gpu_seconds = batch.cpu_seconds / len(works), batch.gpu_seconds / len(works)
    return [
        ExtractionDone(work, batch.states.of_problems([row]), cpu_seconds, gpu_seconds, piece)
        for row, (work, piece) in enumerate(zip(works, pieces, strict=True))
    ]
