"""State that a pool keeps of each worker, piece of work, call in progress and place."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from testbudget.executors.metering import Reading, Usage
from testbudget.rewards.errors import UserError
from testbudget.scheduler.backends.base import Work

_SUSPICION = 16  # each death of a call divides the load that it may share a worker with
_BACK_OFF_SECONDS, _LONGEST_BACK_OFF_SECONDS = 0.25, 30.0
_NOTHING = Usage()
_UNREAD = Reading(_NOTHING, _NOTHING)


@dataclass(slots=True, eq=False)
class PoolItem:
    """Piece of work that is not done.

    Attributes:
        number: place in the order of submission.
        work: the work.
        submitted: time of submission.
        deaths: workers that died while it was in progress on them, their places left.
        lone_deaths: those of them that no other work was in progress on.
        failed_on: number of the worker that it failed on.
        dropped: True if no result is wanted any more.
    """

    number: int
    work: Work
    submitted: float
    deaths: int = 0
    lone_deaths: int = 0
    failed_on: int | None = None
    dropped: bool = False


class CallPurpose(Enum):
    """Purpose of a call."""

    START = auto()
    LEASE = auto()
    REPORT = auto()
    WORK = auto()


@dataclass(slots=True, eq=False)
class PoolWorker:
    """A worker as its pool knows it.

    Attributes:
        number, name, handle, place: the worker and its place.
        probes: True if its start finds out whether workers can work at its place.
        ready: True once it has started.
        served: True if it has done work.
        leaving: True if it gets no more work.
        load: load of its work in progress.
        items: work in progress on it, in the order in which it was sent.
        asked: True while a report is due from it.
        unanswered: reviews since then.
        heard: time of its last report.
        idle_since: time since which it says that it does nothing, although it was sent work.
        free_since: time since which it has no work; None while it has some.
        progress: its count of progress, and the time when that last changed.
        latest: of the calls answered so far, when the last one was sent, and when its work started.
        told: last reading of its meter.
        until: its lease.
        ended: the present lease, if that has ended.
    """

    number: int
    name: str
    handle: Any
    place: Hashable
    probes: bool = False
    ready: bool = False
    served: bool = False
    leaving: bool = False
    load: int = 0
    items: dict[PoolItem, None] = field(default_factory=dict)
    asked: bool = False
    unanswered: int = 0
    heard: float = 0.0
    idle_since: float | None = None
    free_since: float | None = None
    progress: tuple[int, float] = (-1, 0.0)
    latest: tuple[float, float] = (0.0, 0.0)
    told: Reading = _UNREAD
    until: Usage = _NOTHING
    ended: Usage | None = None

    def has_room(self, item: PoolItem, load: int, capacity: int) -> bool:
        """True if the load fits. An idle worker takes any call; a suspect shares one with few or none."""
        if not self.load:
            return True
        deaths = max(other.deaths for other in (item, *self.items))
        most: int = capacity // _SUSPICION**deaths
        return self.load + load <= most

    def started(self, sent: float, estimate: float) -> float:
        """Start of the work of a call that is answered now.

        A worker starts calls in the order in which they were sent. An answer that is read late makes the
        start of its work seem late, too, but not later than that of the next call.

        Args:
            sent: time when the call was sent.
            estimate: time of the answer, less the seconds that the work took.
        """
        latest_sent, latest_started = self.latest
        if sent < latest_sent:
            return max(sent, min(estimate, latest_started))
        self.latest = sent, max(sent, estimate, latest_started)
        return self.latest[1]


@dataclass(frozen=True, slots=True, eq=False)
class PoolCall:
    """A call in progress."""

    worker: PoolWorker
    purpose: CallPurpose
    items: tuple[PoolItem, ...] = ()
    load: int = 0
    sent: float = 0.0


@dataclass(slots=True)
class PlaceHealth:
    """Starts of workers at one place.

    Attributes:
        useless: workers in a row that ended before they had done any work.
        next_start: time before which none is started.
        probed: True if a worker has found that workers can work there.
        refusal: reason why they cannot.
    """

    useless: int = 0
    next_start: float = 0.0
    probed: bool = False
    refusal: UserError | None = None

    def lost(self, now: float, *, served: bool) -> None:
        """Let the next start wait, twice as long for each worker in a row that was of no use."""
        self.useless = 0 if served else self.useless + 1
        self.next_start = now + min(_BACK_OFF_SECONDS * 2**self.useless, _LONGEST_BACK_OFF_SECONDS)
