"""Job, recording and work of the conformance suite of back ends, and a driver that watches every report."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from testbudget.executors.generation.base import Prompt, Request
from testbudget.executors.metering import Usage
from testbudget.rewards.problem import Candidate, Problem, TestKind, UnitTest, Verdict
from testbudget.scheduler.backends.base import (
    Backend,
    ExecuteWork,
    ExecutionDone,
    ExtractionDone,
    GenerateWork,
    GenerationDone,
    Report,
    Work,
    WorkerEnded,
    WorkerReport,
    WorkerStarted,
    WorkLost,
)
from testbudget.scheduler.core.events import WorkerKind
from testbudget.scheduler.job import Job
from testbudget.traces.records import (
    CandidateRecord,
    DistinctPrograms,
    TestRecord,
    TestStatus,
    VerdictRecord,
)
from testbudget.traces.trace import ProblemTrace, Trace

MakeBackend = Callable[[Job, Sequence[Problem], Trace, bool], Backend]
"""Type of a function that creates a back end: of a job, its problems, the finished run that the tests come
from, and True to work under leases."""

TESTS = 8
"""Number of recorded tests of each problem."""

KINDS = (WorkerKind.REWARD_MODEL, WorkerKind.RUNNER)
"""Kinds of workers of the job."""

_MULTIPLIERS = (2, 3, 4)
_EXPRESSIONS = ("x * {k}", "x + {k}", "{k} * x", "x - {k}")
_TESTS_PER_PIECE = 2
_LIMIT_SECONDS = 120.0
_REST_SECONDS = 0.25
_MOST_WAITS = 100_000

PROBLEMS = tuple(
    Problem(f"times/{k}", f'def times(x):\n    """Returns x times {k}."""\n', "times") for k in _MULTIPLIERS
)
"""Problems of the job."""

Done = GenerationDone | ExtractionDone | ExecutionDone


class RunKey(NamedTuple):
    """Key of a piece of work.

    Attributes:
        kind: kind of the workers that do it.
        problem: id of its problem.
        first: its first test.
        remark: what distinguishes it from other work on the same tests.
    """

    kind: WorkerKind
    problem: str
    first: int
    remark: str = ""


def key_of(work: Work) -> RunKey:
    """Key of work of the suite."""
    assert isinstance(work.key, RunKey)
    return work.key


def require(condition: bool, sentence: str) -> None:
    """Raise an AssertionError with a sentence unless a condition holds."""
    if not condition:
        raise AssertionError(sentence)


def job_of(runners: int = 1) -> Job:
    """A job whose candidates and tests come from a finished run."""
    source = {"from_run": "recording"}
    sections = {"problems": {"source": "problems.jsonl"}, "candidates": source, "tests": source}
    return Job.model_validate(sections | {"cap": {"tests": 1}, "execution": {"runners": runners}})


def recording() -> Trace:
    """The finished run. Every test costs other amounts of tokens and GPU-seconds."""
    return Trace(Path("recording"), {problem.id: _trace_of(problem) for problem in PROBLEMS}, None)


def generations() -> list[GenerateWork]:
    """Requests for all tests, some at a time."""
    return [
        GenerateWork(
            RunKey(WorkerKind.REWARD_MODEL, problem.id, first),
            WorkerKind.REWARD_MODEL,
            problem.id,
            tuple(
                Request(problem.id, index, Prompt("", chat=False), index)
                for index in range(first, first + _TESTS_PER_PIECE)
            ),
        )
        for first in range(0, TESTS, _TESTS_PER_PIECE)
        for problem in PROBLEMS
    ]


def executions() -> list[ExecuteWork]:
    """All tests to execute, some at a time on ever fewer candidates."""
    return [
        ExecuteWork(
            RunKey(WorkerKind.RUNNER, problem.id, first),
            problem,
            _candidates(problem)[first // _TESTS_PER_PIECE :],
            tuple(_test(problem, index) for index in range(first, first + _TESTS_PER_PIECE)),
        )
        for first in range(0, TESTS, _TESTS_PER_PIECE)
        for problem in PROBLEMS
    ]


def expected_verdicts(work: ExecuteWork) -> NDArray[np.uint8]:
    """Verdicts of a piece of work, uint8 (candidates, tests)."""
    recorded = _trace_of(work.problem).verdicts
    rows = [candidate.index for candidate in work.candidates]
    return np.stack([recorded[test.index].verdicts[rows] for test in work.tests], axis=1)


def generation_cost_of(work: GenerateWork) -> Usage:
    """Recorded cost of the tests of a piece of work."""
    recorded = [_trace_of_id(work.problem).tests[request.index] for request in work.requests]
    return Usage(sum(test.tokens for test in recorded), sum(test.gpu_seconds for test in recorded))


def _trace_of_id(problem: str) -> ProblemTrace:
    return next(_trace_of(one) for one in PROBLEMS if one.id == problem)


def _trace_of(problem: Problem) -> ProblemTrace:
    k = _MULTIPLIERS[PROBLEMS.index(problem)]
    candidates = [CandidateRecord.of(problem, one.code, 0, float("nan")) for one in _candidates(problem)]
    assert len(DistinctPrograms.among(candidates).representatives) == len(candidates)
    tests = {
        index: TestRecord(
            TestStatus.USABLE, f"test {index} of {problem.id}", index, 10.0 * k + index, 0.25 * (index + 1)
        )
        for index in range(TESTS)
    }
    verdicts = {
        index: VerdictRecord(
            np.array(
                [
                    Verdict.PASSED if value == index * k else Verdict.FAILED
                    for value in (index * k, index + k, k * index, index - k)
                ],
                np.uint8,
            ),
            np.full(len(candidates), 0.25, np.float32),
            np.zeros(len(candidates), np.bool_),
        )
        for index in range(TESTS)
    }
    return ProblemTrace(problem.content_hash, float("nan"), candidates, None, tests, verdicts)


def _candidates(problem: Problem) -> tuple[Candidate, ...]:
    k = _MULTIPLIERS[PROBLEMS.index(problem)]
    return tuple(
        Candidate(problem.id, index, f"{problem.prompt}    return {expression.format(k=k)}\n", 0)
        for index, expression in enumerate(_EXPRESSIONS)
    )


def _test(problem: Problem, index: int) -> UnitTest:
    k = _MULTIPLIERS[PROBLEMS.index(problem)]
    return UnitTest(
        problem.id, index, f"assert {problem.entry_point}({index}) == {index * k}\n", kind=TestKind.ASSERT
    )


class Driven:
    """A back end in use: what was submitted, and what was reported. Each report is checked as it comes.

    Args:
        backend: the back end; closed at the end of the context.
        metered: True if it works under leases, which :meth:`finish` gives.

    Attributes:
        submitted: open and finished work, in order.
        done: results by key.
        workers: workers by number, those that ended too.
        ended: numbers of the workers that have ended.
    """

    def __init__(self, backend: Backend, *, metered: bool) -> None:
        self.backend = backend
        self.submitted: list[Work] = []
        self.done: dict[Any, Done] = {}
        self.workers: dict[int, WorkerStarted] = {}
        self.ended: set[int] = set()
        self._used: dict[int, Usage] = {}
        self._slices: dict[int, Usage] = {}
        self._until: dict[int, Usage] | None = {} if metered else None
        self._forgotten: set[Any] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.backend.close()

    def submit(self, works: Iterable[Work]) -> None:
        """Submit work."""
        for work in works:
            self.submitted.append(work)
            self.backend.submit(work)

    def abort(self, keys: set[RunKey]) -> None:
        """Abort work, and work that was never submitted."""
        self.backend.abort([*keys, RunKey(WorkerKind.RUNNER, "never submitted", 0)])
        self._forgotten |= keys
        self.submitted = [work for work in self.submitted if work.key not in keys]

    def reports(
        self, until: Callable[[], bool] | None = None, renew: float | None = None
    ) -> Iterator[Report]:
        """Wait, and yield every report, until all work is done, or something else is true.

        Args:
            until: says when to end; None for the end of all work.
            renew: part of its slice by which the lease of each worker is ahead of its usage; None for no
                lease.
        """
        if until is None:
            until = self._all_done
        if renew is not None:
            for number in self.workers.keys() - self.ended:
                self._lease(number, renew)
        deadline = time.monotonic() + _LIMIT_SECONDS
        for _ in range(_MOST_WAITS):
            if until():
                return
            for report in self.backend.wait(1.0):
                self._check(report)
                yield report
                if renew is not None and isinstance(report, WorkerStarted | WorkerReport):
                    self._lease(report.number, renew)
            if time.monotonic() > deadline:
                break
        open_ = [work.key for work in self.submitted if work.key not in self.done]
        raise AssertionError(f"work must end but after {_LIMIT_SECONDS:g} s there is {open_} left")

    def finish(self, renew: float | None = None) -> None:
        """Wait until all work is done."""
        for _ in self.reports(renew=renew):
            pass

    def rest(self) -> None:
        """Wait until every kind with work has a worker and nothing is reported any more."""
        wanted = {key_of(work).kind for work in self.submitted}
        for _ in self.reports(until=lambda: {worker.kind for worker in self.workers.values()} >= wanted):
            pass
        while reports := self.backend.wait(_REST_SECONDS):
            for report in reports:
                self._check(report)

    def alive(self, kind: WorkerKind) -> set[int]:
        """Numbers of the workers of a kind that have not ended."""
        return {
            number
            for number, worker in self.workers.items()
            if worker.kind is kind and number not in self.ended
        }

    def used(self, kind: WorkerKind) -> float:
        """Usage that the workers of a kind have told: tokens of engines, CPU-seconds of runners."""
        used = [self._used[number] for number, worker in self.workers.items() if worker.kind == kind]
        return sum(one.cpu_seconds if kind == WorkerKind.RUNNER else one.tokens for one in used)

    def _all_done(self) -> bool:
        return len(self.done) == len(self.submitted)

    def _lease(self, number: int, renew: float) -> None:
        if self._until is None or number in self.ended:
            return
        ahead = (
            max(until, used + renew * one)
            for until, used, one in zip(
                self._until[number], self._used[number], self._slices[number], strict=True
            )
        )
        self._until[number] = Usage(*ahead)
        self.backend.lease(number, self._until[number])

    def _check(self, report: Report) -> None:
        match report:
            case WorkerStarted(number, name, _, slice_):
                require(number not in self.workers, f"worker {number} must start once")
                known = {worker.name for worker in self.workers.values()}
                require(
                    name not in known, f"each worker must have a name of its own but got {name!r} again"
                )
                self.workers[number], self._used[number], self._slices[number] = report, Usage(), slice_
                if self._until is not None:
                    self._until[number] = Usage()
            case WorkerReport(number, used, slice_):
                self._check_usage(number, used)
                self._used[number], self._slices[number] = used, slice_
            case WorkerEnded(number):
                self._check_alive(number)
                self.ended.add(number)
            case WorkLost(work, reason):
                raise AssertionError(f"no work must be lost but {work.key} was: {reason}")
            case _:
                key = report.work.key
                require(key not in self._forgotten, f"work {key} was aborted but is done")
                require(key in {work.key for work in self.submitted}, f"nobody submitted {key}")
                require(key not in self.done, f"work {key} must have one result but has another")
                self.done[key] = report

    def _check_alive(self, number: int) -> None:
        require(number in self.workers, f"worker {number} must start before anything else is said of it")
        require(number not in self.ended, f"worker {number} has ended but there is a report of it")

    def _check_usage(self, number: int, used: Usage) -> None:
        self._check_alive(number)
        for name, before, now in zip(Usage._fields, self._used[number], used, strict=True):
            require(now >= before - 1e-9, f"worker {number} used {before:g} {name} but now tells {now:g}")
        if self._until is not None:
            for name, now, until in zip(Usage._fields, used, self._until[number], strict=True):
                require(
                    now <= until + 1e-6,
                    f"worker {number} may use {until:g} {name} in all but has used {now:g}",
                )
