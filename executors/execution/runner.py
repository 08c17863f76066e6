"""Runner, which judges blocks of candidates and tests in a sandbox.

Candidates and tests run only inside the sandbox. A guard process enters the isolation layers. A server
process inside forks a confined process for each piece of untrusted code. The caller holds one socket to it
and reads only bytes of a fixed layout and JSON. Closing the socket ends every process inside.
docs/sandbox.md describes what this protects, docs/isolation.md what each layer needs.
"""

import sys
import threading
from collections.abc import Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from testbudget.executors.execution.languages import registry
from testbudget.executors.execution.limits import ISOLATION_LAYERS, TestLimits, Trust, check_layers
from testbudget.executors.execution.lost_pairs import (
    PartedAnswer,
    SandboxCalls,
    SandboxEndedError,
    answer_in_parts,
)
from testbudget.executors.execution.output_digests import (
    NO_CALLS,
    call_text,
    outputs_on_inputs,
    outputs_on_tests,
)
from testbudget.executors.execution.package_choice import NO_PACKAGES, PackageChoice
from testbudget.executors.execution.packages import find_packages, told_how_to_import
from testbudget.executors.execution.sandbox_process import (
    COLUMNS,
    BlockAnswer,
    InsideError,
    SandboxProcess,
)
from testbudget.rewards.comparison import DEFAULT_COMPARISON, Comparison
from testbudget.rewards.errors import SandboxError, UserError
from testbudget.rewards.outputs import RecordedCall, RecordedOutputs
from testbudget.rewards.problem import NOT_RUN, TestKind, UnitTest
from testbudget.rewards.verdict_reason import VerdictReason

_DEFAULT_LIMITS = TestLimits()
_OF_PROGRAMS = {TestKind.STDIN, TestKind.ASSERT}
_NOT_WANTED = VerdictReason("The pair was not wanted.")
_PROBE: dict[str, Any] = {
    "candidates": [""],
    "tests": [("", TestKind.ASSERT)],
    "entry_point": None,
    "calls": None,
    "comparison": DEFAULT_COMPARISON.as_text(),
    "standing": None,
    "pairs": [[0, 0]],
    "record": False,
}  # block of an empty program, which ends no sandbox


@dataclass(frozen=True, slots=True, eq=False)
class BlockVerdicts:
    """Verdicts on all pairs of a block, with their cost.

    Attributes:
        verdicts: uint8 (candidates, tests), values of ``rewards.problem.Verdict``; ``NOT_RUN`` for pairs
            that were not wanted, that are lost, and for pairs left out after ``TestLimits.max_timeouts``.
        cpu_seconds: float32 (candidates, tests), CPU-seconds of candidate and judge processes as counted by
            the kernel; 0 for pairs that were not run. The sum of a row is at most ``max_cpu_seconds``. A
            judge process shared by candidates with equal results is charged to the first of them, and so is
            the time of candidates with equal texts, which are run once.
        wall_seconds: float32 (candidates, tests), elapsed seconds of the same processes.
        same_process: bool (candidates, tests), True where the verdict was found in one process with the
            candidate, which only `Trust.HONEST` allows.
        cut_at: float32 (candidates, tests), CPU-seconds after which a pair was cut off before its full
            limit, since no verdict on it could have changed which candidates lead; 0 where it was not.
        lost: bool (candidates, tests), True where there is no verdict since the sandbox ended each time
            that the pair was run; it is ``NOT_RUN`` in ``verdicts``.
        reasons: distinct reasons of the verdicts. The first one is that of pairs that were not wanted.
        reason_of: int32 (candidates, tests), reason of each pair, by position in ``reasons``.
        recorded_outputs: outputs of the candidates on the calls of the tests; None if not recorded.
        input_mutations: int64 (tests,), number of mutated inputs that were run for each test. Their calls
            are in ``recorded_outputs`` under the test, their CPU-seconds in ``cpu_seconds``.
    """

    verdicts: NDArray[np.uint8]
    cpu_seconds: NDArray[np.float32]
    wall_seconds: NDArray[np.float32]
    same_process: NDArray[np.bool_]
    cut_at: NDArray[np.float32]
    lost: NDArray[np.bool_]
    reasons: tuple[VerdictReason, ...]
    reason_of: NDArray[np.int32]
    recorded_outputs: RecordedOutputs | None
    input_mutations: NDArray[np.int64]


class InterruptedBlockError(Exception):
    """End of a block by ``Runner.interrupt``. It is no verdict."""


