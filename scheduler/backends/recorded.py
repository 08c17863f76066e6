"""Back end that takes every completion and verdict from a finished run, on a simulated clock."""

import itertools
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from testbudget.executors.metering import Usage
from testbudget.rewards.errors import UserError
from testbudget.rewards.outputs import RecordedOutputs
from testbudget.rewards.problem import Problem
from testbudget.scheduler.backends.base import (
    Backend,
    ExecuteWork,
    ExecutionDone,
    ExtractWork,
    GenerateWork,
    GenerationDone,
    PoolUse,
    Report,
    Work,
    WorkerEnded,
)
from testbudget.scheduler.backends.recorded_worker import RecordedWorker
from testbudget.scheduler.backends.recordings import (
    RecordedCompletions,
    RecordedVerdicts,
    execution_usage,
    generation_usage,
)
from testbudget.scheduler.backends.simulated_clock import FinishedPiece, SimulatedClock, SimulatedPool
from testbudget.scheduler.core.events import WorkerKind
from testbudget.traces.pair_reasons import PairReasons
from testbudget.traces.records import Piece
from testbudget.traces.trace import Trace


@dataclass(slots=True, eq=False)
class _Open:
    """Work that is not done.

    Attributes:
        result: completions or verdicts.
        left: number of its parts that are not finished.
        parts: those that are.
        begun: True once a worker has begun with a part.
    """

    work: Work
    kind: WorkerKind
    result: Any
    left: int
    parts: list[FinishedPiece] = field(default_factory=list)
    begun: bool = False
    dropped: bool = False


@dataclass(slots=True, eq=False)
class _Part:
    """Part of work that one slot of a worker does: a request, or a block of tests."""

    open: _Open
    cost: Usage
    paid: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class _Workers:
    """Workers of one kind and their slots on the clock."""

    pool: SimulatedPool
    workers: Mapping[int, RecordedWorker]


