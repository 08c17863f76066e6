"""The caller's side of a sandbox: sends blocks of candidates and tests in, takes verdicts out."""

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

import testbudget
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
from testbudget.rewards.errors import UserError
from testbudget.rewards.outputs import RecordedCall, RecordedOutputs
from testbudget.rewards.problem import NOT_RUN, TestKind, UnitTest

__all__ = ["TestLimits", "BlockVerdicts", "Runner", "SandboxError", "max_cpu_seconds"]

_DEFAULT_LIMITS = TestLimits()
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_COLUMNS = (np.uint8, np.uint8, np.float32, np.float32)  # of ``verdicts_layout``
_PATIENCE_SECONDS = 60.0
_INHERITED_VARIABLES = ("LD_LIBRARY_PATH", "OPENBLAS_CORETYPE")  # what makes libraries load and work here
_ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONHASHSEED": "0",  # the order of a set must not decide a verdict
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",  # else each thread reserves 64 MiB or none, by chance, of what a test may use
}
_FLAGS = ("-s", "-S", "-P", "-B", "-X", "utf8", "-W", "ignore")
_PROGRAM = "import sys; sys.path.append(sys.argv[2]); from testbudget.executors.execution.judging.sandbox_main import main; main()"


class SandboxError(Exception):
    """The sandbox itself failed; this says nothing about any candidate."""


@dataclass(frozen=True, slots=True, eq=False)
class BlockVerdicts:
    """What came out of a block.

    Attributes:
        verdicts: uint8 (candidates, tests), values of ``rewards.problem.Verdict``, or ``NOT_RUN`` for what
            was left out after ``TestLimits.max_timeouts``, or was not wanted.
        cpu_seconds: float32 (candidates, tests), as counted by the kernel for the processes of candidates
            and tests. The sum over a row is at most ``max_cpu_seconds``. Judging is shared by candidates
            with the same results, and charged to the first of them.
        wall_seconds: float32 (candidates, tests), the same on the clock.
        together: bool (candidates, tests), whether candidate and test had to share an interpreter.
        behaviour: what the candidates gave back on the tests' calls, if that was to be recorded.
        variations: int64 (tests,), further inputs of each test that were run alone on the same candidates:
            their calls are among those of the test in ``recorded_outputs``, their CPU time in ``cpu_seconds``.
    """

    verdicts: NDArray[np.uint8]
    cpu_seconds: NDArray[np.float32]
    wall_seconds: NDArray[np.float32]
    same_process: NDArray[np.bool_]
    recorded_outputs: RecordedOutputs | None
    input_mutations: NDArray[np.int64]


