"""Pairs of a candidate and a test per second: our runner beside other methods, in one run, on one CPU.

python benchmarks/runner.py [--quick]

Real pairs from the recorded run of HumanEval, in two sets: random ones, and mostly passing ones. Every
method is timed on every block of pairs, in an order that rotates, so a busy machine slows all alike. A slow
method is timed on some pairs of each block. The last line is a JSON object with all figures.
"""

import argparse
import contextlib
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import other_runners
from numpy.typing import NDArray
from other_runners import OtherRunner, Pair, TimedPairs
from recorded_blocks import (
    BlockChoice,
    RecordedBlock,
    passing_pairs,
    random_pairs,
    recorded_blocks,
    recorded_problems,
)

from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import BlockVerdicts, Runner
from testbudget.rewards.problem import NOT_RUN, Verdict

SEED = 0
OURS = "testbudget"
OURS_WITHOUT_OUTPUTS = "testbudget, outputs not recorded"
OURS_NEVER_GIVING_UP = "testbudget, never giving up"
_OTHERS = {  # method: name in the tables, and pairs of a block that it is timed on (None: all)
    "coderm": ("CodeRM's way, a forked process per pair", 32),
    "fresh_python": ("python -I, a new process per pair", 4),
    "evalplus": ("evalplus's untrusted_check", 24),
    "in_process": ("exec in one process, no isolation", None),
    "in_process_lean": ("the same, compiled once, no messages", None),
}
_LIMITS = TestLimits(cpu_seconds=other_runners.LIMIT_SECONDS)
_NEVER_GIVING_UP = TestLimits(cpu_seconds=other_runners.LIMIT_SECONDS, max_timeouts=1000)
_NORMAL = (Verdict.PASSED, Verdict.FAILED, Verdict.ERRORED, Verdict.UNCONFIRMED)
_TICK = 1 / os.sysconf("SC_CLK_TCK")
_LOOPING_CANDIDATES, _LOOPING_TESTS = 20, 6


@dataclass(slots=True)
class MethodTotals:
    """Totals of one method on one set of pairs.

    Attributes:
        pairs: number of pairs.
        seconds: seconds on the clock.
        cpu_seconds: CPU-seconds of all processes.
        same: pairs that both our runner and this method pass, or neither.
        only_ours, only_theirs: pairs that only our runner, or only this method, passes.
    """

    pairs: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    same: int = 0
    only_ours: int = 0
    only_theirs: int = 0

    @property
    def rate(self) -> float:
        """Pairs per second on the clock."""
        return self.pairs / self.seconds

    @property
    def cpu_rate(self) -> float:
        """Pairs per CPU-second, which depends little on the load of the machine."""
        return self.pairs / max(self.cpu_seconds, _TICK)

    def add(self, timed: TimedPairs, cpu_seconds: float, ours: Sequence[bool]) -> None:
        """Add some pairs, comparing their verdicts with ours."""
        self.pairs += len(timed.passed)
        self.seconds += timed.seconds
        self.cpu_seconds += cpu_seconds
        for theirs, our in zip(timed.passed, ours, strict=True):
            self.same += theirs == our
            self.only_ours += our and not theirs
            self.only_theirs += theirs and not our


@dataclass(slots=True)
class PairSet:
    """A set of pairs, with the totals of every method.

    Attributes:
        title: name in the tables.
        totals: by method.
        verdicts: number of verdicts of our runner, by name.
        same_process: pairs that our runner judged in the candidate's process.
    """

    title: str
    totals: dict[str, MethodTotals] = field(default_factory=dict)
    verdicts: dict[str, int] = field(default_factory=dict)
    same_process: int = 0

    def count(self, verdicts: NDArray[np.uint8], same_process: NDArray[np.bool_]) -> None:
        """Count verdicts of our runner."""
        for value, count in zip(*np.unique(verdicts, return_counts=True), strict=True):
            name = "not_run" if value == NOT_RUN else Verdict(value).name.lower()
            self.verdicts[name] = self.verdicts.get(name, 0) + int(count)
        self.same_process += int(same_process.sum())

    def as_json(self) -> dict[str, Any]:
        """All figures."""
        methods = {}
        for method, totals in self.totals.items():
            methods[method] = {
                "pairs": totals.pairs,
                "seconds": round(totals.seconds, 4),
                "cpu_seconds": round(totals.cpu_seconds, 2),
                "pairs_per_second": round(totals.rate, 2),
                "ours_is_faster_by": round(self.totals[OURS].rate / totals.rate, 3),
                "ours_is_cheaper_by": round(self.totals[OURS].cpu_rate / totals.cpu_rate, 3),
                "same_verdict": totals.same,
                "only_ours_passed": totals.only_ours,
                "only_theirs_passed": totals.only_theirs,
            }
        return {"verdicts": self.verdicts, "same_process": self.same_process, "methods": methods}


