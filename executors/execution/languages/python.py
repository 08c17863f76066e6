"""Python: how a candidate is loaded and how a test judges it. Runs inside the sandbox.

All of it but ``preload`` and ``preload_for`` runs in a process that was forked for the purpose, since it
compiles or executes untrusted text.
"""

# ruff: noqa: ARG002, N802 - the methods of a test result have the names and parameters that unittest gives

from __future__ import annotations

import _thread
import gc
import importlib
import io
import random
import site
import sys
import types
import unittest
import unittest.case
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rewards.problem import TestKind, Verdict

if TYPE_CHECKING:
    from _typeshed import OptExcInfo

PACKAGES = ("numpy",)
"""Installed packages that candidates may import besides the standard library.

Named one by one, since among installed packages there may be the problems' own reference solutions.
"""

_COMMON_MODULES = (
    "abc array ast base64 bisect builtins calendar cmath collections contextlib copy csv dataclasses "
    "datetime decimal enum fractions functools hashlib heapq io itertools json math numbers operator os "
    "pathlib pprint queue random re statistics string sys tempfile textwrap threading time typing unittest"
)
_DEAR_MODULES = ("asyncio", "unittest.mock", "numpy")  # each makes every later fork slower
_MODULE = "solution"
_RECURSION_LIMIT = sys.getrecursionlimit()


def preload() -> None:
    """Import what candidates and tests commonly import, and make unittest fast and harmless."""
    for name in _COMMON_MODULES.split():
        importlib.import_module(name)
    site.setquit()
    # A test file may end with a call of unittest.main, with or without the usual guard.
    unittest.main = _do_nothing  # type: ignore[assignment]
    # A failed assertEqual would compute a difference for its message, at many times the test's own cost.
    unittest.case.difflib = _NoDifference  # type: ignore[attr-defined]
    unittest.case.pprint = _NoDifference  # type: ignore[attr-defined]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # no text is too strange to be printed


def preload_for(texts: Iterable[str]) -> None:
    """Import the dear modules that some of these programs name, once, instead of in every process."""
    missing = [name for name in _DEAR_MODULES if name not in sys.modules]
    for name in missing:
        if any(name.rpartition(".")[2] in text.lower() for text in texts):
            try:
                importlib.import_module(name)
            except ImportError:  # not installed: the program that needs it will say so
                continue
            gc.freeze()


def compiled(code: str) -> types.CodeType | None:
    """The code object of a program; None if it does not compile."""
    try:
        return compile(code, f"<{_MODULE}>", "exec", dont_inherit=True, optimize=0)
    except Exception:  # SyntaxError, ValueError, RecursionError, MemoryError, OverflowError
        return None


def load(program: types.CodeType, entry_point: str) -> types.ModuleType | Verdict:
    """Execute a candidate in a new module, with the interpreter's settings as at the start.

    Returns:
        The module; or the verdict, if the candidate raises or does not define the entry point.
    """
    _restore_interpreter()
    module = types.ModuleType(_MODULE)
    sys.modules[_MODULE] = sys.modules["__main__"] = module
    try:
        exec(program, vars(module))
    except MemoryError:
        return Verdict.OUT_OF_MEMORY
    except BaseException:
        return Verdict.ERRORED
    return module if entry_point in vars(module) else Verdict.ERRORED


def judge(module: types.ModuleType, test: types.CodeType, kind: TestKind) -> Verdict:
    """Run a test in the module of a loaded candidate."""
    try:
        if kind is TestKind.ASSERTIONS:
            exec(test, vars(module))
            return Verdict.PASSED
        return _run_cases(module, test)
    except BaseException as error:
        return _verdict_on(type(error), AssertionError)


def is_fit() -> bool:
    """Whether this process can run another test: no thread is left over, no standard stream closed."""
    streams = (sys.__stdin__, sys.__stdout__, sys.__stderr__)
    return _thread._count() == 0 and not any(stream is None or stream.closed for stream in streams)


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
        if isinstance(value, type) and issubclass(value, unittest.TestCase) and value.__module__ == _MODULE
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


class _NoDifference:
    """Stands in for difflib and pprint where unittest words a failure."""

    @staticmethod
    def ndiff(*_: object) -> tuple[str, ...]:
        return ()

    @staticmethod
    def pformat(*_: object) -> str:
        return ""


def _do_nothing(*_: object, **__: object) -> None:
    pass


def _verdict_on(error: type[BaseException] | None, failure: type[BaseException]) -> Verdict:
    if error is not None and issubclass(error, MemoryError):
        return Verdict.OUT_OF_MEMORY
    return Verdict.FAILED if error is not None and issubclass(error, failure) else Verdict.ERRORED


def _restore_interpreter() -> None:
    """Undo what an earlier test may have changed besides its own module, and start chance anew."""
    sys.setrecursionlimit(_RECURSION_LIMIT)
    sys.stdin, sys.stdout, sys.stderr = sys.__stdin__, sys.__stdout__, sys.__stderr__
    random.seed(0)
