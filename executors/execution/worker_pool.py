"""Blocks run by several runners at once, each in a worker process of its own.

A worker process ends when its caller ends.
"""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from types import TracebackType
from typing import NamedTuple, Self

from testbudget.executors.execution.limits import TestLimits, Trust
from testbudget.executors.execution.package_choice import NO_PACKAGES, PackageChoice
from testbudget.executors.execution.pair_blocks import Block
from testbudget.executors.execution.runner import BlockVerdicts, Runner
from testbudget.executors.execution.sandbox import kernel
from testbudget.executors.execution.sandbox_process import IMPORT_DIRECTORY, entry_code
from testbudget.rewards.errors import SandboxError, UserError

_STOP_SECONDS = 30.0
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

    If a worker fails, its block is run once more by a new one.

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
        self._error: SandboxError | UserError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def running(self) -> int:
        """Number of blocks that are being run."""
        return len(self._working)

    @property
    def has_room(self) -> bool:
        """True if ``start`` may be called."""
        return len(self._working) < self._runners

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
            SandboxError: a block failed twice.
        """
        finished = []
        sources: list[Connection | int] = [*self._working, *descriptors] if self._error is None else []
        for ready in wait(sources) if sources else []:
            if not isinstance(ready, Connection):
                continue
            worker, block = self._working.pop(ready)
            try:
                finished.append(worker.receive(block))
                self._idle.append(worker)
            except (SandboxError, OSError, EOFError) as error:
                worker.end()
                if block in self._failed:
                    cause = str(error) or "a runner's process died"
                    self._error = SandboxError(f"a block of pairs failed twice: {cause}")
                else:
                    self._failed.add(block)
                    self.start(block)
            except UserError as error:
                worker.end()
                self._error = error
        if self._error is not None and not finished:  # what has finished is told first
            raise self._error
        return finished

    def close(self) -> None:
        """End all workers; blocks that are being run have no verdicts."""
        workers = [*self._idle, *(worker for worker, _ in self._working.values())]
        self._idle, self._working = [], {}
        for worker in workers:
            worker.stop()
        for worker in workers:
            worker.end()


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
