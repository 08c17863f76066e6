"""Worth of inputs without expected values: mutated inputs and, as a bound, inputs of further tests.

An input without an expected value still separates candidates whose outputs on it differ. Mutated inputs are
made as ``execution.input_mutations`` makes them, and executed in the sandbox. Inputs of further tests,
which a run would have to pay for, are taken from the recorded run. ``calibrated`` picks, at equal budgets.
"""

import argparse
import json
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from recorded_blocks import RECORDED_RUN
from recorded_parts import AS_RECORDED, SEED, keep_candidates, keep_part, keep_tests, recorded_tests

from testbudget.executors.execution.inputs import mutated_inputs
from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.runner import Runner
from testbudget.rewards.bootstrap import Interval, bootstrap_means, intervals
from testbudget.rewards.outputs import RecordedOutputs, join_outputs, select_outputs
from testbudget.rewards.selection.registry import selection_rule
from testbudget.traces.learning_curves import RecordedTests, compute_learning_curves, random_permutations
from testbudget.traces.problems import load_problems
from testbudget.traces.records import ProblemCandidates
from testbudget.traces.tables import read_trace

COMPARED_PARTS: tuple[str, ...] = (AS_RECORDED, "one in six right")
MUTATIONS = (0, 2, 5)
"""Numbers of mutated inputs of each test."""

FURTHER_TESTS = (0, 1, 3, 10, 40)
"""Numbers of further tests whose inputs are known before the first test."""

_CANDIDATES, _TESTS = 40, 4  # of each problem whose inputs are mutated: all of them would take an hour
_PERMUTATIONS = 20
_LIMITS = TestLimits(cpu_seconds=0.5, max_timeouts=2)


@dataclass(frozen=True, slots=True, eq=False)
class MutatedTests:
    """Some tests of a problem on some candidates, and outputs on mutated inputs of the tests.

    Attributes:
        recording: the tests, without mutated inputs.
        outputs: outputs on the mutated inputs, each of which names its test.
    """

    recording: RecordedTests
    outputs: RecordedOutputs

    def with_mutations(self, count: int) -> RecordedTests:
        """The same tests, each executed together with its first ``count`` mutated inputs."""
        places: list[int] = []
        for test in self.recording.indices.tolist():
            of_test = [place for place, item in enumerate(self.outputs.inputs) if item.test == test]
            places += of_test[:count]
        assert self.recording.recorded_outputs is not None
        outputs = [self.recording.recorded_outputs, select_outputs(self.outputs, inputs=places)]
        return replace(self.recording, recorded_outputs=join_outputs(outputs))


def execute_mutations(
    runner: Runner, recording: RecordedTests, programs: Sequence[str], random: np.random.Generator
) -> MutatedTests:
    """Mutate the inputs of a few tests and execute a few candidates on them.

    Args:
        runner: executes the programs.
        recording: tests and candidates to choose from.
        programs: source code of the distinct candidates, at least as many as are chosen.
        random: draws tests and mutations.
    """
    few = keep_candidates(recording, _CANDIDATES)
    few = keep_tests(few, random.permutation(np.count_nonzero(few.rows >= 0))[:_TESTS])
    assert few.recorded_outputs is not None, "outputs are recorded"
    mutated = []
    for test in few.indices.tolist():
        given = [item for item in few.recorded_outputs.inputs if item.test == test]
        mutated += [replace(one, test=test) for one in mutated_inputs(given, max(MUTATIONS), random)]
    outputs, _ = runner.call(programs[: len(few.recorded_outputs.results)], mutated)
    return MutatedTests(few, replace(outputs, inputs=tuple(mutated)))


def with_inputs_of(recording: RecordedTests, tests: Collection[int]) -> RecordedTests:
    """The same tests, had the inputs of some tests been executed before the first test.

    Args:
        recording: with outputs.
        tests: indices in the run of the tests whose inputs are used.
    """
    recorded_outputs = recording.recorded_outputs
    assert recorded_outputs is not None, "outputs are recorded"
    places = [place for place, item in enumerate(recorded_outputs.inputs) if item.test in tests]
    alone = select_outputs(recorded_outputs, inputs=places)
    alone = replace(alone, inputs=tuple(replace(item, test=None) for item in alone.inputs))
    return replace(recording, recorded_outputs=join_outputs([alone, recorded_outputs]))


def inputs_before_tests(recording: RecordedTests) -> int:
    """Number of distinct inputs that are known before the first test."""
    assert recording.recorded_outputs is not None
    return len({item.digest for item in recording.recorded_outputs.inputs if item.test is None})


def distinct_programs(recording: RecordedTests) -> int:
    """Number of distinct programs among the candidates."""
    return int(recording.programs.max()) + 1


def accuracies(
    recorded: Sequence[RecordedTests], counts: Sequence[int], permutations: int
) -> NDArray[np.float64]:
    """Accuracy of the picks, float64 (permutations, problems, counts).

    A problem with fewer tests keeps its last value.
    """
    found = np.empty((permutations, len(recorded), len(counts)))
    for permutation, of_permutation in enumerate(found):
        drawn = random_permutations(recorded, np.random.default_rng([SEED, permutation]))
        drawn = [tests[: max(counts)] for tests in drawn]
        curves = compute_learning_curves(recorded, drawn, selection_rule("calibrated"))
        for row, curve in zip(of_permutation, curves, strict=True):
            row[:] = curve.accuracy[np.minimum(counts, len(curve.accuracy) - 1)]
    return found


