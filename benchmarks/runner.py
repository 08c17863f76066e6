"""How many pairs of a candidate and a test a second: our runner beside other ways, in one run, on one CPU.

python benchmarks/runner.py [--quick]

Real pairs from the recorded run of HumanEval, in two sets: random ones, and such as mostly pass. Every way
gets its turn on every block of pairs, in an order that rotates, so that whatever else the machine does hits
all alike. A slow way is timed on some of a block's pairs. The last line is a JSON object with all figures.
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
import peers
import recorded
from numpy.typing import NDArray
from peers import Pair, Peer, Timed
from recorded import Block

from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import BlockVerdicts, Runner
from testbudget.rewards.problem import NOT_RUN, Verdict

SEED = 0
OURS = "testbudget"
OURS_WITHOUT_RECORD = "testbudget, behaviour not recorded"
OURS_NEVER_GIVING_UP = "testbudget, never giving up"
_PEERS = {  # way: what it is called, and pairs of a block that it is timed on (None: all)
    "coderm": ("CodeRM's way, a forked process per pair", 32),
    "fresh_python": ("python -I, a new one per pair", 4),
    "evalplus": ("evalplus's untrusted_check", 24),
    "in_process": ("exec in one process, the physical limit", None),
    "in_process_lean": ("the same, compiled once, nothing worded", None),
}
_LIMITS = TestLimits(cpu_seconds=peers.LIMIT_SECONDS)
_NEVER_GIVING_UP = TestLimits(cpu_seconds=peers.LIMIT_SECONDS, max_timeouts=1000)
_NORMAL = (Verdict.PASSED, Verdict.FAILED, Verdict.ERRORED, Verdict.UNCONFIRMED)
_TICK = 1 / os.sysconf("SC_CLK_TCK")
_LOOPING_CANDIDATES, _LOOPING_TESTS = 20, 6


@dataclass(slots=True)
class Tally:
    """What one way has done in one set.

    Attributes:
        pairs: how many.
        seconds: on the clock, altogether.
        cpu_seconds: of all processes, altogether.
        same, only_ours, only_theirs: pairs by whether our runner and this way say 'passed'.
    """

    pairs: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    same: int = 0
    only_ours: int = 0
    only_theirs: int = 0

    @property
    def rate(self) -> float:
        """Pairs a second on the clock."""
        return self.pairs / self.seconds

    @property
    def cpu_rate(self) -> float:
        """Pairs per second of CPU time, which hardly depends on what else the machine does."""
        return self.pairs / max(self.cpu_seconds, _TICK)

    def add(self, timed: Timed, cpu_seconds: float, ours: Sequence[bool]) -> None:
        """Count some pairs and compare their verdicts with ours."""
        self.pairs += len(timed.passed)
        self.seconds += timed.seconds
        self.cpu_seconds += cpu_seconds
        for theirs, our in zip(timed.passed, ours, strict=True):
            self.same += theirs == our
            self.only_ours += our and not theirs
            self.only_theirs += theirs and not our


@dataclass(slots=True)
class Set:
    """A set of pairs and what all ways have done with it.

    Attributes:
        title: what it holds.
        tallies: by way.
        verdicts: our runner's, by name.
        together: pairs that our runner could not judge apart.
    """

    title: str
    tallies: dict[str, Tally] = field(default_factory=dict)
    verdicts: dict[str, int] = field(default_factory=dict)
    same_process: int = 0

    def count(self, verdicts: NDArray[np.uint8], same_process: NDArray[np.bool_]) -> None:
        """Count our runner's verdicts."""
        for value, count in zip(*np.unique(verdicts, return_counts=True), strict=True):
            name = "not_run" if value == NOT_RUN else Verdict(value).name.lower()
            self.verdicts[name] = self.verdicts.get(name, 0) + int(count)
        self.same_process += int(same_process.sum())

    def as_json(self) -> dict[str, Any]:
        """All figures."""
        ways = {}
        for way, tally in self.tallies.items():
            ways[way] = {
                "pairs": tally.pairs,
                "seconds": round(tally.seconds, 4),
                "cpu_seconds": round(tally.cpu_seconds, 2),
                "pairs_per_second": round(tally.rate, 2),
                "ours_is_faster_by": round(self.tallies[OURS].rate / tally.rate, 3),
                "ours_is_cheaper_by": round(self.tallies[OURS].cpu_rate / tally.cpu_rate, 3),
                "same_verdict": tally.same,
                "only_ours_passed": tally.only_ours,
                "only_theirs_passed": tally.only_theirs,
            }
        return {"verdicts": self.verdicts, "together": self.same_process, "ways": ways}


