"""Blocks run by several runners at once, each in a worker process of its own.

A worker process ends when its caller ends. A block under which worker processes die is run in ever smaller
parts, so that only the pairs are lost under which one dies each time.
"""

import contextlib
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, Pipe, wait
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np

from testbudget.executors.execution.limits import TestLimits, Trust
from testbudget.executors.execution.lost_pairs import LOST_SENTENCE
from testbudget.executors.execution.package_choice import NO_PACKAGES, PackageChoice
from testbudget.executors.execution.pair_blocks import Block, PairRequest, group_into_blocks
from testbudget.executors.execution.runner import BlockVerdicts, Runner
from testbudget.executors.execution.sandbox import kernel
from testbudget.executors.execution.sandbox_process import IMPORT_DIRECTORY, entry_code
from testbudget.rewards.errors import SandboxError, UserError
from testbudget.rewards.problem import NOT_RUN, TestKind
from testbudget.rewards.verdict_reason import DetailName, VerdictReason

_STOP_SECONDS = 30.0
_GRIDS = ("verdicts", "cpu_seconds", "wall_seconds", "same_process", "cut_at", "lost")
_DIED = "The runner's process died."
_WORKER_CODE = entry_code("testbudget.executors.execution.worker_pool", "serve_blocks")


@dataclass(frozen=True, slots=True, eq=False)
class FinishedBlock:
    """A block with its verdicts.

    Attributes:
        block: the block.
        block_verdicts: its verdicts, without recorded outputs.
        layers: the isolation layers in force.
        missing: the isolation layers that this machine refuses.
    """

    block: Block
    block_verdicts: BlockVerdicts
    layers: tuple[str, ...]
    missing: tuple[str, ...]


class BlockPool:
    """Pool of worker processes that run one block each at a time. Close it.

    If a worker fails, its block is run once more by a new one. If that dies too, the block is halved.

    Args:
        limits: limits of one test.
        runners: maximum number of worker processes. They are started when they are needed.
        require: isolation layers that must be in force.
        trust: trust in the authors of the candidates.
        packages: distributions that Python programs may import.
    """

    def __init__(
        self,
        limits: TestLimits,
        runners: int,
        require: Sequence[str] = (),
        trust: Trust = Trust.HOSTILE,
        packages: PackageChoice = NO_PACKAGES,
    ) -> None:
        self._settings = _Settings(limits, tuple(require), trust, packages)
        self._runners = runners
        self._idle: list[_Worker] = []
        self._working: dict[Connection, tuple[_Worker, Block]] = {}
        self._failed: set[Block] = set()
        self._parts: deque[Block] = deque()  # of failed blocks, to be run again
        self._parted: dict[Block, _PartedBlock] = {}  # block of each part
        self._error: SandboxError | UserError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def running(self) -> int:
        """Number of blocks that are being run, or are to be run again."""
        return len(self._working) + len(self._parts)

    @property
    def has_room(self) -> bool:
        """True if ``start`` may be called."""
        return self.running < self._runners

    def start(self, block: Block) -> None:
        """Have a block run by an idle worker, or by a new one."""
        worker = self._idle.pop() if self._idle else _Worker(self._settings)
        self._working[worker.connection] = worker, block
        worker.send(block)

    def wait(self, descriptors: Sequence[int] = ()) -> list[FinishedBlock]:
        """Wait until a block has finished or one of the descriptors can be read.

        Returns:
            The blocks that have finished; empty if there is none, or none was started.

        Raises:
            UserError: a language is unknown, or a required layer is missing.
            SandboxError: no sandbox can be built, or no worker can run anything.
        """
        while self._parts and len(self._working) < self._runners:
            self.start(self._parts.popleft())
        finished = []
        sources: list[Connection | int] = [*self._working, *descriptors] if self._error is None else []
        for ready in wait(sources) if sources else []:
            if not isinstance(ready, Connection):
                continue
            worker, block = self._working.pop(ready)
            try:
                finished += self._whole(worker.receive(block))
                self._idle.append(worker)
                continue
            except (SandboxError, OSError, EOFError, UserError) as error:
                worker.end()
                cause = error
            try:
                finished += self._after_failure(block, cause)
            except (SandboxError, UserError) as error:
                self._error = error
        if self._error is not None and not finished:  # what has finished is told first
            raise self._error
        return finished

    def _after_failure(self, block: Block, cause: Exception) -> list[FinishedBlock]:
        """Have a block run again, or in parts; return a single pair without a verdict.

        Raises:
            UserError, SandboxError: the failure is none of this block.
        """
        if isinstance(cause, UserError):
            raise cause
        if block not in self._failed:
            parts = [block]
        elif isinstance(cause, SandboxError):
            raise SandboxError(f"a block of pairs failed twice: {cause}")
        elif len(block.positions) > 1:
            parts = block.halves()
            parted = self._parted.pop(block, None) or _PartedBlock(block)
            parted.open += len(parts) - bool(parted.open)
            self._parted.update((part, parted) for part in parts)
        else:
            return self._whole(_lost(block, self._probed()))
        self._failed.update(parts)
        self._parts.extend(parts)
        return []

    def _whole(self, finished: FinishedBlock) -> list[FinishedBlock]:
        """A finished block; that of which it is the last part; or nothing if it is another part."""
        parted = self._parted.pop(finished.block, None)
        if parted is None:
            return [finished]
        parted.open -= 1
        parted.add(finished)
        return [] if parted.open or parted.finished is None else [parted.finished]

    def _probed(self) -> FinishedBlock:
        """An empty pair, judged by a new worker.

        Raises:
            SandboxError: that fails, too.
        """
        worker = _Worker(self._settings)
        (block,) = group_into_blocks([PairRequest("", "", TestKind.ASSERT)])
        worker.send(block)
        try:
            return worker.receive(block)
        except (OSError, EOFError) as error:
            raise SandboxError(f"every block of pairs fails: {error or _DIED}") from None
        finally:
            worker.end()

    def close(self) -> None:
        """End all workers; blocks that are being run have no verdicts."""
        workers = [*self._idle, *(worker for worker, _ in self._working.values())]
        self._idle, self._working = [], {}
        for worker in workers:
            worker.stop()
        for worker in workers:
            worker.end()


