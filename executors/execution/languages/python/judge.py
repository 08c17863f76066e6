"""Replay of a Python test on the results of calls in a judge process.

Stand-ins answer the calls of the test with the results of its path. Beyond the end of the path they return
a placeholder. The test goes on with it, so that one replay shows further calls as well.
"""

from __future__ import annotations

import contextlib
import dis
import functools
import json
import sys
import types
import unittest
import unittest.case
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from testbudget.executors.execution import values
from testbudget.executors.execution.languages.base import CallPath, Program
from testbudget.executors.execution.languages.messages import ResultKind, StepMessage
from testbudget.executors.execution.languages.python.calls import change_arguments, plain_call
from testbudget.executors.execution.languages.python.caveats import Caveat, caveats_of
from testbudget.executors.execution.languages.python.interpreter import MODULE, restore_interpreter
from testbudget.executors.execution.languages.python.raised import rebuild_exception
from testbudget.executors.execution.languages.python.reasons import TEST_FILE
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
_NO_RESULT = TestRun(Verdict.ERRORED, VerdictReason("The candidate's process left what is no result."))
_UNSEEN = (StopIteration, StopAsyncIteration, GeneratorExit, LookupError, AttributeError)
_abstract_file = Mapping.get.__code__.co_filename  # catches KeyError in methods of mappings
_OF_FUNCTIONS = frozenset({"__class__", "__call__", "__get__"})
_MAX_PLACEHOLDER_USES = 2_000  # a test that exceeds this loops on the placeholder


def judge_tests(buffer: ResultBuffer, replays: Sequence[tuple[Program, CallPath]]) -> None:
    """Replay each test on its path, as described by `Language.judge`."""
    placeholder = _Placeholder()
    with _lenient_assertions(placeholder):
        _judge_each(buffer, replays, placeholder)


def _judge_each(
    buffer: ResultBuffer, replays: Sequence[tuple[Program, CallPath]], placeholder: _Placeholder
) -> None:
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
        vars(module)[name] = _StandIn(stand_ins, name)
    return stand_ins.checked(run_test(module, test, lambda: stand_ins.called, stand_ins.caveats))


class _StandIn:
    """Stand-in for a function of the candidate, which can be called and has no visible attributes."""

    __slots__ = ("_name", "_stand_ins")

    def __init__(self, stand_ins: _StandIns, name: str) -> None:
        object.__setattr__(self, "_stand_ins", stand_ins)
        object.__setattr__(self, "_name", name)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        stand_ins: _StandIns = object.__getattribute__(self, "_stand_ins")
        return stand_ins.call(object.__getattribute__(self, "_name"), arguments, keywords)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __getattribute__(self, attribute: str) -> Any:
        stand_ins: _StandIns = object.__getattribute__(self, "_stand_ins")
        name = object.__getattribute__(self, "_name")
        if sys._getframe(1).f_code.co_filename != TEST_FILE:  # a library, for example unittest
            if attribute in {"__name__", "__qualname__"}:
                return name
            if attribute in _OF_FUNCTIONS:
                return object.__getattribute__(self, attribute)
        return stand_ins.refuse(f"The test looks at {attribute} of {name}.")

    def __setattr__(self, attribute: str, value: Any) -> None:
        stand_ins: _StandIns = object.__getattribute__(self, "_stand_ins")
        stand_ins.refuse(f"The test sets {attribute} of {object.__getattribute__(self, '_name')}.")

    def __repr__(self) -> str:
        return f"<function {object.__getattribute__(self, '_name')}>"


class _UnansweredError(BaseException):
    """End of a test that needs a result which is not available."""


