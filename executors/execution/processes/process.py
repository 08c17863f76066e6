"""A process that meets untrusted text: forked from the zygote, confined, and watched from outside."""

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

from testbudget.executors.execution.limits import STARVED_PATIENCE, STARVED_SHARE, TestLimits
from testbudget.executors.execution.processes import result_buffer
from testbudget.executors.execution.processes.result_buffer import (
    ResultBuffer,
    ResultBufferFullError,
    StepResult,
)
from testbudget.executors.execution.sandbox import isolation, kernel

HEARTBEAT_SECONDS = 1.0
"""The least time between two empty frames to the runner; the most is the wall-clock limit longer."""

_CPUS = os.cpu_count() or 1
_STARTING_PATIENCE = 5  # how many times a test's limits it may take to come to the first step


class ProcessEnd(NamedTuple):
    """How a process ended.

    Attributes:
        steps: what each step left behind.
        signal: what ended it, 0 if it left by itself.
        overdue: the step for whose sake it was ended, None if it was not, negative before the first.
        loaded: whether the step that it was at last had loaded what it needs.
        cpu_seconds: of all its threads, as the kernel counts.
        wall_seconds: from its start to its end.
        allowed_cpu_seconds: where the kernel would have ended it.
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
        """Whether a limit of time ended it, the kernel's or that of a step."""
        # The kernel enforces its limit by ticks, a rough count; who kills itself is far from it.
        by_kernel = self.signal == signal.SIGKILL and self.cpu_seconds > self.allowed_cpu_seconds / 2
        return self.timed_out_step is not None or by_kernel


@dataclass(slots=True)
class ProcessRunner:
    """Where processes are run.

    Attributes:
        control: the zygote's connection to the runner, which nobody else may have.
        arena: what the processes leave their results in.
        layers: names of the isolation layers in force.
        limits: what a step may use.
        scratch: the directory that processes may write to.
        programs: executables that processes may turn into.
        beside: processes near by that live on.
    """

    control: socket.socket
    buffer: ResultBuffer
    layers: Sequence[str]
    limits: TestLimits
    scratch: str
    programs: Sequence[str] = ()
    spared: Collection[int] = ()
    _last_sign: float = 0.0

    def run(self, task: Callable[[], None], steps: int, cpu_seconds: int, share: float = 1.0) -> ProcessEnd:
        """Run a task in a process of its own, until it ends or exceeds a limit, and clean up after it.

        Args:
            task: works through the steps and notes them in the arena; it may stop before the last.
            steps: how many there are at most.
            cpu_seconds: of all steps together; the kernel sees to it.
            share: of the time limits of one test, for each step.

        Raises:
            OSError: no process could be forked or watched.
        """
        ended = self.run_without_reading(task, steps, cpu_seconds, share)
        return ended._replace(steps=self.buffer.steps(steps))

    def run_without_reading(
        self,
        task: Callable[[], None],
        steps: int,
        cpu_seconds: int,
        share: float,
        descriptors: Sequence[int] = (),
    ) -> ProcessEnd:
        """The same for a caller who must not know what the steps have left.

        Args:
            task, steps, cpu_seconds, share: as above.
            descriptors: files that belong to the new process alone.
        """
        self.buffer.clear()
        gc.freeze()  # a collection in the new process would copy all memory that it visits
        start = time.monotonic()
        process = kernel.fork()
        if process == 0:
            try:
                self.control.close()
                isolation.isolate_candidate(self.layers, self.limits, cpu_seconds, self.programs)
                gc.enable()
                task()
            except ResultBufferFullError:
                pass  # the step goes to another process
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
        """Called by a process between two steps: back to an empty working directory."""
        os.chdir(self.scratch)
        isolation.empty_directory(self.scratch)

    def send_heartbeat(self) -> None:
        """Tell the runner now and then that the sandbox is alive, with an empty frame."""
        if time.monotonic() > self._last_sign + HEARTBEAT_SECONDS:
            self._last_sign = time.monotonic()
            result_buffer.send_frame(self.control, b"")

    def _watch(self, process: int, steps: int, cpu_allowance: int, share: float) -> int | None:
        """Wait for a process to end; end it when it takes too long or too much, and tell at which step.

        It is done from here, where nobody inside can disarm it, and by the scheduler's count of CPU time:
        ``RLIMIT_CPU`` and ``ITIMER_PROF`` go by ticks, which is off by some percent on a busy machine. What
        the process says of its progress bounds a single step, never the whole.
        """
        limits = self.limits
        descriptor = os.pidfd_open(process)
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        threads = min(limits.max_threads, _CPUS)
        start = time.monotonic()
        longest = steps * STARVED_PATIENCE * limits.wall_seconds
        interval = share * limits.cpu_seconds / threads
        try:
            while True:
                self.send_heartbeat()
                used = kernel.process_cpu_seconds(process)
                progress = self.buffer.progress()
                now = time.monotonic()
                granted = share if progress.step >= 0 else _STARTING_PATIENCE
                used_by_step = max(0.0, used - max(0.0, progress.cpu_before))
                cpu_left = min(granted * limits.cpu_seconds - used_by_step, cpu_allowance - used)
                since = max(start, progress.since)
                starved = used_by_step > STARVED_SHARE * (now - since)
                allowed = granted * limits.wall_seconds * (STARVED_PATIENCE if starved else 1)
                left = min(since + allowed, start + longest) - now
                if left <= 0 or cpu_left <= 0:
                    os.kill(process, signal.SIGKILL)
                    return progress.step
                longest_pause = min(left, limits.wall_seconds, cpu_left / threads, interval)
                if poller.poll(math.ceil(1000 * longest_pause)):
                    return None
        finally:
            os.close(descriptor)
