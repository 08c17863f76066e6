"""Pairs of a candidate and a test, grouped into blocks; blocks run by several runners at once.

A block holds each distinct candidate and test once, so that equal texts are compiled and run once. Each
runner works in a process of its own, which ends when its caller ends.
"""

import contextlib
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from testbudget.executors.execution.limits import TestLimits, Trust
from testbudget.executors.execution.runner import BlockVerdicts, Runner
from testbudget.executors.execution.sandbox import kernel
from testbudget.executors.execution.sandbox_process import IMPORT_DIRECTORY, entry_code
from testbudget.rewards.errors import SandboxError, UserError
from testbudget.rewards.problem import TestKind, UnitTest

MAX_TESTS = 32
"""Maximum number of tests in a block."""

_MAX_CANDIDATES, _MIN_CANDIDATES = 64, 8
_BLOCKS_PER_RUNNER = 4
_STOP_SECONDS = 30.0
_WORKER_CODE = entry_code("testbudget.executors.execution.worker_pool", "serve_blocks")


@dataclass(frozen=True, slots=True)
class PairRequest:
    """Pair of a candidate and a test to be run.

    Attributes:
        candidate: a whole program.
        test: the test program, without the candidate.
        kind: form of the test program.
        language: language of both programs.
        entry_point: name of the function or class under test; None if unknown.
    """

    candidate: str
    test: str
    kind: TestKind
    language: str = "python"
    entry_point: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Distinct candidates and tests of some pairs, and the position of each pair among them.

    Attributes:
        language: language of all programs.
        entry_point: entry point of all candidates.
        candidates: program texts.
        tests: the tests; the index of each is its position.
        positions: intp (pairs,), position of each pair in the sequence that was grouped.
        rows, columns: intp (pairs,), candidate and test of each pair. Equal pairs have equal values.
    """

    language: str
    entry_point: str | None
    candidates: tuple[str, ...]
    tests: tuple[UnitTest, ...]
    positions: NDArray[np.intp]
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]

    @property
    def wanted(self) -> NDArray[np.bool_]:
        """Mask of the combinations that are pairs, bool (candidates, tests)."""
        mask = np.zeros((len(self.candidates), len(self.tests)), np.bool_)
        mask[self.rows, self.columns] = True
        return mask


def group_into_blocks(pairs: Sequence[PairRequest], runners: int = 1) -> list[Block]:
    """Group pairs that share candidates or tests into blocks.

    A block has at most 32 tests and at most 64 candidates. It has fewer candidates, down to 8, if
    there would otherwise be less than 4 blocks per runner.

    Args:
        pairs: the pairs to run, in any order.
        runners: number of runners that share the blocks.

    Returns:
        Blocks in the order of their first pairs. Each pair is in exactly one of them.
    """
    candidates = _Numbering()
    tests = _Numbering()
    rows = [candidates.number((pair.language, pair.entry_point, pair.candidate)) for pair in pairs]
    columns = [tests.number((pair.language, pair.entry_point, pair.test, pair.kind)) for pair in pairs]
    fair = -(-len(candidates.known) // (runners * _BLOCKS_PER_RUNNER))
    max_candidates = min(_MAX_CANDIDATES, max(_MIN_CANDIDATES, fair))

    components = _components(rows, columns, len(candidates.known))
    row_ranks = _ranks_within(components)
    component_of_test = [0] * len(tests.known)
    for row, column in zip(rows, columns, strict=True):
        component_of_test[column] = components[row]
    column_ranks = _ranks_within(component_of_test)

    by_block: dict[_BlockKey, list[int]] = {}
    for position, (row, column) in enumerate(zip(rows, columns, strict=True)):
        candidate_range = row_ranks[row] // max_candidates
        test_range = column_ranks[column] // MAX_TESTS
        key = _BlockKey(components[row], candidate_range, test_range)
        by_block.setdefault(key, []).append(position)
    return [_block(pairs, positions) for positions in by_block.values()]


class _BlockKey(NamedTuple):
    """Key of a block: a range of the candidates and of the tests of a component."""

    component: int
    candidate_range: int
    test_range: int


class _Numbering:
    """Numbers of keys in the order of their first occurrence, from 0."""

    def __init__(self) -> None:
        self.known: dict[tuple[object, ...], int] = {}

    def number(self, key: tuple[object, ...]) -> int:
        return self.known.setdefault(key, len(self.known))


def _components(rows: Sequence[int], columns: Sequence[int], candidates: int) -> list[int]:
    """Connected component of each candidate through shared tests: number of its first candidate."""
    above = list(range(candidates))

    def first(row: int) -> int:
        while above[row] != row:
            above[row] = above[above[row]]
            row = above[row]
        return row

    seen_with: dict[int, int] = {}
    for row, column in zip(rows, columns, strict=True):
        one, other = first(row), first(seen_with.setdefault(column, row))
        above[max(one, other)] = min(one, other)
    return [first(row) for row in range(candidates)]


def _ranks_within(components: Sequence[int]) -> list[int]:
    """Position of each element among the elements of its component."""
    sizes: dict[int, int] = {}
    ranks = []
    for component in components:
        ranks.append(sizes.get(component, 0))
        sizes[component] = ranks[-1] + 1
    return ranks


def _block(pairs: Sequence[PairRequest], positions: Sequence[int]) -> Block:
    candidates: dict[str, int] = {}
    tests: dict[tuple[str, TestKind], int] = {}
    rows = []
    columns = []
    for position in positions:
        pair = pairs[position]
        rows.append(candidates.setdefault(pair.candidate, len(candidates)))
        columns.append(tests.setdefault((pair.test, pair.kind), len(tests)))
    return Block(
        pairs[positions[0]].language,
        pairs[positions[0]].entry_point,
        tuple(candidates),
        tuple(UnitTest("", index, code, kind=kind) for (code, kind), index in tests.items()),
        np.array(positions, np.intp),
        np.array(rows, np.intp),
        np.array(columns, np.intp),
    )


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


def run_blocks(
    blocks: Sequence[Block],
    limits: TestLimits,
    runners: int,
    require: Sequence[str] = (),
    trust: Trust = Trust.HOSTILE,
) -> Generator[FinishedBlock]:
    """Run blocks in parallel and yield each when it is finished.

    If a runner fails, its block is run once more by a new runner. All runners end when the iteration ends,
    also by an error or by closing the generator.

    Args:
        blocks: the blocks to run.
        limits: limits of one test.
        runners: maximum number of worker processes.
        require: isolation layers that must be in force.
        trust: trust in the authors of the candidates.

    Raises:
        UserError: a language is unknown, or a required layer is missing.
        SandboxError: a block failed twice.
    """
    waiting = deque(blocks)
    failed: set[Block] = set()
    idle: list[_Worker] = []
    working: dict[Connection, tuple[_Worker, Block]] = {}
    finished: list[FinishedBlock] = []
    try:
        while True:
            while waiting and (idle or len(working) < runners):
                worker = idle.pop() if idle else _Worker(limits, require, trust)
                block = waiting.popleft()
                working[worker.connection] = worker, block
                worker.send(block)
            yield from finished  # after sending, so that no worker waits for the caller
            if not working:
                return
            finished = []
            for connection in wait(list(working)):
                worker, block = working[connection]  # type: ignore[index]
                try:
                    finished.append(worker.receive(block))
                    idle.append(worker)
                except (SandboxError, OSError, EOFError) as error:
                    if block in failed:
                        cause = str(error) or "a runner's process died"
                        raise SandboxError(f"a block of pairs failed twice: {cause}") from error
                    failed.add(block)
                    waiting.appendleft(block)
                    worker.end()
                del working[worker.connection]
    finally:
        for worker in (*idle, *(worker for worker, _ in working.values())):
            worker.end()


class _Worker:
    """The caller's side of a worker process."""

    def __init__(self, limits: TestLimits, require: Sequence[str], trust: Trust) -> None:
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
        self.send((limits, tuple(require), trust))

    def send(self, message: object) -> None:
        with contextlib.suppress(OSError):  # a dead process shows when its answer is received
            self.connection.send(message)

    def receive(self, block: Block) -> FinishedBlock:
        answer = self.connection.recv()
        if isinstance(answer, Exception):
            raise answer
        return FinishedBlock(block, *answer)

    def end(self) -> None:
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
        limits, require, trust = connection.recv()
        while True:
            block = connection.recv()
            try:
                connection.send(_run(block, runners, limits, require, trust))
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
    limits: TestLimits,
    require: Sequence[str],
    trust: Trust,
) -> tuple[BlockVerdicts, tuple[str, ...], tuple[str, ...]]:
    runner = runners.get(block.language)
    if runner is None:
        runner = runners[block.language] = Runner(
            limits, language=block.language, require=require, trust=trust
        )
        kernel.die_with_parent(signal.SIGTERM)
    block_verdicts = runner.run(
        block.candidates, block.tests, block.entry_point, wanted=block.wanted, record=False
    )
    return block_verdicts, runner.layers, runner.missing
