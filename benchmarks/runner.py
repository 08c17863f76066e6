"""Pairs of a candidate and a test per second: our runner beside other methods, in one run, on one CPU.

python benchmarks/runner.py [--quick]

Blocks have the shapes that a run sends to its runners, texts that no process has seen before, recorded
outputs and every layer. The functions are those of the recorded run of HumanEval, the classes those of
class_problems.yaml. Other methods are timed on a sample of each block's pairs, right before or after our
runner, so a busy machine slows all alike. The last line is a JSON object with all figures.
"""

import argparse
import contextlib
import itertools
import json
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import other_runners
from block_shapes import BlockShape, BlockSource, ShapedBlock, all_shapes
from numpy.typing import NDArray
from other_runners import OtherRunner, Pair
from recorded_blocks import recorded_problems
from shape_figures import PairTimes, ShapeFigures, shape_figures_json, shape_tables

from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import BlockVerdicts, Runner
from testbudget.rewards.problem import NOT_RUN, Verdict

SEED = 0
METHODS = {  # name in the figures: method
    "coderm": "coderm",
    "fork": "bare_fork",
}
_SLOW_METHODS = {  # method: name; timed on a few pairs
    "fresh_python": "python -I, a new process per pair",
    "evalplus": "evalplus's untrusted_check",
}
LIMITS = TestLimits(cpu_seconds=other_runners.LIMIT_SECONDS, max_timeouts=1_000_000)
_SAMPLE_SHARE, _MIN_SAMPLE, _MAX_SAMPLE, _SLOW_SAMPLE = 16, 6, 96, 4
_ROWS, _LARGE_ROWS, _LARGE = 4, 2, 48
_EMPTY_BLOCKS, _WARM_UP_BLOCKS = 100, 5
_QUICK_SECONDS, _QUICK_EMPTY_BLOCKS = 45.0, 40
_QUICK_SHAPES = (
    *(BlockShape(16, tests) for tests in (1, 3, 10, 32)),
    *(BlockShape(16, tests, looping=0.05) for tests in (1, 3, 10)),
    *(BlockShape(16, tests, objects=True) for tests in (1, 3, 10)),
    BlockShape(16, 3, objects=True, looping=0.05),
    BlockShape(100, 3, looping=0.01),
    BlockShape(48, 3, looping=0.05),
    *(BlockShape(100, tests) for tests in (1, 3, 10)),
    BlockShape(32, 3),
    BlockShape(48, 10),
)
_TICK = 1 / os.sysconf("SC_CLK_TCK")


