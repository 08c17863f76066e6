"""Requests of an engine under a lease of tokens and GPU-seconds.

GPU-seconds are ``busy time * gpus``, where an engine is busy while a request is in progress. Tokens are
charged as the generator counts them. A request that is aborted is charged for what it may have generated
and not counted as well.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from testbudget.executors.generation.base import Completion, TokenCount
from testbudget.executors.metering import SLICE_SECONDS, UNLIMITED, LeaseEndedError, Meter, Usage

_DRAIN_SECONDS = 0.2  # an engine's step that was begun when a request is aborted, and a late event loop
_MIN_PAUSE_SECONDS = 0.002
_FIRST_TOKENS_PER_SECOND = 50.0  # of one request, until measured
_MIN_MEASURED_SECONDS = 1.0
_MIN_SECONDS = 1.0  # of the shortest useful request


def smallest_engine_lease(max_tokens: int, tokens_ahead: int, gpus: float) -> Usage:
    """Smallest lease that lets an engine answer a request.

    Args:
        max_tokens: upper bound on the tokens of one answer.
        tokens_ahead: `Generator.tokens_ahead` of the request.
        gpus: number of GPUs of the engine.
    """
    return Usage(max_tokens + 2 * tokens_ahead + 1, gpus * (_MIN_SECONDS + _DRAIN_SECONDS))


@dataclass(slots=True, eq=False)
class EngineRequest:
    """Request in progress, or about to begin.

    Attributes:
        ahead: tokens that it may have generated and not counted.
        counted: tokens counted so far.
        aborted: the lease that has ended it; None while it runs.
        task: its answer; None until it begins.
    """

    ahead: int
    counted: int = 0
    aborted: Usage | None = None
    task: asyncio.Task[Completion] | None = None


class EngineLease:
    """Meter of an engine's requests. At the end of the lease it aborts them all.

    All methods are called from one event loop; the meter's may be called from any thread.

    Args:
        meter: meter of the worker.
        gpus: number of GPUs of the engine; 0 if GPU-seconds are not charged.
        in_flight: maximum number of requests in progress, for the first slice.
        clock: current time, in seconds.
    """

    def __init__(
        self, meter: Meter, gpus: float, in_flight: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._meter = meter
        self._gpus = gpus
        self._in_flight = in_flight
        self._clock = clock
        self._requests: dict[EngineRequest, None] = {}  # in the order of their begin
        self._ended = (
            UNLIMITED  # the lease that something was refused or aborted for since the last idle time
        )
        self._timer: asyncio.TimerHandle | None = None
        self._updated = clock()
        self._busy_seconds = 0.0

    @property
    def slice(self) -> Usage:
        """A few seconds of the engine's work, at the rate measured so far."""
        if self._busy_seconds < _MIN_MEASURED_SECONDS:
            rate = self._in_flight * _FIRST_TOKENS_PER_SECOND
        else:
            rate = self._meter.used.tokens / self._busy_seconds
        return Usage(max(1.0, SLICE_SECONDS * rate), SLICE_SECONDS * self._gpus)

    def begin(self, count: int, ahead: int) -> list[EngineRequest]:
        """Make room for requests of one call: for all of them, or for none.

        If some began and the others were refused, the call would end with nothing but their cost, and so it
        might again and again. Each is given to :meth:`run`, and to :meth:`end` if it may not have been.

        Args:
            count: number of requests.
            ahead: tokens that each may have generated and not counted.

        Raises:
            LeaseEndedError: the lease leaves too little to begin.
        """
        self._check([ahead] * count)
        begun = [EngineRequest(ahead) for _ in range(count)]
        self._requests |= dict.fromkeys(begun)
        if self._timer is None:
            self._watch_time()
        return begun

    async def run(
        self, answer: Callable[[TokenCount], Awaitable[Completion]], request: EngineRequest
    ) -> Completion:
        """Answer a request that has room, charge it, and give its room up.

        Args:
            answer: function that starts the request; it counts the tokens as they come.
            request: one that has begun.

        Raises:
            LeaseEndedError: the lease has ended the request.
        """
        try:
            if request.aborted is not None:
                raise LeaseEndedError(request.aborted)
            request.task = asyncio.ensure_future(
                _awaited(answer, lambda tokens: self._count(request, tokens))
            )
            completion = await request.task
            if completion.tokens > request.counted:  # not so if it is NaN
                self._meter.add(tokens=completion.tokens - request.counted)
        except asyncio.CancelledError:
            self._meter.add(tokens=request.ahead)
            if request.aborted is None:
                raise
            raise LeaseEndedError(request.aborted) from None
        finally:
            self.end(request)
        return completion

    def end(self, request: EngineRequest) -> None:
        """Give up the room of a request, if it still has any."""
        self.update()
        if request in self._requests:
            del self._requests[request]
            self._use_up_if_idle()

    def update(self) -> None:
        """Charge the busy time so far."""
        now = self._clock()
        if self._requests:
            self._busy_seconds += now - self._updated
            self._meter.add(gpu_seconds=(now - self._updated) * self._gpus)
        self._updated = now

    def _check(self, ahead: Sequence[int]) -> None:
        """Check that requests may begin."""
        self.update()
        until, used = self._meter.until, self._meter.used
        lacks_tokens = until.tokens - used.tokens <= self._token_margin(ahead)
        lacks_time = self._gpus > 0 and until.gpu_seconds - used.gpu_seconds <= self._time_margin
        if lacks_tokens or lacks_time:
            self._end(until, tokens=lacks_tokens, time=lacks_time)
            self._use_up_if_idle()
            raise LeaseEndedError(until)

    def _count(self, request: EngineRequest, tokens: int) -> None:
        request.counted += tokens
        self._meter.add(tokens=tokens)
        until = self._meter.until
        if until.tokens - self._meter.used.tokens < self._token_margin():
            self._end(until, tokens=True)
            self._abort_all(until)

    def _watch_time(self) -> None:
        """Abort all requests if the GPU-seconds end; otherwise look again when they may."""
        self._timer = None
        until = self._meter.until
        if not self._requests or not self._gpus or math.isinf(until.gpu_seconds):
            return
        self.update()
        left = until.gpu_seconds - self._meter.used.gpu_seconds - self._time_margin
        if left <= 0:
            self._end(until, time=True)
            self._abort_all(until)
            return
        pause = max(left / self._gpus, _MIN_PAUSE_SECONDS)
        self._timer = asyncio.get_running_loop().call_later(pause, self._watch_time)

    @property
    def _time_margin(self) -> float:
        """GPU-seconds before the end of the lease at which requests are aborted."""
        return self._gpus * _DRAIN_SECONDS

    def _token_margin(self, new: Sequence[int] = ()) -> int:
        """Tokens before the end of the lease at which requests are aborted.

        What no request has counted, and once more the most that one request counts at a time.
        """
        ahead = [*new, *(request.ahead for request in self._requests)]
        return sum(ahead) + max(ahead, default=0)

    def _abort_all(self, until: Usage) -> None:
        for request in self._requests:
            if request.aborted is None:
                request.aborted = until
                if request.task is not None:
                    request.task.cancel()

    def _end(self, until: Usage, *, tokens: bool = False, time: bool = False) -> None:
        self._ended = Usage(
            until.tokens if tokens else self._ended.tokens,
            until.gpu_seconds if time else self._ended.gpu_seconds,
            math.inf,
        )

    def _use_up_if_idle(self) -> None:
        """Charge the rest of an ended lease once no request is in progress."""
        if not self._requests:
            self._meter.use_up(self._ended)
            self._ended = UNLIMITED


async def _awaited(answer: Callable[[TokenCount], Awaitable[Completion]], count: TokenCount) -> Completion:
    return await answer(count)
