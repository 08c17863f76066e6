"""The caller's side of a sandbox: sends blocks of candidates and tests in, takes verdicts out."""

import importlib.util
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from executors.execution import channel
from executors.execution.isolation import LAYERS
from executors.execution.limits import STARVED_PATIENCE, Limits, worst_cpu_seconds
from executors.execution.zygote import LANGUAGES
from rewards.behaviour import Behaviour
from rewards.errors import UserError
from rewards.problem import UnitTest

__all__ = ["Limits", "Outcomes", "Runner", "SandboxError", "worst_cpu_seconds"]

_DEFAULT_LIMITS = Limits()
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_PATIENCE_SECONDS = 60.0  # on top of what the tests of a candidate may take together
_INHERITED_VARIABLES = ("LD_LIBRARY_PATH", "OPENBLAS_CORETYPE")  # what makes libraries load and work here
_ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONHASHSEED": "0",  # the order of a set must not decide a verdict
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
_FLAGS = ("-s", "-S", "-P", "-B", "-X", "utf8", "-W", "ignore")
_PROGRAM = "import sys; sys.path.append(sys.argv[2]); from executors.execution.zygote import main; main()"


class SandboxError(Exception):
    """The sandbox itself failed; this says nothing about any candidate."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """What came out of a block.

    Attributes:
        verdicts: (candidates, tests), values of ``rewards.problem.Verdict``, or ``NOT_RUN`` for what was
            left out after ``Limits.timeouts``.
        cpu_seconds: (candidates, tests), as counted by the kernel for the candidate's processes. The sum
            over a row is at most ``worst_cpu_seconds``. A test that did not have to be run, because the
            candidate does not load or the test does not compile, has cost nothing.
    """

    verdicts: NDArray[np.uint8]
    cpu_seconds: NDArray[np.float32]
    behaviour: Behaviour | None = None


class Runner:
    """One long-lived sandbox, entered once; use it from one thread at a time, and close it.

    Args:
        limits: what one test may use.
        language: the candidates' language.

    Attributes:
        layers: the isolation layers in force, outermost first.
        missing: the layers that this machine refuses.

    Raises:
        UserError: the language is unknown, or this is not Linux.
        SandboxError: the sandbox could not be built.
    """

    layers: tuple[str, ...]
    missing: tuple[str, ...]

    def __init__(self, limits: Limits = _DEFAULT_LIMITS, *, language: str = "python") -> None:
        if language not in LANGUAGES:
            raise UserError(f"language must be one of {', '.join(LANGUAGES)} but got {language!r}")
        if sys.platform != "linux":
            raise UserError(f"candidates can be run on Linux only but this is {sys.platform}")
        self._limits = limits
        self._language = language
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

    def run(self, candidates: Sequence[str], tests: Sequence[UnitTest], entry_point: str) -> Outcomes:
        """Run every candidate on every test of one problem.

        A sandbox that breaks is replaced once, and the candidates it still owed are run in the new one.

        Args:
            candidates: whole programs.
            tests: tests of one problem.
            entry_point: name of the function or class that each candidate must define.

        Raises:
            SandboxError: the sandbox broke twice, or could not be built again.
        """
        verdicts = np.zeros((len(candidates), len(tests)), np.uint8)
        cpu_seconds = np.zeros((len(candidates), len(tests)), np.float32)
        done = 0
        may_replace = True
        while done < len(candidates) and tests:
            try:
                for row in self._open().run(candidates[done:], tests, entry_point):
                    verdicts[done] = np.frombuffer(row, np.uint8, len(tests))
                    cpu_seconds[done] = np.frombuffer(row, np.float32, len(tests), offset=len(tests))
                    done += 1
            except (OSError, EOFError, _InsideError) as error:
                self.close()
                if not may_replace:
                    raise SandboxError(f"the sandbox broke twice on one block: {error}") from error
                may_replace = False
            except BaseException:
                self.close()  # rows of this block would be taken for the next one's
                raise
        return Outcomes(verdicts, cpu_seconds)

    def close(self) -> None:
        """End the sandbox and everything in it. Running another block would build a new one."""
        if self._sandbox is not None:
            self._sandbox.close()
            self._sandbox = None

    def _open(self) -> "_Sandbox":
        if self._sandbox is None:
            try:
                self._sandbox = _Sandbox(self._limits, self._language)
            except (OSError, EOFError, _InsideError) as error:
                raise SandboxError(f"the sandbox could not be built: {error}") from error
            self.layers = self._sandbox.layers
            self.missing = tuple(layer for layer in LAYERS if layer not in self.layers)
        return self._sandbox


class _InsideError(Exception):
    """What the guard or the zygote has reported about itself."""


class _Sandbox:
    """The guard's process and the connection to the zygote."""

    def __init__(self, limits: Limits, language: str) -> None:
        self._limits = limits
        self._scratch: str | None = None
        self._connection, inside = socket.socketpair()
        self._connection.settimeout(_START_SECONDS)
        root = str(Path(__file__).parents[2])
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
            packages = _package_directories(LANGUAGES[language].PACKAGES)
            settings = {"limits": asdict(limits), "language": language, "packages": packages}
            channel.send(self._connection, json.dumps(settings).encode())
            ready = json.loads(self._receive())
        except BaseException:
            self.close()
            raise
        self.layers = tuple(ready["layers"])
        self._scratch = None if "mount" in self.layers else ready["scratch"]

    def run(
        self, candidates: Sequence[str], tests: Sequence[UnitTest], entry_point: str
    ) -> Iterator[bytes]:
        """Yield each candidate's verdicts and CPU seconds, as the zygote packs them."""
        block = {
            "candidates": list(candidates),
            "tests": [(test.code, test.kind) for test in tests],
            "entry_point": entry_point,
        }
        longest = len(tests) * STARVED_PATIENCE * self._limits.wall_seconds
        self._connection.settimeout(_PATIENCE_SECONDS + longest)
        channel.send(self._connection, json.dumps(block).encode())
        size = struct.calcsize(f"<{len(tests)}B{len(tests)}f")
        for _ in candidates:
            row = self._receive()
            if len(row) != size:
                raise _InsideError(f"a row of verdicts must have {size} bytes but has {len(row)}")
            yield row

    def close(self) -> None:
        self._connection.close()  # the guard notices, and ends everything inside
        try:
            self._guard.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            self._guard.wait()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)  # gone already if the guard was alive

    def _receive(self) -> bytes:
        frame = channel.receive(self._connection)
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
