"""Steering of a run: requests from outside become events of the core, or are refused in a sentence."""

import time
from collections.abc import Mapping

from testbudget.rewards.errors import UserError
from testbudget.scheduler.core.budget import METERED, QUANTITIES
from testbudget.scheduler.core.events import Cap, CapChanged, Continued, Event, Paused
from testbudget.scheduler.core.scheduler import Scheduler
from testbudget.scheduler.outside import RunStopped
from testbudget.traces.run_place import RunPlace
from testbudget.traces.run_requests import (
    CAP,
    CONTINUE,
    PAUSE,
    STOP,
    RunRequest,
    answer_request,
    pending_requests,
)

UNITS = (*(name for name in QUANTITIES if name != "prompt_tokens"), "usd")
"""Quantities that a cap may limit."""


class Steering:
    """Requests to one driver.

    Args:
        place: place of the run.
        scheduler: core of the run.
        prices: US dollars per unit of each quantity.
        pause: seconds between two looks for requests.
        limits: new limits of the cap, by quantity, with which the run is continued.
    """

    def __init__(
        self,
        place: RunPlace,
        scheduler: Scheduler,
        prices: Mapping[str, float],
        pause: float,
        limits: Mapping[str, float] | None = None,
    ) -> None:
        self._place, self._scheduler, self._prices, self._pause = place, scheduler, prices, pause
        self._next = 0.0
        self._done: list[tuple[str, str]] = []  # requests whose events are going to be logged
        self._stop: str | None = None
        self._asked = RunRequest("", CAP, limits) if limits else None
        for request in pending_requests(place):  # of a time when nobody could answer
            answer_request(
                place, request.id, accepted=False, sentence="another driver has begun: ask it again"
            )

    def events(self) -> list[Event]:
        """Events of the requests that have come, if it is time for another look.

        Raises:
            UserError: the limits with which the run is continued cannot be.
            RunStopped: the run is to stop.
        """
        self.confirm()
        if (asked := self._asked) is not None:
            self._asked = None
            if refusal := self._refusal(asked):
                raise UserError(refusal)
            event, _ = self._event(asked)
            return [] if event is None else [event]
        if self._stop is not None:
            raise RunStopped(self._stop)
        if time.monotonic() < self._next:
            return []
        self._next = time.monotonic() + self._pause
        events: list[Event] = []
        for request in pending_requests(self._place):
            if refusal := self._refusal(request):
                answer_request(self._place, request.id, accepted=False, sentence=refusal)
                continue
            event, sentence = self._event(request)
            self._done.append((request.id, sentence))
            events += [] if event is None else [event]
        return events

    def confirm(self) -> None:
        """Answer the requests whose events are in the log."""
        for key, sentence in self._done:
            answer_request(self._place, key, accepted=True, sentence=sentence)
        self._done.clear()

    def _event(self, request: RunRequest) -> tuple[Event | None, str]:
        name = self._place.name
        match request.action:
            case "pause":
                return Paused(), f"{name} is paused: what is in flight is finished, and no test is granted"
            case "continue":
                return Continued(), f"{name} goes on"
            case "stop":
                self._stop = f"stopped as asked from outside; continue with testbudget run --resume {name}"
                return None, f"{name} stops now: continue with testbudget run --resume {name}"
            case _:
                limits = self._scheduler.books.limits | dict(request.limits)
                said = ", ".join(f"{value:,.10g} {unit}" for unit, value in limits.items())
                return CapChanged(Cap(limits, dict(self._prices))), f"the cap of {name} is now {said}"

    def _refusal(self, request: RunRequest) -> str | None:
        if request.action == CAP:
            return next(filter(None, map(self._unfit, request.limits, request.limits.values())), None)
        if request.action not in (PAUSE, CONTINUE, STOP):
            return f"a request must be pause, continue, cap or stop but got {request.action}"
        return None

    def _unfit(self, unit: str, value: float) -> str | None:
        """Rule that a new limit breaks."""
        books = self._scheduler.books
        if unit not in UNITS:
            return f"a limit must be one of {', '.join(UNITS)} but got {unit}"
        if unit not in books.limits and unit != "tests":
            kind = "leases are given" if unit in METERED or unit == "usd" else "tests are planned"
            return (
                f"{unit} must have a limit from the start of the run, by which {kind}: start another run "
                "with it in its cap"
            )
        taken = sum(amounts[unit] for amounts in (books.spent, books.lost, books.reserved, books.leased))
        if not taken <= value < float("inf"):
            return (
                f"{unit} must be at least {taken:,.10g}, which is spent or in flight, but got {value:,.10g}"
            )
        return None
