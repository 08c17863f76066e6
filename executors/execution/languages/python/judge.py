"""Replay of a Python test on the results of calls in a judge process.

Stand-ins answer the calls of the test with the results of its path. Beyond the end of the path they return
a placeholder. The test goes on with it, so that one replay shows further calls as well.
"""

from __future__ import annotations

import builtins
import functools
import json
import sys
import types
import unittest
import unittest.case
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from testbudget.executors.execution import values
from testbudget.executors.execution.languages.base import CallPath, Program, ResultKind, StepMessage
from testbudget.executors.execution.languages.python.calls import change_arguments, plain_call
from testbudget.executors.execution.languages.python.interpreter import MODULE, restore_interpreter
from testbudget.executors.execution.languages.python.library_tables import PLAIN_MODULES
from testbudget.executors.execution.languages.python.test_run import TestRun, run_test
from testbudget.executors.execution.processes.result_buffer import ResultBuffer
from testbudget.executors.execution.values import NotPlainError
from testbudget.rewards.problem import Verdict
from testbudget.rewards.verdict_reason import VerdictReason

_REASONS_ON_END = {
    Verdict.TIMED_OUT: VerdictReason("A call of the candidate did not end within its time limit."),
    Verdict.OUT_OF_MEMORY: VerdictReason("A call of the candidate needs more memory than its limit."),
    Verdict.KILLED: VerdictReason("The process of the candidate ended during a call."),
}
_MAX_PLACEHOLDER_USES = 2_000  # a test that exceeds this loops on the placeholder


def judge_tests(buffer: ResultBuffer, replays: Sequence[tuple[Program, CallPath]]) -> None:
    """Replay each test on its path, as described by `Language.judge`."""
    placeholder = _Placeholder()
    _patch_assertions(placeholder)
    for step, (test, path) in enumerate(replays):
        buffer.begin(step)
        stand_ins = _StandIns(path, placeholder, functools.partial(buffer.append, step))
        run = _run_with(stand_ins, test)
        message: list[object] | None = None
        if stand_ins.needs_objects is not None:
            message = [StepMessage.OBJECTS, stand_ins.needs_objects.as_message()]
        elif not placeholder.uses:
            run = run if stand_ins.end is None else stand_ins.end
            reason = None if run.reason is None else run.reason.as_message()
            message = [StepMessage.VERDICT, run.verdict, stand_ins.used, reason]
        if message is not None:
            buffer.append(step, json.dumps(message).encode())
        buffer.finish(step)


def _run_with(stand_ins: _StandIns, test: Program) -> TestRun:
    restore_interpreter()
    module = types.ModuleType(MODULE)
    sys.modules[MODULE] = sys.modules["__main__"] = module
    for name in test.functions:
        vars(module)[name] = _stand_in(stand_ins, name)
    return run_test(module, test, lambda: stand_ins.called)


def _stand_in(stand_ins: _StandIns, name: str) -> Callable[..., Any]:
    def stand_in(*arguments: Any, **keywords: Any) -> Any:
        return stand_ins.call(name, arguments, keywords)

    stand_in.__name__ = stand_in.__qualname__ = name
    stand_in.__module__ = MODULE
    return stand_in


class _UnansweredError(BaseException):
    """End of a test that needs a result which is not available."""


