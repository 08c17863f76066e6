"""Audit of a judge process: events that show that data of a candidate is run as a program.

The rules for the text of a test (`interpreting_calls`) come first. This is the second line, for what leads
a library to run text, load code or open what a test has no business with.
"""

import _thread
import functools
import os
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from testbudget.executors.execution.languages.python.reasons import TEST_FILE
from testbudget.rewards.verdict_reason import VerdictReason

_LIBRARY = Path(os.__file__).parent
_MAKES_CLASSES = frozenset(
    str(_LIBRARY / name)
    for name in ("ast.py", "collections/__init__.py", "dataclasses.py", "enum.py", "unittest/mock.py")
)
_DIVERTS = str(Path(__file__).parent / "objects" / "library_calls.py")  # runs constants of the test
_TYPING, _TIMEIT = str(_LIBRARY / "typing.py"), str(_LIBRARY / "timeit.py")
_RUNS_TESTS = "testbudget.executors.execution.languages.python.test_run"
_STANDARD_STREAMS = 2
_IMPORTS = ("<frozen importlib", "<frozen runpy", "<frozen zipimport")
_FORBIDDEN = frozenset(
    """
    code.__new__ function.__new__ ctypes.dlopen ctypes.dlsym ctypes.cdata ctypes.cdata/buffer
    ctypes.call_function gc.get_objects gc.get_referrers gc.get_referents os.exec os.fork os.forkpty
    os.posix_spawn os.spawn os.system os.kill pickle.find_class pty.spawn signal.pthread_kill
    socket.connect sqlite3.enable_load_extension sqlite3.load_extension subprocess.Popen
    sys._current_frames sys.setprofile sys.settrace sys.addaudithook webbrowser.open
    """.split()
)
_RUN_TEXT = frozenset({"compile", "exec"})
_PLACES_OF_PROCESSES = ("/proc", "/sys", "/dev")
_DEVICES = frozenset({"/dev/null", "/dev/urandom", "/dev/random", "/dev/zero"})


class ForbiddenEventError(BaseException):
    """End of a test that has caused a forbidden event. What it was about to do is not done."""


@functools.cache
def judge_audit() -> "JudgeAudit":
    """Audit of this process."""
    return JudgeAudit()


class JudgeAudit:
    """Audit hook of a judge process. It cannot be removed, but it watches only while a test runs.

    Attributes:
        reason: reason why no verdict of the last test is certain; None if it caused no forbidden event. An
            exception tells the test, which may handle it, so that only this reason counts.
    """

    def __init__(self) -> None:
        self.reason: VerdictReason | None = None
        self._watches = False
        self._checking: set[int] = set()  # threads whose event is being checked, which causes events, too
        self._runs_constants = False
        self._folders = tuple(f"{path}/" for path in [str(_LIBRARY), *sys.path] if path.startswith("/"))
        self._installed = False

    @contextmanager
    def watching(self, *, runs_constants: bool) -> Iterator[None]:
        """Watch during a ``with`` block.

        Args:
            runs_constants: True if the test runs no text but its own constants.
        """
        self.reason = None
        self._runs_constants = runs_constants
        if not self._installed:
            sys.addaudithook(self._notice)
            self._installed = True
        self._watches = True
        try:
            yield
        finally:
            self._watches = False

    @contextmanager
    def uninstalled(self) -> Iterator[None]:
        """Watch nothing during a ``with`` block, for tests of our own: the hook is not installed."""
        installed, self._installed = self._installed, True
        try:
            yield
        finally:
            self._installed = installed

    def _notice(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._watches or (event not in _FORBIDDEN and event not in _CHECKED):
            return
        thread = _thread.get_ident()
        if thread in self._checking:
            return
        self._checking.add(thread)
        try:
            allowed = self._allows(event, arguments, sys._getframe(1))
        finally:
            self._checking.discard(thread)
        if not allowed:
            sentence = f"The test caused the event {event}, which may run data of the candidate."
            self.reason = VerdictReason(sentence)
            raise ForbiddenEventError(sentence)

    def _allows(self, event: str, arguments: tuple[Any, ...], frame: types.FrameType) -> bool:
        file = frame.f_code.co_filename
        if file == _DIVERTS and event in {*_RUN_TEXT, "pickle.find_class"}:
            return True
        if event in _FORBIDDEN:
            return False
        if event in _RUN_TEXT and file == TEST_FILE:
            return self._runs_constants
        if event == "exec" and file.startswith(_IMPORTS):
            code_file: str = arguments[0].co_filename
            return code_file.startswith(self._folders)
        return _CHECKED[event](arguments, frame)


def _may_compile(_: tuple[Any, ...], frame: types.FrameType) -> bool:
    """Return whether a text may be compiled: of modules, and what libraries make classes of."""
    file = frame.f_code.co_filename
    return file in _MAKES_CLASSES or file == _TYPING or file.startswith(_IMPORTS) or _times(frame)


def _may_run(arguments: tuple[Any, ...], frame: types.FrameType) -> bool:
    """Return whether code may be run: the test, modules, and what libraries make classes of."""
    file = frame.f_code.co_filename
    if file in _MAKES_CLASSES or _times(frame):
        return True
    code_file = getattr(arguments[0], "co_filename", "")
    return bool(code_file == TEST_FILE and frame.f_globals.get("__name__") == _RUNS_TESTS)


def _times(frame: types.FrameType | None) -> bool:
    """Return whether the test itself has called timeit."""
    if frame is None or frame.f_code.co_filename != _TIMEIT:
        return False
    while frame is not None and frame.f_code.co_filename == _TIMEIT:
        frame = frame.f_back
    return frame is not None and frame.f_code.co_filename == TEST_FILE


def _may_load(_: tuple[Any, ...], frame: types.FrameType) -> bool:
    """Return whether compiled code may be read: that of imported modules."""
    return frame.f_code.co_filename.startswith(_IMPORTS)


def _may_open(arguments: tuple[Any, ...], frame: types.FrameType) -> bool:
    """Return whether a file may be opened: none of processes and devices, no descriptor by its number."""
    path = arguments[0]
    if isinstance(path, int):
        return frame.f_code.co_filename != TEST_FILE or path <= _STANDARD_STREAMS
    try:
        place = os.path.realpath(os.fsdecode(path))
    except (TypeError, ValueError):
        return True
    return place in _DEVICES or not f"{place}/".startswith(tuple(f"{one}/" for one in _PLACES_OF_PROCESSES))


_CHECKED: dict[str, Callable[[tuple[Any, ...], types.FrameType], bool]] = {
    "compile": _may_compile,
    "exec": _may_run,
    "marshal.load": _may_load,
    "marshal.loads": _may_load,
    "open": _may_open,
}
