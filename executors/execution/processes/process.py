"""Processes that run untrusted code, seen from inside: each confines itself, waits for work and does it.

A process is forked before it has anything to do. It receives a *work* at its channel, a socket: a header,
the content, and file descriptors. Most processes close the channel and end with their first work. One that
is to stay tells by a byte that it has finished, and waits for the next work. Some works have *parts*, which
come one at a time: a process must have left the result of one before it gets the next.
"""

import contextlib
import fcntl
import gc
import os
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, NoReturn

from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.processes.result_buffer import (
    BUFFER_BYTES,
    ResultBuffer,
    ResultBufferFullError,
)
from testbudget.executors.execution.sandbox import isolation, kernel, leftovers, seccomp
from testbudget.executors.execution.sandbox.toolchain import COMPILER_THREADS, NO_TOOLCHAIN, Toolchain

_HEADER = struct.Struct("<I???")  # bytes of content, has descriptors, stays, has parts
_WITH_DESCRIPTORS = b"d"  # byte that brings file descriptors
_PART = struct.Struct("<I?")  # bytes, whether further parts of the step follow
_MAX_DESCRIPTORS = 4

FINISHED = b"!"
"""Byte by which a process that stays tells that it has finished its work."""

NEXT_PART, NEXT_STEP = b"p", b"s"
"""Bytes by which a process asks for the next part of a step, and for the first one of the next step."""


class Work(NamedTuple):
    """Work of one process.

    Attributes:
        content: instructions, as bytes that only the process decodes.
        steps: maximum number of steps.
        cpu_seconds: CPU limit of all steps together, enforced by the kernel.
        share: time limit of a step, as a fraction of the limits of one test.
        descriptors: file descriptors that the process gets.
        stays: True if the process is to wait for further work.
        parts: parts of each step, at least one, which the process gets one at a time; empty if there are
            none. They are for processes that do not stay.
    """

    content: bytes
    steps: int
    cpu_seconds: int
    share: float = 1.0
    descriptors: Sequence[int] = ()
    stays: bool = False
    parts: Sequence[Sequence[bytes]] = ()


class Parts:
    """Parts of a work, inside the process that does it.

    Args:
        channel: file descriptor of this process's end of its channel, which gets a number that it cannot
            close.

    Attributes:
        descriptor: file descriptor of the channel, for a program that the process executes.
    """

    def __init__(self, channel: int) -> None:
        self.descriptor = fcntl.fcntl(channel, fcntl.F_DUPFD_CLOEXEC, seccomp.KEPT_DESCRIPTOR)
        os.close(channel)

    def of_next_step(self) -> Iterator[tuple[bytes, bool]]:
        """Parts of the next step, each with whether further ones follow.

        Before the next part is taken, the step must have left a text for the last one; before the parts of
        a step are taken, the step before must have finished.

        Raises:
            EOFError: the server process has hung up.
        """
        request, more = NEXT_STEP, True
        while more:
            os.write(self.descriptor, request)
            size, more = _PART.unpack(_read_exactly(self.descriptor, _PART.size))
            yield _read_exactly(self.descriptor, size), more
            request = NEXT_PART


DoWork = Callable[["ProcessRunner", ResultBuffer, bytes, Sequence[int]], None]
"""Function that decodes the content of a work and does it, with the work's file descriptors."""


def send_work(channel: socket.socket, work: Work) -> None:
    """Send work to a process; ignored if the process has ended.

    Args:
        channel: the sender's end of the channel.
        work: the work.
    """
    header = _HEADER.pack(len(work.content), bool(work.descriptors), work.stays, bool(work.parts))
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        if not work.descriptors:
            channel.sendall(header + work.content)
            return
        channel.sendall(header)
        socket.send_fds(channel, [_WITH_DESCRIPTORS], work.descriptors)
        channel.sendall(work.content)


def part_frame(content: bytes, *, more: bool) -> bytes:
    """Frame of a part; ``more`` tells that further parts of the step follow."""
    return _PART.pack(len(content), more) + content


