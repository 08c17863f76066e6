"""Supervisor of all live processes: it watches their limits, ends them and cleans up after them.

A process ends at its CPU limit or its wall-clock limit, also if it blocks signals or timers. The kernel
ends it at its CPU limit. The supervisor polls its CPU clock and ends it earlier if a single step exceeds
its share. docs/sandbox.md describes the limits.
"""

import math
import os
import select
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from testbudget.executors.execution.limits import STARVED_FACTOR, STARVED_SHARE, TestLimits
from testbudget.executors.execution.processes import result_buffer
from testbudget.executors.execution.processes.live_process import LimitKind, LiveProcess, ProcessEnd
from testbudget.executors.execution.processes.process import Work
from testbudget.executors.execution.processes.result_buffer import StepResult
from testbudget.executors.execution.processes.working_directory import WorkingDirectory
from testbudget.executors.execution.sandbox import cgroups, isolation, leftovers

# Shortest time between two heartbeats; the longest is longer by the wall-clock limit of a test.
_HEARTBEAT_SECONDS = 1.0
_CPUS = os.cpu_count() or 1
_DISMISSED_SECONDS = 1.0  # until a dismissed process is killed
_FIRST_INTERVAL = 0.02  # longest pause while a process has a first limit
_STARTING_FACTOR = 5  # factor on the limits of a test until the first step begins


