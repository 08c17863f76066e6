"""What inputs without expected values are worth: changed inputs of tests, and as a bound those of others.

An input that no expected value is known of still parts candidates that behave differently on it. Changed
inputs are made and run here and now, in the sandbox, as ``execution.mutated_inputs`` has them; the inputs of
further tests, which a run would have to pay for, are taken from the recorded run. ``auto`` picks, with
equal budgets.
"""

import argparse
import json
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from parts import AS_RECORDED, REGIMES, SEED, Problem, of_candidates, of_tests, recordings
from recorded import RECORDED_RUN

from testbudget.executors.execution.inputs import mutated_inputs
from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import Runner
from testbudget.rewards.outputs import RecordedOutputs, join_outputs, select_outputs
from testbudget.rewards.selection.registry import selection_rule
from testbudget.rewards.statistics import Interval, bootstrap_means, intervals
from testbudget.traces.learning_curves import RecordedTests, compute_learning_curves, random_permutations
from testbudget.traces.problems import load_problems
from testbudget.traces.records import ProblemCandidates
from testbudget.traces.tables import read_trace

PARTS = (AS_RECORDED, "one in six right")
VARIATIONS = (0, 2, 5)
"""Changed inputs of each test."""

FURTHER = (0, 1, 3, 10, 40)
"""Further tests whose inputs are known before the first one."""

_CANDIDATES, _TESTS = 40, 4  # of a problem whose tests are varied: all of them would take an hour
_ORDERS = 20
_LIMITS = TestLimits(cpu_seconds=0.5, max_timeouts=2)


@dataclass(frozen=True, slots=True, eq=False)
class Varied:
    """Some tests of a problem on some candidates, and what these did on changed inputs of the tests.

    Attributes:
        recording: of the tests alone.
        done: on the changed inputs, each of which belongs to its test.
    """

    recording: RecordedTests
    done: RecordedOutputs

    def with_variations(self, count: int) -> RecordedTests:
        """The same tests, had so many of the changed inputs of each been run beside it."""
        places: list[int] = []
        for test in self.recording.indices.tolist():
            of_test = [place for place, item in enumerate(self.done.inputs) if item.test == test]
            places += of_test[:count]
        assert self.recording.recorded_outputs is not None
        parts = [self.recording.recorded_outputs, select_outputs(self.done, inputs=places)]
        return replace(self.recording, recorded_outputs=join_outputs(parts))


def vary(
    runner: Runner, recording: RecordedTests, programs: Sequence[str], random: np.random.Generator
) -> Varied:
    """Runs changed inputs of a few tests on a few candidates.

    Args:
        runner: runs them.
        recording: of all tests and candidates that there are to choose from.
        programs: texts of the distinct candidates, as many as wanted at least.
        random: draws tests and changes.
    """
    few = of_candidates(recording, _CANDIDATES)
    few = of_tests(few, random.permutation(np.count_nonzero(few.rows >= 0))[:_TESTS])
    assert few.recorded_outputs is not None, "outputs are recorded"
    wanted = []
    for test in few.indices.tolist():
        given = [item for item in few.recorded_outputs.inputs if item.test == test]
        wanted += [replace(one, test=test) for one in mutated_inputs(given, max(VARIATIONS), random)]
    done, _ = runner.call(programs[: len(few.recorded_outputs.results)], wanted)
    return Varied(few, replace(done, inputs=tuple(wanted)))


def with_inputs_of(recording: RecordedTests, tests: Collection[int]) -> RecordedTests:
    """The same recording, had the inputs of some tests been run before the first test.

    Args:
        recording: with outputs.
        tests: what the run calls them.
    """
    recorded_outputs = recording.recorded_outputs
    assert recorded_outputs is not None, "outputs are recorded"
    wanted = [place for place, item in enumerate(recorded_outputs.inputs) if item.test in tests]
    alone = select_outputs(recorded_outputs, inputs=wanted)
    alone = replace(alone, inputs=tuple(replace(item, test=None) for item in alone.inputs))
    return replace(recording, recorded_outputs=join_outputs([alone, recorded_outputs]))


def further_inputs(recording: RecordedTests) -> int:
    """How many distinct inputs are known before the first test."""
    assert recording.recorded_outputs is not None
    return len({item.digest for item in recording.recorded_outputs.inputs if item.test is None})


def programs(recording: RecordedTests) -> int:
    """How many distinct programs there are among the candidates."""
    return int(recording.programs.max()) + 1


def accuracies(
    recorded: Sequence[RecordedTests], counts: Sequence[int], orders: int
) -> NDArray[np.float64]:
    """Of the picks, shape (orders, problems, counts); behind its last test a problem stays as it was."""
    found = np.empty((orders, len(recorded), len(counts)))
    for order, of_order in enumerate(found):
        drawn = random_permutations(recorded, np.random.default_rng([SEED, order]))
        drawn = [tests[: max(counts)] for tests in drawn]
        for row, course in zip(
            of_order, compute_learning_curves(recorded, drawn, selection_rule("auto")), strict=True
        ):
            row[:] = course.accuracy[np.minimum(counts, len(course.accuracy) - 1)]
    return found


