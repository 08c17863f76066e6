"""How a Python test gives its verdict: lean, stopping at the first case that does not pass."""

# ruff: noqa: ARG002, N802 - the methods of a test result have the names and parameters that unittest gives

from __future__ import annotations

import types
import unittest
from typing import TYPE_CHECKING

from executors.execution.languages.python.loading import MODULE
from rewards.problem import TestKind, Verdict

if TYPE_CHECKING:
    from _typeshed import OptExcInfo


def run_test(module: types.ModuleType, test: types.CodeType, kind: TestKind) -> Verdict:
    """Run a test in the namespace of a module."""
    try:
        if kind is TestKind.ASSERTIONS:
            exec(test, vars(module))
            return Verdict.PASSED
        return _run_cases(module, test)
    except BaseException as error:
        return _verdict_on(type(error), AssertionError)


def _run_cases(module: types.ModuleType, test: types.CodeType) -> Verdict:
    own_classes = set(_test_classes(module))
    exec(test, vars(module))
    cases = unittest.TestSuite()
    for test_class in _test_classes(module):
        if test_class in own_classes:
            continue
        for name in unittest.defaultTestLoader.getTestCaseNames(test_class):
            if _never_awaited(test_class, name):
                return Verdict.ERRORED
            cases.addTest(test_class(name))
    expected = cases.countTestCases()
    result = _Result()
    cases.run(result)
    if result.verdict is None:
        # A test without any case says nothing about the candidate.
        return Verdict.PASSED if 0 < expected == result.passed else Verdict.ERRORED
    return result.verdict


def _test_classes(module: types.ModuleType) -> list[type[unittest.TestCase]]:
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, unittest.TestCase) and value.__module__ == MODULE
    ]
    return list(dict.fromkeys(found))


def _never_awaited(test_class: type[unittest.TestCase], name: str) -> bool:
    """Whether a case is a coroutine that plain TestCase would create, never run, and count as passed."""
    code = getattr(getattr(test_class, name), "__code__", None)
    is_coroutine = code is not None and bool(code.co_flags & 0x80)  # inspect.CO_COROUTINE
    return is_coroutine and not hasattr(test_class, "asyncSetUp")


class _Result(unittest.TestResult):
    """Counts the cases that pass and stops at the first that does not; formats nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.failfast = True
        self.passed = 0
        self.verdict: Verdict | None = None

    def _stop_with(self, verdict: Verdict) -> None:
        if self.verdict is None:
            self.verdict = verdict
        self.shouldStop = True

    def addSuccess(self, test: unittest.TestCase) -> None:
        self.passed += 1

    def addExpectedFailure(self, test: unittest.TestCase, err: OptExcInfo) -> None:
        self.passed += 1

    def addFailure(self, test: unittest.TestCase, err: OptExcInfo) -> None:
        self._stop_with(Verdict.FAILED)

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        self._stop_with(Verdict.FAILED)

    def addError(self, test: unittest.TestCase, err: OptExcInfo) -> None:
        self._stop_with(_verdict_on(err[0], AssertionError))

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        self._stop_with(Verdict.ERRORED)

    def addSubTest(
        self, test: unittest.TestCase, subtest: unittest.TestCase, err: OptExcInfo | None
    ) -> None:
        if err is not None:
            self._stop_with(_verdict_on(err[0], test.failureException))


def _verdict_on(error: type[BaseException] | None, failure: type[BaseException]) -> Verdict:
    if error is not None and issubclass(error, MemoryError):
        return Verdict.OUT_OF_MEMORY
    return Verdict.FAILED if error is not None and issubclass(error, failure) else Verdict.ERRORED
