"""CPU time of sandboxes under a lease: charged by the kernel's count, ended before the lease is passed.

A runner charges the CPU time of its whole sandbox, its start included, as soon as a charged block runs in
it. While a charged block runs, a thread reads the count each time the bound could have been reached, and
ends the sandbox there.
"""

import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import InterruptedBlockError, Runner
from testbudget.executors.metering import SLICE_SECONDS, LeaseEndedError, Meter, Usage

_MIN_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 0.002, 3600.0  # between two readings
_LATE_SECONDS = 0.03  # from the moment that a reading is due until the last process inside has ended
_START_SECONDS = 1.6  # CPU-seconds of the start of a sandbox: 0.5, and up to three times on a shared core
_PAIR_FACTOR = 1.5  # on the CPU limit of a pair: a candidate at its limit, and its judge


def cpu_margin(limits: TestLimits) -> float:
    """CPU-seconds before the end of a lease at which a sandbox is ended.

    All cores that it can use may run while the watching thread and the guard wait to be scheduled.
    """
    return _cores(limits) * (_MIN_PAUSE_SECONDS + _LATE_SECONDS)


def runner_slice(limits: TestLimits) -> Usage:
    """A few seconds of a runner's work."""
    return Usage(cpu_seconds=max(SLICE_SECONDS, _PAIR_FACTOR * limits.cpu_seconds))


def smallest_runner_lease(limits: TestLimits) -> Usage:
    """Smallest lease that lets a new runner judge a pair whose candidate reaches its CPU limit."""
    return Usage(cpu_seconds=_START_SECONDS + _PAIR_FACTOR * limits.cpu_seconds + cpu_margin(limits))


class CpuLease:
    """Charges the blocks of one worker's runners to its meter, and ends them at the end of the lease.

    `check_start`, `charged` and `uncharged` are used by one thread, `update` by any. To be closed.

    Args:
        meter: meter of the worker.
        limits: limits of one test.
    """

    def __init__(self, meter: Meter, limits: TestLimits) -> None:
        self._meter = meter
        self._margin = cpu_margin(limits)
        self._cores = _cores(limits)
        self._accounted: dict[
            Runner, float
        ] = {}  # CPU-seconds of each runner, charged or not to be charged
        # The lock of the condition guards all that follows.
        self._changed = threading.Condition()
        self._charging: Runner | None = None
        self._ended: Usage | None = None  # the lease that has ended the block in progress
        self._next_reading = math.inf  # on the clock of ``time.monotonic``
        self._closed = False
        self._watch: threading.Thread | None = None

    def check_start(self) -> None:
        """Check that the lease lets a sandbox start.

        Raises:
            LeaseEndedError: it leaves too little.
        """
        if self._meter.remaining.cpu_seconds < _START_SECONDS + self._margin:
            self._end(self._meter.until)

    @contextmanager
    def charged(self, runner: Runner) -> Iterator[None]:
        """Charge the blocks inside the context, and all of the runner's time that is not accounted for.

        Raises:
            LeaseEndedError: the lease leaves too little to begin, or has ended a block.
        """
        until = self._meter.until
        unaccounted = runner.cpu_seconds - self._accounted.get(runner, 0.0)
        if self._left(until) <= unaccounted:
            self._end(until)
        with self._changed:
            self._charging, self._ended = runner, None
            self._be_watched(self._left(until) - unaccounted)
        try:
            yield
        except InterruptedBlockError:
            self.update()
            assert self._ended is not None
            self._end(self._ended)
        finally:
            with self._changed:
                self.update()
                self._charging = None
                runner.admit()

    @contextmanager
    def uncharged(self, runner: Runner) -> Iterator[None]:
        """Leave the blocks inside the context uncharged."""
        before = runner.cpu_seconds
        try:
            yield
        finally:
            self._accounted[runner] = self._accounted.get(runner, 0.0) + runner.cpu_seconds - before

    def update(self) -> None:
        """Charge what a charged block in progress has used so far."""
        with self._changed:
            if (runner := self._charging) is not None:
                now = runner.cpu_seconds
                self._meter.add(cpu_seconds=now - self._accounted.get(runner, 0.0))
                self._accounted[runner] = now

    def close(self) -> None:
        """End the watching thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._watch is not None:
            self._watch.join()

    def _be_watched(self, left: float) -> None:
        """Have the next reading no later than a block that begins now can use what is left."""
        if math.isinf(left):
            return
        if self._watch is None:
            self._watch = threading.Thread(target=self._watch_blocks, daemon=True)
            self._watch.start()
        elif self._next_reading > time.monotonic() + left / self._cores:
            self._changed.notify()

    def _watch_blocks(self) -> None:
        with self._changed:
            while not self._closed:
                pause = self._read()
                self._next_reading = math.inf if pause is None else time.monotonic() + pause
                self._changed.wait(pause)

    def _read(self) -> float | None:
        """End the block in progress if its lease ends; return the seconds until the next reading."""
        if self._charging is None or self._ended is not None:
            return None
        self.update()
        until = self._meter.until
        if (left := self._left(until)) <= 0:
            self._ended = until
            self._charging.interrupt()
            return None
        # Even on all cores the bound cannot be reached earlier. The lease may have grown by then.
        return min(max(left / self._cores, _MIN_PAUSE_SECONDS), _MAX_PAUSE_SECONDS)

    def _left(self, until: Usage) -> float:
        """CPU-seconds until a block must be ended."""
        return until.cpu_seconds - self._meter.used.cpu_seconds - self._margin

    def _end(self, until: Usage) -> NoReturn:
        """Charge the rest of a lease, which is too little to work with."""
        self._meter.use_up(Usage(math.inf, math.inf, until.cpu_seconds))
        raise LeaseEndedError(until)


def _cores(limits: TestLimits) -> int:
    """Number of CPU cores that a sandbox can use at once."""
    return min(limits.max_threads, len(os.sched_getaffinity(0)))
