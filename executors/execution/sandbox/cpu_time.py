"""CPU time of a whole sandbox, as the kernel counts it for every process inside and for its guard."""

import contextlib
import os
import threading
from pathlib import Path

from testbudget.executors.execution.sandbox import cgroups, kernel

_TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
_ATTEMPTS = 5


class SandboxCpuTime:
    """Counter of the CPU time of one sandbox. It may be read from any thread.

    While the sandbox starts, and where no control group counts, the guard and its descendants are summed
    up, those that have ended included. From then on the count of the group is added, which is exact.

    Args:
        guard: id of the guard, which is not reaped while the counter is read.
    """

    def __init__(self, guard: int) -> None:
        self._guard = guard
        self._reading = threading.Lock()
        self._before_group = 0.0
        self._group: cgroups.CpuUsage | None = None
        self._seconds = 0.0

    def use_group(self) -> None:
        """Count by the control group from now on, if the guard has created one that counts."""
        group = cgroups.cpu_usage_of(self._guard)
        if group is not None:
            with self._reading:
                self._before_group = max(0.0, tree_cpu_seconds(self._guard) - group.seconds())
                self._group = group

    def seconds(self) -> float:
        """CPU-seconds since the guard was started; the last reading if the sandbox has ended."""
        with self._reading, contextlib.suppress(OSError):
            if self._group is None:
                now = tree_cpu_seconds(self._guard)
            else:
                now = self._before_group + self._group.seconds()
            self._seconds = max(self._seconds, now)
        return self._seconds

    def end(self, last_words: str) -> float:
        """Close the counter and return its last reading.

        Args:
            last_words: what the guard wrote at its end, from ``last_words``; empty if it was killed.
        """
        with self._reading:
            if last_words:
                of_group, own_and_reaped = map(float, last_words.split())
                self._seconds = max(self._seconds, self._before_group + of_group, own_and_reaped)
            if self._group is not None:
                self._group.close()
                self._group = None
            return self._seconds


def last_words(group: cgroups.ControlGroup | None) -> str:
    """Last counts of a sandbox for `SandboxCpuTime.end`; called in the guard, when all inside has ended.

    Args:
        group: control group of the sandbox; None if there is none.
    """
    of_group = group.cpu_usage.seconds() if group is not None and group.cpu_usage is not None else 0.0
    own_and_reaped = sum(os.times()[:4])
    return f"{of_group} {own_and_reaped}"


def tree_cpu_seconds(process: int) -> float:
    """CPU-seconds of a process and its descendants, those that were reaped included.

    The kernel shows the time of reaped processes in whole ticks. It is rounded up.

    Raises:
        OSError: the process has been reaped.
    """
    for _ in range(_ATTEMPTS):
        before = _reaped_ticks(process)
        seconds = kernel.process_cpu_seconds(process) + (before + 2) * _TICK_SECONDS
        for child in kernel.children(process):
            with contextlib.suppress(OSError):  # it has been reaped, so that the parent's count has changed
                seconds += tree_cpu_seconds(child)
        if _reaped_ticks(process) == before:
            break
    return seconds


def _reaped_ticks(process: int) -> int:
    """CPU time of reaped children, user and system, in ticks."""
    fields = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()
    return int(fields[13]) + int(fields[14])
