"""Calls of a worker's methods in the place where it works: results and errors as values, with its meter.

An error is a value because an exception that cannot be sent between processes would end the worker.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from testbudget.executors.metering import LeaseEndedError, Reading
from testbudget.rewards.errors import UserError, one_line


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
        error: UserError, LeaseEndedError or CallFailedError; None if there is a result.
        reading: the worker's meter after the call.
        seconds: wall-seconds that the method took.
    """

    value: Any
    error: Exception | None
    reading: Reading
    seconds: float


def answer(worker: Any, method: str, arguments: Sequence[Any]) -> CallAnswer:
    """Call a method of a worker, which also has a method ``report``."""
    began, value, error = time.monotonic(), None, None
    try:
        value = getattr(worker, method)(*arguments)
    except Exception as caught:
        error = _portable(caught)
    return CallAnswer(value, error, worker.report(), time.monotonic() - began)


async def answer_later(worker: Any, method: str, arguments: Sequence[Any]) -> CallAnswer:
    """Call a method of a worker whose methods are coroutines."""
    began, value, error = time.monotonic(), None, None
    try:
        value = await getattr(worker, method)(*arguments)
    except Exception as caught:
        error = _portable(caught)
    return CallAnswer(value, error, await worker.report(), time.monotonic() - began)


def _portable(error: Exception) -> Exception:
    """An error of the three classes that can be sent between processes."""
    if isinstance(error, LeaseEndedError):
        return error
    if isinstance(error, UserError):
        return UserError(str(error))
    return CallFailedError(f"{type(error).__name__}: {one_line(error)}")
