"""Processes that run untrusted code, seen from the server process, which watches and ends them."""

import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from testbudget.executors.execution.processes.process import (
    FINISHED,
    NEXT_PART,
    NEXT_STEP,
    Work,
    part_frame,
    send_work,
)
from testbudget.executors.execution.processes.result_buffer import (
    NO_STEP,
    ResultBuffer,
    StepProgress,
    StepReader,
    StepResult,
)
from testbudget.executors.execution.sandbox import kernel

_STARTING_SECONDS = 0.25  # CPU-seconds of a process, at most, until its only step begins


class LimitKind(StrEnum):
    """Limit at which a process was ended or stopped.

    Attributes:
        CPU: CPU time of a step, or of the process.
        WALL: elapsed time of a step, or of the process.
        FIRST: the small CPU limit that is tried first.
    """

    CPU = "cpu"
    WALL = "wall"
    FIRST = "first"


class ProcessEnd(NamedTuple):
    """End of a process: its results, the cause and the cost.

    Attributes:
        steps: the result of each step.
        signal: number of the signal that ended it; 0 if it exited.
        limit: the limit at which the server process or the kernel ended it; None if it ended otherwise.
        loaded: True if the last step that began had loaded its program.
        cpu_seconds: CPU-seconds of all its threads since it got its work, as counted by the kernel.
        wall_seconds: elapsed seconds since it got its work.
        status: exit status; 0 if a signal ended it.
    """

    steps: Sequence[StepResult]
    signal: int
    limit: LimitKind | None
    loaded: bool
    cpu_seconds: float
    wall_seconds: float
    status: int = 0

    @property
    def by_itself(self) -> bool:
        """True if neither a limit nor a signal ended it."""
        return self.signal == 0 and self.limit is None


