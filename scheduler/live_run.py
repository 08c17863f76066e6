"""A run as the outside sees it: its status, its requests, its structured log, and its shipped log."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from testbudget.rewards.errors import one_line
from testbudget.rewards.problem import Verdict
from testbudget.scheduler.backends.base import Backend
from testbudget.scheduler.core.scheduler import Scheduler
from testbudget.scheduler.event_log import Entry
from testbudget.scheduler.log_records import ExecutedRecord
from testbudget.scheduler.log_shipping import LogShipper
from testbudget.scheduler.object_run import ObjectRun
from testbudget.scheduler.outside import Outside
from testbudget.scheduler.run_status import RunStatus, StatusMaker, Watch
from testbudget.scheduler.steering import Steering
from testbudget.scheduler.structured_log import log_entries, logging_to
from testbudget.scheduler.work.open_work import Answer
from testbudget.traces.live_status import FAILED, FINISHED, STOPPED, LiveStatus, write_live_status
from testbudget.traces.run_info import RUN_FILE, note_end
from testbudget.traces.run_place import LocalPlace, RunPlace

SHIP_SECONDS = 5.0
"""Seconds between two shipments to object storage, of the log and of the status."""

_STATUS_SECONDS, _REQUEST_SECONDS, _PAUSED_SECONDS = 1.0, 0.5, 0.1
_KINDS = tuple(kind.name.lower() for kind in sorted(Verdict))

Gauges = Callable[[LiveStatus], None]
"""Function that exports a status as metrics."""


class LiveRun(Outside):
    """Connection of one driver to the outside. A context manager around the loop of the run.

    Args:
        directory: folder that the run works in.
        run: id of the run.
        scheduler: core of the run.
        backend: its back end.
        watch: called with the progress of the run whenever it may have changed.
        prices: US dollars per unit of each quantity.
        object_run: the run on object storage that the folder belongs to; None if there is none.
        gauges: exports each status; None if nobody collects metrics.
        limits: new limits of the cap with which the run is continued; None for those that it has.
    """

    def __init__(
        self,
        directory: Path,
        run: str,
        scheduler: Scheduler,
        backend: Backend,
        watch: Watch,
        prices: Mapping[str, float],
        object_run: ObjectRun | None = None,
        gauges: Gauges | None = None,
        limits: Mapping[str, float] | None = None,
    ) -> None:
        self._directory, self._run, self._gauges = directory, run, gauges
        self._scheduler, self._backend, self._watch = scheduler, backend, watch
        self._phase = "preparation"
        self._place: RunPlace = object_run.place if object_run else LocalPlace(directory)
        self._shipper: LogShipper | None = object_run.shipper() if object_run else None
        self._maker = StatusMaker(run)
        self._verdicts: Counter[str] = Counter()
        self._workers: dict[int, str] = {}
        self._pause = SHIP_SECONDS if object_run else _STATUS_SECONDS
        self._next_status = 0.0
        looks = SHIP_SECONDS if object_run else _REQUEST_SECONDS
        self._steering = Steering(self._place, scheduler, prices, looks, limits)
        self._contexts = ExitStack()

    def __enter__(self) -> Self:
        self._contexts.enter_context(logging_to(self._directory, self._run))
        self._publish_in_turn()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        state = FINISHED if kind is None else FAILED
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            state = STOPPED
        sentence = None if error is None else one_line(error) or type(error).__name__
        with self._contexts:
            try:
                self._steering.confirm()
                note_end(self._directory)
                if self._shipper is not None:
                    self._shipper.ship()
                    self._shipper.check_owner()
                    self._place.copy_in(self._directory / RUN_FILE, RUN_FILE)
                self._publish(state, sentence)
            except Exception:
                if kind is None:  # else the first error is the one to be seen
                    raise

    def requests(self, *, idle: bool) -> Sequence[Answer]:
        """Events that were asked for; a paused run that has nothing to do rests."""
        events = self._steering.events()
        if idle and not events and self._scheduler.paused:
            time.sleep(_PAUSED_SECONDS)
        return [Answer(event) for event in events]

    def logged(self, entries: Sequence[Entry]) -> None:
        """Log what happened, and count verdicts."""
        log_entries(entries, self._workers)
        codes = [
            verdicts.verdicts
            for entry in entries
            for record in entry.records
            if isinstance(record, ExecutedRecord)
            for verdicts in record.verdicts
        ]
        if codes:
            for code, count in zip(*np.unique(np.concatenate(codes), return_counts=True), strict=True):
                if code < len(_KINDS):
                    self._verdicts[_KINDS[code]] += int(count)

    def before_leases(self) -> None:
        """Ship the log: work that a lost lease paid for is charged by the next driver, wherever it is."""
        if self._shipper is not None:
            self._shipper.ship()

    def report(self, phase: str) -> None:
        """Show the progress of the run, in a phase named in words; publish and ship if it is time."""
        self._phase = phase
        self._watch(self._seen())
        self._publish_in_turn()

    def _publish_in_turn(self) -> None:
        if time.monotonic() < self._next_status:
            return
        if self._shipper is not None:
            self._shipper.ship()
        self._publish(None, None)
        self._next_status = time.monotonic() + self._pause

    def _seen(self) -> RunStatus:
        return RunStatus(self._phase, len(self._scheduler.problems), self._backend, self._scheduler)

    def _publish(self, state: str | None, error: str | None) -> None:
        status = self._maker.status(self._seen(), self._verdicts, state=state, error=error)
        write_live_status(status, self._place)
        if self._gauges is not None:
            self._gauges(status)