@dataclass(slots=True)
class ProcessRunner:
    """Runner of the work of processes that untrusted code runs in, used inside such a process.

    Attributes:
        layers: names of the isolation layers in force.
        limits: limits of one step.
        directory: path of the working directory, which is made anew before work is sent.
        programs: executables that a process may execute.
        toolchain: compilers and run-time of the language.
        compiles: True for processes that start compilers.
        parts: parts of the current work; None if it has none.
    """

    layers: Sequence[str]
    limits: TestLimits
    directory: str
    programs: Sequence[str] = ()
    toolchain: Toolchain = NO_TOOLCHAIN
    compiles: bool = False
    parts: Parts | None = None
    _limits: Sequence[isolation.ResourceLimit] = ()

    @property
    def threads(self) -> int:
        """Threads and processes that a work may need."""
        return COMPILER_THREADS if self.compiles else self.limits.max_threads + self.toolchain.threads

    def measure(self) -> None:
        """Measure the address space for the limit on it; called in the parent before it forks."""
        space_bytes = kernel.address_space_bytes() + BUFFER_BYTES
        self._limits = isolation.candidate_limits(
            self.layers, self.limits, space_bytes, self.programs, self.toolchain
        )

    def run(self, channel: int, results: int, do_work: DoWork) -> NoReturn:
        """Confine this process, and do all work that comes, until none is left.

        Args:
            channel: file descriptor of this process's end of the channel.
            results: file descriptor of a result buffer.
            do_work: function that does the work.
        """
        try:
            open_streams()
            buffer = ResultBuffer(results)
            if self.compiles:
                isolation.isolate_compiler(self.layers)
            else:
                isolation.isolate_candidate(self.layers, self._limits)
            while self._do_next(channel, buffer, do_work):
                pass
        except ResultBufferFullError:
            pass  # the step is run again in another process
        finally:
            os._exit(0)

    def rehearse(self, do_work: DoWork, content: bytes, times: int) -> None:
        """Do work in this process, which goes on, a number of times.

        Args:
            do_work: function that does the work.
            content: content of the work.
            times: number of times.
        """
        outside, inside = socket.socketpair()
        buffer, directory = ResultBuffer(), Path.cwd()
        with outside, inside:
            for _ in range(times):
                send_work(outside, Work(content, 1, 0, stays=True))
                self._do_next(inside.fileno(), buffer, do_work)
                outside.recv(len(FINISHED))
        buffer.close()
        os.chdir(directory)

    def _do_next(self, channel: int, buffer: ResultBuffer, do_work: DoWork) -> bool:
        """Wait for work and do it; return whether more may come."""
        header = os.read(channel, _HEADER.size)
        if not header:
            return False
        stays: bool
        size, has_descriptors, stays, has_parts = _HEADER.unpack(header)
        descriptors = _receive_descriptors(channel) if has_descriptors else ()
        content = _read_exactly(channel, size)
        if has_parts:
            self.parts = Parts(channel)
        elif not stays:
            os.close(channel)
        os.chdir(self.directory)
        buffer.rewind()
        gc.enable()
        do_work(self, buffer, content, descriptors)
        if stays:
            os.write(channel, FINISHED)
        return stays

    def empty_directory(self) -> None:
        """Return to an empty working directory; called between two steps."""
        os.chdir(self.directory)
        leftovers.empty_directory(self.directory)


def _read_exactly(channel: int, size: int) -> bytes:
    """Read a number of bytes, at least one.

    Raises:
        EOFError: the server process has hung up.
    """
    content = os.read(channel, size)
    while len(content) < size:
        more = os.read(channel, size - len(content))
        if not more:
            raise EOFError("the server process has hung up")
        content += more
    return content


def _receive_descriptors(channel: int) -> Sequence[int]:
    """Receive the file descriptors of a work."""
    connection = socket.socket(fileno=channel)
    try:
        _, descriptors, *_ = socket.recv_fds(connection, len(_WITH_DESCRIPTORS), _MAX_DESCRIPTORS)
    finally:
        connection.detach()
    return descriptors


def open_streams() -> None:
    """Open the null device as standard streams; each process has its own, since open files have a state."""
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)
    os.close(null)
