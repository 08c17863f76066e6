"""What one test may use, and the most CPU time that one candidate can spend on a block of tests."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType

from testbudget.rewards.errors import UserError

ISOLATION_LAYERS: Mapping[str, str] = MappingProxyType(
    {
        "cgroup": "memory and processes of the whole sandbox are counted together and bounded",
        "user": "no right that counts outside",
        "pid": "no other process can be seen or signalled, and none outlives the sandbox",
        "mount": "libraries and one small directory that vanishes, and no other file",
        "net": "no network, and no socket of another program",
        "ipc": "no shared memory and no message queue of another program",
        "unprivileged": "not root, not even inside, and no capabilities",
        "no_new_privs": "no executed program gains rights",
        "landlock": "no file beyond the libraries and the directory, no TCP, no signal to the outside",
        "seccomp": "no dangerous system call, no second process, no other program",
        "rlimits": "CPU time, memory, file size, open files, threads are bounded, no core dumps",
    }
)
"""The names of all layers, outermost first, and what each gives."""


def check_layers(names: Sequence[str]) -> None:
    """Raise ``UserError`` for a name that is no layer's."""
    for name in names:
        if name not in ISOLATION_LAYERS:
            raise UserError(
                f"sandbox.require must name layers ({', '.join(ISOLATION_LAYERS)}) but got {name!r}"
            )


TICK_SECONDS = 0.01  # the longest that a Linux kernel lets a thread run before it looks at its CPU limits
PROCESS_SECONDS = 0.05  # starting and ending a process that has used little memory
SECONDS_PER_MIB = 1 / 4096  # handing a process's memory back when it ends
GRANULARITY_SECONDS = 1.0  # RLIMIT_CPU counts whole seconds

STARVED_SHARE = 0.02  # of a CPU: a process that gets more than this does not sleep, others take its time
STARVED_PATIENCE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class TestLimits:
    """What one test of one candidate may use, loading the candidate included.

    Attributes:
        cpu_seconds: CPU time, of all threads together. The limit that decides, so that a verdict does
            not depend on how busy the machine is.
        wall_seconds: time on the clock; ends what sleeps or has stopped itself. What is at work, but on
            a machine too busy to let it come to its CPU limit, is given five times as long.
        memory_mib: address space that the process takes beside the interpreter and what is loaded for it.
        max_threads: threads alive at once. Further processes are refused wherever the kernel can.
        file_mib: the largest file; in a new root (layer ``mount``) also all files together.
        timeouts: once so many tests of a block have timed out, the candidate's others are not run.

    Raises:
        UserError: a limit is not a positive number.
    """

    cpu_seconds: float = 2.0
    wall_seconds: float = 10.0
    memory_mib: int = 1024
    max_threads: int = 16
    file_mib: int = 16
    max_timeouts: int = 3

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (value > 0 and math.isfinite(value)):
                raise UserError(f"limits.{field.name} must be a positive number but got {value!r}")


def overhead_seconds(limits: TestLimits) -> float:
    """CPU seconds that a process can use beyond the limit that ends it.

    Every thread may run on until the kernel's next tick, and then the process's memory is taken down.
    """
    return TICK_SECONDS * limits.max_threads + PROCESS_SECONDS + SECONDS_PER_MIB * limits.memory_mib


def max_cpu_seconds(limits: TestLimits, tests: int) -> float:
    """Upper bound of the CPU seconds that one candidate can spend on ``tests`` tests.

    Loading is included, once for every test, and so is the judging, which has the same limit. The kernel
    enforces it (``RLIMIT_CPU`` on each of the processes, set to what the earlier ones left over), also
    against a candidate that cheats the limit of a single test. It allows for every test to need two
    processes of its own.
    """
    if tests == 0:
        return 0.0
    return 2 * tests * (limits.cpu_seconds + overhead_seconds(limits)) + GRANULARITY_SECONDS


def next_cpu_limit(limits: TestLimits, tests: int, spent: float) -> int:
    """Whole CPU seconds to set as ``RLIMIT_CPU`` of a candidate's next process; 0 when none may start.

    Args:
        limits: the limits of one test.
        tests: number of tests in the whole block.
        spent: CPU seconds that the candidate's earlier processes in this block have used.
    """
    left = math.floor(max_cpu_seconds(limits, tests) - spent - overhead_seconds(limits))
    return left if left >= max(limits.cpu_seconds, GRANULARITY_SECONDS) else 0
