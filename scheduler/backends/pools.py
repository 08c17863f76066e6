"""Pools of all kinds of work that a back end does, and the wait for any of them.

Kinds share one machine: workers of a kind start once those of the kinds before it were retired.
"""

import itertools
import logging
import time
from collections.abc import Callable, Hashable, Mapping, Sequence

from testbudget.executors.metering import Usage
from testbudget.scheduler.backends.base import PoolUse, Report, Work
from testbudget.scheduler.backends.pool import REPORT_SECONDS, Pool
from testbudget.scheduler.backends.pool_plan import PoolPlan
from testbudget.scheduler.backends.transport import Transport
from testbudget.scheduler.core.events import WorkerKind

WAITING_LOGGER = "testbudget.waiting"
"""Name of the logger of sentences on workers that are waited for, one every ten seconds for each kind."""

_WAITING = logging.getLogger(WAITING_LOGGER)
_SAY_SECONDS = 10.0  # between two sentences on what is waited for

_TURNS = {
    WorkerKind.POLICY_MODEL: 0,
    WorkerKind.EXTRACTOR: 1,
    WorkerKind.REWARD_MODEL: 2,
    WorkerKind.RUNNER: 2,
}
"""Turn of each kind; kinds of one turn work at the same time."""


class WorkerPools:
    """Pools by kind; a kind has one from its first work until it is retired.

    Args:
        transport: starts and calls workers.
        plan: function that makes the plan of a kind.
        metered: True if workers work under leases.

    Attributes:
        numbers: numbers for new workers.
    """

    def __init__(
        self, transport: Transport, plan: Callable[[WorkerKind], PoolPlan], *, metered: bool
    ) -> None:
        self._transport, self._plan, self._metered = transport, plan, metered
        self._began = time.monotonic()
        self.numbers = itertools.count()
        self._pools: dict[WorkerKind, Pool] = {}
        self._reports: list[Report] = []
        self._next_saying = self._began + _SAY_SECONDS

    @property
    def seconds(self) -> float:
        """Wall-seconds since the start."""
        return time.monotonic() - self._began

    def submit(self, kind: WorkerKind, work: Work) -> None:
        """Queue a piece of work."""
        if kind not in self._pools:
            plan = self._plan(kind)
            self._pools[kind] = Pool(
                kind, plan, self._transport, lambda: self.seconds, self.numbers, metered=self._metered
            )
        self._pools[kind].submit(work)

    def wait(self, timeout: float | None, *, first: Sequence[Report] = ()) -> list[Report]:
        """Block until there is something to report; return an empty list after the timeout.

        Args:
            timeout: wall-seconds; None waits without end.
            first: reports that there are already.

        Raises:
            UserError: a setting cannot be used.
            InfrastructureError: no worker of a kind can be started.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        reports = [*first]
        while True:
            self._keep_up()
            self._say_what_is_waited_for()
            reports += self._take_reports()
            left = REPORT_SECONDS if deadline is None else deadline - time.monotonic()
            self._collect(0.0 if reports else max(0.0, min(left, REPORT_SECONDS)))
            reports += self._take_reports()
            if reports or left <= 0:
                return reports

    def lease(self, number: int, until: Usage) -> None:
        """Pass a lease on."""
        any(pool.lease(number, until) for pool in self._pools.values())

    def abort(self, keys: set[Hashable]) -> None:
        """Drop work."""
        for pool in self._pools.values():
            pool.abort(keys)

    def wind_down(self, kind: WorkerKind) -> None:
        """Let the workers of a kind go as soon as there is no work for them."""
        if kind in self._pools:
            self._pools[kind].wind_down()

    def retire(self, kind: WorkerKind) -> None:
        """End the workers of a kind."""
        if pool := self._pools.pop(kind, None):
            self._reports += pool.close()
        else:
            self._transport.free(kind)

    def use(self) -> dict[WorkerKind, PoolUse]:
        """Present use of the pools."""
        return {kind: pool.use for kind, pool in self._pools.items()}

    def close(self) -> None:
        """End all workers."""
        for kind in list(self._pools):
            self.retire(kind)

    def _keep_up(self) -> None:
        turn = min((_TURNS[kind] for kind in self._pools), default=0)
        for kind, pool in self._pools.items():
            if _TURNS[kind] == turn:
                pool.open()
            pool.keep_up()

    def _say_what_is_waited_for(self) -> None:
        if (now := time.monotonic()) < self._next_saying:
            return
        self._next_saying = now + _SAY_SECONDS
        for pool in self._pools.values():
            if sentence := pool.use.waiting:
                _WAITING.warning("%s", sentence)

    def _collect(self, seconds: float) -> None:
        owners: Mapping[object, Pool] = {call: pool for pool in self._pools.values() for call in pool.calls}
        if not owners:
            time.sleep(seconds)
            return
        for call in self._transport.wait(list(owners), seconds):
            owners[call].collect(call)

    def _take_reports(self) -> list[Report]:
        reports, self._reports = self._reports, []
        for pool in self._pools.values():
            reports += pool.take_reports()
        return reports
