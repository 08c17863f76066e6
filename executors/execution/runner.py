"""Runner, which judges blocks of candidates and tests in a sandbox.

Candidates and tests run only inside the sandbox. A guard process enters the isolation layers. A server
process inside forks a confined process for each piece of untrusted code. The caller holds one socket to it
and reads only bytes of a fixed layout and JSON. Closing the socket ends every process inside.
docs/sandbox.md describes what this protects, docs/isolation.md what each layer needs.
"""

import importlib.util
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from testbudget.executors.execution.judging.sandbox_main import LANGUAGES, verdicts_layout
from testbudget.executors.execution.limits import (
    ISOLATION_LAYERS,
    TestLimits,
    check_layers,
)
from testbudget.executors.execution.output_digests import (
    NO_CALLS,
    BlockCalls,
    call_text,
    outputs_on_inputs,
    outputs_on_tests,
    parse_calls,
)
from testbudget.executors.execution.processes import result_buffer
from testbudget.executors.execution.sandbox import cgroups
from testbudget.rewards.errors import SandboxError, UserError
from testbudget.rewards.outputs import RecordedCall, RecordedOutputs
from testbudget.rewards.problem import NOT_RUN, TestKind, UnitTest

_DEFAULT_LIMITS = TestLimits()
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_COLUMNS = (np.uint8, np.uint8, np.float32, np.float32)  # of ``verdicts_layout``
_SILENCE_SECONDS = 60.0  # in addition to the wall-clock limit of a test
_INHERITED_VARIABLES = ("LD_LIBRARY_PATH", "OPENBLAS_CORETYPE")  # for libraries that need them to load
_ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONHASHSEED": "0",  # fixes the order of sets, which could decide a verdict
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
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


@dataclass(frozen=True, slots=True, eq=False)
class BlockVerdicts:
    """Verdicts on all pairs of a block, with their cost.

    Attributes:
        verdicts: uint8 (candidates, tests), values of ``rewards.problem.Verdict``; ``NOT_RUN`` for pairs
            that were not wanted, and for pairs left out after ``TestLimits.max_timeouts``.
        cpu_seconds: float32 (candidates, tests), CPU-seconds of candidate and judge processes as counted by
            the kernel; 0 for pairs that were not run. The sum of a row is at most ``max_cpu_seconds``. A
            judge process shared by candidates with equal results is charged to the first of them.
        wall_seconds: float32 (candidates, tests), elapsed seconds of the same processes.
        same_process: bool (candidates, tests), True if candidate and test ran in the same process.
        recorded_outputs: outputs of the candidates on the calls of the tests; None if not recorded.
        input_mutations: int64 (tests,), number of mutated inputs that were run for each test. Their calls
            are in ``recorded_outputs`` under the test, their CPU-seconds in ``cpu_seconds``.
    """

    verdicts: NDArray[np.uint8]
    cpu_seconds: NDArray[np.float32]
    wall_seconds: NDArray[np.float32]
    same_process: NDArray[np.bool_]
    recorded_outputs: RecordedOutputs | None
    input_mutations: NDArray[np.int64]


_SERVER_CODE = entry_code("testbudget.executors.execution.judging.sandbox_main", "main")


