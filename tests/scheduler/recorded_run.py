"""Runs of the core on the recorded back end without a job: policies, rules and models as given."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from testbudget.executors.generation.unit_tests import UnitTestGenerator
from testbudget.policies.base import PolicyContext
from testbudget.policies.registry import create_policy, policy_class
from testbudget.rewards.confidence.model import default_models
from testbudget.rewards.elimination import end_of_rung
from testbudget.rewards.outputs import CallEnding, CallResult, RecordedCall, RecordedOutputs
from testbudget.rewards.selection.registry import selection_rule
from testbudget.scheduler.assembly import RunMethods, RunSources, make_dispatcher
from testbudget.scheduler.assessment import EliminationRule
from testbudget.scheduler.backends.recorded import RecordedBackend
from testbudget.scheduler.core.events import Cap, RunStarted
from testbudget.scheduler.core.planner import UNLIMITED
from testbudget.scheduler.core.scheduler import Scheduler
from testbudget.scheduler.driver import Driver
from testbudget.scheduler.event_log import LOG_FILE, Entry, EventLog
from testbudget.scheduler.evidence_store import EvidenceStore
from testbudget.scheduler.run_problems import RunProblems
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.records import VerdictRecord
from testbudget.traces.tables import read_trace
from testbudget.traces.trace import Trace

PASS_RATES = np.array([0.4, 0.05, 0.9, 0.2, 0.6])
CHECKS = tuple(end_of_rung(test) for test in (0, 5, 9, 16, 29))


@dataclass
class Recording:
    """A run to read: its trace and recorded outputs."""

    trace: Trace
    problems: list[Any]
    outputs: dict[str, RecordedOutputs]

    @classmethod
    def of(cls, recorded) -> "Recording":
        outputs = dict(read_outputs(recorded.directory))
        return cls(read_trace(recorded.directory), recorded.problems, outputs)


@dataclass
class RecordedRun:
    """One run in a directory, whole or in parts. ``back`` makes its back end from the recording."""

    recording: Recording
    directory: Path
    policy: str = "uniform"
    rule: str = "majority"
    limits: Mapping[str, float] = field(default_factory=lambda: {"tests": 12})
    confidence_models: Any = None
    z: float | None = None
    eliminates: bool = False
    min_tests: int = 0
    window: int = UNLIMITED
    quantum: int = UNLIMITED
    back: Any = RecordedBackend

    def part(self, watch=lambda: None) -> None:
        """Run until the end, or until ``watch`` or the back end raises."""
        recording = self.recording
        backend = self.back(
            recording.trace, recording.problems, runners=2, outputs_by_problem=recording.outputs
        )
        with EventLog(self.directory / LOG_FILE, durable=False) as log, backend:
            self.store = EvidenceStore(log)
            problems = RunProblems(recording.problems, self.store)
            rule = selection_rule(self.rule)
            checks = self.confidence_models is not None
            methods = RunMethods(
                UnitTestGenerator(None, seed=0),
                rule,
                self.confidence_models or default_models(),
                EliminationRule(rule, self.z) if self.eliminates else None,
                checks_harm=checks,
            )
            sources = RunSources(self._candidates(), None, {})
            dispatcher = make_dispatcher(problems, backend, sources, methods)
            started = self._header(log, CHECKS if checks else ())
            self.grants = []
            self.scheduler = Scheduler(
                started,
                lambda _: create_policy(
                    self.policy,
                    PolicyContext(len(problems), 0, started.max_tests, PASS_RATES[: len(problems)]),
                ),
                needs_all="pass_rates" in policy_class(self.policy).needs,
                on_grant=self._note,
            )
            driver = Driver(self.scheduler, log, self.store, backend, dispatcher)
            driver.run_loop(watch)
            self.outputs = {p.id: self.store.recorded_outputs_of(p.id) for p in recording.problems}

    @property
    def granted(self) -> list[int]:
        """Tests granted to each problem."""
        return self.scheduler.problems.granted.tolist()

    @property
    def closed_because(self) -> list[str | None]:
        return [self.scheduler.closed_because(at) for at in range(len(self.recording.problems))]

    def decided(self):
        """What the run has decided and found."""
        verdicts = {
            problem: {test: record.verdicts.tolist() for test, record in sorted(of_problem.items())}
            for problem, of_problem in sorted(self.store.verdicts.items())
        }
        spent = self.scheduler.books.spent
        return self.grants, verdicts, self.closed_because, spent["tests"], spent["executions"]

    def _candidates(self):
        trace = self.recording.trace
        return {problem.id: tuple(trace.problem(problem).candidates) for problem in self.recording.problems}

    def _note(self, made) -> None:
        columns = (made.tasks, made.problems, made.first, made.tests)
        self.grants += list(zip(*(column.tolist() for column in columns), strict=True))

    def _header(self, log, checks) -> RunStarted:
        for entry in log.entries(["RunStarted"]):
            return entry.event
        available = [len(self.recording.trace.problem(p).tests) for p in self.recording.problems]
        started = RunStarted(
            len(available),
            0,
            Cap(self.limits),
            np.array(available),
            self.min_tests,
            self.window,
            self.quantum,
            checks,
        )
        log.append([Entry(started, 0.0)])
        return started


def many_tests(recording: Recording) -> Recording:
    """A recording of the same programs with twenty usable tests for each problem."""
    problems, outputs = {}, {}
    for k, problem in enumerate(recording.problems, start=2):
        seen = recording.trace.problem(problem)
        values = np.array([[x * k, x + k, x * k, x**k] for x in range(20)])
        verdicts = {x: values[x] == x * k for x in range(20)}
        outputs[problem.id] = recorded_outputs_of(values)
        problems[problem.id] = replace(
            seen,
            tests={x: replace(seen.tests[0], text=answer(problem, k, x)) for x in verdicts},
            verdicts={
                x: VerdictRecord(passed.astype(np.uint8), np.zeros(4, np.float32), np.zeros(4, np.bool_))
                for x, passed in verdicts.items()
            },
        )
    return Recording(replace(recording.trace, problems=problems), recording.problems, outputs)


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
