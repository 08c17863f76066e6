"""Requests to a server under a lease of tokens: each is reserved at its worst case before it is sent."""

import math

from testbudget.executors.generation.prepaid import TokenAccount, TokenUse
from testbudget.executors.metering import UNLIMITED, LeaseEndedError, Meter, Usage

USUAL_PROMPT_TOKENS = 4096
"""Worst case of a prompt's tokens that leases are sized by, until a longer one has come."""

_ROUNDS = 2  # of requests that a lease pays for, so that it is renewed before one has to wait
_LEAST_REQUESTS = 6  # in a round: a tenth of a slice, the smallest lease that is given, pays for a request


def request_slice(in_flight: int, worst: TokenUse) -> Usage:
    """Lease that keeps a worker busy, if each of its requests takes its worst case."""
    requests = _ROUNDS * max(in_flight, _LEAST_REQUESTS)
    return Usage(tokens=requests * worst.tokens, prompt_tokens=requests * worst.prompt_tokens)


def smallest_request_lease(in_flight: int, max_tokens: int) -> Usage:
    """Smallest lease that is given to a worker: a tenth of its slice.

    Args:
        in_flight: maximum number of requests at once.
        max_tokens: upper bound on the tokens of one answer.
    """
    slice_ = request_slice(in_flight, TokenUse(USUAL_PROMPT_TOKENS, max_tokens))
    return Usage(*(amount / 10 for amount in slice_))


class RequestLease(TokenAccount):
    """Account of a worker's requests on its meter: used + reserved <= lease.

    A request that the lease does not pay for is not sent; those that were sent are never aborted. What an
    ended lease leaves once no request is in progress is charged, so that the driver sees that it has ended.

    Args:
        meter: meter of the worker.
        in_flight: maximum number of requests at once.
        max_tokens: usual upper bound on the tokens of one answer.
    """

    def __init__(self, meter: Meter, in_flight: int, max_tokens: int) -> None:
        self._meter = meter
        self._in_flight = in_flight
        self._largest = TokenUse(USUAL_PROMPT_TOKENS, max_tokens)
        self._reserved = TokenUse()
        self._requests = 0
        self._ended = UNLIMITED  # the lease that something was refused for since the last idle time

    @property
    def slice(self) -> Usage:
        """Lease that keeps the worker busy."""
        return request_slice(self._in_flight, self._largest)

    def update(self) -> None:
        """Nothing to charge: a request is charged when it is settled."""

    def reserve(self, worst: TokenUse) -> None:
        """Reserve the worst case of a request.

        Raises:
            LeaseEndedError: the lease does not pay for it.
        """
        self._largest = TokenUse(*map(max, self._largest, worst))
        until, used = self._meter.until, self._meter.used
        wanted = _sum(self._reserved, worst)
        lacks_tokens = used.tokens + wanted.tokens > until.tokens
        lacks_prompt = used.prompt_tokens + wanted.prompt_tokens > until.prompt_tokens
        if lacks_tokens or lacks_prompt:
            self._ended = self._ended._replace(
                **({"tokens": until.tokens} if lacks_tokens else {}),
                **({"prompt_tokens": until.prompt_tokens} if lacks_prompt else {}),
            )
            self._use_up_if_idle()
            raise LeaseEndedError(until)
        self._reserved = wanted
        self._requests += 1

    def settle(self, worst: TokenUse, used: TokenUse) -> None:
        """Charge what a request has used, and free the rest of its reservation."""
        self._requests -= 1
        self._reserved = TokenUse(
            self._reserved.prompt_tokens - worst.prompt_tokens, self._reserved.tokens - worst.tokens
        )
        self._meter.add(tokens=used.tokens, prompt_tokens=used.prompt_tokens)
        self._use_up_if_idle()

    def overdrawn(self, worst: TokenUse, used: TokenUse) -> bool:
        """True if a request has used more than its reservation, of tokens that the lease limits."""
        until = self._meter.until
        return (used.tokens > worst.tokens and math.isfinite(until.tokens)) or (
            used.prompt_tokens > worst.prompt_tokens and math.isfinite(until.prompt_tokens)
        )

    def _use_up_if_idle(self) -> None:
        if not self._requests:
            self._meter.use_up(self._ended)
            self._ended = UNLIMITED


def _sum(one: TokenUse, other: TokenUse) -> TokenUse:
    return TokenUse(one.prompt_tokens + other.prompt_tokens, one.tokens + other.tokens)
