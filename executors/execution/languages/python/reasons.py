"""Verdicts on Python tests, and their reasons, from the exceptions that ended them.

An exception may come from a candidate, and its attributes may be proxies for the candidate's objects. No
method of such an object is called here.
"""

import errno
import importlib.util
import sys
import traceback
import types
from pathlib import Path
from typing import Any

from testbudget.executors.execution.languages.python.assertion_marks import EXPECTED, GIVEN
from testbudget.rewards.problem import Verdict
from testbudget.rewards.verdict_reason import MAX_DETAIL, DetailName, VerdictReason

TEST_FILE = "<test>"
"""File name in the code objects of tests."""

CANDIDATE_FILE = "<solution>"
"""File name in the code objects of candidates."""

PROGRAM_FILE = "program.py"
"""File name in the code objects of programs that read standard input."""

NOT_INSTALLED = "is not installed in the sandbox."
"""End of the sentence on a module that the sandbox lacks."""

_HERE = str(Path(__file__).parent)

_NAME: Any = vars(type)["__name__"]
_UNITTEST_OPERANDS = (
    ("first", "second"),
    ("member", "container"),
    ("expr", ""),
    ("expr1", "expr2"),
    ("obj", "cls"),
)
_NO_THREAD = "can't start new thread"
_REFUSED_CALLS: dict[tuple[type, Any], str] = {
    # Of a call of the kernel. Semaphores that processes share need a directory that is not there.
    (FileNotFoundError, errno.ENOENT): "The sandbox allows no further processes.",
    (BlockingIOError, errno.EAGAIN): "The sandbox allows no further processes.",
    (PermissionError, errno.EPERM): "The sandbox allows no further processes and no network.",
    (PermissionError, errno.EACCES): "The sandbox allows no further processes and no network.",
}
_MAX_INNER_FRAMES = 3  # between the test and the assertion method
_SCALARS = (int, float, bool, complex, str, bytes, type(None))
_MAX_DEPTH = 6
_MAX_ITEMS = 40
_MAX_BITS = 4096  # an int with more digits than the interpreter converts is shown in hexadecimal


def verdict_of(error: BaseException, failure: type[BaseException] | tuple[()] = AssertionError) -> Verdict:
    """Verdict of a test that an exception has ended.

    Args:
        error: the exception.
        failure: class of the exceptions that stand for a failed assertion; an empty tuple if none does.
    """
    kind = type(error)
    if issubclass(kind, MemoryError):
        return Verdict.OUT_OF_MEMORY
    return Verdict.FAILED if issubclass(kind, failure) else Verdict.ERRORED


def reason_of(error: BaseException, failure: type[BaseException] = AssertionError) -> VerdictReason:
    """Reason of the verdict on a test that an exception has ended.

    Args:
        error: the exception.
        failure: class of the exceptions that stand for a failed assertion.
    """
    detail = exception_detail(error)
    line = test_line(error.__traceback__)
    where = "" if line is None else f" on line {line}"
    if line is not None:
        detail[DetailName.LINE] = str(line)
    if issubclass(type(error), failure):
        detail.update(_operands(error.__traceback__))
        return VerdictReason(f"The assertion{where} does not hold.", detail)
    if refused := refusal_of(error):
        return VerdictReason(refused, detail)
    who = "candidate" if _comes_from_candidate(error.__traceback__) else "test"
    return VerdictReason(f"The {who} raised {detail[DetailName.EXCEPTION]}{where}.", detail)


def refusal_of(error: BaseException) -> str:
    """Sentence on what the sandbox has refused; empty if an exception tells of no refusal."""
    if type(error) is ModuleNotFoundError and type(error.name) is str:
        package = error.name.partition(".")[0]
        if package.isidentifier() and not _is_installed(package):
            return f"The module {package[:MAX_DETAIL]} {NOT_INSTALLED}"
    elif type(error) is RuntimeError and error.args == (_NO_THREAD,):
        return "The sandbox allows no further threads."
    elif isinstance(error, OSError) and error.filename is None:
        return _REFUSED_CALLS.get((type(error), error.errno), "")
    return ""


def _is_installed(package: str) -> bool:
    try:
        return package in sys.modules or importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def _comes_from_candidate(trace: types.TracebackType | None) -> bool:
    """Return whether a traceback leads from the test to what stands there for the candidate."""
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(trace)]
    after = files[len(files) - files[::-1].index(TEST_FILE) :] if TEST_FILE in files else []
    return any(file.startswith(_HERE) or file == CANDIDATE_FILE for file in after[:1])


