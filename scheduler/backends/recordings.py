"""Recorded results of a finished run: completions, verdicts, outputs and costs, looked up by work."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from testbudget.executors.execution.runner import BlockVerdicts
from testbudget.executors.generation.base import Completion
from testbudget.executors.metering import Usage
from testbudget.rewards.outputs import RecordedOutputs, select_outputs
from testbudget.rewards.problem import NOT_RUN, WRITTEN_INPUTS, Problem
from testbudget.rewards.verdict_reason import VerdictReason
from testbudget.scheduler.backends.base import ExecuteWork, GenerateWork
from testbudget.traces.pair_reasons import NO_REASON, PairReasons
from testbudget.traces.records import DistinctPrograms, TestRecord, TestStatus, VerdictRecord
from testbudget.traces.trace import ProblemTrace, Trace

_TESTS_PER_SLICE = 16  # of the largest
_NOT_WRITTEN = TestRecord(TestStatus.UNUSABLE, "", 0, 0.0, 0.0)


class RecordedCompletions:
    """Tests of a finished run as completions.

    Args:
        trace: the finished run.

    Attributes:
        slice: cost of some tests: the size of a lease.
    """

    def __init__(self, trace: Trace) -> None:
        self._tests = {problem: seen.tests for problem, seen in trace.problems.items()}
        self._inputs = {
            problem: seen.written_inputs.answer
            for problem, seen in trace.problems.items()
            if seen.written_inputs is not None and seen.written_inputs.complete
        }
        tests = [test for recorded in self._tests.values() for test in recorded.values()]
        tests += self._inputs.values()
        tokens = max((_known(test.tokens) for test in tests), default=0.0)
        seconds = max((_known(test.gpu_seconds) for test in tests), default=0.0)
        self.slice = Usage(_TESTS_PER_SLICE * tokens, _TESTS_PER_SLICE * seconds)

    def available(self, problem: Problem) -> int:
        """Number of recorded tests, without written inputs."""
        return len(self._tests.get(problem.id, {}))

    def completions(self, work: GenerateWork) -> list[Completion]:
        """Recorded completions, one for each request; an empty one for inputs that were not written."""
        tests = [self._test(work.problem, request.index) for request in work.requests]
        return [
            Completion(test.text, test.tokens, test.gpu_seconds, "recorded", mean_logprob=test.mean_logprob)
            for test in tests
        ]

    def _test(self, problem: str, index: int) -> TestRecord:
        if index == WRITTEN_INPUTS:
            return self._inputs.get(problem, _NOT_WRITTEN)
        return self._tests[problem][index]


def generation_usage(completions: Sequence[Completion]) -> Usage:
    """Usage that completions were recorded with; unmeasured amounts count as 0."""
    return Usage(
        sum(_known(one.tokens) for one in completions), sum(_known(one.gpu_seconds) for one in completions)
    )


class RecordedVerdicts:
    """Verdicts and outputs of a finished run.

    Args:
        trace: the finished run.
        problems: problems of the job.
        outputs_by_problem: recorded outputs by problem id.
        reasons_by_problem: reasons by problem id.

    Attributes:
        slice: cost of executing some tests: the size of a lease.
    """

    def __init__(
        self,
        trace: Trace,
        problems: Sequence[Problem],
        outputs_by_problem: Mapping[str, RecordedOutputs],
        reasons_by_problem: Mapping[str, PairReasons],
    ) -> None:
        self._traces = {problem.id: trace.problem(problem) for problem in problems}
        self._outputs, self._reasons = outputs_by_problem, reasons_by_problem
        self._distinct = {
            problem: DistinctPrograms.among(seen.candidates) for problem, seen in self._traces.items()
        }
        records = [record for seen in self._traces.values() for record in seen.verdicts.values()]
        tests = [_known(float(record.cpu_seconds.sum(dtype=np.float64))) for record in records]
        self.slice = Usage(cpu_seconds=_TESTS_PER_SLICE * max(tests, default=0.0))

    def block(self, work: ExecuteWork) -> BlockVerdicts:
        """Recorded verdicts of the candidates on the tests of the work.

        A pair that was cut off in the recording is so in the block, whatever the work asks for.
        """
        problem = work.problem.id
        trace, distinct = self._traces[problem], self._distinct[problem]
        programs = distinct.inverse[[candidate.index for candidate in work.candidates]]
        records = [_verdicts(trace, test.index) for test in work.tests]
        cpu_seconds = np.stack([record.cpu_seconds[programs] for record in records], axis=1)
        verdicts = np.stack([record.verdicts[programs] for record in records], axis=1)
        if work.wanted is not None:
            left_out = ~np.array(work.wanted, np.bool_)
            verdicts[left_out], cpu_seconds[left_out] = NOT_RUN, 0
        reasons, reason_of, cut_at = self._recorded_reasons(work, programs)
        return BlockVerdicts(
            verdicts=verdicts,
            cpu_seconds=cpu_seconds,
            wall_seconds=cpu_seconds,  # wall time is not recorded
            same_process=np.stack([record.same_process[programs] for record in records], axis=1),
            recorded_outputs=self._recorded_outputs(work, programs) if work.record_outputs else None,
            input_mutations=np.asarray([record.input_mutations for record in records], np.int64),
            reasons=reasons,
            reason_of=reason_of,
            cut_at=cut_at,
            lost=np.zeros(verdicts.shape, np.bool_),
        )

    def _recorded_reasons(
        self, work: ExecuteWork, programs: NDArray[np.intp]
    ) -> tuple[tuple[VerdictReason, ...], NDArray[np.int32], NDArray[np.float32]]:
        """Reasons, the number of each pair's, and where each pair was cut off; none if not recorded."""
        recorded, shape = self._reasons.get(work.problem.id), (len(programs), len(work.tests))
        if recorded is None:
            return (), np.full(shape, NO_REASON, np.int32), np.zeros(shape, np.float32)
        kept = recorded.of_tests([test.index for test in work.tests]).of_programs(programs)
        return kept.reasons, kept.numbers, kept.cut_at

    def _recorded_outputs(self, work: ExecuteWork, programs: NDArray[np.intp]) -> RecordedOutputs | None:
        recorded = self._outputs.get(work.problem.id)
        if recorded is None:
            return None
        tests = {test.index for test in work.tests}
        inputs = [position for position, item in enumerate(recorded.inputs) if item.test in tests]
        return select_outputs(recorded, programs, inputs)


def _verdicts(trace: ProblemTrace, test: int) -> VerdictRecord:
    if test != WRITTEN_INPUTS:
        return trace.verdicts[test]
    assert trace.written_inputs is not None
    assert trace.written_inputs.executed is not None
    return trace.written_inputs.executed


def execution_usage(block: BlockVerdicts) -> Usage:
    """Usage that verdicts were recorded with; unmeasured amounts count as 0."""
    return Usage(0.0, 0.0, float(np.nansum(block.cpu_seconds, dtype=np.float64)))


def _known(amount: float) -> float:
    return 0.0 if np.isnan(amount) else float(amount)
