"""Contract of a generator: requests in, completions out; GPU time charged per request."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from testbudget.rewards.errors import UserError

TokenCount = Callable[[int], None]
"""Function that is told the number of tokens generated for a request since it was last called."""


class GeneratorError(Exception):
    """Failure of a generator: an engine has ended or a server did not answer.

    The request is not at fault and may be sent again, to another or to a new generator.
    """


class PromptRefusedError(UserError):
    """Prompt that the model does not answer.

    The error concerns one problem. Other user errors concern the whole job.
    """

    finish_reason: ClassVar[str] = "refused"


class PromptTooLongError(PromptRefusedError):
    """Prompt that fills the model's context, so that no token is left for an answer."""

    finish_reason = "prompt_too_long"


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling parameters of a model.

    Attributes:
        temperature: sampling temperature; 0 for greedy decoding. The defaults of ``temperature`` and
            ``top_p`` are those of CodeRM (arXiv 2501.01054).
        top_p: probability mass to sample from, in (0, 1].
        max_tokens: upper bound on the tokens of one answer.
        stop: strings that end the answer; it is cut before the first of them.
    """

    temperature: float = 0.8
    top_p: float = 0.95
    max_tokens: int = 1024
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """Input of a model.

    Attributes:
        text: the whole prompt.
        chat: True if the text is one user message of a chat. Otherwise the model continues it.
    """

    text: str
    chat: bool


@dataclass(frozen=True, slots=True)
class Request:
    """Request for one sample.

    Attributes:
        problem: id of the problem.
        index: number of the sample among those of the problem, from 0.
        prompt: input of the model. Requests of one problem often share it, which makes prefix caching
            effective.
        seed: sampling seed from `derive_seed`. The sample must not depend on other requests.
    """

    problem: str
    index: int
    prompt: Prompt
    seed: int


@dataclass(frozen=True, slots=True)
class Completion:
    """One sample as the model wrote it, with its cost.

    Attributes:
        text: the answer, without the stop string that ended it.
        tokens: number of generated tokens, those of a stop string included; NaN if not counted.
        gpu_seconds: share of the engine's busy time (`BusyTime`), in GPU-seconds; 0 without a GPU.
        finish_reason: ``stop`` (ended by the model or a stop string), ``length`` (cut off),
            ``prompt_too_long`` or ``refused`` (no answer was generated).
        prompt_tokens: number of tokens of the prompt; 0 if not counted.
        mean_logprob: mean log-probability of the generated tokens; None if not given.
    """

    text: str
    tokens: float
    gpu_seconds: float
    finish_reason: str
    prompt_tokens: float = 0.0
    mean_logprob: float | None = None


class BusyTime:
    """Busy time of an engine, divided equally among the requests in flight at each moment.

    The shares of all requests sum to ``busy time * gpus``; idle time is not charged. The state is the
    integral of ``gpus / requests in flight`` over time, so each event costs O(1).

    Args:
        gpus: number of GPUs of the engine; may be fractional.
        clock: current time, in seconds.
    """

    def __init__(self, gpus: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._gpus = gpus
        self._clock = clock
        self._in_flight = 0
        self._share = 0.0  # GPU-seconds of a request in flight since the start
        self._updated = clock()

    def arrive(self) -> float:
        """Start a request; return the mark to pass to `depart`."""
        self._advance()
        self._in_flight += 1
        return self._share

    def depart(self, mark: float) -> float:
        """End a request; return its GPU-seconds."""
        self._advance()
        self._in_flight -= 1
        return self._share - mark

    def _advance(self) -> None:
        now = self._clock()
        if self._in_flight:
            self._share += (now - self._updated) * self._gpus / self._in_flight
        self._updated = now


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Server of a model, and the use that one worker may make of it.

    Attributes:
        base_url: address of its endpoints, without a slash at its end.
        api_key_env: name of the environment variable with the key; None sends none.
        in_flight: maximum number of requests at once.
        timeout_seconds: time limit of one answer, in wall-seconds.
        retry_seconds: time for which a request that fails is repeated, in wall-seconds.
        requests_per_minute, tokens_per_minute: rate limits; None for no limit.
    """

    base_url: str
    api_key_env: str | None = None
    in_flight: int = 32
    timeout_seconds: float = 600.0
    retry_seconds: float = 300.0
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None


@dataclass(frozen=True, slots=True)
class GeneratorSettings:
    """Fields of a model section of the job file that a generator is created from.

    Attributes:
        model: name of the model, as the generator understands it.
        gpus: number of GPUs that answers are charged for; fractional if engines share a GPU, 0 without one.
        engine: further arguments, by the generator's own names.
        server: server of the model; None if the generator loads it.
        lora: folder of a LoRA adapter to load the model with; None for the model alone.
    """

    model: str
    gpus: float = 0
    engine: Mapping[str, Any] = field(default_factory=dict)
    server: ServerSettings | None = None
    lora: Path | None = None


class Generator(ABC):
    """Model that answers requests, one sample each.

    `GeneratorActor` creates a generator in the actor's own process and calls it from one event loop:
    `start` once before the first request, then `generate` any number of times, many of them concurrently,
    then `close`.
    """

    @classmethod
    def from_settings(cls, settings: GeneratorSettings) -> Self:
        """Create a generator; nothing is loaded yet. The default knows no setting but the model's name.

        Raises:
            UserError: a setting is unknown.
        """
        if settings.engine:
            raise UserError(f"{cls.__name__} knows no engine argument {', '.join(sorted(settings.engine))}")
        return cls()

    async def start(self) -> None:  # noqa: B027 - optional
        """Load what `generate` needs, for example a model.

        Raises:
            UserError: a setting cannot be used.
            GeneratorError: the engine or server failed.
        """

    @abstractmethod
    async def generate(self, request: Request, sampling: Sampling) -> Completion:
        """Answer one request; abort it if the call is cancelled.

        The completion must depend only on the request and the sampling parameters, as far as the model
        allows.

        Raises:
            PromptTooLongError: the prompt leaves no token for an answer.
            GeneratorError: the engine or server failed; the request may be sent again.
        """

    async def generate_counted(self, request: Request, sampling: Sampling, count: TokenCount) -> Completion:
        """Answer as `generate` does, and count tokens while they are generated. By default none is.

        Under a cap in tokens this is called in place of `generate`. A generator that overrides it, and
        `tokens_ahead`, does not need a lease of ``max_tokens`` for each request.

        Raises:
            Exception: as for `generate`.
        """
        del count  # the completion tells
        return await self.generate(request, sampling)

    def tokens_ahead(self, sampling: Sampling) -> int:
        """Upper bound on the tokens of a request that are generated and not counted, at any time.

        It includes those that are generated after the call is cancelled.
        """
        return sampling.max_tokens

    async def close(self) -> None:  # noqa: B027 - optional
        """Release what `start` has acquired.

        May be called repeatedly, and after a failure.
        """
