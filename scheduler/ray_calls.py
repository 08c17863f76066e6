"""Ray actors and their answers, with what goes wrong put into words."""

from collections.abc import Callable
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from rewards.errors import UserError
from scheduler.backend import InfrastructureError

_RETRIES = 3  # of an actor and of a call, before the run is given up


def remote(kind: type, **options: Any) -> Any:
    """An actor class whose actors are started again, and owe their calls again, when they die.

    Args:
        kind: of the actors.
        options: Ray's own.
    """
    return ray.remote(kind).options(max_restarts=_RETRIES, max_task_retries=_RETRIES, **options)


def or_sentence(get: Callable[[], Any]) -> Any:
    """What a call gives.

    Raises:
        UserError: the call raised it, wherever it ran.
        InfrastructureError: it failed in any other way, its retries included.
    """
    try:
        return get()
    except RayTaskError as error:
        if isinstance(error.cause, UserError):
            raise error.cause from None
        raise InfrastructureError(str(error.cause)) from error
    except RayError as error:
        raise InfrastructureError(" ".join(str(error).split())) from error