class Runner:
    """One long-lived sandbox, entered once; use it from one thread at a time, and close it.

    Args:
        limits: what one test may use.
        language: the candidates' language.
        require: isolation layers without which nothing is run.

    Attributes:
        layers: the isolation layers in force, outermost first.
        missing: the layers that this machine refuses.

    Raises:
        UserError: the language or a layer is unknown, a required layer is missing, or this is not Linux.
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

        A sandbox that breaks is replaced once, and the block is run in the new one.

        Args:
            candidates: whole programs.
            tests: tests of one problem.
            entry_point: name of the function or class that each candidate must define; None where that is
                not known, and a candidate must define whatever the tests call.
            wanted: bool (candidates, tests), which pairs to run; None says all. The others are ``NOT_RUN``.
            record: whether to tell what the candidates did.

        Raises:
            SandboxError: the sandbox broke twice, or could not be built again.
        """
        shape = (len(candidates), len(tests))
        pairs = np.argwhere(np.ones(shape, np.bool_) if wanted is None else wanted)
        block = {
            "candidates": list(candidates),
            "tests": [(test.code, test.kind) for test in tests],
            "entry_point": entry_point,
            "calls": None,
        }
        columns, made = self._answer(block, pairs, record=record)
        grids = []
        for column, nothing in zip(columns, (NOT_RUN, 0, 0, 0), strict=True):
            grid = np.full(shape, nothing, column.dtype)
            grid[tuple(pairs.T)] = column
            grids.append(grid)
        verdicts, same_process, cpu_seconds, wall_seconds = grids
        recorded_outputs = (
            outputs_on_tests(made, pairs, len(candidates), [t.index for t in tests]) if made else None
        )
        same_process = same_process.astype(np.bool_)
        none = np.zeros(len(tests), np.int64)
        return BlockVerdicts(verdicts, cpu_seconds, wall_seconds, same_process, recorded_outputs, none)

    def call(
        self, candidates: Sequence[str], inputs: Sequence[RecordedCall]
    ) -> tuple[RecordedOutputs, NDArray[np.float32]]:
        """Make calls of candidates, each with the candidate freshly loaded; no expected values needed.

        Args:
            candidates: whole programs.
            inputs: the calls, for example those of other tests or variations on them.

        Returns:
            What came out, with the inputs in the order given, as inputs of no test; and the CPU seconds of
            each call, float32 (candidates, inputs).

        Raises:
            SandboxError: the sandbox broke twice, or could not be built again.
        """
        pairs = np.argwhere(np.ones((len(candidates), len(inputs)), np.bool_))
        block = {
            "candidates": list(candidates),
            "tests": [("", TestKind.ASSERTIONS)] * len(inputs),
            "entry_point": None,
            "calls": [call_text(given) for given in inputs],
        }
        (_, _, used, _), made = self._answer(block, pairs, record=True)
        assert made is not None
        cpu_seconds = used.astype(np.float32).reshape(len(candidates), len(inputs))
        return outputs_on_inputs(inputs, made, pairs, len(candidates)), cpu_seconds

    def close(self) -> None:
        """End the sandbox and everything in it. Running another block would build a new one."""
        if self._sandbox is not None:
            self._sandbox.close()
            self._sandbox = None

    def _answer(
        self, block: dict[str, Any], pairs: NDArray[np.intp], *, record: bool
    ) -> tuple[list[NDArray[Any]], BlockCalls | None]:
        """What the sandbox answers to a block: columns over the pairs, and what is recorded of calls."""
        if len(pairs) == 0:
            return [np.zeros(0, kind) for kind in _COLUMNS], NO_CALLS if record else None
        message = block | {"pairs": pairs.tolist(), "record": record}
        for attempt in range(2):
            try:
                return self._open().run(message)
            except (OSError, EOFError, _InsideError) as error:
                self.close()
                if attempt:
                    raise SandboxError(f"the sandbox broke twice on one block: {error}") from error
            except BaseException:
                self.close()  # what is still to come would be taken for the answer to the next block
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
    """What the guard or the zygote has reported about itself."""


class _Sandbox:
    """The guard's process and the connection to the zygote."""

    def __init__(self, limits: TestLimits, language: str) -> None:
        self._limits = limits
        self._scratch: str | None = None
        self._connection, inside = socket.socketpair()
        self._connection.settimeout(_START_SECONDS)
        root = str(Path(testbudget.__file__).parents[1])
        interpreter = getattr(sys, "_base_executable", sys.executable)  # knows of no virtual environment
        kept = {name: os.environ[name] for name in _INHERITED_VARIABLES if name in os.environ}
        with inside:
            self._guard = subprocess.Popen(
                [interpreter, *_FLAGS, "-c", _PROGRAM, str(inside.fileno()), root],
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
        """Run one block of work, as the zygote takes it."""
        self._connection.settimeout(
            _PATIENCE_SECONDS + self._limits.wall_seconds
        )  # without any sign of life
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
        self._connection.close()  # the guard notices, and ends everything inside
        try:
            self._guard.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            self._guard.wait()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)  # gone already if the guard was alive
        cgroups.remove_abandoned_groups()

    def _receive(self) -> bytes:
        while not (frame := result_buffer.receive_frame(self._connection)):
            pass  # a sign of life
        if frame.startswith(b'{"failure"'):
            raise _InsideError(json.loads(frame)["failure"])
        return frame


def _package_directories(names: Sequence[str]) -> list[str]:
    """Directories of the packages that are installed, and of the libraries that wheels put beside them."""
    directories = []
    for name in names:
        found = importlib.util.find_spec(name)
        if found is not None and found.origin is not None:
            package = Path(found.origin).parent
            directories += [package, package.with_name(f"{name}.libs")]
    return [str(directory) for directory in directories if directory.is_dir()]
