"""What every generator takes and gives, and how one sample is seeded and charged."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from testbudget.rewards.errors import UserError


class GeneratorError(Exception):
    """The machinery that generates failed: an engine died, a server did not answer.

    It says nothing about the request, which may be sent again, elsewhere or to a fresh generator.
    """


class PromptTooLongError(UserError):
    """A prompt fills the model's context and leaves no room for an answer.

    A class of its own, since it concerns one problem while other user errors concern the whole job.
    """


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a model is sampled.

    Attributes:
        temperature: 0 is greedy; the default, like ``top_p``, is CodeRM's (arXiv 2501.01054).
        top_p: probability mass that is sampled from.
        max_tokens: most tokens of one answer.
        stop: the answer ends before the first of these strings.
    """

    temperature: float = 0.8
    top_p: float = 0.95
    max_tokens: int = 1024
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is shown: one user message of a chat, or bare text to continue."""

    text: str
    chat: bool


@dataclass(frozen=True, slots=True)
class Request:
    """One sample to be made.

    Attributes:
        problem: id of the problem it is for.
        index: which of the problem's samples it is.
        prompt: shared by all requests of a problem, so that prefix caching makes it nearly free.
        seed: from `derive_seed`, so that the sample does not depend on what is asked for beside it.
    """

    problem: str
    index: int
    prompt: Prompt
    seed: int


@dataclass(frozen=True, slots=True)
class Completion:
    """One sample as the model wrote it, and what it cost.

    Attributes:
        text: the answer, without the stop string that ended it.
        tokens: generated tokens, those of a stop string included; NaN for a recorded answer whose tokens
            nobody counted.
        gpu_seconds: its share of the engine's busy time (`BusyTime`); 0 where no GPU is at work.
        finish_reason: ``stop`` (the model or a stop string ended it), ``length`` (it was cut off) or
            ``prompt_too_long`` (there was no room for any).
    """

    text: str
    tokens: float
    gpu_seconds: float
    finish_reason: str


class BusyTime:
    """Divides the time an engine is busy equally among the requests in flight at each moment.

    The shares of all requests sum to the busy time times the number of GPUs; idle time is nobody's.
    Kept as a single running integral of ``gpus / requests in flight``, so each event costs O(1).
    """

    def __init__(self, gpus: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._gpus = gpus
        self._clock = clock
        self._in_flight = 0
        self._share = 0.0  # GPU seconds that a request in flight since the start would owe by now
        self._updated = clock()

    def arrive(self) -> float:
        """Count a request in; returns the mark to hand to `depart`."""
        self._advance()
        self._in_flight += 1
        return self._share

    def depart(self, mark: float) -> float:
        """Count a request out; returns the GPU seconds that fall to it."""
        self._advance()
        self._in_flight -= 1
        return self._share - mark

    def _advance(self) -> None:
        now = self._clock()
        if self._in_flight:
            self._share += (now - self._updated) * self._gpus / self._in_flight
        self._updated = now


class Generator(ABC):
    """A model that answers requests, one sample each.

    `start` is awaited once before the first request and `close` after the last; `generate` may be
    awaited many times at once, and in between requests may come and go as they please.
    """

    async def start(self) -> None:  # noqa: B027 (not every generator has something to load)
        """Load whatever generating needs.

        Raises:
            UserError: the settings name something that cannot be used.
            GeneratorError: the machinery failed.
        """

    @abstractmethod
    async def generate(self, request: Request, sampling: Sampling) -> Completion:
        """Answer one request.

        Raises:
            PromptTooLongError: there is no room for an answer.
            GeneratorError: the machinery failed; the request may be sent again.
        """

    async def close(self) -> None:  # noqa: B027 (not every generator has something to give back)
        """Give back what `start` took. May be called twice, and after a failure."""
