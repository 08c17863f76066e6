"""Means of a back end to start workers and to call them: Ray, or threads and processes of this machine."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from testbudget.executors.calls import CallAnswer
from testbudget.scheduler.core.events import WorkerKind


class Transport(ABC):
    """Means to start workers and to call their methods without waiting.

    Workers are actors of ``executors.actors``. ``lease`` and ``report`` are answered while other methods
    are called. Handles of workers and calls in progress are values of the transport's own types; calls are
    hashable.
    """

    @abstractmethod
    def start(self, kind: WorkerKind) -> Any:
        """Begin to start a worker, and return its handle."""

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
