"""One candidate on all tests of a block: the processes it runs in, watched from outside."""

import gc
import math
import os
import select
import signal
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from executors.execution import isolation, kernel
from executors.execution.board import Board
from executors.execution.limits import STARVED_PATIENCE, STARVED_SHARE, Limits, allowance
from rewards.problem import NOT_RUN, TestKind, Verdict

_CPUS = os.cpu_count() or 1


class Test(NamedTuple):
    """A compiled test."""

    program: Any
    kind: TestKind


class Block(NamedTuple):
    """What a problem's candidates have in common: tests, the name to define, the page for verdicts."""

    tests: Sequence[Test]
    entry_point: str
    board: Board


class Cell(NamedTuple):
    """What came out of one candidate on one test."""

    verdict: int  # a Verdict or NOT_RUN
    cpu_seconds: float


class _Ending(NamedTuple):
    """How a process ended: by which signal, if any, and for the sake of which test, if it was stopped."""

    signal: int
    overdue: int | None
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Station:
    """Where rows are run.

    Attributes:
        control: the zygote's connection to the runner, which no candidate may have.
        language: module that loads candidates and judges tests.
        layers: names of the isolation layers in force.
        limits: what a test may use.
        scratch: the directory that candidates may write to.
    """

    control: socket.socket
    language: Any
    layers: Sequence[str]
    limits: Limits
    scratch: str

    def confine_process(self, cpu_seconds: int) -> None:
        """Turn a process just forked from the zygote into one that may meet untrusted text."""
        self.control.close()
        isolation.confine_candidate(self.layers, self.limits, cpu_seconds)


def run_row(station: Station, candidate: str, block: Block) -> list[Cell]:
    """Run a candidate on all tests, in as many processes as it takes.

    A process runs one test after the other. When one dies, the test it was at gets a verdict by the way it
    died, and another process goes on with the test after. A candidate that keeps timing out is given up.

    Args:
        station: where to run.
        candidate: the candidate's program.
        block: what to run it on.

    Raises:
        OSError: no process could be forked or watched.
    """
    tests, board = block.tests, block.board
    row: list[Cell] = []
    spent = 0.0
    while (first := len(row)) < len(tests):
        cpu_seconds = allowance(station.limits, len(tests), spent)
        if cpu_seconds == 0:  # a candidate that has cheated the limit of single tests
            return row + [Cell(Verdict.TIMED_OUT, 0.0)] * (len(tests) - first)
        board.clear()
        process = kernel.fork()
        if process == 0:
            try:
                station.confine_process(cpu_seconds)
                _run_tests(station, candidate, block, first)
            finally:
                os._exit(0)
        ending = _watch(process, board, station.limits, len(tests) - first, cpu_seconds)
        if "seccomp" not in station.layers:
            isolation.end_descendants()
        isolation.empty(station.scratch)
        spent += ending.cpu_seconds

        cells = _left_on(board, first)
        progress = board.progress()
        unfinished = first + len(cells) < len(tests)
        died_loading = False
        was_at = first + len(cells)
        if unfinished and (not cells or (progress.test == was_at and ending.overdue in {None, was_at})):
            died_loading = first == 0 and not cells and not progress.loaded
            cells.append(Cell(_verdict_on_death(ending, cpu_seconds), 0.0))
        row += _accounted(cells, ending.cpu_seconds)
        if died_loading:  # it would die with every other test as well
            row += [Cell(row[0].verdict, 0.0)] * (len(tests) - 1)
        elif sum(cell.verdict == Verdict.TIMED_OUT for cell in row) >= station.limits.timeouts:
            row += [Cell(NOT_RUN, 0.0)] * (len(tests) - len(row))
    return row


