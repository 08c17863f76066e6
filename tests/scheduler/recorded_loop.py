"""Runs of the loop on the recorded back end, whole or in parts."""

from dataclasses import replace

import numpy as np

from testbudget.executors.generation.unit_tests import UnitTestGenerator
from testbudget.policies.registry import create_policy
from testbudget.rewards.outputs import CallEnding, CallResult, RecordedCall, RecordedOutputs
from testbudget.scheduler.assessment import HarmStop
from testbudget.scheduler.backends.recorded import RecordedBackend
from testbudget.scheduler.budget import Budget, Cap
from testbudget.scheduler.event_log import EventLog
from testbudget.scheduler.loop import Loop, spent
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.records import ProblemCandidates, VerdictRecord, evidence_of, votes_of
from testbudget.traces.tables import read_trace

AVAILABLE = 8
PASS_RATES = np.array([0.4, 0.05, 0.9, 0.2, 0.6])


class CutOffError(Exception):
    """Simulated end of the process."""


class CutOff(RecordedBackend):
    """A back end whose process ends after a number of results."""

    def __init__(self, *arguments, results: int, **options) -> None:
        super().__init__(*arguments, **options)
        self.left = results

    def wait(self):
        if not self.left:
            raise CutOffError
        self.left -= 1
        return super().wait()


class Run:
    """One run of the recorded problems with one event log, whole or in parts.

    Attributes:
        rule: selection rule of the harm checks.
        confidence_models: models of the harm checks; None checks nothing.
        closed_because: reason why each problem got no more tests.
    """

    def __init__(self, recorded, path, policy="uniform", min_tests=0, elimination=None, **limits) -> None:
        self.elimination, self.available = elimination, AVAILABLE
        self.rule, self.confidence_models = None, None
        self.outputs_by_problem = read_outputs(recorded.directory)
        self.trace = read_trace(recorded.directory)
        self.problems = recorded.problems
        self.path = path / "log.sqlite"
        self.items = [ProblemCandidates.of(p, self.trace.problem(p).candidates) for p in recorded.problems]
        self.policy, self.min_tests, self.limits = policy, min_tests, limits

    def part(self, results: int | None = None):
        """Run until the end, or until the simulated end of the process; return the cost."""
        options = {} if results is None else {"results": results}
        kind = RecordedBackend if results is None else CutOff
        backend = kind(
            self.trace, self.problems, runners=2, outputs_by_problem=self.outputs_by_problem, **options
        )
        policy = create_policy(
            self.policy,
            len(self.items),
            pass_rates=PASS_RATES,
            min_tests=self.min_tests,
            max_tests=self.available,
        )
        with EventLog(self.path) as event_log:
            budget = Budget(Cap(self.limits), spent(event_log))
            harm_stop = None
            if self.confidence_models:
                nothing = np.full(len(self.items), np.nan)
                harm_stop = HarmStop(self.items, event_log, self.rule, self.confidence_models, nothing)
            loop = Loop(
                self.items,
                policy,
                budget,
                event_log,
                backend,
                UnitTestGenerator(None, seed=0),
                harm_stop=harm_stop,
                elimination=self.elimination,
                record_outputs=True,
            )
            loop.run()
            self.closed_because = [loop.closed_because(p, self.available) for p in range(len(self.items))]
            return budget.spent

    def seen(self):
        """Number of granted tests, status of each test, and scores of the programs, by problem."""
        with EventLog(self.path) as event_log:
            return {
                item.problem.id: (
                    event_log.granted(item.problem.id),
                    {
                        index: record.status
                        for index, record in sorted(event_log.tests[item.problem.id].items())
                    },
                    votes_of(event_log.verdicts[item.problem.id], item.distinct).scores().tolist(),
                )
                for item in self.items
            }

    def verdicts(self):
        """Verdicts by problem, uint8 (tests, programs)."""
        with EventLog(self.path) as event_log:
            return {
                problem.id: np.stack(
                    [record.verdicts for _, record in sorted(event_log.verdicts[problem.id].items())]
                )
                for problem in self.problems
            }

    def evidence(self):
        with EventLog(self.path) as event_log:
            return [
                evidence_of(
                    event_log.verdicts[item.problem.id],
                    item.distinct,
                    event_log.recorded_outputs_of(item.problem.id),
                )
                for item in self.items
            ]

    def recorded_outputs(self):
        with EventLog(self.path) as event_log:
            return {problem.id: event_log.recorded_outputs_of(problem.id) for problem in self.problems}

    def tests(self):
        return [granted for granted, _, _ in self.seen().values()]


def many_tests(recorded, path, elimination=None, policy="uniform", **limits) -> Run:
    """A run on a recording of the same programs with twenty usable tests for each problem."""
    path.mkdir()
    run = Run(recorded, path, policy, elimination=elimination, **limits)
    run.available = 20
    problems = {}
    for k, problem in enumerate(recorded.problems, start=2):
        seen = run.trace.problem(problem)
        values = np.array([[x * k, x + k, x * k, x**k] for x in range(20)])
        verdicts = {x: values[x] == x * k for x in range(20)}
        run.outputs_by_problem[problem.id] = recorded_outputs_of(values)
        problems[problem.id] = replace(
            seen,
            tests={x: replace(seen.tests[0], text=answer(problem, k, x)) for x in verdicts},
            verdicts={
                x: VerdictRecord(passed.astype(np.uint8), np.zeros(4, np.float32), np.zeros(4, np.bool_))
                for x, passed in verdicts.items()
            },
        )
    run.trace = replace(run.trace, problems=problems)
    return run


def recorded_outputs_of(values) -> RecordedOutputs:
    """Recorded outputs of programs that returned these values, int (tests, programs)."""
    distinct, results = np.unique(values, return_inverse=True)
    inputs = tuple(RecordedCall(x, "f", f"[{x}]", x) for x in range(len(values)))
    outputs = tuple(CallResult(CallEnding.RETURNED, int(value), str(value)) for value in distinct)
    return RecordedOutputs(inputs, outputs, results.reshape(values.shape).T.astype(np.int32))


def answer(problem, k, x) -> str:
    return (
        f"```python\nimport unittest\n\nclass Test(unittest.TestCase):\n    def test_value(self):\n"
        f"        self.assertEqual({problem.entry_point}({x}), {x * k})\n```\n"
    )
