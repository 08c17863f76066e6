"""Is it worth writing several tests and running only the one that tells most?

In each round five tests of a problem are written. Their inputs are run on one program of each of the
leading groups of candidates, and the test whose inputs part these best is run on all. Held against running
all five, which costs as much writing, and against one of the five at random, which is as good as one
written and as many executions. ``auto`` picks; nothing is executed.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from parts import AS_RECORDED, MBPP, REGIMES, SEED, Problem, of_tests, recordings
from recorded import RECORDED_RUN

from testbudget.rewards.outputs import BatchStatistics, Evidence
from testbudget.rewards.prefix_statistics import PrefixStatistics, latest_groups
from testbudget.rewards.selection.auto import Auto
from testbudget.rewards.selection.batch import batch_statistics
from testbudget.rewards.statistics import Interval, bootstrap_means, intervals
from testbudget.traces.learning_curves import RecordedTests
from testbudget.traces.records import QUANTITIES

PARTS = (AS_RECORDED, "best third", "middle third", "worst third", "one in six right")
WRITTEN = 5
"""Tests in a round."""

ALL, RANDOM, TELLING = "all five run", "one at random", "the most telling"
PASSABLE, PARTED = "the same, if passable", "the same, if not indifferent"
WAYS = (ALL, RANDOM, TELLING, PASSABLE, PARTED)
"""The last two go by what the batch says of its tests, and else take one at random."""

_ROUNDS = 4
_LEADERS = 8  # groups of candidates that the tests' inputs are tried on
_PASSABLE, _INDIFFERENT = 0.5, 0.25
_ORDERS = 3
_RULE = Auto()


@dataclass(frozen=True, slots=True)
class Leaders:
    """A program of each of the leading groups of candidates.

    Attributes:
        programs: rows in the behaviour.
        shares: how far each group is believed to be right; they sum to 1.
    """

    programs: NDArray[np.intp]
    shares: NDArray[np.float64]

    @classmethod
    def of(cls, recording: RecordedTests, evidence: Evidence) -> "Leaders":
        """The leading groups by the rule's scores; before the first test each program is a group."""
        growth = PrefixStatistics(evidence, [evidence.votes.tests])
        scores = _RULE.scores(growth)[0]
        groups = latest_groups(evidence) if evidence.votes.tests else recording.programs
        shares = np.bincount(groups, np.exp(scores - scores.max()))
        first = np.unique(groups, return_index=True)[1]
        leading = np.argsort(-shares, kind="stable")[:_LEADERS]
        return cls(recording.programs[first[leading]], shares[leading] / shares[leading].sum())

    def parted_by(self, recording: RecordedTests, test: int) -> float:
        """Chance that two candidates drawn from the leading groups do different things in a test."""
        assert recording.recorded_outputs is not None, "outputs are recorded"
        calls = [place for place, item in enumerate(recording.recorded_outputs.inputs) if item.test == test]
        done = recording.recorded_outputs.results[self.programs][:, calls]
        alike = np.unique(done, axis=0, return_inverse=True)[1] if calls else np.zeros(len(done), np.intp)
        return float(1 - np.sum(np.bincount(alike.ravel(), self.shares) ** 2))


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """What became of one way.

    Attributes:
        accuracy: float64 (orders, problems, rounds).
        executions: per problem and round, mean over all.
        rejected: share of the right candidates that fail a test that was run.
    """

    accuracy: NDArray[np.float64]
    executions: float
    rejected: float


def play(recorded: Sequence[RecordedTests], way: str, rounds: int, orders: int) -> Played:
    """Plays one way on all problems, round by round, since gates look at all of them."""
    accuracy = np.zeros((orders, len(recorded), rounds))
    executions, rejected = 0.0, []
    for order in range(orders):
        drawn = [
            np.random.default_rng([SEED, order, number]).permutation(one.tests)
            for number, one in enumerate(recorded)
        ]
        chosen: list[list[int]] = [[] for _ in recorded]
        known = _together([one.evidence(np.empty(0, np.intp)) for one in recorded])
        for turn in range(rounds):
            for one, tests, ran, evidence in zip(recorded, drawn, chosen, known, strict=True):
                written = tests[turn * WRITTEN : (turn + 1) * WRITTEN].tolist()
                programs = int(one.programs.max()) + 1
                if way == ALL:
                    ran.extend(written)
                    executions += programs * len(written)
                elif written:
                    ran.append(written[0])
                    executions += programs
                    if _is_asked(way, evidence):
                        leaders = Leaders.of(one, evidence)
                        telling = [leaders.parted_by(one, int(one.indices[test])) for test in written]
                        ran[-1] = written[int(np.argmax(telling))]
                        executions += len(leaders.programs) * len(written)
            shown = zip(recorded, chosen, strict=True)
            known = _together([one.evidence(np.asarray(ran, np.intp)) for one, ran in shown])
            for row, one, evidence in zip(accuracy[order], recorded, known, strict=True):
                won = _RULE.winners_after(evidence, [evidence.votes.tests])[0]
                row[turn] = (won & one.correct).sum() / won.sum()
        rejected += [
            1 - evidence.votes.passed()[:, one.correct].mean()
            for one, evidence in zip(recorded, known, strict=True)
            if one.correct.any()
        ]
    return Played(accuracy, executions / (orders * len(recorded) * rounds), float(np.mean(rejected)))