@dataclass(frozen=True, slots=True)
class Row:
    """What came of so many inputs; accuracy in %.

    Attributes:
        accuracy: by count of tests.
        gained: over tests alone, by count of tests.
        executions: for each test, or of all further inputs, per problem.
    """

    accuracy: tuple[float, ...]
    gained: tuple[Interval, ...]
    executions: float


def rows(played: Mapping[int, NDArray[np.float64]], executions: Mapping[int, float]) -> dict[int, Row]:
    """The figures, by number of inputs; none of them is the first."""
    columns = 100 * np.concatenate(list(played.values()), axis=2)
    means = bootstrap_means(columns, SEED)
    alone, *_ = parts = np.split(means, len(played), axis=1)
    return {
        number: Row(
            tuple(values[0].tolist()),
            tuple(intervals(values - alone)),
            executions[number],
        )
        for number, values in zip(played, parts, strict=True)
    }


def show(title: str, what: str, found: Mapping[int, Row], counts: Sequence[int], charged: str) -> None:
    """Prints a table: accuracy of tests alone, and points gained by further inputs."""
    print(f"\n{title}")
    print(f"{'tests':<30}{''.join(f'{count:>12}' for count in counts)}   {charged}")
    for number, row in found.items():
        cells = [f"{gain.value:+.1f} ±{(gain.high - gain.low) / 2:.1f}" for gain in row.gained]
        if not number:
            cells = [f"{accuracy:.1f}     " for accuracy in row.accuracy]
        line = "".join(f"{cell:>12}" for cell in cells)
        name = what.format(number) if number else "tests alone"
        print(f"{name:<30}{line}   {row.executions:,.0f}", flush=True)


def varied_inputs(part: str, every: int, orders: int) -> dict[int, Row]:
    """Changed inputs of a few tests of each problem, executed here and now."""
    trace, varied = read_trace(RECORDED_RUN), []
    with Runner(_LIMITS) as runner:
        problems = list(zip(load_problems("humaneval"), recordings(), strict=True))
        for number, (problem, recording) in enumerate(problems):
            if number % every == 0:
                texts = [
                    one.code for one in ProblemCandidates.of(problem, trace.of(problem).candidates).programs
                ]
                random = np.random.default_rng([SEED, number])
                chosen = of_tests(recording, REGIMES[part](Problem.of(recording), random).ravel())
                varied.append(vary(runner, chosen, texts, random))
    counts = (1, 2, _TESTS)
    played = {
        number: accuracies([one.with_variations(number) for one in varied], counts, orders)
        for number in VARIATIONS
    }
    each = {
        number: float(np.mean([programs(one.recording) * (1 + number) for one in varied]))
        for number in VARIATIONS
    }
    found = rows(played, each)
    title = f"{part}, {_CANDIDATES} candidates, {_TESTS} tests of each of {len(varied)} problems"
    show(title, "{} changed inputs of each", found, counts, "executions per test")
    return found


def inputs_of_others(part: str, every: int, orders: int) -> dict[int, Row]:
    """Inputs of further tests, as recorded, known before the first test."""
    counts = (1, 2, 3, 5, 8, 20)
    whole = recordings()[::every]
    played: dict[int, NDArray[np.float64]] = {}
    spent: dict[int, float] = {}
    for number in FURTHER:
        recorded = []
        for place, one in enumerate(whole):
            random = np.random.default_rng([SEED, place])
            chosen = of_tests(one, REGIMES[part](Problem.of(one), random).ravel())
            drawn = random.permutation(one.indices[one.rows >= 0])[:number]
            recorded.append(with_inputs_of(chosen, drawn.tolist()))
        played[number] = accuracies(recorded, counts, orders)
        spent[number] = float(np.mean([programs(one) * further_inputs(one) for one in recorded]))
    found = rows(played, spent)
    title = f"{part}, all candidates, {len(whole)} problems"
    show(title, "inputs of {} further tests", found, counts, "executions of these inputs")
    return found


def figures(found: Mapping[int, Row]) -> dict[int, Any]:
    """All figures, rounded, by number of inputs."""
    return {
        number: {
            "accuracy": [round(value, 2) for value in row.accuracy],
            "gained": [[round(v, 2) for v in (gain.value, gain.low, gain.high)] for gain in row.gained],
            "executions": round(row.executions, 1),
        }
        for number, row in found.items()
    }


def main() -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=_ORDERS, help="of the tests (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="few problems, 3 orders")
    arguments = parser.parse_args()
    few, orders = (24, 3) if arguments.quick else (1, arguments.orders)
    of_others = {part: inputs_of_others(part, max(1, few // 3), orders) for part in PARTS}
    changed = {part: varied_inputs(part, few, orders) for part in PARTS}
    print()
    print(
        json.dumps(
            {
                "changed inputs": {part: figures(found) for part, found in changed.items()},
                "further tests": {part: figures(found) for part, found in of_others.items()},
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
