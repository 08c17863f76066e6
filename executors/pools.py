"""Pools of Ray actors: a call goes to the least loaded actor and waits while all are full."""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from testbudget.rewards.errors import InfrastructureError, UserError, one_line

_LOG = logging.getLogger(__name__)
_RETRIES = 3  # of an actor and of a call, before the run ends with an error


def remote(kind: type, **options: Any) -> Any:
    """Actor class whose actors are restarted when their process ends, with their calls repeated.

    Args:
        kind: class of the actors.
        options: further options of Ray for the actors.
    """
    return ray.remote(kind).options(max_restarts=_RETRIES, max_task_retries=_RETRIES, **options)


def translate_ray_errors(get: Callable[[], Any]) -> Any:
    """Result of a function that waits for Ray, with errors of Ray translated.

    Args:
        get: function that waits for remote calls.

    Raises:
        UserError: the remote call raised it.
        InfrastructureError: the call failed in another way, and so did its retries.
    """
    try:
        return get()
    except RayTaskError as error:
        if isinstance(error.cause, UserError):
            raise error.cause from None
        raise InfrastructureError(str(error.cause)) from error
    except RayError as error:
        raise InfrastructureError(one_line(error)) from error


@dataclass(frozen=True, slots=True)
class _Call:
    """Call that waits or is in flight.

    Attributes:
        key: key to return with the result.
        arguments: arguments of the method.
        load: share of ``in_flight`` that the call takes.
        failed_on: actor that the call has failed on; None at first.
    """

    key: Any
    arguments: tuple[Any, ...]
    load: int
    failed_on: int | None = None


class Pool:
    """Calls of one method, distributed over actors with back-pressure.

    Args:
        actors: handles of interchangeable actors; Ray restarts them and retries their calls.
        method: name of the method to call.
        in_flight: maximum load of one actor, as the sum over its calls.
        movable: errors that an actor may have caused. A call that raises one is made once more, on another
            actor if there is one.
    """

    def __init__(
        self,
        actors: Sequence[Any],
        method: str,
        in_flight: int,
        movable: tuple[type[Exception], ...] = (),
    ) -> None:
        self._actors = list(actors)
        self._method = method
        self._in_flight = in_flight
        self._movable = movable
        self._loads = [0] * len(self._actors)
        self._queue: deque[_Call] = deque()
        self._running: dict[Any, tuple[_Call, int]] = {}

    @property
    def actors(self) -> Sequence[Any]:
        """Handles of the actors."""
        return self._actors

    @property
    def references(self) -> list[Any]:
        """References of the calls in flight."""
        return list(self._running)

    def submit(self, key: Any, *arguments: Any, load: int = 1) -> None:
        """Queue one call.

        Args:
            key: key that `collect` returns with the result.
            arguments: arguments of the method.
            load: load of the call on its actor.
        """
        self._queue.append(_Call(key, arguments, load))
        self._send()

    def collect(self, reference: Any) -> tuple[Any, Any] | None:
        """Key and result of a finished call; None if it failed and is made once more.

        Args:
            reference: one of `references`.

        Raises:
            ray.exceptions.RayError: the call failed, and so did its retries.
        """
        call, actor = self._running.pop(reference)
        self._loads[actor] -= call.load
        try:
            return call.key, ray.get(reference)
        except RayTaskError as error:
            if call.failed_on is not None or not isinstance(error.cause, self._movable):
                raise
            _LOG.warning("%s failed on actor %d and is repeated: %s", self._method, actor, error.cause)
            self._queue.appendleft(replace(call, failed_on=actor))
            return None
        finally:
            self._send()

    def close(self) -> None:
        """End all actors; calls in flight are lost."""
        for actor in self._actors:
            ray.kill(actor)
        self._queue.clear()
        self._running.clear()

    def _send(self) -> None:
        while self._queue:
            actor = self._least_loaded(self._queue[0].failed_on)
            # An idle actor takes any call, even one that exceeds ``in_flight`` alone.
            if self._loads[actor] and self._loads[actor] + self._queue[0].load > self._in_flight:
                return
            call = self._queue.popleft()
            self._loads[actor] += call.load
            reference = getattr(self._actors[actor], self._method).remote(*call.arguments)
            self._running[reference] = (call, actor)

    def _least_loaded(self, avoided: int | None) -> int:
        others = [actor for actor in range(len(self._actors)) if actor != avoided]
        return min(others or [0], key=self._loads.__getitem__)