class RunnerComparison:
    """All methods, started once.

    Args:
        stack: ends their processes.
        source: makes the blocks.
        random: chooses the pairs on which other methods are timed.
    """

    def __init__(
        self, stack: contextlib.ExitStack, source: BlockSource, random: np.random.Generator
    ) -> None:
        self.runner = stack.enter_context(Runner(LIMITS))
        self.others = {
            name: stack.enter_context(OtherRunner(method)) for name, method in METHODS.items()
        } | {
            method: stack.enter_context(OtherRunner(method))
            for method in _SLOW_METHODS
            if other_runners.is_installed(method)
        }
        self._source, self._random = source, random
        self._turns = itertools.count()
        self._looping: dict[bool, dict[str, PairTimes]] = {}

    def warm_up(self) -> None:
        """Run a few blocks of every kind that are not timed."""
        for objects in (False, True):
            for block in self._source.row(BlockShape(4, 3, objects)):
                self._run(block, np.zeros(4, np.int64))

    def compare(self, shape: BlockShape, rows: int) -> ShapeFigures:
        """Time every method on rows of blocks of one shape."""
        figures = ShapeFigures()
        for _ in range(rows):
            standing = np.zeros(shape.candidates, np.int64)  # passes so far, as a run knows them
            for block in self._source.row(shape):
                verdicts = self._time_block(figures, block, standing)
                standing += (verdicts == Verdict.PASSED).sum(axis=1)
                if block.looping.any():
                    figures.looping = self._looping_times(block, objects=shape.objects)
        return figures

    def block_overhead(self, blocks: int) -> tuple[float, float]:
        """Milliseconds of a block of an empty function: median on the clock, and mean CPU time."""
        seconds = []
        nothing = np.zeros(1, np.int64)
        empty = self._source.empty_blocks()
        for block in itertools.islice(empty, _WARM_UP_BLOCKS):
            self._run(block, nothing)
        before = cpu_seconds(os.getpid())
        for block in itertools.islice(empty, blocks):
            start = time.perf_counter()
            judged = self._run(block, nothing)
            seconds.append(time.perf_counter() - start)
            assert judged.verdicts[0, 0] == Verdict.PASSED
        used = cpu_seconds(os.getpid()) - before
        return 1000 * statistics.median(seconds), 1000 * used / blocks

    def slow_methods(self, rows: int) -> dict[str, float]:
        """Pairs per second of the methods that are timed on a few pairs."""
        times = {method: PairTimes() for method in _SLOW_METHODS if method in self.others}
        for _ in range(rows):
            block = next(self._source.row(BlockShape(_SLOW_SAMPLE, 1)))
            for method, total in times.items():
                timed = self.others[method].run(_pairs(block, range(_SLOW_SAMPLE)))
                total.add(len(timed.passed), timed.seconds, 0.0)
        return {method: total.pairs / total.seconds for method, total in times.items()}

    def _time_block(
        self, figures: ShapeFigures, block: ShapedBlock, standing: NDArray[np.int64]
    ) -> NDArray[np.uint8]:
        """Time all methods on a block. Our runner is the first, the last, or between two others."""
        returning = np.flatnonzero(np.repeat(~block.looping, len(block.tests)))
        size = min(_MAX_SAMPLE, max(_MIN_SAMPLE, len(returning) // _SAMPLE_SHARE))
        sample = self._random.permutation(returning)[:size]
        methods: list[str | None] = [None, *METHODS]
        first = next(self._turns) % len(methods)
        passed: dict[str | None, NDArray[np.bool_]] = {}
        verdicts = np.zeros((0, 0), np.uint8)
        for method in methods[first:] + methods[:first]:
            before = cpu_seconds(os.getpid())
            if method is None:
                start = time.perf_counter()
                verdicts = self._run(block, standing).verdicts
                seconds = time.perf_counter() - start
                figures.ours.add(verdicts.size, seconds, cpu_seconds(os.getpid()) - before)
                passed[None] = verdicts.ravel()[sample] == Verdict.PASSED
            else:
                timed = self.others[method].run(_pairs(block, sample.tolist()))
                used = cpu_seconds(os.getpid()) - before
                figures.others.setdefault(method, PairTimes()).add(len(sample), timed.seconds, used)
                passed[method] = np.array(timed.passed)
        figures.looping_pairs += int(block.looping.sum()) * len(block.tests)
        figures.verdicts.update(map(_verdict_name, verdicts.ravel().tolist()))
        ours, theirs = passed[None], passed["coderm"]
        figures.agreeing += int((ours == theirs).sum())
        figures.only_ours += int((ours & ~theirs).sum())
        figures.only_theirs += int((theirs & ~ours).sum())
        return verdicts

    def _run(self, block: ShapedBlock, standing: NDArray[np.int64]) -> BlockVerdicts:
        return self.runner.run(
            block.candidates, block.tests, block.entry_point, standing=standing, settle=False
        )

    def _looping_times(self, block: ShapedBlock, *, objects: bool) -> dict[str, PairTimes]:
        """Time of a pair that never returns, by method; measured at the first such block."""
        if objects not in self._looping:
            place = int(block.looping.argmax()) * len(block.tests)
            times = {}
            for method in METHODS:
                before = cpu_seconds(os.getpid())
                timed = self.others[method].run(_pairs(block, [place]))
                times[method] = PairTimes(1, timed.seconds, cpu_seconds(os.getpid()) - before)
            self._looping[objects] = times
        return self._looping[objects]


def cpu_seconds(process: int) -> float:
    """CPU-seconds of a process and all its descendants, including those that have ended."""
    while True:
        with contextlib.suppress(OSError):  # one has ended, and counts for its parent from now on
            return _cpu_seconds(process)


def _cpu_seconds(process: int) -> float:
    directory = Path(f"/proc/{process}")
    own = directory.joinpath("stat").read_text().rpartition(")")[2].split()[11:15]
    texts = [path.read_text() for path in directory.glob("task/*/children")]
    children = (int(child) for text in texts for child in text.split())
    return sum(map(int, own)) * _TICK + sum(map(_cpu_seconds, children))


def chosen_shapes(*, quick: bool) -> Sequence[BlockShape]:
    """The shapes to time, the most important ones first."""
    return _QUICK_SHAPES if quick else all_shapes()


def rows_of(shape: BlockShape, *, quick: bool) -> int:
    """Number of rows to time."""
    if quick:
        return 1
    return _LARGE_ROWS if shape.candidates >= _LARGE else _ROWS


def _pairs(block: ShapedBlock, places: Sequence[int]) -> list[Pair]:
    positions = (divmod(place, len(block.tests)) for place in places)
    return [Pair(block.candidates[row], block.tests[column].code) for row, column in positions]


def _verdict_name(value: int) -> str:
    return "not_run" if value == NOT_RUN else Verdict(value).name.lower()


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer shapes and blocks: under a minute")
    quick = parser.parse_args().quick
    start = time.monotonic()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # inherited by all processes started from here
    random = np.random.default_rng(SEED)
    figures: dict[BlockShape, ShapeFigures] = {}
    with contextlib.ExitStack() as stack:
        comparison = RunnerComparison(stack, BlockSource(recorded_problems(), random), random)
        layers, missing = comparison.runner.layers, comparison.runner.missing
        print(f"one CPU; isolation of ours: {', '.join(layers)}")
        if missing:
            print(f"this machine refuses: {', '.join(missing)}")
        comparison.warm_up()
        overhead, overhead_cpu = comparison.block_overhead(_QUICK_EMPTY_BLOCKS if quick else _EMPTY_BLOCKS)
        print(f"a block of an empty function: {overhead:.2f} ms, {overhead_cpu:.2f} ms of CPU time\n")
        for shape in chosen_shapes(quick=quick):
            if quick and time.monotonic() - start > _QUICK_SECONDS:
                print(f"no time is left for {shape.name}")
                continue
            figures[shape] = comparison.compare(shape, rows_of(shape, quick=quick))
        slow = comparison.slow_methods(1 if quick else _ROWS)
    print(*shape_tables(figures, list(METHODS)), sep="\n")
    for method, name in _SLOW_METHODS.items():
        print(f"{name}: {slow[method]:.0f} pairs/s" if method in slow else f"{name}: not installed")
    counts: Counter[str] = sum((cell.verdicts for cell in figures.values()), Counter())
    agreement = {
        name: sum(getattr(cell, name) for cell in figures.values())
        for name in ("agreeing", "only_ours", "only_theirs")
    }
    print("our verdicts: " + ", ".join(f"{count} {name}" for name, count in counts.most_common()))
    print(
        f"beside CodeRM's way, on a sample: {agreement['agreeing']} agree, "
        f"passed by us alone {agreement['only_ours']}, by it alone {agreement['only_theirs']}"
    )
    print(
        json.dumps(
            {
                "block_overhead_ms": round(overhead, 3),
                "block_overhead_cpu_ms": round(overhead_cpu, 3),
                **shape_figures_json(figures, list(METHODS)),
                "other_pairs_per_second": {method: round(rate, 1) for method, rate in slow.items()},
                "verdicts": dict(counts.most_common()),
                "beside_coderm": agreement,
                "layers": layers,
                "missing": missing,
                "python": sys.version.split()[0],
                "seconds": round(time.monotonic() - start, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
