"""How a Python program is compiled and loaded, and how the interpreter is kept as it was at the start."""

import _thread
import contextlib
import importlib
import io
import random
import resource
import site
import sys
import threading
import types
import unittest
import unittest.case
from collections.abc import Iterable, Sequence

from rewards.problem import Verdict

MODULE = "solution"
"""The name under which a test may import the candidate."""

_COMMON_MODULES = (
    "abc array ast base64 bisect builtins calendar cmath collections contextlib copy csv dataclasses "
    "datetime decimal enum fractions functools hashlib heapq io itertools json math numbers operator os "
    "pathlib pprint queue random re statistics string sys tempfile textwrap threading time typing unittest"
)
_DEAR_MODULES = ("asyncio", "unittest.mock", "numpy")  # each makes every later fork slower
_MOST_MEMORY_KIB = 128 << 10
_THREAD_STACK_BYTES = 8 << 20
_RECURSION_LIMIT = sys.getrecursionlimit()


def preload() -> None:
    """Import what programs commonly import, and make unittest fast and harmless."""
    for name in _COMMON_MODULES.split():
        importlib.import_module(name)
    site.setquit()
    threading.stack_size(_THREAD_STACK_BYTES)  # else that of the main thread, which recursion makes large
    # A test file may end with a call of unittest.main, with or without the usual guard.
    unittest.main = _do_nothing  # type: ignore[assignment]
    # A failed assertEqual would compute a difference for its message, at many times the test's own cost.
    unittest.case.difflib = _NoDifference  # type: ignore[attr-defined]
    unittest.case.pprint = _NoDifference  # type: ignore[attr-defined]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # no text is too strange to be printed


def dear_modules_in(texts: Sequence[str]) -> list[str]:
    """The dear modules that some of these programs name and that are not loaded yet."""
    missing = [name for name in _DEAR_MODULES if name not in sys.modules]
    return [name for name in missing if any(name.rpartition(".")[2] in text.lower() for text in texts)]


def import_all(names: Iterable[str]) -> None:
    """Import modules once, instead of in every process; what is not installed, its users will notice."""
    for name in names:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def load(program: types.CodeType, entry_point: str | None) -> types.ModuleType | Verdict:
    """Execute a candidate in a new module, with the interpreter's settings as at the start.

    Returns:
        The module; or the verdict, if the candidate raises or does not define the entry point.
    """
    restore_interpreter()
    module = types.ModuleType(MODULE)
    sys.modules[MODULE] = sys.modules["__main__"] = module
    try:
        exec(program, vars(module))
    except MemoryError:
        return Verdict.OUT_OF_MEMORY
    except BaseException:
        return Verdict.ERRORED
    return module if entry_point is None or entry_point in vars(module) else Verdict.ERRORED


def is_fit() -> bool:
    """Whether this process can run another program as if it were new.

    No thread is left over, no standard stream closed, and it has not grown much.
    """
    streams = (sys.__stdin__, sys.__stdout__, sys.__stderr__)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > _MOST_MEMORY_KIB
    return not (grown or _thread._count() or any(stream is None or stream.closed for stream in streams))


def restore_interpreter() -> None:
    """Undo what an earlier test may have changed besides its own module, and start chance anew."""
    sys.setrecursionlimit(_RECURSION_LIMIT)
    sys.stdin, sys.stdout, sys.stderr = sys.__stdin__, sys.__stdout__, sys.__stderr__
    random.seed(0)


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
