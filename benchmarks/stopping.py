"""What it is worth to stop at problems whose picks more tests are likelier to harm than to help.

Equal budgets, played by the loop itself on the recorded run and on parts of its tests, good and bad. What a
stopped problem does not get is saved, or goes to the others.
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
from parts import REGIMES, SEED, Choice, problems_of_the_run
from parts import Problem as Known
from recorded import RECORDED_RUN

from testbudget.executors.generation.unit_tests import UnitTestGenerator
from testbudget.policies.registry import create_policy
from testbudget.rewards.confidence.model import default_models
from testbudget.rewards.outputs import RecordedOutputs, select_outputs
from testbudget.rewards.problem import Problem
from testbudget.rewards.quality import expected_accuracy
from testbudget.rewards.selection.base import SelectionRule
from testbudget.rewards.selection.batch import batch_statistics
from testbudget.rewards.selection.registry import selection_rule
from testbudget.rewards.statistics import Interval, bootstrap_means, intervals
from testbudget.scheduler.assessment import HarmStop, evidence_so_far
from testbudget.scheduler.backends.recorded import RecordedBackend
from testbudget.scheduler.budget import Budget, Cap
from testbudget.scheduler.log import EventLog
from testbudget.scheduler.loop import Loop
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.problems import load_problems
from testbudget.traces.records import ProblemCandidates
from testbudget.traces.tables import read_trace
from testbudget.traces.trace import Trace

PARTS = ("as recorded", "one in six right", "middle third", "worst third")
RULES = ("majority", "auto")
SAVED, GIVEN = "saved", "given to others"
_ORDERS = 3
_TESTS = 20


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded run, or a part of it, that the loop can replay.

    Attributes:
        problems: with their texts.
        trace: what the run saw of them.
        behaviours: what their programs did, by problem id.
    """

    problems: Sequence[Problem]
    trace: Trace
    outputs_by_problem: Mapping[str, RecordedOutputs]

    def part(self, tests_of: Mapping[str, Sequence[int]]) -> "Recording":
        """Some of each problem's tests, by their indices; they are numbered anew from 0 on."""
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
        return Recording(problems, replace(self.trace, problems=traces), outputs_by_problem)


def _renumbered(recorded_outputs: RecordedOutputs, tests: Sequence[int]) -> RecordedOutputs:
    places = {test: place for place, test in enumerate(tests)}
    calls = [
        (call, places[given.test])
        for call, given in enumerate(recorded_outputs.inputs)
        if given.test in places
    ]
    some = select_outputs(recorded_outputs, inputs=[call for call, _ in calls])
    inputs = (replace(given, test=place) for given, (_, place) in zip(some.inputs, calls, strict=True))
    return replace(some, inputs=tuple(inputs))


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """What a run came to.

    Attributes:
        accuracy: of each pick, shape (problems,).
        tests: that were spent, by problem.
        stopped: which problems were, shape (problems,).
    """

    accuracy: NDArray[np.float64]
    tests: NDArray[np.float64]
    stopped: NDArray[np.bool_]


