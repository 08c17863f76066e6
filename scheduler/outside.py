"""Connection of a driver to the outside: what is asked of it, and what others learn of its steps."""

from collections.abc import Sequence

from testbudget.scheduler.event_log import Entry
from testbudget.scheduler.work.open_work import Answer


class Outside:
    """Connection of a driver that nobody steers and nobody looks at.

    The driver calls it in each step: a subclass has the run steered, shipped and shown.
    """

    def requests(self, *, idle: bool) -> Sequence[Answer]:  # noqa: ARG002
        """Events that were asked for from outside: a pause, its end, another cap.

        Args:
            idle: True if nothing else happened in this step.

        Raises:
            RunStopped: the run is to stop.
        """
        return ()

    def logged(self, entries: Sequence[Entry]) -> None:
        """Take note of entries that are in the log now, before anything is done about them."""

    def before_leases(self) -> None:
        """Make the log as durable as a lease has to be, since work that it pays for may be lost."""


class RunStopped(KeyboardInterrupt):
    """A request from outside to stop, which ends the driver as an interrupt does."""
