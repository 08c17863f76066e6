"""Progress of a run, as its driver sees it, and the status that it publishes."""

import os
import platform
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from importlib.metadata import PackageNotFoundError, version

from testbudget.scheduler.backends.base import Backend, PoolUse
from testbudget.scheduler.core.budget import Books
from testbudget.scheduler.core.problems import Closed
from testbudget.scheduler.core.scheduler import Scheduler
from testbudget.scheduler.core.tasks import UNFINISHED
from testbudget.traces.live_status import PAUSED, RUNNING, LiveStatus, PoolStatus

_RATE_SECONDS = 30.0  # over which rates are measured


@dataclass(frozen=True, slots=True, eq=False)
class RunStatus:
    """Progress of a run, for a display.

    Attributes:
        name: present phase, in words.
        problems: number of problems of the run.
        backend: its back end, for reading.
        scheduler: its core, for reading.
    """

    name: str
    problems: int
    backend: Backend
    scheduler: Scheduler

    @property
    def seconds(self) -> float:
        """Back end's clock, in seconds."""
        return self.backend.seconds

    @property
    def books(self) -> Books:
        """Amounts spent, lost, reserved and leased, and limits, by quantity."""
        return self.scheduler.books

    @property
    def prepared(self) -> int:
        """Number of problems that have their candidates and hidden states."""
        return int(self.scheduler.problems.prepared.sum())

    @property
    def with_votes(self) -> int:
        """Number of problems of which tests are told."""
        return int((self.scheduler.problems.told > 0).sum())


Watch = Callable[[RunStatus], None]
"""Function that is called with the status of a run whenever it may have changed."""


class StatusMaker:
    """Statuses of one run, with rates over the last half minute.

    Args:
        run: id of the run.
        clock: seconds of wall time, for rates.
    """

    def __init__(self, run: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._run, self._clock = run, clock
        self._samples: deque[tuple[float, Mapping[str, float]]] = deque()
        try:
            self._version = version("testbudget")
        except PackageNotFoundError:
            self._version = ""

    def status(
        self,
        seen: RunStatus,
        verdicts: Mapping[str, int],
        *,
        state: str | None = None,
        error: str | None = None,
    ) -> LiveStatus:
        """The status to publish.

        Args:
            seen: the run now.
            verdicts: number of verdicts by kind.
            state: state at the end of the run; None while it goes.
            error: sentence on what ended it.
        """
        core, books = seen.scheduler, seen.books
        table = core.problems
        settled = (table.closed != Closed.OPEN) | (table.granted >= table.max_tests)
        rates = self._rates(books)
        phase = seen.name if seen.name in ("tests", "results", "done") else "preparation"
        return LiveStatus(
            run=self._run,
            state=state or (PAUSED if core.paused else RUNNING),
            phase=phase,
            error=error,
            host=platform.node(),
            pid=os.getpid(),
            version=self._version,
            written=time.time(),
            seconds=seen.seconds,
            cap=books.limits,
            spent=books.spent,
            lost=books.lost,
            in_flight=_sum(books.reserved, books.leased),
            rates=rates,
            seconds_left=None if core.paused or state else _seconds_left(books, rates),
            problems={
                "all": len(table),
                "prepared": seen.prepared,
                "with_votes": seen.with_votes,
                "settled": len(table) if core.finished else int(settled.sum()),
                "labelled": int(table.labelled.sum()),
                "quarantined": int((table.closed == Closed.QUARANTINED).sum()),
            },
            tasks={of.name.lower(): int(core.tasks.count[of]) for of in UNFINISHED},
            verdicts=dict(verdicts),
            pools={kind.name.lower(): pool_status(use) for kind, use in seen.backend.pools().items()},
        )

    def _rates(self, books: Books) -> dict[str, float]:
        now, used = self._clock(), _sum(books.spent, books.lost)
        self._samples.append((now, used))
        while len(self._samples) > 2 and self._samples[1][0] <= now - _RATE_SECONDS:
            self._samples.popleft()
        then, before = self._samples[0]
        if now <= then:
            return {}
        return {unit: (amount - before[unit]) / (now - then) for unit, amount in used.items() if amount}


def pool_status(use: PoolUse) -> PoolStatus:
    """Use of the workers of one kind, as it is published."""
    known = {field.name for field in fields(PoolStatus)}
    return PoolStatus(**{name: value for name, value in asdict(use).items() if name in known})


def _sum(first: Mapping[str, float], second: Mapping[str, float]) -> dict[str, float]:
    return {unit: first.get(unit, 0.0) + second.get(unit, 0.0) for unit in first.keys() | second.keys()}


def _seconds_left(books: Books, rates: Mapping[str, float]) -> float | None:
    """Seconds until the first limit is reached at the present rates; None if nothing is spent."""
    left = [
        max(0.0, limit - books.spent[unit] - books.lost[unit]) / rates[unit]
        for unit, limit in books.limits.items()
        if rates.get(unit, 0.0) > 0
    ]
    return min(left, default=None)
