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
from executors.execution.limits import STARVED_PATIENCE, STARVED_SHARE, TICK_SECONDS, Limits, allowance
from rewards.problem import TestKind, Verdict

_CPUS = os.cpu_count() or 1
_TIME_SIGNALS = (signal.SIGPROF, signal.SIGXCPU)


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

    verdict: Verdict
    cpu_seconds: float


class _Ending(NamedTuple):
    signal: int
    overdue: bool
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
        os.setsid()
        isolation.confine_candidate(self.layers, self.limits, cpu_seconds)


def run_row(station: Station, candidate: str, block: Block) -> list[Cell]:
    """Run a candidate on all tests, in as many processes as it takes.

    A process runs one test after the other. When one dies, the test it was at gets a verdict by the way it
    died, and another process goes on with the test after.

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
        if cpu_seconds == 0:  # a candidate that has switched off the limit of single tests
            return row + [Cell(Verdict.TIMED_OUT, 0.0)] * (len(tests) - first)
        board.clear()
        process = os.fork()
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
        if unfinished and (not cells or progress.test == first + len(cells)):
            died_loading = first == 0 and not cells and not progress.loaded
            cells.append(Cell(_verdict_on_death(ending, cpu_seconds), 0.0))
        row += _accounted(cells, ending.cpu_seconds)
        if died_loading:  # it would die with every other test as well
            row += [Cell(row[0].verdict, 0.0)] * (len(tests) - 1)
    return row


def _run_tests(station: Station, candidate: str, block: Block, first: int) -> None:
    """In the candidate's process: judge the tests from ``first`` on, as far as this process is fit to."""
    tests, board = block.tests, block.board
    signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.enable()
    marks = board.take_marks()
    timer = kernel.CpuTimer(signal.SIGPROF)
    program = None
    before = 0.0  # of the main thread: once a process has a CPU limit, its own clock moves by whole ticks
    for index in range(first, len(tests)):
        board.begin(index, time.process_time())
        # The default action: the limit ends the process and raises nothing in it.
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        timer.start(station.limits.cpu_seconds)
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


def _watch(process: int, board: Board, limits: Limits, tests: int, cpu_seconds: int) -> _Ending:
    """Wait for a process to end, or end it when it takes too long or too much CPU time."""
    descriptor = os.pidfd_open(process)
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    start = time.monotonic()
    overdue = False
    while True:
        now = time.monotonic()
        used = kernel.process_cpu_seconds(process)
        # What the process says of itself bounds a single test, never the whole.
        progress = board.progress()
        since = max(start, progress.since)
        starved = used - progress.cpu_before > STARVED_SHARE * (now - since)
        allowed = limits.wall_seconds * (STARVED_PATIENCE if starved else 1)
        left = min(since + allowed, start + tests * STARVED_PATIENCE * limits.wall_seconds) - now
        cpu_left = cpu_seconds - used
        if left <= 0 or cpu_left <= 0:
            overdue = True
            os.kill(process, signal.SIGKILL)
        soonest = max(cpu_left / min(limits.processes, _CPUS), TICK_SECONDS)
        soonest = min(soonest, left, limits.wall_seconds)
        if poller.poll(None if overdue else math.ceil(1000 * soonest)):
            break
    os.close(descriptor)
    _, status, usage = os.wait4(process, 0)
    ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    return _Ending(ended_by, overdue, usage.ru_utime + usage.ru_stime)


def _verdict_on_death(ending: _Ending, allowed_cpu_seconds: int) -> Verdict:
    # The kernel enforces the allowance by ticks, a rough count; a process that kills itself is far from it.
    out_of_time = ending.signal == signal.SIGKILL and ending.cpu_seconds > allowed_cpu_seconds / 2
    if ending.overdue or out_of_time or ending.signal in _TIME_SIGNALS:
        return Verdict.TIMED_OUT
    return Verdict.KILLED


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
