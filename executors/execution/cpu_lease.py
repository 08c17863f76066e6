"""CPU time of sandboxes under a lease: charged by the kernel's count, ended before the lease is passed.

A runner charges the CPU time of its whole sandbox, its start included, as soon as a charged block runs in
it. While a charged block runs, a thread reads the count each time the bound could have been reached, and
ends the sandbox there.
"""

import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import InterruptedBlockError, Runner
from testbudget.executors.metering import SLICE_SECONDS, LeaseEndedError, Meter, Usage

_MIN_PAUSE_SECONDS = 0.002  # between two readings
_LATE_SECONDS = 0.03  # from the moment that a reading is due until the last process inside has ended
_START_SECONDS = 0.5  # CPU-seconds of the start of a sandbox
_PAIR_FACTOR = 1.5  # on the CPU limit of a pair: a candidate at its limit, and its judge


def cpu_margin(limits: TestLimits) -> float:
    """CPU-seconds before the end of a lease at which a sandbox is ended.

    All cores that it can use may run while the watching thread and the guard wait to be scheduled.
    """
    cores = min(limits.max_threads, len(os.sched_getaffinity(0)))
    return cores * (_MIN_PAUSE_SECONDS + _LATE_SECONDS)


def runner_slice(limits: TestLimits) -> Usage:
    """A few seconds of a runner's work."""
    return Usage(cpu_seconds=max(SLICE_SECONDS, _PAIR_FACTOR * limits.cpu_seconds))


def smallest_runner_lease(limits: TestLimits) -> Usage:
    """Smallest lease that lets a new runner judge a pair whose candidate reaches its CPU limit."""
    return Usage(cpu_seconds=_START_SECONDS + _PAIR_FACTOR * limits.cpu_seconds + cpu_margin(limits))


class CpuLease:
    """Charges the blocks of one worker's runners to its meter, and ends them at the end of the lease.

    `charged` and `uncharged` are used by one thread, `update` by any.

    Args:
        meter: meter of the worker.
        limits: limits of one test.
    """

    def __init__(self, meter: Meter, limits: TestLimits) -> None:
        self._meter = meter
        self._margin = cpu_margin(limits)
        self._cores = min(limits.max_threads, len(os.sched_getaffinity(0)))
        self._accounted: dict[
            Runner, float
        ] = {}  # CPU-seconds of each runner, charged or not to be charged
        self._charging: Runner | None = None
        self._updating = threading.Lock()

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
        if until.cpu_seconds - self._meter.used.cpu_seconds - unaccounted <= self._margin:
            self._end(until)
        with self._updating:
            self._charging = runner
        ended: list[Usage] = []  # the lease that has ended
        done = threading.Event()
        watch = threading.Thread(target=self._watch, args=(runner, done, ended), daemon=True)
        if math.isfinite(until.cpu_seconds):
            watch.start()
        try:
            yield
        except InterruptedBlockError:
            self.update()
            watch.join()
            self._end(ended[0])
        finally:
            done.set()
            if watch.ident is not None:
                watch.join()
            runner.admit()
            self.update()
            with self._updating:
                self._charging = None

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
        with self._updating:
            if (runner := self._charging) is not None:
                now = runner.cpu_seconds
                self._meter.add(cpu_seconds=now - self._accounted.get(runner, 0.0))
                self._accounted[runner] = now

    def _watch(self, runner: Runner, done: threading.Event, ended: list[Usage]) -> None:
        while True:
            self.update()
            until = self._meter.until
            left = until.cpu_seconds - self._meter.used.cpu_seconds - self._margin
            if left <= 0:
                break
            # Even on all cores the bound cannot be reached earlier. The lease may have grown by then.
            if done.wait(max(left / self._cores, _MIN_PAUSE_SECONDS)):
                return
        ended.append(until)
        runner.interrupt()

    def _end(self, until: Usage) -> NoReturn:
        """Charge the rest of a lease, which is too little to work with."""
        self._meter.use_up(Usage(math.inf, math.inf, until.cpu_seconds))
        raise LeaseEndedError(until)
