"""Back end on a Ray cluster: vLLM engines and sandboxes in actors."""

import functools
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray

from testbudget.executors.actors import GeneratorActor, RunnerActor
from testbudget.executors.execution.limits import max_cpu_seconds
from testbudget.executors.generation.base import Sampling
from testbudget.executors.generation.prompts import prompt_template
from testbudget.executors.generation.vllm import EngineSettings, VllmGenerator
from testbudget.executors.pools import Pool, remote, translate_ray_errors
from testbudget.rewards.errors import SandboxError, UserError
from testbudget.rewards.problem import Candidate, Problem
from testbudget.scheduler.backends.base import (
    Backend,
    Execute,
    Executed,
    ExtractionBackend,
    Generate,
    Generated,
    Role,
)
from testbudget.scheduler.backends.ray_extraction import RayExtraction
from testbudget.scheduler.backends.recorded import max_recorded_cost, recorded_answers
from testbudget.scheduler.job import Job, ModelSection
from testbudget.traces.records import Cost
from testbudget.traces.trace import Trace

_BLOCKS_PER_RUNNER = 2  # one runs and one waits, so that no core idles
_MAX_CHARACTERS = 1 << 28  # of programs in the object store; the least recently used go first


@dataclass(frozen=True, slots=True)
class _Programs:
    """Programs of one problem in the object store.

    Attributes:
        reference: to a tuple of their texts; the store frees them with the last reference.
        positions: positions in the tuple, by candidate index.
        characters: total length of the texts.
    """

    reference: Any
    positions: Mapping[int, int]
    characters: int

    @classmethod
    def put(cls, candidates: Sequence[Candidate]) -> "_Programs":
        texts = tuple(candidate.code for candidate in candidates)
        positions = {candidate.index: position for position, candidate in enumerate(candidates)}
        return cls(ray.put(texts), positions, sum(map(len, texts)))


