"""Worth of generating several tests and running only the most informative one.

In each round five tests of a problem are generated. Their inputs are executed on one program of each
leading output group, and only the test whose inputs separate these groups best is run on all candidates.
It is compared with running all five, which costs as much to generate, and with running one of the five at
random, which is as accurate as generating one. ``calibrated`` picks. Nothing is executed.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from recorded_blocks import RECORDED_RUN
from recorded_parts import AS_RECORDED, MBPP, SEED, keep_part, keep_tests, recorded_tests

from testbudget.rewards.bootstrap import Interval, bootstrap_means, intervals
from testbudget.rewards.outputs import BatchStatistics, Evidence
from testbudget.rewards.prefix_statistics import PrefixStatistics, output_groups_or_pass_sets
from testbudget.rewards.selection.batch import batch_statistics
from testbudget.rewards.selection.calibrated import Calibrated
from testbudget.traces.learning_curves import RecordedTests
from testbudget.traces.records import QUANTITIES

COMPARED_PARTS: tuple[str, ...] = (
    AS_RECORDED,
    "best third",
    "middle third",
    "worst third",
    "one in six right",
)
GENERATED = 5
"""Tests generated in a round."""

ALL, RANDOM, INFORMATIVE = "all five run", "one at random", "the most informative"
BY_PASS_RATE, BY_MINORITY_RATIO = "the same, by best pass rate", "the same, by minority ratio"
CHOICES = (ALL, RANDOM, INFORMATIVE, BY_PASS_RATE, BY_MINORITY_RATIO)
"""Ways to choose the tests that are run.

The last two run the most informative test only if a statistic of the batch says that its tests can be
trusted, otherwise one at random.
"""

_ROUNDS = 4
_LEADING_GROUPS = 8
_MIN_BEST_PASS_RATE, _MAX_MINORITY_RATIO = 0.5, 0.25
_PERMUTATIONS = 3
_RULE = Calibrated()


@dataclass(frozen=True, slots=True)
class LeadingPrograms:
    """One program of each leading output group.

    Attributes:
        programs: intp (groups,), rows of the recorded outputs.
        shares: float64 (groups,), probability that each group is correct; they sum to 1.
    """

    programs: NDArray[np.intp]
    shares: NDArray[np.float64]

    @classmethod
    def of(cls, recording: RecordedTests, evidence: Evidence) -> "LeadingPrograms":
        """The leading groups by the rule's scores. Before the first test each program is a group."""
        statistics = PrefixStatistics(evidence, [evidence.votes.tests])
        scores = _RULE.scores(statistics)[0]
        groups = output_groups_or_pass_sets(evidence) if evidence.votes.tests else recording.programs
        shares = np.bincount(groups, np.exp(scores - scores.max()))
        first = np.unique(groups, return_index=True)[1]
        leading = np.argsort(-shares, kind="stable")[:_LEADING_GROUPS]
        return cls(recording.programs[first[leading]], shares[leading] / shares[leading].sum())

    def separation(self, recording: RecordedTests, test: int) -> float:
        """Probability that two programs, drawn by share, give different outputs on a test's inputs."""
        assert recording.recorded_outputs is not None, "outputs are recorded"
        inputs = [
            place for place, item in enumerate(recording.recorded_outputs.inputs) if item.test == test
        ]
        results = recording.recorded_outputs.results[self.programs][:, inputs]
        if inputs:
            groups = np.unique(results, axis=0, return_inverse=True)[1]
        else:
            groups = np.zeros(len(results), np.intp)
        return float(1 - np.sum(np.bincount(groups.ravel(), self.shares) ** 2))


@dataclass(frozen=True, slots=True, eq=False)
class ChoiceResult:
    """Result of one way to choose the tests that are run.

    Attributes:
        accuracy: float64 (permutations, problems, rounds).
        executions: per problem and round, mean over all.
        false_negative_rate: share of the correct candidates that fail a test that was run.
    """

    accuracy: NDArray[np.float64]
    executions: float
    false_negative_rate: float


