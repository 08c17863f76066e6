"""Judging of Python pairs in the process of the candidate, for candidates that are trusted.

Nothing keeps a candidate from forging its verdict here.
"""

import json
from collections.abc import Sequence

from testbudget.executors.execution.languages.base import Program, StepMessage
from testbudget.executors.execution.languages.python.interpreter import (
    LoadFailure,
    is_reusable,
    load_candidate,
)
from testbudget.executors.execution.languages.python.test_run import run_test
from testbudget.executors.execution.processes.process import ProcessRunner
from testbudget.executors.execution.processes.result_buffer import ResultBuffer
from testbudget.rewards.problem import Verdict


def judge_in_same_process(
    buffer: ResultBuffer,
    process_runner: ProcessRunner,
    candidate: Program,
    tests: Sequence[Program],
    entry_point: str | None,
) -> None:
    """Run each test with the candidate, as described by `Language.judge_in_same_process`.

    If this process cannot be reused for another test, the remaining steps are left out.
    """
    for step, test in enumerate(tests):
        buffer.begin(step)
        loaded = load_candidate(candidate.content, entry_point)
        if isinstance(loaded, LoadFailure):
            verdict, message = loaded.verdict, loaded.as_message()
        else:
            buffer.mark_loaded()
            run = run_test(loaded, test, lambda: True)
            verdict = run.verdict
            reason = None if run.reason is None else run.reason.as_message()
            message = [StepMessage.VERDICT, verdict, 0, reason]
        buffer.append(step, json.dumps(message).encode())
        buffer.finish(step)
        if verdict is Verdict.OUT_OF_MEMORY or isinstance(loaded, LoadFailure) or not is_reusable():
            return
        process_runner.reset_scratch()
