"""Fork server: a process with modules loaded, from which processes for untrusted code are forked.

A forked process inherits the memory of its parent, and a hostile candidate can read it. The server process
holds all tests and results, so processes are forked from fork servers, which are forked from it before the
first block and hold nothing. A new process is a child of the server process all the same, which therefore
watches several at once. It has no memory of another process's results, and no open file of another process:
the kernel keeps a position and flags for each of these, which would pass from one to the next.
"""

import gc
import os
import resource
import signal
import socket
import struct
from collections.abc import Callable, Sequence
from typing import NoReturn

from testbudget.executors.execution.processes import result_buffer
from testbudget.executors.execution.processes.live_process import LiveProcess, ProcessEnd
from testbudget.executors.execution.processes.process import DoWork, ProcessRunner, Work
from testbudget.executors.execution.processes.result_buffer import ResultBuffer
from testbudget.executors.execution.processes.supervisor import Supervisor
from testbudget.executors.execution.sandbox import kernel

_PROCESS = struct.Struct("<i")
_STREAMS = 3
_ATTEMPTS = 2
_FORK, _LOAD = b"f", b"l"

LoadModules = Callable[[Sequence[str]], None]
"""Function that imports modules by their names."""


class ForkServer:
    """Server process's side of a fork server.

    Args:
        supervisor: supervisor of the new processes.
        process_runner: what they do their work with.
        do_work: function that does the work of a process.
        load_modules: function that imports modules in the fork server.

    Raises:
        OSError: no process could be forked.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        process_runner: ProcessRunner,
        do_work: DoWork,
        load_modules: LoadModules,
    ) -> None:
        self._supervisor = supervisor
        # A process that is forked ahead is not known before it is taken, so it could not be spared.
        self._ahead = "seccomp" in process_runner.layers
        self._compiles, self._threads = process_runner.compiles, process_runner.threads
        self._loaded: set[str] = set()
        self._forked: tuple[socket.socket, ResultBuffer] | None = None  # ahead, still unknown
        self._connection, inside = socket.socketpair()
        process = kernel.fork()
        if process == 0:
            _close_all_but(inside.fileno())
            _serve(inside, process_runner, do_work, load_modules)
        inside.close()
        supervisor.permanent.append(process)

    def load_modules(self, names: Sequence[str]) -> bool:
        """Load modules in the fork server, so that later processes inherit them.

        Args:
            names: names of modules; those that were loaded before are ignored.

        Returns:
            True if any was loaded, which processes that were forked before lack.

        Raises:
            OSError: the fork server has ended.
        """
        missing = [name for name in names if name not in self._loaded]
        if not missing:
            return False
        self._loaded.update(missing)
        if self._forked is not None:  # it lacks them
            self._supervisor.dismiss(self._take())
        self._connection.sendall(_LOAD)
        result_buffer.send_frame(self._connection, "\n".join(missing).encode())
        self._receive_process()
        return True

    def start(self, work: Work) -> LiveProcess:
        """Start a process that does a work.

        Raises:
            OSError: the fork server has ended, or could not fork.
        """
        process = self._take()
        if self._ahead:
            self._request()
        self._supervisor.begin(process, work)
        return process

    def run(self, work: Work) -> ProcessEnd:
        """Do a work in a new process until it ends or exceeds a limit.

        Raises:
            OSError: as for ``start``.
        """
        process = self.start(work)
        limit = self._supervisor.watch(process)
        (ended,) = self._supervisor.end(process, limit=limit)
        return ended

    def _request(self) -> None:
        """Ask the fork server for a process, which waits for work."""
        channel, inside = socket.socketpair()
        buffer = ResultBuffer()
        socket.send_fds(self._connection, [_FORK], [inside.fileno(), buffer.descriptor])
        inside.close()
        self._forked = channel, buffer
        self._supervisor.forked_ahead += 1

    def _take(self) -> LiveProcess:
        """Process that waits for work, forked ahead or now."""
        for _ in range(_ATTEMPTS):
            if self._forked is None:
                self._request()
            assert self._forked is not None
            (channel, buffer), self._forked = self._forked, None
            self._supervisor.forked_ahead -= 1
            process = self._receive_process()
            if process > 0:
                live = LiveProcess(
                    process, channel, buffer, threads=self._threads, leads_group=self._compiles
                )
                self._supervisor.adopt(live)
                if not live.has_ended():
                    return live
                self._supervisor.discard(live)  # it was killed
                continue
            # The process that ran meanwhile may have used up all processes or all memory.
            channel.close()
            buffer.close()
        if process > 0:
            raise OSError("a process ended before it had any work")
        raise OSError(-process, f"no process could be forked: {os.strerror(-process)}")

    def _receive_process(self) -> int:
        try:
            (process,) = _PROCESS.unpack(result_buffer.receive_exactly(self._connection, _PROCESS.size))
        except EOFError:
            raise OSError("a fork server has ended") from None
        return int(process)


def _close_all_but(kept: int) -> None:
    """Close all descriptors but the standard streams and one other."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    os.closerange(_STREAMS, kept)
    os.closerange(kept + 1, most)


def _serve(
    connection: socket.socket,
    process_runner: ProcessRunner,
    do_work: DoWork,
    load_modules: LoadModules,
) -> NoReturn:
    """Main loop of the fork server."""
    try:
        kernel.die_with_parent(signal.SIGKILL)
        _settle(process_runner)
        while True:
            request, descriptors, *_ = socket.recv_fds(connection, 1, 2)
            if request == _FORK:
                connection.sendall(_PROCESS.pack(_fork(connection, descriptors, process_runner, do_work)))
            elif request == _LOAD:
                load_modules(result_buffer.receive_frame(connection).decode().split())
                _settle(process_runner)
                connection.sendall(_PROCESS.pack(0))
            else:
                break
    finally:
        os._exit(0)


def _settle(process_runner: ProcessRunner) -> None:
    """Leave no work to new processes that would copy memory: neither garbage nor free memory to sort."""
    gc.collect()
    gc.freeze()
    kernel.tidy_memory()
    process_runner.measure()


def _fork(
    connection: socket.socket, descriptors: Sequence[int], process_runner: ProcessRunner, do_work: DoWork
) -> int:
    """Fork a process that gets two descriptors; return its id, or a negative error number."""
    channel, results = descriptors
    try:
        process = kernel.fork_sibling()
    except OSError as error:
        process = -(error.errno or 1)
    if process == 0:
        connection.close()
        process_runner.run(channel, results, do_work)
    for descriptor in descriptors:
        os.close(descriptor)
    return process
