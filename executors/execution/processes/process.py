"""Processes that run untrusted code: each is forked, confined, watched from outside and cleaned up after.

Such a process ends at its CPU limit or its wall-clock limit, also if it blocks signals or timers. The
kernel ends it at its CPU limit. The parent polls its CPU time and ends it earlier if a single step exceeds
its share. docs/sandbox.md describes the limits.
"""

import gc
import math
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from testbudget.executors.execution.limits import STARVED_FACTOR, STARVED_SHARE, TestLimits
from testbudget.executors.execution.processes import result_buffer
from testbudget.executors.execution.processes.result_buffer import (
    ResultBuffer,
    ResultBufferFullError,
    StepResult,
)
from testbudget.executors.execution.sandbox import isolation, kernel

# Shortest time between two heartbeats; the longest is longer by the wall-clock limit of a test.
_HEARTBEAT_SECONDS = 1.0
_CPUS = os.cpu_count() or 1
_STARTING_FACTOR = 5  # factor on the limits of a test until the first step begins


class ProcessEnd(NamedTuple):
    """End of a process: its results, the cause and the cost.

    Attributes:
        steps: the result of each step.
        signal: number of the signal that ended it; 0 if it exited.
        timed_out_step: the step whose time limit ended it; negative before the first step, None if the
            parent did not end it.
        loaded: True if the last step that began had loaded its program.
        cpu_seconds: CPU-seconds of all its threads, as counted by the kernel.
        wall_seconds: elapsed seconds from fork to end.
        allowed_cpu_seconds: CPU-seconds at which the kernel would have ended it.
    """

    steps: Sequence[StepResult]
    signal: int
    timed_out_step: int | None
    loaded: bool
    cpu_seconds: float
    wall_seconds: float
    allowed_cpu_seconds: int

    @property
    def timed_out(self) -> bool:
        """True if a time limit ended it: the kernel's limit or the limit of a step."""
        # The kernel counts in ticks, so it may end a process before its limit. A process that kills itself
        # has usually used much less.
        by_kernel = self.signal == signal.SIGKILL and self.cpu_seconds > self.allowed_cpu_seconds / 2
        return self.timed_out_step is not None or by_kernel


@dataclass(slots=True)
class ProcessRunner:
    """Runner of functions in processes of their own, one at a time.

    Attributes:
        control: the parent's connection to its own caller; closed in the new process.
        buffer: shared memory for the results.
        layers: names of the isolation layers in force.
        limits: limits of one step.
        scratch: the directory that processes may write to.
        programs: executables that a process may execute.
        spared: ids of descendants that are not ended after a function.
    """

    control: socket.socket
    buffer: ResultBuffer
    layers: Sequence[str]
    limits: TestLimits
    scratch: str
    programs: Sequence[str] = ()
    spared: Collection[int] = ()
    _last_heartbeat: float = 0.0

    def run(self, work: Callable[[], None], steps: int, cpu_seconds: int, share: float = 1.0) -> ProcessEnd:
        """Run a function in a process of its own until it ends or exceeds a limit, then clean up after it.

        Args:
            work: function that performs the steps and leaves their results in the buffer. It may stop
                before the last step.
            steps: maximum number of steps.
            cpu_seconds: CPU limit of all steps together, enforced by the kernel.
            share: time limit of a step, as a fraction of the limits of one test.

        Raises:
            OSError: no process could be forked or watched.
        """
        ended = self.run_without_reading(work, steps, cpu_seconds, share)
        return ended._replace(steps=self.buffer.steps(steps))

    def run_without_reading(
        self,
        work: Callable[[], None],
        steps: int,
        cpu_seconds: int,
        share: float,
        descriptors: Sequence[int] = (),
    ) -> ProcessEnd:
        """Run a function as ``run`` does but leave the results unread; ``steps`` of the end is empty.

        Args:
            work, steps, cpu_seconds, share: as for ``run``.
            descriptors: file descriptors that the parent closes after the fork.

        Raises:
            OSError: as for ``run``.
        """
        self.buffer.clear()
        gc.freeze()  # a garbage collection in the new process would copy the memory that it visits
        start = time.monotonic()
        process = kernel.fork()
        if process == 0:
            try:
                self.control.close()
                isolation.isolate_candidate(self.layers, self.limits, cpu_seconds, self.programs)
                gc.enable()
                work()
            except ResultBufferFullError:
                pass  # the caller runs the step again in another process
            finally:
                os._exit(0)
        for descriptor in descriptors:
            os.close(descriptor)
        timed_out_step = self._watch(process, steps, cpu_seconds, share)
        _, status, usage = os.wait4(process, 0)
        wall_seconds = time.monotonic() - start
        if "seccomp" not in self.layers:
            isolation.end_descendants(self.spared)
        isolation.empty_directory(self.scratch)
        ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        loaded = self.buffer.progress().loaded
        used = usage.ru_utime + usage.ru_stime
        return ProcessEnd((), ended_by, timed_out_step, loaded, used, wall_seconds, cpu_seconds)

    def reset_scratch(self) -> None:
        """Return to an empty working directory; called in the new process between two steps."""
        os.chdir(self.scratch)
        isolation.empty_directory(self.scratch)

    def send_heartbeat(self) -> None:
        """Send an empty frame to the caller, unless the last one is recent."""
        if time.monotonic() > self._last_heartbeat + _HEARTBEAT_SECONDS:
            self._last_heartbeat = time.monotonic()
            result_buffer.send_frame(self.control, b"")

    def _watch(self, process: int, steps: int, cpu_limit: int, share: float) -> int | None:
        """Wait for a process to end, or end it at a limit and return the step that exceeded it.

        The parent watches, because no code in the process can prevent that. It reads the CPU clock of the
        process. ``RLIMIT_CPU`` and ``ITIMER_PROF`` count in ticks, with an error of a few percent on a busy
        machine. The progress that the process reports bounds single steps only, never all steps together.
        """
        limits = self.limits
        descriptor = os.pidfd_open(process)
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        threads = min(limits.max_threads, _CPUS)
        start = time.monotonic()
        longest = steps * STARVED_FACTOR * limits.wall_seconds
        interval = share * limits.cpu_seconds / threads
        try:
            while True:
                self.send_heartbeat()
                used = kernel.process_cpu_seconds(process)
                progress = self.buffer.progress()
                now = time.monotonic()
                factor = share if progress.step >= 0 else _STARTING_FACTOR
                used_by_step = max(0.0, used - max(0.0, progress.cpu_before))
                cpu_left = min(factor * limits.cpu_seconds - used_by_step, cpu_limit - used)
                since = max(start, progress.since)
                starved = used_by_step > STARVED_SHARE * (now - since)
                allowed = factor * limits.wall_seconds * (STARVED_FACTOR if starved else 1)
                left = min(since + allowed, start + longest) - now
                if left <= 0 or cpu_left <= 0:
                    os.kill(process, signal.SIGKILL)
                    return progress.step
                longest_pause = min(left, limits.wall_seconds, cpu_left / threads, interval)
                if poller.poll(math.ceil(1000 * longest_pause)):
                    return None
        finally:
            os.close(descriptor)
