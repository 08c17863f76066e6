"""What runs inside the Ray actors: a generator on GPUs (or vLLM's CPU build), a sandbox on a CPU core."""

import asyncio
import os
import sys
from collections.abc import Callable, Sequence

from executors.execution.runner import Limits, Outcomes, Runner
from executors.generation.base import Completion, Generator, GeneratorError, Request, Sampling
from rewards.problem import UnitTest


class GeneratorActor:
    """A generator that serves many requests at once.

    Args:
        make: makes the generator, in the actor's own process.
        timeout_seconds: longest time for one answer.
    """

    def __init__(self, make: Callable[[], Generator], timeout_seconds: float) -> None:
        self._make = make
        self._timeout_seconds = timeout_seconds
        self._starting: asyncio.Task[Generator] | None = None

    async def start(self) -> None:
        """Loads the model; raises what the generator raises."""
        await self._generator()

    async def generate(self, requests: Sequence[Request], sampling: Sampling) -> list[Completion]:
        """Answers to requests, in their order; raises the generator's user errors.

        An engine that fails, or takes longer over an answer than it may, is not mended: the process ends,
        Ray starts the actor again and sends it the calls it owes.
        """
        generator = await self._generator()
        try:
            return list(
                await asyncio.gather(*(self._one(generator, request, sampling) for request in requests))
            )
        except GeneratorError as error:
            sys.stderr.write(f"{error}\n")
            sys.stderr.flush()
            os._exit(1)

    async def _one(self, generator: Generator, request: Request, sampling: Sampling) -> Completion:
        try:
            return await asyncio.wait_for(generator.generate(request, sampling), self._timeout_seconds)
        except TimeoutError:
            raise GeneratorError(
                f"an answer for problem {request.problem} took longer than {self._timeout_seconds:g} s"
            ) from None

    async def _generator(self) -> Generator:
        # The first call starts it, also after a restart of the actor.
        if self._starting is None:
            self._starting = asyncio.create_task(self._started())
        return await self._starting

    async def _started(self) -> Generator:
        generator = self._make()
        await generator.start()
        return generator


class RunnerActor:
    """A sandbox that runs blocks of candidates and tests.

    Args:
        limits: what one test may use.
        require: isolation layers without which nothing is run.
    """

    def __init__(self, limits: Limits, require: Sequence[str]) -> None:
        self._limits = limits
        self._require = require
        self._runners: dict[str, Runner] = {}

    def layers(self, language: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of the isolation layers in force, and of those that are missing.

        Raises:
            UserError: a required one is missing.
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
    ) -> Outcomes:
        """Outcomes of some programs on tests.

        Args:
            language: of the programs.
            programs: all that there are of one problem, which come to a node but once.
            chosen: positions of those to run.
            tests: of the same problem.
            entry_point: what the programs must define.
            record: whether to record what they do.

        Raises:
            SandboxError: the sandbox failed, and so did a new one.
            UserError: a required isolation layer is missing.
        """
        candidates = [programs[position] for position in chosen]
        return self._runner(language).run(candidates, tests, entry_point, record=record)

    def _runner(self, language: str) -> Runner:
        if language not in self._runners:
            self._runners[language] = Runner(self._limits, language=language, require=self._require)
        return self._runners[language]