class Bench:
    """All ways, started once.

    Args:
        stack: what ends them.
    """

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.runner = stack.enter_context(Runner(_LIMITS))
        self.patient = stack.enter_context(Runner(_NEVER_GIVING_UP))
        self.peers = {way: stack.enter_context(Peer(way)) for way in _PEERS if peers.is_installed(way)}
        self._rounds = itertools.count()

    def compare(self, title: str, blocks: Iterable[Block], random: np.random.Generator) -> Set:
        """Time every way on blocks of pairs that end normally."""
        outcome = Set(title)
        ours: Ours = {OURS: self.runner.run, OURS_WITHOUT_RECORD: partial(self.runner.run, record=False)}
        for block in blocks:
            # Not timed: warms our runner up, and shows which candidates can be run without limits.
            known = self.runner.run(block.candidates, block.tests, block.entry_point)
            (rows,) = np.nonzero(np.isin(known.verdicts, _NORMAL).all(axis=1))
            if len(rows):
                places = random.permutation(len(rows) * len(block.tests))
                samples = {way: places[:most] for way, (_, most) in _PEERS.items()}
                outcome.count(known.verdicts[rows], known.same_process[rows])
                self._time(outcome, block.of(rows.tolist()), known.verdicts[rows], ours, samples)
        return outcome

    def compare_loops(self, title: str, blocks: Iterable[Block]) -> Set:
        """Time every way on pairs one candidate in twenty of which never returns; all limits are 1 s."""
        outcome = Set(title)
        ours: Ours = {OURS: self.runner.run, OURS_NEVER_GIVING_UP: self.patient.run}
        for block in blocks:
            loop = f"def {block.entry_point}(*_, **__):\n    while True:\n        pass\n"
            tests = block.tests[:_LOOPING_TESTS]
            looping = Block(block.entry_point, (loop, *block.candidates[1:_LOOPING_CANDIDATES]), tests)
            known = self.runner.run(looping.candidates, tests, block.entry_point)
            outcome.count(known.verdicts, known.same_process)
            places = np.arange(0, known.verdicts.size, len(tests))  # all candidates, one of them looping
            self._time(outcome, looping, known.verdicts, ours, dict.fromkeys(_PEERS, places))
        return outcome

    def _time(
        self,
        outcome: Set,
        block: Block,
        verdicts: NDArray[np.uint8],
        ours: "Ours",
        samples: Mapping[str, NDArray[np.intp]],
    ) -> None:
        """Give every way its turn on a block, each time beginning with another."""
        passed = verdicts.ravel() == Verdict.PASSED
        ways = [*ours, *self.peers]
        first = next(self._rounds) % len(ways)
        for way in ways[first:] + ways[:first]:
            before = _cpu_seconds(os.getpid())
            if way in ours:
                chosen = np.arange(verdicts.size)
                timed = _timed(ours[way], block)
            else:
                chosen = samples[way]
                timed = self.peers[way].run([_pair(block, place) for place in chosen.tolist()])
            cpu_seconds = _cpu_seconds(os.getpid()) - before
            outcome.tallies.setdefault(way, Tally()).add(timed, cpu_seconds, passed[chosen].tolist())


def _timed(run: Callable[..., BlockVerdicts], block: Block) -> Timed:
    start = time.perf_counter()
    outcomes = run(block.candidates, block.tests, block.entry_point)
    seconds = time.perf_counter() - start
    return Timed((outcomes.verdicts.ravel() == Verdict.PASSED).tolist(), seconds)


