"""Programs of a language beside the interpreter, and what the sandbox grants to them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """Compilers of a language, and resources of its run-time beside those of a program.

    Attributes:
        compilers: paths of executables, or of directories that hold them, which only processes that compile
            can use: they start further processes. Empty if sources are compiled without.
        files: files and directories that compilers and programs may read, beside the system's libraries.
        threads: threads that the run-time starts by itself in each program.
        memory_mib: memory that the run-time takes by itself in each program, in MiB.
        stack_mib: size of the stack of each thread, in MiB.
        native: True if compiled programs are executables of the machine.
    """

    compilers: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    threads: int = 0
    memory_mib: int = 0
    stack_mib: int = 4
    native: bool = False

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Toolchain from the JSON object of its fields."""
        lists = {name: tuple(record[name]) for name in ("compilers", "files")}
        return cls(**{**record, **lists})


NO_TOOLCHAIN = Toolchain()
"""Toolchain of a language that needs none."""

COMPILER_CPU_SECONDS = 10
"""CPU-seconds of each process of a compiler."""

COMPILER_WALL_SECONDS = 120.0
"""Elapsed seconds of a compilation. Ends one that sleeps; the CPU time decides in all other cases."""

COMPILER_MIB = 1024
"""Memory of each process of a compiler, in MiB. All of them together have the bound of the sandbox."""

COMPILER_FILE_MIB = 64
"""Size of all files that a compiler writes, in MiB."""

COMPILER_THREADS = 64
"""Threads and processes of a compiler."""
