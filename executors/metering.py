"""Metering of workers: cumulative usage, and the lease under which a worker may use more.

A worker meters its own charged work. It does not begin a piece without remaining lease, and stops by itself
before the end of its lease, however late a message of the driver is. What the end of a lease leaves is too
little to work with. It is charged until it is used under the next lease, so that the figures show that a
lease is spent.
"""

import math
import threading
from typing import NamedTuple

SLICE_SECONDS = 5.0
"""Seconds of a worker's work that one lease is meant for."""


class Usage(NamedTuple):
    """Amounts of the metered quantities.

    Attributes:
        tokens: generated tokens.
        gpu_seconds: GPU-seconds.
        cpu_seconds: CPU-seconds.
        prompt_tokens: tokens of prompts that a server has read.
    """

    tokens: float = 0.0
    gpu_seconds: float = 0.0
    cpu_seconds: float = 0.0
    prompt_tokens: float = 0.0


UNLIMITED = Usage(math.inf, math.inf, math.inf, math.inf)
"""Lease without end."""


class Reading(NamedTuple):
    """State of a worker's meter.

    Attributes:
        used: usage since the worker started as it is charged, that of work in progress included.
        slice: a few seconds of its work in each quantity, 0 for a quantity that it does not use.
    """

    used: Usage
    slice: Usage


class LeaseEndedError(Exception):
    """End of a worker's lease: work was not begun, or was stopped and has no result.

    What it used stays charged. The work may be sent again once the worker has another lease than this one.

    Args:
        until: the lease that has ended, as usage in all since the worker started.
    """

    def __init__(self, until: Usage) -> None:
        super().__init__(until)  # the only argument, so that the error can be sent between processes
        self.until = until

    def __str__(self) -> str:
        return f"the worker's lease has ended at {self.until}"


class Meter:
    """Cumulative usage of one worker, and its lease. Every method may be called from any thread.

    Args:
        metered: False for a lease without end. Otherwise the first lease is of nothing.
    """

    def __init__(self, *, metered: bool = True) -> None:
        self._lock = threading.Lock()
        self._used = self._ended = Usage()
        self._until = Usage() if metered else UNLIMITED

    @property
    def used(self) -> Usage:
        """Usage since the worker started."""
        return self._used

    @property
    def charged(self) -> Usage:
        """Usage charged since the worker started: its use, or the last lease that has ended if more."""
        with self._lock:
            return Usage(*map(max, self._used, self._ended))

    @property
    def until(self) -> Usage:
        """Usage at which the lease ends; infinite for what is not metered."""
        return self._until

    @property
    def remaining(self) -> Usage:
        """The rest of the lease, at least 0."""
        with self._lock:
            left = (max(0.0, until - used) for until, used in zip(self._until, self._used, strict=True))
            return Usage(*left)

    def lease(self, until: Usage) -> None:
        """Let the worker use so much in all since it started. An earlier lease is never lowered."""
        with self._lock:
            self._until = Usage(*map(max, self._until, until))

    def add(
        self,
        *,
        tokens: float = 0.0,
        gpu_seconds: float = 0.0,
        cpu_seconds: float = 0.0,
        prompt_tokens: float = 0.0,
    ) -> None:
        """Charge what work has used."""
        step = Usage(tokens, gpu_seconds, cpu_seconds, prompt_tokens)
        with self._lock:
            self._used = Usage(*(before + more for before, more in zip(self._used, step, strict=True)))

    def use_up(self, until: Usage) -> None:
        """Charge the rest of an ended lease; quantities of infinite ``until`` are not changed."""
        with self._lock:
            self._ended = Usage(
                *(
                    max(before, end) if math.isfinite(end) else before
                    for before, end in zip(self._ended, until, strict=True)
                )
            )
