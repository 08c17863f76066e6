"""Limits of one test, the maximum CPU time of a block, and the names of the isolation layers.

The module imports nothing that builds a sandbox, so that job files and the command line can use it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from testbudget.rewards.errors import UserError

ISOLATION_LAYERS: Mapping[str, str] = MappingProxyType(
    {
        "cgroup": "one bound on the memory, one on the processes of the whole sandbox",
        "user": "no privileges outside the sandbox",
        "pid": "no other process is visible or can be signalled; none outlives the sandbox",
        "mount": "no files but the libraries and one small temporary directory",
        "net": "no network and no socket of another program",
        "ipc": "no shared memory or message queue of another program",
        "unprivileged": "not root, not even inside the sandbox, and no capabilities",
        "no_new_privs": "no executed program gains rights",
        "landlock": "no files but the libraries and the directory, no TCP, no signal to the outside",
        "seccomp": "no dangerous system calls, no second process, no other program",
        "rlimits": "bounds on CPU time, memory, file size, open files and threads; no core dumps",
    }
)
"""Every isolation layer, outermost first: its name and what it provides."""

if TYPE_CHECKING:
    LayerName = str
else:  # pydantic and the command line read the choices from the type
    LayerName = Literal[tuple(ISOLATION_LAYERS)]


_TICK_SECONDS = 0.01  # longest time between two checks of CPU limits by the kernel (HZ >= 100)
_PROCESS_SECONDS = 0.05  # start and end of a process that uses little memory
_SECONDS_PER_MIB = 1 / 4096  # releasing memory when the process ends
_GRANULARITY_SECONDS = 1.0  # RLIMIT_CPU counts whole seconds

STARVED_SHARE = 0.02
"""A process that uses more than this share of a CPU is running, not sleeping: the machine is busy."""

STARVED_FACTOR = 10
"""Factor on the wall-clock limit of a process that is running on a busy machine."""


class Trust(StrEnum):
    """Trust in the authors of the candidates.

    Attributes:
        HOSTILE: a candidate may have been written to forge its verdict. A pass that it could have forged is
            unconfirmed.
        HONEST: candidates are wrong at most. A test whose pass would be unconfirmed is run once more, in
            one process with the candidate, and what it gives there counts.
    """

    HOSTILE = "hostile"
    HONEST = "honest"


TRUST_MEANINGS: Mapping[Trust, str] = MappingProxyType(
    {
        Trust.HOSTILE: "a pass that the candidate could have forged is unconfirmed (the default)",
        Trust.HONEST: "such a pair is judged once more, in one process with the candidate, and that counts",
    }
)
"""Meaning of each value of ``execution.trust``, as ``testbudget doctor`` says it."""


def check_layers(names: Sequence[str]) -> None:
    """Check names of isolation layers.

    Raises:
        UserError: a name is not in ``ISOLATION_LAYERS``.
    """
    for name in names:
        if name not in ISOLATION_LAYERS:
            raise UserError(
                f"sandbox.require must name layers ({', '.join(ISOLATION_LAYERS)}) but got {name!r}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TestLimits:
    """Limits on the resources that one test of one candidate uses, including those to load the candidate.

    Attributes:
        cpu_seconds: CPU-seconds of all threads together. This limit decides in most cases, so that a
            verdict does not depend on the load of the machine.
        wall_seconds: elapsed seconds; ends a process that sleeps or has stopped itself. A process that is
            running on a busy machine gets ``STARVED_FACTOR`` times as long.
        memory_mib: address space in MiB, in addition to the interpreter and the modules loaded for the
            program.
        max_threads: threads alive at once. A second process is refused where the kernel supports it.
        file_mib: size of the largest file in MiB; with layer ``mount`` also of all files together.
        max_timeouts: number of timed-out tests in a block after which the candidate's remaining tests are
            not run.

    Raises:
        UserError: a limit is not positive and finite.
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
    """CPU-seconds that a process can use beyond its limit.

    Each thread may run until the kernel's next tick. Then the memory of the process is released.
    """
    return _TICK_SECONDS * limits.max_threads + _PROCESS_SECONDS + _SECONDS_PER_MIB * limits.memory_mib


def max_cpu_seconds(limits: TestLimits, tests: int) -> float:
    """Upper bound of the CPU-seconds that one candidate can spend on ``tests`` tests of a block.

    The bound is ``2 * tests * (cpu_seconds + overhead_seconds) + 1``. Each test may need a candidate
    process and a judge process, and each of them has the limit of one test. The kernel enforces the bound
    by ``RLIMIT_CPU``, which counts whole seconds: a process gets the CPU time that the earlier ones left.
    The bound holds even if a candidate evades the limit of a single test.
    """
    if tests == 0:
        return 0.0
    return 2 * tests * (limits.cpu_seconds + overhead_seconds(limits)) + _GRANULARITY_SECONDS


def next_cpu_limit(limits: TestLimits, tests: int, spent: float) -> int:
    """Value of ``RLIMIT_CPU`` for a candidate's next process, in CPU-seconds; 0 if no process may start.

    Args:
        limits: the limits of one test.
        tests: number of tests in the whole block.
        spent: CPU-seconds used by the candidate's earlier processes in this block.
    """
    remaining = math.floor(max_cpu_seconds(limits, tests) - spent - overhead_seconds(limits))
    return remaining if remaining >= max(limits.cpu_seconds, _GRANULARITY_SECONDS) else 0
