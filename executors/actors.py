"""Workers: generators with one model each, runners with one sandbox per language.

Each meters what it uses. A metered one begins with a lease of nothing and works only under a lease, which
``lease`` extends; a call that its lease does not let begin, or ends, raises LeaseEndedError. ``lease`` and
``report`` may be called while another call runs: on Ray in a concurrency group of their own.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import numpy as np

from testbudget.executors.calls import end_worker
from testbudget.executors.execution.cpu_lease import CpuLease, runner_slice
from testbudget.executors.execution.inputs import run_with_mutations
from testbudget.executors.execution.limits import TestLimits, Trust
from testbudget.executors.execution.package_choice import NO_PACKAGES, PackageChoice
from testbudget.executors.execution.packages import find_packages
from testbudget.executors.execution.runner import BlockVerdicts, InterruptedBlockError, Runner
from testbudget.executors.execution.written_inputs import run_written_inputs
from testbudget.executors.generation.base import (
    Completion,
    Generator,
    GeneratorError,
    PromptRefusedError,
    Request,
    Sampling,
    TokenCount,
)
from testbudget.executors.generation.engine_lease import EngineLease, EngineRequest
from testbudget.executors.generation.prepaid import PrepaidGenerator
from testbudget.executors.generation.request_lease import RequestLease
from testbudget.executors.metering import LeaseEndedError, Meter, Reading, Usage
from testbudget.rewards.comparison import DEFAULT_COMPARISON, Comparison
from testbudget.rewards.errors import SandboxError, UserError
from testbudget.rewards.problem import WRITTEN_INPUTS, UnitTest

_LOG = logging.getLogger(__name__)


class GeneratorActor:
    """Actor with a generator that serves many requests at once.

    All methods are called from one event loop.

    Args:
        make: function that creates the generator in the actor's own process.
        timeout_seconds: limit on the time of one answer, in wall-seconds.
        gpus: number of GPUs that the busy time is charged for.
        in_flight: maximum number of requests at once, for the first ``slice``.
        metered: True to work under leases of tokens and GPU-seconds.
        max_tokens: usual upper bound on the tokens of an answer, for the first ``slice`` of a generator
            that prepays.
    """

    def __init__(
        self,
        make: Callable[[], Generator],
        timeout_seconds: float,
        gpus: float = 0.0,
        in_flight: int = 1,
        metered: bool = False,
        max_tokens: int = 1024,
    ) -> None:
        self._make = make
        self._timeout_seconds = timeout_seconds
        self._meter = Meter(metered=metered)
        self._engine_lease = EngineLease(self._meter, gpus, in_flight)
        self._request_lease = RequestLease(self._meter, in_flight, max_tokens)
        self._prepays = False
        self._answered: dict[Request, Completion] = {}  # of calls that were not answered as a whole
        self._starting: asyncio.Task[Generator] | None = None
        self._counts_tokens = False
        self._progress = 0

    @property
    def progress(self) -> int | None:
        """Tokens and answers so far; None if the generator counts no tokens before an answer is whole."""
        return self._progress if self._counts_tokens else None

    async def start(self) -> None:
        """Load the model.

        Raises:
            UserError: a setting cannot be used.
            GeneratorError: the generator failed.
        """
        await self._generator()

    async def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        """Answers to requests, in their order.

        A prompt that is refused gets an empty answer with the finish reason ``prompt_too_long`` or
        ``refused``. If the generator fails or exceeds the time limit, this process ends. The pool then
        starts another worker and repeats its calls.

        Args:
            requests: requests to serve concurrently.
            sampling: sampling parameters of all of them.

        Raises:
            UserError: the generator raised it.
            LeaseEndedError: the lease has ended before all requests were answered.
            RequestFailedError, InfrastructureError: a generator that prepays raised it.
        """
        generator = await self._generator()
        if isinstance(generator, PrepaidGenerator):
            return await self._paid(generator, requests, sampling)
        rooms = self._engine_lease.begin(len(requests), generator.tokens_ahead(sampling))
        tasks = [
            asyncio.ensure_future(self._one(generator, request, sampling, room))
            for request, room in zip(requests, rooms, strict=True)
        ]
        try:
            return list(await asyncio.gather(*tasks))
        except GeneratorError as error:
            end_worker(str(error))
        except LeaseEndedError:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
        finally:
            for room in rooms:
                self._engine_lease.end(room)

    async def lease(self, until: Usage) -> None:
        """Let the engine use so much in all since it started."""
        self._meter.lease(until)

    async def report(self) -> Reading:
        """Usage so far, that of requests in progress included, and a few seconds of work."""
        self._engine_lease.update()
        lease = self._request_lease if self._prepays else self._engine_lease
        return Reading(self._meter.charged, lease.slice)

    async def _paid(
        self, generator: PrepaidGenerator, requests: Sequence[Request], sampling: Sampling
    ) -> list[Completion]:
        """Answers of a generator that prepays. Those of a call that fails are kept for its repetition."""

        async def one(request: Request) -> Completion:
            if request in self._answered:
                return self._answered.pop(request)
            try:
                return await generator.generate_prepaid(request, sampling, self._request_lease)
            except PromptRefusedError as error:
                return _unanswered(error)

        answers = await asyncio.gather(*map(one, requests), return_exceptions=True)
        errors = [answer for answer in answers if isinstance(answer, BaseException)]
        if not errors:
            return [answer for answer in answers if isinstance(answer, Completion)]
        for request, answer in zip(requests, answers, strict=True):
            if isinstance(answer, Completion):
                self._answered[request] = answer
        # An end of the lease comes last: what else has failed needs more than another lease.
        raise min(errors, key=lambda error: isinstance(error, LeaseEndedError))

    async def _one(
        self, generator: Generator, request: Request, sampling: Sampling, room: EngineRequest
    ) -> Completion:
        def answer(count: TokenCount) -> Coroutine[Any, Any, Completion]:
            def counted(tokens: int) -> None:
                self._progress += tokens
                count(tokens)

            return generator.generate_counted(request, sampling, counted)

        try:
            completion = await asyncio.wait_for(self._engine_lease.run(answer, room), self._timeout_seconds)
            self._progress += 1
            return completion
        except PromptRefusedError as error:
            return _unanswered(error)
        except TimeoutError:
            raise GeneratorError(
                f"an answer for problem {request.problem} took longer than {self._timeout_seconds:g} s"
            ) from None

    async def _generator(self) -> Generator:
        # The first call starts the generator.
        if self._starting is None:
            self._starting = asyncio.create_task(self._started())
        return await self._starting

    async def _started(self) -> Generator:
        generator = self._make()
        await generator.start()
        self._prepays = isinstance(generator, PrepaidGenerator)
        self._counts_tokens = type(generator).generate_counted is not Generator.generate_counted
        return generator


def _unanswered(error: PromptRefusedError) -> Completion:
    """Empty answer to a prompt that the model refuses: it holds neither a test nor a correct program."""
    _LOG.warning("%s", error)
    return Completion("", 0, 0.0, error.finish_reason)


class RunnerActor:
    """Actor with a runner of blocks for each language.

    `layers` and `run` are called by one thread at a time, `lease`, `report` and `interrupt` by any.

    Args:
        limits: limits of one test.
        require: isolation layers that must be available.
        metered: True to run charged blocks under leases of CPU-seconds.
        trust: trust in the authors of the candidates.
        packages: distributions that Python programs may import.
    """

    def __init__(
        self,
        limits: TestLimits,
        require: Sequence[str],
        metered: bool = False,
        trust: Trust = Trust.HOSTILE,
        packages: PackageChoice = NO_PACKAGES,
    ) -> None:
        self._limits = limits
        self._require = require
        self._trust = trust
        self._packages = packages
        self._meter = Meter(metered=metered)
        self._cpu_lease = CpuLease(self._meter, limits)
        self._runners: dict[str, Runner] = {}
        self._interrupted = False

    def layers(self, language: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of the active isolation layers, and names of the missing ones.

        Args:
            language: language of the sandbox.

        Raises:
            UserError: a required layer is missing.
        """
        runner = self._runner(language)
        return runner.layers, runner.missing

    def probe(self, *languages: str) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
        """The layers of a sandbox for each language, as `layers` finds them.

        Raises:
            UserError: this node lacks a required layer, an interpreter or a package.
            SandboxError: a sandbox could not be built.
        """
        return {language: self.layers(language) for language in languages}

    def run(
        self,
        language: str,
        programs: Sequence[str],
        chosen: Sequence[int],
        tests: Sequence[UnitTest],
        entry_point: str,
        record: bool,
        input_mutations: int,
        charged: bool = True,
        standing: Sequence[int] = (),
        settle: bool = False,
        wanted: Sequence[Sequence[bool]] | None = None,
        comparison: Comparison = DEFAULT_COMPARISON,
    ) -> BlockVerdicts:
        """Verdicts of chosen programs on tests.

        Args:
            language: language of the programs and tests.
            programs: all distinct programs of one problem. Ray sends them to each node once.
            chosen: positions of the programs to run.
            tests: tests of the same problem, or its written inputs alone.
            entry_point: name that each program must define.
            record: True to record outputs.
            input_mutations: number of mutations of each test's inputs to run and record in addition.
            charged: False for a block that needs no lease and is not charged, such as one of labels.
            standing: number of tests that each chosen program has passed so far; empty if unknown.
            settle: True if no pair may be cut off before its full limit.
            wanted: for each chosen program, True for the tests to run; None for all.
            comparison: comparison of expected and given outputs.

        Raises:
            SandboxError: the sandbox failed, and so did a new one.
            UserError: a required isolation layer is missing.
            LeaseEndedError: the lease has ended before the block.
        """
        candidates = [programs[position] for position in chosen]
        if charged and language not in self._runners:
            self._cpu_lease.check_start()
        runner = self._runner(language)
        with self._cpu_lease.charged(runner) if charged else self._cpu_lease.uncharged(runner):
            if tests and tests[0].index == WRITTEN_INPUTS:
                return run_written_inputs(runner, candidates, tests[0], comparison=comparison)
            passes = np.array(standing, np.intp) if standing else None
            if input_mutations:
                return run_with_mutations(
                    runner,
                    candidates,
                    tests,
                    entry_point,
                    input_mutations,
                    comparison=comparison,
                    standing=passes,
                    settle=settle,
                )
            return runner.run(
                candidates,
                tests,
                entry_point,
                comparison=comparison,
                wanted=None if wanted is None else np.array(wanted, np.bool_),
                record=record,
                standing=passes,
                settle=settle,
            )

    def lease(self, until: Usage) -> None:
        """Let charged blocks use so much in all since the worker started."""
        self._meter.lease(until)

    def report(self) -> Reading:
        """Usage so far, that of a block in progress included, and a few seconds of work."""
        self._cpu_lease.update()
        return Reading(self._meter.charged, runner_slice(self._limits))

    def interrupt(self) -> None:
        """End all sandboxes for good, from any thread. The block in progress fails at once."""
        self._interrupted = True
        for runner in list(self._runners.values()):
            runner.interrupt()

    def close(self) -> None:
        """End all sandboxes."""
        self._cpu_lease.close()
        for runner in self._runners.values():
            runner.close()
        self._runners.clear()

    def _runner(self, language: str) -> Runner:
        if language not in self._runners:
            self._check_packages()
            self._runners[language] = Runner(
                self._limits,
                language=language,
                require=self._require,
                trust=self._trust,
                packages=self._packages,
            )
        if self._interrupted:
            raise InterruptedBlockError("the worker was ended")
        return self._runners[language]

    def _check_packages(self) -> None:
        """Raise SandboxError if this node lacks a package, as the run has found them where it started."""
        try:
            find_packages(self._packages)
        except UserError as error:
            raise SandboxError(f"the node {socket.gethostname()} cannot judge: {error}") from None
