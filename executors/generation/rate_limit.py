"""Rate limits of requests to a server, and pauses that it asks for."""

import asyncio
import time
from collections.abc import Awaitable, Callable


class RateLimit:
    """Limit on the requests and tokens that are sent per minute.

    Requests are spaced evenly, in the order of their calls: the next one may be sent once the share of a
    minute that the one before takes has passed. All calls come from one event loop.

    Args:
        requests_per_minute: None for no limit.
        tokens_per_minute: of prompts and answers together; None for no limit.
        clock: current time, in seconds.
        sleep: wait for so many seconds.
    """

    def __init__(
        self,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._per_request = 60 / requests_per_minute if requests_per_minute else 0.0
        self._per_token = 60 / tokens_per_minute if tokens_per_minute else 0.0
        self._clock, self._sleep = clock, sleep
        self._next_request = self._next_tokens = self._closed_until = clock()
        self._turn = asyncio.Lock()

    async def wait(self, tokens: float) -> None:
        """Wait until a request of about so many tokens may be sent, and count it."""
        async with self._turn:
            while (pause := self._opens() - self._clock()) > 0:
                await self._sleep(pause)
            now = self._clock()
            self._next_request = max(now, self._next_request) + self._per_request
            self._next_tokens = max(now, self._next_tokens) + self._per_token * tokens

    def correct(self, expected: float, used: float) -> None:
        """Replace the tokens that a request was counted with by those that it used."""
        self._next_tokens += self._per_token * (used - expected)

    def close_for(self, seconds: float) -> None:
        """Let no request be sent for so long, as the server asks."""
        self._closed_until = max(self._closed_until, self._clock() + seconds)

    def _opens(self) -> float:
        return max(self._next_request, self._next_tokens, self._closed_until)
