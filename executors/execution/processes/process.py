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
from typing import NamedTuple, NoReturn

from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.processes.result_buffer import (
    BUFFER_BYTES,
    ResultBuffer,
    ResultBufferFullError,
    receive_exactly,
)
from testbudget.executors.execution.sandbox import isolation, kernel, leftovers, seccomp
from testbudget.executors.execution.sandbox.toolchain import COMPILER_THREADS, NO_TOOLCHAIN, Toolchain

_HEADER = struct.Struct("<IiI??")  # bytes of content, CPU-seconds, processes, stays, has parts
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
        channel: this process's end of its channel, which gets a number that it cannot close.

    Attributes:
        descriptor: file descriptor of the channel, for a program that the process executes.
    """

    def __init__(self, channel: socket.socket) -> None:
        self.descriptor = fcntl.fcntl(channel, fcntl.F_DUPFD_CLOEXEC, seccomp.KEPT_DESCRIPTOR)
        self._channel = socket.socket(fileno=self.descriptor)
        channel.close()

    def close(self) -> None:
        """Close the channel, in a process that rehearses."""
        self._channel.close()

    def of_next_step(self) -> Iterator[tuple[bytes, bool]]:
        """Parts of the next step, each with whether further ones follow.

        Before the next part is taken, the step must have left a text for the last one; before the parts of
        a step are taken, the step before must have finished.

        Raises:
            EOFError: the server process has hung up.
        """
        request, more = NEXT_STEP, True
        while more:
            self._channel.sendall(request)
            size, more = _PART.unpack(receive_exactly(self._channel, _PART.size))
            yield receive_exactly(self._channel, size), more
            request = NEXT_PART


DoWork = Callable[["ProcessRunner", ResultBuffer, bytes, Sequence[int]], None]
"""Function that decodes the content of a work and does it, with the work's file descriptors."""


def send_work(channel: socket.socket, work: Work, processes: int) -> None:
    """Send work to a process; ignored if the process has ended.

    Args:
        channel: the sender's end of the channel.
        work: the work.
        processes: number of processes inside the sandbox.
    """
    header = _HEADER.pack(len(work.content), work.cpu_seconds, processes, work.stays, bool(work.parts))
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        socket.send_fds(channel, [header], work.descriptors)
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
        space_bytes: size of the address space with which processes are forked.
        parts: parts of the current work; None if it has none.
    """

    layers: Sequence[str]
    limits: TestLimits
    directory: str
    programs: Sequence[str] = ()
    toolchain: Toolchain = NO_TOOLCHAIN
    compiles: bool = False
    space_bytes: int = 0
    parts: Parts | None = None

    def measure(self) -> None:
        """Measure the address space; called in the parent before it forks, as it costs system calls."""
        self.space_bytes = kernel.address_space_bytes()

    def run(self, channel: socket.socket, results: int, do_work: DoWork) -> NoReturn:
        """Confine this process, and do all work that comes, until none is left.

        Args:
            channel: this process's end of the channel.
            results: file descriptor of a result buffer.
            do_work: function that does the work.
        """
        try:
            open_streams()
            buffer = ResultBuffer(results)
            if self.compiles:
                isolation.isolate_compiler(self.layers)
                threads = COMPILER_THREADS
            else:
                space_bytes = self.space_bytes + BUFFER_BYTES
                isolation.isolate_candidate(
                    self.layers, self.limits, space_bytes, self.programs, self.toolchain
                )
                threads = self.limits.max_threads + self.toolchain.threads
            stays = True
            while stays:
                header, descriptors, *_ = socket.recv_fds(channel, _HEADER.size, _MAX_DESCRIPTORS)
                if not header:
                    break
                size, cpu_seconds, processes, stays, has_parts = _HEADER.unpack(header)
                content = receive_exactly(channel, size)
                if has_parts:
                    self.parts = Parts(channel)
                elif not stays:
                    channel.close()
                os.chdir(self.directory)
                isolation.limit_work(self.layers, threads, cpu_seconds, processes, stays=stays)
                buffer.rewind()
                gc.enable()
                do_work(self, buffer, content, descriptors)
                if stays:
                    channel.sendall(FINISHED)
        except ResultBufferFullError:
            pass  # the step is run again in another process
        finally:
            os._exit(0)

    def empty_directory(self) -> None:
        """Return to an empty working directory; called between two steps."""
        os.chdir(self.directory)
        leftovers.empty_directory(self.directory)


def open_streams() -> None:
    """Open the null device as standard streams; each process has its own, since open files have a state."""
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)
    os.close(null)
