"""Run of a Python test in the namespace of a module, with its verdict and the reason.

A test stops at the first case that does not pass.
"""

# ruff: noqa: ARG002, N802 - the methods of a test result have the names and parameters that unittest gives

from __future__ import annotations

import contextlib
import inspect
import sys
import types
import unittest
import unittest.case
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from testbudget.executors.execution.languages.base import Program
from testbudget.executors.execution.languages.python.caveats import Caveat
from testbudget.executors.execution.languages.python.entry_points import find_entry, first_name
from testbudget.executors.execution.languages.python.judge_audit import judge_audit
from testbudget.executors.execution.languages.python.numpy_checks import sizes_checked
from testbudget.executors.execution.languages.python.programs import CompiledTest, used_names
from testbudget.executors.execution.languages.python.pytest_cases import UnknownFixtureError, pytest_cases
from testbudget.executors.execution.languages.python.reasons import TEST_FILE, reason_of, verdict_of
from testbudget.executors.execution.languages.python.running_marks import RunningMarks, is_own_function
from testbudget.rewards.problem import Verdict
from testbudget.rewards.verdict_reason import VerdictReason

if TYPE_CHECKING:
    from _typeshed import OptExcInfo

_MAIN = "__main__"
_FILE = "test_solution.py"
_TEMPLATE = "The test fills a template of the candidate's that reads attributes."


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


def run_test(
    module: types.ModuleType,
    test: Program,
    was_called: Callable[[], bool],
    caveats: Collection[Caveat] = (),
    *,
    trusted: bool = False,
    note_same: Callable[[Any], object] = id,
) -> TestRun:
    """Run a test in the namespace of a module, as the interpreter would run its file, then its cases.

    Cases are the methods of its TestCases, the functions that pytest would call and that it does not call
    itself, and ``check`` if it is never called. A pass needs an assertion that ran and a candidate that was
    called.

    Args:
        module: module that holds what the test uses of the candidate.
        test: test of any kind.
        was_called: function that returns True once the test has used something of the candidate's.
        caveats: properties of the candidate's results, known at the end of the test.
        trusted: True if the candidate is trusted, so that the test may interpret what it gets from it.
        note_same: function to call with what an ``assert`` has found to be the same object.
    """
    content = CompiledTest(*test.content)
    marks = RunningMarks(content.code, was_called, note_same, trusted=trusted)
    names = vars(module)
    names.update({"__name__": _MAIN, "__file__": _FILE, **marks.names()})
    sys.modules[_MAIN] = module
    audit = judge_audit()
    watching = contextlib.nullcontext() if trusted else audit.watching(runs_constants=not content.caveat)
    has_numpy = "numpy" in sys.modules and "numpy" in _names_and_modules(content.code)
    sizes = sizes_checked(marks.note_empty_operand) if has_numpy else contextlib.nullcontext()
    before = dict(names)
    try:
        with watching, sizes:
            _run_statements(content.code, names)
            own_names = {
                name: value for name, value in names.items() if before.get(name, before) is not value
            }
            result = _run_cases(names, own_names, content, marks)
    except BaseException as error:
        if audit.reason is None:
            return TestRun(verdict_of(error), reason_of(error))
    if audit.reason is not None:
        reason = VerdictReason(content.caveat) if content.caveat else audit.reason
        return TestRun(Verdict.UNCONFIRMED, reason)
    if result.stopped_by is not None:
        return result.stopped_by
    run = _confirmed(content, result, asserted=marks.asserted, called=was_called(), trusted=trusted)
    if marks.found_template and run.verdict is Verdict.PASSED and not trusted:
        return TestRun(Verdict.UNCONFIRMED, VerdictReason(_TEMPLATE))
    found = marks.caveats.union(caveats)
    if found and run.verdict is Verdict.PASSED and not trusted:
        used = _names_and_modules(content.code) | _short_texts(content.code)
        for caveat in sorted(found, key=lambda caveat: caveat.value):
            if caveat.concerns(used):
                return TestRun(Verdict.UNCONFIRMED, VerdictReason(caveat.value))
    return run


def _names_and_modules(code: types.CodeType) -> set[str]:
    """Names that a program uses, and the packages of the modules that it imports."""
    names = used_names(code)
    return names.union(name.partition(".")[0] for name in names)


def _short_texts(code: types.CodeType) -> set[str]:
    """Texts among the constants of a program that may name a number, such as ``float("nan")``."""
    texts = (text for text in code.co_consts if type(text) is str and len(text) <= len("-nan"))
    found = {text.lower().lstrip("+-") for text in texts}
    return found.union(*(_short_texts(part) for part in code.co_consts if isinstance(part, types.CodeType)))


def _confirmed(
    content: CompiledTest, result: _Result, *, asserted: bool, called: bool, trusted: bool
) -> TestRun:
    """Outcome of a test in which nothing failed."""
    if result.skips and not result.passed and not asserted:
        return TestRun(Verdict.ERRORED, VerdictReason("Every case was skipped."))
    if not called:
        return TestRun(Verdict.ERRORED, VerdictReason("The test does not call the candidate."))
    if not asserted and not result.failed_as_expected:
        return TestRun(Verdict.ERRORED, VerdictReason("No assertion of the test ran."))
    if content.caveat and not trusted:
        return TestRun(Verdict.UNCONFIRMED, VerdictReason(content.caveat))
    return TestRun(Verdict.PASSED)