def _is_asked(way: str, evidence: Evidence) -> bool:
    """Whether the most telling test is to be looked for."""
    assert isinstance(evidence.batch, BatchStatistics)
    ran = evidence.votes.tests
    if way == PASSABLE:
        return bool(evidence.batch.best_pass_rate[ran] > _PASSABLE)
    if way == PARTED:
        return bool(evidence.batch.minority_ratio[ran] <= _INDIFFERENT)
    return way == TELLING


def _together(problems: Sequence[Evidence]) -> list[Evidence]:
    batch = batch_statistics(problems)
    return [replace(evidence, batch=batch) for evidence in problems]


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one way, by round; accuracy in %.

    Attributes:
        accuracy: of the picks.
        over_all: points over running all five.
        over_random: points over one of the five at random.
        executions: per problem and round.
        rejected: right candidates that fail a test that was run, in %.
    """

    accuracy: tuple[float, ...]
    over_all: tuple[Interval, ...]
    over_random: tuple[Interval, ...]
    executions: float
    rejected: float


def rows(played: Mapping[str, Played]) -> dict[str, Row]:
    """All figures, from one bootstrap that is paired by problem and by order."""
    columns = 100 * np.concatenate([one.accuracy for one in played.values()], axis=2)
    means = bootstrap_means(columns, SEED)
    of_ways = dict(zip(played, np.split(means, len(played), axis=1), strict=True))

    def over(way: str, other: str) -> tuple[Interval, ...]:
        return tuple(intervals(of_ways[way] - of_ways[other]))

    return {
        way: Row(
            tuple(of_ways[way][0].tolist()),
            over(way, ALL),
            over(way, RANDOM),
            one.executions,
            100 * one.rejected,
        )
        for way, one in played.items()
    }


def show(title: str, found: Mapping[str, Row]) -> None:
    """Prints a regime's table."""
    rounds = len(next(iter(found.values())).accuracy)
    print(f"\n{title}")
    print(
        f"{'tests written':<30}{''.join(f'{WRITTEN * (turn + 1):>30}' for turn in range(rounds))}", end=""
    )
    print("   executions per round, and right candidates that fail a test")
    for way, row in found.items():
        cells = [
            f"{accuracy:.1f} {_points(of_all):>10} {_points(of_random):>10}"
            for accuracy, of_all, of_random in zip(row.accuracy, row.over_all, row.over_random, strict=True)
        ]
        line = "".join(f"{cell:>30}" for cell in cells)
        print(f"{way:<30}{line}   {row.executions:,.0f}, {row.rejected:.0f} %", flush=True)


def _points(lead: Interval) -> str:
    return f"{lead.value:+.1f} ±{(lead.high - lead.low) / 2:.1f}"


def price(recorded: Sequence[RecordedTests]) -> dict[str, float]:
    """What a test costs, mean over all."""
    costs = np.concatenate([recording.costs for recording in recorded])
    return {name: round(float(cost), 3) for name, cost in zip(QUANTITIES, costs.mean(axis=0), strict=True)}


def main() -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=_ORDERS, help="of the tests (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="each eighth problem, 1 order, fewer parts")
    arguments = parser.parse_args()
    every, orders, parts = (8, 1, PARTS[:2]) if arguments.quick else (1, arguments.orders, PARTS)
    whole = recordings(RECORDED_RUN)
    paid = price(whole)
    print(
        f"To write a test of the recorded run takes {paid['tokens']:.0f} tokens and "
        f"{paid['gpu_seconds']:.3f} GPU-seconds, to run it\n"
        f"{paid['executions']:.0f} executions and {paid['cpu_seconds']:.3f} CPU-seconds. "
        "Accuracy in %, points over all five run,\nand points over one at random"
    )
    regimes = {
        part: [
            of_tests(one, REGIMES[part](Problem.of(one), np.random.default_rng([SEED, number])).ravel())
            for number, one in enumerate(whole[::every])
        ]
        for part in parts
    }
    regimes["mbpp"] = [
        of_tests(one, np.arange(np.count_nonzero(one.rows >= 0))) for one in recordings(MBPP)[::every]
    ]
    found: dict[str, dict[str, Row]] = {}
    for name, recorded in regimes.items():
        rounds = max(1, min(_ROUNDS, int(np.mean([one.tests for one in recorded])) // WRITTEN))
        found[name] = rows({way: play(recorded, way, rounds, orders) for way in WAYS})
        show(name, found[name])
    print()
    print(json.dumps({"a test": paid, "regimes": {name: figures(of) for name, of in found.items()}}))
    return 0


def figures(found: Mapping[str, Row]) -> dict[str, Any]:
    """All figures of a regime, rounded."""

    def bounds(leads: Sequence[Interval]) -> list[list[float]]:
        return [[round(value, 2) for value in (lead.value, lead.low, lead.high)] for lead in leads]

    return {
        way: {
            "accuracy": [round(value, 2) for value in row.accuracy],
            "over all five": bounds(row.over_all),
            "over one at random": bounds(row.over_random),
            "executions per round": round(row.executions, 1),
            "right candidates that fail a test": round(row.rejected, 1),
        }
        for way, row in found.items()
    }


if __name__ == "__main__":
    sys.exit(main())