def evaluate(
    recorded: Sequence[RecordedTests], choice: str, rounds: int, permutations: int
) -> ChoiceResult:
    """Run all problems round by round, since batch statistics are computed from all of them."""
    accuracy = np.zeros((permutations, len(recorded), rounds))
    executions, rates = 0.0, []
    for permutation in range(permutations):
        drawn = [
            np.random.default_rng([SEED, permutation, number]).permutation(one.tests)
            for number, one in enumerate(recorded)
        ]
        chosen: list[list[int]] = [[] for _ in recorded]
        known = _with_batch([one.evidence(np.empty(0, np.intp)) for one in recorded])
        for number in range(rounds):
            for one, tests, run, evidence in zip(recorded, drawn, chosen, known, strict=True):
                generated = tests[number * GENERATED : (number + 1) * GENERATED].tolist()
                programs = int(one.programs.max()) + 1
                if choice == ALL:
                    run.extend(generated)
                    executions += programs * len(generated)
                elif generated:
                    run.append(generated[0])
                    executions += programs
                    if _takes_informative(choice, evidence):
                        leading = LeadingPrograms.of(one, evidence)
                        separations = [
                            leading.separation(one, int(one.indices[test])) for test in generated
                        ]
                        run[-1] = generated[int(np.argmax(separations))]
                        executions += len(leading.programs) * len(generated)
            pairs = zip(recorded, chosen, strict=True)
            known = _with_batch([one.evidence(np.asarray(run, np.intp)) for one, run in pairs])
            for row, one, evidence in zip(accuracy[permutation], recorded, known, strict=True):
                won = _RULE.winners_after(evidence, [evidence.votes.tests])[0]
                row[number] = (won & one.correct).sum() / won.sum()
        rates += [
            1 - evidence.votes.passed()[:, one.correct].mean()
            for one, evidence in zip(recorded, known, strict=True)
            if one.correct.any()
        ]
    mean_executions = executions / (permutations * len(recorded) * rounds)
    return ChoiceResult(accuracy, mean_executions, float(np.mean(rates)))


def _takes_informative(choice: str, evidence: Evidence) -> bool:
    """True if the most informative test is to be run, not one at random."""
    assert isinstance(evidence.batch, BatchStatistics)
    tests = evidence.votes.tests
    if choice == BY_PASS_RATE:
        return bool(evidence.batch.best_pass_rate[tests] > _MIN_BEST_PASS_RATE)
    if choice == BY_MINORITY_RATIO:
        return bool(evidence.batch.minority_ratio[tests] <= _MAX_MINORITY_RATIO)
    return choice == INFORMATIVE


def _with_batch(problems: Sequence[Evidence]) -> list[Evidence]:
    batch = batch_statistics(problems)
    return [replace(evidence, batch=batch) for evidence in problems]


@dataclass(frozen=True, slots=True)
class ChoiceRow:
    """Figures of one way to choose, by round.

    Attributes:
        accuracy: in %.
        over_all: points over running all five.
        over_random: points over running one of the five at random.
        executions: per problem and round.
        false_negative_rate: share of the correct candidates that fail a test that was run, in %.
    """

    accuracy: tuple[float, ...]
    over_all: tuple[Interval, ...]
    over_random: tuple[Interval, ...]
    executions: float
    false_negative_rate: float


def choice_rows(evaluated: Mapping[str, ChoiceResult]) -> dict[str, ChoiceRow]:
    """All figures, from one bootstrap paired by problem and permutation."""
    columns = 100 * np.concatenate([one.accuracy for one in evaluated.values()], axis=2)
    means = bootstrap_means(columns, SEED)
    by_choice = dict(zip(evaluated, np.split(means, len(evaluated), axis=1), strict=True))

    def over(choice: str, other: str) -> tuple[Interval, ...]:
        return tuple(intervals(by_choice[choice] - by_choice[other]))

    return {
        choice: ChoiceRow(
            tuple(by_choice[choice][0].tolist()),
            over(choice, ALL),
            over(choice, RANDOM),
            one.executions,
            100 * one.false_negative_rate,
        )
        for choice, one in evaluated.items()
    }