def _run_statements(code: types.CodeType, names: dict[str, Any]) -> None:
    try:
        exec(code, names)
    except SystemExit as error:
        # The candidate may have raised it, too. Then the traceback leads beyond the test.
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        last = "" if trace is None else trace.tb_frame.f_code.co_filename
        by_test = last == TEST_FILE or "_sitebuiltins" in last
        if not by_test or error.code not in {None, 0}:
            raise


def _run_cases(
    names: Mapping[str, Any], own_names: Mapping[str, Any], content: CompiledTest, marks: RunningMarks
) -> _Result:
    result = _Result(marks)
    cases = unittest.TestSuite()
    for test_class in _test_classes(own_names):
        for name in unittest.defaultTestLoader.getTestCaseNames(test_class):
            if _never_awaited(test_class, name):
                sentence = f"The case {name} is a coroutine that nobody awaits."
                result.stop_with(Verdict.ERRORED, VerdictReason(sentence))
                return result
            cases.addTest(test_class(name))
    expected = cases.countTestCases()
    if expected:
        cases.run(result)
        if result.passed + result.skips < expected:
            result.stop_with(Verdict.ERRORED, VerdictReason("Not every case of the test ran to its end."))
    if content.uncalled and result.stopped_by is None:
        _run_functions(names, own_names, content, result)
    return result


def _run_functions(
    names: Mapping[str, Any], own_names: Mapping[str, Any], content: CompiledTest, result: _Result
) -> None:
    """Call what the test does not call itself, until a case does not pass."""
    try:
        if "check" in content.uncalled:
            if content.entry_point is None or first_name(content.entry_point) not in names:
                result.stop_with(Verdict.ERRORED, VerdictReason("The test never calls its function check."))
                return
            own_names["check"](find_entry(content.entry_point, names))
            result.passed += 1
        for case in pytest_cases(own_names, [name for name in content.uncalled if name != "check"]):
            if case.is_skipped:
                result.skips += 1
                continue
            result.begin(case.function)
            try:
                case.run()
            except unittest.SkipTest:
                result.skips += 1
            else:
                result.passed += 1
            result.end(case.name)
    except UnknownFixtureError as error:
        sentence = f"A test function has the parameter {error}, which nothing gives a value for."
        result.stop_with(Verdict.ERRORED, VerdictReason(sentence))


def _test_classes(names: Mapping[str, Any]) -> list[type[unittest.TestCase]]:
    found = [
        value
        for value in names.values()
        if isinstance(value, type) and issubclass(value, unittest.TestCase) and value.__module__ == _MAIN
    ]
    return list(dict.fromkeys(found))


def _never_awaited(test_class: type[unittest.TestCase], name: str) -> bool:
    """Return whether a case is a coroutine; a plain TestCase counts it as passed without running it."""
    code = getattr(getattr(test_class, name), "__code__", None)
    is_coroutine = code is not None and bool(code.co_flags & inspect.CO_COROUTINE)
    return is_coroutine and not hasattr(test_class, "asyncSetUp")


class _Result(unittest.TestResult):
    """Number of passed cases and the first other outcome, at which the test stops.

    Attributes:
        passed: number of cases that passed.
        failed_as_expected: number of those that failed as expected.
        skips: number of cases that were skipped.
        stopped_by: outcome of the first case that did not pass; None if there is none.
    """

    def __init__(self, marks: RunningMarks) -> None:
        super().__init__()
        self.failfast = True
        self._marks = marks
        self._asserted = False
        self._is_own = True
        self.passed = 0
        self.failed_as_expected = 0
        self.skips = 0
        self.stopped_by: TestRun | None = None

    def stop_with(self, verdict: Verdict, reason: VerdictReason) -> None:
        """End the test, unless it is at its end already."""
        if self.stopped_by is None:
            self.stopped_by = TestRun(verdict, reason)
        self.shouldStop = True

    def begin(self, function: Any) -> None:
        """Begin a case.

        Args:
            function: what is called for it; something of the candidate's must lead to an assertion.
        """
        self._is_own = is_own_function(function)
        self._asserted = self._marks.begin_case()

    def end(self, name: str) -> None:
        """End a case."""
        if not (self._is_own or self._marks.asserted or self._marks.trusted):
            sentence = (
                f"Something of the candidate's stands for the case {name}, which has asserted nothing."
            )
            self.stop_with(Verdict.UNCONFIRMED, VerdictReason(sentence))
        self._marks.asserted |= self._asserted

    def startTest(self, test: unittest.TestCase) -> None:
        self.begin(inspect.getattr_static(type(test), test._testMethodName, None))

    def stopTest(self, test: unittest.TestCase) -> None:
        self.end(test._testMethodName)

    def addSuccess(self, test: unittest.TestCase) -> None:
        self.passed += 1

    def addExpectedFailure(self, test: unittest.TestCase, err: OptExcInfo) -> None:
        self.passed += 1
        self.failed_as_expected += 1

    def addFailure(self, test: unittest.TestCase, err: OptExcInfo) -> None:
        self._stop_on(err, test.failureException)

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        self.stop_with(Verdict.FAILED, VerdictReason("A case that was expected to fail has passed."))

    def addError(self, test: unittest.TestCase, err: OptExcInfo) -> None:
        self._stop_on(err, AssertionError)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        self.skips += 1

    def addSubTest(
        self, test: unittest.TestCase, subtest: unittest.TestCase, err: OptExcInfo | None
    ) -> None:
        if err is not None:
            self._stop_on(err, test.failureException)

    def _stop_on(self, error: OptExcInfo, failure: type[BaseException]) -> None:
        if error[1] is not None:
            self.stop_with(verdict_of(error[1], failure), reason_of(error[1], failure))