@dataclass(slots=True)
class Supervisor:
    """Supervisor of the live processes of one sandbox.

    Attributes:
        control: connection to the caller, for heartbeats.
        layers: names of the isolation layers in force.
        limits: limits of one step.
        directory: the directory that processes may write to.
        usage: counters of the sandbox's control group; None if it has none.
        permanent: ids of processes that live as long as the sandbox, beside the server process.
        forked_ahead: number of processes that were forked ahead and have not been taken.
    """

    control: socket.socket
    layers: Sequence[str]
    limits: TestLimits
    directory: WorkingDirectory
    usage: cgroups.GroupUsage | None = None
    permanent: list[int] = field(default_factory=list)
    forked_ahead: int = 0
    _dismissed: list[LiveProcess] = field(default_factory=list)
    _live: set[LiveProcess] = field(default_factory=set)
    _last_heartbeat: float = 0.0

    def adopt(self, process: LiveProcess) -> None:
        """Count a process among the live ones, which are spared when others are cleaned up after."""
        self._live.add(process)

    def begin(self, process: LiveProcess, work: Work) -> None:
        """Give work to a live process."""
        own = 2 + len(self.permanent)  # with guard and server process
        others = own + len(self._live) + self.forked_ahead - 1
        isolation.limit_work(
            process.process, self.layers, process.threads + others, work.cpu_seconds, stays=work.stays
        )
        process.begin(work)

    def watch(
        self, *processes: LiveProcess, first_limit: Callable[[int], float] | None = None
    ) -> LimitKind | None:
        """Wait until the first process has ended or finished its work, or any of them reaches a limit.

        The server process watches, because no code in the process can prevent that. It reads the CPU clock
        of the process. ``RLIMIT_CPU`` and ``ITIMER_PROF`` count in ticks, with an error of a few percent on
        a busy machine. The progress that the process reports bounds single steps only, never all steps
        together. Processes that are watched together work for each other: the CPU time of all of them
        tells if the first one sleeps.

        Args:
            processes: processes that are at work.
            first_limit: CPU-seconds of a step, by its number, at which to return early; for one process.

        Returns:
            The limit that was reached; None if the first process has ended or finished.
        """
        poller = select.poll()
        for process in processes:
            poller.register(process.descriptor, select.POLLIN)
        first = processes[0]
        work = first.work
        assert work is not None
        channel = first.channel.fileno()
        if work.stays or work.parts:
            poller.register(channel, select.POLLOUT if first.unsent else select.POLLIN)
        longest = work.steps * STARVED_FACTOR * self.limits.wall_seconds * max(1.0, work.share)
        running = {process.descriptor: process for process in processes}
        while True:
            self.send_heartbeat()
            pause, reached = self._longest_pause([*running.values()], longest, first_limit)
            if reached is not None:
                return reached
            until = time.monotonic() + pause
            while events := poller.poll(max(0, math.ceil(1000 * (until - time.monotonic())))):
                for descriptor, _ in events:
                    if descriptor == first.descriptor or (descriptor == channel and work.stays):
                        return None
                    if descriptor != channel:
                        poller.unregister(descriptor)
                        del running[descriptor]
                    elif first.serve():
                        poller.modify(channel, select.POLLOUT if first.unsent else select.POLLIN)
                    else:
                        poller.unregister(channel)
                if time.monotonic() >= until:
                    break

    def end(
        self, *processes: LiveProcess, limit: LimitKind | None = None, finished: bool = False
    ) -> list[ProcessEnd]:
        """Kill and reap processes, and clean up after them.

        Args:
            processes: processes that may have ended already.
            limit: limit at which they are ended; None if the first of them has ended by itself. Others are
                then killed if they are still alive, since nobody needs them any more.
            finished: True if nobody needs the first one any more either.
        """
        ends = []
        for process in processes:
            first = process is processes[0] and not finished
            needless = limit is None and not first and not process.has_ended()
            if limit is not None or needless:
                process.kill()
            ended = self._as_if_in_time(process.work, process.reap(limit))
            ends.append(ended._replace(signal=0, limit=None) if needless else ended)
        self._live.difference_update(processes)
        for process in processes:
            process.buffer.close()
        if "seccomp" not in self.layers:
            spared = {process.process for process in self._live}
            leftovers.end_descendants(spared.union(self.permanent))
        for process in processes:
            self.directory.forget(str(process.process))
        self.directory.renew()
        return ends

    def _as_if_in_time(self, work: Work | None, ended: ProcessEnd) -> ProcessEnd:
        """End of a process at the first step that used more CPU time than its limit.

        On a busy machine the server process may poll a clock only after such a step has finished. The text
        that the step left last is taken away, since the step would have ended before it.
        """
        if work is None:
            return ended
        allowed, unfinished = work.share * self.limits.cpu_seconds, StepResult([], False, 0.0, 0.0)
        for number, step in enumerate(ended.steps):
            if step.finished and step.cpu_seconds > allowed:
                cut = unfinished._replace(texts=step.texts[:-1])
                steps = [*ended.steps[:number], cut, *[unfinished] * (len(ended.steps) - number - 1)]
                return ended._replace(steps=steps, limit=LimitKind.CPU)
        return ended

    def discard(self, process: LiveProcess) -> None:
        """Reap a process that has ended while it waited for work; nothing is to be cleaned up after it."""
        process.reap(None)
        self._live.discard(process)
        process.buffer.close()

    def dismiss(self, process: LiveProcess) -> None:
        """Let a process end that waits for work; it is reaped by ``reap_dismissed``."""
        process.channel.close()
        self._dismissed.append(process)

    def reap_dismissed(self) -> None:
        """Wait until all dismissed processes have ended, and clean up after them."""
        dismissed, self._dismissed = self._dismissed, []
        for process in dismissed:
            self.end(process, limit=None if process.has_ended(_DISMISSED_SECONDS) else LimitKind.WALL)

    def may_stay_stopped(self) -> bool:
        """Return whether a process that has just been stopped may stay, beside others that run.

        It may not if it could matter to others: if it has left files, which they could read and change; if
        it has threads or much memory, of which they would have less; or if the kernel would let them send
        signals to it.
        """
        if "seccomp" not in self.layers or self.usage is None:
            return False
        single = 1 + len(self.permanent) + len(self._live) + self.forked_ahead
        return (
            self.usage.processes() <= single
            and self.usage.memory_bytes() <= isolation.STOPPED_MIB << 20
            and self.directory.is_untouched()
        )

    def send_heartbeat(self) -> None:
        """Send an empty frame to the caller, unless the last one is recent."""
        if time.monotonic() > self._last_heartbeat + _HEARTBEAT_SECONDS:
            self._last_heartbeat = time.monotonic()
            result_buffer.send_frame(self.control, b"")

    def _longest_pause(
        self,
        processes: Sequence[LiveProcess],
        longest: float,
        first_limit: Callable[[int], float] | None,
    ) -> tuple[float, LimitKind | None]:
        """Seconds in which no limit can be reached, and the limit that has been reached, if any."""
        limits = self.limits
        threads = min(limits.max_threads, _CPUS)
        used_by_all = 0.0
        cpu_left = math.inf
        for process in processes:
            assert process.work is not None
            used = process.cpu_seconds()
            progress, used_by_step, _ = process.step_seconds(used)
            used_by_all += used_by_step
            factor = process.work.share if progress.step >= 0 else _STARTING_FACTOR
            allowed = min(factor * limits.cpu_seconds - used_by_step, process.work.cpu_seconds - used)
            cpu_left = min(cpu_left, allowed)
            if first_limit is not None and progress.step >= 0:
                until_first = first_limit(progress.step) - used_by_step
                if until_first <= 0 < cpu_left:
                    return 0.0, LimitKind.FIRST
                cpu_left = min(cpu_left, until_first)
        first = processes[0]
        assert first.work is not None
        progress, _, elapsed = first.step_seconds(0.0)
        factor = first.work.share if progress.step >= 0 else _STARTING_FACTOR
        starved = used_by_all > STARVED_SHARE * elapsed
        allowed_seconds = factor * limits.wall_seconds * (STARVED_FACTOR if starved else 1)
        wall_left = min(allowed_seconds - elapsed, longest - first.wall_seconds())
        if cpu_left <= 0 or wall_left <= 0:
            return 0.0, LimitKind.CPU if cpu_left <= 0 else LimitKind.WALL
        interval = first.work.share * limits.cpu_seconds / threads
        if first_limit is not None:
            interval = min(interval, _FIRST_INTERVAL)
        return min(wall_left, limits.wall_seconds, cpu_left / threads, interval), None
