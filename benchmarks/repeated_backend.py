"""Back end of a run of any size: it answers at once with the recorded work of a few problems, repeated.

Each problem is another one to the run, with the texts of a recorded one. The time that the back end takes
itself is counted, so that a benchmark can leave it out.
"""

# ruff: noqa: ARG002 - most of the contract needs nothing here

import json
import time
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from recorded_blocks import RECORDED_RUN

from testbudget.executors.execution.runner import BlockVerdicts
from testbudget.executors.generation.base import Completion
from testbudget.executors.metering import Usage
from testbudget.rewards.outputs import RecordedOutputs, join_outputs, outputs_by_test, select_outputs
from testbudget.rewards.problem import NOT_RUN, Problem, Verdict
from testbudget.rewards.verdict_reason import GENERAL_SENTENCES, DetailName, VerdictReason
from testbudget.scheduler.backends.base import (
    Backend,
    ExecuteWork,
    ExecutionDone,
    GenerateWork,
    GenerationDone,
    PoolUse,
    Report,
    Work,
    WorkerStarted,
)
from testbudget.scheduler.core.events import WorkerKind
from testbudget.traces.output_tables import read_outputs
from testbudget.traces.records import DistinctPrograms, Piece
from testbudget.traces.tables import read_trace

CANDIDATES = 32
"""Candidates of each problem."""

RECORDED_TESTS = 32
"""Tests of each problem; further ones are these again."""

_ANSWERS_PER_WAIT = 64


class RecordedProblem:
    """Answers about one recorded problem: its first candidates, and its first tests with verdicts.

    Args:
        problem: the problem with its texts.
        seen: its trace.
        outputs: recorded outputs of its distinct programs.
    """

    def __init__(self, problem: Problem, seen: Any, outputs: RecordedOutputs) -> None:
        self.problem = problem
        distinct = DistinctPrograms.among(seen.candidates)
        self.candidates = [
            record.candidate(problem, index).code
            for index, record in enumerate(seen.candidates[:CANDIDATES])
        ]
        self.programs = distinct.inverse[:CANDIDATES]
        tests = sorted(seen.verdicts)[:RECORDED_TESTS]
        self.tests = [seen.tests[test] for test in tests]
        self.verdicts = np.stack([seen.verdicts[test].verdicts[self.programs] for test in tests], axis=1)
        self.cpu_seconds = np.stack(
            [seen.verdicts[test].cpu_seconds[self.programs] for test in tests], axis=1
        )
        parts = outputs_by_test(outputs)
        self.outputs = [
            select_outputs(parts[test], self.programs) if test in parts else None for test in tests
        ]
        # As the runner does: a failed assertion is told with what was expected and given.
        self.reasons = [self._reasons(number) for number in range(len(tests))]

    def _reasons(self, number: int) -> tuple[tuple[VerdictReason, ...], NDArray[np.int32]]:
        reasons: dict[tuple[Any, ...], int] = {}
        found: list[VerdictReason] = []
        numbers = np.zeros(len(self.programs), np.int32)
        outputs = self.outputs[number]
        for row, verdict in enumerate(self.verdicts[:, number].tolist()):
            given = ""
            if outputs is not None and verdict == Verdict.FAILED and outputs.results[row, -1] >= 0:
                given = outputs.outputs[outputs.results[row, -1]].example
            key = (verdict, given)
            if key not in reasons:
                reasons[key] = len(found)
                detail = {}
                if given:
                    detail = {
                        DetailName.EXCEPTION: "AssertionError",
                        DetailName.MESSAGE: f"{given} != {number}",
                        DetailName.LINE: str(8 + number),
                        DetailName.EXPECTED: str(number),
                        DetailName.GIVEN: given,
                    }
                found.append(VerdictReason(GENERAL_SENTENCES[verdict], detail))
            numbers[row] = reasons[key]
        return tuple(found), numbers


class RecordedProblems:
    """The recorded problems that a run of any size repeats.

    Args:
        directory: the recorded run, with recorded outputs.
        problems: its problems; None takes the texts that it names.
    """

    def __init__(self, directory: Path = RECORDED_RUN, problems: Sequence[Problem] | None = None) -> None:
        trace, outputs = read_trace(directory), read_outputs(directory)
        self.problems = [
            RecordedProblem(problem, trace.problems[problem.id], outputs[problem.id])
            for problem in problems or trace.texts()
            if problem.id in outputs and len(trace.problems[problem.id].verdicts) >= RECORDED_TESTS
        ]

    def of(self, number: int) -> RecordedProblem:
        """The recorded problem of a repeated one."""
        return self.problems[number % len(self.problems)]


