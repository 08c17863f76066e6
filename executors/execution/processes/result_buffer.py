"""Result buffer, shared memory in which a watched process leaves its results; frames and messages.

Shared memory has three advantages over a pipe. The process cannot disturb it through its file descriptors.
Results survive a sudden end of the process. The parent can read the progress at any time. The content comes
from a process that may have run a candidate, so it may be anything.

Work is divided into *steps*. A step begins, leaves any number of texts, and finishes. Layout of the buffer,
little-endian::

    int32 step, int32 loaded, float64 start, float64 CPU-seconds before the step, int64 bytes of records
    records: int32 step, int32 length, text       (length -1: the step has finished, followed by
                                                   float64 CPU-seconds, float64 wall seconds)

A *frame* on a socket between two processes of the sandbox is its length in four bytes, then its content. A
*message* is a JSON array that a step leaves as a text.
"""

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
_HEADER = struct.Struct("<iiddq")
_LOADED = struct.Struct("<i")
_USED = struct.Struct("<q")
_RECORD = struct.Struct("<ii")
_SECONDS = struct.Struct("<dd")
_LOADED_AT, _USED_AT = 4, 24
_FINISHED = -1
_MAX_RECORDS = 500_000
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL

BUFFER_BYTES = 32 << 20
"""Size of a result buffer."""

NO_STEP = -1
"""Number in place of a step if there is none."""


def send_frame(connection: socket.socket, content: bytes) -> None:
    """Send one frame.

    Raises:
        OSError: the connection is broken, or the socket's timeout has passed.
    """
    connection.sendall(_LENGTH.pack(len(content)) + content)


def receive_frame(connection: socket.socket) -> bytes:
    """Receive one frame.

    Raises:
        EOFError: the other side has closed the connection.
        TimeoutError: the socket's timeout has passed.
    """
    (length,) = _LENGTH.unpack(receive_exactly(connection, _LENGTH.size))
    return receive_exactly(connection, length)


def receive_exactly(connection: socket.socket, size: int) -> bytes:
    """Receive a number of bytes.

    Raises:
        EOFError: the other side has closed the connection.
        TimeoutError: the socket's timeout has passed.
    """
    content = bytearray(size)
    view = memoryview(content)
    while view:
        received = connection.recv_into(view)
        if not received:
            raise EOFError("the connection was closed in the middle of a frame")
        view = view[received:]
    return bytes(content)


class StepProgress(NamedTuple):
    """Progress of a process, as it reports it.

    Attributes:
        step: the step that began last; negative before the first.
        loaded: True if that step has loaded its program.
        since: start of that step on the monotonic clock, in seconds.
        cpu_before: CPU-seconds that the process had used before that step.
    """

    step: int
    loaded: bool
    since: float
    cpu_before: float


class StepResult(NamedTuple):
    """Result of one step.

    Attributes:
        texts: the texts that it left.
        finished: True if it finished.
        cpu_seconds, wall_seconds: CPU-seconds and elapsed seconds as the process reports them; 0 if the
            step did not finish.
    """

    texts: list[bytes]
    finished: bool
    cpu_seconds: float
    wall_seconds: float


class ResultBufferFullError(Exception):
    """Error for a record that does not fit into the buffer."""


