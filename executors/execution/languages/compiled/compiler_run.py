"""Run of a compiler by a process that may start others, in its working directory."""

import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from testbudget.executors.execution.languages.compiled.compiler_output import (
    not_compiled,
    not_compiled_reason,
)
from testbudget.executors.execution.sandbox.toolchain import COMPILER_CPU_SECONDS
from testbudget.rewards.verdict_reason import VerdictReason

_COMPILER_PATH = "/usr/bin:/bin"  # in which compilers look for other programs
_MAX_OUTPUT = 1 << 16  # bytes of a compiler's output that are read


class CompileError(Exception):
    """A program that does not compile.

    Args:
        reason: what the compiler says.
    """

    def __init__(self, reason: VerdictReason) -> None:
        super().__init__(reason.sentence)
        self.reason = reason


def run_compiler(command: Sequence[str], *, reads: str | None = None, writes: str | None = None) -> None:
    """Run a command of a compiler in the current directory.

    Args:
        command: path of the executable, and arguments.
        reads: file on its standard input; None if it is empty.
        writes: file for its standard output; None if that tells what does not compile.

    Raises:
        CompileError: its exit status is not 0.
    """
    used = _cpu_seconds_of_children()
    with (
        tempfile.TemporaryFile(dir=".") as output,
        Path(reads or os.devnull).open("rb") as source,
        Path(writes or os.devnull).open("wb") as result,
    ):
        status = subprocess.run(
            command,
            stdin=source,
            stdout=output if writes is None else result,
            stderr=output,
            env=os.environ | origin_of(command[0]) | {"PATH": _COMPILER_PATH},
            check=False,
        ).returncode
        output.seek(0)
        printed = output.read(_MAX_OUTPUT).decode(errors="replace")
    if status != 0:
        if _cpu_seconds_of_children() - used > COMPILER_CPU_SECONDS - 1:
            limit = f"{COMPILER_CPU_SECONDS} s of CPU time"
            raise CompileError(not_compiled(f"the compiler reached its limit of {limit}"))
        raise CompileError(not_compiled_reason(printed))


def tool_path(name: str) -> str | None:
    """Real path of an executable on the ``PATH`` of this process; None if there is none."""
    found = shutil.which(name)
    return None if found is None else str(Path(found).resolve())


def origin_of(executable: str) -> dict[str, str]:
    """Variable by which an executable finds libraries beside itself, since it sees no ``/proc``."""
    return {"LD_ORIGIN_PATH": str(Path(executable).parent)}


def _cpu_seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