def _operands(trace: types.TracebackType | None) -> dict[DetailName, str]:
    """Operands of the comparison that did not hold, as details, as far as they are known."""
    frames = [frame for frame, _ in traceback.walk_tb(trace)]
    last_of_test = max((place for place, frame in enumerate(frames) if _is_test(frame)), default=-1)
    if last_of_test < 0:
        return {}
    inner = frames[last_of_test + 1 : last_of_test + 1 + _MAX_INNER_FRAMES]
    pairs = _UNITTEST_OPERANDS if inner else ((GIVEN, EXPECTED),)
    for frame in inner or frames[last_of_test:]:
        names = frame.f_locals
        for given, expected in pairs:
            if given in names and names[given] is not ...:
                detail = {DetailName.GIVEN: shown(names[given])}
                if expected in names and names[expected] is not ...:
                    detail[DetailName.EXPECTED] = shown(names[expected])
                return detail
    return {}


def _is_test(frame: types.FrameType) -> bool:
    return frame.f_code.co_filename == TEST_FILE


def exception_detail(error: BaseException) -> dict[DetailName, str]:
    """Class and message of an exception, and the module that it could not import, as details."""
    detail = {DetailName.EXCEPTION: class_name(error)}
    if message := message_of(error):
        detail[DetailName.MESSAGE] = message
    if isinstance(error, ImportError) and type(error.name) is str:
        detail[DetailName.MODULE] = error.name[:MAX_DETAIL]
    return detail


def class_name(value: object) -> str:
    """Name of the class of a value."""
    name = _NAME.__get__(type(value))
    return name[:MAX_DETAIL] if type(name) is str else "object"


def message_of(error: BaseException) -> str:
    """Message of an exception: the text of a built-in one with plain arguments, else its arguments."""
    arguments: Any = vars(BaseException)["args"].__get__(error)
    if type(error).__module__ == "builtins" and all(type(argument) in _SCALARS for argument in arguments):
        return str(error)[:MAX_DETAIL]
    if len(arguments) == 1 and type(arguments[0]) is str:
        return arguments[0][:MAX_DETAIL]
    return ", ".join(shown(argument) for argument in arguments[:_MAX_ITEMS])[:MAX_DETAIL]


def shown(value: object) -> str:
    """Text of a value for people, at most `MAX_DETAIL` characters; calls no method that is not Python's."""
    return _shown(value, 0)[:MAX_DETAIL]


def _shown(value: Any, depth: int) -> str:
    kind = type(value)
    if kind is int and value.bit_length() > _MAX_BITS:
        return hex(value)[:MAX_DETAIL]
    if kind in {str, bytes}:
        return repr(value[:MAX_DETAIL])
    if kind in _SCALARS:
        return repr(value)
    if kind in {list, tuple, set, frozenset, dict} and depth < _MAX_DEPTH:
        return _shown_container(value, depth + 1)
    return f"<{class_name(value)}>"


def _shown_container(value: Any, depth: int) -> str:
    if type(value) is dict:
        items = [
            f"{_shown(key, depth)}: {_shown(item, depth)}"
            for _, (key, item) in zip(range(_MAX_ITEMS), value.items(), strict=False)
        ]
        return f"{{{', '.join(items)}{', ...' if len(value) > _MAX_ITEMS else ''}}}"
    parts = [_shown(item, depth) for _, item in zip(range(_MAX_ITEMS), value, strict=False)]
    text = ", ".join(parts) + (", ..." if len(value) > _MAX_ITEMS else "")
    match value:
        case list():
            return f"[{text}]"
        case tuple():
            return f"({text},)" if len(value) == 1 else f"({text})"
    if type(value) is frozenset:
        return f"frozenset({{{text}}})" if value else "frozenset()"
    return f"{{{text}}}" if value else "set()"


def test_line(trace: types.TracebackType | None) -> int | None:
    """Last line of the test in a traceback, from 1; None if there is no such line."""
    lines = [line for frame, line in traceback.walk_tb(trace) if frame.f_code.co_filename == TEST_FILE]
    return lines[-1] if lines else None


test_line.__test__ = False  # type: ignore[attr-defined]  # pytest would collect it by its name
