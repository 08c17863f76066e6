"""Caller's side of one sandbox: its guard process, and the connection to its server process."""

import importlib.util
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from testbudget.executors.execution.judging.sandbox_main import verdicts_layout
from testbudget.executors.execution.languages import registry
from testbudget.executors.execution.limits import TestLimits, Trust
from testbudget.executors.execution.output_digests import BlockCalls, parse_calls
from testbudget.executors.execution.packages import VisiblePackages
from testbudget.executors.execution.processes import result_buffer
from testbudget.executors.execution.sandbox import cgroups
from testbudget.executors.execution.sandbox.cpu_time import SandboxCpuTime
from testbudget.rewards.verdict_reason import VerdictReason

_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
COLUMNS = (np.uint8, np.uint8, np.float32, np.float32, np.float32, np.int32)  # of ``verdicts_layout``
_SILENCE_SECONDS = 60.0  # in addition to the wall-clock limit of a test
_LOADED = 2  # kinds of fork servers that may load a package, in address spaces of their own
_INHERITED_VARIABLES = ("LD_LIBRARY_PATH", "OPENBLAS_CORETYPE")  # for libraries that need them to load
_ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONHASHSEED": "0",  # fixes the order of sets, which could decide a verdict
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "BLIS_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "ARROW_IO_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",  # the others reserve as much address space as a test has
    "MALLOC_ARENA_MAX": "1",  # otherwise a thread may reserve 64 MiB of the test's address space
}
_FLAGS = ("-s", "-S", "-P", "-B", "-X", "utf8", "-W", "ignore")

IMPORT_DIRECTORY = str(Path(__file__).parents[3])  # above ``testbudget``; links are not resolved
"""Directory from which this process imported ``testbudget``. New processes import it from there too."""


def entry_code(module: str, function: str) -> str:
    """Code for ``python -c`` that calls a function of this package without arguments.

    The last command-line argument must be ``IMPORT_DIRECTORY``. It is on the import path only until the
    package is imported, so that other packages in the directory cannot be imported.
    """
    return (
        "import sys; sys.path.insert(0, sys.argv.pop()); import testbudget; del sys.path[0]; "
        f"from {module} import {function}; {function}()"
    )


_SERVER_CODE = entry_code("testbudget.executors.execution.judging.sandbox_main", "main")


class InsideError(Exception):
    """A failure that the guard or the server process has reported."""


class BlockAnswer(NamedTuple):
    """Answer to a block.

    Attributes:
        columns: one array per column of ``verdicts_layout``.
        reasons: distinct reasons, which the last column refers to.
        calls: recorded calls; None if they were not asked for.
    """

    columns: Sequence[NDArray[Any]]
    reasons: Sequence[VerdictReason]
    calls: BlockCalls | None


class SandboxProcess:
    """The guard process and the connection to the server process.

    Attributes:
        layers: the isolation layers in force; empty before ``start``.
        cpu_time: counter of the CPU time of all processes.
    """

    def __init__(self, limits: TestLimits, language: str, trust: Trust, packages: VisiblePackages) -> None:
        self._ready_language = registry.usable_language(language)
        self.layers: tuple[str, ...] = ()
        self._limits = limits
        self._language = language
        self._trust = trust
        self._packages = packages
        self._scratch: str | None = None
        self._links = ""
        self._connection, inside = socket.socketpair()
        self._connection.settimeout(_START_SECONDS)
        interpreter = getattr(sys, "_base_executable", sys.executable)  # without the virtual environment
        kept = {name: os.environ[name] for name in _INHERITED_VARIABLES if name in os.environ}
        with inside:
            self._guard = subprocess.Popen(
                [interpreter, *_FLAGS, "-c", _SERVER_CODE, str(inside.fileno()), IMPORT_DIRECTORY],
                pass_fds=(inside.fileno(),),
                env=_ENVIRONMENT | kept,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.cpu_time = SandboxCpuTime(self._guard.pid)

    def start(self) -> None:
        """Wait until the sandbox is built.

        Raises:
            OSError, EOFError, InsideError: it could not be built. It must be closed.
        """
        language = self._ready_language
        settings = {
            "limits": asdict(self._limits),
            "language": registry.language_place(self._language),
            "packages": {**_own_packages(language.packages), **self._packages.files},
            "packages_mib": _LOADED * self._packages.size_mib,
            "modules": self._packages.modules,
            "trust": self._trust,
            "programs": language.programs,
            "toolchain": asdict(language.toolchain),
        }
        result_buffer.send_frame(self._connection, json.dumps(settings).encode())
        ready = json.loads(self._receive())
        self.layers = tuple(ready["layers"])
        if "mount" not in self.layers:
            self._scratch, self._links = ready["scratch"], ready["packages"]
        if "cgroup" in self.layers:
            self.cpu_time.use_group()

    def run(self, block: dict[str, Any]) -> BlockAnswer:
        """Run one block, given as ``sandbox_main`` expects it."""
        self._connection.settimeout(_SILENCE_SECONDS + self._limits.wall_seconds)  # between two frames
        result_buffer.send_frame(self._connection, json.dumps(block).encode())
        pairs = len(block["pairs"])
        answer = self._receive()
        if len(answer) != struct.calcsize(verdicts_layout(pairs)):
            raise InsideError(f"the verdicts on {pairs} pairs cannot have {len(answer)} bytes")
        columns = []
        for kind in COLUMNS:
            columns.append(np.frombuffer(answer, kind, pairs))
            answer = answer[columns[-1].nbytes :]
        reasons = [VerdictReason.from_message(message) for message in json.loads(self._receive())]
        known = [reason for reason in reasons if reason is not None]
        if len(known) < len(reasons) or columns[-1].max(initial=-1) >= len(known):
            raise InsideError("a verdict has no reason")
        return BlockAnswer(columns, known, parse_calls(self._receive()) if block["record"] else None)

    def interrupt(self) -> None:
        """End every process inside; called from another thread than the other methods."""
        if self.layers:
            with suppress(OSError):  # it is closed
                self._connection.shutdown(socket.SHUT_RDWR)  # the guard notices
        else:
            self._guard.kill()  # it does not listen before it has built the sandbox

    def close(self) -> float:
        """End every process inside; return their CPU-seconds."""
        self.cpu_time.seconds()  # where the kernel counts by process alone, this is the last count
        self._connection.close()  # the guard notices and ends every process inside
        try:
            last_words, _ = self._guard.communicate(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            last_words, _ = self._guard.communicate()
        if self._scratch is not None:
            # The guard removes them unless it was killed.
            shutil.rmtree(self._scratch, ignore_errors=True)
            shutil.rmtree(self._links, ignore_errors=True)
        cgroups.remove_abandoned_groups()
        return self.cpu_time.end(last_words.decode())

    def _receive(self) -> bytes:
        while not (frame := result_buffer.receive_frame(self._connection)):
            pass  # an empty frame is a heartbeat
        if frame.startswith(b'{"failure"'):
            raise InsideError(json.loads(frame)["failure"])
        return frame


def _own_packages(names: Sequence[str]) -> dict[str, str]:
    """Directories of installed packages, and of the libraries that their wheels bring, by their name."""
    directories = []
    for name in names:
        found = importlib.util.find_spec(name)
        if found is not None and found.origin is not None:
            package = Path(found.origin).parent
            directories += [package, package.with_name(f"{name}.libs")]
    return {directory.name: str(directory) for directory in directories if directory.is_dir()}