def _pair(block: Block, place: int) -> Pair:
    row, column = divmod(place, len(block.tests))
    return Pair(block.candidates[row], block.tests[column].code)


def _cpu_seconds(process: int) -> float:
    """CPU time of a process and of all below it, those included that have ended."""
    directory = Path(f"/proc/{process}")
    own = directory.joinpath("stat").read_text().rpartition(")")[2].split()[11:15]
    texts = [path.read_text() for path in directory.glob("task/*/children")]
    children = (int(child) for text in texts for child in text.split())
    return sum(map(int, own)) * _TICK + sum(map(_cpu_seconds, children))


Ours = Mapping[str, Callable[..., BlockVerdicts]]
"""``Runner.run`` of our runners, by way."""


def _table(sets: Sequence[Set]) -> Iterator[str]:
    """A row for each way: pairs a second, how many times more ours is, and verdicts like ours.

    ``by CPU`` compares pairs per second of CPU time.
    """
    names = {way: name for way, (name, _) in _PEERS.items()}
    ways = list(dict.fromkeys([*(way for way in sets[0].tallies if way not in names), *names]))
    width = max(len(names.get(way, way)) for way in ways) + 2
    yield " " * width + "".join(f"{outcome.title:>40}" for outcome in sets)
    yield " " * width + f"{'pairs/s':>12}{'ours is':>10}{'by CPU':>9}{'agrees':>9}" * len(sets)
    for way in ways:
        row = f"{names.get(way, way):<{width}}"
        for outcome in sets:
            tally, our = outcome.tallies.get(way), outcome.tallies[OURS]
            if tally is None:
                row += f"{'not installed':>40}"
                continue
            by_clock, by_cpu = our.rate / tally.rate, our.cpu_rate / tally.cpu_rate
            row += f"{tally.rate:>12,.1f}{by_clock:>9.2f}x{by_cpu:>8.2f}x{tally.same / tally.pairs:>9.1%}"
        yield row


def _details(outcome: Set) -> str:
    verdicts = ", ".join(f"{count} {name}" for name, count in sorted(outcome.verdicts.items()))
    tallies = [outcome.tallies[way] for way in _PEERS if way in outcome.tallies]
    return (
        f"{outcome.title}: {outcome.tallies[OURS].pairs} pairs; our verdicts: {verdicts}; "
        f"{outcome.same_process} judged together; in all comparisons, passed by us alone "
        f"{sum(tally.only_ours for tally in tallies)}, by them alone "
        f"{sum(tally.only_theirs for tally in tallies)}"
    )


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer blocks: under a minute")
    arguments = parser.parse_args()
    blocks, looping_blocks = (6, 1) if arguments.quick else (60, 6)
    cpu = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpu})  # and with it all processes that are started from here
    random = np.random.default_rng(SEED)
    problems = recorded.recorded_problems()

    def some(choose: recorded.Choice, count: int) -> Iterator[Block]:
        return itertools.islice(recorded.blocks(problems, choose, random), count)

    with contextlib.ExitStack() as stack:
        bench = Bench(stack)
        print(f"one CPU; isolation of ours: {', '.join(bench.runner.layers)}")
        if bench.runner.missing:
            print(f"this machine refuses: {', '.join(bench.runner.missing)}")
        sets = [
            bench.compare("random pairs", some(recorded.random_pairs, blocks), random),
            bench.compare("mostly passing", some(recorded.passing_pairs, blocks), random),
        ]
        print(*_table(sets), "", sep="\n")
        fits = (
            block
            for block in recorded.blocks(problems, recorded.random_pairs, random)
            if len(block.candidates) >= _LOOPING_CANDIDATES
        )
        loops = bench.compare_loops("5 % looping", itertools.islice(fits, looping_blocks))
        print(*_table([loops]), "", sep="\n")
        for outcome in (*sets, loops):
            print(_details(outcome))
        print(
            json.dumps(
                {
                    "layers": bench.runner.layers,
                    "missing": bench.runner.missing,
                    "python": sys.version.split()[0],
                    **{outcome.title: outcome.as_json() for outcome in (*sets, loops)},
                }
            )
        )


if __name__ == "__main__":
    main()
