"""Batches of an extractor under its time limit and a lease of GPU-seconds or CPU-seconds."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from testbudget.executors.metering import SLICE_SECONDS, LeaseEndedError, Meter, Usage

_LATE_SECONDS = 0.1  # from the moment that a reading is due until the process has ended
_MIN_PAUSE_SECONDS = 0.01
_MIN_SECONDS = 1.0  # of the shortest useful batch


def extractor_slice(gpus: float, threads: int) -> Usage:
    """A few seconds of an extractor's work.

    Args:
        gpus: number of GPUs that batches are charged for; 0 to charge CPU time.
        threads: number of CPU cores that it computes on.
    """
    return _charge(gpus, SLICE_SECONDS * (gpus or threads))


def smallest_extractor_lease(gpus: float, threads: int) -> Usage:
    """Smallest lease that lets an extractor begin a batch and compute for a second.

    Args:
        gpus, threads: as for `extractor_slice`.
    """
    return _charge(gpus, (_MIN_SECONDS + _LATE_SECONDS) * (gpus or threads))


@dataclass(slots=True)
class _Batch:
    """Batch in progress.

    Attributes:
        started: when it began, on the clock of ``time.monotonic``.
        cpu_seconds: CPU-seconds of the extractor so far.
        cpu_started: CPU-seconds of the extractor when the batch began.
        charged: GPU-seconds or CPU-seconds of it that are charged.
    """

    started: float
    cpu_seconds: Callable[[], float]
    cpu_started: float
    charged: float = 0.0


class BatchLease:
    """Meter of one batch at a time. A batch that exceeds the lease or its time limit ends the process.

    Only the end of the process interrupts a computation. `batch` is used by one thread, `update` by any.

    Args:
        meter: meter of the worker.
        gpus: number of GPUs that batches are charged for; 0 to charge CPU time.
        threads: number of CPU cores that batches are computed on.
        timeout_seconds: limit on the time of one batch, in wall-seconds.
        end_process: function that ends the process for a reason.
    """

    def __init__(
        self,
        meter: Meter,
        gpus: float,
        threads: int,
        timeout_seconds: float,
        end_process: Callable[[str], None],
    ) -> None:
        self._meter = meter
        self._gpus = gpus
        self._rate = gpus or threads  # most that is used in a wall-second
        self._timeout_seconds = timeout_seconds
        self._end_process = end_process
        self._batch: _Batch | None = None
        self._updating = threading.Lock()

    @contextmanager
    def batch(self, cpu_seconds: Callable[[], float]) -> Iterator[None]:
        """Charge the batch inside the context.

        Args:
            cpu_seconds: function that returns the CPU-seconds of the extractor so far, from any thread.

        Raises:
            LeaseEndedError: the lease leaves too little to begin.
        """
        until = self._meter.until
        if self._left(until) <= 0:
            self._meter.use_up(_charge(self._gpus, self._amount(until), others=math.inf))
            raise LeaseEndedError(until)
        self._batch = _Batch(time.monotonic(), cpu_seconds, cpu_seconds())
        done = threading.Event()
        watch = threading.Thread(target=self._watch, args=(self._batch, done), daemon=True)
        watch.start()
        try:
            yield
        finally:
            done.set()
            self.update()
            with self._updating:
                self._batch = None

    def update(self) -> None:
        """Charge what the batch in progress has used so far."""
        with self._updating:
            if (batch := self._batch) is not None:
                if self._gpus:
                    used = (time.monotonic() - batch.started) * self._gpus
                else:
                    used = batch.cpu_seconds() - batch.cpu_started
                step = max(0.0, used - batch.charged)
                batch.charged += step
                if self._gpus:
                    self._meter.add(gpu_seconds=step)
                else:
                    self._meter.add(cpu_seconds=step)

    def _watch(self, batch: _Batch, done: threading.Event) -> None:
        while True:
            left_seconds = batch.started + self._timeout_seconds - time.monotonic()
            if left_seconds <= 0:
                self._end_process(f"a batch took {self._timeout_seconds:g} s")
                return
            until = self._meter.until
            if math.isfinite(self._amount(until)):
                self.update()
                left = self._left(until)
                if left <= 0:
                    self._end_process(f"a batch has ended with the worker's lease at {until}")
                    return
                left_seconds = min(left_seconds, left / self._rate)
            if done.wait(min(threading.TIMEOUT_MAX, max(left_seconds, _MIN_PAUSE_SECONDS))):
                return

    def _left(self, until: Usage) -> float:
        """GPU-seconds or CPU-seconds until a batch must be ended."""
        return self._amount(until) - self._amount(self._meter.used) - _LATE_SECONDS * self._rate

    def _amount(self, usage: Usage) -> float:
        return usage.gpu_seconds if self._gpus else usage.cpu_seconds


def _charge(gpus: float, amount: float, others: float = 0.0) -> Usage:
    """Usage with the amount in the quantity that batches are charged in."""
    return Usage(others, amount, others) if gpus else Usage(others, others, amount)
