"""What runs inside the Ray actors: models on GPUs (or a CPU), and a sandbox on a CPU core."""

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from testbudget.executors.execution.inputs import run_with_mutations
from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import BlockVerdicts, Runner
from testbudget.executors.generation.base import (
    Completion,
    Generator,
    GeneratorError,
    PromptTooLongError,
    Request,
    Sampling,
)
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import UnitTest

_LOG = logging.getLogger(__name__)


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

        A prompt that leaves no room for an answer has an empty one.
        An engine that fails, or takes longer over an answer than it may, is not mended: the process ends,
        Ray starts the actor again and sends it the calls it owes.
        """
        generator = await self._generator()
        try:
            return list(
                await asyncio.gather(*(self._one(generator, request, sampling) for request in requests))
            )
        except GeneratorError as error:
            _end(str(error))

    async def _one(self, generator: Generator, request: Request, sampling: Sampling) -> Completion:
        try:
            return await asyncio.wait_for(generator.generate(request, sampling), self._timeout_seconds)
        except PromptTooLongError as error:
            # It costs this one problem, not the job: an empty answer holds no test and no right program.
            _LOG.warning("%s", error)
            return Completion("", 0, 0.0, "prompt_too_long")
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


class ExtractionError(Exception):
    """An extractor failed at work that it should be able to do."""


class HiddenStateReader(Protocol):
    """What an extractor of hidden states looks like from here."""

    @property
    def depth(self) -> int:
        """Number of the model's layers."""

    def extract(self, prompts: Sequence[str], layers: Sequence[int]) -> Any:
        """Hidden states of prompts; without prompts, loads what these layers need."""

    def cpu_seconds(self) -> float:
        """CPU time used so far."""

    def close(self) -> None:
        """Frees everything."""


@dataclass(frozen=True, slots=True)
class ExtractedBatch:
    """Hidden states of a batch of prompts, and what computing them took.

    Attributes:
        states: as the extractor gave them.
        cpu_seconds: CPU time; 0 where GPUs are charged instead.
        gpu_seconds: seconds times GPUs.
    """

    states: Any
    cpu_seconds: float
    gpu_seconds: float


class ExtractorActor:
    """An extractor of hidden states that serves one batch at a time.

    A batch takes at most ``timeout_seconds`` times ``threads`` of CPU time, or times ``gpus`` of GPU time:
    one that would take more fails instead. Loading the model is neither limited nor charged.

    Args:
        make: makes the extractor, in the actor's own process.
        threads: CPU cores to compute on.
        gpus: how many GPUs are held, for what batches are charged; with 0 they are charged CPU time.
        timeout_seconds: longest time for one batch.
    """

    def __init__(
        self, make: Callable[[], HiddenStateReader], threads: int, gpus: float, timeout_seconds: float
    ) -> None:
        os.environ["OMP_NUM_THREADS"] = str(threads)  # read when torch is imported
        self._make = make
        self._threads = threads
        self._gpus = gpus
        self._timeout_seconds = timeout_seconds
        self._extractor: HiddenStateReader | None = None

    def depth(self) -> int:
        """Number of the model's layers; raises what the extractor raises."""
        return self._ready().depth

    def extract(self, prompts: Sequence[str], layers: Sequence[int]) -> ExtractedBatch:
        """Hidden states of some prompts.

        Raises:
            UserError: what was asked for cannot be had.
            ExtractionError: the extractor failed; the next call gets a new one.
        """
        try:
            extractor = self._ready()
            extractor.extract((), layers)
            return self._timed(extractor, prompts, layers)
        except UserError:
            raise
        except Exception as error:
            self._give_up()
            raise ExtractionError(
                f"hidden states of {len(prompts)} prompts failed: {type(error).__name__}: {error}"
            ) from error

    def _timed(
        self, extractor: HiddenStateReader, prompts: Sequence[str], layers: Sequence[int]
    ) -> ExtractedBatch:
        # Nothing interrupts a computation but the end of its process: Ray starts the actor again and sends
        # it the calls it owes.
        watch = threading.Timer(self._timeout_seconds, _end, [f"a batch took {self._timeout_seconds:g} s"])
        watch.daemon = True
        watch.start()
        started, cpu_started = time.monotonic(), extractor.cpu_seconds()
        try:
            states = extractor.extract(prompts, layers)
        finally:
            watch.cancel()
        seconds, cpu_seconds = time.monotonic() - started, extractor.cpu_seconds() - cpu_started
        if seconds > self._timeout_seconds or cpu_seconds > self._timeout_seconds * self._threads:
            raise TimeoutError(
                f"{cpu_seconds:.1f} s of CPU time in {seconds:.1f} s are more than it may take"
            )
        if self._gpus:
            return ExtractedBatch(states, 0.0, seconds * self._gpus)
        return ExtractedBatch(states, cpu_seconds, 0.0)

    def _ready(self) -> HiddenStateReader:
        # The first call makes it, also after a restart of the actor.
        if self._extractor is None:
            self._extractor = self._make()
        return self._extractor

    def _give_up(self) -> None:
        broken, self._extractor = self._extractor, None
        with suppress(Exception):  # what is broken may not even end well, and why it broke is told already
            if broken is not None:
                broken.close()


def _end(reason: str) -> NoReturn:
    sys.stderr.write(f"{reason}\n")
    sys.stderr.flush()
    os._exit(1)


class RunnerActor:
    """A sandbox that runs blocks of candidates and tests.

    Args:
        limits: what one test may use.
        require: isolation layers without which nothing is run.
    """

    def __init__(self, limits: TestLimits, require: Sequence[str]) -> None:
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
        input_mutations: int,
    ) -> BlockVerdicts:
        """Outcomes of some programs on tests.

        Args:
            language: of the programs.
            programs: all that there are of one problem, which come to a node but once.
            chosen: positions of those to run.
            tests: of the same problem.
            entry_point: what the programs must define.
            record: whether to record what they do.
            variations: of each test's inputs to run beside it, which are recorded too.

        Raises:
            SandboxError: the sandbox failed, and so did a new one.
            UserError: a required isolation layer is missing.
        """
        candidates = [programs[position] for position in chosen]
        runner = self._runner(language)
        if input_mutations:
            return run_with_mutations(runner, candidates, tests, entry_point, input_mutations)
        return runner.run(candidates, tests, entry_point, record=record)

    def _runner(self, language: str) -> Runner:
        if language not in self._runners:
            self._runners[language] = Runner(self._limits, language=language, require=self._require)
        return self._runners[language]
