"""How a Python test gives its verdict: lean, stopping at the first case that does not pass."""

from __future__ import annotations

import builtins
import functools
import json
import sys
import types
import unittest
import unittest.case
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from testbudget.executors.execution import values
from testbudget.executors.execution.languages.base import Path, Program, ResultKind, StepMessage
from testbudget.executors.execution.languages.python.calls import change, plain_call
from testbudget.executors.execution.languages.python.programs import (
    HARMLESS_MODULES,
    MODULE,
    restore_interpreter,
)
from testbudget.executors.execution.processes.result_buffer import ResultBuffer
from testbudget.executors.execution.values import NotPlainError
from testbudget.rewards.problem import TestKind, Verdict

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


# ~ """In the judge's process: a test runs with stand-ins, which answer what the candidate has answered."""


_DEATHS = (Verdict.TIMED_OUT, Verdict.OUT_OF_MEMORY, Verdict.KILLED)
_MOST_GUESSES = 2_000  # calls and other uses of a guessed result; a test that needs more loops on its guess


def judge(buffer: ResultBuffer, plays: Sequence[tuple[Program, Path]]) -> None:
    """See ``Language.judge``."""
    guess = _Guess()
    _soften_assertions(guess)
    for step, (test, path) in enumerate(plays):
        buffer.begin(step)
        kind, code = test.content
        player = _Player(path, guess, functools.partial(buffer.append, step))
        verdict = _play(player, test.functions, code, kind)
        if player.same_process:
            buffer.append(step, f'["{StepMessage.TOGETHER}"]'.encode())
        elif not guess.made:
            verdict = verdict if player.verdict is None else player.verdict
            buffer.append(step, f'["{StepMessage.VERDICT}",{verdict:d},{player.used}]'.encode())
        buffer.finish(step)


def _play(player: "_Player", functions: Sequence[str], code: types.CodeType, kind: TestKind) -> Verdict:
    restore_interpreter()
    module = types.ModuleType(MODULE)
    sys.modules[MODULE] = sys.modules["__main__"] = module
    for name in functions:
        vars(module)[name] = _stand_in(player, name)
    return run_test(module, code, kind)


def _stand_in(player: "_Player", name: str) -> Callable[..., Any]:
    def stand_in(*arguments: Any, **keywords: Any) -> Any:
        return player.call(name, arguments, keywords)

    stand_in.__name__ = stand_in.__qualname__ = name
    stand_in.__module__ = MODULE
    return stand_in


class _UnansweredError(BaseException):
    """Ends a test that can go no further."""


