"""Back end that takes every completion and verdict from a finished run, on a simulated clock."""

import heapq
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from testbudget.executors.execution.runner import BlockVerdicts
from testbudget.executors.generation.base import Completion
from testbudget.rewards.errors import UserError
from testbudget.rewards.outputs import RecordedOutputs, select_outputs
from testbudget.rewards.problem import Problem
from testbudget.scheduler.backends.base import (
    Backend,
    Execute,
    Executed,
    ExtractionBackend,
    Generate,
    Generated,
    Role,
)
from testbudget.traces.records import Cost, DistinctPrograms
from testbudget.traces.trace import Trace


class RecordedBackend(Backend):
    """Results of a finished run on a simulated clock, in one process.

    Each engine and each runner serves one task at a time, first come first served, for as long as the task
    took when it was recorded. Unmeasured time counts as 0.

    Args:
        trace: the finished run.
        problems: the problems of the job, with their texts.
        engines: number of engines in the simulated cluster.
        runners: number of runners in the simulated cluster.
        outputs_by_problem: recorded outputs by problem id, for tasks that ask for them.
    """

    def __init__(
        self,
        trace: Trace,
        problems: Sequence[Problem],
        *,
        engines: int = 1,
        runners: int = 1,
        outputs_by_problem: Mapping[str, RecordedOutputs] | None = None,
    ) -> None:
        self._outputs_by_problem = outputs_by_problem or {}
        self._traces = {problem.id: trace.problem(problem) for problem in problems}
        self._recorded = recorded_answers(trace)
        self._distinct = {
            problem: DistinctPrograms.among(seen.candidates) for problem, seen in self._traces.items()
        }
        self._now = 0.0
        self._free = {Generate: [0.0] * engines, Execute: [0.0] * runners}
        self._done: list[tuple[float, int, Generated | Executed]] = []
        self._submitted = 0
        records = [record for seen in self._traces.values() for record in seen.verdicts.values()]
        seconds = [record.cpu_seconds.max(initial=0.0) for record in records]
        self._max_pair_seconds = float(np.max(seconds, initial=0.0))  # NaN if any of them is unknown
        self._max_input_mutations = max((record.input_mutations for record in records), default=0)

    def submit(self, task: Generate | Execute) -> None:
        """Look up the task's result and its end on the simulated clock."""
        done: Generated | Executed
        if isinstance(task, Generate):
            if task.role is not Role.REWARD_MODEL:
                raise UserError(
                    "backend recorded must take candidates from a run but candidates.model is given"
                )
            answers = self._recorded[task.problem]
            done = Generated(task, [answers[request.index] for request in task.requests])
            seconds = float(np.nansum([completion.gpu_seconds for completion in done.completions]))
        else:
            done = Executed(task, self._block_verdicts(task))
            seconds = float(np.nansum(done.block_verdicts.cpu_seconds))
        servers = self._free[type(task)]
        finish = max(self._now, heapq.heappop(servers)) + seconds
        heapq.heappush(servers, finish)
        heapq.heappush(self._done, (finish, self._submitted, done))
        self._submitted += 1

    def wait(self) -> Sequence[Generated | Executed]:
        """Move the clock to the next result."""
        self._now, _, done = heapq.heappop(self._done)
        return [done]

    def hidden_states(self) -> ExtractionBackend:
        """Refuse extraction: no model runs here."""
        raise UserError(
            "backend recorded must take hidden states from a run but hidden_states.base_model is given"
        )

    def isolation(self, language: str) -> str:  # noqa: ARG002
        """The constant sentence ``nothing runs``."""
        return "nothing runs"

    def tests_available(self, problem: Problem) -> int:
        """Number of recorded tests."""
        return len(self._traces[problem.id].tests)

    def max_generation_cost(self) -> Cost:
        """The largest cost of a recorded test."""
        return max_recorded_cost(self._recorded)

    def max_execution_cost(self, candidates: int, tests: int) -> Cost:
        """The largest recorded cost of a pair, for every pair."""
        pairs = candidates * tests
        return Cost(
            executions=pairs * (1 + self._max_input_mutations), cpu_seconds=pairs * self._max_pair_seconds
        )

    def retire(self, role: Role) -> None:
        """Do nothing: there is nothing to free."""

    @property
    def seconds(self) -> float:
        """Seconds on the simulated clock."""
        return self._now

    def close(self) -> None:
        """Do nothing: there is nothing to free."""

    def _block_verdicts(self, task: Execute) -> BlockVerdicts:
        trace, distinct = self._traces[task.problem.id], self._distinct[task.problem.id]
        programs = distinct.inverse[[candidate.index for candidate in task.candidates]]
        records = [trace.verdicts[test.index] for test in task.tests]
        cpu_seconds = np.stack([record.cpu_seconds[programs] for record in records], axis=1)
        return BlockVerdicts(
            verdicts=np.stack([record.verdicts[programs] for record in records], axis=1),
            cpu_seconds=cpu_seconds,
            wall_seconds=cpu_seconds,  # wall time is not recorded
            same_process=np.stack([record.same_process[programs] for record in records], axis=1),
            recorded_outputs=self._recorded_outputs(task, programs) if task.record_outputs else None,
            input_mutations=np.asarray([record.input_mutations for record in records], np.int64),
        )

    def _recorded_outputs(self, task: Execute, programs: NDArray[np.intp]) -> RecordedOutputs | None:
        recorded = self._outputs_by_problem.get(task.problem.id)
        if recorded is None:
            return None
        tests = {test.index for test in task.tests}
        inputs = [position for position, item in enumerate(recorded.inputs) if item.test in tests]
        return select_outputs(recorded, programs, inputs)


def recorded_answers(trace: Trace) -> dict[str, dict[int, Completion]]:
    """Tests of a finished run as completions, by problem id, then by test index."""
    return {
        problem: {
            index: Completion(test.text, test.tokens, test.gpu_seconds, "recorded")
            for index, test in seen.tests.items()
        }
        for problem, seen in trace.problems.items()
    }


def max_recorded_cost(recorded: Mapping[str, Mapping[int, Completion]]) -> Cost:
    """Largest cost of a recorded test; NaN tokens or GPU-seconds if any of them are unmeasured."""
    completions = [completion for answers in recorded.values() for completion in answers.values()]
    tokens = np.asarray([completion.tokens for completion in completions])
    seconds = np.asarray([completion.gpu_seconds for completion in completions])
    return Cost(tests=1, tokens=float(tokens.max(initial=0.0)), gpu_seconds=float(seconds.max(initial=0.0)))