class Runner:
    """A sandbox for many blocks. Use it from one thread at a time, and close it.

    Args:
        limits: limits of one test.
        language: language of the candidates and tests.
        require: isolation layers that must be in force.

    Attributes:
        layers: the isolation layers in force, outermost first.
        missing: the isolation layers that this machine refuses.

    Raises:
        UserError: the language or a layer is unknown, its interpreter or a required layer is missing, or
            the system is not Linux.
        SandboxError: the sandbox could not be built.
    """

    layers: tuple[str, ...]
    missing: tuple[str, ...]

    def __init__(
        self,
        limits: TestLimits = _DEFAULT_LIMITS,
        *,
        language: str = "python",
        require: Sequence[str] = (),
    ) -> None:
        if language not in LANGUAGES:
            raise UserError(f"language must be one of {', '.join(LANGUAGES)} but got {language!r}")
        if sys.platform != "linux":
            raise UserError(f"candidates can be run on Linux only but this is {sys.platform}")
        for program in LANGUAGES[language].programs:
            if not Path(program).is_file():
                raise UserError(f"running {language} needs {program}, which is not on the PATH")
        check_layers(require)
        self._limits = limits
        self._language = language
        self._require = tuple(require)
        self._sandbox: _Sandbox | None = None
        self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def run(
        self,
        candidates: Sequence[str],
        tests: Sequence[UnitTest],
        entry_point: str | None = None,
        *,
        wanted: NDArray[np.bool_] | None = None,
        record: bool = True,
    ) -> BlockVerdicts:
        """Run candidates on tests of one problem.

        If the sandbox fails, the block is run again in a new one, once.

        Args:
            candidates: whole programs.
            tests: tests of one problem.
            entry_point: name of the function or class that each candidate must define. None if it is
                unknown; a candidate must then define the functions that the tests call.
            wanted: bool (candidates, tests), True for the pairs to run; None for all pairs.
            record: True to record the outputs of the candidates.

        Raises:
            SandboxError: the sandbox failed twice, or could not be built again.
        """
        shape = (len(candidates), len(tests))
        pairs = np.argwhere(np.ones(shape, np.bool_) if wanted is None else wanted)
        block = {
            "candidates": list(candidates),
            "tests": [(test.code, test.kind) for test in tests],
            "entry_point": entry_point,
            "calls": None,
        }
        columns, calls = self._answer(block, pairs, record=record)
        grids = []
        for column, default in zip(columns, (NOT_RUN, 0, 0, 0), strict=True):
            grid = np.full(shape, default, column.dtype)
            grid[tuple(pairs.T)] = column
            grids.append(grid)
        verdicts, same_process, cpu_seconds, wall_seconds = grids
        recorded_outputs = (
            outputs_on_tests(calls, pairs, len(candidates), [t.index for t in tests]) if calls else None
        )
        same_process = same_process.astype(np.bool_)
        no_mutations = np.zeros(len(tests), np.int64)
        return BlockVerdicts(
            verdicts, cpu_seconds, wall_seconds, same_process, recorded_outputs, no_mutations
        )

    def call(
        self, candidates: Sequence[str], inputs: Sequence[RecordedCall]
    ) -> tuple[RecordedOutputs, NDArray[np.float32]]:
        """Make every call on every candidate, without a test. A candidate is loaded anew for each call.

        Args:
            candidates: whole programs.
            inputs: the calls, for example those of recorded tests or mutations of them.

        Returns:
            The recorded outputs, with ``inputs`` in the given order and without a test, and the
            CPU-seconds of each call, float32 (candidates, inputs).

        Raises:
            SandboxError: the sandbox failed twice, or could not be built again.
        """
        pairs = np.argwhere(np.ones((len(candidates), len(inputs)), np.bool_))
        block = {
            "candidates": list(candidates),
            "tests": [("", TestKind.ASSERT)] * len(inputs),
            "entry_point": None,
            "calls": [call_text(given) for given in inputs],
        }
        (_, _, used, _), calls = self._answer(block, pairs, record=True)
        assert calls is not None
        cpu_seconds = used.astype(np.float32).reshape(len(candidates), len(inputs))
        return outputs_on_inputs(inputs, calls, pairs, len(candidates)), cpu_seconds

    def close(self) -> None:
        """End the sandbox and every process in it. The next block builds a new sandbox."""
        if self._sandbox is not None:
            self._sandbox.close()
            self._sandbox = None

    def _answer(
        self, block: dict[str, Any], pairs: NDArray[np.intp], *, record: bool
    ) -> tuple[list[NDArray[Any]], BlockCalls | None]:
        """Send a block; return one array per column of ``verdicts_layout``, and the recorded calls."""
        if len(pairs) == 0:
            return [np.zeros(0, kind) for kind in _COLUMNS], NO_CALLS if record else None
        message = block | {"pairs": pairs.tolist(), "record": record}
        for attempt in range(2):
            try:
                return self._open().run(message)
            except (OSError, EOFError, _InsideError) as error:
                self.close()
                if attempt:
                    raise SandboxError(f"the sandbox failed twice on one block: {error}") from error
            except BaseException:
                self.close()  # a late answer would be read as the answer to the next block
                raise
        raise AssertionError

    def _open(self) -> "_Sandbox":
        if self._sandbox is None:
            try:
                self._sandbox = _Sandbox(self._limits, self._language)
            except (OSError, EOFError, _InsideError) as error:
                raise SandboxError(f"the sandbox could not be built: {error}") from error
            self.layers = self._sandbox.layers
            self.missing = tuple(layer for layer in ISOLATION_LAYERS if layer not in self.layers)
            if lacking := [layer for layer in self.missing if layer in self._require]:
                self.close()
                raise UserError(
                    f"sandbox.require names {', '.join(lacking)}, which this machine refuses; "
                    f"in force are {', '.join(self.layers)}"
                )
        return self._sandbox


class _InsideError(Exception):
    """A failure that the guard or the server process has reported."""


class _Sandbox:
    """The guard process and the connection to the server process."""

    def __init__(self, limits: TestLimits, language: str) -> None:
        self._limits = limits
        self._scratch: str | None = None
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
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        try:
            settings = {
                "limits": asdict(limits),
                "language": language,
                "packages": _package_directories(LANGUAGES[language].packages),
                "programs": LANGUAGES[language].programs,
            }
            result_buffer.send_frame(self._connection, json.dumps(settings).encode())
            ready = json.loads(self._receive())
        except BaseException:
            self.close()
            raise
        self.layers = tuple(ready["layers"])
        self._scratch = None if "mount" in self.layers else ready["scratch"]

    def run(self, block: dict[str, Any]) -> tuple[list[NDArray[Any]], BlockCalls | None]:
        """Run one block, given as ``sandbox_main`` expects it."""
        self._connection.settimeout(_SILENCE_SECONDS + self._limits.wall_seconds)  # between two frames
        result_buffer.send_frame(self._connection, json.dumps(block).encode())
        pairs = len(block["pairs"])
        answer = self._receive()
        if len(answer) != struct.calcsize(verdicts_layout(pairs)):
            raise _InsideError(f"the verdicts on {pairs} pairs cannot have {len(answer)} bytes")
        columns = []
        for kind in _COLUMNS:
            columns.append(np.frombuffer(answer, kind, pairs))
            answer = answer[columns[-1].nbytes :]
        return columns, parse_calls(self._receive()) if block["record"] else None

    def close(self) -> None:
        self._connection.close()  # the guard notices and ends every process inside
        try:
            self._guard.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            self._guard.wait()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)  # the guard removes it unless it was killed
        cgroups.remove_abandoned_groups()

    def _receive(self) -> bytes:
        while not (frame := result_buffer.receive_frame(self._connection)):
            pass  # an empty frame is a heartbeat
        if frame.startswith(b'{"failure"'):
            raise _InsideError(json.loads(frame)["failure"])
        return frame


def _package_directories(names: Sequence[str]) -> list[str]:
    """Directories of the installed packages, and of the shared libraries that their wheels install."""
    directories = []
    for name in names:
        found = importlib.util.find_spec(name)
        if found is not None and found.origin is not None:
            package = Path(found.origin).parent
            directories += [package, package.with_name(f"{name}.libs")]
    return [str(directory) for directory in directories if directory.is_dir()]
