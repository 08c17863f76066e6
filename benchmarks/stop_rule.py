"""Worth of closing problems for which more tests are likelier to harm the pick than to help.

Equal budgets, spent by the scheduler's own loop on the recorded run and on parts of its tests. Tests that a
closed problem does not get are saved, or given to other problems.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from recorded_blocks import RECORDED_RUN
from recorded_parts import PARTS, SEED, LabeledProblem, PartChoice, labeled_problems

from testbudget.executors.generation.unit_tests import UnitTestGenerator
from testbudget.policies.uniform import Uniform
from testbudget.rewards.bootstrap import Interval, bootstrap_means, intervals
from testbudget.rewards.confidence.model import default_models
from testbudget.rewards.outputs import RecordedOutputs, select_outputs
from testbudget.rewards.problem import Problem
from testbudget.rewards.quality import accuracy_of_winners
from testbudget.rewards.selection.base import SelectionRule
from testbudget.rewards.selection.batch import batch_statistics
from testbudget.rewards.selection.registry import selection_rule
from testbudget.scheduler.assembly import RunMethods, RunSources, make_dispatcher
from testbudget.scheduler.assessment import check_points
from testbudget.scheduler.backends.recorded import RecordedBackend
from testbudget.scheduler.core.events import Cap, RunStarted
from testbudget.scheduler.core.planner import UNLIMITED
from testbudget.scheduler.core.scheduler import Scheduler
from testbudget.scheduler.driver import Driver
from testbudget.scheduler.event_log import LOG_FILE, Entry, EventLog
from testbudget.scheduler.evidence_store import EvidenceStore
from testbudget.scheduler.run_problems import RunProblems
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.problems import load_problems
from testbudget.traces.tables import read_trace
from testbudget.traces.trace import Trace

COMPARED_PARTS: tuple[str, ...] = ("as recorded", "one in six right", "middle third", "worst third")
RULES = ("majority", "calibrated")
SAVED, GIVEN = "saved", "given to others"
_PERMUTATIONS = 3
_TESTS = 20


@dataclass(frozen=True, slots=True)
class RunPart:
    """A recorded run, or a part of its tests, as the recorded back end takes it.

    Attributes:
        problems: with their texts.
        trace: tests and verdicts.
        outputs_by_problem: recorded outputs by problem id.
    """

    problems: Sequence[Problem]
    trace: Trace
    outputs_by_problem: Mapping[str, RecordedOutputs]

    def part(self, tests_of: Mapping[str, Sequence[int]]) -> "RunPart":
        """Some tests of some problems, by problem id and index; they are renumbered from 0."""
        problems = [problem for problem in self.problems if problem.id in tests_of]
        traces, outputs_by_problem = {}, {}
        for problem in problems:
            seen, tests = self.trace.problems[problem.id], tests_of[problem.id]
            traces[problem.id] = replace(
                seen,
                tests={place: seen.tests[test] for place, test in enumerate(tests)},
                verdicts={place: seen.verdicts[test] for place, test in enumerate(tests)},
            )
            outputs_by_problem[problem.id] = _renumbered(self.outputs_by_problem[problem.id], tests)
        return RunPart(problems, replace(self.trace, problems=traces), outputs_by_problem)


def _renumbered(recorded_outputs: RecordedOutputs, tests: Sequence[int]) -> RecordedOutputs:
    places = {test: place for place, test in enumerate(tests)}
    inputs_of_tests = [
        (position, places[given.test])
        for position, given in enumerate(recorded_outputs.inputs)
        if given.test in places
    ]
    some = select_outputs(recorded_outputs, inputs=[position for position, _ in inputs_of_tests])
    inputs = (
        replace(given, test=place) for given, (_, place) in zip(some.inputs, inputs_of_tests, strict=True)
    )
    return replace(some, inputs=tuple(inputs))


@dataclass(frozen=True, slots=True, eq=False)
class LoopResult:
    """Result of the loop on all problems.

    Attributes:
        accuracy: float64 (problems,), accuracy of the picks.
        tests: int64 (problems,), tests that were run.
        closed: bool (problems,), problems that the stop rule closed.
    """

    accuracy: NDArray[np.float64]
    tests: NDArray[np.int_]
    closed: NDArray[np.bool_]


def run_loop(run: RunPart, rule: SelectionRule, *, stop: bool, max_tests: int | None = None) -> LoopResult:
    """Spend a cap with equal budgets.

    Args:
        run: its tests are granted in the order of their numbers.
        rule: selection rule that picks.
        stop: whether to close problems for which more tests are harmful.
        max_tests: of each problem; None for all that were recorded.
    """
    backend = RecordedBackend(run.trace, run.problems, outputs_by_problem=run.outputs_by_problem)
    available = np.array([len(run.trace.problem(problem).tests) for problem in run.problems])
    started = RunStarted(
        len(run.problems),
        SEED,
        Cap({"tests": _TESTS * len(run.problems)}),
        available if max_tests is None else np.minimum(available, max_tests),
        min_tests=0,
        window=UNLIMITED,
        quantum=UNLIMITED,
        checks=check_points() if stop else (),
    )
    candidates = {problem.id: tuple(run.trace.problem(problem).candidates) for problem in run.problems}
    methods = RunMethods(UnitTestGenerator(None, seed=0), rule, default_models(), checks_harm=stop)
    scheduler = Scheduler(started, lambda _: Uniform())
    with tempfile.TemporaryDirectory() as folder, EventLog(Path(folder) / LOG_FILE, durable=False) as log:
        problems = RunProblems(run.problems, EvidenceStore(log))
        log.append([Entry(started, 0.0)])
        dispatcher = make_dispatcher(problems, backend, RunSources(candidates, None, {}), methods)
        Driver(scheduler, log, problems.store, backend, dispatcher).run_loop()
        positions = range(len(problems))
        evidence = [problems.store.evidence(problems[position]) for position in positions]
    batch = batch_statistics(evidence)
    accuracy = [
        accuracy_of_winners(rule.winners(replace(one, batch=batch)), run.trace.problem(problem).correct)
        for one, problem in zip(evidence, run.problems, strict=True)
    ]
    closed = [scheduler.closed_because(position) == "harmful" for position in positions]
    return LoopResult(
        np.asarray(accuracy), np.asarray([one.votes.tests for one in evidence]), np.asarray(closed)
    )


@dataclass(frozen=True, slots=True)
class StopRow:
    """Figures of one selection rule on one part, in %.

    Attributes:
        accuracy: of equal budgets without the stop rule.
        closed: share of the problems that are closed.
        tests: share of the tests that are run where those of closed problems are saved.
        saved: points over equal budgets where the tests of closed problems are saved.
        given: points where they are given to other problems, over equal budgets that also give other
            problems the tests that a problem does not have.
    """

    accuracy: float
    closed: float
    tests: float
    saved: Interval
    given: Interval


def stop_row(runs: Sequence[RunPart], rule: SelectionRule) -> StopRow:
    """Run several permutations of a part, with and without the stop rule, tests saved and given."""
    results = [
        [run_loop(one, rule, stop=stop, max_tests=max_tests) for one in runs]
        for max_tests in (_TESTS, None)
        for stop in (False, True)
    ]
    columns = 100 * np.stack([[one.accuracy for one in of_runs] for of_runs in results], axis=2)
    means = bootstrap_means(columns, SEED)

    def gained(stopped: int) -> Interval:
        return intervals(means[:, [stopped]] - means[:, [stopped - 1]])[0]

    return StopRow(
        float(means[0, 0]),
        100 * float(np.mean([one.closed for one in results[1]])),
        100 * float(np.sum([one.tests for one in results[1]]) / np.sum([one.tests for one in results[0]])),
        gained(1),
        gained(3),
    )


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--permutations", type=int, default=_PERMUTATIONS, help="of the tests (default: %(default)s)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="every eighth problem, 1 permutation, two parts"
    )
    arguments = parser.parse_args()
    every, permutations, parts = 1, arguments.permutations, COMPARED_PARTS
    if arguments.quick:
        every, permutations, parts = 8, 1, COMPARED_PARTS[::3]
    outputs_by_problem = read_outputs(RECORDED_RUN)
    whole = RunPart(load_problems("humaneval"), read_trace(RECORDED_RUN), outputs_by_problem)
    labeled = dict(zip(whole.trace.problems, labeled_problems(), strict=True))
    print(
        f"Equal budgets of {_TESTS} tests per problem, checks after 5, 9 and 16; accuracy in %, and points"
    )
    print(f"{'over it':<30}{'accuracy':>9}{'closed':>9}{'tests':>8}{SAVED:>20}{GIVEN:>20}")
    found: dict[str, dict[str, StopRow]] = {}
    for part in parts:
        runs = [
            whole.part(
                {
                    name: _chosen_tests(PARTS[part], problem, [SEED, permutation, number])
                    for number, (name, problem) in enumerate(labeled.items())
                    if number % every == 0
                }
            )
            for permutation in range(permutations)
        ]
        found[part] = {}
        for name in RULES:
            found[part][name] = one = stop_row(runs, selection_rule(name))
            shares = f"{one.accuracy:9.1f}{one.closed:8.1f}%{one.tests:7.0f}%"
            points = f"{_points(one.saved):>20}{_points(one.given):>20}"
            print(f"{f'{part}, {name}':<30}{shares}{points}", flush=True)
    print()
    print(
        json.dumps(
            {part: {name: _figures(one) for name, one in rows.items()} for part, rows in found.items()}
        )
    )
    return 0


def _chosen_tests(choose: PartChoice, problem: LabeledProblem, seed: Sequence[int]) -> list[int]:
    chosen = choose(problem, np.random.default_rng(seed)).ravel()
    return [problem.indices[test] for test in chosen]


def _points(lead: Interval) -> str:
    return f"{lead.value:+.1f} [{lead.low:+.1f}, {lead.high:+.1f}]"


def _figures(one: StopRow) -> dict[str, float | list[float]]:
    def bounds(lead: Interval) -> list[float]:
        return [round(value, 2) for value in (lead.value, lead.low, lead.high)]

    return {
        "accuracy": round(one.accuracy, 2),
        "closed": round(one.closed, 1),
        "tests": round(one.tests, 1),
        SAVED: bounds(one.saved),
        GIVEN: bounds(one.given),
    }


if __name__ == "__main__":
    sys.exit(main())