def _run_tests(station: Station, candidate: str, block: Block, first: int) -> None:
    """In the candidate's process: judge the tests from ``first`` on, as far as this process is fit to."""
    tests, board = block.tests, block.board
    gc.enable()
    marks = board.take_marks()
    program = None
    before = 0.0  # of the main thread: once a process has a CPU limit, its own clock moves by whole ticks
    for index in range(first, len(tests)):
        board.begin(index, time.process_time())
        program = program or station.language.compiled(candidate)
        loaded = station.language.load(program, block.entry_point) if program else Verdict.ERRORED
        if isinstance(loaded, Verdict):
            verdict = loaded
        else:
            board.loaded(index)
            verdict = station.language.judge(loaded, *tests[index])
        now = time.thread_time()
        board.record(index, marks[verdict], now - before)
        before = now
        if isinstance(loaded, Verdict) and index == 0:
            for later in range(1, len(tests)):
                board.record(later, marks[verdict], 0.0)
            return
        if verdict is Verdict.OUT_OF_MEMORY or not station.language.is_fit():
            return  # what this test has left behind would be a burden on the next
        os.chdir(station.scratch)
        isolation.empty(station.scratch)


def _watch(process: int, board: Board, limits: Limits, tests: int, cpu_allowance: int) -> _Ending:
    """Wait for a process to end, or end it when it takes too long or too much CPU time.

    It is done from here, where the candidate cannot disarm it, and by the scheduler's count of CPU time:
    ``RLIMIT_CPU`` and ``ITIMER_PROF`` go by ticks, which is off by some percent on a busy machine. What the
    process says of its progress bounds a single test, never the whole.
    """
    descriptor = os.pidfd_open(process)
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    threads = min(limits.processes, _CPUS)
    start = time.monotonic()
    longest = tests * STARVED_PATIENCE * limits.wall_seconds
    while True:
        used = kernel.process_cpu_seconds(process)
        progress = board.progress()
        now = time.monotonic()
        used_by_test = max(0.0, used - max(0.0, progress.cpu_before))
        cpu_left = min(limits.cpu_seconds - used_by_test, cpu_allowance - used)
        since = max(start, progress.since)
        starved = used_by_test > STARVED_SHARE * (now - since)
        allowed = limits.wall_seconds * (STARVED_PATIENCE if starved else 1)
        left = min(since + allowed, start + longest) - now
        if left <= 0 or cpu_left <= 0:
            overdue: int | None = progress.test
            os.kill(process, signal.SIGKILL)
            break
        if poller.poll(math.ceil(1000 * min(left, limits.wall_seconds, cpu_left / threads))):
            overdue = None
            break
    os.close(descriptor)
    _, status, usage = os.wait4(process, 0)
    ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    return _Ending(ended_by, overdue, usage.ru_utime + usage.ru_stime)


def _verdict_on_death(ending: _Ending, allowed_cpu_seconds: int) -> Verdict:
    # The kernel enforces the allowance by ticks, a rough count; a process that kills itself is far from it.
    out_of_time = ending.signal == signal.SIGKILL and ending.cpu_seconds > allowed_cpu_seconds / 2
    return Verdict.TIMED_OUT if ending.overdue is not None or out_of_time else Verdict.KILLED


def _left_on(board: Board, first: int) -> list[Cell]:
    """The unbroken run of verdicts from a test on."""
    cells: list[Cell] = []
    while first + len(cells) < board.tests and (found := board.verdict(first + len(cells))) is not None:
        cells.append(Cell(*found))
    return cells


def _accounted(cells: list[Cell], cpu_seconds: float) -> list[Cell]:
    """Make the CPU seconds of a process's cells add up to what the kernel has counted for the process.

    Starting and ending the process, and further threads, go to its last test. Claims that cannot be true
    are replaced by equal shares.
    """
    claimed = [cell.cpu_seconds for cell in cells[:-1]]
    rest = cpu_seconds - sum(claimed)
    if not (rest >= 0 and all(claim >= 0 for claim in claimed)):
        claimed = [cpu_seconds / len(cells)] * len(claimed)
        rest = cpu_seconds / len(cells)
    return [Cell(cell.verdict, seconds) for cell, seconds in zip(cells, [*claimed, rest], strict=True)]
