"""Spending under a cap. Counted quantities are reserved, metered ones are leased to workers.

Tests and executions are reserved at their worst case when a task is issued, and settled when it is told:
``spent + reserved <= cap``. Tokens, also of prompts to a server, GPU-seconds and CPU-seconds are leased: a
worker may use a few seconds of its work, is given more when it reports, and stops by itself at the end of
its lease. The open lease of a lost worker is charged in full: ``spent + lost + leased <= cap``. Dollars are
bounded in the same way, at prices per unit. So the cap holds however late a message is, and whatever is
lost or doubled.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from testbudget.executors.metering import Usage
from testbudget.scheduler.core.events import (
    Cap,
    DriverRestarted,
    Event,
    Floats,
    Ints,
    Lease,
    WorkerJoined,
    WorkerKind,
    WorkerLeft,
    WorkerLost,
    WorkerMetered,
)

COUNTED = ("tests", "executions")
METERED = Usage._fields
QUANTITIES = (*COUNTED, *METERED)
_ALL_LEASES = 1 / 8  # of what a limit leaves, that all workers are to hold together if they are busy
_SMALL_LEASE = 1 / 6  # of a slice, that a worker is to hold at least; it lasts until a report has arrived
_LEAST_LEASE = 1 / 10  # of a slice, below which a lease is of no use and is not given
_NOT_RENEWED = 3 / 4  # of a lease; while so much is left it is not renewed
_UNLIMITED = 2**62


@dataclass(frozen=True, slots=True)
class Books:
    """State of a budget, by quantity; ``usd`` by the cap's prices.

    Attributes:
        spent: used by work whose result counts, or that failed.
        lost: open leases of workers that are gone: used or not, nobody knows.
        reserved: worst case of tasks that are not told.
        leased: open leases.
        limits: upper limits that are set.
    """

    spent: dict[str, float]
    lost: dict[str, float]
    reserved: dict[str, float]
    leased: dict[str, float]
    limits: dict[str, float]


@dataclass(slots=True, eq=False)
class _Worker:
    """A worker's account.

    Attributes:
        kind: kind of its work.
        slice, used: float64 (metered quantities,), as reported.
        unused: float64 (metered quantities,), what is left of its lease.
        busy: True if it had used something when it reported last.
    """

    kind: WorkerKind
    slice: Floats
    used: Floats = field(default_factory=lambda: np.zeros(len(METERED)))
    unused: Floats = field(default_factory=lambda: np.zeros(len(METERED)))
    busy: bool = False


class Budget:
    """Spending of one run. Used by :class:`~testbudget.scheduler.core.scheduler.Scheduler` alone.

    Args:
        cap: the limits; quantities without a limit are counted too.
    """

    def __init__(self, cap: Cap) -> None:
        self._spent, self._reserved = np.zeros((2, len(QUANTITIES)))
        self._lost, self._leased = np.zeros((2, len(METERED)))
        self._workers: dict[int, _Worker] = {}
        self._count = np.zeros((2, len(WorkerKind)), np.int64)  # of all workers, and of the busy ones
        self._slices = np.zeros((len(WorkerKind), len(METERED)))  # as reported last, of kinds with leases
        self.change(cap)

    def change(self, cap: Cap) -> None:
        """Set other limits. What is spent, lost, reserved and leased stays."""
        self.cap = cap
        self._prices = np.array([cap.prices.get(name, 0.0) for name in QUANTITIES])
        rows, limits = [], []
        for name, limit in cap.limits.items():
            rows.append(self._prices if name == "usd" else np.eye(len(QUANTITIES))[QUANTITIES.index(name)])
            limits.append(limit)
        # Every limit is a bound on a weighted sum of quantities: weights @ amounts <= limits.
        self._weights = np.array(rows).reshape(len(rows), len(QUANTITIES))
        self._limits = np.array(limits, np.float64)
        self._tolerance = 1e-9 * np.maximum(self._limits, 1.0)
        metered = self._weights[:, len(COUNTED) :] > 0
        self._leases = metered.any(axis=0)  # metered quantities under some limit
        counted = self._weights[:, : len(COUNTED)] > 0
        self._mixed = counted.any(axis=1) & metered.any(axis=1)

    # ---- counted ----

    @property
    def bounds_tests(self) -> bool:
        """True if counted limits alone bound the number of tests."""
        return bool((self._weights[:, 0] > 0).any())

    @property
    def bounds_executions(self) -> bool:
        """True if there is a limit that executions count towards."""
        return bool((self._weights[:, 1] > 0).any())

    def remaining(self, executions: int) -> int:
        """Number of tests that fit, each with so many executions; 2**62 if no limit counts them."""
        cost = self._weights[:, 0] + self._weights[:, 1] * executions
        free = self._free_to_reserve() + self._tolerance
        with np.errstate(divide="ignore"):
            fits = np.where(cost > 0, np.maximum(free, 0.0) / np.where(cost > 0, cost, 1.0), np.inf)
        least = fits.min(initial=np.inf)
        return _UNLIMITED if math.isinf(least) else int(least)

    def fit(self, tests: Ints, executions: Ints) -> Ints:
        """Number of tests of each row that fit in turn, int64 (rows,).

        Args:
            tests: int64 (rows,), tests wanted.
            executions: int64 (rows,), worst case of the executions of one test.
        """
        wanted = np.array([tests.sum(), (tests * executions).sum()], np.float64)
        if (self._weights[:, : len(COUNTED)] @ wanted <= self._free_to_reserve() + self._tolerance).all():
            return tests
        fitting = np.zeros_like(tests)
        before = self._reserved.copy()
        for row, (count, each) in enumerate(zip(tests.tolist(), executions.tolist(), strict=True)):
            fitting[row] = min(count, self.remaining(each))
            self._reserved[:2] += (fitting[row], fitting[row] * each)
        self._reserved = before
        return fitting

    def reserve(self, tests: int, executions: int) -> None:
        """Reserve the worst case of tasks that :meth:`fit`."""
        self._reserved[:2] += (tests, executions)

    def settle(self, tests: int, reserved: int, executions: int) -> None:
        """Replace the reservation of told tasks by what they took.

        Args:
            tests: their tests.
            reserved: executions that were reserved for them.
            executions: executions that they made, at most ``reserved``.
        """
        assert executions <= reserved
        self._reserved[:2] -= (tests, reserved)
        self._spent[:2] += (tests, executions)

    # ---- metered ----

    @property
    def mixes(self) -> bool:
        """True if a limit counts reserved and leased quantities, as one in dollars may do."""
        return bool(self._mixed.any())

    @property
    def meters(self) -> bool:
        """True if there is a limit that a metered quantity counts towards, so that workers need leases."""
        return bool(self._leases.any())

    def handle(self, event: Event) -> list[Lease]:
        """Charge what an event about workers says, and renew leases. Other events change nothing."""
        leases: list[Lease] = []
        match event:
            case WorkerJoined(worker, kind, slice_):
                leases = self.join(worker, kind, slice_)
            case WorkerMetered(worker, used, slice_):
                leases = self.meter(worker, used, slice_)
            case WorkerLost(worker):
                self.lose(worker)
            case WorkerLeft(worker):
                self.leave(worker)
                leases = self.renew_all()
            case DriverRestarted():
                self.lose_all()
        return leases

    def join(self, worker: int, kind: WorkerKind, slice_: Usage) -> list[Lease]:
        """Open the account of a new worker."""
        self._workers[worker] = _Worker(kind, np.array(slice_))
        self._count[0, kind] += 1
        if kind != WorkerKind.POLICY_MODEL:
            self._slices[kind] = slice_
        return self.renew(worker, first=True)

    def meter(self, worker: int, used: Usage, slice_: Usage) -> list[Lease]:
        """Charge the usage that a worker reports, and renew its lease.

        A report of a worker that is gone changes nothing: its lease is charged already.
        """
        if (account := self._workers.get(worker)) is None:
            return []
        total = np.maximum(np.array(used), account.used)
        step = total - account.used
        busy = bool(step.any())
        self._count[1, account.kind] += busy - account.busy
        account.used, account.slice, account.busy = total, np.array(slice_), busy
        self._set_unused(account, np.where(self._leases, np.maximum(account.unused - step, 0.0), 0.0))
        self._spent[len(COUNTED) :] += step
        return self.renew(worker)

    def lose(self, worker: int) -> None:
        """Close the account of a worker that is gone. Its open lease is charged as lost."""
        if account := self._workers.pop(worker, None):
            self._count[:, account.kind] -= (1, account.busy)
            self._lost += account.unused
            self._set_unused(account, np.zeros(len(METERED)))

    def leave(self, worker: int) -> None:
        """Close the account of a worker that was let go. What its lease leaves is free again."""
        if account := self._workers.get(worker):
            self._set_unused(account, np.zeros(len(METERED)))
            self.lose(worker)

    def lose_all(self) -> None:
        """Close all accounts."""
        for worker in list(self._workers):
            self.lose(worker)

    def renew(self, worker: int, *, first: bool = False) -> list[Lease]:
        """Renew a lease of which a quarter or more is used, as far as the cap allows.

        A worker is to hold a slice, or a part of one while it is idle, or if all leases together would be
        much of what the cap leaves. Near the end of the cap it gets half of its share of what is free.
        So none hoards what another could use.
        """
        account = self._workers[worker]
        if not self.meters or account.kind == WorkerKind.POLICY_MODEL:
            return []
        used = self._leases & (account.slice > 0)
        if not first and (account.unused[used] > _NOT_RENEWED * account.slice[used]).all():
            return []
        wanted = account.slice * self._part(account)
        if not first and (account.unused[used] > _NOT_RENEWED * wanted[used]).all():
            return []
        missing = np.where(used, np.maximum(wanted - account.unused, 0.0), 0.0)
        more = missing * self._share(account, missing)
        if not first and not (more > 0).any():
            return []
        self._set_unused(account, account.unused + more)
        until = np.where(self._leases, account.used + account.unused, np.inf)
        return [Lease(worker, Usage(*until.tolist()))]

    def renew_all(self) -> list[Lease]:
        """Renew the leases of all workers, as after a change of the cap or a loss."""
        return [lease for worker in list(self._workers) for lease in self.renew(worker)]

    def exhausted(self, kind: WorkerKind) -> bool:
        """True if there are workers of a kind and none can do anything more under the cap."""
        accounts = [account for account in self._workers.values() if account.kind == kind]
        if not self.meters or not accounts:
            return False
        return all(self._is_exhausted(account) for account in accounts)

    def _is_exhausted(self, account: _Worker) -> bool:
        used = self._leases & (account.slice > 0)
        if not used.any():
            return False
        spent_up = bool((account.unused[used] <= account.slice[used] * 1e-6).any())
        missing = np.where(used, account.slice - account.unused, 0.0)
        return spent_up and self._share(account, missing) == 0.0

    def _share(self, account: _Worker, missing: Floats) -> float:
        """Part of the missing lease that the cap allows for now, in [0, 1]."""
        cost = self._weights[:, len(COUNTED) :] @ missing
        counts = cost > 0
        if not counts.any():
            return 0.0
        free = np.maximum(self._free()[counts], 0.0) / cost[counts]
        whole = float((self._weights[:, len(COUNTED) :] @ account.slice)[counts].max() / cost[counts].max())
        least = whole * _LEAST_LEASE
        if free.min() < least:
            return 0.0
        rivals = self._rivals(busy=account.busy)[counts]
        return min(1.0, max(float((free / (2 * rivals)).min()), least))

    def _part(self, account: _Worker) -> float:
        """Part of a slice that a worker is to hold."""
        if not account.busy:
            return _SMALL_LEASE
        weights = self._weights[:, len(COUNTED) :]
        cost = weights @ account.slice
        counts = cost > 0
        left = (self._free() + weights @ self._leased)[counts]
        fair = _ALL_LEASES * left / (self._rivals(busy=False)[counts] * cost[counts])
        return min(1.0, max(float(fair.min(initial=1.0)), _SMALL_LEASE))

    def _rivals(self, *, busy: bool) -> Ints:
        """Workers, or busy ones, that use what each limit leaves, int64 (limits,), at least 1."""
        uses = self._weights[:, len(COUNTED) :] @ self._slices.T > 0
        return np.asarray(np.maximum(uses @ self._count[int(busy)], 1))

    # ---- both ----

    def books(self, *, ended: bool = False) -> Books:
        """Amounts by quantity and in dollars; in a run that has ended, no lease is open."""
        padding, leased = np.zeros(len(COUNTED)), np.zeros_like(self._leased) if ended else self._leased
        return Books(
            self._named(self._spent),
            self._named(np.concatenate([padding, self._lost])),
            self._named(self._reserved),
            self._named(np.concatenate([padding, leased])),
            dict(self.cap.limits),
        )

    def validate(self) -> None:
        """Check every invariant."""
        assert (self._reserved >= 0).all()
        assert (self._spent >= 0).all()
        assert (self._lost >= 0).all()
        assert (self._free() >= -2 * self._tolerance).all(), "past the cap"
        unused = [account.unused for account in self._workers.values()]
        assert all((one >= 0).all() for one in unused)
        assert np.allclose(sum(unused, np.zeros(len(METERED))), self._leased)

    def _free(self) -> Floats:
        """Amount that each limit leaves, float64 (limits,)."""
        taken = self._spent + self._reserved
        taken[len(COUNTED) :] += self._lost + self._leased
        return np.asarray(self._limits - self._weights @ taken)

    def _free_to_reserve(self) -> Floats:
        """Amount of each limit that may be reserved, float64 (limits,).

        Half of what a mixed limit leaves is kept for leases: without one, no reserved work could be done.
        """
        free, reserved = self._free(), self._weights @ self._reserved
        return np.where(self._mixed, (free + reserved) / 2 - reserved, free)

    def _set_unused(self, account: _Worker, unused: Floats) -> None:
        self._leased += unused - account.unused
        account.unused = unused

    def _named(self, amounts: Floats) -> dict[str, float]:
        named = dict(zip(QUANTITIES, amounts.tolist(), strict=True))
        return {**named, "usd": float(self._prices @ amounts)}
