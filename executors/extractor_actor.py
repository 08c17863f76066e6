"""Worker that extracts hidden states with one model, batch by batch."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from testbudget.executors.batch_lease import BatchLease, extractor_slice
from testbudget.executors.calls import end_worker
from testbudget.executors.metering import LeaseEndedError, Meter, Reading, Usage
from testbudget.rewards.errors import UserError
from testbudget.traces.hidden_states import default_layers


class ExtractionError(Exception):
    """Failure of an extractor on valid input."""


class HiddenStateReader(Protocol):
    """Interface of an extractor of hidden states, as far as `ExtractorActor` uses it."""

    @property
    def depth(self) -> int:
        """Number of the model's layers."""

    def extract(self, prompts: Sequence[str], layers: Sequence[int]) -> Any:
        """Hidden states of prompts at some layers; without prompts, load what these layers need."""

    def cpu_seconds(self) -> float:
        """CPU-seconds used so far."""

    def close(self) -> None:
        """Release all resources."""


@dataclass(frozen=True, slots=True)
class ExtractedBatch:
    """Hidden states of a batch of prompts, with their cost.

    Attributes:
        states: hidden states as the extractor returned them.
        cpu_seconds: CPU-seconds of the batch; 0 if GPUs are charged.
        gpu_seconds: ``wall-seconds * gpus``, in GPU-seconds; 0 if CPU time is charged.
    """

    states: Any
    cpu_seconds: float
    gpu_seconds: float


class ExtractorActor:
    """Actor with an extractor of hidden states that serves one batch at a time.

    A batch takes at most ``timeout_seconds * threads`` CPU-seconds or ``timeout_seconds * gpus``
    GPU-seconds; a batch that exceeds this fails. Loading the model is neither limited nor charged. `lease`
    and `report` may be called by any thread.

    Args:
        make: function that creates the extractor in the actor's own process.
        threads: number of CPU cores to compute on.
        gpus: number of GPUs that batches are charged for; 0 to charge CPU time.
        timeout_seconds: limit on the time of one batch, in wall-seconds.
        metered: True to work under leases of the GPU-seconds or CPU-seconds. A batch in progress at the end
            of the lease ends this process.
    """

    def __init__(
        self,
        make: Callable[[], HiddenStateReader],
        threads: int,
        gpus: float,
        timeout_seconds: float,
        metered: bool = False,
    ) -> None:
        os.environ["OMP_NUM_THREADS"] = str(threads)  # read when torch is imported
        self._make = make
        self._threads = threads
        self._gpus = gpus
        self._timeout_seconds = timeout_seconds
        self._meter = Meter(metered=metered)
        self._batch_lease = BatchLease(self._meter, gpus, threads, timeout_seconds, end_worker)
        self._extractor: HiddenStateReader | None = None

    def depth(self) -> int:
        """Number of the model's layers.

        The first call loads the model. Errors of the extractor are passed on.
        """
        return self._ready().depth

    def extract(self, prompts: Sequence[str], layers: Sequence[int] | None) -> ExtractedBatch:
        """Hidden states of a batch of prompts, with their cost.

        Args:
            prompts: texts of the prompts.
            layers: layers to read, as for the extractor; None for ``default_layers``.

        Raises:
            UserError: a setting cannot be used.
            ExtractionError: the extractor failed; the next call creates a new one.
            LeaseEndedError: the lease leaves too little for a batch.
        """
        try:
            extractor = self._ready()
            layers = layers or default_layers(extractor.depth)
            extractor.extract((), layers)
            return self._timed(extractor, prompts, layers)
        except (UserError, LeaseEndedError):
            raise
        except Exception as error:
            self._discard()
            raise ExtractionError(
                f"hidden states of {len(prompts)} prompts failed: {type(error).__name__}: {error}"
            ) from error

    def lease(self, until: Usage) -> None:
        """Let batches use so much in all since the worker started."""
        self._meter.lease(until)

    def report(self) -> Reading:
        """Usage so far, that of a batch in progress included, and a few seconds of work."""
        self._batch_lease.update()
        return Reading(self._meter.charged, extractor_slice(self._gpus, self._threads))

    def _timed(
        self, extractor: HiddenStateReader, prompts: Sequence[str], layers: Sequence[int]
    ) -> ExtractedBatch:
        with self._batch_lease.batch(extractor.cpu_seconds):
            started, cpu_started = time.monotonic(), extractor.cpu_seconds()
            states = extractor.extract(prompts, layers)
            seconds, cpu_seconds = time.monotonic() - started, extractor.cpu_seconds() - cpu_started
        if seconds > self._timeout_seconds or cpu_seconds > self._timeout_seconds * self._threads:
            raise TimeoutError(
                f"{cpu_seconds:.1f} s of CPU time in {seconds:.1f} s exceed the time limit of a batch"
            )
        if self._gpus:
            return ExtractedBatch(states, 0.0, seconds * self._gpus)
        return ExtractedBatch(states, cpu_seconds, 0.0)

    def _ready(self) -> HiddenStateReader:
        # The first call creates the extractor, and the next one after a failure another.
        if self._extractor is None:
            self._extractor = self._make()
        return self._extractor

    def _discard(self) -> None:
        broken, self._extractor = self._extractor, None
        with suppress(Exception):  # closing a failed extractor may fail; the first error is reported
            if broken is not None:
                broken.close()