class Runner:
    """A sandbox for many blocks. Use it from one thread at a time, and close it.

    Other threads may read ``cpu_seconds`` and call ``interrupt``.

    Args:
        limits: limits of one test.
        language: language of the candidates and tests.
        require: isolation layers that must be in force.
        trust: trust in the authors of the candidates.
        packages: distributions that programs may import, if they are Python.

    Attributes:
        language: as given.
        layers: the isolation layers in force, outermost first.
        missing: the isolation layers that this machine refuses.

    Raises:
        UserError: the language or a layer is unknown, its interpreter, a package or a required layer is
            missing, or the system is not Linux.
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
        trust: Trust = Trust.HOSTILE,
        packages: PackageChoice = NO_PACKAGES,
    ) -> None:
        programs = registry.language(language).programs
        if sys.platform != "linux":
            raise UserError(f"candidates can be run on Linux only but this is {sys.platform}")
        for program in programs:
            if not Path(program).is_file():
                raise UserError(f"running {language} needs {program}, which is not on the PATH")
        check_layers(require)
        self._limits = limits
        self.language = language
        self._require = tuple(require)
        self._trust = trust
        # Other languages import none.
        self._python = packages.python
        self._visible = find_packages(packages if registry.language(language).packages else NO_PACKAGES)
        self._sandbox: SandboxProcess | None = None
        self._ended_cpu_seconds = 0.0  # of earlier sandboxes
        self._changing = threading.Lock()  # of the two attributes above
        self._interrupted = threading.Event()
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
        comparison: Comparison = DEFAULT_COMPARISON,
        wanted: NDArray[np.bool_] | None = None,
        record: bool = True,
        standing: NDArray[np.integer[Any]] | None = None,
        settle: bool = True,
    ) -> BlockVerdicts:
        """Run candidates on tests of one problem.

        If the sandbox ends, the block is run again in a new one. If that ends too, the block is run in ever
        smaller parts, so that only the pairs are lost that end a sandbox alone.

        Args:
            candidates: whole programs.
            tests: tests of one problem.
            entry_point: name of the function or class that each candidate must define. None if it is
                unknown; a candidate must then define the functions that the tests call.
            comparison: comparison of expected and given outputs.
            wanted: bool (candidates, tests), True for the pairs to run; None for all pairs.
            record: True to record the outputs of the candidates.
            standing: int (candidates,), tests that each candidate has passed before; None for zeros.
            settle: True to run every pair to its full limit. False to run slow pairs to it only while a
                verdict on them can change which candidates have passed the most tests, ``standing``
                included. The others are timed out, with ``cut_at``.

        Raises:
            UserError: the language has no engine for a test's kind.
            SandboxError: no sandbox can be built, or none can judge anything.
        """
        self._check_kinds({test.kind for test in tests})
        shape = (len(candidates), len(tests))
        pairs = np.argwhere(np.ones(shape, np.bool_) if wanted is None else wanted)
        block = {
            "candidates": list(candidates),
            "tests": [(test.code, test.kind) for test in tests],
            "entry_point": entry_point,
            "calls": None,
            "comparison": comparison.as_text(),
            "standing": None,
        }
        if not settle:
            block["standing"] = [0] * shape[0] if standing is None else standing.tolist()
        (columns, reasons, calls), lost_pairs = self._answer(block, pairs, record=record)
        lost = np.zeros(shape, np.bool_)
        lost[tuple(pairs.T)] = lost_pairs
        grids = []
        for column, default in zip(columns, (NOT_RUN, 0, 0, 0, 0, -1), strict=True):
            grid = np.full(shape, default, column.dtype)
            grid[tuple(pairs.T)] = column
            grids.append(grid)
        verdicts, same_process, cpu_seconds, wall_seconds, cut_at, reason_of = grids
        recorded_outputs = (
            outputs_on_tests(calls, pairs, len(candidates), [t.index for t in tests]) if calls else None
        )
        return BlockVerdicts(
            verdicts,
            cpu_seconds,
            wall_seconds,
            same_process.astype(np.bool_),
            cut_at,
            lost,
            (_NOT_WANTED, *(told_how_to_import(reason, self._python) for reason in reasons)),
            reason_of + np.int32(1),
            recorded_outputs,
            np.zeros(len(tests), np.int64),
        )

    def call(
        self,
        candidates: Sequence[str],
        inputs: Sequence[RecordedCall],
        *,
        comparison: Comparison = DEFAULT_COMPARISON,
    ) -> tuple[RecordedOutputs, NDArray[np.float32]]:
        """Make every call on every candidate, without a test. A candidate is loaded anew for each call.

        Args:
            candidates: whole programs.
            inputs: the calls, for example those of recorded tests or mutations of them. A call of
                ``STDIN_CALL`` is a run of the candidate as a program.
            comparison: tells which outputs are equal.

        Returns:
            The recorded outputs, with ``inputs`` in the given order and without a test, and the
            CPU-seconds of each call, float32 (candidates, inputs). A call that ended the sandbox each time
            has ``NO_RESULT``.

        Raises:
            SandboxError: no sandbox can be built, or none can judge anything.
        """
        pairs = np.argwhere(np.ones((len(candidates), len(inputs)), np.bool_))
        block = {
            "candidates": list(candidates),
            "tests": [("", TestKind.ASSERT)] * len(inputs),
            "entry_point": None,
            "calls": [call_text(given) for given in inputs],
            "comparison": comparison.as_text(),
            "standing": None,
        }
        ((_, _, used, *_), _, calls), _ = self._answer(block, pairs, record=True)
        assert calls is not None
        cpu_seconds = used.astype(np.float32).reshape(len(candidates), len(inputs))
        return outputs_on_inputs(inputs, calls, pairs, len(candidates)), cpu_seconds

    def close(self) -> None:
        """End the sandbox and every process in it. The next block builds a new sandbox."""
        if (sandbox := self._sandbox) is not None:
            cpu_seconds = sandbox.close()
            with self._changing:
                self._ended_cpu_seconds += cpu_seconds
                self._sandbox = None

    @property
    def cpu_seconds(self) -> float:
        """CPU-seconds of all sandboxes so far as the kernel counts them, their start included.

        ``BlockVerdicts.cpu_seconds`` sums up to less: it leaves out the processes that watch and compile.
        """
        with self._changing:
            current = self._sandbox.cpu_time.seconds() if self._sandbox is not None else 0.0
            return self._ended_cpu_seconds + current

    def interrupt(self) -> None:
        """End the sandbox now. Every block raises InterruptedBlockError until ``admit`` is called."""
        self._interrupted.set()
        with self._changing:
            if self._sandbox is not None:
                self._sandbox.interrupt()

    def admit(self) -> None:
        """Run blocks again after ``interrupt``."""
        self._interrupted.clear()

    def _check_kinds(self, kinds: Set[TestKind]) -> None:
        """Check that the language judges tests of these kinds."""
        language = registry.language(self.language)
        if TestKind.STDIN in kinds and not language.runs_programs:
            raise UserError(f"{self.language} runs no programs so tests must not be of kind stdin")
        if not language.judges_calls and (others := sorted(kinds - _OF_PROGRAMS)):
            raise UserError(
                f"{self.language} runs whole programs so tests must be of kind stdin or assert but got "
                f"{others[0]}"
            )

    def _answer(self, block: dict[str, Any], pairs: NDArray[np.intp], *, record: bool) -> PartedAnswer:
        """Send a block and return the answer to it."""
        if len(pairs) == 0:
            nothing = BlockAnswer([np.zeros(0, kind) for kind in COLUMNS], (), NO_CALLS if record else None)
            return PartedAnswer(nothing, np.zeros(0, np.bool_))

        def answer(some: NDArray[np.intp]) -> BlockAnswer:
            return self._attempt(block | {"pairs": some.tolist(), "record": record})

        def probe() -> None:
            try:
                self._attempt(_PROBE)
            except SandboxEndedError as error:
                raise SandboxError(f"the sandbox fails on every block: {error}") from None

        for _ in range(2):
            with suppress(SandboxEndedError):
                return PartedAnswer(answer(pairs), np.zeros(len(pairs), np.bool_))
        block["standing"] = None  # a part does not show which candidates lead
        parted = answer_in_parts(pairs, SandboxCalls(answer, probe))
        return parted if record else parted._replace(answer=parted.answer._replace(calls=None))

    def _attempt(self, message: dict[str, Any]) -> BlockAnswer:
        """Send a block to the sandbox, or to a new one if it has ended.

        Raises:
            SandboxEndedError: the sandbox ended under the block.
            SandboxError: no sandbox can be built.
            InterruptedBlockError: ``interrupt`` was called.
        """
        try:
            return self._open().run(message)
        except (OSError, EOFError, SandboxError, InsideError) as error:
            self.close()
            if self._interrupted.is_set():
                raise InterruptedBlockError("the block was interrupted") from None
            if isinstance(error, SandboxError):
                raise
            raise SandboxEndedError(str(error)) from error
        except BaseException:
            self.close()  # a late answer would be read as the answer to the next block
            raise

    def _open(self) -> SandboxProcess:
        if self._sandbox is None:
            try:
                sandbox = SandboxProcess(self._limits, self.language, self._trust, self._visible)
                with self._changing:
                    self._sandbox = sandbox
                    if self._interrupted.is_set():
                        sandbox.interrupt()
                sandbox.start()
            except (OSError, EOFError, InsideError) as error:
                self.close()
                raise SandboxError(f"the sandbox could not be built: {error}") from error
            except BaseException:
                self.close()
                raise
            self.layers = self._sandbox.layers
            self.missing = tuple(layer for layer in ISOLATION_LAYERS if layer not in self.layers)
            if lacking := [layer for layer in self.missing if layer in self._require]:
                self.close()
                raise UserError(
                    f"sandbox.require names {', '.join(lacking)}, which this machine refuses; "
                    f"in force are {', '.join(self.layers)}"
                )
        return self._sandbox
