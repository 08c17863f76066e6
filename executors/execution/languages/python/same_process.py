"""Judging of Python pairs in the process of the candidate, for candidates that are trusted.

Nothing keeps a candidate from forging its verdict here. Test and candidate have modules of their own, so
that they do not overwrite each other's names. A name that the test does not define is looked up in the
candidate.
"""

import builtins
import json
import types
from collections.abc import Sequence
from typing import Any

from testbudget.executors.execution.languages.base import Program
from testbudget.executors.execution.languages.messages import StepMessage
from testbudget.executors.execution.languages.python.interpreter import (
    LoadFailure,
    is_reusable,
    load_candidate,
)
from testbudget.executors.execution.languages.python.test_run import TestRun, run_test
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
            run = _run_beside(loaded, test)
            verdict = run.verdict
            reason = None if run.reason is None else run.reason.as_message()
            message = [StepMessage.VERDICT, verdict, 0, reason]
        buffer.append(step, json.dumps(message).encode())
        buffer.finish(step)
        if verdict is Verdict.OUT_OF_MEMORY or isinstance(loaded, LoadFailure) or not is_reusable():
            return
        process_runner.empty_directory()


class _Names(dict[str, Any]):
    """Builtins of a test: the candidate's names first, as they are at the moment."""

    def __init__(self, candidate: dict[str, Any]) -> None:
        super().__init__(vars(builtins))
        self.used = False
        self._candidate = candidate

    def __getitem__(self, name: str) -> Any:
        if name in self._candidate and not name.startswith("__"):
            self.used = True
            return self._candidate[name]
        return super().__getitem__(name)


def _run_beside(candidate: types.ModuleType, test: Program) -> TestRun:
    """Run a test in a module of its own, which finds the names of the candidate."""
    module = types.ModuleType("__main__")
    names = _Names(vars(candidate))
    vars(module)["__builtins__"] = names
    return run_test(module, test, lambda: names.used or _imports_candidate(module, candidate), trusted=True)


def _imports_candidate(module: types.ModuleType, candidate: types.ModuleType) -> bool:
    """Return whether a test has imported the candidate, or something of it."""
    own = {id(value) for value in vars(candidate).values()} | {id(candidate)}
    return any(id(value) in own for value in vars(module).values())