class _StandIns:
    """Answers to the calls of a test: results along a path, a placeholder beyond its end.

    Attributes:
        used: number of results of the path that were used.
        called: True once the test has made a call.
        needs_objects: reason why the test exchanges more than plain data; None if it does not.
        end: outcome if the candidate process ended during a call; else None.
    """

    def __init__(self, path: CallPath, placeholder: _Placeholder, append: Callable[[bytes], None]) -> None:
        self.used = 0
        self.called = False
        self.needs_objects: VerdictReason | None = None
        self.end: TestRun | None = None
        self._path = path
        self._placeholder = placeholder
        self._append = append
        placeholder.uses = 0

    def call(self, name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Result of one call of the test; `_UnansweredError` is raised if there is none."""
        if self.needs_objects is not None or self.end is not None:
            raise _UnansweredError
        self.called = True
        try:
            call = plain_call(name, arguments, keywords)
        except NotPlainError:
            if self._placeholder.uses:
                raise _UnansweredError from None  # the argument may be the placeholder
            self.needs_objects = VerdictReason(f"An argument of {name} is not plain data.")
            raise _UnansweredError from None
        if not self._placeholder.uses and self.used < len(self._path) and self._path[self.used][0] == call:
            text = self._path[self.used][1]
            self.used += 1  # before it is parsed: an invalid result must decide only paths that contain it
            return self._answer(json.loads(text), arguments, keywords)
        if not self._placeholder.uses:
            self._append(f'["{StepMessage.MORE}",{self.used}]'.encode())
            for earlier, _ in self._path[: self.used]:
                self._append(earlier.encode())
        self._append(call.encode())
        return self._placeholder.use()

    def _answer(self, result: list[Any], arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        kind = result[0]
        if kind == ResultKind.RETURNED:
            changes = result[2] if len(result) > 2 else {}
            if "after" in changes:
                change_arguments(arguments, keywords, changes["after"])
            return arguments[changes["same"]] if "same" in changes else values.restore(result[1])
        if kind == ResultKind.RAISED:
            raise _exception(result[1], result[2])
        if kind == ResultKind.ENDED:
            # The candidate process may have written this itself, so it must not become a pass.
            verdict = Verdict(result[1]) if result[1] in _REASONS_ON_END else Verdict.KILLED
            self.end = TestRun(verdict, _REASONS_ON_END[verdict])
        else:
            self.needs_objects = VerdictReason("A result is not plain data.")
        raise _UnansweredError


def _exception(description: Sequence[str], arguments: Any) -> BaseException:
    """Exception that a candidate has raised, or one that a test cannot distinguish from it."""
    module, name, nearest, message = description
    base: type[BaseException] = getattr(builtins, nearest)
    if not issubclass(base, BaseException):
        raise ValueError(f"{nearest} is not an exception")
    if arguments is not None:
        try:
            return base(*values.restore(arguments))
        except TypeError:  # its constructor does not accept these arguments
            return base.__new__(base)
    kind: Any = None
    if module.partition(".")[0] in PLAIN_MODULES - {"unittest", "pytest"}:
        kind = getattr(sys.modules.get(module), name, None)
    if not (isinstance(kind, type) and issubclass(kind, base)):
        kind = type(name.rpartition(".")[2], (base,), {"__module__": MODULE, "__str__": lambda _: message})
    error: BaseException = kind.__new__(kind)
    error.args = (message,)
    return error


class _Placeholder:
    """Result that equals everything, so that a test goes on and shows its further calls.

    Attributes:
        uses: number of uses since it was last set to 0. Once it is used, the test decides no verdict.
    """

    __hash__ = object.__hash__

    def __init__(self) -> None:
        self.uses = 0

    def use(self, *_: object, **__: object) -> _Placeholder:
        """Count a use.

        Raises:
            _UnansweredError: more than ``_MAX_PLACEHOLDER_USES`` uses; the test might not end.
        """
        self.uses += 1
        if self.uses > _MAX_PLACEHOLDER_USES:
            raise _UnansweredError
        return self

    def __eq__(self, _: object) -> bool:
        return True

    def __ne__(self, _: object) -> bool:
        return False

    def _true(self, *_: object) -> bool:
        self.use()
        return True

    def __iter__(self) -> Any:
        self.use()
        return iter(())

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.use

    def __len__(self) -> int:
        self.use()
        return 0

    def __float__(self) -> float:
        self.use()
        return 0.0

    def __int__(self) -> int:
        self.use()
        return 0

    __bool__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = _true
    __call__ = __getitem__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = use
    __truediv__ = __rtruediv__ = __floordiv__ = __mod__ = __abs__ = __neg__ = __round__ = __pow__ = use
    __enter__ = use
    __index__ = __int__

    def __exit__(self, *_: object) -> None:
        pass

    def __reduce__(self) -> NoReturn:
        raise TypeError("a placeholder is not plain data")


def _patch_assertions(placeholder: _Placeholder) -> None:
    """Let failed assertions pass once the test has used the placeholder."""
    for name, method in list(vars(unittest.TestCase).items()):
        if name.startswith("assert") and callable(method):
            setattr(unittest.TestCase, name, _lenient(method, placeholder))
    context: Any = vars(unittest.case)["_AssertRaisesContext"]
    original_exit = context.__exit__

    def lenient_exit(self: Any, kind: type[BaseException] | None, *rest: Any) -> Any:
        return True if kind is None and placeholder.uses else original_exit(self, kind, *rest)

    context.__exit__ = lenient_exit


def _lenient(method: Callable[..., Any], placeholder: _Placeholder) -> Callable[..., Any]:
    @functools.wraps(method)
    def lenient(self: unittest.TestCase, *arguments: Any, **keywords: Any) -> Any:
        try:
            return method(self, *arguments, **keywords)
        except self.failureException:
            if not placeholder.uses:
                raise
            return None

    return lenient
