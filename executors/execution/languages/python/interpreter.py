"""Interpreter in which Python programs run: preloaded modules, loading of candidates, restored state."""

import _thread
import contextlib
import importlib
import io
import linecache
import random
import resource
import site
import sys
import threading
import types
import unittest
import unittest.case
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from testbudget.executors.execution.languages.messages import StepMessage
from testbudget.executors.execution.languages.python import parameterized_stand_in, pytest_stand_in
from testbudget.executors.execution.languages.python.entry_points import is_defined
from testbudget.executors.execution.languages.python.reasons import (
    CANDIDATE_FILE,
    exception_detail,
    refusal_of,
    verdict_of,
)
from testbudget.rewards.problem import Verdict
from testbudget.rewards.verdict_reason import DetailName, VerdictReason

MODULE = "solution"
"""Name under which a test may import the candidate."""

_COMMON_MODULES = (
    "abc array ast base64 bisect builtins calendar cmath collections contextlib copy csv dataclasses "
    "datetime decimal enum fractions functools hashlib heapq io itertools json math numbers operator os "
    "pathlib pprint queue random re statistics string sys tempfile textwrap threading time typing unittest"
)
_SLOW_IMPORTS = ("asyncio", "unittest.mock", "numpy")  # each also makes every later fork slower
_MAX_MEMORY_KIB = 128 << 10
_THREAD_STACK_BYTES = 8 << 20
_RECURSION_LIMIT = sys.getrecursionlimit()


def preload() -> None:
    """Import modules that programs commonly import, and set up unittest for many short runs."""
    for name in _COMMON_MODULES.split():
        importlib.import_module(name)
    site.setquit()
    # A test may use packages that are not installed in the sandbox.
    sys.modules["pytest"] = pytest_stand_in
    sys.modules["parameterized"] = parameterized_stand_in
    # The default is the size of the main thread's stack, which is large for recursion.
    threading.stack_size(_THREAD_STACK_BYTES)
    # A test file may end with a call of unittest.main, with or without the usual guard.
    unittest.main = _do_nothing  # type: ignore[assignment]
    # A failed assertEqual would compute a diff for its message, at many times the cost of the test.
    unittest.case.difflib = _NoDifference  # type: ignore[attr-defined]
    unittest.case.pprint = _NoDifference  # type: ignore[attr-defined]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # any text can be printed


def slow_imports(texts: Sequence[str]) -> list[str]:
    """Names of modules that take long to import, that a program mentions and that are not loaded yet.

    Args:
        texts: texts of programs.
    """
    missing = [name for name in _SLOW_IMPORTS if name not in sys.modules]
    return [name for name in missing if any(name.rpartition(".")[2] in text.lower() for text in texts)]


def import_modules(names: Iterable[str]) -> None:
    """Import modules, so that later forks inherit them; modules that are not installed are ignored."""
    for name in names:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
            if name == "numpy":
                # NumPy loads these on first use. Each later fork would do so again.
                for part in ("random", "linalg", "testing"):
                    importlib.import_module(f"numpy.{part}")
                vars(sys.modules["numpy.random"])["seed"](0)


class LoadFailure(NamedTuple):
    """Outcome of a candidate that could not be loaded.

    Attributes:
        verdict: the verdict on all its pairs.
        reason: the reason.
    """

    verdict: Verdict
    reason: VerdictReason

    def as_message(self) -> list[object]:
        """Step message ``NOT_LOADED``."""
        return [StepMessage.NOT_LOADED, self.verdict, self.reason.as_message()]


def load_candidate(program: types.CodeType, entry_point: str | None) -> types.ModuleType | LoadFailure:
    """Execute a candidate in a new module, with the interpreter's settings as at the start.

    Args:
        program: code object of the candidate; its last constant may be its text.
        entry_point: function, class or method that the candidate must define; None if unknown.

    Returns:
        The module; a failure if the candidate raises or does not define the entry point.
    """
    restore_interpreter()
    module = types.ModuleType(MODULE)
    module.__file__ = f"{MODULE}.py"
    sys.modules[MODULE] = sys.modules["__main__"] = module
    text = program.co_consts[-1]
    if type(text) is str and text:
        linecache.cache[CANDIDATE_FILE] = (len(text), None, text.splitlines(keepends=True), CANDIDATE_FILE)
    try:
        exec(program, vars(module))
    except BaseException as error:
        detail = exception_detail(error)
        sentence = (
            refusal_of(error) or f"The candidate raised {detail[DetailName.EXCEPTION]} when it was loaded."
        )
        return LoadFailure(verdict_of(error, failure=()), VerdictReason(sentence, detail))
    if entry_point is None or is_defined(entry_point, vars(module)):
        return module
    return LoadFailure(Verdict.ERRORED, VerdictReason(f"The candidate does not define {entry_point}."))


def is_reusable() -> bool:
    """Return whether this process can run another program as if it were new.

    The condition: no thread is left, no standard stream is closed, and memory is at most 128 MiB.
    """
    streams = (sys.__stdin__, sys.__stdout__, sys.__stderr__)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > _MAX_MEMORY_KIB
    return not (grown or _thread._count() or any(stream is None or stream.closed for stream in streams))


def restore_interpreter() -> None:
    """Restore recursion limit, standard streams and random seeds."""
    sys.setrecursionlimit(_RECURSION_LIMIT)
    sys.stdin, sys.stdout, sys.stderr = sys.__stdin__, sys.__stdout__, sys.__stderr__
    random.seed(0)
    numpy_random: Any = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed(0)


class _NoDifference:
    """Replacement of difflib and pprint in unittest's failure messages, without computation."""

    @staticmethod
    def ndiff(*_: object) -> tuple[str, ...]:
        return ()

    @staticmethod
    def pformat(*_: object) -> str:
        return ""


def _do_nothing(*_: object, **__: object) -> None:
    pass