@dataclass(slots=True, eq=False)
class _PartedBlock:
    """Block that is run in parts.

    Attributes:
        block: the block.
        open: number of parts that have not finished.
        finished: verdicts of those that have.
    """

    block: Block
    open: int = 0
    finished: FinishedBlock | None = None

    def add(self, part: FinishedBlock) -> None:
        """Add the verdicts of a part."""
        new = part.block_verdicts
        if self.finished is not None:
            old, wanted = self.finished.block_verdicts, part.block.wanted
            grids = {name: np.where(wanted, getattr(new, name), getattr(old, name)) for name in _GRIDS}
            reason_of = np.where(wanted, new.reason_of + np.int32(len(old.reasons)), old.reason_of)
            new = replace(old, **grids, reasons=(*old.reasons, *new.reasons), reason_of=reason_of)
        self.finished = FinishedBlock(self.block, new, part.layers, part.missing)


class _Settings(NamedTuple):
    """Settings of all runners of a pool."""

    limits: TestLimits
    require: tuple[str, ...]
    trust: Trust
    packages: PackageChoice


class _Worker:
    """The caller's side of a worker process."""

    def __init__(self, settings: _Settings) -> None:
        self.connection, inside = Pipe()
        with inside:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-c",
                    _WORKER_CODE,
                    str(inside.fileno()),
                    IMPORT_DIRECTORY,
                ],
                pass_fds=(inside.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C reaches the caller alone, which ends this process
            )
        self.send(settings)

    def send(self, message: object) -> None:
        with contextlib.suppress(OSError):  # a dead process shows when its answer is received
            self.connection.send(message)

    def receive(self, block: Block) -> FinishedBlock:
        answer = self.connection.recv()
        if isinstance(answer, Exception):
            raise answer
        return FinishedBlock(block, *answer)

    def stop(self) -> None:
        """Tell the process to end."""
        self._process.terminate()

    def end(self) -> None:
        """Wait until the process has ended."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.connection.close()


def _lost(block: Block, probed: FinishedBlock) -> FinishedBlock:
    """Answer to a block of one pair, which has no verdict, with the layers of another one."""
    shape = (len(block.candidates), len(block.tests))
    nothing = np.zeros(shape, np.float32)
    block_verdicts = BlockVerdicts(
        verdicts=np.full(shape, NOT_RUN, np.uint8),
        cpu_seconds=nothing,
        wall_seconds=nothing,
        same_process=np.zeros(shape, np.bool_),
        cut_at=nothing,
        lost=block.wanted,
        reasons=(VerdictReason(LOST_SENTENCE, {DetailName.MESSAGE: _DIED}),),
        reason_of=np.zeros(shape, np.int32),
        recorded_outputs=None,
        input_mutations=np.zeros(len(block.tests), np.int64),
    )
    return FinishedBlock(block, block_verdicts, probed.layers, probed.missing)


def serve_blocks() -> None:
    """Main function of a worker process: run blocks that arrive over the descriptor in ``sys.argv[1]``."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    connection = Connection(int(sys.argv[1]))
    runners: dict[str, Runner] = {}
    try:
        settings = connection.recv()
        while True:
            block = connection.recv()
            try:
                connection.send(_run(block, runners, settings))
            except (SandboxError, UserError) as error:
                connection.send(error)
    except (EOFError, OSError):
        pass  # the caller has ended
    finally:
        for runner in runners.values():
            runner.close()


def _run(
    block: Block,
    runners: dict[str, Runner],
    settings: _Settings,
) -> tuple[BlockVerdicts, tuple[str, ...], tuple[str, ...]]:
    runner = runners.get(block.language)
    if runner is None:
        runner = runners[block.language] = Runner(
            settings.limits,
            language=block.language,
            require=settings.require,
            trust=settings.trust,
            packages=settings.packages,
        )
        kernel.die_with_parent(signal.SIGTERM)
    block_verdicts = runner.run(
        block.candidates,
        block.tests,
        block.entry_point,
        wanted=block.wanted,
        record=False,
        comparison=block.comparison,
    )
    return block_verdicts, runner.layers, runner.missing