def write_problems(recorded: RecordedProblems, count: int, path: Path) -> None:
    """Write so many problems as JSON Lines; each has an id of its own."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            problem = recorded.of(number).problem
            assert problem.ground_truth is not None
            row = {
                "id": f"p/{number}",
                "prompt": problem.prompt,
                "entry_point": problem.entry_point,
            }
            file.write(json.dumps(row) + "\n")


class RepeatedBackend(Backend):
    """Answers from :class:`RecordedProblems`, in the order of submission, some at each wait.

    Attributes:
        recorded: what is answered with.
        own_seconds: CPU-seconds of this process in the back end's own methods.
        on_wait: called at each wait.
    """

    recorded: ClassVar[RecordedProblems]
    own_seconds: ClassVar[float] = 0.0
    tests: ClassVar[int] = 0
    on_wait: ClassVar[Callable[[], None]] = staticmethod(lambda: None)

    def __init__(self, job: Any, recording: Any = None, *, metered: bool = False) -> None:
        self._slots = job.tests.model.actors * job.tests.model.in_flight
        self._queue: deque[Work] = deque()
        self._begun = time.monotonic()
        self._dropped: set[Hashable] = set()
        self._started = [
            WorkerStarted(number, f"repeated {number}", kind, Usage())
            for number, kind in enumerate(
                (WorkerKind.POLICY_MODEL, WorkerKind.REWARD_MODEL, WorkerKind.RUNNER), start=1
            )
        ]

    def submit(self, work: Work) -> None:
        """Queue work."""
        self._queue.append(work)

    def wait(self, timeout: float | None = None) -> Sequence[Report]:
        """Answer the oldest work."""
        begun = time.process_time()
        type(self).on_wait()
        reports: list[Report] = [*self._started]
        self._started.clear()
        for _ in range(min(len(self._queue), _ANSWERS_PER_WAIT)):
            work = self._queue.popleft()
            if work.key in self._dropped:
                continue
            now = self.seconds
            piece = Piece("repeated", now, now, now)
            if isinstance(work, GenerateWork):
                reports.append(GenerationDone(work, self._completions(work), piece))
            elif isinstance(work, ExecuteWork):
                reports.append(ExecutionDone(work, self._block(work), piece))
        RepeatedBackend.own_seconds += time.process_time() - begun
        return reports

    def lease(self, worker: int, until: Usage) -> None:
        """Nothing is metered."""

    def abort(self, keys: Sequence[Hashable]) -> None:
        """Drop work."""
        self._dropped.update(keys)

    def retire(self, kind: WorkerKind) -> None:
        """There are no workers."""

    def isolation(self, language: str) -> str:
        """The constant sentence ``nothing runs``."""
        return "nothing runs"

    def tests_available(self, problem: Problem) -> int | None:
        """Without end."""
        return None

    def pools(self) -> Mapping[WorkerKind, PoolUse]:
        """As many slots as the job asks for."""
        kinds = (WorkerKind.POLICY_MODEL, WorkerKind.REWARD_MODEL, WorkerKind.RUNNER)
        busy = min(len(self._queue), self._slots)
        return {kind: PoolUse(1, busy, len(self._queue) - busy) for kind in kinds}

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._begun

    def close(self) -> None:
        """Drop all work."""
        self._queue.clear()

    def _completions(self, work: GenerateWork) -> list[Completion]:
        recorded = self.recorded.of(int(work.problem.split("/")[1]))
        if work.model is WorkerKind.POLICY_MODEL:
            codes = [_code(recorded, request.index) for request in work.requests]
            return [Completion(code, 100.0, 0.01, "stop") for code in codes]
        RepeatedBackend.tests += len(work.requests)
        tests = [recorded.tests[request.index % len(recorded.tests)] for request in work.requests]
        return [Completion(test.text, test.tokens, test.gpu_seconds, "stop") for test in tests]

    def _block(self, work: ExecuteWork) -> BlockVerdicts:
        recorded = self.recorded.of(int(work.problem.id.split("/")[1]))
        candidates = np.array([candidate.index for candidate in work.candidates])
        tests = [test.index % len(recorded.tests) for test in work.tests]
        chosen = np.ix_(candidates, tests)
        verdicts = recorded.verdicts[chosen]
        cpu_seconds = recorded.cpu_seconds[chosen]
        if work.wanted is not None:
            verdicts[~np.array(work.wanted)] = NOT_RUN
        reasons: list[VerdictReason] = []
        columns = []
        for test in tests:
            of_test, numbers = recorded.reasons[test]
            columns.append(numbers[candidates] + len(reasons))
            reasons += of_test
        parts = []
        for place, test in enumerate(tests):
            part = recorded.outputs[test]
            if part is not None:
                part = select_outputs(part, candidates)
                index = work.tests[place].index
                inputs = tuple(
                    type(call)(index, call.function, call.arguments, call.digest) for call in part.inputs
                )
                parts.append(RecordedOutputs(inputs, part.outputs, part.results))
        empty = RecordedOutputs((), (), np.zeros((len(candidates), 0), np.int32))
        given = {"lost": np.zeros(verdicts.shape, np.bool_)} if "lost" in BlockVerdicts.__slots__ else {}
        return BlockVerdicts(
            verdicts=verdicts,
            cpu_seconds=cpu_seconds,
            wall_seconds=cpu_seconds,
            same_process=np.zeros(verdicts.shape, np.bool_),
            cut_at=np.zeros(verdicts.shape, np.float32),
            reasons=tuple(reasons),
            reason_of=np.stack(columns, axis=1).astype(np.int32),
            recorded_outputs=join_outputs(parts) if parts else empty,
            input_mutations=np.zeros(len(tests), np.int64),
            **given,
        )


def _code(recorded: RecordedProblem, index: int) -> str:
    prompt = recorded.problem.prompt
    code = recorded.candidates[index]
    return code[len(prompt) :] if code.startswith(prompt) else code
