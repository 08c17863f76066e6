"""Single pairs of a candidate and a test, gathered into blocks so that equal texts are handled once."""

import contextlib
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import testbudget
from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import BlockVerdicts, Runner, SandboxError
from testbudget.executors.execution.sandbox import kernel
from testbudget.rewards.errors import UserError
from testbudget.rewards.problem import TestKind, UnitTest

MOST_TESTS = 32
_MOST_CANDIDATES, _FEWEST_CANDIDATES = 64, 8
_BLOCKS_PER_RUNNER = 4


@dataclass(frozen=True, slots=True)
class PairRequest:
    """One program and one test to run it on.

    Attributes:
        candidate: a whole program.
        test: the test program, without the candidate.
        kind: how the test is run.
        language: of both.
        entry_point: name of the function or class under test; None for whatever the test calls.
    """

    candidate: str
    test: str
    kind: TestKind
    language: str = "python"
    entry_point: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Distinct candidates and distinct tests, and where among them the pairs are.

    Attributes:
        language: of all candidates and tests.
        entry_point: of all candidates.
        candidates: their texts.
        tests: a test's index is its position here.
        positions: intp (pairs,), where each pair stands in the sequence that was gathered.
        rows, columns: intp (pairs,), each pair's candidate and test. Equal pairs have the same two.
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
        """Bool (candidates, tests): which combinations are pairs."""
        mask = np.zeros((len(self.candidates), len(self.tests)), np.bool_)
        mask[self.rows, self.columns] = True
        return mask


def group_into_blocks(pairs: Sequence[PairRequest], runners: int = 1) -> list[Block]:
    """Put every pair into a block with others that share its candidate or its test.

    A block has at most 64 candidates, fewer where there would not be enough blocks for all runners, and
    at most 32 tests.

    Args:
        pairs: what is to be run, in any order.
        runners: how many share the work.

    Returns:
        Blocks in the order of their first pairs. Each position is in exactly one of them.
    """
    candidates = _Numbering()
    tests = _Numbering()
    rows = [candidates.number((pair.language, pair.entry_point, pair.candidate)) for pair in pairs]
    columns = [tests.number((pair.language, pair.entry_point, pair.test, pair.kind)) for pair in pairs]
    fair = -(-len(candidates.known) // (runners * _BLOCKS_PER_RUNNER))
    most_candidates = min(_MOST_CANDIDATES, max(_FEWEST_CANDIDATES, fair))

    components = _components(rows, columns, len(candidates.known))
    row_ranks = _ranks_within(components)
    component_of_test = [0] * len(tests.known)
    for row, column in zip(rows, columns, strict=True):
        component_of_test[column] = components[row]
    column_ranks = _ranks_within(component_of_test)

    tiles: dict[_Tile, list[int]] = {}
    for position, (row, column) in enumerate(zip(rows, columns, strict=True)):
        tile = _Tile(components[row], row_ranks[row] // most_candidates, column_ranks[column] // MOST_TESTS)
        tiles.setdefault(tile, []).append(position)
    return [_block(pairs, positions) for positions in tiles.values()]


class _Tile(NamedTuple):
    """A part of a component of bounded size."""

    component: int
    stripe_of_candidates: int
    stripe_of_tests: int


class _Numbering:
    """Numbers things in the order in which they are first seen."""

    def __init__(self) -> None:
        self.known: dict[tuple[object, ...], int] = {}

    def number(self, key: tuple[object, ...]) -> int:
        return self.known.setdefault(key, len(self.known))


def _components(rows: Sequence[int], columns: Sequence[int], candidates: int) -> list[int]:
    """For each candidate the first candidate that it is connected with, through tests they share."""
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
    """The position of each element among those of its component."""
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


# ~ """Several runners at once, each in a process of its own: blocks in, outcomes out as they are done."""


_PROGRAM = "import sys; sys.path.append(sys.argv[2]); from testbudget.executors.execution.worker_pool import serve_blocks; serve_blocks()"
_STOP_SECONDS = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class FinishedBlock:
    """A block that has been run.

    Attributes:
        block: what was run.
        outcomes: what came out; behaviour is not recorded.
        layers: the isolation layers in force.
        missing: the layers that this machine refuses.
    """

    block: Block
    outcomes: BlockVerdicts
    layers: tuple[str, ...]
    missing: tuple[str, ...]


def run_blocks(
    blocks: Sequence[Block], limits: TestLimits, runners: int, require: Sequence[str] = ()
) -> Generator[FinishedBlock]:
    """Run blocks side by side and yield each when it is done.

    A block whose runner fails is run once more, in a new one. Whatever ends the iteration, closing it
    included, ends all runners.

    Args:
        blocks: what to run.
        limits: what one test may use.
        runners: the most processes to start.
        require: isolation layers without which nothing is run.

    Raises:
        UserError: a language is unknown, or a required layer is missing.
        SandboxError: a block failed twice.
    """
    waiting = deque(blocks)
    failed: set[Block] = set()
    idle: list[_Member] = []
    working: dict[Connection, tuple[_Member, Block]] = {}
    finished: list[FinishedBlock] = []
    try:
        while True:
            while waiting and (idle or len(working) < runners):
                member = idle.pop() if idle else _Member(limits, require)
                block = waiting.popleft()
                working[member.connection] = member, block
                member.send(block)
            yield from finished  # only now, so that nobody is idle meanwhile
            if not working:
                return
            finished = []
            for connection in wait(list(working)):
                member, block = working[connection]  # type: ignore[index]
                try:
                    finished.append(member.receive(block))
                    idle.append(member)
                except (SandboxError, OSError, EOFError) as error:
                    if block in failed:
                        cause = str(error) or "a runner's process died"
                        raise SandboxError(f"a block of pairs failed twice: {cause}") from error
                    failed.add(block)
                    waiting.appendleft(block)
                    member.end()
                del working[member.connection]
    finally:
        for member in (*idle, *(member for member, _ in working.values())):
            member.end()


class _Member:
    """The caller's side of one process with a runner."""

    def __init__(self, limits: TestLimits, require: Sequence[str]) -> None:
        self.connection, inside = Pipe()
        with inside:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-c",
                    _PROGRAM,
                    str(inside.fileno()),
                    str(Path(testbudget.__file__).parents[1]),
                ],
                pass_fds=(inside.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the caller, who ends this process in good order
            )
        self.send((limits, tuple(require)))

    def send(self, message: object) -> None:
        with contextlib.suppress(OSError):  # the process has died, which shows when its answer is received
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
    """In a member's process: run blocks for as long as the caller sends any."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    connection = Connection(int(sys.argv[1]))
    runners: dict[str, Runner] = {}
    try:
        limits, require = connection.recv()
        while True:
            block = connection.recv()
            try:
                connection.send(_run(block, runners, limits, require))
            except (SandboxError, UserError) as error:
                connection.send(error)
    except (EOFError, OSError):
        pass  # the caller is gone
    finally:
        for runner in runners.values():
            runner.close()


def _run(
    block: Block, runners: dict[str, Runner], limits: TestLimits, require: Sequence[str]
) -> tuple[BlockVerdicts, tuple[str, ...], tuple[str, ...]]:
    runner = runners.get(block.language)
    if runner is None:
        runner = runners[block.language] = Runner(limits, language=block.language, require=require)
        kernel.die_with_parent(signal.SIGTERM)
    outcomes = runner.run(
        block.candidates, block.tests, block.entry_point, wanted=block.wanted, record=False
    )
    return outcomes, runner.layers, runner.missing
