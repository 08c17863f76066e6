"""Ray actors: generators and extractors with one model each, runners with one sandbox per language."""

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
    """Actor with a generator that serves many requests at once.

    Args:
        make: function that creates the generator in the actor's own process.
        timeout_seconds: limit on the time of one answer, in wall-seconds.
    """

    def __init__(self, make: Callable[[], Generator], timeout_seconds: float) -> None:
        self._make = make
        self._timeout_seconds = timeout_seconds
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
        generator fails or exceeds the time limit, this process ends. Ray then restarts the actor and
        repeats its calls.

        Args:
            requests: requests to serve concurrently.
            sampling: sampling parameters of all of them.

        Raises:
            UserError: the generator raised it.
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
            # Only this problem is affected: an empty answer holds neither a test nor a correct program.
            _LOG.warning("%s", error)
            return Completion("", 0, 0.0, "prompt_too_long")
        except TimeoutError:
            raise GeneratorError(
                f"an answer for problem {request.problem} took longer than {self._timeout_seconds:g} s"
            ) from None

    async def _generator(self) -> Generator:
        # The first call starts the generator, after a restart of the actor as well.
        if self._starting is None:
            self._starting = asyncio.create_task(self._started())
        return await self._starting

    async def _started(self) -> Generator:
        generator = self._make()
        await generator.start()
        return generator


class ExtractionError(Exception):
    """Failure of an extractor on valid input."""


class HiddenStateReader(Protocol):
    """Interface of an extractor of hidden states, as far as `ExtractorActor` uses it."""

    @property
    def depth(self) -> int:
        """Number of the model's layers."""

    def extract(self, prompts: Sequence[str], layers: Sequence[int]) -> Any:
        """Hidden states of prompts at some layers; without prompts, load what these layers need."""

    def cpu_seconds(self) -> float:
        """CPU-seconds used so far."""

    def close(self) -> None:
        """Release all resources."""


@dataclass(frozen=True, slots=True)
class ExtractedBatch:
    """Hidden states of a batch of prompts, with their cost.

    Attributes:
        states: hidden states as the extractor returned them.
        cpu_seconds: CPU-seconds of the batch; 0 if GPUs are charged.
        gpu_seconds: ``wall-seconds * gpus``, in GPU-seconds; 0 if CPU time is charged.
    """

    states: Any
    cpu_seconds: float
    gpu_seconds: float


class ExtractorActor:
    """Actor with an extractor of hidden states that serves one batch at a time.

    A batch takes at most ``timeout_seconds * threads`` CPU-seconds or ``timeout_seconds * gpus``
    GPU-seconds; a batch that exceeds this fails. Loading the model is neither limited nor charged.

    Args:
        make: function that creates the extractor in the actor's own process.
        threads: number of CPU cores to compute on.
        gpus: number of GPUs that batches are charged for; 0 to charge CPU time.
        timeout_seconds: limit on the time of one batch, in wall-seconds.
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
        """Number of the model's layers.

        The first call loads the model. Errors of the extractor are passed on.
        """
        return self._ready().depth

    def extract(self, prompts: Sequence[str], layers: Sequence[int]) -> ExtractedBatch:
        """Hidden states of a batch of prompts, with their cost.

        Args:
            prompts: texts of the prompts.
            layers: layers to read, as for the extractor.

        Raises:
            UserError: a setting cannot be used.
            ExtractionError: the extractor failed; the next call creates a new one.
        """
        try:
            extractor = self._ready()
            extractor.extract((), layers)
            return self._timed(extractor, prompts, layers)
        except UserError:
            raise
        except Exception as error:
            self._discard()
            raise ExtractionError(
                f"hidden states of {len(prompts)} prompts failed: {type(error).__name__}: {error}"
            ) from error

    def _timed(
        self, extractor: HiddenStateReader, prompts: Sequence[str], layers: Sequence[int]
    ) -> ExtractedBatch:
        # Only the end of the process interrupts a computation. Ray then restarts the actor and repeats its
        # calls.
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
                f"{cpu_seconds:.1f} s of CPU time in {seconds:.1f} s exceed the time limit of a batch"
            )
        if self._gpus:
            return ExtractedBatch(states, 0.0, seconds * self._gpus)
        return ExtractedBatch(states, cpu_seconds, 0.0)

    def _ready(self) -> HiddenStateReader:
        # The first call creates the extractor, after a restart of the actor as well.
        if self._extractor is None:
            self._extractor = self._make()
        return self._extractor

    def _discard(self) -> None:
        broken, self._extractor = self._extractor, None
        with suppress(Exception):  # closing a failed extractor may fail; the first error is reported
            if broken is not None:
                broken.close()


def _end(reason: str) -> NoReturn:
    sys.stderr.write(f"{reason}\n")
    sys.stderr.flush()
    os._exit(1)


class RunnerActor:
    """Actor with a runner of blocks for each language.

    Args:
        limits: limits of one test.
        require: isolation layers that must be available.
    """

    def __init__(self, limits: TestLimits, require: Sequence[str]) -> None:
        self._limits = limits
        self._require = require
        self._runners: dict[str, Runner] = {}

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
    ) -> BlockVerdicts:
        """Verdicts of chosen programs on tests.

        Args:
            language: language of the programs and tests.
            programs: all distinct programs of one problem. Ray sends them to each node once.
            chosen: positions of the programs to run.
            tests: tests of the same problem.
            entry_point: name that each program must define.
            record: True to record outputs.
            input_mutations: number of mutations of each test's inputs to run and record in addition.

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