class LiveProcess:
    """A process from a fork server, until it has been reaped.

    Args:
        process: its id. The calling process is its parent.
        channel: the parent's end of its channel.
        buffer: its result buffer, which no other process has.
        threads: threads and processes that its work may need.
        leads_group: True if it starts other processes, all in its process group. They end with it.

    Attributes:
        process: its id.
        channel: the parent's end of its channel.
        buffer: its result buffer.
        descriptor: process file descriptor, readable once it has ended.
        threads: threads and processes that its work may need.
        work: its current work; None while it waits for the first.
        unsent: bytes of the part that it has asked for which its channel has not taken yet.
    """

    def __init__(
        self,
        process: int,
        channel: socket.socket,
        buffer: ResultBuffer,
        *,
        threads: int,
        leads_group: bool = False,
    ) -> None:
        self.process = process
        self.channel = channel
        self.buffer = buffer
        self.descriptor = os.pidfd_open(process)
        self.threads = threads
        self._leads_group = leads_group
        self.work: Work | None = None
        self.unsent = b""
        self._reader = StepReader(buffer, 0)
        self._step, self._part = NO_STEP, 0  # the part that was sent last
        self._step_cpu = self._step_since = 0.0
        self._cpu_before = 0.0
        self._began = 0.0
        self._stopped_seconds = 0.0
        self._stopped_at: float | None = None

    def begin(self, work: Work) -> None:
        """Send work, the first or the next one."""
        if self.work is not None:
            self._cpu_before = kernel.process_cpu_seconds(self.process)
            self.buffer.clear()
        self.work = work
        self._began = time.monotonic()
        self._stopped_seconds = 0.0
        self._reader = StepReader(self.buffer, work.steps)
        send_work(self.channel, work)

    def serve(self) -> bool:
        """Send the part that the process has asked for; return whether it may ask for another one.

        What it has left for earlier parts is read first, so that nothing it learns can change that. A
        process that asks before it has left a result is killed.
        """
        try:
            if self.unsent:
                self.unsent = self.unsent[self.channel.send(self.unsent, socket.MSG_DONTWAIT) :]
                return True
            request = self.channel.recv(1, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:  # it has ended
            return False
        if not request:
            return False
        assert self.work is not None
        self._reader.read_on()
        parts, step, part = self.work.parts, self._step, self._part
        if (
            request == NEXT_PART
            and step >= 0
            and self._reader.texts_of(step) == part + 1 < len(parts[step])
        ):
            self._part += 1
        elif (
            request == NEXT_STEP and step + 1 < len(parts) and (step < 0 or self._reader.has_finished(step))
        ):
            self._step, self._part = step + 1, 0
            self._step_cpu, self._step_since = self.cpu_seconds(), time.monotonic()
        else:
            self.kill()
            return False
        of_step = parts[self._step]
        self.unsent = part_frame(of_step[self._part], more=self._part + 1 < len(of_step))
        return self.serve()

    def cpu_seconds(self) -> float:
        """CPU-seconds that the current work has used."""
        return kernel.process_cpu_seconds(self.process) - self._cpu_before

    def wall_seconds(self) -> float:
        """Seconds since the current work began, without those in which the process was stopped."""
        return time.monotonic() - self._began - self._stopped_seconds

    def step_seconds(self, used: float) -> tuple[StepProgress, float, float]:
        """Progress, and the CPU-seconds and elapsed seconds of the step in progress.

        A step with parts begins when its first one is sent. Else the process itself reports the start, so
        only the limits of single steps may rest on it; nothing does in a process that runs a candidate.

        Args:
            used: CPU-seconds that the current work has used.
        """
        assert self.work is not None
        progress = self.buffer.progress()
        if self.work.parts:
            progress = progress._replace(step=self._step)
            before, since = self._step_cpu, self._step_since
        else:
            before, since = progress.cpu_before - self._cpu_before, progress.since
            if self.work.steps == 1:
                before = min(before, _STARTING_SECONDS)
        elapsed = time.monotonic() - max(self._began, since) - self._stopped_seconds
        return progress, max(0.0, used - max(0.0, before)), elapsed

    def stop(self) -> None:
        """Stop all threads of the process."""
        os.kill(self.process, signal.SIGSTOP)
        os.waitid(os.P_PID, self.process, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        self._stopped_at = time.monotonic()

    def resume(self) -> None:
        """Let a stopped process go on."""
        if self._stopped_at is not None:
            self._stopped_seconds += time.monotonic() - self._stopped_at
            self._stopped_at = None
        os.kill(self.process, signal.SIGCONT)

    def has_ended(self, seconds: float = 0.0) -> bool:
        """Return whether the process has ended, or ends within some seconds."""
        poller = select.poll()
        poller.register(self.descriptor, select.POLLIN)
        return bool(poller.poll(1000 * seconds))

    def kill(self) -> None:
        """Kill the process, which may have ended already."""
        os.kill(self.process, signal.SIGKILL)

    def has_finished(self) -> bool:
        """Return whether the process has told that it has finished its work and waits for the next."""
        try:
            return self.channel.recv(len(FINISHED), socket.MSG_DONTWAIT) == FINISHED
        except OSError:  # it has told nothing, or has ended
            return False

    def so_far(self, limit: LimitKind | None = None) -> ProcessEnd:
        """Results of the current work and its cost so far, as if the process had ended.

        Args:
            limit: limit at which the process was stopped.
        """
        loaded = self.buffer.progress().loaded
        return ProcessEnd(self.results(), 0, limit, loaded, self.cpu_seconds(), self.wall_seconds())

    def results(self) -> Sequence[StepResult]:
        """Results of the steps of the current work."""
        return self._reader.read()

    def reap(self, limit: LimitKind | None) -> ProcessEnd:
        """Wait until the process has ended; return its end.

        Args:
            limit: limit at which it was ended.
        """
        if self._leads_group:
            os.waitid(os.P_PID, self.process, os.WEXITED | os.WNOWAIT)
            self._kill_group()
        _, status, usage = os.wait4(self.process, 0)
        if self._leads_group:
            self._reap_group()
        self.channel.close()
        os.close(self.descriptor)
        ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        used = usage.ru_utime + usage.ru_stime - self._cpu_before
        # The kernel counts in ticks, so it may end a process before its limit. A process that kills itself
        # has usually used much less.
        allowed = self.work.cpu_seconds if self.work is not None else 0
        if limit is None and ended_by in {signal.SIGKILL, signal.SIGXCPU} and used > allowed / 2:
            limit = LimitKind.CPU
        loaded = self.buffer.progress().loaded
        exited = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 0
        return ProcessEnd(self.results(), ended_by, limit, loaded, used, self.wall_seconds(), exited)

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError):  # it ended before it had a group
            os.killpg(self.process, signal.SIGKILL)

    def _reap_group(self) -> None:
        """Reap the orphans of the process group, which this process has adopted."""
        with contextlib.suppress(ChildProcessError):  # none is left
            while True:
                os.waitpid(-self.process, 0)
