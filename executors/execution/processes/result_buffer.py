"""Frames over the socket between the runner and its sandbox: a length in four bytes, then the content."""

import fcntl
import json
import mmap
import os
import socket
import struct
import time
from typing import NamedTuple

from testbudget.rewards.problem import Verdict

_LENGTH = struct.Struct("<I")


def send_frame(connection: socket.socket, content: bytes) -> None:
    """Send one frame."""
    connection.sendall(_LENGTH.pack(len(content)) + content)


def receive_frame(connection: socket.socket) -> bytes:
    """Receive one frame.

    Raises:
        EOFError: the other side has closed the connection.
        TimeoutError: the socket's timeout has passed.
    """
    (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
    return _exactly(connection, length)


def _exactly(connection: socket.socket, size: int) -> bytes:
    content = bytearray(size)
    view = memoryview(content)
    while view:
        received = connection.recv_into(view)
        if not received:
            raise EOFError("the connection was closed in the middle of a frame")
        view = view[received:]
    return bytes(content)


# ~ """The memory that a process under watch shares with the zygote: how far it is, and what it leaves.
# ~
# ~ Shared memory rather than a pipe: nothing written to, or closed among, the file descriptors of the process
# ~ can disturb it, what was left before a sudden end is still there, and the zygote can see at any moment what
# ~ the process is at and since when. It is the process's own word, and is taken as no more than that.
# ~
# ~ The work is divided into *steps*. A step is begun, leaves any number of texts, and is finished. Layout, all
# ~ little-endian::
# ~
# ~     int32 step, int32 loaded, float64 since, float64 CPU seconds before, int64 bytes of records
# ~     records: int32 step, int32 length, text       (length -1: the step is finished, followed by
# ~                                                    float64 CPU seconds, float64 wall seconds)
# ~ """


_HEADER = struct.Struct("<iiddq")
_LOADED = struct.Struct("<i")
_USED = struct.Struct("<q")
_RECORD = struct.Struct("<ii")
_SECONDS = struct.Struct("<dd")
_LOADED_AT, _USED_AT = 4, 24
_FINISHED = -1
_NO_STEP = -1
_MOST_RECORDS = 500_000
_SIZE = 32 << 20
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL

CAPACITY = _SIZE - _HEADER.size - _RECORD.size
"""Bytes of the longest text that fits."""


class StepProgress(NamedTuple):
    """What a process is at: the step, whether it has loaded what it needs, and when the step began.

    ``since`` is on the monotonic clock, ``cpu_before`` on that of the process's CPU time.
    """

    step: int
    loaded: bool
    since: float
    cpu_before: float


class StepResult(NamedTuple):
    """What one step left: its texts, whether it came to its end, and the seconds that it says it took."""

    texts: list[bytes]
    finished: bool
    cpu_seconds: float
    wall_seconds: float


class ResultBufferFullError(Exception):
    """There is no room for another text."""


class ResultBuffer:
    """Shared memory, written by one process at a time and read by the zygote.

    Attributes:
        descriptor: of the memory as a file, for a program that is executed in the process.
    """

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("arena", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.descriptor, _SIZE)
        # Memory that another process can cut short would end whoever reads it.
        fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, _SEALS)
        self._memory = mmap.mmap(self.descriptor, _SIZE)
        self._used = 0
        self._since = 0.0
        self._cpu_before = 0.0

    def close(self) -> None:
        """Give up the memory; other processes keep it."""
        self._memory.close()
        os.close(self.descriptor)

    def clear(self) -> None:
        """Make the memory ready for the next process. Call it before the fork."""
        self._memory.madvise(mmap.MADV_REMOVE)  # what was there, no process after must read
        self._used = 0
        _HEADER.pack_into(self._memory, 0, _NO_STEP, 0, 0.0, 0.0, 0)

    def begin(self, step: int) -> None:
        """In the process: note that a step begins now."""
        self._since = time.monotonic()
        # Once a process has a CPU limit, its own clock moves by whole ticks; that of a thread does not.
        self._cpu_before = time.thread_time()
        _HEADER.pack_into(self._memory, 0, step, 0, self._since, time.process_time(), self._used)

    def mark_loaded(self) -> None:
        """In the process: note that the step has loaded what it needs."""
        _LOADED.pack_into(self._memory, _LOADED_AT, 1)

    def append(self, step: int, text: bytes) -> None:
        """In the process: leave a text.

        Raises:
            ArenaFullError: there is no room; nothing was left.
        """
        self._put(_RECORD.pack(step, len(text)) + text)

    def finish(self, step: int) -> None:
        """In the process: note that a step has come to its end; raises ArenaFullError without room."""
        seconds = (time.thread_time() - self._cpu_before, time.monotonic() - self._since)
        self._put(_RECORD.pack(step, _FINISHED) + _SECONDS.pack(*seconds))

    def progress(self) -> StepProgress:
        """How far the process is, as it says itself."""
        step, loaded, since, cpu_before, _ = _HEADER.unpack_from(self._memory, 0)
        return StepProgress(step, bool(loaded), since, cpu_before)

    def steps(self, count: int) -> list[StepResult]:
        """What the process has left of steps 0 to ``count`` - 1; what makes no sense is left out."""
        texts: list[list[bytes]] = [[] for _ in range(count)]
        seconds: dict[int, tuple[float, float]] = {}
        position, end = _HEADER.size, _HEADER.size + self._bytes_used()
        for _ in range(_MOST_RECORDS):
            if position + _RECORD.size > end:
                break
            step, length = _RECORD.unpack_from(self._memory, position)
            position += _RECORD.size
            if not 0 <= step < count or step in seconds:
                break
            if length == _FINISHED and position + _SECONDS.size <= end:
                seconds[step] = _SECONDS.unpack_from(self._memory, position)
                position += _SECONDS.size
            elif 0 <= length <= end - position:
                texts[step].append(self._memory[position : position + length])
                position += length
            else:
                break
        return [
            StepResult(left, step in seconds, *seconds.get(step, (0.0, 0.0))) for step, left in enumerate(texts)
        ]

    def _bytes_used(self) -> int:
        used: int = _USED.unpack_from(self._memory, _USED_AT)[0]
        return min(max(used, 0), _SIZE - _HEADER.size)

    def _put(self, record: bytes) -> None:
        start = _HEADER.size + self._used
        if start + len(record) > _SIZE:
            raise ResultBufferFullError
        self._memory[start : start + len(record)] = record
        self._used += len(record)
        _USED.pack_into(self._memory, _USED_AT, self._used)


# ~ """Reading what a process has left in the arena; if it met a candidate, it may have left anything."""


def parse_message(text: bytes) -> list[object]:
    """A JSON array; empty if the text is none."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return content if isinstance(content, list) else []


def message_verdict(number: int) -> Verdict:
    """The verdict with a number; ``ERRORED`` if there is none."""
    return Verdict(number) if number in set(Verdict) else Verdict.ERRORED


def failure_verdict(number: object = None, *_: object) -> Verdict:
    """The same for a word of the candidate's, which is never a pass."""
    verdict = message_verdict(number) if isinstance(number, int) else Verdict.ERRORED
    return Verdict.ERRORED if verdict == Verdict.PASSED else verdict