class RayBackend(Backend):
    """Work on a Ray cluster: one that runs already, or one started here and ended by ``close``.

    Actors are started when they are first needed.

    Args:
        job: names models, limits and cluster.
        recording: finished run whose tests are re-executed; None if a model generates tests.

    Raises:
        UserError: the cluster cannot be reached, or has too few cores or GPUs for the job.
    """

    def __init__(self, job: Job, recording: Trace | None) -> None:
        self._job = job
        self._started = time.monotonic()
        self._recorded = recorded_answers(recording) if recording else {}
        self._answered: list[Generated | Executed] = []
        self._models = {Role.POLICY_MODEL: job.candidates.model, Role.REWARD_MODEL: job.tests.model}
        self._extractors = job.hidden_states if job.hidden_states and job.hidden_states.base_model else None
        self._generators: dict[Role, Pool] = {}
        self._runners: Pool | None = None
        self._programs: dict[str, _Programs] = {}  # by problem id, the most recently used last
        self._characters = 0  # of all of them
        self._limits = job.execution.limits
        self._connect()

    def submit(self, task: Generate | Execute) -> None:
        """Send the task to the least loaded actor, or queue it. Recorded completions are ready at once."""
        if isinstance(task, Generate):
            if model := self._models[task.role]:
                pool = self._generator_pool(task.role, model)
                pool.submit(task, task.requests, _sampling(model), load=len(task.requests))
            else:
                answers = self._recorded[task.problem]
                self._answered.append(
                    Generated(task, [answers[request.index] for request in task.requests])
                )
        else:
            programs = self._programs_for(task)
            self._runner_pool().submit(
                task,
                task.problem.language,
                programs.reference,
                [programs.positions[candidate.index] for candidate in task.candidates],
                task.tests,
                task.problem.entry_point,
                task.record_outputs,
                task.input_mutations,
            )

    def wait(self) -> Sequence[Generated | Executed]:
        """Block until a task is done on the cluster."""
        if self._answered:
            done, self._answered = self._answered, []
            return done
        pools = [*self._generators.values(), *([self._runners] if self._runners else [])]
        results: list[Generated | Executed] = []
        while not results:
            owners = {reference: pool for pool in pools for reference in pool.references}
            ray.wait(list(owners), num_returns=1)
            ready, _ = ray.wait(list(owners), num_returns=len(owners), timeout=0)
            for reference in ready:
                results += self._collect(owners[reference], reference)
        return results

    def hidden_states(self) -> ExtractionBackend:
        """Start extraction in actors of its own. They end before the first sandbox needs their cores."""
        section = self._job.hidden_states
        assert section is not None
        assert section.base_model is not None
        return RayExtraction(section.base_model, section)

    def isolation(self, language: str) -> str:
        """Sentence about the layers of the first sandbox. All nodes are assumed to have the same layers."""
        actor = self._runner_pool().actors[0]
        layers, missing = translate_ray_errors(lambda: ray.get(actor.layers.remote(language)))
        return f"sandboxed by {', '.join(layers)}" + (f"; MISSING: {', '.join(missing)}" if missing else "")

    def tests_available(self, problem: Problem) -> int | None:
        """Number of recorded tests; None with a model, which has no limit."""
        return None if self._models[Role.REWARD_MODEL] else len(self._recorded.get(problem.id, {}))

    def max_generation_cost(self) -> Cost:
        """Token and time limits of the model, or the largest cost of a recorded test."""
        model = self._models[Role.REWARD_MODEL]
        if model is None:
            return max_recorded_cost(self._recorded)
        return Cost(tests=1, tokens=model.max_tokens, gpu_seconds=model.timeout_seconds * model.gpus)

    def max_execution_cost(self, candidates: int, tests: int) -> Cost:
        """The time limit of every pair, mutated inputs included."""
        input_mutations = tests * self._job.execution.input_mutations
        seconds = max_cpu_seconds(self._limits, tests) + max_cpu_seconds(self._limits, input_mutations)
        return Cost(executions=candidates * (tests + input_mutations), cpu_seconds=candidates * seconds)

    def retire(self, role: Role) -> None:
        """End the model's actors, so that another model can use their GPUs."""
        if pool := self._generators.pop(role, None):
            pool.close()

    @property
    def seconds(self) -> float:
        """Wall-clock seconds."""
        return time.monotonic() - self._started

    def close(self) -> None:
        """End the actors and disconnect; end the cluster too if it was started here."""
        for pool in [*self._generators.values(), *([self._runners] if self._runners else [])]:
            pool.close()
        ray.shutdown()

    def _collect(self, pool: Pool, reference: Any) -> list[Generated | Executed]:
        """Result of a finished call as a list; empty if the call is retried."""
        collected = translate_ray_errors(lambda: pool.collect(reference))
        if collected is None:
            return []
        task, result = collected
        return [Generated(task, result) if isinstance(task, Generate) else Executed(task, result)]

    def _programs_for(self, task: Execute) -> "_Programs":
        """A problem's programs in the object store, from which each node fetches them once."""
        programs = self._programs.pop(task.problem.id, None)
        if programs is not None and not programs.positions.keys() >= {c.index for c in task.candidates}:
            self._characters -= programs.characters
            programs = None
        if programs is None:
            programs = _Programs.put(task.candidates)
            self._characters += programs.characters
        self._programs[task.problem.id] = programs
        while self._characters > _MAX_CHARACTERS and len(self._programs) > 1:
            oldest = self._programs.pop(next(iter(self._programs)))  # queued calls keep it alive
            self._characters -= oldest.characters
        return programs

    def _connect(self) -> None:
        cluster = self._job.cluster
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if cluster.address is None:
            options |= {
                "num_cpus": cluster.num_cpus or max(os.cpu_count() or 1, math.ceil(self._cores_needed())),
                "num_gpus": cluster.num_gpus,
                "include_dashboard": False,
            }
        try:
            ray.init(address=cluster.address or "local", **options)
        except (ConnectionError, ValueError) as error:
            raise UserError(
                f"cluster.address must be a running Ray cluster but {cluster.address} is not: {error}"
            ) from None
        if cluster.address is None:  # another cluster may grow: its actors wait
            self._check_fit(ray.cluster_resources())

    def _check_fit(self, resources: Mapping[str, float]) -> None:
        sections = [*self._models.values(), self._extractors]
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
        extracting = self._extractors.cpus * self._extractors.actors if self._extractors else 0
        return max(extracting, self._cores_of_engines() + (self._job.execution.runners or 1))

    def _cores_of_engines(self) -> float:
        return max((model.cpus * model.actors for model in self._models.values() if model), default=0)

    def _generator_pool(self, role: Role, model: ModelSection) -> Pool:
        if role not in self._generators:
            make = functools.partial(VllmGenerator, EngineSettings.of(model.name, model.engine), model.gpus)
            options = {"num_cpus": model.cpus, "num_gpus": model.gpus, "max_concurrency": model.in_flight}
            actor = remote(GeneratorActor, **options)
            actors = [actor.remote(make, model.timeout_seconds) for _ in range(model.actors)]
            translate_ray_errors(lambda: ray.get([actor.start.remote() for actor in actors]))
            self._generators[role] = Pool(actors, "generate", model.in_flight)
        return self._generators[role]

    def _runner_pool(self) -> Pool:
        if self._runners is None:
            actor = remote(RunnerActor, num_cpus=1, scheduling_strategy="SPREAD")
            require = self._job.sandbox.require
            actors = [actor.remote(self._limits, require) for _ in range(self._runner_count())]
            self._runners = Pool(actors, "run", _BLOCKS_PER_RUNNER, movable=(SandboxError,))
        return self._runners

    def _runner_count(self) -> int:
        if self._job.execution.runners:
            return self._job.execution.runners
        return max(1, int(ray.cluster_resources().get("CPU", 1) - self._cores_of_engines()))


def _sampling(model: ModelSection) -> Sampling:
    return Sampling(
        temperature=model.temperature,
        top_p=model.top_p,
        max_tokens=model.max_tokens,
        stop=prompt_template(model.template).stop,
    )
