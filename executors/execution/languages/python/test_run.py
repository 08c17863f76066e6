"""Run of a Python test of any kind in the namespace of a module, with its verdict and the reason.

A test stops at the first case that does not pass.
"""

# ruff: noqa: ARG002, N802 - the methods of a test result have the names and parameters that unittest gives

from __future__ import annotations

import types
import unittest
import unittest.case
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from testbudget.executors.execution.languages.base import Program
from testbudget.executors.execution.languages.python.interpreter import MODULE
from testbudget.executors.execution.languages.python.reasons import reason_of, verdict_of
from testbudget.rewards.problem import TestKind, Verdict
from testbudget.rewards.verdict_reason import VerdictReason

if TYPE_CHECKING:
    from _typeshed import OptExcInfo


@dataclass(frozen=True, slots=True)
class TestRun:
    """Outcome of a test.

    Attributes:
        verdict: its verdict.
        reason: the reason; None if it passed.
    """

    __test__ = False  # pytest would collect it by its name

    verdict: Verdict
    reason: VerdictReason | None = None


def run_test(module: types.ModuleType, test: Program, was_called: Callable[[], bool]) -> TestRun:
    """Run a test in the namespace of a module.

    Args:
        module: module that holds what the test uses of the candidate.
        test: test of any kind.
        was_called: function that returns True once the test has used something of the candidate's.
    """
    kind, code = test.content
    try:
        run = _run_statements(module, code) if kind is TestKind.ASSERT else _run_cases(module, code)
    except BaseException as error:
        return TestRun(verdict_of(error), reason_of(error))
    if run.verdict is Verdict.PASSED and not was_called():
        return TestRun(Verdict.ERRORED, VerdictReason("The test does not call the candidate."))
    return run


def _run_statements(module: types.ModuleType, code: types.CodeType) -> TestRun:
    exec(code, vars(module))
    return TestRun(Verdict.PASSED)


def _run_cases(module: types.ModuleType, test: types.CodeType) -> TestRun:
    own_classes = set(_test_classes(module))
    exec(test, vars(module))
    cases = unittest.TestSuite()
    for test_class in _test_classes(module):
        if test_class in own_classes:
            continue
        for name in unittest.defaultTestLoader.getTestCaseNames(test_class):
            if _never_awaited(test_class, name):
                return TestRun(
                    Verdict.ERRORED, VerdictReason(f"The case {name} is a coroutine that nobody awaits.")
                )
            cases.addTest(test_class(name))
    expected = cases.countTestCases()
    result = _Result()
    cases.run(result)
    if result.stopped_by is not None:
        return result.stopped_by
    if 0 < expected == result.passed:
        return TestRun(Verdict.PASSED)
    return TestRun(Verdict.ERRORED, VerdictReason("The test has no case."))


def _test_classes(module: types.ModuleType) -> list[type[unittest.TestCase]]:
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, unittest.TestCase) and value.__module__ == MODULE
    ]
    return list(dict.fromkeys(found))


def _never_awaited(test_class: type[unittest.TestCase], name: str) -> bool:
    """Return whether a case is a coroutine; a plain TestCase counts it as passed without running it."""
    code = getattr(getattr(test_class, name), "__code__", None)
    is_coroutine = code is not None and bool(code.co_flags & 0x80)  # inspect.CO_COROUTINE
    return is_coroutine and not hasattr(test_class, "asyncSetUp")


class _Result(unittest.TestResult):
    """Number of passed cases and the first other outcome, at which the test stops.

    Attributes:
        passed: number of cases that passed.
        stopped_by: outcome of the first case that did not pass; None if there is none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.failfast = True
        self.passed = 0
        self.stopped_by: TestRun | None = None

    def _stop_with(self, verdict: Verdict, reason: VerdictReason) -> None:
        if self.stopped_by is None:
            self.stopped_by = TestRun(verdict, reason)
        self.shouldStop = True

    def addSuccess(self, test: unittest.TestCase) -> None:
        self.passed += 1

    def addExpectedFailure(self, test: unittest.TestCase, err: OptExcInfo) -> None:
        self.passed += 1

    def addFailure(self, test: unittest.TestCase, err: OptExcInfo) -> None:
        self._stop_on(err, test.failureException)

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        self._stop_with(Verdict.FAILED, VerdictReason("A case that was expected to fail has passed."))

    def addError(self, test: unittest.TestCase, err: OptExcInfo) -> None:
        self._stop_on(err, AssertionError)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        self._stop_with(Verdict.ERRORED, VerdictReason("A case was skipped."))

    def addSubTest(
        self, test: unittest.TestCase, subtest: unittest.TestCase, err: OptExcInfo | None
    ) -> None:
        if err is not None:
            self._stop_on(err, test.failureException)

    def _stop_on(self, error: OptExcInfo, failure: type[BaseException]) -> None:
        if error[1] is not None:
            self._stop_with(verdict_of(error[1], failure), reason_of(error[1], failure))
