"""Means of a back end to start workers and to call them: Ray, or threads and processes of this machine."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from testbudget.executors.calls import CallAnswer
from testbudget.scheduler.core.events import WorkerKind


@dataclass(frozen=True, slots=True)
class Places:
    """Places for the workers of one kind at a moment. The workers of a place in neither mapping are lost.

    Attributes:
        slots: workers that each place has room for, those that are there included.
        leaving: seconds until each place ends that takes no new work; infinite if it does not end.
        waiting: sentence about places that are waited for; empty if none is.
    """

    slots: Mapping[Hashable, int]
    leaving: Mapping[Hashable, float] = field(default_factory=dict)
    waiting: str = ""


class Transport(ABC):
    """Means to start workers and to call their methods without waiting.

    Workers are actors of ``executors.actors``. ``lease`` and ``report`` are answered while other methods
    are called. Handles of workers and calls in progress are values of the transport's own types; calls are
    hashable.
    """

    @abstractmethod
    def places(self, kind: WorkerKind, wanted: int) -> Places:
        """Places for workers of a kind, which may change at any time.

        Args:
            kind: kind of the workers.
            wanted: number of workers that there is work for.
        """

    def free(self, kind: WorkerKind, place: Hashable | None = None) -> None:  # noqa: B027 - optional
        """Give a place up that no worker needs any more; None for all places of the kind."""

    def is_sound(self, place: Hashable) -> bool:
        """True if a worker that has just died at a place did not die with the place."""
        del place
        return True

    @abstractmethod
    def start(self, kind: WorkerKind, place: Hashable, name: str) -> Any:
        """Begin to start a worker at a place, and return its handle.

        Args:
            kind: kind of the worker.
            place: one of ``places`` with a free slot.
            name: name of the worker.
        """

    @abstractmethod
    def call(self, worker: Any, method: str, *arguments: Any) -> Any:
        """Call a method of a worker, and return a call in progress."""

    @abstractmethod
    def wait(self, calls: Sequence[Any], timeout: float) -> Sequence[Any]:
        """Block until one of the calls is answered, and return all that are; none after the timeout."""

    @abstractmethod
    def result(self, call: Any) -> CallAnswer:
        """Answer to a call.

        Raises:
            WorkerDiedError: the worker has ended, or cannot be reached.
        """

    @abstractmethod
    def share(self, value: Any) -> Any:
        """A value that is passed in many calls, and sent to each place once."""

    @abstractmethod
    def end(self, worker: Any) -> None:
        """End a worker, dead or alive. Its calls in progress are lost."""
