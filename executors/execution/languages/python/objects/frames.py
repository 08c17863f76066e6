"""Places in a test at which an exception of the candidate is raised."""

from __future__ import annotations

import dis
import types
from typing import Any

from testbudget.executors.execution.languages.python import pytest_stand_in
from testbudget.executors.execution.languages.python.reasons import TEST_FILE

_CALLS = frozenset({dis.opmap["CALL"], dis.opmap["CALL_FUNCTION_EX"]})
_ASSERTIONS = frozenset({("unittest.case", "handle"), (pytest_stand_in.__name__, "raises")})


def is_awaited(frame: types.FrameType | None) -> bool:
    """Return whether an exception reaches a handler of the test by way of calls alone.

    Where the test iterates over the candidate's results, the iteration ends, and no handler sees why.
    """
    while frame is not None:
        code = frame.f_code
        if code.co_filename == TEST_FILE:
            if code.co_code[frame.f_lasti] not in _CALLS:
                return False
            entries: Any = dis._parse_exception_table(code)  # type: ignore[attr-defined]
            if any(entry.start <= frame.f_lasti < entry.end for entry in entries):
                return True
        elif (frame.f_globals.get("__name__", ""), code.co_name) in _ASSERTIONS:
            return True
        frame = frame.f_back
    return False


def is_within_getitem(frame: types.FrameType | None) -> bool:
    """Return whether ``__getitem__`` of the test is running, whose IndexError ends a loop."""
    while frame is not None:
        if frame.f_code.co_name == "__getitem__" and frame.f_code.co_filename == TEST_FILE:
            return True
        frame = frame.f_back
    return False


def skips(trace: types.TracebackType | None) -> bool:
    """Return whether leaving a with-block at a traceback skips a call or an assertion in it."""
    if trace is None:
        return True
    code, last = trace.tb_frame.f_code, trace.tb_lasti
    entries: Any = dis._parse_exception_table(code)  # type: ignore[attr-defined]
    around = [entry for entry in entries if entry.start <= last < entry.end]
    targets = {entry.target for entry in around}
    ends = [entry.end for entry in entries if entry.target in targets]
    end = max(ends, default=last)
    return any(
        last < instruction.offset < end
        and (
            instruction.opname.startswith(("CALL", "LOAD_ASSERTION"))
            and "INTRINSIC" not in instruction.opname
        )
        for instruction in dis.get_instructions(code)
    )
