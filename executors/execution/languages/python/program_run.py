"""Run of a Python program that reads standard input, as ``python -I`` would run it, in a forked process.

The process is used for one run. At its end it does what the interpreter does at its own: it waits for
threads, calls exit handlers, empties the buffers of streams, and deletes the program's globals, which may
write what they hold.
"""

import atexit
import builtins
import contextlib
import gc
import io
import linecache
import marshal
import os
import random
import sys
import threading
import types
from typing import Any

from testbudget.executors.execution.languages.python.reasons import PROGRAM_FILE

_FIRST_RECURSION_LIMIT = sys.getrecursionlimit()
_FLUSH_FAILED = 120  # exit status of the interpreter

_callbacks: list[int] = []  # number of exit handlers of the modules that are loaded before
_streams: dict[str, Any] = {}  # by name in ``sys``; of descriptors to which nothing was written yet


def run_program(artefact: int) -> int:
    """Run a program; return the exit status that the interpreter would have.

    Args:
        artefact: descriptor of memory that holds the program's text and its code object.
    """
    text, code = marshal.loads(os.pread(artefact, os.fstat(artefact).st_size, 0))
    os.close(artefact)
    names = _enter_main(text)
    status = _status_of(code, names)
    return _finalized(status, names)


def prepare() -> None:
    """Make the streams of programs, before any process is forked: each would take longer to make them."""
    random.seed(0)
    _callbacks[:] = [atexit._ncallbacks()]
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        _streams[name] = _stream(descriptor, f"<{name}>")


def _enter_main(text: str) -> dict[str, Any]:
    """Globals of a new main module, in an interpreter as at its start."""
    linecache.cache[PROGRAM_FILE] = (len(text), None, text.splitlines(keepends=True), PROGRAM_FILE)
    module = types.ModuleType("__main__")
    names = vars(module)
    names |= {
        "__builtins__": builtins,
        "__file__": PROGRAM_FILE,
        "__cached__": None,
        "__annotations__": {},
    }
    sys.modules["__main__"] = module
    sys.argv = [PROGRAM_FILE]
    if not _streams:
        prepare()
    for name, stream in _streams.items():
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    threading.stack_size(0)
    return names


def _stream(descriptor: int, name: str) -> Any:
    """Text stream on a descriptor, which closing it leaves open."""
    raw = io.FileIO(descriptor, "rb" if descriptor == 0 else "wb", closefd=False)
    raw.name = name
    buffer = io.BufferedReader(raw) if descriptor == 0 else io.BufferedWriter(raw)
    errors = "backslashreplace" if descriptor == 2 else "surrogateescape"
    stream: Any = io.TextIOWrapper(buffer, "utf-8", errors, newline="\n", line_buffering=descriptor == 2)
    stream.mode = "r" if descriptor == 0 else "w"
    return stream


def _status_of(code: types.CodeType, names: dict[str, Any]) -> int:
    """Exit status of a program, before exit handlers."""
    # Frames below the program count, too.
    sys.setrecursionlimit(_FIRST_RECURSION_LIMIT + _depth())
    try:
        exec(code, names)
    except SystemExit as error:
        return _exit_status(error.code)
    except BaseException as error:
        # Without the frame of this function.
        trace = error.__traceback__
        error.__traceback__ = trace.tb_next if trace is not None else None
        _report(error)
        return 1
    return 0


def _depth() -> int:
    frame, depth = sys._getframe(), 0
    while frame.f_back is not None:
        frame, depth = frame.f_back, depth + 1
    return depth


def _exit_status(code: object) -> int:
    """Exit status of ``sys.exit(code)``, which prints anything but a number."""
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    with contextlib.suppress(BaseException):
        sys.stdout.flush()
        print(code, file=sys.stderr)  # noqa: T201
    return 1


def _report(error: BaseException) -> None:
    """Write a traceback to the standard error."""
    with contextlib.suppress(BaseException):
        sys.stdout.flush()
    with contextlib.suppress(BaseException):
        sys.excepthook(type(error), error, error.__traceback__)


def _finalized(status: int, names: dict[str, Any]) -> int:
    """Exit status after all that the interpreter does at its end.

    Steps that have nothing to do are left out: each would touch memory that is shared with other processes
    until it is touched.
    """
    with contextlib.suppress(BaseException):
        if threading.active_count() > 1:
            vars(threading)["_shutdown"]()  # waits for threads
    with contextlib.suppress(BaseException):
        if [atexit._ncallbacks()] != _callbacks:
            atexit._run_exitfuncs()
    if not _flush(getattr(sys, "stdout", None)):  # a program may delete it
        status = _FLUSH_FAILED
    _flush(getattr(sys, "stderr", None))
    with contextlib.suppress(BaseException):
        for name in [*names]:
            if name != "__builtins__":
                names[name] = None
        gc.collect(1)  # streams in reference cycles are flushed, too
    _flush(_streams["stdout"])
    return status


def _flush(stream: Any) -> bool:
    """Empty the buffer of a stream; return whether that worked, or there was nothing to do."""
    try:
        if stream is not None and not getattr(stream, "closed", False):
            stream.flush()
    except BaseException:
        return False
    return True
