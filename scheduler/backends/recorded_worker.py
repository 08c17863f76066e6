"""Workers that look recorded work up: their meter and lease."""

import math
from collections.abc import Sequence

from testbudget.executors.metering import UNLIMITED, Usage
from testbudget.scheduler.backends.base import WorkerReport, WorkerStarted
from testbudget.scheduler.backends.pool_plan import worker_name
from testbudget.scheduler.core.events import WorkerKind

_ROUNDING = 1e-9


class RecordedWorker:
    """Meter and lease of a worker that takes work from a finished run, at the cost that it had there.

    The lease may end in the middle of a piece of work. What it covers is charged, and the rest when there
    is another lease.

    Args:
        number: number of the worker.
        kind: kind of its work.
        slice_: a few seconds of its work.
        metered: True to work under leases.
    """

    def __init__(self, number: int, kind: WorkerKind, slice_: Usage, *, metered: bool) -> None:
        self.number, self.name = number, worker_name(kind, number)
        self._kind, self._slice = kind, slice_
        self._leased = not metered
        self._until = Usage() if metered else UNLIMITED
        self._used = self._told = Usage()

    def lease(self, until: Usage) -> None:
        """Take a lease."""
        self._leased, self._until = True, Usage(*map(max, self._until, until))

    def pay(self, cost: Usage, paid: float) -> float:
        """Charge what the lease covers of a cost.

        Args:
            cost: cost of a piece of work; nothing if it is not charged.
            paid: share of it that is paid already.

        Returns:
            The share that is paid then; 1 if it is paid in full.
        """
        if not self._leased and any(cost):
            return paid
        rest = 1.0 - paid
        share = min(
            (
                (until - used) / amount
                for until, used, amount in zip(self._until, self._used, cost, strict=True)
                if amount > 0
            ),
            default=math.inf,
        )
        if share >= rest - _ROUNDING:
            share = rest
        if share > 0:
            sums = (used + share * amount for used, amount in zip(self._used, cost, strict=True))
            self._used = Usage(*map(min, sums, self._until))
        return 1.0 if share == rest else paid + max(share, 0.0)

    def start(self) -> WorkerStarted:
        """Report of its start."""
        return WorkerStarted(self.number, self.name, self._kind, self._slice)

    def report(self) -> Sequence[WorkerReport]:
        """Report of its usage, if there is any that was not told."""
        if self._used == self._told:
            return ()
        self._told = self._used
        return (WorkerReport(self.number, self._used, self._slice),)
