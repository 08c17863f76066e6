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
from testbudget.executors.generation.base import (
    Completion,
    Generator,
    GeneratorError,
    PromptTooLongError,
    Request,
    Sampling,
    TokenCount,
)
from testbudget.executors.generation.engine_lease import EngineLease
from testbudget.executors.metering import LeaseEndedError, Meter, Reading, Usage
from testbudget.rewards.problem import UnitTest

from testbudget.rewards.comparison import DEFAULT_COMPARISON, Comparison
from testbudget.rewards.errors import SandboxError, UserError
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
    """

    def __init__(
        self,
        make: Callable[[], Generator],
        timeout_seconds: float,
        gpus: float = 0.0,
        in_flight: int = 1,
        metered: bool = False,
    ) -> None:
        self._make = make
        self._timeout_seconds = timeout_seconds
        self._metered = metered
        self._meter = Meter(metered=metered)
        self._engine_lease = EngineLease(self._meter, gpus, in_flight)
        self._starting: asyncio.Task[Generator] | None = None

    async def start(self) -> None:
        """Load the model.

        Raises:
            UserError: a setting cannot be used.
            GeneratorError: the generator failed.
        """
        await self._generator()

    async def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        """Answers to requests, in their order.

        A prompt that is too long gets an empty answer with the finish reason ``prompt_too_long``. If the
        generator fails or exceeds the time limit, this process ends. The pool then starts another worker
        and repeats its calls.

        Args:
            requests: requests to serve concurrently.
            sampling: sampling parameters of all of them.

        Raises:
            UserError: the generator raised it.
            LeaseEndedError: the lease has ended before all requests were answered.
        """
        generator = await self._generator()
        tasks = [asyncio.ensure_future(self._one(generator, request, sampling)) for request in requests]
        try:
            return list(await asyncio.gather(*tasks))
        except GeneratorError as error:
            end_worker(str(error))
        except LeaseEndedError:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise

    async def lease(self, until: Usage) -> None:
        """Let the engine use so much in all since it started."""
        self._meter.lease(until)

    async def report(self) -> Reading:
        """Usage so far, that of requests in progress included, and a few seconds of work."""
        self._engine_lease.update()
        return Reading(self._meter.used, self._engine_lease.slice)

    async def _one(self, generator: Generator, request: Request, sampling: Sampling) -> Completion:
        def answer(count: TokenCount) -> Coroutine[Any, Any, Completion]:
            if self._metered:
                return generator.generate_counted(request, sampling, count)
            return generator.generate(request, sampling)

        ahead = generator.tokens_ahead(sampling)
        try:
            return await asyncio.wait_for(self._engine_lease.run(answer, ahead), self._timeout_seconds)
        except PromptTooLongError as error:
            # Only this problem is affected: an empty answer holds neither a test nor a correct program.
            _LOG.warning("%s", error)
            return Completion("", 0, 0.0, "prompt_too_long")
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
        return generator


class RunnerActor:
    """Actor with a runner of blocks for each language.

    `layers` and `run` are called by one thread at a time, `lease`, `report` and `interrupt` by any.

    Args:
        limits: limits of one test.
        require: isolation layers that must be available.
        metered: True to run charged blocks under leases of CPU-seconds.
        trust: trust in the authors of the candidates.
    """

    def __init__(
        self,
        limits: TestLimits,
        require: Sequence[str],
        metered: bool = False,
        trust: Trust = Trust.HOSTILE,
    ) -> None:
        self._limits = limits
        self._require = require
        self._trust = trust
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
        packages: distributions that Python programs may import.
        settle: bool = False,
        wanted: Sequence[Sequence[bool]] | None = None,
        comparison: Comparison = DEFAULT_COMPARISON,
    ) -> BlockVerdicts:
        """Verdicts of chosen programs on tests.

        Args:
            language: language of the programs and tests.
            programs: all distinct programs of one problem. Ray sends them to each node once.
        packages: PackageChoice = NO_PACKAGES,
            chosen: positions of the programs to run.
            tests: tests of the same problem.
            entry_point: name that each program must define.
            record: True to record outputs.
        self._packages = packages
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
        return Reading(self._meter.used, runner_slice(self._limits))

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
            self._check_packages()

    def _check_packages(self) -> None:
        """Raise SandboxError if this node lacks a package, as the run has found them where it started."""
        try:
            find_packages(self._packages)
        except UserError as error:
            raise SandboxError(f"the node {socket.gethostname()} cannot judge: {error}") from None