def show(title: str, found: Mapping[str, ChoiceRow]) -> None:
    """Print the table of a part."""
    rounds = len(next(iter(found.values())).accuracy)
    print(f"\n{title}")
    counts = "".join(f"{GENERATED * (number + 1):>30}" for number in range(rounds))
    print(f"{'tests generated':<30}{counts}", end="")
    print("   executions per round, and correct candidates that fail a test")
    for choice, row in found.items():
        texts = [
            f"{accuracy:.1f} {_points(of_all):>10} {_points(of_random):>10}"
            for accuracy, of_all, of_random in zip(row.accuracy, row.over_all, row.over_random, strict=True)
        ]
        line = "".join(f"{text:>30}" for text in texts)
        print(f"{choice:<30}{line}   {row.executions:,.0f}, {row.false_negative_rate:.0f} %", flush=True)


def _points(lead: Interval) -> str:
    return f"{lead.value:+.1f} ±{(lead.high - lead.low) / 2:.1f}"


def mean_costs(recorded: Sequence[RecordedTests]) -> dict[str, float]:
    """Mean cost of a test, by quantity."""
    costs = np.concatenate([recording.costs for recording in recorded])
    return {name: round(float(cost), 3) for name, cost in zip(QUANTITIES, costs.mean(axis=0), strict=True)}


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--permutations", type=int, default=_PERMUTATIONS, help="of the tests (default: %(default)s)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="every eighth problem, 1 permutation, fewer parts"
    )
    arguments = parser.parse_args()
    every, permutations, parts = 1, arguments.permutations, COMPARED_PARTS
    if arguments.quick:
        every, permutations, parts = 8, 1, COMPARED_PARTS[:2]
    whole = recorded_tests(RECORDED_RUN)
    costs = mean_costs(whole)
    print(
        f"To generate a test of the recorded run takes {costs['tokens']:.0f} tokens and "
        f"{costs['gpu_seconds']:.3f} GPU-seconds, to run it\n"
        f"{costs['executions']:.0f} executions and {costs['cpu_seconds']:.3f} CPU-seconds. "
        "Accuracy in %, points over all five run,\nand points over one at random"
    )
    by_part = {
        part: [
            keep_part(one, part, np.random.default_rng([SEED, number]))
            for number, one in enumerate(whole[::every])
        ]
        for part in parts
    }
    by_part["mbpp"] = [
        keep_tests(one, np.arange(np.count_nonzero(one.rows >= 0))) for one in recorded_tests(MBPP)[::every]
    ]
    found: dict[str, dict[str, ChoiceRow]] = {}
    for name, recorded in by_part.items():
        rounds = max(1, min(_ROUNDS, int(np.mean([one.tests for one in recorded])) // GENERATED))
        found[name] = choice_rows(
            {choice: evaluate(recorded, choice, rounds, permutations) for choice in CHOICES}
        )
        show(name, found[name])
    print()
    print(json.dumps({"mean costs": costs, "parts": {name: figures(rows) for name, rows in found.items()}}))
    return 0


def figures(found: Mapping[str, ChoiceRow]) -> dict[str, Any]:
    """All figures of a part, rounded."""

    def bounds(leads: Sequence[Interval]) -> list[list[float]]:
        return [[round(value, 2) for value in (lead.value, lead.low, lead.high)] for lead in leads]

    return {
        choice: {
            "accuracy": [round(value, 2) for value in row.accuracy],
            "over all five": bounds(row.over_all),
            "over one at random": bounds(row.over_random),
            "executions per round": round(row.executions, 1),
            "correct candidates that fail a test": round(row.false_negative_rate, 1),
        }
        for choice, row in found.items()
    }


if __name__ == "__main__":
    sys.exit(main())
