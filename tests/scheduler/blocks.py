"""Verdicts of blocks that were never run."""

import numpy as np

from testbudget.executors.execution.runner import BlockVerdicts
from testbudget.rewards.verdict_reason import GENERAL_SENTENCES, VerdictReason


def block_of(verdicts, *, cut_at=0.0, outputs=None, input_mutations=0, lost=False):
    """Block with a second for each pair, whose reasons are the general sentences of the verdicts."""
    verdicts = np.array(verdicts, np.uint8)
    ones = np.ones(verdicts.shape, np.float32)
    numbers, reason_of = np.unique(verdicts, return_inverse=True)
    return BlockVerdicts(
        verdicts=verdicts,
        cpu_seconds=ones,
        wall_seconds=ones,
        same_process=ones > 0,
        cut_at=(ones * cut_at).astype(np.float32),
        lost=ones * lost > 0,
        reasons=tuple(VerdictReason(GENERAL_SENTENCES[number]) for number in numbers.tolist()),
        reason_of=reason_of.reshape(verdicts.shape).astype(np.int32),
        recorded_outputs=outputs,
        input_mutations=np.full(verdicts.shape[1], input_mutations, np.int64),
    )
