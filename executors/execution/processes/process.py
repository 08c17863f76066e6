"""Processes that run untrusted code, seen from inside: each confines itself, waits for work and does it.

A process is forked before it has anything to do. It receives a *work* at its channel, a socket: a header,
the content, and file descriptors. Most processes close the channel and end with their first work. One that
is to stay tells by a byte that it has finished, and waits for the next work.
"""

import contextlib
import gc
import os
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from testbudget.executors.execution.limits import TestLimits
from testbudget.executors.execution.processes.result_buffer import (
    BUFFER_BYTES,
    ResultBuffer,
    ResultBufferFullError,
    receive_exactly,
)
from testbudget.executors.execution.sandbox import isolation, kernel

_HEADER = struct.Struct("<IiI?")  # bytes of content, CPU-seconds, processes, stays
_MAX_DESCRIPTORS = 2

FINISHED = b"!"
"""Byte by which a process that stays tells that it has finished its work."""


class Work(NamedTuple):
    """Work of one process.

    Attributes:
        content: instructions, as bytes that only the process decodes.
        steps: maximum number of steps.
        cpu_seconds: CPU limit of all steps together, enforced by the kernel.
        share: time limit of a step, as a fraction of the limits of one test.
        descriptors: file descriptors that the process gets.
        stays: True if the process is to wait for further work.
    """

    content: bytes
    steps: int
    cpu_seconds: int
    share: float = 1.0
    descriptors: Sequence[int] = ()
    stays: bool = False


DoWork = Callable[["ProcessRunner", ResultBuffer, bytes, Sequence[int]], None]
"""Function that decodes the content of a work and does it, with the work's file descriptors."""


def send_work(channel: socket.socket, work: Work, processes: int) -> None:
    """Send work to a process; ignored if the process has ended.

    Args:
        channel: the sender's end of the channel.
        work: the work.
        processes: number of processes inside the sandbox.
    """
    header = _HEADER.pack(len(work.content), work.cpu_seconds, processes, work.stays)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        socket.send_fds(channel, [header], work.descriptors)
        channel.sendall(work.content)


@dataclass(slots=True)
class ProcessRunner:
    """Runner of the work of processes that untrusted code runs in, used inside such a process.

    Attributes:
        layers: names of the isolation layers in force.
        limits: limits of one step.
        directory: path of the working directory, which is made anew before work is sent.
        programs: executables that a process may execute.
        space_bytes: size of the address space with which processes are forked.
    """

    layers: Sequence[str]
    limits: TestLimits
    directory: str
    programs: Sequence[str] = ()
    space_bytes: int = 0

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
            buffer = ResultBuffer(results)
            space_bytes = self.space_bytes + BUFFER_BYTES
            isolation.isolate_candidate(self.layers, self.limits, space_bytes, self.programs)
            stays = True
            while stays:
                header, descriptors, *_ = socket.recv_fds(channel, _HEADER.size, _MAX_DESCRIPTORS)
                if not header:
                    break
                size, cpu_seconds, processes, stays = _HEADER.unpack(header)
                content = receive_exactly(channel, size)
                if not stays:
                    channel.close()
                os.chdir(self.directory)
                isolation.limit_work(self.layers, self.limits, cpu_seconds, processes, stays=stays)
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
        isolation.empty_directory(self.directory)
