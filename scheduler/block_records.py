"""Verdicts of a block as records of the event log."""

from collections.abc import Sequence

from testbudget.executors.execution.runner import BlockVerdicts
from testbudget.traces.pair_reasons import PairReasons, distinct_reasons
from testbudget.traces.records import VerdictRecord


def verdict_records(block: BlockVerdicts) -> tuple[VerdictRecord, ...]:
    """Record of each test of a block whose candidates are all distinct programs of a problem."""
    return tuple(
        VerdictRecord(
            block.verdicts[:, column],
            block.cpu_seconds[:, column],
            block.same_process[:, column],
            int(block.input_mutations[column]),
        )
        for column in range(block.verdicts.shape[1])
    )


def pair_reasons(block: BlockVerdicts, tests: Sequence[int]) -> PairReasons | None:
    """Reasons of all pairs of a block; None if there are none, as in a recording without reasons.

    Args:
        block: verdicts on all distinct programs of a problem.
        tests: index of each test.
    """
    reasons, numbers = distinct_reasons(block.reasons)
    if not reasons:
        return None
    return PairReasons(tuple(tests), reasons, numbers[block.reason_of], block.cut_at).compact()
