"""Back end that takes every completion and verdict from a finished run, on a simulated clock."""

import itertools
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from testbudget.executors.execution.runner import BlockVerdicts
from testbudget.executors.generation.base import Completion
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
    WorkerReport,
    WorkerStarted,
)
from testbudget.scheduler.backends.recordings import (
    RecordedTests,
    RecordedVerdicts,
    execution_usage,
    generation_usage,
)
from testbudget.scheduler.backends.simulated_workers import (
    Finished,
    SimulatedClock,
    SimulatedWorker,
    SimulatedWorkers,
)
from testbudget.scheduler.core.events import WorkerKind
from testbudget.traces.records import Piece
from testbudget.traces.trace import Trace

_UNLIMITED = Usage(*[float("inf")] * 3)


class RecordedBackend(Backend):
    """Results of a finished run on a simulated clock, in one process.

    A piece takes as long as it did when it was recorded. Unmeasured time counts as 0.

    Args:
        trace: the finished run.
        problems: the problems of the job, with their texts.
        engines: number of engines of the simulated cluster.
        slots: pieces that each engine serves at once.
        runners: number of runners of the simulated cluster.
        metered: True if workers work under leases.
        outputs_by_problem: recorded outputs by problem id, for work that asks for them.
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
    ) -> None:
        self._tests = RecordedTests(trace)
        self._verdicts = RecordedVerdicts(trace, problems, outputs_by_problem or {})
        self._clock = SimulatedClock()
        self._numbers = itertools.count()
        self._metered = metered
        self._shape = {WorkerKind.REWARD_MODEL: (engines, slots), WorkerKind.RUNNER: (runners, 1)}
        self._slices = {
            WorkerKind.REWARD_MODEL: self._tests.slice,
            WorkerKind.RUNNER: self._verdicts.slice,
        }
        self._pools: dict[WorkerKind, SimulatedWorkers] = {}
        self._reports: list[Report] = []

    def submit(self, work: Work) -> None:
        """Look up the result of the work, and queue it on the simulated clock."""
        result: list[Completion] | BlockVerdicts
        match work:
            case GenerateWork(model=WorkerKind.REWARD_MODEL):
                kind, result = WorkerKind.REWARD_MODEL, self._tests.completions(work)
                usage = generation_usage(result)
                seconds = usage.gpu_seconds
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
                kind, result = WorkerKind.RUNNER, self._verdicts.block(work)
                usage = execution_usage(result)
                seconds = usage.cpu_seconds
                usage = usage if work.charged else Usage()
        self._pool(kind).submit((work, result), seconds, usage)

    def wait(self, timeout: float | None = None) -> Sequence[Report]:  # noqa: ARG002 - the clock is simulated
        """Move the clock to the next result. Nothing is returned if all work waits for a lease."""
        short = [worker for pool in self._pools.values() for worker in pool.start()]
        for worker in short:
            self._ask(worker)
        if not self._reports and len(self._clock):
            self._report(self._clock.advance())
        reports, self._reports = self._reports, []
        return reports

    def lease(self, worker: int, until: Usage) -> None:
        """Let a simulated worker use so much in all."""
        for pool in self._pools.values():
            for one in pool.workers:
                if one.number == worker:
                    one.until, one.asked = Usage(*map(max, one.until, until)), False

    def abort(self, keys: Sequence[Hashable]) -> None:
        """Drop queued work."""
        dropped = set(keys)
        for pool in self._pools.values():
            kept = [entry for entry in pool.queue if entry[0][0].key not in dropped]
            pool.queue.clear()
            pool.queue.extend(kept)

    def retire(self, kind: WorkerKind) -> None:
        """End the simulated workers of a kind."""
        if pool := self._pools.pop(kind, None):
            self._reports += [WorkerEnded(worker.number) for worker in pool.workers]

    def isolation(self, language: str) -> str:  # noqa: ARG002
        """The constant sentence ``nothing runs``."""
        return "nothing runs"

    def tests_available(self, problem: Problem) -> int:
        """Number of recorded tests."""
        return self._tests.available(problem)

    def pools(self) -> Mapping[WorkerKind, PoolUse]:
        """Present use of the simulated workers."""
        return {
            kind: PoolUse(len(pool.workers), pool.busy, len(pool.queue))
            for kind, pool in self._pools.items()
        }

    @property
    def seconds(self) -> float:
        """Seconds on the simulated clock."""
        return self._clock.now

    def close(self) -> None:
        """Drop all work."""
        self._pools.clear()
        self._reports.clear()

    def _pool(self, kind: WorkerKind) -> SimulatedWorkers:
        if kind not in self._pools:
            count, slots = self._shape[kind]
            numbers = [next(self._numbers) for _ in range(count)]
            until = Usage() if self._metered else _UNLIMITED
            self._pools[kind] = SimulatedWorkers(self._clock, kind, numbers, slots, until)
            self._reports += [
                WorkerStarted(number, _name(kind, number), kind, self._slices[kind]) for number in numbers
            ]
        return self._pools[kind]

    def _ask(self, worker: SimulatedWorker) -> None:
        """Tell the usage of a worker whose lease is too short; use it up if that brought no other."""
        if worker.asked and worker.free == self._shape[worker.kind][1]:
            metered = self._slices[worker.kind]
            rest = Usage(
                *(
                    max(used, until) if most and until < float("inf") else used
                    for used, until, most in zip(worker.used, worker.until, metered, strict=True)
                )
            )
            if rest == worker.used:
                return  # it waits for another lease
            worker.used = rest
        elif worker.asked:
            return
        worker.asked = True
        self._reports.append(WorkerReport(worker.number, worker.used, self._slices[worker.kind]))

    def _report(self, finished: Finished) -> None:
        work, result = finished.item
        kind = WorkerKind.RUNNER if isinstance(work, ExecuteWork) else WorkerKind.REWARD_MODEL
        if (pool := self._pools.get(kind)) is None:
            return  # its kind was retired meanwhile
        worker = next(one for one in pool.workers if one.number == finished.worker)
        piece = Piece(_name(kind, worker.number), finished.submitted, finished.started, finished.finished)
        self._reports.append(WorkerReport(worker.number, worker.used, self._slices[kind]))
        self._reports.append(_done(work, result, piece))


def _done(work: Work, result: Any, piece: Piece) -> GenerationDone | ExecutionDone:
    if isinstance(work, ExecuteWork):
        return ExecutionDone(work, result, piece)
    assert isinstance(work, GenerateWork)
    return GenerationDone(work, result, piece)


def _name(kind: WorkerKind, number: int) -> str:
    return f"{'runner' if kind is WorkerKind.RUNNER else 'engine'}-{number}"