class ResultBuffer:
    """Shared memory, written by one process and read by the process that watches it.

    Args:
        descriptor: file descriptor of memory that another process has made; None to make new memory.

    Attributes:
        descriptor: file descriptor of the memory, for a program that the process executes.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        made = descriptor is None
        if descriptor is None:
            descriptor = os.memfd_create("results", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            os.ftruncate(descriptor, BUFFER_BYTES)
            # If another process could shrink the memory, reading it would raise SIGBUS.
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
        self.descriptor = descriptor
        self._memory = mmap.mmap(self.descriptor, BUFFER_BYTES)
        self._used = 0
        self._since = 0.0
        self._cpu_before = 0.0
        if made:
            self._mark_unused()

    def close(self) -> None:
        """Unmap the memory in this process."""
        self._memory.close()
        os.close(self.descriptor)

    def clear(self) -> None:
        """Erase the memory before the next work of a process writes to it."""
        self._memory.madvise(mmap.MADV_REMOVE)
        self.rewind()
        self._mark_unused()

    def rewind(self) -> None:
        """Write to the start of the memory from now on; called in the watched process before its work."""
        self._used = 0

    def begin(self, step: int) -> None:
        """Begin a step; called in the watched process."""
        self._since = time.monotonic()
        # With a CPU limit, the clock of the process advances in ticks; that of a thread does not.
        self._cpu_before = time.thread_time()
        _HEADER.pack_into(self._memory, 0, step, 0, self._since, time.process_time(), self._used)

    def mark_loaded(self) -> None:
        """Report that the step has loaded its program; called in the watched process."""
        _LOADED.pack_into(self._memory, _LOADED_AT, 1)

    def append(self, step: int, text: bytes) -> None:
        """Leave a text; called in the watched process.

        Raises:
            ResultBufferFullError: the text does not fit; nothing was written.
        """
        self._put(_RECORD.pack(step, len(text)) + text)

    def finish(self, step: int) -> None:
        """Finish a step; called in the watched process.

        Raises:
            ResultBufferFullError: the record does not fit; nothing was written.
        """
        seconds = (time.thread_time() - self._cpu_before, time.monotonic() - self._since)
        self._put(_RECORD.pack(step, _FINISHED) + _SECONDS.pack(*seconds))

    def progress(self) -> StepProgress:
        """Read the progress that the process reports."""
        step, loaded, since, cpu_before, _ = _HEADER.unpack_from(self._memory, 0)
        return StepProgress(step, bool(loaded), since, cpu_before)

    def steps(self, count: int) -> list[StepResult]:
        """Read the results of steps 0 to ``count`` - 1, up to the first record that is not valid."""
        return StepReader(self, count).read()

    def read_record(self, position: int) -> tuple[int, bytes | tuple[float, float], int] | None:
        """Step and content of a record, with the position behind it; None if there is no valid one.

        The content is a text, or the CPU-seconds and wall-seconds of a finished step.
        """
        end = self._bytes_used()
        if position + _RECORD.size > end:
            return None
        step, length = _RECORD.unpack_from(self._memory, _HEADER.size + position)
        position += _RECORD.size
        start = _HEADER.size + position
        if length == _FINISHED and position + _SECONDS.size <= end:
            cpu_seconds, wall_seconds = _SECONDS.unpack_from(self._memory, start)
            return step, (cpu_seconds, wall_seconds), position + _SECONDS.size
        if 0 <= length <= end - position:
            return step, self._memory[start : start + length], position + length
        return None

    def _mark_unused(self) -> None:
        _HEADER.pack_into(self._memory, 0, NO_STEP, 0, 0.0, 0.0, 0)

    def _bytes_used(self) -> int:
        used: int = _USED.unpack_from(self._memory, _USED_AT)[0]
        return min(max(used, 0), BUFFER_BYTES - _HEADER.size)

    def _put(self, record: bytes) -> None:
        start = _HEADER.size + self._used
        if start + len(record) > BUFFER_BYTES:
            raise ResultBufferFullError
        self._memory[start : start + len(record)] = record
        self._used += len(record)
        _USED.pack_into(self._memory, _USED_AT, self._used)


class StepReader:
    """Reader of the results of steps, which keeps what it has read, whatever becomes of the memory.

    Args:
        buffer: result buffer of the process that does the steps.
        count: number of steps.
    """

    def __init__(self, buffer: ResultBuffer, count: int) -> None:
        self._buffer = buffer
        self._texts: list[list[bytes]] = [[] for _ in range(count)]
        self._seconds: dict[int, tuple[float, float]] = {}
        self._position = 0
        self._records = 0

    def read(self) -> list[StepResult]:
        """Results so far, up to the first record that is not valid."""
        self.read_on()
        return [
            StepResult(left, step in self._seconds, *self._seconds.get(step, (0.0, 0.0)))
            for step, left in enumerate(self._texts)
        ]

    def read_on(self) -> None:
        """Read the records that have come since."""
        while self._records < _MAX_RECORDS and (record := self._buffer.read_record(self._position)):
            step, content, position = record
            if not 0 <= step < len(self._texts) or step in self._seconds:
                return
            if isinstance(content, bytes):
                self._texts[step].append(content)
            else:
                self._seconds[step] = content
            self._position = position
            self._records += 1

    def texts_of(self, step: int) -> int:
        """Number of texts that a step has left."""
        return len(self._texts[step])

    def has_finished(self, step: int) -> bool:
        """Return whether a step has finished."""
        return step in self._seconds


def parse_message(text: bytes) -> list[object]:
    """Parse a JSON array; return an empty list if the text is not one."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return content if isinstance(content, list) else []


def message_verdict(number: int) -> Verdict:
    """Return the verdict with this number; ``ERRORED`` if there is none."""
    return Verdict(number) if number in set(Verdict) else Verdict.ERRORED


def failure_verdict(number: object = None, *_: object) -> Verdict:
    """Return the verdict that a candidate process reports; a pass or no verdict gives ``ERRORED``."""
    verdict = message_verdict(number) if isinstance(number, int) else Verdict.ERRORED
    return Verdict.ERRORED if verdict == Verdict.PASSED else verdict