class RunnerComparison:
    """All methods, started once.

    Args:
        stack: ends their processes.
    """

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.runner = stack.enter_context(Runner(_LIMITS))
        self.never_giving_up = stack.enter_context(Runner(_NEVER_GIVING_UP))
        self.others = {
            method: stack.enter_context(OtherRunner(method))
            for method in _OTHERS
            if other_runners.is_installed(method)
        }
        self._rounds = itertools.count()

    def compare(self, title: str, blocks: Iterable[RecordedBlock], random: np.random.Generator) -> PairSet:
        """Time every method on blocks of pairs that end normally."""
        pair_set = PairSet(title)
        ours: OurRuns = {
            OURS: self.runner.run,
            OURS_WITHOUT_OUTPUTS: partial(self.runner.run, record=False),
        }
        for block in blocks:
            # Not timed: warms up our runner and finds the candidates that can be run without limits.
            known = self.runner.run(block.candidates, block.tests, block.entry_point)
            (rows,) = np.nonzero(np.isin(known.verdicts, _NORMAL).all(axis=1))
            if len(rows):
                places = random.permutation(len(rows) * len(block.tests))
                samples = {method: places[:pairs] for method, (_, pairs) in _OTHERS.items()}
                pair_set.count(known.verdicts[rows], known.same_process[rows])
                self._time(pair_set, block.of(rows.tolist()), known.verdicts[rows], ours, samples)
        return pair_set

    def compare_loops(self, title: str, blocks: Iterable[RecordedBlock]) -> PairSet:
        """Time every method where one candidate in twenty never returns; all limits are 1 s."""
        pair_set = PairSet(title)
        ours: OurRuns = {OURS: self.runner.run, OURS_NEVER_GIVING_UP: self.never_giving_up.run}
        for block in blocks:
            loop = f"def {block.entry_point}(*_, **__):\n    while True:\n        pass\n"
            tests = block.tests[:_LOOPING_TESTS]
            looping = RecordedBlock(
                block.entry_point, (loop, *block.candidates[1:_LOOPING_CANDIDATES]), tests
            )
            known = self.runner.run(looping.candidates, tests, block.entry_point)
            pair_set.count(known.verdicts, known.same_process)
            places = np.arange(0, known.verdicts.size, len(tests))  # all candidates on the first test
            self._time(pair_set, looping, known.verdicts, ours, dict.fromkeys(_OTHERS, places))
        return pair_set

    def _time(
        self,
        pair_set: PairSet,
        block: RecordedBlock,
        verdicts: NDArray[np.uint8],
        ours: "OurRuns",
        samples: Mapping[str, NDArray[np.intp]],
    ) -> None:
        """Time every method on a block. The first method is another one each time."""
        passed = verdicts.ravel() == Verdict.PASSED
        methods = [*ours, *self.others]
        first = next(self._rounds) % len(methods)
        for method in methods[first:] + methods[:first]:
            before = _cpu_seconds(os.getpid())
            if method in ours:
                chosen = np.arange(verdicts.size)
                timed = _timed(ours[method], block)
            else:
                chosen = samples[method]
                timed = self.others[method].run([_pair(block, place) for place in chosen.tolist()])
            cpu_seconds = _cpu_seconds(os.getpid()) - before
            totals = pair_set.totals.setdefault(method, MethodTotals())
            totals.add(timed, cpu_seconds, passed[chosen].tolist())


def _timed(run: Callable[..., BlockVerdicts], block: RecordedBlock) -> TimedPairs:
    start = time.perf_counter()
    judged = run(block.candidates, block.tests, block.entry_point)
    seconds = time.perf_counter() - start
    return TimedPairs((judged.verdicts.ravel() == Verdict.PASSED).tolist(), seconds)