@dataclass(frozen=True, slots=True)
class InputsRow:
    """Figures for one number of inputs.

    Attributes:
        accuracy: in %, by count of tests.
        gained: points over tests alone, by count of tests.
        executions: per test, or of all further inputs, per problem.
    """

    accuracy: tuple[float, ...]
    gained: tuple[Interval, ...]
    executions: float


def inputs_rows(
    evaluated: Mapping[int, NDArray[np.float64]], executions: Mapping[int, float]
) -> dict[int, InputsRow]:
    """Figures by number of inputs; the first number must be 0."""
    columns = 100 * np.concatenate(list(evaluated.values()), axis=2)
    means = bootstrap_means(columns, SEED)
    alone, *_ = parts = np.split(means, len(evaluated), axis=1)
    return {
        number: InputsRow(
            tuple(values[0].tolist()),
            tuple(intervals(values - alone)),
            executions[number],
        )
        for number, values in zip(evaluated, parts, strict=True)
    }


def show(
    title: str, label: str, found: Mapping[int, InputsRow], counts: Sequence[int], charged: str
) -> None:
    """Print a table: accuracy of tests alone, and points gained by further inputs."""
    print(f"\n{title}")
    print(f"{'tests':<30}{''.join(f'{count:>12}' for count in counts)}   {charged}")
    for number, row in found.items():
        texts = [f"{gain.value:+.1f} ±{(gain.high - gain.low) / 2:.1f}" for gain in row.gained]
        if not number:
            texts = [f"{accuracy:.1f}     " for accuracy in row.accuracy]
        line = "".join(f"{text:>12}" for text in texts)
        name = label.format(number) if number else "tests alone"
        print(f"{name:<30}{line}   {row.executions:,.0f}", flush=True)


def evaluate_mutated_inputs(part: str, every: int, permutations: int) -> dict[int, InputsRow]:
    """Mutated inputs of a few tests of each problem, executed here and now."""
    trace, mutated = read_trace(RECORDED_RUN), []
    with Runner(_LIMITS) as runner:
        problems = list(zip(load_problems("humaneval"), recorded_tests(), strict=True))
        for number, (problem, recording) in enumerate(problems):
            if number % every == 0:
                texts = [
                    one.code
                    for one in ProblemCandidates.of(problem, trace.problem(problem).candidates).programs
                ]
                random = np.random.default_rng([SEED, number])
                chosen = keep_part(recording, part, random)
                mutated.append(execute_mutations(runner, chosen, texts, random))
    counts = (1, 2, _TESTS)
    evaluated = {
        number: accuracies([one.with_mutations(number) for one in mutated], counts, permutations)
        for number in MUTATIONS
    }
    executions = {
        number: float(np.mean([distinct_programs(one.recording) * (1 + number) for one in mutated]))
        for number in MUTATIONS
    }
    found = inputs_rows(evaluated, executions)
    title = f"{part}, {_CANDIDATES} candidates, {_TESTS} tests of each of {len(mutated)} problems"
    show(title, "{} mutated inputs of each", found, counts, "executions per test")
    return found


def evaluate_further_tests(part: str, every: int, permutations: int) -> dict[int, InputsRow]:
    """Recorded inputs of further tests, known before the first test."""
    counts = (1, 2, 3, 5, 8, 20)
    whole = recorded_tests()[::every]
    evaluated: dict[int, NDArray[np.float64]] = {}
    executions: dict[int, float] = {}
    for number in FURTHER_TESTS:
        recorded = []
        for place, one in enumerate(whole):
            random = np.random.default_rng([SEED, place])
            chosen = keep_part(one, part, random)
            drawn = random.permutation(one.indices[one.rows >= 0])[:number]
            recorded.append(with_inputs_of(chosen, drawn.tolist()))
        evaluated[number] = accuracies(recorded, counts, permutations)
        executions[number] = float(
            np.mean([distinct_programs(one) * inputs_before_tests(one) for one in recorded])
        )
    found = inputs_rows(evaluated, executions)
    title = f"{part}, all candidates, {len(whole)} problems"
    show(title, "inputs of {} further tests", found, counts, "executions of these inputs")
    return found


def figures(found: Mapping[int, InputsRow]) -> dict[int, Any]:
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
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--permutations", type=int, default=_PERMUTATIONS, help="of the tests (default: %(default)s)"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="7 problems for mutated inputs, 21 for further tests, 3 permutations",
    )
    arguments = parser.parse_args()
    every, permutations = (24, 3) if arguments.quick else (1, arguments.permutations)
    further = {
        part: evaluate_further_tests(part, max(1, every // 3), permutations) for part in COMPARED_PARTS
    }
    mutated = {part: evaluate_mutated_inputs(part, every, permutations) for part in COMPARED_PARTS}
    print()
    print(
        json.dumps(
            {
                "mutated inputs": {part: figures(found) for part, found in mutated.items()},
                "further tests": {part: figures(found) for part, found in further.items()},
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