class _StandIns:
    """Answers to the calls of a test: results along a path, a placeholder beyond its end.

    Attributes:
        used: number of results of the path that were used.
        called: True once the test has made a call.
        needs_objects: reason why the test exchanges more than plain data; None if it does not.
        end: outcome if the candidate process ended during a call; else None.
        caveats: properties of results that may keep a pass from being confirmed.
    """

    def __init__(self, path: CallPath, placeholder: _Placeholder, append: Callable[[bytes], None]) -> None:
        self.used = 0
        self.called = False
        self.needs_objects: VerdictReason | None = None
        self.end: TestRun | None = None
        self.caveats: set[Caveat] = set()
        self._ending: list[BaseException] = []  # exceptions that may end loops
        self._path = path
        self._placeholder = placeholder
        self._append = append
        placeholder.uses = 0
        placeholder.expected.clear()

    def refuse(self, sentence: str) -> NoReturn:
        """End the test, since it needs the objects of the candidate."""
        if not self._placeholder.uses:
            self.needs_objects = VerdictReason(sentence)
        raise _UnansweredError

    def call(self, name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Result of one call of the test; `_UnansweredError` is raised if there is none."""
        if self.needs_objects is not None or self.end is not None:
            raise _UnansweredError
        self.called = True
        try:
            call = plain_call(name, arguments, keywords)
        except NotPlainError:
            # Once the placeholder was used, it may be the argument.
            self.refuse(f"An argument of {name} is not plain data.")
        if not self._placeholder.uses and self.used < len(self._path) and self._path[self.used][0] == call:
            text = self._path[self.used][1]
            self.used += 1  # before it is parsed: an invalid result must decide only paths that contain it
            return self._answer(text, arguments, keywords)
        if not self._placeholder.uses:
            self._append(f'["{StepMessage.MORE}",{self.used}]'.encode())
            for earlier, _ in self._path[: self.used]:
                self._append(earlier.encode())
        self._append(call.encode())
        return self._placeholder.use()

    def _answer(self, text: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Return or raise the result of a call."""
        error: BaseException | None = None
        value: Any = None
        try:
            result = json.loads(text)
            kind = result[0]
            if kind == ResultKind.RETURNED:
                changes = result[2] if len(result) > 2 else {}
                value = arguments[changes["same"]] if "same" in changes else values.restore(result[1])
            elif kind == ResultKind.RAISED:
                changes = result[3] if len(result) > 3 else {}
                error = rebuild_exception(result[1], result[2])
            else:
                self._end(result)
                raise _UnansweredError
            if "after" in changes:
                change_arguments(arguments, keywords, changes["after"])
        except NotPlainError:
            self.needs_objects = VerdictReason("A result is not plain data.")
            raise _UnansweredError from None
        except Exception:
            self.end = TestRun(
                Verdict.ERRORED, VerdictReason("The candidate's process left what is no result.")
            )
            raise _UnansweredError from None
        self.caveats.update(caveats_of(value))
        if "after" in changes:
            self.caveats.update(caveats_of([*arguments, *keywords.values()]))
        if error is not None:
            self.caveats.update(caveats_of(error.args))
            if isinstance(error, _UNSEEN):
                self._ending.append(error)
            raise error
        return value

    def checked(self, run: TestRun) -> TestRun:
        """Outcome of the test, unconfirmed if the interpreter has swallowed an exception of the candidate.

        The traceback of an exception ends at the frame that has handled it. That of one which a loop or a
        default has swallowed ends below, at a frame that handles nothing.
        """
        if run.verdict is Verdict.PASSED:
            for error in self._ending:
                expected = any(error is one for one in self._placeholder.expected)
                if not expected and _is_swallowed(error):
                    return TestRun(Verdict.UNCONFIRMED, VerdictReason(Caveat.ENDS_ITERATION.value))
        return run

    def _end(self, result: list[Any]) -> None:
        """Note that there is no result."""
        if result[0] == ResultKind.ENDED:
            # The candidate process may have written this itself, so it must not become a pass.
            verdict = Verdict(result[1]) if result[1] in _REASONS_ON_END else Verdict.KILLED
            self.end = TestRun(verdict, _REASONS_ON_END[verdict])
        else:
            self.needs_objects = VerdictReason("A result is not plain data.")


def _is_swallowed(error: BaseException) -> bool:
    """Return whether no handler of the test or of a library has met an exception."""
    trace = error.__traceback__
    if trace is None:
        return True
    code = trace.tb_frame.f_code
    if code.co_filename == TEST_FILE:
        return all(instruction.opname != "POP_EXCEPT" for instruction in dis.get_instructions(code))
    return code.co_filename in {__file__, _abstract_file}


class _Placeholder:
    """Result that equals everything, so that a test goes on and shows its further calls.

    Attributes:
        uses: number of uses since it was last set to 0. Once it is used, the test decides no verdict.
        expected: exceptions that ``assertRaises`` has met.
    """

    __hash__ = object.__hash__

    def __init__(self) -> None:
        self.uses = 0
        self.expected: list[BaseException] = []

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


@contextlib.contextmanager
def _lenient_assertions(placeholder: _Placeholder) -> Iterator[None]:
    """Let failed assertions pass once the test has used the placeholder."""
    methods = {
        name: method
        for name, method in vars(unittest.TestCase).items()
        if name.startswith("assert") and callable(method)
    }
    context: Any = vars(unittest.case)["_AssertRaisesContext"]
    original_exit = context.__exit__

    def lenient_exit(self: Any, kind: type[BaseException] | None, *rest: Any) -> Any:
        placeholder.expected += rest[:1]
        return True if kind is None and placeholder.uses else original_exit(self, kind, *rest)

    for name, method in methods.items():
        setattr(unittest.TestCase, name, _lenient(method, placeholder))
    context.__exit__ = lenient_exit
    try:
        yield
    finally:
        for name, method in methods.items():
            setattr(unittest.TestCase, name, method)
        context.__exit__ = original_exit


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
