"""Counters of the kernel that every process can read and advance: process ids and inode numbers.

A candidate could leave a number in them for the processes that later read its states. Therefore, each of
these finds the counters advanced by a random amount, which exceeds what was used before.
"""

import _thread
import random
import threading
from collections.abc import Sequence
from typing import NamedTuple

from testbudget.executors.execution.processes.working_directory import WorkingDirectory

_MOST_USED = 256  # numbers of one kind, by a pair whose states are read
_FACTOR = 2  # on the numbers used, for the largest random amount
_random = random.SystemRandom()


class KernelCounters(NamedTuple):
    """Values of the counters at one time; 0 where the sandbox has no counter of its own.

    Attributes:
        process: last id of a process or thread.
        inode: inode number of the working directory, which was made after all processes so far had ended.
    """

    process: int
    inode: int


class CounterNoise(NamedTuple):
    """Largest amounts by which the counters are advanced before a process.

    Attributes:
        processes: number of process ids.
        inodes: number of inode numbers.
    """

    processes: int
    inodes: int

    def add(self, directory: WorkingDirectory) -> None:
        """Advance the counters by random amounts; the working directory is made anew."""
        for _ in range(_random.randint(0, self.processes)):
            _next_process_id()
        if self.inodes:
            directory.use_inodes(_random.randint(0, self.inodes))


AFTER_VERY_MUCH = CounterNoise(4096, 4096)
"""Noise after a pair that has used too many numbers, as another pair could begin where it left them."""


def read_counters(directory: WorkingDirectory, layers: Sequence[str]) -> KernelCounters:
    """Read the counters; called while no process has work.

    Args:
        directory: the directory that processes may write to.
        layers: names of the isolation layers in force.
    """
    return KernelCounters(
        _next_process_id() if "pid" in layers else 0, directory.inode() if "mount" in layers else 0
    )


def noise_since(before: KernelCounters, after: KernelCounters) -> CounterNoise | None:
    """Noise that hides what was used between two readings; None if that is too much to be hidden."""
    # Process ids begin anew at the largest one.
    used = [now - then if now >= then else _MOST_USED for then, now in zip(before, after, strict=True)]
    return None if max(used) > _MOST_USED else CounterNoise(*(_FACTOR * number for number in used))


def _next_process_id() -> int:
    """Use up one process id, by a thread that ends at once."""
    found: list[int] = []
    ended = _thread.allocate_lock()
    ended.acquire()

    def tell() -> None:
        found.append(threading.get_native_id())
        ended.release()

    _thread.start_new_thread(tell, ())
    ended.acquire()
    return found[0]
