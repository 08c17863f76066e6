"""The page of memory on which a candidate's process leaves its verdicts for the zygote.

It is shared memory rather than a pipe, so that nothing written to, or closed among, the file descriptors
of the process can disturb it, and so that the zygote can see at any moment which test is running and
since when. A verdict is written as one of six random marks, drawn anew for every process: whoever writes
to the page blindly leaves no verdict at all.
"""

import mmap
import os
import struct
import time
from typing import NamedTuple

from rewards.problem import Verdict

_HEADER = struct.Struct("<iidd")
_LOADED = struct.Struct("<ii")
_SLOT = struct.Struct("<8sd")
_MARK_BYTES = 8
_NO_TEST = -1
_NO_MARK = bytes(_MARK_BYTES)


class Progress(NamedTuple):
    """The test that a process is at, whether the candidate is loaded for it, and when the test began.

    ``since`` is on the monotonic clock, ``cpu_before`` on that of the process's CPU time.
    """

    test: int
    loaded: bool
    since: float
    cpu_before: float


class Board:
    """Verdicts and progress of one process; written by it, read by the zygote."""

    def __init__(self, tests: int) -> None:
        self.tests = tests
        self._memory = mmap.mmap(-1, _HEADER.size + _SLOT.size * tests)
        self._marks: list[bytes] = []

    def clear(self) -> None:
        """Make the page ready for the next process, with new marks. Call it before the fork."""
        self._memory[:] = bytes(len(self._memory))
        _LOADED.pack_into(self._memory, 0, _NO_TEST, False)
        drawn = os.urandom(_MARK_BYTES * len(Verdict))
        self._marks = [drawn[i : i + _MARK_BYTES] for i in range(0, len(drawn), _MARK_BYTES)]

    def take_marks(self) -> list[bytes]:
        """Hand the marks to the caller alone; they are no longer found on the board afterwards."""
        marks, self._marks = self._marks, []
        return marks

    def begin(self, test: int, cpu_before: float) -> None:
        """Note that a test begins now, with loading the candidate, after so many CPU seconds."""
        _HEADER.pack_into(self._memory, 0, test, False, time.monotonic(), cpu_before)

    def loaded(self, test: int) -> None:
        """Note that the candidate has been loaded for a test."""
        _LOADED.pack_into(self._memory, 0, test, True)

    def record(self, test: int, mark: bytes, cpu_seconds: float) -> None:
        """Leave the mark of the verdict on a test."""
        _SLOT.pack_into(self._memory, _HEADER.size + _SLOT.size * test, mark, cpu_seconds)

    def progress(self) -> Progress:
        """How far the process is, as it says itself."""
        test, loaded, since, cpu_before = _HEADER.unpack_from(self._memory, 0)
        return Progress(test, bool(loaded), since, cpu_before)

    def verdict(self, test: int) -> tuple[Verdict, float] | None:
        """The verdict on a test, if it bears a true mark, and the CPU seconds that the process claims."""
        mark, cpu_seconds = _SLOT.unpack_from(self._memory, _HEADER.size + _SLOT.size * test)
        if mark == _NO_MARK or mark not in self._marks:
            return None
        return Verdict(self._marks.index(mark)), cpu_seconds

    def close(self) -> None:
        """Give the page back."""
        self._memory.close()