def play(recording: Recording, rule: SelectionRule, *, stop: bool, most: int | None = None) -> Played:
    """Has the loop spend a cap of equal budgets.

    Args:
        recording: of tests in the order in which they come.
        rule: picks.
        stop: whether problems are stopped.
        most: tests of a problem; None is as many as there are.
    """
    items = [
        ProblemCandidates.of(problem, recording.trace.of(problem).candidates)
        for problem in recording.problems
    ]
    backend = RecordedBackend(
        recording.trace, recording.problems, outputs_by_problem=recording.outputs_by_problem
    )
    available = np.asarray([backend.tests_available(problem) for problem in recording.problems])
    policy = create_policy(
        "uniform",
        len(items),
        max_tests=available if most is None else np.minimum(available, most),
        seed=SEED,
    )
    with tempfile.TemporaryDirectory() as folder, EventLog(Path(folder) / "log.sqlite") as event_log:
        unpredicted = np.full(len(items), np.nan)
        Loop(
            items,
            policy,
            Budget(Cap({"tests": _TESTS * len(items)})),
            event_log,
            backend,
            UnitTestGenerator(None, seed=0),
            harm_stop=HarmStop(items, event_log, rule, default_models(), unpredicted) if stop else None,
            record_outputs=True,
        ).run()
        evidence = [evidence_so_far(one, event_log) for one in items]
        harm_checks = event_log.harm_checks
    batch = batch_statistics(evidence)
    accuracy = [
        expected_accuracy(rule.winners(replace(one, batch=batch)), recording.trace.of(problem).correct)
        for one, problem in zip(evidence, recording.problems, strict=True)
    ]
    stopped = [
        problem.id in harm_checks and harm_checks[problem.id].stops for problem in recording.problems
    ]
    return Played(
        np.asarray(accuracy), np.asarray([one.votes.tests for one in evidence]), np.asarray(stopped)
    )


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one rule on one part, in %.

    Attributes:
        accuracy: of equal budgets.
        stopped: share of the problems.
        tests: that are spent where those of stopped problems are saved.
        saved, given: points over equal budgets, which give what a problem has not to the others likewise.
    """

    accuracy: float
    stopped: float
    tests: float
    saved: Interval
    given: Interval


def row(recordings: Sequence[Recording], rule: SelectionRule) -> Row:
    """Plays some orders of a part, with and without stopping, tests saved and given to others."""
    ways = [
        [play(one, rule, stop=stop, most=most) for one in recordings]
        for most in (_TESTS, None)
        for stop in (False, True)
    ]
    columns = 100 * np.stack([[one.accuracy for one in way] for way in ways], axis=2)
    means = bootstrap_means(columns, SEED)

    def gained(harm_stop: int) -> Interval:
        return intervals(means[:, [harm_stop]] - means[:, [harm_stop - 1]])[0]

    return Row(
        float(means[0, 0]),
        100 * float(np.mean([one.stopped for one in ways[1]])),
        100 * float(np.sum([one.tests for one in ways[1]]) / np.sum([one.tests for one in ways[0]])),
        gained(1),
        gained(3),
    )


def main() -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=_ORDERS, help="of the tests (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="each eighth problem, 1 order, fewer parts")
    arguments = parser.parse_args()
    every, orders, parts = (8, 1, PARTS[::3]) if arguments.quick else (1, arguments.orders, PARTS)
    outputs_by_problem = read_outputs(RECORDED_RUN)
    whole = Recording(load_problems("humaneval"), read_trace(RECORDED_RUN), outputs_by_problem)
    known = dict(zip(whole.trace.problems, problems_of_the_run(), strict=True))
    print(
        f"Equal budgets of {_TESTS} tests per problem, looks after 5, 9 and 16; accuracy in %, and points"
    )
    print(f"{'over it':<30}{'accuracy':>9}{'stopped':>9}{'tests':>8}{SAVED:>20}{GIVEN:>20}")
    found: dict[str, dict[str, Row]] = {}
    for part in parts:
        recordings = [
            whole.part(
                {
                    name: _chosen(REGIMES[part], problem, [SEED, order, number])
                    for number, (name, problem) in enumerate(known.items())
                    if number % every == 0
                }
            )
            for order in range(orders)
        ]
        found[part] = {}
        for name in RULES:
            found[part][name] = one = row(recordings, selection_rule(name))
            shares = f"{one.accuracy:9.1f}{one.stopped:8.1f}%{one.tests:7.0f}%"
            points = f"{_points(one.saved):>20}{_points(one.given):>20}"
            print(f"{f'{part}, {name}':<30}{shares}{points}", flush=True)
    print()
    print(
        json.dumps({part: {name: _figures(one) for name, one in of.items()} for part, of in found.items()})
    )
    return 0


def _chosen(choose: Choice, problem: Known, seed: Sequence[int]) -> list[int]:
    chosen = choose(problem, np.random.default_rng(seed)).ravel()
    return [problem.indices[test] for test in chosen]


def _points(lead: Interval) -> str:
    return f"{lead.value:+.1f} [{lead.low:+.1f}, {lead.high:+.1f}]"


def _figures(one: Row) -> dict[str, float | list[float]]:
    def bounds(lead: Interval) -> list[float]:
        return [round(value, 2) for value in (lead.value, lead.low, lead.high)]

    return {
        "accuracy": round(one.accuracy, 2),
        "stopped": round(one.stopped, 1),
        "tests": round(one.tests, 1),
        SAVED: bounds(one.saved),
        GIVEN: bounds(one.given),
    }


if __name__ == "__main__":
    sys.exit(main())