class RecordedBackend(Backend):
    """Results of a finished run on a simulated clock, in one process.

    A request takes one slot for its GPU-seconds times the number of slots, since the GPU-seconds of a
    request are its share of an engine in use; a block of tests takes its CPU-seconds. Unmeasured time
    counts as 0.

    Args:
        trace: the finished run.
        problems: the problems of the job, with their texts.
        engines: number of simulated engines.
        slots: requests that each engine serves at once.
        runners: number of simulated runners.
        metered: True if workers work under leases.
        outputs_by_problem: recorded outputs by problem id, for work that asks for them.
        reasons_by_problem: reasons of the verdicts by problem id.

    Raises:
        UserError: the run lacks a problem, or holds another text of it.
    """

    def __init__(
        self,
        trace: Trace,
        problems: Sequence[Problem],
        *,
        engines: int = 1,
        slots: int = 1,
        runners: int = 1,
        metered: bool = False,
        outputs_by_problem: Mapping[str, RecordedOutputs] | None = None,
        reasons_by_problem: Mapping[str, PairReasons] | None = None,
    ) -> None:
        self._tests = RecordedCompletions(trace)
        self._verdicts = RecordedVerdicts(
            trace, problems, outputs_by_problem or {}, reasons_by_problem or {}
        )
        self._shape = {WorkerKind.REWARD_MODEL: (engines, slots), WorkerKind.RUNNER: (runners, 1)}
        self._metered = metered
        self._clock = SimulatedClock()
        self._numbers = itertools.count()
        self._of_kind: dict[WorkerKind, _Workers] = {}
        self._open: dict[Hashable, _Open] = {}
        self._reports: list[Report] = []  # of starts and ends
        self._active: dict[RecordedWorker, None] = {}  # may have used something since the last report
        self._blocked = False  # some worker has found its lease too short since then

    def submit(self, work: Work) -> None:
        """Look up the result of the work, and queue it on the simulated clock."""
        match work:
            case GenerateWork(model=WorkerKind.REWARD_MODEL):
                completions = self._tests.completions(work)
                slots = self._shape[WorkerKind.REWARD_MODEL][1]
                costs = [generation_usage([completion]) for completion in completions]
                seconds = [slots * cost.gpu_seconds for cost in costs]
                self._queue(WorkerKind.REWARD_MODEL, work, completions, costs, seconds)
            case GenerateWork():
                raise UserError(
                    "backend recorded must take candidates from a run but candidates.model is given"
                )
            case ExtractWork():
                raise UserError(
                    "backend recorded must take hidden states from a run but hidden_states.base_model "
                    "is given"
                )
            case ExecuteWork():
                block = self._verdicts.block(work)
                cost = execution_usage(block)
                charged = cost if work.charged else Usage()
                self._queue(WorkerKind.RUNNER, work, block, [charged], [cost.cpu_seconds])

    def wait(self, timeout: float | None = None) -> Sequence[Report]:  # noqa: ARG002 - nothing is waited for
        """Move the clock to the next result.

        The clock stands still as long as a worker that has started, or whose lease has ended, was not
        reported. If nothing is in progress then, nothing is returned at once.
        """
        done: list[Report] = []
        while not (done or self._reports or self._blocked):
            if not (finished := self._clock.step()):
                break
            for piece in finished:
                done += self._finished(piece)
        reports, self._reports = self._reports, []
        if done or self._blocked:
            reports += [report for worker in self._active for report in worker.report()]
            self._active.clear()
            self._blocked = False
        return [*reports, *done]

    def lease(self, worker: int, until: Usage) -> None:
        """Let a simulated worker use so much in all."""
        for workers in self._of_kind.values():
            if found := workers.workers.get(worker):
                found.lease(until)
                workers.pool.resume(worker)

    def abort(self, keys: Sequence[Hashable]) -> None:
        """Drop work; of what is in progress no result is reported."""
        for key in keys:
            if open_ := self._open.pop(key, None):
                open_.dropped = True
        for workers in self._of_kind.values():
            workers.pool.drop(lambda part: part.open.dropped)

    def retire(self, kind: WorkerKind) -> None:
        """End the simulated workers of a kind."""
        if workers := self._of_kind.pop(kind, None):
            self.abort([key for key, open_ in self._open.items() if open_.kind is kind])
            for number, worker in workers.workers.items():
                self._active.pop(worker, None)
                self._reports += [*worker.report(), WorkerEnded(number, complete=True)]

    def isolation(self, language: str) -> str:  # noqa: ARG002
        """The constant sentence ``nothing runs``."""
        return "nothing runs"

    def tests_available(self, problem: Problem) -> int:
        """Number of recorded tests."""
        return self._tests.available(problem)

    def pools(self) -> Mapping[WorkerKind, PoolUse]:
        """Present use of the simulated workers."""
        return {kind: self._use(kind) for kind in self._of_kind}

    @property
    def seconds(self) -> float:
        """Seconds on the simulated clock."""
        return self._clock.now

    def close(self) -> None:
        """Drop all work."""
        for kind in list(self._of_kind):
            self.retire(kind)

    def _queue(
        self, kind: WorkerKind, work: Work, result: Any, costs: Sequence[Usage], seconds: Sequence[float]
    ) -> None:
        if kind not in self._of_kind:
            self._start(kind)
        open_ = self._open[work.key] = _Open(work, kind, result, len(costs))
        self._of_kind[kind].pool.submit_all([_Part(open_, cost) for cost in costs], seconds)

    def _start(self, kind: WorkerKind) -> None:
        count, slots = self._shape[kind]
        slice_ = self._tests.slice if kind is WorkerKind.REWARD_MODEL else self._verdicts.slice
        started = [
            RecordedWorker(next(self._numbers), kind, slice_, metered=self._metered) for _ in range(count)
        ]
        workers = {worker.number: worker for worker in started}

        def admit(number: int, part: _Part) -> bool:
            worker = workers[number]
            self._active[worker] = None
            part.paid = worker.pay(part.cost, part.paid)
            self._blocked = self._blocked or part.paid < 1
            part.open.begun = part.open.begun or part.paid >= 1
            return part.paid >= 1

        self._of_kind[kind] = _Workers(self._clock.pool(workers, slots, admit), workers)
        self._reports += [worker.start() for worker in started]

    def _finished(self, piece: FinishedPiece) -> list[Report]:
        """Reports of a piece that has ended: the result, if it was the last part of its work."""
        open_ = piece.tag.open
        open_.left -= 1
        open_.parts.append(piece)
        if open_.left or open_.dropped:
            return []
        del self._open[open_.work.key]
        workers = self._of_kind[open_.kind].workers
        names = dict.fromkeys(workers[part.worker].name for part in open_.parts)
        whole = Piece(
            ", ".join(names),
            piece.submitted,
            min(part.started for part in open_.parts),
            piece.finished,
        )
        if isinstance(open_.work, ExecuteWork):
            return [ExecutionDone(open_.work, open_.result, whole)]
        assert isinstance(open_.work, GenerateWork)
        return [GenerationDone(open_.work, open_.result, whole)]

    def _use(self, kind: WorkerKind) -> PoolUse:
        begun = [open_.begun for open_ in self._open.values() if open_.kind is kind]
        return PoolUse(len(self._of_kind[kind].workers), sum(begun), len(begun) - sum(begun))