class _Player:
    """Answers calls along a path, and beyond its end by guessing, to learn what else will be called.

    Attributes:
        used: number of results of the path that have been used.
        together: the test hands over what is not plain data.
        verdict: what the candidate's process came to, where an answer is missing for that reason.
    """

    def __init__(self, path: Path, guess: "_Guess", leave: Callable[[bytes], None]) -> None:
        self.used = 0
        self.same_process = False
        self.verdict: Verdict | None = None
        self._path = path
        self._guess = guess
        self._leave = leave
        guess.made = 0

    def call(self, name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Answers one call of the test."""
        if self.same_process or self.verdict is not None:
            raise _UnansweredError
        try:
            call = plain_call(name, arguments, keywords)
        except NotPlainError:
            if self._guess.made:
                raise _UnansweredError from None  # it may be the guess itself
            self.same_process = True
            raise _UnansweredError from None
        if not self._guess.made and self.used < len(self._path) and self._path[self.used][0] == call:
            told = self._path[self.used][1]
            self.used += 1  # before it is read: what follows from nonsense follows from it alone
            return self._answer(json.loads(told), arguments, keywords)
        if not self._guess.made:
            self._leave(f'["{StepMessage.MORE}",{self.used}]'.encode())
            for earlier, _ in self._path[: self.used]:
                self._leave(earlier.encode())
        self._leave(call.encode())
        return self._guess.used()

    def _answer(self, result: list[Any], arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        kind = result[0]
        if kind == ResultKind.RETURNED:
            changes = result[2] if len(result) > 2 else {}
            if "after" in changes:
                change(arguments, keywords, changes["after"])
            return arguments[changes["same"]] if "same" in changes else values.restore(result[1])
        if kind == ResultKind.RAISED:
            raise _exception(result[1], result[2])
        if kind == ResultKind.ENDED:
            # It is the candidate's word; whatever it says, it is no pass.
            self.verdict = Verdict(result[1]) if result[1] in _DEATHS else Verdict.KILLED
        else:
            self.same_process = True
        raise _UnansweredError


def _exception(told: Sequence[str], arguments: Any) -> BaseException:
    """The exception that a candidate has raised, or one that a test cannot tell from it."""
    module, name, nearest, said = told
    base: type[BaseException] = getattr(builtins, nearest)
    if not issubclass(base, BaseException):
        raise ValueError(f"{nearest} is no exception")
    if arguments is not None:
        try:
            return base(*values.restore(arguments))
        except TypeError:  # arguments that its constructor does not take
            return base.__new__(base)
    kind: Any = None
    if module.partition(".")[0] in HARMLESS_MODULES - {"unittest"}:
        kind = getattr(sys.modules.get(module), name, None)
    if not (isinstance(kind, type) and issubclass(kind, base)):
        kind = type(name.rpartition(".")[2], (base,), {"__module__": MODULE, "__str__": lambda _: said})
    error: BaseException = kind.__new__(kind)
    error.args = (said,)
    return error


class _Guess:
    """A result that agrees with everything, so that a test goes on and shows its further calls.

    Attributes:
        made: how often it has been used since it was last set to 0; from then on nothing that the test
            does decides a verdict.
    """

    __hash__ = object.__hash__

    def __init__(self) -> None:
        self.made = 0

    def used(self, *_: object, **__: object) -> "_Guess":
        """Counts, and ends a test that goes on for ever."""
        self.made += 1
        if self.made > _MOST_GUESSES:
            raise _UnansweredError
        return self

    def __eq__(self, _: object) -> bool:
        return True

    def __ne__(self, _: object) -> bool:
        return False

    def _yes(self, *_: object) -> bool:
        self.used()
        return True

    def __iter__(self) -> Any:
        self.used()
        return iter(())

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.used

    def __len__(self) -> int:
        self.used()
        return 0

    def __float__(self) -> float:
        self.used()
        return 0.0

    def __int__(self) -> int:
        self.used()
        return 0

    __bool__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = _yes
    __call__ = __getitem__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = used
    __truediv__ = __rtruediv__ = __floordiv__ = __mod__ = __abs__ = __neg__ = __round__ = __pow__ = used
    __enter__ = used
    __index__ = __int__

    def __exit__(self, *_: object) -> None:
        pass

    def __reduce__(self) -> NoReturn:
        raise TypeError("a guess is no data")


def _soften_assertions(guess: _Guess) -> None:
    """Let failed assertions pass once the test works with guesses."""
    for name, method in list(vars(unittest.TestCase).items()):
        if name.startswith("assert") and callable(method):
            setattr(unittest.TestCase, name, _softened(method, guess))
    context: Any = vars(unittest.case)["_AssertRaisesContext"]
    leave = context.__exit__

    def leave_softly(self: Any, kind: type[BaseException] | None, *rest: Any) -> Any:
        return True if kind is None and guess.made else leave(self, kind, *rest)

    context.__exit__ = leave_softly


def _softened(method: Callable[..., Any], guess: _Guess) -> Callable[..., Any]:
    @functools.wraps(method)
    def softened(self: unittest.TestCase, *arguments: Any, **keywords: Any) -> Any:
        try:
            return method(self, *arguments, **keywords)
        except self.failureException:
            if not guess.made:
                raise
            return None

    return softened