def _pair(block: RecordedBlock, place: int) -> Pair:
    row, column = divmod(place, len(block.tests))
    return Pair(block.candidates[row], block.tests[column].code)


def _cpu_seconds(process: int) -> float:
    """CPU-seconds of a process and all its descendants, including those that have ended."""
    directory = Path(f"/proc/{process}")
    own = directory.joinpath("stat").read_text().rpartition(")")[2].split()[11:15]
    texts = [path.read_text() for path in directory.glob("task/*/children")]
    children = (int(child) for text in texts for child in text.split())
    return sum(map(int, own)) * _TICK + sum(map(_cpu_seconds, children))


OurRuns = Mapping[str, Callable[..., BlockVerdicts]]
"""``Runner.run`` of our runners, by method."""


def _table(sets: Sequence[PairSet]) -> Iterator[str]:
    """A row for each method: pairs per second, our factor over it, and share of equal verdicts."""
    names = {method: name for method, (name, _) in _OTHERS.items()}
    methods = list(dict.fromkeys([*(method for method in sets[0].totals if method not in names), *names]))
    width = max(len(names.get(method, method)) for method in methods) + 2
    yield " " * width + "".join(f"{pair_set.title:>40}" for pair_set in sets)
    yield " " * width + f"{'pairs/s':>12}{'ours is':>10}{'by CPU':>9}{'agrees':>9}" * len(sets)
    for method in methods:
        row = f"{names.get(method, method):<{width}}"
        for pair_set in sets:
            totals, our = pair_set.totals.get(method), pair_set.totals[OURS]
            if totals is None:
                row += f"{'not installed':>40}"
                continue
            by_clock, by_cpu = our.rate / totals.rate, our.cpu_rate / totals.cpu_rate
            row += (
                f"{totals.rate:>12,.1f}{by_clock:>9.2f}x{by_cpu:>8.2f}x{totals.same / totals.pairs:>9.1%}"
            )
        yield row


def _details(pair_set: PairSet) -> str:
    verdicts = ", ".join(f"{count} {name}" for name, count in sorted(pair_set.verdicts.items()))
    others = [pair_set.totals[method] for method in _OTHERS if method in pair_set.totals]
    return (
        f"{pair_set.title}: {pair_set.totals[OURS].pairs} pairs; our verdicts: {verdicts}; "
        f"{pair_set.same_process} judged in the candidate's process; "
        f"in all comparisons, passed by us alone {sum(totals.only_ours for totals in others)}, "
        f"by them alone {sum(totals.only_theirs for totals in others)}"
    )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer blocks: under a minute")
    arguments = parser.parse_args()
    blocks, looping_blocks = (6, 1) if arguments.quick else (60, 6)
    cpu = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpu})  # inherited by all processes started from here
    random = np.random.default_rng(SEED)
    problems = recorded_problems()

    def some(choose: BlockChoice, count: int) -> Iterator[RecordedBlock]:
        return itertools.islice(recorded_blocks(problems, choose, random), count)

    with contextlib.ExitStack() as stack:
        comparison = RunnerComparison(stack)
        print(f"one CPU; isolation of ours: {', '.join(comparison.runner.layers)}")
        if comparison.runner.missing:
            print(f"this machine refuses: {', '.join(comparison.runner.missing)}")
        sets = [
            comparison.compare("random pairs", some(random_pairs, blocks), random),
            comparison.compare("mostly passing", some(passing_pairs, blocks), random),
        ]
        print(*_table(sets), "", sep="\n")
        large = (
            block
            for block in recorded_blocks(problems, random_pairs, random)
            if len(block.candidates) >= _LOOPING_CANDIDATES
        )
        loops = comparison.compare_loops("5 % looping", itertools.islice(large, looping_blocks))
        print(*_table([loops]), "", sep="\n")
        for pair_set in (*sets, loops):
            print(_details(pair_set))
        print(
            json.dumps(
                {
                    "layers": comparison.runner.layers,
                    "missing": comparison.runner.missing,
                    "python": sys.version.split()[0],
                    **{pair_set.title: pair_set.as_json() for pair_set in (*sets, loops)},
                }
            )
        )


if __name__ == "__main__":
    main()
