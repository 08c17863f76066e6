"""Calls of a worker's methods in the place where it works: results and errors as values, with its meter.

An error is a value because an exception that cannot be sent between processes would end the worker.
"""

import inspect
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from testbudget.executors.metering import LeaseEndedError, Reading
from testbudget.rewards.errors import InfrastructureError, UserError, one_line


class WorkerDiedError(Exception):
    """End of a worker, or of the way to it, while a call was in progress. The call has no result.

    Args:
        reason: sentence about it.
        blameless: True if the call cannot have been the cause, as when a node is lost.
    """

    def __init__(self, reason: str, *, blameless: bool = False) -> None:
        super().__init__(reason)
        self.blameless = blameless


class CallFailedError(Exception):
    """Failure of a call that is neither the user's error nor the end of a lease."""


@dataclass(frozen=True, slots=True)
class CallAnswer:
    """Answer of a worker to a call.

    Attributes:
        value: result of the method; None if it raised an error.
        error: UserError, InfrastructureError, LeaseEndedError or CallFailedError; None if there is a
            result.
        reading: the worker's meter after the call.
        seconds: wall-seconds that the method took.
        working: number of other calls that are in progress, without leases and reports.
        progress: number that grows while the worker makes progress; None if it counts none.
    """

    value: Any
    error: Exception | None
    reading: Reading
    seconds: float
    working: int = 0
    progress: int | None = None


AT_ONCE = ("lease", "report")
"""Methods that return at once, and may be called by any thread while others are called."""


class Callee:
    """A worker where it works: answers calls of its methods.

    Args:
        worker: an actor; its methods are plain functions or all coroutines.
    """

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self._working = 0
        self.later = inspect.iscoroutinefunction(worker.report)

    def answer(self, method: str, arguments: Sequence[Any]) -> CallAnswer:
        """Call a plain method."""
        began, value, error = time.monotonic(), None, None
        if works := method not in AT_ONCE:
            self._working += 1
        try:
            value = getattr(self._worker, method)(*arguments)
        except Exception as caught:
            error = _portable(caught)
        if works:
            self._working -= 1
        return self._answer(value, error, self._worker.report(), began)

    async def answer_later(self, method: str, arguments: Sequence[Any]) -> CallAnswer:
        """Call a coroutine."""
        began, value, error = time.monotonic(), None, None
        if works := method not in AT_ONCE:
            self._working += 1
        try:
            value = await getattr(self._worker, method)(*arguments)
        except Exception as caught:
            error = _portable(caught)
        if works:
            self._working -= 1
        return self._answer(value, error, await self._worker.report(), began)

    def _answer(self, value: Any, error: Exception | None, reading: Reading, began: float) -> CallAnswer:
        progress = getattr(self._worker, "progress", None)
        return CallAnswer(value, error, reading, time.monotonic() - began, self._working, progress)


def end_worker(reason: str) -> NoReturn:
    """End this process with a reason on standard error, where its caller reads it."""
    sys.stderr.write(f"{reason}\n")
    sys.stderr.flush()
    os._exit(1)


def _portable(error: Exception) -> Exception:
    """An error of the four classes that can be sent between processes."""
    if isinstance(error, LeaseEndedError):
        return error
    if isinstance(error, UserError):
        return UserError(str(error))
    if isinstance(error, InfrastructureError):
        return InfrastructureError(str(error))
    return CallFailedError(f"{type(error).__name__}: {one_line(error)}")
